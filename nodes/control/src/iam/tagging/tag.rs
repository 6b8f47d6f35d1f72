//! TagUser, TagRole, TagPolicy, TagMFADevice.

use super::tagged::{Names, Tagged};
use crate::iam::prelude::*;

pub struct TagResource<T>(PhantomData<T>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(flatten)]
    names: Names,
    #[serde(default, deserialize_with = "check::list")]
    tags: Option<Vec<Tag>>,
}

impl<T: Tagged> Operation for TagResource<T> {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = T::OPERATIONS[0].0;
    const ACTION: &'static str = T::OPERATIONS[0].1;
    const ACCESS: Access = Access::Tagging;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = T::RESOURCE_TYPE;
    const CONDITION_KEYS: &'static [&'static str] = &["aws:RequestTag/${TagKey}", "aws:TagKeys"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::tag_lengths(request.tags.as_deref())
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        check::request_tags(keys, request.tags.as_deref());
    }

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![T::arn(ctx, call, &request.names)]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let tags = request.tags.as_deref().unwrap_or_default();
        ctx.change(call, || async {
            let mut found = T::find(ctx, call, &request.names).await?;
            check::tag(T::tags(&mut found.record), tags)?;
            Ok(Change { compares: vec![found.unchanged()], ops: vec![found.put()?], answer: json!({}) })
        })
        .await
    }
}
