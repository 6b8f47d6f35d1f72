//! GetUserPolicy, GetGroupPolicy, GetRolePolicy.

use super::entity::{self, Entity, Names};
use crate::iam::prelude::*;

pub struct GetInline<E>(PhantomData<E>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(flatten)]
    names: Names,
    policy_name: Option<String>,
}

impl<E: Entity> Operation for GetInline<E> {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = E::OPERATIONS[1].0;
    const ACTION: &'static str = E::OPERATIONS[1].1;
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = E::KIND.word();

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, E::KIND, E::name(&request.names))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = entity::name::<E>(&request.names)?;
        let policy = check::name(request.policy_name.as_deref(), "policyName", 128)?;
        let found = ctx.named::<E::Record>(call, E::KIND, name).await?;
        let document =
            E::policies(&found.record).inline.get(policy).ok_or_else(|| entity::no_such_inline::<E>(policy))?;
        let (member, own) = E::shape(&found.record);
        Ok(json!({member: own, "PolicyName": policy, "PolicyDocument": shapes::encoded(document)}))
    }
}
