//! Writes down when credentials and services were last used: what this node has noted, and what data nodes tell it.
//!
//! In the control store, under keys that only control nodes read: an access key's last use, and a user's or role's last
//! use of each service and of each of its management operations.

use anyhow::{Context, Result};
use breakwater_iam::{Usages, Use};
use breakwater_meta::{Compare, MetaClient, Op, OpResponse, Txn, records};
use breakwater_transport::{Handler, Inbound, Refusal};
use breakwater_types::AccountId;
use breakwater_types::formats::{Formats, TRAILS};
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// As it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUsed {
    pub unix_s: i64,
    pub service: String,
    pub region: String,
}

/// Taken together: this bounds how fast they are written.
const TOGETHER_MAX: usize = 500;
/// Records of one transaction, which has twice as many parts.
const RECORDS_MAX: usize = 300;
const ATTEMPTS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(3);

pub fn access_keys(account: &AccountId) -> Vec<u8> {
    format!("control/used/key/{account}/").into_bytes()
}

pub fn access_key(account: &AccountId, id: &str) -> Vec<u8> {
    [&access_keys(account)[..], id.as_bytes()].concat()
}

/// Before the names of services.
pub fn services(account: &AccountId, principal_id: &str) -> Vec<u8> {
    format!("control/used/by/{account}/{principal_id}/").into_bytes()
}

/// Before the names of a service's operations.
pub fn operations(account: &AccountId, principal_id: &str) -> Vec<u8> {
    format!("control/used/operation/{account}/{principal_id}/").into_bytes()
}

/// What is gone with a user or role.
pub fn forget(account: &AccountId, principal_id: &str) -> [Op; 2] {
    [services(account, principal_id), operations(account, principal_id)]
        .map(|start| Op::DeleteRange { end: breakwater_meta::prefix_end(&start), start })
}

fn records_of(uses: &[Use]) -> BTreeMap<Vec<u8>, LastUsed> {
    let mut all: BTreeMap<Vec<u8>, LastUsed> = BTreeMap::new();
    let mut set = |key: Vec<u8>, one: &Use| {
        let last = LastUsed { unix_s: one.unix_s, service: one.service.clone(), region: one.region.clone() };
        let known = all.entry(key).or_insert_with(|| last.clone());
        if known.unix_s < last.unix_s {
            *known = last;
        }
    };
    for one in uses {
        if !one.access_key_id.is_empty() {
            set(access_key(&one.account, &one.access_key_id), one);
        }
        let mut key = services(&one.account, &one.principal_id);
        key.extend_from_slice(one.service.as_bytes());
        set(key, one);
        if let Some(operation) = &one.operation {
            let mut key = operations(&one.account, &one.principal_id);
            key.extend_from_slice(format!("{}/{operation}", one.service).as_bytes());
            set(key, one);
        }
    }
    all
}

/// Writes what is newer than what is known.
async fn write(meta: &MetaClient, records: &[(Vec<u8>, LastUsed)]) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let end = Instant::now() + PATIENCE;
        let gets = records.iter().map(|(key, _)| Op::Get { key: key.clone() }).collect();
        let known = meta.txn(Txn { success: gets, ..Txn::default() }, end).await?;
        let mut txn = Txn::default();
        for ((key, last), response) in records.iter().zip(known.responses) {
            let OpResponse::Entry(entry) = response else { anyhow::bail!("an answer to another question") };
            let before = entry.as_ref().and_then(|e| records::from_stored::<LastUsed>(&e.value).ok());
            if before.is_some_and(|before| before.unix_s >= last.unix_s) {
                continue;
            }
            txn.compares.push(match entry {
                Some(entry) => Compare::ModRevision(key.clone(), entry.mod_revision),
                None => Compare::Absent(key.clone()),
            });
            txn.success.push(Op::put(key.clone(), records::to_stored(last).map_err(anyhow::Error::msg)?));
        }
        if txn.success.is_empty() || meta.txn(txn, end).await?.succeeded {
            return Ok(());
        }
    }
    Err(anyhow::anyhow!("others wrote the same all the time"))
}

/// Writes down what there is, again and again.
pub async fn keep(usages: Arc<Usages>, meta: MetaClient, formats: Arc<Formats>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        if formats.active() < TRAILS {
            continue;
        }
        let uses = usages.take(TOGETHER_MAX);
        let records: Vec<_> = records_of(&uses).into_iter().collect();
        for some in records.chunks(RECORDS_MAX) {
            if let Err(e) = write(&meta, some).await.context("last uses") {
                tracing::debug!(error = format!("{e:#}"), "last uses wait for the control store");
                usages.add(uses);
                break;
            }
        }
    }
}

/// Takes what data nodes have noted.
pub struct UsageHandler(pub Arc<Usages>);

impl Handler for UsageHandler {
    fn handle(self: Arc<Self>, call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async move {
            let uses: Vec<Use> = records::from_stored(&call.payload).map_err(|e| (Refusal::Malformed, e))?;
            self.0.add(uses);
            Ok(Bytes::new())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_of_a_key_a_service_and_an_operation() {
        let account = AccountId::new("111122223333").unwrap();
        let one = |key: &str, operation: Option<&str>, unix_s| Use {
            account: account.clone(),
            principal_id: "AIDAX".to_owned(),
            access_key_id: key.to_owned(),
            service: "iam".to_owned(),
            operation: operation.map(str::to_owned),
            region: "us-east-1".to_owned(),
            unix_s,
        };
        let all = records_of(&[one("AKIA1", Some("GetUser"), 5), one("", Some("GetUser"), 9), one("AKIA1", None, 7)]);
        let at = |key: &str| all[key.as_bytes()].unix_s;
        assert_eq!(all.len(), 3);
        assert_eq!(at("control/used/key/111122223333/AKIA1"), 7);
        assert_eq!(at("control/used/by/111122223333/AIDAX/iam"), 9);
        assert_eq!(at("control/used/operation/111122223333/AIDAX/iam/GetUser"), 9);
    }
}
