//! ListInstanceProfiles.

use crate::iam::prelude::*;

pub struct ListInstanceProfiles;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    path_prefix: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListInstanceProfiles {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListInstanceProfiles";
    const ACTION: &'static str = "iam:ListInstanceProfiles";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "instance-profile";

    fn resources(_ctx: &Context, call: &Call, _request: &Request) -> Vec<Arn> {
        vec![any_arn(call, "instance-profile/")]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let prefix = check::path_prefix(request.path_prefix.as_deref())?;
        let max = check::max_items(request.max_items)?;
        let mut all: Vec<InstanceProfile> = ctx.all(call, &store::prefix(call, Kind::InstanceProfile)).await?;
        all.retain(|profile| profile.path.starts_with(prefix));
        super::page_of(ctx, call, all, request.marker.as_deref(), max).await
    }
}
