//! RemoveClientIDFromOpenIDConnectProvider.

use crate::iam::prelude::*;

pub struct RemoveClientId;

#[derive(Deserialize)]
pub struct Request {
    #[serde(rename = "OpenIDConnectProviderArn")]
    arn: Option<String>,
    #[serde(rename = "ClientID")]
    client_id: Option<String>,
}

impl Operation for RemoveClientId {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "RemoveClientIDFromOpenIDConnectProvider";
    const ACTION: &'static str = "iam:RemoveClientIDFromOpenIDConnectProvider";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "oidc-provider";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.arn.clone().unwrap_or_default())]
    }

    /// Removing one that isn't there changes nothing.
    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let id = super::client_id(request.client_id.as_deref(), "clientID")?;
        ctx.change(call, || async {
            let mut provider = super::find(ctx, call, request.arn.as_deref()).await?;
            provider.record.client_ids.retain(|known| known != id);
            Ok(Change { compares: vec![provider.unchanged()], ops: vec![provider.put()?], answer: json!({}) })
        })
        .await
    }
}
