//! How often somebody may be wrong about a user's password, counted for the whole region in the control store.
//!
//! An attempt is counted before it is looked at, so that attempts at once on several nodes are no way around it. A count is
//! kept under a digest of account and name with few enough values that nobody fills the store by inventing names, and in
//! the same way for names that nobody has: nothing tells them apart.

use crate::iam::prelude::*;
use breakwater_meta::{MetaClient, MetaError, Txn};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// Wrong passwords in a row before each further one costs a wait, which doubles.
const WRONG_MAX: u32 = 5;
const WAIT_S: i64 = 30;
const WAIT_MAX_S: i64 = 900;
/// Older ones are forgotten.
const FORGOTTEN_S: i64 = 86_400;
/// Attempts of a change that others keep overtaking.
const ATTEMPTS: usize = 20;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Guesses {
    wrong: u32,
    last_unix_s: i64,
}

impl Guesses {
    /// For how long no password is looked at.
    fn wait_s(self, now_unix_s: i64) -> Option<i64> {
        let over = self.wrong.checked_sub(WRONG_MAX)?;
        let wait_s = (WAIT_S << over.min(10)).min(WAIT_MAX_S);
        let passed_s = now_unix_s - self.last_unix_s;
        // A clock that was set back doesn't shut it for longer than that.
        (0..wait_s).contains(&passed_s).then_some(wait_s - passed_s)
    }

    fn counted(self, now_unix_s: i64) -> Guesses {
        let before = if now_unix_s - self.last_unix_s > FORGOTTEN_S { 0 } else { self.wrong };
        Guesses { wrong: before.saturating_add(1), last_unix_s: now_unix_s }
    }
}

/// 65,536 of them.
fn key(account: &str, name: &str) -> Vec<u8> {
    let digest = Sha256::digest(format!("{account}/{}", name.to_lowercase()));
    format!("control/guesses/{:02x}{:02x}", digest[0], digest[1]).into_bytes()
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It counts as wrong until [`forget`] is told that it wasn't.
    Counted,
    /// Too many were wrong: none is looked at for so long.
    Shut { wait_s: i64 },
}

pub async fn count(
    meta: &MetaClient,
    account: &str,
    name: &str,
    now_unix_s: i64,
    deadline: Instant,
) -> Result<Attempt, MetaError> {
    let key = key(account, name);
    for _ in 0..ATTEMPTS {
        let entry = meta.get(&key, deadline).await?;
        let read = |value: &[u8]| records::read::<Guesses>(value).map_err(MetaError::Unknown);
        let guesses = entry.as_ref().map(|entry| read(&entry.value)).transpose()?.unwrap_or_default();
        if let Some(wait_s) = guesses.wait_s(now_unix_s) {
            return Ok(Attempt::Shut { wait_s });
        }
        let unchanged = match &entry {
            Some(entry) => Compare::ModRevision(key.clone(), entry.mod_revision),
            None => Compare::Absent(key.clone()),
        };
        let value = records::write(&guesses.counted(now_unix_s)).map_err(MetaError::Unknown)?;
        let txn = Txn { compares: vec![unchanged], success: vec![Op::put(key.clone(), value)], failure: vec![] };
        if meta.txn(txn, deadline).await?.succeeded {
            return Ok(Attempt::Counted);
        }
    }
    // Everybody tries at once: that is guessing too.
    Ok(Attempt::Shut { wait_s: WAIT_S })
}

/// The attempt was right: the count begins anew.
pub async fn forget(meta: &MetaClient, account: &str, name: &str, deadline: Instant) -> Result<(), MetaError> {
    let delete = Op::Delete { key: key(account, name) };
    meta.txn(Txn { success: vec![delete], ..Txn::default() }, deadline).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    #[test]
    fn guessing_ends_soon_for_longer_each_time_and_not_for_good() {
        let mut guesses = Guesses::default();
        for _ in 0..WRONG_MAX {
            assert_eq!(guesses.wait_s(NOW), None);
            guesses = guesses.counted(NOW);
        }
        assert_eq!(
            (guesses.wait_s(NOW), guesses.wait_s(NOW + 29), guesses.wait_s(NOW + 30)),
            (Some(30), Some(1), None)
        );
        assert_eq!(guesses.counted(NOW + 30).wait_s(NOW + 30), Some(60));
        let many = Guesses { wrong: u32::MAX, last_unix_s: NOW };
        assert_eq!((many.wait_s(NOW), many.wait_s(NOW + 900)), (Some(900), None));
        assert_eq!(many.wait_s(NOW - 5), None, "a clock that was set back");
        assert_eq!(many.counted(NOW + FORGOTTEN_S + 1), Guesses { wrong: 1, last_unix_s: NOW + FORGOTTEN_S + 1 });
        assert_eq!(many.counted(NOW).wrong, u32::MAX);
    }

    #[test]
    fn names_are_the_same_in_any_case() {
        assert_eq!(key("111122223333", "Ann"), key("111122223333", "ann"));
        assert_ne!(key("111122223333", "ann"), key("111122223333", "bob"));
    }
}
