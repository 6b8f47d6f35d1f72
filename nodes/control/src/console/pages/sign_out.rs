//! Signing out: the session ends on every node, wherever its cookie may be.

use super::*;
use crate::console::events::{SignIn, Whom};
use crate::iam::errors;
use crate::iam::passwords::login::{self, Login};
use breakwater_iam::records;
use breakwater_meta::{Compare, MetaError, Op, Txn};

const ATTEMPTS: usize = 20;

fn unreachable(e: MetaError) -> AwsError {
    errors::unavailable(&e.to_string())
}

pub async fn done(visitor: &Visitor<'_>) -> Reply {
    let console = visitor.console;
    let whom = Whom::Known(&visitor.session.person);
    let ended = async {
        end(visitor).await?;
        console.record(visitor.asked, SignIn { name: "Logout", whom, failure: None, mfa: None }).await
    };
    match ended.await {
        Ok(()) => Reply::go("sign-in?out=1").without_cookie(console.session_cookie()),
        Err(e) => super::refused::unavailable(&e),
    }
}

async fn end(visitor: &Visitor<'_>) -> Result<(), AwsError> {
    let (console, session) = (visitor.console, &visitor.session);
    let meta = &console.iam.meta;
    let key = login::key(&session.person.account, session.person.login_id());
    for _ in 0..ATTEMPTS {
        let Some(entry) = meta.get(&key, console.deadline()).await.map_err(unreachable)? else { return Ok(()) };
        let mut login: Login = records::read(&entry.value).map_err(AwsError::internal)?;
        if login.generation != session.generation {
            return Ok(());
        }
        login.sign_out(&session.id, session.expires_unix_s, console.now());
        let txn = Txn {
            compares: vec![Compare::ModRevision(key.clone(), entry.mod_revision)],
            success: vec![Op::put(key.clone(), records::write(&login).map_err(AwsError::internal)?)],
            failure: vec![],
        };
        if meta.txn(txn, console.deadline()).await.map_err(unreachable)?.succeeded {
            return Ok(());
        }
    }
    Err(errors::conflict())
}
