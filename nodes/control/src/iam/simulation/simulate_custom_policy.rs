//! SimulateCustomPolicy: of policies that the request brings.

use super::asked::{self, Asked};
use super::context;
use crate::iam::prelude::*;

pub struct SimulateCustomPolicy;

impl Operation for SimulateCustomPolicy {
    type Context = Context;
    type Request = Asked;
    type Response = Value;
    const NAME: &'static str = "SimulateCustomPolicy";
    const ACTION: &'static str = "iam:SimulateCustomPolicy";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Asked) -> Vec<Arn> {
        vec![Arn::raw("*".to_owned())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Asked) -> Result<Value, AwsError> {
        if !request.has_policies() {
            check::required(None, "policyInputList")?;
        }
        let (identity, boundary) = (request.policies()?, request.boundary()?);
        let caller = match request.caller()? {
            Some(caller) => caller,
            None if request.has_resource_policy() => {
                return Err(errors::invalid_input("CallerArn is required when a resource policy is simulated."));
            }
            None => asked::somebody(call),
        };
        let mut known = context::of_caller(ctx, &caller, None);
        if let Some(breakwater_aws::Identity::User(name)) = breakwater_aws::Identity::of_arn(&caller.arn)
            && !name.is_empty()
        {
            known.set("aws:username", name);
            known.set("aws:PrincipalArn", caller.arn.as_str());
        }
        let (simulation, start, max) = request.simulation(call, identity, boundary, caller, known)?;
        simulation.page(start, max).await
    }
}
