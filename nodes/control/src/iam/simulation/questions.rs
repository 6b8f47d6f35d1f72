//! A simulation, made of all that it needs, and its results.

use super::input::Input;
use crate::iam::prelude::*;
use breakwater_aws::query::ENTRIES;
use breakwater_policy::{
    Caller, Effect, Layer, Named, Outcome, Place, Question, Sources, Why, decide, deciding, matching, missing_keys,
};
use std::time::Duration;
use tokio::time::Instant;

/// How long one page is worked on: what it lacks then, the next one has.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct Simulation {
    pub identity: Vec<Input>,
    pub boundary: Option<Input>,
    pub resource: Option<Input>,
    pub caller: Caller,
    pub context: ConditionKeys,
    /// The account of resources whose ARN names none, and of the resource's policy.
    pub owner: String,
    pub actions: Vec<String>,
    pub resources: Vec<String>,
    pub deadline: Instant,
}

/// Policies of one layer, by their place in it: names may be there twice.
fn numbered<'a>(inputs: &'a [Input], numbers: &'a [String]) -> Vec<Named<'a>> {
    inputs.iter().zip(numbers).map(|(input, number)| Named { name: number, policy: &input.policy }).collect()
}

fn decision_word(effects: &[Effect]) -> &'static str {
    match (effects.contains(&Effect::Deny), effects.contains(&Effect::Allow)) {
        (true, _) => "explicitDeny",
        (false, true) => "allowed",
        (false, false) => "implicitDeny",
    }
}

impl Simulation {
    /// Results from the `start`th on, at most `max`, off the runtime's threads: what is asked may be much.
    pub async fn page(self, start: usize, max: usize) -> Result<Value, AwsError> {
        tokio::task::spawn_blocking(move || self.results(start, max)).await.map_err(AwsError::internal)?
    }

    fn results(&self, start: usize, max: usize) -> Result<Value, AwsError> {
        let end = self.deadline.min(Instant::now() + PATIENCE);
        let numbers: Vec<String> = (0..self.identity.len().max(1)).map(|n| n.to_string()).collect();
        let identity = numbered(&self.identity, &numbers);
        let sources = Sources {
            identity: &identity,
            boundary: self.boundary.as_ref().map(|input| Named { name: "0", policy: &input.policy }),
            session: None,
            resource: self.resource.as_ref().map(|input| Named { name: "0", policy: &input.policy }),
            resource_must_allow: false,
        };
        let all = self.actions.len().saturating_mul(self.resources.len());
        let mut results = Vec::new();
        let mut at = start;
        while at < all && results.len() < max {
            let (action, resource) =
                (&self.actions[at / self.resources.len()], &self.resources[at % self.resources.len()]);
            // A page has one result at least, or nobody would get further.
            let until = if results.is_empty() { self.deadline } else { end };
            match self.result(action, resource, &sources, until) {
                Some(result) => results.push(result),
                None if results.is_empty() => {
                    return Err(errors::unavailable("a simulation took longer than its request may"));
                }
                None => break,
            }
            at += 1;
        }
        let mut answer = json!({"EvaluationResults": results, "IsTruncated": at < all});
        if at < all {
            answer["Marker"] = at.to_string().into();
        }
        Ok(answer)
    }

    fn account<'a>(&'a self, resource: &'a str) -> &'a str {
        match resource.split(':').nth(4) {
            Some(account) if account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) => account,
            _ => &self.owner,
        }
    }

    /// Nothing where it isn't there in time: its parts are as long as the policies.
    fn result(&self, action: &str, resource: &str, sources: &Sources<'_>, until: Instant) -> Option<Value> {
        let in_time = || (Instant::now() < until).then_some(());
        in_time()?;
        let account = self.account(resource);
        let question = Question { caller: &self.caller, action, resource, account, context: &self.context };
        let decision = decide(&question, sources);
        in_time()?;
        let matched = matching(&question, sources);
        in_time()?;
        let word = match decision.outcome {
            Outcome::Allowed => "allowed",
            Outcome::Denied(Why::Explicit(_)) => "explicitDeny",
            Outcome::Denied(Why::Silent(_)) => "implicitDeny",
        };
        let statements: Vec<Value> = match decision.outcome {
            Outcome::Denied(Why::Silent(_)) => Vec::new(),
            // A boundary allows nothing by itself.
            Outcome::Allowed => {
                let rights: Vec<_> = matched.iter().filter(|(p, _)| p.layer != Layer::Boundary).copied().collect();
                deciding(&rights).into_iter().map(|place| self.statement(place)).collect()
            }
            Outcome::Denied(Why::Explicit(_)) => deciding(&matched).into_iter().map(|p| self.statement(p)).collect(),
        };
        in_time()?;
        let missing = missing_keys(&question, sources);
        let of = |layer| -> Vec<Effect> { matched.iter().filter(|(p, _)| p.layer == layer).map(|(_, e)| *e).collect() };
        let mut more = serde_json::Map::new();
        if self.boundary.is_some() {
            let allowed = decision_word(&of(Layer::Boundary)) == "allowed";
            more.insert(
                "PermissionsBoundaryDecisionDetail".to_owned(),
                json!({"AllowedByPermissionsBoundary": allowed}),
            );
        }
        if account != self.caller.account {
            let mut details = json!({"IAM Policy": decision_word(&of(Layer::Identity))});
            if self.resource.is_some() {
                details["Resource Policy"] = decision_word(&of(Layer::Resource)).into();
            }
            if self.boundary.is_some() {
                details["Permissions Boundary Policy"] = decision_word(&of(Layer::Boundary)).into();
            }
            more.insert("EvalDecisionDetails".to_owned(), json!({ENTRIES: details}));
        }
        let mut result = json!({
            "EvalActionName": action,
            "EvalResourceName": resource,
            "EvalDecision": word,
            "MatchedStatements": statements,
            "MissingContextValues": if resource == "*" { missing.clone() } else { Vec::new() },
        });
        if resource != "*" {
            let mut specific = json!({
                "EvalResourceName": resource,
                "EvalResourceDecision": word,
                "MatchedStatements": statements,
                "MissingContextValues": missing,
            });
            extend(&mut specific, &more);
            result["ResourceSpecificResults"] = json!([specific]);
        }
        extend(&mut result, &more);
        Some(result)
    }

    fn statement(&self, place: Place<'_>) -> Value {
        let input = match place.layer {
            Layer::Identity => place.policy.parse().ok().and_then(|n: usize| self.identity.get(n)),
            Layer::Boundary => self.boundary.as_ref(),
            Layer::Resource => self.resource.as_ref(),
            Layer::Session => None,
        };
        let Some(input) = input else { return Value::Null };
        let mut shape = json!({"SourcePolicyId": input.id, "SourcePolicyType": input.kind});
        if let Some([start, end]) = input.places().get(place.statement) {
            for (name, (line, column)) in [("StartPosition", start), ("EndPosition", end)] {
                shape[name] = json!({"Line": line, "Column": column});
            }
        }
        shape
    }
}

fn extend(value: &mut Value, more: &serde_json::Map<String, Value>) {
    if let Value::Object(members) = value {
        members.extend(more.clone());
    }
}
