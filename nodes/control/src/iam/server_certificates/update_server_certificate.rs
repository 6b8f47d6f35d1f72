//! UpdateServerCertificate: another name or path.

use super::{ServerCertificate, arn, arn_of, exists, key, named};
use crate::iam::prelude::*;

pub struct UpdateServerCertificate;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    server_certificate_name: Option<String>,
    new_path: Option<String>,
    new_server_certificate_name: Option<String>,
}

impl Operation for UpdateServerCertificate {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UpdateServerCertificate";
    const ACTION: &'static str = "iam:UpdateServerCertificate";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "server-certificate";

    /// The certificate as it is, and as it will be.
    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        let before = arn_of(ctx, call, request.server_certificate_name.as_deref());
        let (path, name) = before
            .as_str()
            .split_once(":server-certificate")
            .map_or(("/", ""), |(_, whole)| whole.split_at(whole.rfind('/').map_or(0, |at| at + 1)));
        let path = request.new_path.as_deref().unwrap_or(path);
        let name = request.new_server_certificate_name.as_deref().unwrap_or(name);
        let after = arn(&call.principal.account, path, name);
        vec![before, after]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let new_name = request.new_server_certificate_name.as_deref();
        let new_name = new_name.map(|new| check::name(Some(new), "newServerCertificateName", 128)).transpose()?;
        let new_path = request.new_path.as_deref().map(|new| check::path(Some(new))).transpose()?;
        let account = &call.principal.account;
        let change = || async {
            let mut found = named(ctx, call, request.server_certificate_name.as_deref()).await?;
            found.record.name = new_name.unwrap_or(&found.record.name).to_owned();
            found.record.path = new_path.unwrap_or(&found.record.path).to_owned();
            let key = key(account, &found.record.name);
            let (mut compares, mut ops) = (vec![found.unchanged()], Vec::new());
            if key != found.key {
                if ctx.find::<ServerCertificate>(call, key.clone()).await?.is_some() {
                    return Err(exists(&found.record.name));
                }
                compares.push(Compare::Absent(key.clone()));
                ops.push(found.delete());
            }
            ops.push(put(key, &found.record)?);
            Ok(Change { compares, ops, answer: json!({}) })
        };
        ctx.change(call, change).await
    }
}
