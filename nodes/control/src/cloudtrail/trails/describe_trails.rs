//! DescribeTrails.

use crate::cloudtrail::prelude::*;

pub struct DescribeTrails;

/// Unlike all other operations', its members begin with small letters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    trail_name_list: Option<Vec<String>>,
}

impl Operation for DescribeTrails {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DescribeTrails";
    const ACTION: &'static str = "cloudtrail:DescribeTrails";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::any()]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let names = request.trail_name_list.unwrap_or_default();
        let everything = names.is_empty();
        // An ARN of elsewhere names none that is here: it is left out like any other that isn't there.
        let own = names.iter().map(|name| match ctx.name(call, Some(name)) {
            Err(e) if e.code == "TrailNotFoundException" => Ok(None),
            name => name.map(Some),
        });
        let names: Vec<Option<String>> = own.collect::<Result<_, _>>()?;
        let mut all: Vec<Trail> = ctx.store().all(call, &trails::prefix(&call.principal.account)).await?;
        // Those that aren't there are left out, as AWS does it.
        all.retain(|trail| everything || names.iter().flatten().any(|name| *name == trail.name));
        let shapes: Vec<Value> = all.iter().map(|trail| shapes::described(call, trail)).collect();
        Ok(json!({ "trailList": shapes }))
    }
}
