//! DeleteSAMLProvider.

use crate::iam::prelude::*;

pub struct DeleteSamlProvider;

#[derive(Deserialize)]
pub struct Request {
    #[serde(rename = "SAMLProviderArn")]
    arn: Option<String>,
}

impl Operation for DeleteSamlProvider {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteSAMLProvider";
    const ACTION: &'static str = "iam:DeleteSAMLProvider";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "saml-provider";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.arn.clone().unwrap_or_default())]
    }

    /// Roles that trust it stay, and then trust nobody by it.
    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        ctx.change(call, || async {
            let provider = super::find(ctx, call, request.arn.as_deref()).await?;
            let metadata = Op::Delete { key: super::metadata_key(&call.principal.account, &provider.record.name) };
            let ops = vec![provider.delete(), metadata];
            Ok(Change { compares: vec![provider.unchanged()], ops, answer: json!({}) })
        })
        .await
    }
}
