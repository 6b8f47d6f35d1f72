//! SimulatePrincipalPolicy: of the policies that a user, group or role has.

use super::asked::{self, Asked};
use super::context;
use super::input::Source;
use crate::iam::prelude::*;
use breakwater_policy::{Caller, CallerKind};

pub struct SimulatePrincipalPolicy;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    policy_source_arn: Option<String>,
    #[serde(flatten)]
    asked: Asked,
}

impl Operation for SimulatePrincipalPolicy {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "SimulatePrincipalPolicy";
    const ACTION: &'static str = "iam:SimulatePrincipalPolicy";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.policy_source_arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let arn = check::required(request.policy_source_arn.as_deref(), "policySourceArn")?;
        let asked = request.asked;
        let mut source = Source::find(ctx, call, arn).await?;
        let account = call.principal.account.to_string();
        let caller = match (asked.caller()?, source.kind) {
            (Some(caller), _) => caller,
            (None, Kind::User) => Caller { arn: source.arn.clone(), account, kind: CallerKind::User },
            (None, _) if asked.has_resource_policy() => {
                return Err(errors::invalid_input(
                    "A resource policy can be simulated for a user only: name one in CallerArn.",
                ));
            }
            (None, Kind::Role) => {
                let arn = format!("arn:aws:sts::{account}:assumed-role/{}/", source.name);
                Caller { arn, account, kind: CallerKind::Role { role: source.arn.clone() } }
            }
            (None, _) => asked::somebody(call),
        };
        let known = context::of_caller(ctx, &caller, Some(&source));
        let mut identity = std::mem::take(&mut source.identity);
        identity.extend(asked.policies()?);
        let boundary = asked.boundary()?.or(source.boundary);
        let (simulation, start, max) = asked.simulation(call, identity, boundary, caller, known)?;
        simulation.page(start, max).await
    }
}
