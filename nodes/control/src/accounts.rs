//! Further accounts, which the region's operator makes through the admin socket of a control node.

use crate::credentials;
use crate::iam::passwords::root;
use crate::iam::{key_id, secrets};
use breakwater_meta::MetaClient;
use breakwater_node::Pages;
use breakwater_types::formats::{Formats, TRAILS};
use breakwater_types::{AccountId, SharedClock};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Shorter than the launcher waits for an answer.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    account: String,
}

async fn create(meta: MetaClient, clock: SharedClock, formats: Arc<Formats>, body: Bytes) -> Result<Value, String> {
    let asked: Asked = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
    let account = AccountId::new(&asked.account).map_err(|e| e.to_string())?;
    let (id, secret) = (key_id("AKIA"), secrets::new_secret());
    let mut answer = json!({"account_id": account, "access_key_id": id, "secret_access_key": *secret});
    let mut put_root = None;
    if formats.active() >= TRAILS {
        let password = root::new_password();
        answer["root_password"] = password.as_str().into();
        put_root = Some(root::put(&account, password, clock.unix_s()).await.map_err(|e| e.to_string())?);
    }
    let deadline = Instant::now() + PATIENCE;
    match credentials::make_account(&meta, &clock, &account, &id, &secret, put_root, deadline).await {
        Ok(true) => Ok(answer),
        Ok(false) => Err(format!("there is an account {account} already")),
        Err(e) => Err(format!("{e:#}")),
    }
}

/// `/accounts/create` and `/accounts/list` from now on.
pub fn serve(pages: &Pages, meta: &MetaClient, clock: &SharedClock, formats: &Arc<Formats>) {
    let (its_meta, its_clock, formats) = (meta.clone(), clock.clone(), formats.clone());
    pages.action("/accounts/create", move |body| create(its_meta.clone(), its_clock.clone(), formats.clone(), body));
    let meta = meta.clone();
    pages.action("/accounts/list", move |_| {
        let meta = meta.clone();
        async move {
            let all = credentials::accounts(&meta, Instant::now() + PATIENCE).await.map_err(|e| format!("{e:#}"))?;
            Ok(json!({ "accounts": all }))
        }
    });
}
