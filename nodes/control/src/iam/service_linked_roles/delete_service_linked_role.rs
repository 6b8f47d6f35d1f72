//! DeleteServiceLinkedRole: what uses the role is looked for, and then it goes.

use super::PATH;
use super::task::{self, Task};
use crate::iam::prelude::*;
use breakwater_aws::audit;
use breakwater_types::formats::TRAILS;

pub struct DeleteServiceLinkedRole;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_name: Option<String>,
}

impl Operation for DeleteServiceLinkedRole {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteServiceLinkedRole";
    const ACTION: &'static str = "iam:DeleteServiceLinkedRole";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "role";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Role, Some(request.role_name.as_deref().unwrap_or_default()))]
    }

    /// No service of this region keeps anything for its role yet: none can be in the way.
    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.role_name.as_deref(), "roleName", 64)?;
        ctx.needs_format(TRAILS)?;
        let uuid = audit::uuid(audit::new_id());
        ctx.change(call, || async {
            let role = ctx.named::<Role>(call, Kind::Role, name).await?;
            let Some(service) = role.record.path.strip_prefix(PATH) else {
                return Err(errors::missing("service-linked role", name));
            };
            let id = format!("task{PATH}{service}{}/{uuid}", role.record.name);
            let task = Task { id: id.clone(), asked_unix_s: ctx.now() };
            let mut ops = task::remember(ctx, call, &task).await?;
            ops.push(role.delete());
            ops.extend(crate::usage::forget(&call.principal.account, &role.record.id));
            Ok(Change { compares: vec![role.unchanged()], ops, answer: json!({"DeletionTaskId": id}) })
        })
        .await
    }
}
