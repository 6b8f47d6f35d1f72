//! GetOpenIDConnectProvider.

use crate::iam::prelude::*;

pub struct GetOidcProvider;

#[derive(Deserialize)]
pub struct Request {
    #[serde(rename = "OpenIDConnectProviderArn")]
    arn: Option<String>,
}

impl Operation for GetOidcProvider {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetOpenIDConnectProvider";
    const ACTION: &'static str = "iam:GetOpenIDConnectProvider";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "oidc-provider";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let provider = super::find(ctx, call, request.arn.as_deref()).await?.record;
        let mut answer = json!({
            "Url": provider.url,
            "ClientIDList": provider.client_ids,
            "ThumbprintList": provider.thumbprints,
            "CreateDate": shapes::time(provider.created_unix_s),
        });
        if !provider.tags.is_empty() {
            answer["Tags"] = shapes::tags(&provider.tags);
        }
        Ok(answer)
    }
}
