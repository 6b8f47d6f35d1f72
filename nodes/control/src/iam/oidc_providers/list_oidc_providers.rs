//! ListOpenIDConnectProviders.

use crate::iam::prelude::*;

pub struct ListOidcProviders;

#[derive(Deserialize)]
pub struct Request {}

impl Operation for ListOidcProviders {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListOpenIDConnectProviders";
    const ACTION: &'static str = "iam:ListOpenIDConnectProviders";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "oidc-provider";

    fn resources(_ctx: &Context, call: &Call, _request: &Request) -> Vec<Arn> {
        vec![any_arn(call, "oidc-provider/*")]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, _request: Request) -> Result<Value, AwsError> {
        let all: Vec<OidcProvider> = ctx.all(call, &store::prefix(call, Kind::OidcProvider)).await?;
        let arns: Vec<Value> = all.iter().map(|p| json!({"Arn": super::arn(call, &p.url)})).collect();
        Ok(json!({"OpenIDConnectProviderList": arns}))
    }
}
