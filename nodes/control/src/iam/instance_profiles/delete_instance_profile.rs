//! DeleteInstanceProfile.

use crate::iam::prelude::*;

pub struct DeleteInstanceProfile;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    instance_profile_name: Option<String>,
}

impl Operation for DeleteInstanceProfile {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteInstanceProfile";
    const ACTION: &'static str = "iam:DeleteInstanceProfile";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "instance-profile";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::InstanceProfile, Some(request.instance_profile_name.as_deref().unwrap_or_default()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.instance_profile_name.as_deref(), "instanceProfileName", 128)?;
        ctx.change(call, || async {
            let profile = ctx.named::<InstanceProfile>(call, Kind::InstanceProfile, name).await?;
            if profile.record.role.is_some() {
                return Err(errors::delete_conflict("remove roles from instance profile"));
            }
            Ok(Change { compares: vec![profile.unchanged()], ops: vec![profile.delete()], answer: json!({}) })
        })
        .await
    }
}
