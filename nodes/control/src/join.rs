//! Which hosts have enrolled, in the control store.

use breakwater_identity::{Ledger, LedgerError};
use breakwater_meta::{Compare, MetaClient, MetaError, Op, Txn};
use std::time::Duration;
use tokio::time::Instant;

pub struct MetaLedger(pub MetaClient);

const PATIENCE: Duration = Duration::from_secs(2);

fn key(host: &str) -> Vec<u8> {
    format!("control/enrolled/{host}").into_bytes()
}

fn unavailable(e: MetaError) -> LedgerError {
    LedgerError::Unavailable(e.to_string())
}

#[tonic::async_trait]
impl Ledger for MetaLedger {
    async fn enrol(&self, host: &str, enrolment_key: &[u8]) -> Result<(), LedgerError> {
        let txn = Txn {
            compares: vec![Compare::Absent(key(host))],
            success: vec![Op::put(key(host), enrolment_key)],
            failure: vec![],
        };
        let outcome = self.0.txn(txn, Instant::now() + PATIENCE).await.map_err(unavailable)?;
        if outcome.succeeded {
            return Ok(());
        }
        match self.enrolment_key(host).await? {
            Some(known) if known == enrolment_key => Ok(()),
            _ => Err(LedgerError::Used),
        }
    }

    async fn enrolment_key(&self, host: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        let entry = self.0.get(&key(host), Instant::now() + PATIENCE).await.map_err(unavailable)?;
        Ok(entry.map(|e| e.value.to_vec()))
    }
}
