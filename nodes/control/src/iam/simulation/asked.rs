//! What both simulations are asked, and the checks that are common to them.

use super::context::ContextEntry;
use super::input::{self, Input};
use super::questions::Simulation;
use super::scenario;
use crate::iam::prelude::*;
use breakwater_aws::Identity;
use breakwater_policy::{Caller, CallerKind, Use};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Asked {
    #[serde(default, deserialize_with = "check::list")]
    policy_input_list: Option<Vec<String>>,
    #[serde(default, deserialize_with = "check::list")]
    permissions_boundary_policy_input_list: Option<Vec<String>>,
    #[serde(default, deserialize_with = "check::list")]
    action_names: Option<Vec<String>>,
    #[serde(default, deserialize_with = "check::list")]
    resource_arns: Option<Vec<String>>,
    resource_policy: Option<String>,
    resource_owner: Option<String>,
    caller_arn: Option<String>,
    #[serde(default, deserialize_with = "check::list")]
    context_entries: Option<Vec<ContextEntry>>,
    resource_handling_option: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
    marker: Option<String>,
}

/// Of a list of results, where none is asked for.
const PAGE: usize = 100;

fn action(name: &str) -> Result<(), AwsError> {
    let fits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match name.split_once(':') {
        Some((service, action)) if fits(service) && fits(action) && (3..=128).contains(&name.len()) => Ok(()),
        _ => Err(errors::invalid_input(format!("Invalid action name: {name}"))),
    }
}

fn resource(arn: &str) -> Result<(), AwsError> {
    let fits = arn == "*" || arn.starts_with("arn:") && arn.splitn(6, ':').count() == 6 && arn.len() <= 2_048;
    if fits { Ok(()) } else { Err(errors::invalid_input(format!("Invalid resource ARN: {arn}"))) }
}

/// An account's number, or its ARN.
fn owner(text: &str) -> Result<String, AwsError> {
    let account = text.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split(':').next()).unwrap_or(text);
    match breakwater_types::AccountId::new(account) {
        Ok(account) => Ok(account.to_string()),
        Err(_) => Err(errors::invalid_input(format!("Invalid resource owner: {text}"))),
    }
}

impl Asked {
    pub fn policies(&self) -> Result<Vec<Input>, AwsError> {
        Input::list("PolicyInputList", self.policy_input_list.as_deref().unwrap_or_default())
    }

    pub fn has_policies(&self) -> bool {
        self.policy_input_list.is_some()
    }

    /// The boundary that the request brings, in place of the entity's own.
    pub fn boundary(&self) -> Result<Option<Input>, AwsError> {
        let given = self.permissions_boundary_policy_input_list.as_deref().unwrap_or_default();
        if given.len() > 1 {
            return Err(errors::invalid_input("Only one permissions boundary policy can be simulated."));
        }
        Ok(Input::list("PermissionsBoundaryPolicyInputList", given)?.pop())
    }

    /// The user whom the request names as the caller.
    pub fn caller(&self) -> Result<Option<Caller>, AwsError> {
        let Some(arn) = &self.caller_arn else { return Ok(None) };
        let user = Identity::of_arn(arn).filter(|identity| matches!(identity, Identity::User(_)));
        let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
        if user.is_none() || breakwater_types::AccountId::new(&account).is_err() {
            return Err(input::unclear(arn));
        }
        Ok(Some(Caller { arn: arn.clone(), account, kind: CallerKind::User }))
    }

    pub fn has_resource_policy(&self) -> bool {
        self.resource_policy.is_some()
    }

    /// Everything that is asked, checked. `known` are condition keys that follow from the caller.
    pub fn simulation(
        self,
        call: &Call,
        identity: Vec<Input>,
        boundary: Option<Input>,
        caller: Caller,
        known: ConditionKeys,
    ) -> Result<(Simulation, usize, usize), AwsError> {
        let actions = self.action_names.unwrap_or_default();
        if actions.is_empty() {
            return Err(check::constraint("[]", "actionNames", "Member must have length greater than or equal to 1"));
        }
        actions.iter().try_for_each(|name| action(name))?;
        let mut resources = self.resource_arns.unwrap_or_default();
        resources.iter().try_for_each(|arn| resource(arn))?;
        if resources.is_empty() {
            resources.push("*".to_owned());
        }
        scenario::check(self.resource_handling_option.as_deref(), &resources)?;
        let given = self.resource_policy.as_deref();
        let resource_policy =
            given.map(|d| Input::given("ResourcePolicy", "resource", d, Use::Resource)).transpose()?;
        let owner = match &self.resource_owner {
            Some(text) => owner(text)?,
            None => caller.account.clone(),
        };
        let mut context = known;
        for entry in self.context_entries.unwrap_or_default() {
            entry.set(&mut context)?;
        }
        let max = check::max_items(self.max_items)?.unwrap_or(PAGE);
        // A marker says how many results came before.
        let start = match self.marker.as_deref().map(str::parse) {
            None => 0,
            Some(Ok(start)) => start,
            Some(Err(_)) => return Err(errors::invalid_input("Invalid Marker.")),
        };
        let simulation = Simulation {
            identity,
            boundary,
            resource: resource_policy,
            caller,
            context,
            owner,
            actions,
            resources,
            deadline: call.deadline,
        };
        Ok((simulation, start, max))
    }
}

/// Who calls where nobody is named: a user of this account without a name.
pub fn somebody(call: &Call) -> Caller {
    let account = call.principal.account.to_string();
    Caller { arn: format!("arn:aws:iam::{account}:user/"), account, kind: CallerKind::User }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_and_resources() {
        for good in ["iam:CreateUser", "s3:x", "execute-api:Invoke"] {
            assert!(action(good).is_ok(), "{good}");
        }
        for bad in ["", "iam", "iam:", ":x", "iam:*", "iam:Get*", "a:b:c", "*"] {
            assert!(action(bad).is_err(), "{bad}");
        }
        for good in ["*", "arn:aws:s3:::b/*", "arn:aws:dynamodb:r:1:table/t"] {
            assert!(resource(good).is_ok(), "{good}");
        }
        for bad in ["", "arn:aws", "b", "arn:aws:s3:::"] {
            assert_eq!(resource(bad).is_err(), bad != "arn:aws:s3:::", "{bad}");
        }
        assert_eq!(owner("arn:aws:iam::111122223333:root").unwrap(), "111122223333");
        assert_eq!(owner("111122223333").unwrap(), "111122223333");
        assert!(owner("1").is_err());
    }
}
