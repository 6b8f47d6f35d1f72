//! The account's audit trail: what LookupEvents finds, by one attribute and time, page by page.

use super::*;
use breakwater_types::rfc3339;
use layout::{scrolled, time};
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
#[derive(Clone, Copy)]
pub struct Filter<'a> {
    by: &'a str,
    value: &'a str,
    from: &'a str,
    to: &'a str,
}

impl<'a> Filter<'a> {
    pub fn of(asked: &'a Asked) -> Filter<'a> {
        let get = |name| asked.query.get(name).unwrap_or_default().trim();
        Filter { by: get("by"), value: get("value"), from: get("from"), to: get("to") }
    }

    /// What can't be looked up, in words.
    fn problem(&self) -> Option<String> {
        let Filter { by, value, from, to } = *self;
        for (field, text) in [("From", from), ("To", to)] {
            if !text.is_empty() && day(text).is_none() {
                return Some(format!(
                    "{field} is a day such as 2026-11-24, which “{text}” isn't. Nothing was looked up."
                ));
            }
        }
        if !by.is_empty() && ATTRIBUTES.iter().all(|(key, _)| *key != by) {
            return Some(format!("Events can't be looked up by “{by}”. Nothing was looked up."));
        }
        if by == "ReadOnly" && !matches!(value, "" | "true" | "false") {
            return Some(format!("Read-only is true or false, not “{value}”. Nothing was looked up."));
        }
        None
    }

    fn request(&self, token: Option<&str>) -> Value {
        let mut request = json!({"MaxResults": SHOWN});
        if !self.value.is_empty() {
            request["LookupAttributes"] = json!([{"AttributeKey": self.by, "AttributeValue": self.value}]);
        }
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

    /// Of a page that keeps the filter, with further fields.
    pub fn address<const N: usize>(&self, page: &str, more: [(&str, &str); N]) -> String {
        let fields =
            [("by", self.by), ("value", self.value), ("from", self.from), ("to", self.to)].into_iter().chain(more);
        let filled = fields.filter(|(_, value)| !value.is_empty());
        let fields: Vec<String> =
            filled.map(|(name, value)| format!("{name}={}", crate::iam::shapes::encoded(value))).collect();
        format!("{PATH}/{page}?{}", fields.join("&"))
    }
}

fn day(text: &str) -> Option<Date> {
    Date::parse(text, &Iso8601::DATE).ok()
}

fn form(filter: &Filter<'_>) -> Markup {
    html! {
        form.card method="get" action={(PATH) "/events"} {
            div.row {
                label.wide { "Look up by"
                    select name="by" {
                        @for (key, name) in ATTRIBUTES { option value=(key) selected[key == filter.by] { (name) } }
                    } }
                label.wide { "Value" input name="value" value=(filter.value) maxlength="2000" autocomplete="off"; }
                label.day { "From " small { "(UTC)" } input type="date" name="from" value=(filter.from); }
                label.day { "To" input type="date" name="to" value=(filter.to); }
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
    if let Some(problem) = filter.problem() {
        let notice = Notice::Failed(problem);
        let page = layout::page(visitor, "Events", "events", Some(&notice), &form(&filter));
        return Reply::page(StatusCode::BAD_REQUEST, page);
    }
    let next = visitor.asked.query.get("next");
    let request = filter.request(next);
    let answer = match visitor.call("cloudtrail", "LookupEvents", request).await {
        Ok(answer) => answer,
        Err(e) => return noticed(visitor, "Events", "events", Some(&e), &form(&filter)),
    };
    let events = list(&answer, "Events");
    let content = html! {
        (form(&filter))
        div.card {
            @if events.is_empty() { p.faint { "There are none." } } @else {
                (scrolled("Events", &table(events, &filter, next.unwrap_or_default())))
            }
            @if let Some(token) = answer["NextToken"].as_str() {
                p.more { a href=(filter.address("events", [("next", token)])) rel="next" { "Older events" } }
            }
        }
    };
    page(visitor, "Events", "events", &content)
}

/// An event's page leads back to the filter and the page of it that it was found on.
fn table(events: &[Value], filter: &Filter<'_>, next: &str) -> Markup {
    html! {
        table #events {
            thead { tr {
                th scope="col" { "Time" } th scope="col" { "User" } th scope="col" { "Event" }
                th scope="col" { "Source" } th scope="col" { "Outcome" } th scope="col" { "Resources" }
            } }
            tbody {
                @for event in events {
                    @let record: Value = serde_json::from_str(text(event, "CloudTrailEvent")).unwrap_or_default();
                    @let address = filter.address("event", [("id", text(event, "EventId")), ("next", next)]);
                    tr {
                        td { (time(&rfc3339(event["EventTime"].as_i64().unwrap_or_default()))) }
                        td.name { (text(event, "Username")) }
                        td { a href=(address) { (text(event, "EventName")) } }
                        td { (text(event, "EventSource").trim_end_matches(".amazonaws.com")) }
                        td { (outcome(&record)) }
                        td.name {
                            @for resource in list(event, "Resources") { div { (text(resource, "ResourceName")) } }
                        }
                    }
                }
            }
        }
    }
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
        let none = Filter { by: "EventName", value: "", from: "", to: "9999-12-31" };
        assert_eq!(none.request(None), json!({"MaxResults": 25}));
    }

    #[test]
    fn what_cannot_be_looked_up_is_said() {
        let good = Filter { by: "ReadOnly", value: "true", from: "2026-11-24", to: "" };
        assert_eq!(good.problem(), None);
        let problem = |filter: Filter<'_>| filter.problem().unwrap_or_default();
        assert!(problem(Filter { from: "yesterday", ..good }).starts_with("From is a day"));
        assert!(problem(Filter { to: "2026-02-30", ..good }).contains("“2026-02-30”"));
        assert!(problem(Filter { value: "maybe", ..good }).contains("true or false"));
        assert!(problem(Filter { by: "Color", ..good }).contains("“Color”"));
    }
}
