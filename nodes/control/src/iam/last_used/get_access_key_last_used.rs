//! GetAccessKeyLastUsed.

use crate::iam::prelude::*;
use crate::iam::secrets;

pub struct GetAccessKeyLastUsed;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    access_key_id: Option<String>,
}

/// Whose key it is, as this node has heard.
fn owner(ctx: &Context, call: &Call, id: &str) -> Option<User> {
    let users = ctx.mirror.scan_prefix(&store::prefix(call, Kind::User));
    let mut users = users.iter().filter_map(|entry| records::read::<User>(&entry.value).ok());
    users.find(|user| user.access_keys.iter().any(|key| key.id == id))
}

impl Operation for GetAccessKeyLastUsed {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetAccessKeyLastUsed";
    const ACTION: &'static str = "iam:GetAccessKeyLastUsed";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        let user = request.access_key_id.as_deref().and_then(|id| owner(ctx, call, id));
        vec![match user {
            Some(user) => new_arn(call, Kind::User, Some(&user.path), Some(&user.name)),
            None => any_arn(call, "user/"),
        }]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let id = check::required(request.access_key_id.as_deref(), "accessKeyId")?;
        let user = owner(ctx, call, id).ok_or_else(|| secrets::no_such_key(id))?;
        let last = match ctx.key_last_used(call, id).await? {
            Some(last) => json!({
                "LastUsedDate": shapes::time(last.unix_s), "ServiceName": last.service, "Region": last.region,
            }),
            None => json!({"ServiceName": "N/A", "Region": "N/A"}),
        };
        Ok(json!({"UserName": user.name, "AccessKeyLastUsed": last}))
    }
}
