//! DeleteTrail. What it has delivered stays.

use crate::cloudtrail::prelude::*;
use breakwater_meta::prefix_end;

pub struct DeleteTrail;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    name: Option<String>,
}

impl Operation for DeleteTrail {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteTrail";
    const ACTION: &'static str = "cloudtrail:DeleteTrail";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = ctx.own_name(call, request.name.as_deref())?;
        let account = &call.principal.account;
        ctx.commit(call, || async {
            let found = ctx.trail(call, &name).await?;
            let files = trails::file_prefix(account, &name);
            let ops = vec![
                found.delete(),
                Op::Delete { key: trails::delivery_key(account, &name) },
                Op::DeleteRange { end: prefix_end(&files), start: files },
            ];
            Ok(Change { compares: vec![found.unchanged()], ops, answer: json!({}) })
        })
        .await
    }
}
