//! A user's credentials beside access keys and devices: signing certificates, SSH public keys, passwords of single
//! services. They are kept by the user's unique id, where only control nodes read, so another name moves nothing.

mod create_service_specific_credential;
mod credential;
mod delete;
mod get_ssh_public_key;
mod list;
mod list_service_specific_credentials;
mod reset_service_specific_credential;
mod service_specific;
mod signing_certificate;
mod ssh_format;
mod ssh_public_key;
mod update;
mod upload_signing_certificate;
mod upload_ssh_public_key;

pub use create_service_specific_credential::CreateServiceSpecificCredential;
pub use credential::prefix;
pub use delete::Delete;
pub use get_ssh_public_key::GetSshPublicKey;
pub use list::List;
pub use list_service_specific_credentials::ListServiceSpecificCredentials;
pub use reset_service_specific_credential::ResetServiceSpecificCredential;
pub use service_specific::ServiceSpecificCredential;
pub use signing_certificate::SigningCertificate;
pub use ssh_public_key::SshPublicKey;
pub use update::Update;
pub use upload_signing_certificate::UploadSigningCertificate;
pub use upload_ssh_public_key::UploadSshPublicKey;

use super::prelude::*;
use credential::of_user;

/// What has to be deleted before the user can be, in the order of AWS's checks and in its words.
pub async fn first_to_delete(ctx: &Context, call: &Call, user_id: &str) -> Result<Option<&'static str>, AwsError> {
    if !of_user::<SigningCertificate>(ctx, call, user_id).await?.is_empty() {
        return Ok(Some("delete certificates"));
    }
    if !of_user::<SshPublicKey>(ctx, call, user_id).await?.is_empty() {
        return Ok(Some("remove referenced objects"));
    }
    if !of_user::<ServiceSpecificCredential>(ctx, call, user_id).await?.is_empty() {
        return Ok(Some("remove referenced objects"));
    }
    Ok(None)
}
