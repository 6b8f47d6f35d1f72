//! DeleteUserPolicy, DeleteGroupPolicy, DeleteRolePolicy.

use super::entity::{self, Entity, Names};
use crate::iam::prelude::*;

pub struct DeleteInline<E>(PhantomData<E>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(flatten)]
    names: Names,
    policy_name: Option<String>,
}

impl<E: Entity> Operation for DeleteInline<E> {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = E::OPERATIONS[2].0;
    const ACTION: &'static str = E::OPERATIONS[2].1;
    const ACCESS: Access = Access::PermissionsManagement;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = E::KIND.word();
    const CONDITION_KEYS: &'static [&'static str] = if E::BOUNDED { &["iam:PermissionsBoundary"] } else { &[] };

    fn conditions(ctx: &Context, call: &Call, request: &Request, keys: &mut ConditionKeys) {
        ctx.boundary_key(call, E::KIND, E::name(&request.names), keys);
    }

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, E::KIND, E::name(&request.names))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = entity::name::<E>(&request.names)?;
        let policy = check::name(request.policy_name.as_deref(), "policyName", 128)?;
        ctx.change(call, || async {
            let mut found = ctx.named::<E::Record>(call, E::KIND, name).await?;
            E::protect(&found.record)?;
            if E::policies_mut(&mut found.record).inline.remove(policy).is_none() {
                return Err(entity::no_such_inline::<E>(policy));
            }
            Ok(Change { compares: vec![found.unchanged()], ops: vec![found.put()?], answer: json!({}) })
        })
        .await
    }
}
