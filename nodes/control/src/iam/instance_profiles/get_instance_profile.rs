//! GetInstanceProfile.

use crate::iam::prelude::*;

pub struct GetInstanceProfile;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    instance_profile_name: Option<String>,
}

impl Operation for GetInstanceProfile {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetInstanceProfile";
    const ACTION: &'static str = "iam:GetInstanceProfile";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "instance-profile";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::InstanceProfile, Some(request.instance_profile_name.as_deref().unwrap_or_default()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.instance_profile_name.as_deref(), "instanceProfileName", 128)?;
        let profile = ctx.named::<InstanceProfile>(call, Kind::InstanceProfile, name).await?;
        let mut shapes = super::shapes_of(ctx, call, &[&profile.record]).await?;
        Ok(json!({"InstanceProfile": shapes.pop()}))
    }
}
