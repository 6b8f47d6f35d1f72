//! ListAttachedUserPolicies, ListAttachedGroupPolicies, ListAttachedRolePolicies.

use super::entity::{self, Entity, Names};
use crate::iam::prelude::*;

pub struct ListAttached<E>(PhantomData<E>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(flatten)]
    names: Names,
    path_prefix: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl<E: Entity> Operation for ListAttached<E> {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = E::OPERATIONS[6].0;
    const ACTION: &'static str = E::OPERATIONS[6].1;
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = E::KIND.word();

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, E::KIND, E::name(&request.names))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = entity::name::<E>(&request.names)?;
        let max = check::max_items(request.max_items)?;
        let prefix = check::path_prefix(request.path_prefix.as_deref())?;
        let found = ctx.named::<E::Record>(call, E::KIND, name).await?;
        let attached = E::policies(&found.record).attached.iter().filter_map(|arn| {
            let path = arn.split_once(":policy").map_or("/", |(_, path)| path);
            path.starts_with(prefix).then(|| (path.rsplit('/').next().unwrap_or_default().to_owned(), arn.clone()))
        });
        let page =
            store::page(attached.collect(), |(name, arn)| format!("{name} {arn}"), request.marker.as_deref(), max);
        Ok(page.into_json("AttachedPolicies", |(name, arn)| json!({"PolicyName": name, "PolicyArn": arn})))
    }
}
