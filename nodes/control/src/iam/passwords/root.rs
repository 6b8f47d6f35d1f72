//! The root user's password, for emergencies: made with the account, known to who holds the operator's folder.

use super::hash;
use super::login::{self, Login, ROOT};
use crate::iam::prelude::*;
use breakwater_meta::{MetaClient, Txn};
use breakwater_types::formats::{Formats, TRAILS};
use breakwater_types::{AccountId, SharedClock};
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

const EVERY: Duration = Duration::from_secs(1);
const ATTEMPT: Duration = Duration::from_secs(5);

/// Thirty-two signs: 190 bits, which nobody guesses.
pub fn new_password() -> Zeroizing<String> {
    Zeroizing::new(crate::iam::secrets::new_secret().chars().take(32).collect())
}

/// What puts it into the store.
pub async fn put(account: &AccountId, password: Zeroizing<String>, now_unix_s: i64) -> Result<Op, AwsError> {
    let login = Login::new(account.as_str(), hash::hash(password).await?, false, now_unix_s);
    super::put(login::key(account, ROOT), &login)
}

/// Once every node knows of passwords, that of the first account's root user is as the launcher made it. One that is
/// there stays.
pub async fn load_first(
    meta: MetaClient,
    clock: SharedClock,
    formats: Arc<Formats>,
    account: AccountId,
    password: Zeroizing<String>,
) {
    while formats.active() < TRAILS {
        tokio::time::sleep(EVERY).await;
    }
    let key = login::key(&account, ROOT);
    loop {
        let done: Result<(), String> = async {
            if meta.get(&key, Instant::now() + ATTEMPT).await.map_err(|e| e.to_string())?.is_some() {
                return Ok(());
            }
            let put = put(&account, password.clone(), clock.unix_s()).await.map_err(|e| e.to_string())?;
            let txn = Txn { compares: vec![Compare::Absent(key.clone())], success: vec![put], failure: vec![] };
            meta.txn(txn, Instant::now() + ATTEMPT).await.map(|_| ()).map_err(|e| e.to_string())
        }
        .await;
        match done {
            Ok(()) => return,
            Err(e) => tracing::warn!(error = e, "the root user has no password yet"),
        }
        tokio::time::sleep(EVERY).await;
    }
}
