//! RemoveRoleFromInstanceProfile.

use crate::iam::prelude::*;

pub struct RemoveRoleFromInstanceProfile;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    instance_profile_name: Option<String>,
    role_name: Option<String>,
}

impl Operation for RemoveRoleFromInstanceProfile {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "RemoveRoleFromInstanceProfile";
    const ACTION: &'static str = "iam:RemoveRoleFromInstanceProfile";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "instance-profile";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::InstanceProfile, Some(request.instance_profile_name.as_deref().unwrap_or_default()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.instance_profile_name.as_deref(), "instanceProfileName", 128)?;
        let role = check::name(request.role_name.as_deref(), "roleName", 64)?;
        ctx.change(call, || async {
            let mut profile = ctx.named::<InstanceProfile>(call, Kind::InstanceProfile, name).await?;
            let held = profile.record.role.take().filter(|held| held.eq_ignore_ascii_case(role));
            let held = held.ok_or_else(|| errors::missing("role", role))?;
            let index = Op::Delete { key: store::role_profile_key(&call.principal.account, &held, name) };
            Ok(Change { compares: vec![profile.unchanged()], ops: vec![profile.put()?, index], answer: json!({}) })
        })
        .await
    }
}
