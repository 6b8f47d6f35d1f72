//! ListServerCertificates.

use super::{ServerCertificate, metadata, prefix};
use crate::iam::prelude::*;

pub struct ListServerCertificates;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    path_prefix: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListServerCertificates {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListServerCertificates";
    const ACTION: &'static str = "iam:ListServerCertificates";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, call: &Call, _request: &Request) -> Vec<Arn> {
        vec![any_arn(call, "server-certificate/")]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let path = check::path_prefix(request.path_prefix.as_deref())?;
        let max = check::max_items(request.max_items)?;
        let account = &call.principal.account;
        let mut all: Vec<ServerCertificate> = ctx.all(call, &prefix(account)).await?;
        all.retain(|certificate| certificate.path.starts_with(path));
        let page = store::page(all, |certificate| certificate.name.clone(), request.marker.as_deref(), max);
        Ok(page.into_json("ServerCertificateMetadataList", |certificate| metadata(account, &certificate)))
    }
}
