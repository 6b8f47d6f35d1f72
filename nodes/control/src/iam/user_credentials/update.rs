//! UpdateSigningCertificate, UpdateSSHPublicKey, UpdateServiceSpecificCredential: active or not.

use super::credential::{self, Names, UserCredential};
use crate::iam::prelude::*;

pub struct Update<C>(PhantomData<C>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(flatten)]
    names: Names,
    status: Option<String>,
}

impl<C: UserCredential> Operation for Update<C> {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = C::OPERATIONS[1].0;
    const ACTION: &'static str = C::OPERATIONS[1].1;
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.names.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let active = match check::required(request.status.as_deref(), "status")? {
            "Active" => true,
            "Inactive" => false,
            other => {
                let words = "Member must satisfy enum value set: [Active, Inactive]";
                return Err(check::constraint(other, "status", words));
            }
        };
        let change = || async {
            let (_, mut found) = credential::find::<C>(ctx, call, &request.names).await?;
            found.record.set_active(active);
            Ok(Change { compares: vec![found.unchanged()], ops: vec![found.put()?], answer: json!({}) })
        };
        Ok(ctx.commit(call, change).await?.0)
    }
}
