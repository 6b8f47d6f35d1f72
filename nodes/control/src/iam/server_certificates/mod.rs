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

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerCertificate {
    pub name: String,
    /// `ASCA…`.
    pub id: String,
    pub path: String,
    /// PEM.
    pub body: String,
    pub has_chain: bool,
    pub uploaded_unix_s: i64,
    pub expires_unix_s: i64,
    pub tags: BTreeMap<String, String>,
}

pub fn prefix(account: &AccountId) -> Vec<u8> {
    format!("control/server-certificate/{account}/").into_bytes()
}

fn key(account: &AccountId, name: &str) -> Vec<u8> {
    [&prefix(account)[..], name.to_lowercase().as_bytes()].concat()
}

/// Apart: lists don't read chains.
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

/// Its ARN isn't known without the store, which a decision doesn't ask: policies see it at the path `/`.
pub fn arn_of(call: &Call, name: Option<&str>) -> Arn {
    arn(&call.principal.account, "/", name.unwrap_or_default())
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
