//! DeleteAccountAlias.

use crate::iam::prelude::*;

pub struct DeleteAccountAlias;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    account_alias: Option<String>,
}

impl Operation for DeleteAccountAlias {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteAccountAlias";
    const ACTION: &'static str = "iam:DeleteAccountAlias";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::raw("*".to_owned())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let alias = super::alias(request.account_alias.as_deref())?;
        ctx.change(call, || async {
            let found = ctx.find::<String>(call, super::key(&call.principal.account)).await?;
            let found = found.filter(|found| found.record == alias).ok_or_else(|| {
                AwsError::new("NoSuchEntity", 404, format!("The account alias {alias} does not exist."))
            })?;
            let ops = vec![found.delete(), Op::Delete { key: super::owner_key(alias) }];
            Ok(Change { compares: vec![found.unchanged()], ops, answer: json!({}) })
        })
        .await
    }
}
