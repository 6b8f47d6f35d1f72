//! Further accounts, which the region's operator makes through the admin socket of a control node.

use crate::credentials;
use crate::iam::{secrets, unique_id};
use breakwater_meta::MetaClient;
use breakwater_node::Pages;
use breakwater_types::{AccountId, SharedClock};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// Shorter than the launcher waits for an answer.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    account: String,
}

async fn create(meta: MetaClient, clock: SharedClock, body: Bytes) -> Result<Value, String> {
    let asked: Asked = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
    let account = AccountId::new(&asked.account).map_err(|e| e.to_string())?;
    let (id, secret) = (unique_id("AKIA"), secrets::new_secret());
    let made = credentials::make_account(&meta, &clock, &account, &id, &secret, Instant::now() + PATIENCE).await;
    match made {
        Ok(true) => Ok(json!({"account_id": account, "access_key_id": id, "secret_access_key": *secret})),
        Ok(false) => Err(format!("there is an account {account} already")),
        Err(e) => Err(format!("{e:#}")),
    }
}

/// `/accounts/create` and `/accounts/list` from now on.
pub fn serve(pages: &Pages, meta: &MetaClient, clock: &SharedClock) {
    let (its_meta, its_clock) = (meta.clone(), clock.clone());
    pages.action("/accounts/create", move |body| create(its_meta.clone(), its_clock.clone(), body));
    let meta = meta.clone();
    pages.action("/accounts/list", move |_| {
        let meta = meta.clone();
        async move {
            let all = credentials::accounts(&meta, Instant::now() + PATIENCE).await.map_err(|e| format!("{e:#}"))?;
            Ok(json!({ "accounts": all }))
        }
    });
}
