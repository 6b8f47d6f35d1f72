//! ListTrails. An account has so few that they are one page.

use crate::cloudtrail::prelude::*;

pub struct ListTrails;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    next_token: Option<String>,
}

impl Operation for ListTrails {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListTrails";
    const ACTION: &'static str = "cloudtrail:ListTrails";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::any()]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        if request.next_token.is_some() {
            return Err(errors::next_token());
        }
        let all: Vec<Trail> = ctx.store().all(call, &trails::prefix(&call.principal.account)).await?;
        let shape = |trail: &Trail| {
            json!({
                "TrailARN": shapes::arn(&call.scope, &trail.name),
                "Name": trail.name,
                "HomeRegion": call.scope.region,
            })
        };
        Ok(json!({ "Trails": all.iter().map(shape).collect::<Vec<_>>() }))
    }
}
