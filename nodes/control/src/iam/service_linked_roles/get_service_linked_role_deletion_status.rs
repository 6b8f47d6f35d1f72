//! GetServiceLinkedRoleDeletionStatus.

use super::PATH;
use super::task::{self, Task};
use crate::iam::prelude::*;

pub struct GetServiceLinkedRoleDeletionStatus;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    deletion_task_id: Option<String>,
}

impl Operation for GetServiceLinkedRoleDeletionStatus {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetServiceLinkedRoleDeletionStatus";
    const ACTION: &'static str = "iam:GetServiceLinkedRoleDeletionStatus";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "role";

    /// The role that the task is about.
    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        let id = request.deletion_task_id.as_deref().unwrap_or_default();
        let role = id.strip_prefix("task").and_then(|rest| rest.rsplit_once('/')).map_or("", |(role, _)| role);
        vec![Arn::raw(format!("arn:aws:iam::{}:role{role}", call.principal.account))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let id = check::required(request.deletion_task_id.as_deref(), "deletionTaskId")?;
        if !id.starts_with(&format!("task{PATH}")) || id.len() > 1_000 {
            return Err(errors::invalid_input(format!("Invalid deletion task id: {id}")));
        }
        let found = ctx.find::<Task>(call, task::key(&call.principal.account, id)).await?;
        match found.filter(|found| found.record.id == id) {
            Some(_) => Ok(json!({"Status": "SUCCEEDED"})),
            None => Err(AwsError::new("NoSuchEntity", 404, format!("The deletion task {id} cannot be found."))),
        }
    }
}
