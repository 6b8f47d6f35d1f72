//! PutUserPolicy, PutGroupPolicy, PutRolePolicy.

use super::entity::{self, Entity, Names};
use crate::iam::prelude::*;
use breakwater_policy::Use;

pub struct PutInline<E>(PhantomData<E>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(flatten)]
    names: Names,
    policy_name: Option<String>,
    policy_document: Option<String>,
}

impl<E: Entity> Operation for PutInline<E> {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = E::OPERATIONS[0].0;
    const ACTION: &'static str = E::OPERATIONS[0].1;
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
        let (quota, most) = E::QUOTA;
        let document = check::document(request.policy_document.as_deref(), quota, most, Use::Identity)?;
        ctx.change(call, || async {
            let mut found = ctx.named::<E::Record>(call, E::KIND, name).await?;
            E::protect(&found.record)?;
            let inline = &mut E::policies_mut(&mut found.record).inline;
            inline.insert(policy.to_owned(), document.to_owned());
            let size: usize = inline.values().map(|d| d.chars().filter(|c| !c.is_whitespace()).count()).sum();
            if size > most {
                let message =
                    format!("Maximum policy size of {most} bytes exceeded for {} {name}", entity::word::<E>());
                return Err(AwsError::new("LimitExceeded", 409, message));
            }
            Ok(Change { compares: vec![found.unchanged()], ops: vec![found.put()?], answer: json!({}) })
        })
        .await
    }
}
