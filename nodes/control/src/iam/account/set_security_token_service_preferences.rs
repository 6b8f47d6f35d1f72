//! SetSecurityTokenServicePreferences: which tokens the global endpoint gives. This region has one kind, good everywhere
//! in it; the preference is kept, and told by the account's summary.

use crate::iam::prelude::*;
use breakwater_types::AccountId;
use breakwater_types::formats::TRAILS;

pub struct SetSecurityTokenServicePreferences;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    global_endpoint_token_version: Option<String>,
}

fn key(account: &AccountId) -> Vec<u8> {
    format!("control/sts-preferences/{account}").into_bytes()
}

/// 1 or 2.
pub async fn token_version(ctx: &Context, call: &Call) -> Result<u32, AwsError> {
    Ok(ctx.find::<u32>(call, key(&call.principal.account)).await?.map_or(1, |found| found.record))
}

impl Operation for SetSecurityTokenServicePreferences {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "SetSecurityTokenServicePreferences";
    const ACTION: &'static str = "iam:SetSecurityTokenServicePreferences";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::raw("*".to_owned())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let at = "globalEndpointTokenVersion";
        let version: u32 = match check::required(request.global_endpoint_token_version.as_deref(), at)? {
            "v1Token" => 1,
            "v2Token" => 2,
            other => {
                return Err(check::constraint(other, at, "Member must satisfy enum value set: [v1Token, v2Token]"));
            }
        };
        ctx.needs_format(TRAILS)?;
        let change = || async {
            let ops = vec![put(key(&call.principal.account), &version)?];
            Ok(Change { compares: Vec::new(), ops, answer: json!({}) })
        };
        Ok(ctx.commit(call, change).await?.0)
    }
}
