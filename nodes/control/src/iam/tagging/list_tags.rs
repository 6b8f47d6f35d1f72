//! ListUserTags, ListRoleTags, ListPolicyTags, ListMFADeviceTags.

use super::tagged::{Names, Tagged};
use crate::iam::prelude::*;

pub struct ListTags<T>(PhantomData<T>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(flatten)]
    names: Names,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl<T: Tagged> Operation for ListTags<T> {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = T::OPERATIONS[2].0;
    const ACTION: &'static str = T::OPERATIONS[2].1;
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = T::RESOURCE_TYPE;

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![T::arn(ctx, call, &request.names)]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let max = check::max_items(request.max_items)?;
        let mut found = T::find(ctx, call, &request.names).await?;
        let tags = std::mem::take(T::tags(&mut found.record));
        let page = store::page(tags.into_iter().collect(), |(key, _)| key.clone(), request.marker.as_deref(), max);
        Ok(page.into_json("Tags", |(key, value)| json!({"Key": key, "Value": value})))
    }
}
