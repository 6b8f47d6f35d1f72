//! A name and password, or a key, for one service that doesn't take AWS's signatures.

use super::credential::{self, Names, UserCredential};
use crate::iam::prelude::*;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The secret itself is told once. It has 256 bits of chance, so its digest is as good as it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceSpecificCredential {
    pub id: String,
    pub service: String,
    /// The user's part of it, as `ann-at-111122223333`.
    pub service_user: String,
    pub secret_sha256: [u8; 32],
    pub active: bool,
    pub created_unix_s: i64,
    pub expires_unix_s: Option<i64>,
}

/// Services that take a name and a password, and those that take a key.
pub const PASSWORDS: [&str; 2] = ["codecommit.amazonaws.com", "cassandra.amazonaws.com"];
pub const KEYS: [(&str, &str); 2] =
    [("bedrock.amazonaws.com", "BedrockAPIKey"), ("logs.amazonaws.com", "CWLogsAPIKey")];

pub fn service(name: &str) -> Result<(), AwsError> {
    if PASSWORDS.contains(&name) || KEYS.iter().any(|(key, _)| *key == name) {
        return Ok(());
    }
    let message = format!("No such service {name} is supported for Service Specific Credentials");
    Err(AwsError::new("NotSupportedService", 404, message))
}

pub fn new_secret() -> Zeroizing<String> {
    let random: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    Zeroizing::new(data_encoding::BASE64.encode(&*random))
}

pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

impl ServiceSpecificCredential {
    fn is_key(&self) -> bool {
        KEYS.iter().any(|(service, _)| *service == self.service)
    }

    /// With its secret, for the one time that it is told.
    pub fn whole(&self, user: &str, secret: &str) -> Value {
        let mut shape = self.shape(user);
        shape[if self.is_key() { "ServiceCredentialSecret" } else { "ServicePassword" }] = secret.into();
        shape
    }
}

impl UserCredential for ServiceSpecificCredential {
    const WORD: &'static str = "service-credential";
    const OPERATIONS: [(&'static str, &'static str); 3] = [
        ("ListServiceSpecificCredentials", "iam:ListServiceSpecificCredentials"),
        ("UpdateServiceSpecificCredential", "iam:UpdateServiceSpecificCredential"),
        ("DeleteServiceSpecificCredential", "iam:DeleteServiceSpecificCredential"),
    ];
    const LIST: &'static str = "ServiceSpecificCredentials";
    fn id(&self) -> &str {
        &self.id
    }
    fn set_active(&mut self, active: bool) {
        self.active = active;
    }
    fn no_such(id: &str) -> AwsError {
        let message = format!("The Service Specific Credential with id {id} cannot be found.");
        AwsError::new("NoSuchEntity", 404, message)
    }
    fn asked(names: &Names) -> Result<&str, AwsError> {
        credential::id(names.service_specific_credential_id.as_deref(), "serviceSpecificCredentialId", 20)
    }
    fn shape(&self, user: &str) -> Value {
        let mut shape = json!({
            "UserName": user,
            "Status": credential::status(self.active),
            "CreateDate": shapes::time(self.created_unix_s),
            "ServiceSpecificCredentialId": self.id,
            "ServiceName": self.service,
        });
        shape[if self.is_key() { "ServiceCredentialAlias" } else { "ServiceUserName" }] =
            self.service_user.as_str().into();
        if let Some(expires) = self.expires_unix_s {
            shape["ExpirationDate"] = shapes::time(expires).into();
        }
        shape
    }
}
