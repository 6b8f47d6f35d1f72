//! GetGroup.

use crate::iam::prelude::*;

pub struct GetGroup;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    group_name: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for GetGroup {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetGroup";
    const ACTION: &'static str = "iam:GetGroup";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "group";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Group, request.group_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.group_name.as_deref(), "groupName", 128)?;
        let max = check::max_items(request.max_items)?;
        let account = &call.principal.account;
        let group = ctx.named::<Group>(call, Kind::Group, name).await?;
        let members: Vec<String> = ctx.all(call, &store::member_prefix(account, name)).await?;
        let page = store::page(members, String::clone, request.marker.as_deref(), max);
        let mut users = Vec::new();
        for member in &page.items {
            // One that was removed meanwhile is a member no more.
            if let Some(user) = ctx.find::<User>(call, records::key(account, Kind::User, member)).await? {
                users.push(user.record);
            }
        }
        let page = store::Page { items: users, marker: page.marker };
        let mut answer = page.into_json("Users", |user| shapes::user(account, &user, false));
        answer["Group"] = shapes::group(account, &group.record);
        Ok(answer)
    }
}
