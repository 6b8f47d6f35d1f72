//! ListAccountAliases.

use crate::iam::prelude::*;

pub struct ListAccountAliases;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListAccountAliases {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListAccountAliases";
    const ACTION: &'static str = "iam:ListAccountAliases";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::raw("*".to_owned())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let max = check::max_items(request.max_items)?;
        let found = ctx.find::<String>(call, super::key(&call.principal.account)).await?;
        let all = found.map(|found| found.record).into_iter().collect();
        let page = store::page(all, String::clone, request.marker.as_deref(), max);
        Ok(page.into_json("AccountAliases", Value::String))
    }
}
