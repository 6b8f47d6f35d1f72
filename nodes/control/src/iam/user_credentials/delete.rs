//! DeleteSigningCertificate, DeleteSSHPublicKey, DeleteServiceSpecificCredential.

use super::credential::{self, Names, UserCredential};
use crate::iam::prelude::*;

pub struct Delete<C>(PhantomData<C>);

impl<C: UserCredential> Operation for Delete<C> {
    type Context = Context;
    type Request = Names;
    type Response = Value;
    const NAME: &'static str = C::OPERATIONS[2].0;
    const ACTION: &'static str = C::OPERATIONS[2].1;
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Names) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Names) -> Result<Value, AwsError> {
        let change = || async {
            let (_, found) = credential::find::<C>(ctx, call, &request).await?;
            Ok(Change { compares: vec![found.unchanged()], ops: vec![found.delete()], answer: json!({}) })
        };
        Ok(ctx.commit(call, change).await?.0)
    }
}
