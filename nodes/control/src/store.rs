//! How operations of the control plane read and change the control store: read, check, and write if nothing has
//! changed meanwhile, together with the call's audit event.

use breakwater_audit::outbox;
use breakwater_aws::{AwsError, Call};
use breakwater_meta::records::{from_stored, to_stored};
use breakwater_meta::{Compare, MetaClient, MetaError, Op, RangeRequest, Txn, VALUE_BYTES_MAX};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Attempts of a change that others keep overtaking.
const ATTEMPTS: usize = 20;
const PAGE: usize = 500;

/// A record with the revision at which it was read: 0 where there is none.
pub struct Found<T> {
    pub key: Vec<u8>,
    pub revision: u64,
    pub record: T,
}

impl<T: Serialize> Found<T> {
    /// Holds if nobody has changed it since.
    pub fn unchanged(&self) -> Compare {
        Compare::ModRevision(self.key.clone(), self.revision)
    }
    pub fn put(&self) -> Result<Op, AwsError> {
        put(self.key.clone(), &self.record)
    }
    pub fn delete(&self) -> Op {
        Op::Delete { key: self.key.clone() }
    }
}

/// What AWS counts of a resource is bounded by AWS's quotas; what it doesn't count, as white space in policies, by what a
/// record may hold.
pub fn put<T: Serialize>(key: Vec<u8>, record: &T) -> Result<Op, AwsError> {
    let value = to_stored(record).map_err(AwsError::internal)?;
    if value.len() > VALUE_BYTES_MAX {
        let message =
            format!("All that is kept of one resource, white space included, can't exceed {VALUE_BYTES_MAX} bytes.");
        return Err(AwsError::new("LimitExceeded", 409, message));
    }
    Ok(Op::put(key, value))
}

fn failed(e: &MetaError) -> AwsError {
    match e {
        MetaError::NotApplied(why) => AwsError::unavailable(why),
        MetaError::Unknown(why) | MetaError::Invalid(why) => AwsError::internal(why),
    }
}

/// What a change wants written, and what it answers.
pub struct Change<R> {
    pub compares: Vec<Compare>,
    pub ops: Vec<Op>,
    pub answer: R,
}

/// The control store, for the operations of one service.
#[derive(Clone, Copy)]
pub struct Store<'a> {
    pub meta: &'a MetaClient,
    /// What the service answers where others changed the same all the time.
    pub conflict: fn() -> AwsError,
}

impl Store<'_> {
    /// Linearizable.
    pub async fn find<T: DeserializeOwned>(&self, call: &Call, key: Vec<u8>) -> Result<Option<Found<T>>, AwsError> {
        let entry = self.meta.get(&key, call.deadline).await.map_err(|e| failed(&e))?;
        let Some(entry) = entry else { return Ok(None) };
        let record = from_stored(&entry.value).map_err(AwsError::internal)?;
        Ok(Some(Found { key, revision: entry.mod_revision, record }))
    }

    /// All records under a prefix, in the order of their keys; linearizable page by page.
    pub async fn all<T: DeserializeOwned>(&self, call: &Call, prefix: &[u8]) -> Result<Vec<T>, AwsError> {
        let all = self.all_with_names(call, prefix).await?;
        Ok(all.into_iter().map(|(_, record)| record).collect())
    }

    /// The same, each with what its key says after the prefix.
    pub async fn all_with_names<T: DeserializeOwned>(
        &self,
        call: &Call,
        prefix: &[u8],
    ) -> Result<Vec<(String, T)>, AwsError> {
        let mut range = RangeRequest::prefix(prefix, PAGE);
        let mut all = Vec::new();
        loop {
            let page = self.meta.range(range.clone(), call.deadline).await.map_err(|e| failed(&e))?;
            for entry in &page.entries {
                let name = entry.key.get(prefix.len()..).unwrap_or_default();
                let record = from_stored(&entry.value).map_err(AwsError::internal)?;
                all.push((String::from_utf8_lossy(name).into_owned(), record));
            }
            let (true, Some(last)) = (page.more, page.entries.last()) else { return Ok(all) };
            range.start = [&last.key[..], &[0]].concat();
        }
    }

    /// Does what `plan` says, planning anew where somebody else was faster. The call's event is committed with it.
    /// Returns the answer, and the store's revision from then on.
    pub async fn commit<F>(&self, call: &Call, mut plan: impl FnMut() -> F) -> Result<(Value, u64), AwsError>
    where
        F: Future<Output = Result<Change<Value>, AwsError>>,
    {
        let with_event = || {
            let planned = plan();
            async move {
                let mut change = planned.await?;
                change.ops.extend(outbox::ops(call, &change.answer)?);
                Ok(change)
            }
        };
        let done = self.note(call, with_event).await?;
        outbox::committed(call);
        Ok(done)
    }

    /// A change that isn't what the call asks for: a code that counts once.
    pub async fn note<R, F>(&self, call: &Call, mut plan: impl FnMut() -> F) -> Result<(R, u64), AwsError>
    where
        F: Future<Output = Result<Change<R>, AwsError>>,
    {
        for _ in 0..ATTEMPTS {
            let change = plan().await?;
            let txn = Txn { compares: change.compares, success: change.ops, failure: vec![] };
            let outcome = self.meta.txn(txn, call.deadline).await.map_err(|e| failed(&e))?;
            if outcome.succeeded {
                return Ok((change.answer, outcome.revision));
            }
        }
        Err((self.conflict)())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_outgrows_the_store_is_a_limit_and_no_fault() {
        assert!(put(b"k".to_vec(), &"x".repeat(VALUE_BYTES_MAX - 100)).is_ok());
        let refused = put(b"k".to_vec(), &"x".repeat(VALUE_BYTES_MAX)).unwrap_err();
        assert_eq!((&*refused.code, refused.status), ("LimitExceeded", 409));
    }
}
