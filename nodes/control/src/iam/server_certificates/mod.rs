//! Certificates for services that speak TLS in an account's name. Their private keys are stored where only control nodes
//! read, and never told.

mod delete_server_certificate;
mod get_server_certificate;
mod list_server_certificates;
mod update_server_certificate;
mod upload_server_certificate;

pub use delete_server_certificate::DeleteServerCertificate;
pub use get_server_certificate::GetServerCertificate;
pub use list_server_certificates::ListServerCertificates;
pub use update_server_certificate::UpdateServerCertificate;
pub use upload_server_certificate::UploadServerCertificate;

use super::prelude::*;
use super::store::Found;
use breakwater_types::AccountId;

/// Of an account.
pub const CERTIFICATES_MAX: usize = 20;

use breakwater_iam::records::server_certificate_key as key;
pub use breakwater_iam::records::{ServerCertificate, server_certificates as prefix};

/// Apart: neither lists nor decisions read texts.
fn body_key(account: &AccountId, id: &str) -> Vec<u8> {
    format!("control/server-certificate-body/{account}/{id}").into_bytes()
}

fn chain_key(account: &AccountId, id: &str) -> Vec<u8> {
    format!("control/server-certificate-chain/{account}/{id}").into_bytes()
}

/// Apart: nothing but a service that speaks in its name reads it.
fn private_key(account: &AccountId, id: &str) -> Vec<u8> {
    format!("control/server-certificate-key/{account}/{id}").into_bytes()
}

pub fn arn(account: &AccountId, path: &str, name: &str) -> Arn {
    Arn::raw(format!("arn:aws:iam::{account}:server-certificate{path}{name}"))
}

/// With its path as this node has heard it; as if at `/` where it isn't known.
pub fn arn_of(ctx: &Context, call: &Call, name: Option<&str>) -> Arn {
    let account = &call.principal.account;
    let name = name.unwrap_or_default();
    let known = ctx.mirror.get(&key(account, name));
    match known.and_then(|entry| records::read::<ServerCertificate>(&entry.value).ok()) {
        Some(known) => arn(account, &known.path, &known.name),
        None => arn(account, "/", name),
    }
}

/// One of the texts that are kept apart.
async fn text(ctx: &Context, call: &Call, key: &[u8]) -> Result<String, AwsError> {
    let entry = ctx.meta.get(key, call.deadline).await.map_err(|e| errors::unavailable(&e.to_string()))?;
    let entry = entry.ok_or_else(|| AwsError::internal("a certificate without its text"))?;
    Ok(String::from_utf8_lossy(&entry.value).into_owned())
}

pub async fn named(ctx: &Context, call: &Call, name: Option<&str>) -> Result<Found<ServerCertificate>, AwsError> {
    let name = check::name(name, "serverCertificateName", 128)?;
    let found = ctx.find(call, key(&call.principal.account, name)).await?;
    found.ok_or_else(|| {
        AwsError::new("NoSuchEntity", 404, format!("The Server Certificate with name {name} cannot be found."))
    })
}

fn exists(name: &str) -> AwsError {
    let message = format!("The Server Certificate with name {name} already exists.");
    AwsError::new("EntityAlreadyExists", 409, message)
}

fn metadata(account: &AccountId, certificate: &ServerCertificate) -> Value {
    json!({
        "Path": certificate.path,
        "ServerCertificateName": certificate.name,
        "ServerCertificateId": certificate.id,
        "Arn": arn(account, &certificate.path, &certificate.name).as_str(),
        "UploadDate": shapes::time(certificate.uploaded_unix_s),
        "Expiration": shapes::time(certificate.expires_unix_s),
    })
}
