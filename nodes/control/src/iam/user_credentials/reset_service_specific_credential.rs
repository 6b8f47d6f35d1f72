//! ResetServiceSpecificCredential: another secret in place of the one before.

use super::credential::{self, Names};
use super::service_specific::{self, ServiceSpecificCredential};
use crate::iam::prelude::*;

pub struct ResetServiceSpecificCredential;

impl Operation for ResetServiceSpecificCredential {
    type Context = Context;
    type Request = Names;
    type Response = Value;
    const NAME: &'static str = "ResetServiceSpecificCredential";
    const ACTION: &'static str = "iam:ResetServiceSpecificCredential";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Names) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Names) -> Result<Value, AwsError> {
        let secret = service_specific::new_secret();
        let change = || async {
            let (user, mut found) = credential::find::<ServiceSpecificCredential>(ctx, call, &request).await?;
            found.record.secret_sha256 = service_specific::digest(&secret);
            let answer = json!({"ServiceSpecificCredential": found.record.whole(&user.record.name, &secret)});
            Ok(Change { compares: vec![found.unchanged()], ops: vec![found.put()?], answer })
        };
        Ok(ctx.commit(call, change).await?.0)
    }
}
