//! GetServerCertificate: all but its private key.

use super::{arn_of, body_key, chain_key, metadata, named, text};
use crate::iam::prelude::*;

pub struct GetServerCertificate;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    server_certificate_name: Option<String>,
}

impl Operation for GetServerCertificate {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetServerCertificate";
    const ACTION: &'static str = "iam:GetServerCertificate";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "server-certificate";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![arn_of(ctx, call, request.server_certificate_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let certificate = named(ctx, call, request.server_certificate_name.as_deref()).await?.record;
        let account = &call.principal.account;
        let mut shape = json!({
            "ServerCertificateMetadata": metadata(account, &certificate),
            "CertificateBody": text(ctx, call, &body_key(account, &certificate.id)).await?,
        });
        if certificate.has_chain {
            shape["CertificateChain"] = text(ctx, call, &chain_key(account, &certificate.id)).await?.into();
        }
        if !certificate.tags.is_empty() {
            shape["Tags"] = shapes::tags(&certificate.tags);
        }
        Ok(json!({ "ServerCertificate": shape }))
    }
}
