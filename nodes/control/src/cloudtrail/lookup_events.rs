//! LookupEvents.

use super::{Context, errors};
use breakwater_audit::{Attribute, Lookup, RETENTION_MS};
use breakwater_aws::{Access, Arn, AwsError, Call, Event, Operation, Plane, audit};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

const RESULTS_MAX: i64 = 50;
const VALUE_CHARACTERS_MAX: usize = 2_000;
const CLOCKS_AHEAD_MS: i64 = 60_000;

pub struct LookupEvents;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LookupAttribute {
    attribute_key: Option<String>,
    attribute_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    lookup_attributes: Option<Vec<LookupAttribute>>,
    /// Seconds since 1970.
    start_time: Option<f64>,
    end_time: Option<f64>,
    event_category: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// What a float can't hold is as far away as can be.
fn ms(seconds: f64) -> i64 {
    (seconds * 1_000.0).clamp(0.0, 1e15) as i64
}

/// The only one that there may be.
fn attribute(all: Option<&[LookupAttribute]>) -> Result<Option<(Attribute, String)>, AwsError> {
    let one = match all.unwrap_or_default() {
        [] => return Ok(None),
        [one] => one,
        _ => return Err(errors::attributes("You can specify only one lookup attribute.")),
    };
    let (Some(key), Some(value)) = (&one.attribute_key, &one.attribute_value) else {
        return Err(errors::attributes("A lookup attribute needs a key and a value."));
    };
    let known = Attribute::parse(key);
    let known = known.ok_or_else(|| errors::attributes(format!("{key:.128} is not a lookup attribute.")))?;
    if value.is_empty() || value.chars().count() > VALUE_CHARACTERS_MAX {
        return Err(errors::attributes("The lookup attribute's value must have 1 to 2000 characters."));
    }
    Ok(Some((known, value.clone())))
}

/// Names the question: a token is of use for the same one only.
fn question(call: &Call, request: &Request) -> u64 {
    let mut hash = Sha256::new();
    hash.update(call.principal.account.as_str());
    for one in request.lookup_attributes.iter().flatten() {
        hash.update(format!("{:?}={:?};", one.attribute_key, one.attribute_value));
    }
    hash.update(format!("{:?}-{:?}", request.start_time, request.end_time));
    let digest: [u8; 32] = hash.finalize().into();
    digest[..8].iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

fn token(question: u64, (unix_ms, id): (i64, u128)) -> String {
    format!("{question:016x}{unix_ms:016x}{id:032x}")
}

fn place(question: u64, token: &str) -> Option<(i64, u128)> {
    let well_formed = token.len() == 64 && token.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !well_formed || u64::from_str_radix(&token[..16], 16).ok()? != question {
        return None;
    }
    Some((i64::from_str_radix(&token[16..32], 16).ok()?, u128::from_str_radix(&token[32..], 16).ok()?))
}

fn shape(event: &Event, record: &Value) -> Value {
    let resources: Vec<Value> = audit::resources_of(event, record)
        .into_iter()
        .map(|(kind, name)| json!({"ResourceType": kind, "ResourceName": name}))
        .collect();
    json!({
        "EventId": audit::uuid(event.id),
        "EventName": record["eventName"],
        "ReadOnly": record["readOnly"].as_bool().unwrap_or_default().to_string(),
        "AccessKeyId": event.access_key_id,
        "EventTime": event.unix_ms.div_euclid(1_000),
        "EventSource": record["eventSource"],
        "Username": event.user_name,
        "Resources": resources,
        "CloudTrailEvent": event.record,
    })
}

impl Operation for LookupEvents {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "LookupEvents";
    const ACTION: &'static str = "cloudtrail:LookupEvents";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::any()]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let attribute = attribute(request.lookup_attributes.as_deref())?;
        let max = request.max_results.unwrap_or(RESULTS_MAX);
        if !(1..=RESULTS_MAX).contains(&max) {
            return Err(errors::max_results());
        }
        let now = ctx.clock.unix_ms();
        let from_ms = request.start_time.map_or(0, ms).max(now - RETENTION_MS);
        // Clocks of other nodes may be ahead. Times are told in whole seconds: the last one is meant as a whole.
        let ahead = now + CLOCKS_AHEAD_MS;
        let to_ms = request.end_time.map_or(ahead, |end| ms(end).saturating_add(999).min(ahead));
        if let (Some(start), Some(end)) = (request.start_time, request.end_time)
            && start > end
        {
            return Err(errors::time_range());
        }
        match request.event_category.as_deref() {
            None => {}
            // There are no insights: nobody looks for what is unusual.
            Some("insight") => return Ok(json!({"Events": []})),
            Some(other) => return Err(errors::category(other)),
        }
        let question = question(call, &request);
        let after = match &request.next_token {
            Some(token) => Some(place(question, token).ok_or_else(errors::next_token)?),
            None => None,
        };
        if ctx.audit.group().is_none() {
            return Err(AwsError::unavailable("the region's nodes don't all know of events yet"));
        }
        // What isn't known here would pass for what hasn't happened.
        if !ctx.audit.is_current() {
            return Err(AwsError::unavailable("this node doesn't have the region's events"));
        }
        let account = call.principal.account.clone();
        let max = usize::try_from(max).unwrap_or(1);
        let lookup = Lookup { account, from_ms, to_ms, attribute, after, max };
        let audit = ctx.audit.clone();
        let page = tokio::task::spawn_blocking(move || audit.look_up(&lookup)).await;
        let page = page.map_err(AwsError::internal)?.map_err(AwsError::internal)?;
        let mut answer = json!({
            "Events": page.events.iter().map(|(event, record)| shape(event, record)).collect::<Vec<_>>(),
        });
        if let Some(next) = page.next {
            answer["NextToken"] = token(question, next).into();
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_on_where_their_question_ended() {
        let there = (1_700_000_000_123, 7 << 100);
        assert_eq!(place(5, &token(5, there)), Some(there));
        assert_eq!(place(6, &token(5, there)), None);
        for bad in ["", "x", &"é".repeat(32), &"+".repeat(64), &"f".repeat(64)] {
            assert_eq!(place(5, bad), None, "{bad}");
        }
    }

    #[test]
    fn times_of_any_size_are_times() {
        assert_eq!((ms(1.5), ms(-1.0), ms(f64::NAN), ms(1e300)), (1_500, 0, 0, 1_000_000_000_000_000));
    }
}
