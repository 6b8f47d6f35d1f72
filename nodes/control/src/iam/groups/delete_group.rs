//! DeleteGroup.

use crate::iam::prelude::*;

pub struct DeleteGroup;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    group_name: Option<String>,
}

impl Operation for DeleteGroup {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteGroup";
    const ACTION: &'static str = "iam:DeleteGroup";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "group";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Group, request.group_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.group_name.as_deref(), "groupName", 128)?;
        ctx.change(call, || async {
            let group = ctx.named::<Group>(call, Kind::Group, name).await?;
            // Who joins changes the group's record too: its revision, compared, covers this.
            let members: Vec<String> = ctx.all(call, &store::member_prefix(&call.principal.account, name)).await?;
            let policies = &group.record.policies;
            let first = if !members.is_empty() {
                Some("remove users from group")
            } else if !policies.attached.is_empty() {
                Some("detach all policies")
            } else if !policies.inline.is_empty() {
                Some("delete policies")
            } else {
                None
            };
            match first {
                Some(first) => Err(errors::delete_conflict(first)),
                None => Ok(Change { compares: vec![group.unchanged()], ops: vec![group.delete()], answer: json!({}) }),
            }
        })
        .await
    }
}
