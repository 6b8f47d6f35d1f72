//! ListUserPolicies, ListGroupPolicies, ListRolePolicies.

use super::entity::{self, Entity, Names};
use crate::iam::prelude::*;

pub struct ListInline<E>(PhantomData<E>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(flatten)]
    names: Names,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl<E: Entity> Operation for ListInline<E> {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = E::OPERATIONS[3].0;
    const ACTION: &'static str = E::OPERATIONS[3].1;
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = E::KIND.word();

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, E::KIND, E::name(&request.names))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = entity::name::<E>(&request.names)?;
        let max = check::max_items(request.max_items)?;
        let found = ctx.named::<E::Record>(call, E::KIND, name).await?;
        let names: Vec<String> = E::policies(&found.record).inline.keys().cloned().collect();
        let page = store::page(names, String::clone, request.marker.as_deref(), max);
        Ok(page.into_json("PolicyNames", Value::String))
    }
}
