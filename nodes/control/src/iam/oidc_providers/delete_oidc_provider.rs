//! DeleteOpenIDConnectProvider.

use crate::iam::prelude::*;

pub struct DeleteOidcProvider;

#[derive(Deserialize)]
pub struct Request {
    #[serde(rename = "OpenIDConnectProviderArn")]
    arn: Option<String>,
}

impl Operation for DeleteOidcProvider {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteOpenIDConnectProvider";
    const ACTION: &'static str = "iam:DeleteOpenIDConnectProvider";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "oidc-provider";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.arn.clone().unwrap_or_default())]
    }

    /// Roles that trust it stay, and then trust nobody by it. One that isn't there is as good as deleted.
    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        ctx.change(call, || async {
            match super::find(ctx, call, request.arn.as_deref()).await {
                Ok(provider) => {
                    Ok(Change { compares: vec![provider.unchanged()], ops: vec![provider.delete()], answer: json!({}) })
                }
                Err(e) if e.code == "NoSuchEntity" => Ok(Change { compares: vec![], ops: vec![], answer: json!({}) }),
                Err(e) => Err(e),
            }
        })
        .await
    }
}
