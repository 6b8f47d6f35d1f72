//! ListSAMLProviders.

use crate::iam::prelude::*;

pub struct ListSamlProviders;

#[derive(Deserialize)]
pub struct Request {}

impl Operation for ListSamlProviders {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListSAMLProviders";
    const ACTION: &'static str = "iam:ListSAMLProviders";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "saml-provider";

    fn resources(_ctx: &Context, call: &Call, _request: &Request) -> Vec<Arn> {
        vec![any_arn(call, "saml-provider/*")]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, _request: Request) -> Result<Value, AwsError> {
        let all: Vec<SamlProvider> = ctx.all(call, &store::prefix(call, Kind::SamlProvider)).await?;
        let shape = |provider: &SamlProvider| {
            json!({
                "Arn": super::arn(&call.principal.account, &provider.name),
                "ValidUntil": shapes::time(provider.valid_until_unix_s),
                "CreateDate": shapes::time(provider.created_unix_s),
            })
        };
        Ok(json!({"SAMLProviderList": all.iter().map(shape).collect::<Vec<_>>()}))
    }
}
