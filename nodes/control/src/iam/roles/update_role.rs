//! UpdateRole.

use crate::iam::prelude::*;
use crate::iam::service_linked_roles;

pub struct UpdateRole;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_name: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_session_duration: Option<i64>,
}

impl Operation for UpdateRole {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UpdateRole";
    const ACTION: &'static str = "iam:UpdateRole";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "role";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Role, request.role_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.role_name.as_deref(), "roleName", 64)?;
        check::description(request.description.as_deref())?;
        let max_session_s = request.max_session_duration.map(|n| check::session_s(Some(n))).transpose()?;
        ctx.change(call, || async {
            let mut role = ctx.named::<Role>(call, Kind::Role, name).await?;
            // Its description is the account's own, also where a service has the rest.
            if max_session_s.is_some() {
                service_linked_roles::protect(&role.record)?;
            }
            if let Some(description) = &request.description {
                role.record.description = Some(description.clone());
            }
            role.record.max_session_s = max_session_s.unwrap_or(role.record.max_session_s);
            // AWS's answer has a result without members, which clients look for: a null leaves it empty.
            let answer = json!({"UpdateRoleResponse": null});
            Ok(Change { compares: vec![role.unchanged()], ops: vec![role.put()?], answer })
        })
        .await
    }
}
