//! The account's audit trail: what LookupEvents finds, by one attribute and time, page by page.

use super::*;
use breakwater_types::rfc3339;
use layout::time;
use time::format_description::well_known::Iso8601;
use time::{Date, Duration};

const ATTRIBUTES: [(&str, &str); 8] = [
    ("Username", "User name"),
    ("EventName", "Event name"),
    ("EventSource", "Event source"),
    ("ReadOnly", "Read-only (true or false)"),
    ("ResourceType", "Resource type"),
    ("ResourceName", "Resource name"),
    ("AccessKeyId", "Access key"),
    ("EventId", "Event ID"),
];
const SHOWN: u32 = 25;

/// What was asked for, as the form has it.
struct Filter<'a> {
    by: &'a str,
    value: &'a str,
    from: &'a str,
    to: &'a str,
}

impl<'a> Filter<'a> {
    fn of(asked: &'a Asked) -> Filter<'a> {
        let get = |name| asked.query.get(name).unwrap_or_default().trim();
        Filter { by: get("by"), value: get("value"), from: get("from"), to: get("to") }
    }

    fn request(&self, token: Option<&str>) -> Value {
        let mut request = json!({"MaxResults": SHOWN});
        if !self.value.is_empty() {
            request["LookupAttributes"] = json!([{"AttributeKey": self.by, "AttributeValue": self.value}]);
        }
        let day = |text: &str| Date::parse(text, &Iso8601::DATE).ok();
        if let Some(from) = day(self.from) {
            request["StartTime"] = from.midnight().assume_utc().unix_timestamp().into();
        }
        // The whole day.
        if let Some(to) = day(self.to).and_then(|day| day.checked_add(Duration::DAY)) {
            request["EndTime"] = (to.midnight().assume_utc().unix_timestamp() - 1).into();
        }
        if let Some(token) = token {
            request["NextToken"] = token.into();
        }
        request
    }

    fn address(&self, token: &str) -> String {
        let fields = [("by", self.by), ("value", self.value), ("from", self.from), ("to", self.to), ("next", token)];
        let fields = fields.map(|(name, value)| format!("{name}={}", crate::iam::shapes::encoded(value)));
        format!("{PATH}/events?{}", fields.join("&"))
    }
}

fn form(filter: &Filter<'_>) -> Markup {
    html! {
        form.card method="get" action={(PATH) "/events"} {
            div.row {
                label { "Look up by"
                    select name="by" {
                        @for (key, name) in ATTRIBUTES { option value=(key) selected[key == filter.by] { (name) } }
                    } }
                label { "Value" input name="value" value=(filter.value) maxlength="2000" autocomplete="off"; }
                label { "From " small { "(UTC)" } input type="date" name="from" value=(filter.from); }
                label { "To" input type="date" name="to" value=(filter.to); }
                p.go { button { "Look up" } }
            }
        }
    }
}

/// In a record, what kind of outcome it tells of.
pub fn outcome(record: &Value) -> Markup {
    let error = record["errorCode"].as_str().or_else(|| record["errorMessage"].as_str());
    html! {
        @match error {
            Some(error) => span.tag.bad { (error) },
            None => span.tag.on { "done" },
        }
    }
}

pub async fn show(visitor: &Visitor<'_>) -> Reply {
    let filter = Filter::of(visitor.asked);
    let request = filter.request(visitor.asked.query.get("next"));
    let answer = match visitor.call("cloudtrail", "LookupEvents", request).await {
        Ok(answer) => answer,
        Err(e) => return noticed(visitor, "Events", "events", Some(&e), &form(&filter)),
    };
    let events = list(&answer, "Events");
    let content = html! {
        (form(&filter))
        div.card {
            @if events.is_empty() { p.faint { "There are none." } } @else {
                table #events {
                    thead { tr {
                        th scope="col" { "Time" } th scope="col" { "User" } th scope="col" { "Event" }
                        th scope="col" { "Source" } th scope="col" { "Outcome" } th scope="col" { "Resources" }
                    } }
                    tbody {
                        @for event in events {
                            @let record: Value = serde_json::from_str(text(event, "CloudTrailEvent")).unwrap_or_default();
                            tr {
                                td { (time(&rfc3339(event["EventTime"].as_i64().unwrap_or_default()))) }
                                td { (text(event, "Username")) }
                                td { a href=(layout::address("event", "id", text(event, "EventId"))) { (text(event, "EventName")) } }
                                td { (text(event, "EventSource").trim_end_matches(".amazonaws.com")) }
                                td { (outcome(&record)) }
                                td {
                                    @for resource in list(event, "Resources") { div { (text(resource, "ResourceName")) } }
                                }
                            }
                        }
                    }
                }
            }
            @if let Some(token) = answer["NextToken"].as_str() {
                p.more { a href=(filter.address(token)) rel="next" { "Older events" } }
            }
        }
    };
    page(visitor, "Events", "events", &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_asks_for_whole_days_and_one_attribute() {
        let filter = Filter { by: "EventName", value: "CreateUser", from: "2026-11-24", to: "2026-11-24" };
        assert_eq!(
            filter.request(Some("t")),
            json!({
                "MaxResults": 25,
                "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}],
                "StartTime": 1_795_478_400,
                "EndTime": 1_795_564_799,
                "NextToken": "t",
            })
        );
        let none = Filter { by: "EventName", value: "", from: "yesterday", to: "9999-12-31" };
        assert_eq!(none.request(None), json!({"MaxResults": 25}));
    }
}
