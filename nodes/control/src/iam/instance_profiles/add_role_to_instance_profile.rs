//! AddRoleToInstanceProfile.

use crate::iam::prelude::*;
use crate::iam::service_linked_roles;

pub struct AddRoleToInstanceProfile;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    instance_profile_name: Option<String>,
    role_name: Option<String>,
}

impl Operation for AddRoleToInstanceProfile {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "AddRoleToInstanceProfile";
    const ACTION: &'static str = "iam:AddRoleToInstanceProfile";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "instance-profile";
    const FURTHER_ACTIONS: &'static [&'static str] = &["iam:PassRole"];

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::InstanceProfile, Some(request.instance_profile_name.as_deref().unwrap_or_default()))]
    }

    /// Who hands a role to code must be allowed to pass it on.
    fn further_grants(ctx: &Context, call: &Call, request: &Request) -> Vec<(&'static str, Arn)> {
        vec![("iam:PassRole", ctx.arn(call, Kind::Role, Some(request.role_name.as_deref().unwrap_or_default())))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.instance_profile_name.as_deref(), "instanceProfileName", 128)?;
        let role = check::name(request.role_name.as_deref(), "roleName", 64)?;
        ctx.change(call, || async {
            let mut profile = ctx.named::<InstanceProfile>(call, Kind::InstanceProfile, name).await?;
            let role = ctx.named::<Role>(call, Kind::Role, role).await?;
            service_linked_roles::protect(&role.record)?;
            if profile.record.role.is_some() {
                return Err(errors::quota("InstanceSessionsPerInstanceProfile", 1));
            }
            profile.record.role = Some(role.record.name.clone());
            let account = &call.principal.account;
            let index = put(store::role_profile_key(account, &role.record.name, name), &profile.record.name)?;
            // The role is written too, so that who deletes it meanwhile looks again.
            let ops = vec![profile.put()?, role.put()?, index];
            Ok(Change { compares: vec![profile.unchanged(), role.unchanged()], ops, answer: json!({}) })
        })
        .await
    }
}
