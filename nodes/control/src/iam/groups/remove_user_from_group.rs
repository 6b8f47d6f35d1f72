//! RemoveUserFromGroup.

use crate::iam::prelude::*;

pub struct RemoveUserFromGroup;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    group_name: Option<String>,
    user_name: Option<String>,
}

impl Operation for RemoveUserFromGroup {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "RemoveUserFromGroup";
    const ACTION: &'static str = "iam:RemoveUserFromGroup";
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
            user.record.groups.remove(&group.record.name);
            let member = Op::Delete { key: store::member_key(account, group_name, user_name) };
            let ops = vec![user.put()?, group.put()?, member];
            Ok(Change { compares: vec![group.unchanged(), user.unchanged()], ops, answer: json!({}) })
        })
        .await
    }
}
