//! A certificate that a user's requests could be signed with.

use super::credential::{self, Names, UserCredential};
use crate::iam::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SigningCertificate {
    pub user_id: String,
    pub id: String,
    /// PEM.
    pub body: String,
    pub active: bool,
    pub uploaded_unix_s: i64,
}

impl UserCredential for SigningCertificate {
    const WORD: &'static str = "signing-certificate";
    const OPERATIONS: [(&'static str, &'static str); 3] = [
        ("ListSigningCertificates", "iam:ListSigningCertificates"),
        ("UpdateSigningCertificate", "iam:UpdateSigningCertificate"),
        ("DeleteSigningCertificate", "iam:DeleteSigningCertificate"),
    ];
    const LIST: &'static str = "Certificates";
    fn id(&self) -> &str {
        &self.id
    }
    fn set_active(&mut self, active: bool) {
        self.active = active;
    }
    fn no_such(id: &str) -> AwsError {
        AwsError::new("NoSuchEntity", 404, format!("The Certificate with id {id} cannot be found."))
    }
    fn asked(names: &Names) -> Result<&str, AwsError> {
        credential::id(names.certificate_id.as_deref(), "certificateId", 24)
    }
    fn shape(&self, user: &str) -> Value {
        json!({
            "UserName": user,
            "CertificateId": self.id,
            "CertificateBody": self.body,
            "Status": credential::status(self.active),
            "UploadDate": shapes::time(self.uploaded_unix_s),
        })
    }
}
