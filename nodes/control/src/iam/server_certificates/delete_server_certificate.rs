//! DeleteServerCertificate.

use super::{arn_of, body_key, chain_key, named, private_key};
use crate::iam::prelude::*;

pub struct DeleteServerCertificate;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    server_certificate_name: Option<String>,
}

impl Operation for DeleteServerCertificate {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteServerCertificate";
    const ACTION: &'static str = "iam:DeleteServerCertificate";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "server-certificate";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![arn_of(ctx, call, request.server_certificate_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let account = &call.principal.account;
        let change = || async {
            let found = named(ctx, call, request.server_certificate_name.as_deref()).await?;
            let apart = [body_key, chain_key, private_key].map(|key| key(account, &found.record.id));
            let mut ops = vec![found.delete()];
            ops.extend(apart.map(|key| Op::Delete { key }));
            Ok(Change { compares: vec![found.unchanged()], ops, answer: json!({}) })
        };
        ctx.change(call, change).await
    }
}
