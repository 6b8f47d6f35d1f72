//! AttachUserPolicy, AttachGroupPolicy, AttachRolePolicy.

use super::entity::{self, Entity, Names};
use crate::iam::prelude::*;

const ATTACHED_MAX: usize = 10;

pub struct Attach<E>(PhantomData<E>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(flatten)]
    names: Names,
    policy_arn: Option<String>,
}

impl<E: Entity> Operation for Attach<E> {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = E::OPERATIONS[4].0;
    const ACTION: &'static str = E::OPERATIONS[4].1;
    const ACCESS: Access = Access::PermissionsManagement;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = E::KIND.word();
    const CONDITION_KEYS: &'static [&'static str] =
        if E::BOUNDED { &["iam:PermissionsBoundary", "iam:PolicyARN"] } else { &["iam:PolicyARN"] };

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::arn(request.policy_arn.as_deref(), "policyArn")
    }

    fn conditions(ctx: &Context, call: &Call, request: &Request, keys: &mut ConditionKeys) {
        ctx.boundary_key(call, E::KIND, E::name(&request.names), keys);
        if let Some(arn) = &request.policy_arn {
            keys.set("iam:PolicyARN", arn.as_str());
        }
    }

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, E::KIND, E::name(&request.names))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = entity::name::<E>(&request.names)?;
        let arn = check::required(request.policy_arn.as_deref(), "policyArn")?;
        ctx.change(call, || async {
            let mut found = ctx.named::<E::Record>(call, E::KIND, name).await?;
            E::protect(&found.record)?;
            let mut attach = crate::iam::attach::Attach::default();
            let attached = &mut E::policies_mut(&mut found.record).attached;
            if attached.insert(arn.to_owned()) {
                attach.count(ctx, call, arn, 1).await?;
            }
            if attached.len() > ATTACHED_MAX {
                return Err(errors::quota(E::ATTACHED_QUOTA, ATTACHED_MAX));
            }
            attach.compares.push(found.unchanged());
            attach.ops.push(found.put()?);
            Ok(attach.into_change(json!({})))
        })
        .await
    }
}
