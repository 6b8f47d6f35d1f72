//! One event, with its whole record.

use super::events::Filter;
use super::*;

pub async fn show(visitor: &Visitor<'_>) -> Reply {
    let id = visitor.asked.query.get("id").unwrap_or_default();
    let request = json!({"LookupAttributes": [{"AttributeKey": "EventId", "AttributeValue": id}]});
    let answer = match visitor.call("cloudtrail", "LookupEvents", request).await {
        Ok(answer) => answer,
        Err(e) => return failed(visitor, "Event", "events", &e),
    };
    let Some(event) = list(&answer, "Events").first() else { return super::refused::missing(visitor) };
    let record: Value = serde_json::from_str(text(event, "CloudTrailEvent")).unwrap_or_default();
    let pretty = serde_json::to_string_pretty(&record).unwrap_or_default();
    let next = visitor.asked.query.get("next").unwrap_or_default();
    let back = Filter::of(visitor.asked).address("events", [("next", next)]);
    let content = html! {
        p { a href=(back) { "Back to the events" } }
        section.card {
            h2 { "Event" }
            dl {
                dt { "Time" } dd { (layout::time(text(&record, "eventTime"))) }
                dt { "User" } dd { (text(event, "Username")) }
                dt { "Source" } dd { (text(event, "EventSource")) }
                dt { "From" } dd { (text(&record, "sourceIPAddress")) }
                dt { "Outcome" } dd { (super::events::outcome(&record)) " " (text(&record, "errorMessage")) }
            }
        }
        section.card { h2 { "Record" } pre #record { (pretty) } }
    };
    page(visitor, text(event, "EventName"), "events", &content)
}
