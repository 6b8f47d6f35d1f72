//! What this host has heard of its instance profile.

use arc_swap::ArcSwap;
use breakwater_proto::instance;
use std::sync::Arc;
use zeroize::Zeroizing;

pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: Zeroizing<String>,
    pub session_token: Zeroizing<String>,
    pub issued_unix_s: i64,
    pub expires_unix_s: i64,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Of a role that EC2 may assume, or AWS's code and message of why not.
pub type Outcome = Result<Credentials, (String, String)>;

#[derive(Debug)]
pub struct Profile {
    pub arn: String,
    pub id: String,
    /// The role's name.
    pub role: Option<(String, Outcome)>,
}

/// One state of it, as a control node told it.
#[derive(Debug)]
pub struct Heard {
    pub account: String,
    pub profile: Option<Profile>,
    pub at_unix_s: i64,
}

impl Heard {
    pub fn new(told: instance::Instance, now_unix_s: i64) -> Heard {
        let profile = told.profile.map(|profile| {
            let outcome = match (profile.credentials, profile.failure) {
                (Some(c), _) => Ok(Credentials {
                    access_key_id: c.access_key_id,
                    secret_access_key: Zeroizing::new(c.secret_access_key),
                    session_token: Zeroizing::new(c.session_token),
                    issued_unix_s: c.issued_unix_s,
                    expires_unix_s: c.expires_unix_s,
                }),
                (None, Some(failure)) => Err((failure.code, failure.message)),
                (None, None) => Err(("Failed".to_owned(), String::new())),
            };
            let role = Some(profile.role).filter(|role| !role.is_empty());
            Profile { arn: profile.arn, id: profile.id, role: role.map(|role| (role, outcome)) }
        });
        Heard { account: told.account_id, profile, at_unix_s: now_unix_s }
    }

    pub fn credentials(&self) -> Option<&Credentials> {
        self.profile.as_ref()?.role.as_ref()?.1.as_ref().ok()
    }
}

/// The newest state; none until the first was heard.
#[derive(Debug, Default)]
pub struct Held(ArcSwap<Option<Heard>>);

impl Held {
    pub fn get(&self) -> Arc<Option<Heard>> {
        self.0.load_full()
    }
    pub fn set(&self, heard: Heard) {
        self.0.store(Arc::new(Some(heard)));
    }
}
