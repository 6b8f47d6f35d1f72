//! CreateGroup.

use crate::iam::prelude::*;

pub struct CreateGroup;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    path: Option<String>,
    group_name: Option<String>,
}

impl Operation for CreateGroup {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreateGroup";
    const ACTION: &'static str = "iam:CreateGroup";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "group";

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![new_arn(call, Kind::Group, request.path.as_deref(), request.group_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.group_name.as_deref(), "groupName", 128)?;
        let path = check::path(request.path.as_deref())?;
        let account = &call.principal.account;
        room_for(ctx, call, Kind::Group)?;
        ctx.change(call, || async {
            let key = records::key(account, Kind::Group, name);
            if ctx.find::<Group>(call, key.clone()).await?.is_some() {
                return Err(errors::exists("Group", name));
            }
            let group = Group {
                name: name.to_owned(),
                id: unique_id("AGPA"),
                path: path.to_owned(),
                created_unix_s: ctx.now(),
                policies: Policies::default(),
            };
            let answer = json!({"Group": shapes::group(account, &group)});
            Ok(Change { compares: vec![Compare::Absent(key.clone())], ops: vec![put(key, &group)?], answer })
        })
        .await
    }
}
