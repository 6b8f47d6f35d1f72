//! DeleteAccountPasswordPolicy: AWS's default holds again.

use super::policy::{self, PasswordPolicy};
use crate::iam::prelude::*;

pub struct DeleteAccountPasswordPolicy;

#[derive(Deserialize)]
pub struct Request {}

impl Operation for DeleteAccountPasswordPolicy {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteAccountPasswordPolicy";
    const ACTION: &'static str = "iam:DeleteAccountPasswordPolicy";
    const ACCESS: Access = Access::PermissionsManagement;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::any()]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, _request: Request) -> Result<Value, AwsError> {
        let account = &call.principal.account;
        ctx.change(call, || async {
            let found = ctx.find::<PasswordPolicy>(call, policy::key(account)).await?;
            let found = found.ok_or_else(|| policy::no_such(account))?;
            Ok(Change { compares: vec![found.unchanged()], ops: vec![found.delete()], answer: json!({}) })
        })
        .await
    }
}
