//! Who is signed in, as it stands sealed in a cookie.

use super::Console;
use super::sealing::Purpose;
use crate::iam::shapes::temporary_id;
use breakwater_aws::{Identity, Principal, sigv4};
use breakwater_types::AccountId;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// As AWS.
pub const LASTS_S: i64 = 12 * 3_600;
/// For the second factor.
pub const HALF_WAY_S: i64 = 300;
const TOKEN_BYTES: usize = 16;

/// Whom somebody signs in as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub account: AccountId,
    /// None for the root user.
    pub user: Option<String>,
    /// `AIDA…`, or the account's number.
    pub id: String,
    pub arn: String,
}

impl Person {
    pub fn root(account: AccountId) -> Person {
        let (id, arn) = (account.to_string(), format!("arn:aws:iam::{account}:root"));
        Person { account, user: None, id, arn }
    }

    pub fn name(&self) -> &str {
        self.user.as_deref().unwrap_or("root")
    }

    /// What her password is kept under.
    pub fn login_id(&self) -> &str {
        if self.user.is_some() { &self.id } else { crate::iam::passwords::login::ROOT }
    }

    pub fn identity(&self) -> Identity {
        self.user.clone().map_or(Identity::Root, Identity::User)
    }
}

/// A password that was right.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HalfWay {
    pub person: Person,
    /// Of the password.
    pub generation: u64,
    pub expires_unix_s: i64,
    /// Where she wants to go on, as [`super::next`] has it.
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// `ASIA…`: the access key id that its calls show; no secret goes with it.
    pub id: String,
    pub person: Person,
    pub issued_unix_s: i64,
    pub expires_unix_s: i64,
    pub mfa_unix_s: Option<i64>,
    /// Of the password that it was begun with: with another one it ends.
    pub generation: u64,
    /// Stands in the forms of its pages, where no other site can read it.
    token: [u8; TOKEN_BYTES],
}

impl Session {
    pub fn begin(person: Person, generation: u64, mfa_unix_s: Option<i64>, now_unix_s: i64) -> Session {
        Session {
            id: temporary_id(&person.account),
            person,
            issued_unix_s: now_unix_s,
            expires_unix_s: now_unix_s + LASTS_S,
            mfa_unix_s,
            generation,
            token: rand::random(),
        }
    }

    pub fn token(&self) -> String {
        HEXLOWER.encode(&self.token)
    }

    /// Whether a form with this token is of one of its pages.
    pub fn is_form_of(&self, token: Option<&str>) -> bool {
        let given = token.unwrap_or_default().as_bytes();
        given.ct_eq(self.token().as_bytes()).into()
    }

    /// Who makes its calls, as AWS has it: a temporary session of the user's.
    pub fn principal(&self) -> Arc<Principal> {
        let person = &self.person;
        let session = sigv4::Session {
            access_key_id: self.id.clone(),
            secret: String::new(),
            account: person.account.clone(),
            arn: person.arn.clone(),
            role: None,
            user_id: person.id.clone(),
            issued_unix_s: self.issued_unix_s,
            expires_unix_s: self.expires_unix_s,
            mfa_unix_s: self.mfa_unix_s,
            policies: Vec::new(),
            policy_arns: Vec::new(),
            tags: Vec::new(),
            source_identity: None,
            more: Default::default(),
        };
        Arc::new(Principal {
            access_key_id: self.id.clone(),
            account: person.account.clone(),
            arn: person.arn.clone(),
            identity: person.identity(),
            session: Some(Arc::new(session)),
        })
    }
}

impl Console {
    pub fn session_cookie(&self) -> String {
        self.sealer.cookie("session")
    }

    pub fn half_way_cookie(&self) -> String {
        self.sealer.cookie("half-way")
    }

    /// The session's cookie: name, value, life in seconds.
    pub fn sealed(&self, session: &Session) -> Option<(String, String, i64)> {
        let lasts_s = session.expires_unix_s - self.now();
        Some((self.session_cookie(), self.sealer.seal(Purpose::Session, session)?, lasts_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_of_its_own_session_alone() {
        let person = Person::root(AccountId::new("111122223333").unwrap());
        let begin = || Session::begin(person.clone(), 1, None, 5);
        let (one, other) = (begin(), begin());
        assert!(one.is_form_of(Some(&one.token())));
        for wrong in [None, Some(""), Some(other.token().as_str()), Some(&one.token()[1..])] {
            assert!(!one.is_form_of(wrong), "{wrong:?}");
        }
        assert!(one.principal().session.as_ref().unwrap().is_signed_in());
        assert_eq!(one.expires_unix_s - one.issued_unix_s, LASTS_S);
    }
}
