//! ListRoleTags.

use crate::iam::prelude::*;

pub struct ListRoleTags;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_name: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListRoleTags {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListRoleTags";
    const ACTION: &'static str = "iam:ListRoleTags";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Role, request.role_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.role_name.as_deref(), "roleName", 64)?;
        let max = check::max_items(request.max_items)?;
        let role = ctx.named::<Role>(call, Kind::Role, name).await?;
        let tags: Vec<(String, String)> = role.record.tags.into_iter().collect();
        let page = store::page(tags, |(key, _)| key.clone(), request.marker.as_deref(), max);
        Ok(page.into_json("Tags", |(key, value)| json!({"Key": key, "Value": value})))
    }
}
