//! ListGroupsForUser.

use crate::iam::prelude::*;

pub struct ListGroupsForUser;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListGroupsForUser {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListGroupsForUser";
    const ACTION: &'static str = "iam:ListGroupsForUser";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, request.user_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.user_name.as_deref(), "userName", 128)?;
        let max = check::max_items(request.max_items)?;
        let account = &call.principal.account;
        let user = ctx.named::<User>(call, Kind::User, name).await?;
        let mut groups = Vec::new();
        for group in &user.record.groups {
            groups.extend(ctx.find::<Group>(call, records::key(account, Kind::Group, group)).await?.map(|g| g.record));
        }
        let page = store::page(groups, |group: &Group| group.name.clone(), request.marker.as_deref(), max);
        Ok(page.into_json("Groups", |group| shapes::group(account, &group)))
    }
}
