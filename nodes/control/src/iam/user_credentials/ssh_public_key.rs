//! A public key with which a user shows who she is over SSH.

use super::credential::{self, Names, UserCredential};
use crate::iam::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SshPublicKey {
    pub id: String,
    /// As SSH encodes an RSA key.
    pub blob: Vec<u8>,
    pub active: bool,
    pub uploaded_unix_s: i64,
}

impl UserCredential for SshPublicKey {
    const WORD: &'static str = "ssh-public-key";
    const OPERATIONS: [(&'static str, &'static str); 3] = [
        ("ListSSHPublicKeys", "iam:ListSSHPublicKeys"),
        ("UpdateSSHPublicKey", "iam:UpdateSSHPublicKey"),
        ("DeleteSSHPublicKey", "iam:DeleteSSHPublicKey"),
    ];
    const LIST: &'static str = "SSHPublicKeys";
    fn id(&self) -> &str {
        &self.id
    }
    fn set_active(&mut self, active: bool) {
        self.active = active;
    }
    fn no_such(id: &str) -> AwsError {
        AwsError::new("NoSuchEntity", 404, format!("The Public Key with id {id} cannot be found."))
    }
    fn asked(names: &Names) -> Result<&str, AwsError> {
        credential::id(names.ssh_public_key_id.as_deref(), "sSHPublicKeyId", 20)
    }
    fn shape(&self, user: &str) -> Value {
        json!({
            "UserName": user,
            "SSHPublicKeyId": self.id,
            "Status": credential::status(self.active),
            "UploadDate": shapes::time(self.uploaded_unix_s),
        })
    }
}
