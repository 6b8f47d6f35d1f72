//! Somebody who is signed in and asks for a page.

use super::Console;
use super::asked::Asked;
use super::sealing::Purpose;
use super::session::{Person, Session};
use crate::iam::errors;
use crate::iam::passwords::login::{self, Due, Login};
use crate::iam::passwords::policy;
use breakwater_aws::{AwsError, Principal, query};
use breakwater_iam::records::{self, Kind, User};
use data_encoding::HEXLOWER;
use serde_json::Value;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Services whose protocol is Query, of those that pages call.
const QUERY: [&str; 2] = ["iam", "sts"];
const MARK_BYTES: usize = 16;

pub struct Visitor<'a> {
    pub console: &'a Console,
    pub asked: &'a Asked,
    pub session: Session,
    principal: Arc<Principal>,
    due: Due,
}

/// None where nobody is signed in, or not any more.
pub async fn of<'a>(console: &'a Console, asked: &'a Asked) -> Result<Option<Visitor<'a>>, AwsError> {
    let cookie = asked.cookie(&console.session_cookie());
    let Some(session) = cookie.and_then(|cookie| console.sealer.open::<Session>(Purpose::Session, cookie)) else {
        return Ok(None);
    };
    let (now, person) = (console.now(), &session.person);
    // A clock that was set back doesn't make it last longer.
    if !(session.issued_unix_s - 60..session.expires_unix_s).contains(&now) {
        return Ok(None);
    }
    // Linearizable: a password that was changed, and a session that was ended, is so on every node at once.
    let key = login::key(&person.account, person.login_id());
    let (login, is_same) = futures::join!(console.login(&key), console.is_still(person));
    let (Some(login), true) = (login?, is_same?) else { return Ok(None) };
    if login.generation != session.generation || login.has_signed_out(&session.id) {
        return Ok(None);
    }
    let policy = policy::known(&console.iam, &person.account).filter(|_| person.user.is_some());
    let due = match login.due(policy.as_ref(), now) {
        // She got in before it expired.
        Due::Administrator => Due::Nothing,
        due => due,
    };
    let principal = session.principal();
    Ok(Some(Visitor { console, asked, session, principal, due }))
}

impl Visitor<'_> {
    pub fn must_change_password(&self) -> bool {
        self.due == Due::Change
    }

    /// A call of hers, as if she had sent it signed.
    pub async fn call(&self, service: &str, operation: &str, request: Value) -> Result<Value, AwsError> {
        let front = self.console.front.get().and_then(std::sync::Weak::upgrade);
        let front = front.ok_or_else(|| AwsError::unavailable("the front door is just being built"))?;
        let body = request.to_string().into();
        let answer = front.call(service, operation, self.principal.clone(), body, self.asked.origin()).await;
        let answer = answer.map_err(|e| if QUERY.contains(&service) { as_query_has_it(e) } else { e })?;
        serde_json::from_slice(&answer).map_err(AwsError::internal)
    }

    /// What was done before she was sent to this page, if it was.
    pub fn done(&self) -> Option<&str> {
        let [done, mark] = ["done", "mark"].map(|name| self.asked.query.get(name));
        let (done, mark) = (done?, mark?);
        let is_ours: bool = mark.as_bytes().ct_eq(self.console.mark(&self.session, done).as_bytes()).into();
        is_ours.then_some(done)
    }
}

/// With the code that other clients of the service get.
fn as_query_has_it(e: AwsError) -> AwsError {
    let (code, status) = query::spelled(&e);
    let code = code.to_owned().into();
    AwsError { code, status, ..e }
}

impl Console {
    /// Stands in the address of a page that says what was done. It is of the session: a link that somebody else made says
    /// nothing.
    pub fn mark(&self, session: &Session, done: &str) -> String {
        HEXLOWER.encode(&self.sealer.digest([&session.token(), done])[..MARK_BYTES])
    }

    /// Whether somebody is called what she was called when she signed in: sessions of a user who was renamed, moved to
    /// another path or made anew end.
    async fn is_still(&self, person: &Person) -> Result<bool, AwsError> {
        let Some(name) = &person.user else { return Ok(true) };
        let key = records::key(&person.account, Kind::User, name);
        let entry = self.iam.meta.get(&key, self.deadline()).await;
        let Some(entry) = entry.map_err(|e| errors::unavailable(&e.to_string()))? else { return Ok(false) };
        let user: User = records::read(&entry.value).map_err(AwsError::internal)?;
        let arn = records::arn(&person.account, Kind::User, &user.path, &user.name);
        Ok(user.id == person.id && arn == person.arn)
    }

    /// Linearizable.
    pub async fn login(&self, key: &[u8]) -> Result<Option<Login>, AwsError> {
        let entry = self.iam.meta.get(key, self.deadline()).await;
        let entry = entry.map_err(|e| errors::unavailable(&e.to_string()))?;
        entry.map(|entry| records::read(&entry.value)).transpose().map_err(AwsError::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_protocol() {
        let code = |e| as_query_has_it(e).code.into_owned();
        assert_eq!(code(AwsError::access_denied("no")), "AccessDenied");
        assert_eq!(code(AwsError::client("NoSuchEntity", "<none>")), "NoSuchEntity");
        assert_eq!(as_query_has_it(AwsError::access_denied("<no>")).message, "<no>");
    }
}
