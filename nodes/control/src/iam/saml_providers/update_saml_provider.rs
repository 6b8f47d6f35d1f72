//! UpdateSAMLProvider.

use crate::iam::prelude::*;

pub struct UpdateSamlProvider;

#[derive(Deserialize)]
pub struct Request {
    #[serde(rename = "SAMLMetadataDocument")]
    metadata: Option<String>,
    #[serde(rename = "SAMLProviderArn")]
    arn: Option<String>,
    #[serde(rename = "AssertionEncryptionMode")]
    encryption: Option<String>,
    #[serde(rename = "AddPrivateKey")]
    private_key: Option<String>,
    #[serde(rename = "RemovePrivateKey")]
    removed_key: Option<String>,
}

impl Operation for UpdateSamlProvider {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UpdateSAMLProvider";
    const ACTION: &'static str = "iam:UpdateSAMLProvider";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "saml-provider";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        if request.encryption.is_some() || request.private_key.is_some() || request.removed_key.is_some() {
            return Err(errors::invalid_input("Encrypted assertions are not supported by this region."));
        }
        let (metadata, valid_until_unix_s) = super::metadata(request.metadata.as_deref(), ctx.now())?;
        let account = &call.principal.account;
        ctx.change(call, || async {
            let mut provider = super::find(ctx, call, request.arn.as_deref()).await?;
            provider.record.valid_until_unix_s = valid_until_unix_s;
            let name = &provider.record.name;
            let answer = json!({"SAMLProviderArn": super::arn(account, name)});
            let document = put(super::metadata_key(account, name), &metadata.to_owned())?;
            Ok(Change { compares: vec![provider.unchanged()], ops: vec![provider.put()?, document], answer })
        })
        .await
    }
}
