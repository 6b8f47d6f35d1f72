//! How often somebody may be wrong about a user's password, counted for the whole region in the control store.
//!
//! An attempt is counted before it is looked at, so that attempts at once on several nodes are no way around it. A user's
//! count is a record of her own, which nobody's but her own right password ends. A name that nobody has is counted too, so
//! that nothing tells them apart, but in one of few places, so that nobody fills the store by inventing names: which one
//! hangs on a key that control nodes alone have, and who comes to a place that another name had begins anew.

use crate::iam::prelude::*;
use breakwater_meta::{MetaClient, MetaError, Txn};
use breakwater_types::AccountId;
use tokio::time::Instant;

/// Wrong passwords in a row before each further one costs a wait, which doubles.
const WRONG_MAX: u32 = 5;
const WAIT_S: i64 = 30;
const WAIT_MAX_S: i64 = 900;
/// Older ones are forgotten.
const FORGOTTEN_S: i64 = 86_400;
/// Attempts of a change that others keep overtaking.
const ATTEMPTS: usize = 20;

/// What is known of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guesses {
    wrong: u32,
    last_unix_s: i64,
    /// Whose count it is, where several share the place.
    of: [u8; 8],
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
        Guesses { wrong: before.saturating_add(1), last_unix_s: now_unix_s, ..self }
    }
}

/// Where attempts are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    key: Vec<u8>,
    of: [u8; 8],
}

impl Place {
    /// Of a user by her id, or of an account's root user ([`super::login::ROOT`]).
    pub fn known(account: &AccountId, id: &str) -> Place {
        Place { key: format!("control/guesses/known/{account}/{id}").into_bytes(), of: [0; 8] }
    }

    /// Of an account and a name of which there is no user, by their digest under a secret key. There are 65,536 of them.
    pub fn unknown(digest: &[u8; 32]) -> Place {
        let mut of = [0; 8];
        of.copy_from_slice(&digest[2..10]);
        Place { key: format!("control/guesses/unknown/{:02x}{:02x}", digest[0], digest[1]).into_bytes(), of }
    }

    /// Goes with the user: nobody counts her attempts any more.
    pub fn remove(&self) -> Op {
        Op::Delete { key: self.key.clone() }
    }

    /// What of a record that lies here is this one's.
    fn own(&self, guesses: Option<Guesses>) -> Guesses {
        guesses.filter(|guesses| guesses.of == self.of).unwrap_or(Guesses { of: self.of, ..Guesses::default() })
    }
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It counts as wrong until [`forget`] is told that it wasn't, or [`take_back`] that nothing was looked at.
    Counted { before: Guesses },
    /// Too many were wrong: none is looked at for so long.
    Shut { wait_s: i64 },
}

pub async fn count(meta: &MetaClient, place: &Place, now_unix_s: i64, deadline: Instant) -> Result<Attempt, MetaError> {
    let key = &place.key;
    for _ in 0..ATTEMPTS {
        let entry = meta.get(key, deadline).await?;
        let read = |value: &[u8]| records::read::<Guesses>(value).map_err(MetaError::Unknown);
        let guesses = entry.as_ref().map(|entry| read(&entry.value)).transpose()?;
        let guesses = place.own(guesses);
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
            return Ok(Attempt::Counted { before: guesses });
        }
    }
    // Everybody tries at once: that is guessing too.
    Ok(Attempt::Shut { wait_s: WAIT_S })
}

/// Nothing was looked at after all: it is as it was before, its wait too. Where others are faster, it stays counted.
pub async fn take_back(meta: &MetaClient, place: &Place, before: Guesses, deadline: Instant) -> Result<(), MetaError> {
    let Some(entry) = meta.get(&place.key, deadline).await? else { return Ok(()) };
    let guesses: Guesses = records::read(&entry.value).map_err(MetaError::Unknown)?;
    if guesses.of != place.of || guesses.wrong != before.counted(guesses.last_unix_s).wrong {
        return Ok(());
    }
    let txn = Txn {
        compares: vec![Compare::ModRevision(place.key.clone(), entry.mod_revision)],
        success: vec![Op::put(place.key.clone(), records::write(&before).map_err(MetaError::Unknown)?)],
        failure: vec![],
    };
    meta.txn(txn, deadline).await.map(|_| ())
}

/// The attempt was right: the count begins anew.
pub async fn forget(meta: &MetaClient, place: &Place, deadline: Instant) -> Result<(), MetaError> {
    meta.txn(Txn { success: vec![place.remove()], ..Txn::default() }, deadline).await.map(|_| ())
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
        let many = Guesses { wrong: u32::MAX, last_unix_s: NOW, of: [0; 8] };
        assert_eq!((many.wait_s(NOW), many.wait_s(NOW + 900)), (Some(900), None));
        assert_eq!(many.wait_s(NOW - 5), None, "a clock that was set back");
        let later = NOW + FORGOTTEN_S + 1;
        assert_eq!(many.counted(later), Guesses { wrong: 1, last_unix_s: later, of: [0; 8] });
        assert_eq!(many.counted(NOW).wrong, u32::MAX);
    }

    #[test]
    fn no_users_count_lies_where_anybody_elses_does() {
        let account = |text: &str| AccountId::new(text).unwrap();
        let (ours, theirs) = (account("111122223333"), account("444455556666"));
        let mut keys = BTreeSet::new();
        // Of a 16-bit digest, some of so many would be the same.
        for n in 0..2_000 {
            for account in [&ours, &theirs] {
                assert!(keys.insert(Place::known(account, &format!("AIDA{n:017}")).key));
            }
        }
        let unknown = Place::unknown(&[7; 32]).key;
        assert!(keys.iter().all(|key| !key.starts_with(b"control/guesses/unknown/")) && !keys.contains(&unknown));
    }

    #[test]
    fn names_that_nobody_has_share_places_and_never_a_count() {
        let (mut one, mut two) = ([7; 32], [7; 32]);
        (one[9], two[9]) = (1, 2);
        let (one, two) = (Place::unknown(&one), Place::unknown(&two));
        assert_eq!(one.key, two.key);
        let counted = one.own(None).counted(NOW).counted(NOW);
        assert_eq!((one.own(Some(counted)).wrong, two.own(Some(counted)).wrong), (2, 0));
        assert_eq!(two.own(Some(counted)).counted(NOW).of, two.of);
    }
}
