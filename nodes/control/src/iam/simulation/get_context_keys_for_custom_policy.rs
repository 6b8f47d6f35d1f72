//! GetContextKeysForCustomPolicy: the condition keys that policies look at.

use super::input::Input;
use crate::iam::prelude::*;

pub struct GetContextKeysForCustomPolicy;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(default, deserialize_with = "check::list")]
    policy_input_list: Option<Vec<String>>,
}

/// Each once, in order.
pub fn keys(inputs: &[Input]) -> Value {
    let statements = inputs.iter().flat_map(|input| &input.policy.statements);
    let mut all: Vec<&str> = Vec::new();
    for key in statements.flat_map(|statement| statement.context_keys()) {
        if !all.iter().any(|known| known.eq_ignore_ascii_case(key)) {
            all.push(key);
        }
    }
    json!({ "ContextKeyNames": all })
}

impl Operation for GetContextKeysForCustomPolicy {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetContextKeysForCustomPolicy";
    const ACTION: &'static str = "iam:GetContextKeysForCustomPolicy";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::raw("*".to_owned())]
    }

    async fn handle(_ctx: &Arc<Context>, _call: &Call, request: Request) -> Result<Value, AwsError> {
        let Some(documents) = &request.policy_input_list else {
            check::required(None, "policyInputList")?;
            return Ok(json!({}));
        };
        Ok(keys(&Input::list("PolicyInputList", documents)?))
    }
}
