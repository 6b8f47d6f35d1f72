//! ListAccessKeys.

use crate::iam::prelude::*;

pub struct ListAccessKeys;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListAccessKeys {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListAccessKeys";
    const ACTION: &'static str = "iam:ListAccessKeys";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = user_or_caller(call, request.user_name.as_deref(), 128)?;
        let max = check::max_items(request.max_items)?;
        let user = ctx.named::<User>(call, Kind::User, name).await?;
        let page = store::page(user.record.access_keys, |key| key.id.clone(), request.marker.as_deref(), max);
        Ok(page.into_json("AccessKeyMetadata", |key| shapes::access_key(&user.record.name, &key)))
    }
}
