//! GetSAMLProvider.

use crate::iam::prelude::*;

pub struct GetSamlProvider;

#[derive(Deserialize)]
pub struct Request {
    #[serde(rename = "SAMLProviderArn")]
    arn: Option<String>,
}

impl Operation for GetSamlProvider {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetSAMLProvider";
    const ACTION: &'static str = "iam:GetSAMLProvider";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "saml-provider";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let provider = super::find(ctx, call, request.arn.as_deref()).await?.record;
        let key = super::metadata_key(&call.principal.account, &provider.name);
        let metadata = ctx.find::<String>(call, key).await?.map(|found| found.record);
        let mut answer = json!({
            "SAMLProviderUUID": provider.id,
            "SAMLMetadataDocument": metadata,
            "CreateDate": shapes::time(provider.created_unix_s),
            "ValidUntil": shapes::time(provider.valid_until_unix_s),
        });
        if !provider.tags.is_empty() {
            answer["Tags"] = shapes::tags(&provider.tags);
        }
        Ok(answer)
    }
}
