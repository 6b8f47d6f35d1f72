//! UpdateOpenIDConnectProviderThumbprint.

use crate::iam::prelude::*;

pub struct UpdateThumbprint;

#[derive(Deserialize)]
pub struct Request {
    #[serde(rename = "OpenIDConnectProviderArn")]
    arn: Option<String>,
    #[serde(rename = "ThumbprintList", default, deserialize_with = "check::list")]
    thumbprints: Option<Vec<String>>,
}

impl Operation for UpdateThumbprint {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UpdateOpenIDConnectProviderThumbprint";
    const ACTION: &'static str = "iam:UpdateOpenIDConnectProviderThumbprint";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "oidc-provider";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        check::required(request.thumbprints.as_ref().map(|_| ""), "thumbprintList")?;
        let thumbprints = super::thumbprints(request.thumbprints.as_deref().unwrap_or_default())?;
        ctx.change(call, || async {
            let mut provider = super::find(ctx, call, request.arn.as_deref()).await?;
            provider.record.thumbprints = thumbprints.clone();
            Ok(Change { compares: vec![provider.unchanged()], ops: vec![provider.put()?], answer: json!({}) })
        })
        .await
    }
}
