//! AddClientIDToOpenIDConnectProvider.

use crate::iam::prelude::*;

pub struct AddClientId;

#[derive(Deserialize)]
pub struct Request {
    #[serde(rename = "OpenIDConnectProviderArn")]
    arn: Option<String>,
    #[serde(rename = "ClientID")]
    client_id: Option<String>,
}

impl Operation for AddClientId {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "AddClientIDToOpenIDConnectProvider";
    const ACTION: &'static str = "iam:AddClientIDToOpenIDConnectProvider";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "oidc-provider";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let id = super::client_id(request.client_id.as_deref(), "clientID")?;
        ctx.change(call, || async {
            let mut provider = super::find(ctx, call, request.arn.as_deref()).await?;
            let ids = &mut provider.record.client_ids;
            if ids.iter().any(|known| known == id) {
                // Adding it again changes nothing.
                return Ok(Change { compares: vec![provider.unchanged()], ops: vec![], answer: json!({}) });
            }
            if ids.len() >= super::CLIENT_IDS_MAX {
                return Err(errors::quota("ClientIdsPerOpenIdConnectProvider", super::CLIENT_IDS_MAX));
            }
            ids.push(id.to_owned());
            Ok(Change { compares: vec![provider.unchanged()], ops: vec![provider.put()?], answer: json!({}) })
        })
        .await
    }
}
