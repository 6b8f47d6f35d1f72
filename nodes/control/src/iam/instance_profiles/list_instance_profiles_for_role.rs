//! ListInstanceProfilesForRole.

use crate::iam::prelude::*;

pub struct ListInstanceProfilesForRole;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_name: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListInstanceProfilesForRole {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListInstanceProfilesForRole";
    const ACTION: &'static str = "iam:ListInstanceProfilesForRole";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "role";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Role, Some(request.role_name.as_deref().unwrap_or_default()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let role = check::name(request.role_name.as_deref(), "roleName", 64)?;
        let max = check::max_items(request.max_items)?;
        let role = ctx.named::<Role>(call, Kind::Role, role).await?;
        let mut all: Vec<InstanceProfile> = ctx.all(call, &store::prefix(call, Kind::InstanceProfile)).await?;
        all.retain(|profile| profile.role.as_ref() == Some(&role.record.name));
        super::page_of(ctx, call, all, request.marker.as_deref(), max).await
    }
}
