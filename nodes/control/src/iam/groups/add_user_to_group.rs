//! AddUserToGroup.

use crate::iam::prelude::*;

const GROUPS_MAX: usize = 10;

pub struct AddUserToGroup;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    group_name: Option<String>,
    user_name: Option<String>,
}

impl Operation for AddUserToGroup {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "AddUserToGroup";
    const ACTION: &'static str = "iam:AddUserToGroup";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "group";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Group, request.group_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let group_name = check::name(request.group_name.as_deref(), "groupName", 128)?;
        let user_name = check::name(request.user_name.as_deref(), "userName", 128)?;
        let account = &call.principal.account;
        ctx.change(call, || async {
            let group = ctx.named::<Group>(call, Kind::Group, group_name).await?;
            let mut user = ctx.named::<User>(call, Kind::User, user_name).await?;
            if user.record.groups.insert(group.record.name.clone()) && user.record.groups.len() > GROUPS_MAX {
                return Err(errors::quota("GroupsPerUser", GROUPS_MAX));
            }
            let member = put(store::member_key(account, group_name, user_name), &user.record.name)?;
            let ops = vec![user.put()?, group.put()?, member];
            Ok(Change { compares: vec![group.unchanged(), user.unchanged()], ops, answer: json!({}) })
        })
        .await
    }
}
