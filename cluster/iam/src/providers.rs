//! Identity providers as `meta` keeps them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OidcProvider {
    /// Without `https://`, as in its ARN.
    pub url: String,
    pub created_unix_s: i64,
    /// Audiences that tokens may have.
    pub client_ids: Vec<String>,
    /// Of certificates that may vouch for its server, where no public authority does: SHA-1 in hexadecimal.
    pub thumbprints: Vec<String>,
    pub tags: BTreeMap<String, String>,
}

/// Without its metadata, which is long and stands elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamlProvider {
    pub name: String,
    pub id: String,
    pub created_unix_s: i64,
    pub valid_until_unix_s: i64,
    pub tags: BTreeMap<String, String>,
}
