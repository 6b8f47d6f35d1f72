//! GetContextKeysForCustomPolicy: the condition keys that policies look at.

use super::input::Input;
use crate::iam::prelude::*;
use breakwater_policy::context_keys;

pub struct GetContextKeysForCustomPolicy;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(default, deserialize_with = "check::list")]
    policy_input_list: Option<Vec<String>>,
}

/// Each once, in order. Documents may be long: they are read off the runtime's threads.
pub async fn keys(known: Vec<Input>, given: Vec<String>) -> Result<Value, AwsError> {
    let read = move || {
        let mut inputs = known;
        inputs.extend(Input::list("PolicyInputList", &given)?);
        let keys = context_keys(inputs.iter().flat_map(|input| &input.policy.statements));
        Ok(json!({ "ContextKeyNames": keys }))
    };
    tokio::task::spawn_blocking(read).await.map_err(AwsError::internal)?
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
        let Some(documents) = request.policy_input_list else {
            check::required(None, "policyInputList")?;
            return Ok(json!({}));
        };
        keys(Vec::new(), documents).await
    }
}
