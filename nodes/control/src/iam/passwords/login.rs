//! What is kept of a user's password, or of the root user's, where only control nodes read.

use super::hash::Hash;
use super::policy::PasswordPolicy;
use crate::iam::prelude::*;
use crate::iam::store::Found;
use breakwater_types::AccountId;

/// Former passwords that are remembered: as many as a policy may ask for.
pub const BEFORE_MAX: usize = 24;

/// Sessions that were ended before their time and are remembered one by one.
const SIGNED_OUT_MAX: usize = 50;

/// The root user's, under its account, instead of a user's id.
pub const ROOT: &str = "root";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Login {
    pub user_id: String,
    pub created_unix_s: i64,
    /// When the password became what it is.
    pub changed_unix_s: i64,
    pub reset_required: bool,
    /// When somebody signed in with it last.
    pub used_unix_s: Option<i64>,
    pub hash: Hash,
    /// Of former passwords, the newest last.
    pub before: Vec<Hash>,
    /// Another one with each password: sessions that were begun with a former one end by it.
    pub generation: u64,
    /// Sessions whose user signed out, by id, with when they end anyway (seconds since 1970).
    pub signed_out: Vec<(String, i64)>,
}

pub fn prefix(account: &AccountId) -> Vec<u8> {
    format!("control/login/{account}/").into_bytes()
}

/// Of a user by her id.
pub fn key(account: &AccountId, user_id: &str) -> Vec<u8> {
    [&prefix(account)[..], user_id.as_bytes()].concat()
}

/// Why nobody gets in with a password that is right, or gets no further than to a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// It has to be changed first.
    Change,
    /// It has expired, and only an administrator can set another.
    Administrator,
}

impl Login {
    pub fn new(user_id: &str, hash: Hash, reset_required: bool, now_unix_s: i64) -> Login {
        Login {
            user_id: user_id.to_owned(),
            created_unix_s: now_unix_s,
            changed_unix_s: now_unix_s,
            reset_required,
            used_unix_s: None,
            hash,
            before: Vec::new(),
            generation: rand::random(),
            signed_out: Vec::new(),
        }
    }

    pub fn change(&mut self, hash: Hash, now_unix_s: i64) {
        self.before.push(std::mem::replace(&mut self.hash, hash));
        let over = self.before.len().saturating_sub(BEFORE_MAX);
        self.before.drain(..over);
        self.changed_unix_s = now_unix_s;
        self.generation = rand::random();
        self.signed_out.clear();
    }

    /// Ends a session of this password's, wherever its cookie may be.
    pub fn sign_out(&mut self, session: &str, expires_unix_s: i64, now_unix_s: i64) {
        self.signed_out.retain(|(_, expires)| *expires > now_unix_s);
        if self.signed_out.len() >= SIGNED_OUT_MAX {
            // All of them end, rather than that one lives on.
            self.generation = rand::random();
            self.signed_out.clear();
        } else if !self.has_signed_out(session) {
            self.signed_out.push((session.to_owned(), expires_unix_s));
        }
    }

    pub fn has_signed_out(&self, session: &str) -> bool {
        self.signed_out.iter().any(|(id, _)| id == session)
    }

    /// The newest passwords, the present one among them.
    pub fn newest(&self, count: usize) -> Vec<Hash> {
        std::iter::once(&self.hash).chain(self.before.iter().rev()).take(count).cloned().collect()
    }

    pub fn due(&self, policy: Option<&PasswordPolicy>, now_unix_s: i64) -> Due {
        let expired = policy.is_some_and(|policy| policy.is_expired(self.changed_unix_s, now_unix_s));
        match policy {
            // As AWS: one that an administrator set to be changed at once doesn't expire before that.
            Some(policy) if expired && !self.reset_required && policy.hard_expiry == Some(true) => Due::Administrator,
            _ if expired || self.reset_required => Due::Change,
            _ => Due::Nothing,
        }
    }

    pub fn shape(&self, user: &str) -> Value {
        json!({
            "UserName": user,
            "CreateDate": shapes::time(self.created_unix_s),
            "PasswordResetRequired": self.reset_required,
        })
    }
}

pub fn no_such(user: &str) -> AwsError {
    AwsError::new("NoSuchEntity", 404, format!("Login Profile for User {user} cannot be found."))
}

/// A user of the caller's account with her password. Linearizable.
pub async fn of(ctx: &Context, call: &Call, name: &str) -> Result<(Found<User>, Found<Login>), AwsError> {
    let user = ctx.named::<User>(call, Kind::User, name).await?;
    let found = ctx.find::<Login>(call, key(&call.principal.account, &user.record.id)).await?;
    let login = found.ok_or_else(|| no_such(&user.record.name))?;
    Ok((user, login))
}

/// When each user of the account signed in last, by her id.
pub async fn last_used(ctx: &Context, call: &Call) -> Result<BTreeMap<String, i64>, AwsError> {
    let all: Vec<Login> = ctx.all(call, &prefix(&call.principal.account)).await?;
    Ok(all.into_iter().filter_map(|login| Some((login.user_id, login.used_unix_s?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    #[test]
    fn former_passwords_are_remembered_the_newest_first_and_bounded() {
        let mut login = Login::new("AIDA", Hash::decoy(), true, NOW);
        let first = login.generation;
        for at in 1..=30 {
            login.change(Hash::decoy(), NOW + at);
        }
        assert_eq!((login.before.len(), login.newest(3).len(), login.newest(99).len()), (24, 3, 25));
        assert_ne!(login.generation, first);
    }

    #[test]
    fn sessions_that_were_ended_are_remembered_until_they_end_anyway_and_bounded() {
        let mut login = Login::new("AIDA", Hash::decoy(), false, NOW);
        let first = login.generation;
        login.sign_out("one", NOW + 10, NOW);
        login.sign_out("one", NOW + 10, NOW);
        assert!(login.has_signed_out("one") && login.signed_out.len() == 1);
        login.sign_out("two", NOW + 20, NOW + 11);
        assert!(!login.has_signed_out("one") && login.has_signed_out("two"));
        assert_eq!(login.generation, first);
        for at in 0..60 {
            login.sign_out(&at.to_string(), NOW + 100, NOW + 11);
        }
        assert_ne!(login.generation, first);
        assert!(login.signed_out.len() <= SIGNED_OUT_MAX);
    }

    #[test]
    fn what_has_expired_is_changed_by_the_user_or_else_by_an_administrator() {
        let mut login = Login::new("AIDA", Hash::decoy(), false, NOW);
        let days = 86_400;
        let mut policy = PasswordPolicy { max_age_days: Some(2), ..PasswordPolicy::default() };
        assert_eq!(login.due(None, NOW + 1_000 * days), Due::Nothing);
        assert_eq!(login.due(Some(&policy), NOW + 2 * days), Due::Nothing);
        assert_eq!(login.due(Some(&policy), NOW + 2 * days + 1), Due::Change);
        policy.hard_expiry = Some(true);
        assert_eq!(login.due(Some(&policy), NOW + 2 * days + 1), Due::Administrator);
        assert_eq!(login.due(Some(&policy), NOW), Due::Nothing);
        login.reset_required = true;
        assert_eq!(login.due(None, NOW), Due::Change);
        assert_eq!(login.due(Some(&policy), NOW + 9 * days), Due::Change);
    }
}
