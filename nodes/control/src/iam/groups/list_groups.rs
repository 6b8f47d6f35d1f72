//! ListGroups.

use crate::iam::prelude::*;

pub struct ListGroups;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    path_prefix: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListGroups {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListGroups";
    const ACTION: &'static str = "iam:ListGroups";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, call: &Call, _request: &Request) -> Vec<Arn> {
        vec![any_arn(call, "group/")]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let prefix = check::path_prefix(request.path_prefix.as_deref())?;
        let max = check::max_items(request.max_items)?;
        let mut groups: Vec<Group> = ctx.all(call, &store::prefix(call, Kind::Group)).await?;
        groups.retain(|group| group.path.starts_with(prefix));
        let page = store::page(groups, |group| group.name.clone(), request.marker.as_deref(), max);
        Ok(page.into_json("Groups", |group| shapes::group(&call.principal.account, &group)))
    }
}
