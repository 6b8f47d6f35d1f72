//! UntagUser, UntagRole, UntagPolicy, UntagMFADevice.

use super::tagged::{Names, Tagged};
use crate::iam::prelude::*;

pub struct UntagResource<T>(PhantomData<T>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(flatten)]
    names: Names,
    #[serde(default, deserialize_with = "check::list")]
    tag_keys: Option<Vec<String>>,
}

impl<T: Tagged> Operation for UntagResource<T> {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = T::OPERATIONS[1].0;
    const ACTION: &'static str = T::OPERATIONS[1].1;
    const ACCESS: Access = Access::Tagging;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = T::RESOURCE_TYPE;
    const CONDITION_KEYS: &'static [&'static str] = &["aws:TagKeys"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::tag_keys(request.tag_keys.as_deref())
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        if let Some(tag_keys) = request.tag_keys.as_ref().filter(|keys| !keys.is_empty()) {
            keys.set_many("aws:TagKeys", tag_keys.clone());
        }
    }

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![T::arn(ctx, call, &request.names)]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let tag_keys = request.tag_keys.as_deref().unwrap_or_default();
        ctx.change(call, || async {
            let mut found = T::find(ctx, call, &request.names).await?;
            check::untag(T::tags(&mut found.record), tag_keys);
            Ok(Change { compares: vec![found.unchanged()], ops: vec![found.put()?], answer: json!({}) })
        })
        .await
    }
}
