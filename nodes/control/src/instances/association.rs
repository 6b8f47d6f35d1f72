//! Which instance profile a host has: the operator's affair, through the admin socket of a control node.

use breakwater_iam::records::{self as iam, InstanceProfile, Kind};
use breakwater_meta::{Compare, MetaClient, Mirror, Op, Txn, records};
use breakwater_node::Pages;
use breakwater_types::formats::{Formats, TRAILS};
use breakwater_types::instance::instance_id;
use breakwater_types::{AccountId, NodeName, Region};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Among IAM's records, so that whoever follows those hears of it: `iam/host-profile/HOST`.
const PREFIX: &[u8] = b"iam/host-profile/";
/// Shorter than the launcher waits for an answer.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Association {
    pub account: AccountId,
    pub profile: String,
    /// `AIPA…`: a profile that is made anew under the same name is another one.
    pub profile_id: String,
}

impl Association {
    /// As this node has heard of it.
    pub fn of(mirror: &Mirror, host: &NodeName) -> Option<Association> {
        let entry = mirror.get(&key(host))?;
        let read = iam::read(&entry.value);
        read.inspect_err(|e| tracing::error!(%host, error = e, "a host's profile can't be read")).ok()
    }
}

fn key(host: &NodeName) -> Vec<u8> {
    [PREFIX, host.as_str().as_bytes()].concat()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    host: NodeName,
    account: AccountId,
    /// Absent where it is only asked which one it has.
    #[serde(default)]
    profile: Option<String>,
    #[serde(default)]
    none: bool,
}

/// Sets, takes away or tells a host's profile.
struct Associations {
    meta: MetaClient,
    formats: Arc<Formats>,
    region: Region,
}

impl Associations {
    async fn act(&self, body: Bytes) -> Result<Value, String> {
        let asked: Asked = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
        let deadline = Instant::now() + PATIENCE;
        let get = async |key: Vec<u8>| self.meta.get(&key, deadline).await.map_err(|e| e.to_string());
        if get(records::node_key(&asked.host)).await?.is_none() {
            return Err(format!("there is no host {} that could have a profile", asked.host));
        }
        let mut compares = Vec::new();
        let op = match (&asked.profile, asked.none) {
            (None, false) => None,
            (None, true) => Some(Op::Delete { key: key(&asked.host) }),
            (Some(_), true) => return Err("a profile, or none of them".to_owned()),
            (Some(name), false) => {
                let profile_key = iam::key(&asked.account, Kind::InstanceProfile, name);
                let found = get(profile_key.clone()).await?;
                let found = found.ok_or_else(|| format!("account {} has no instance profile {name}", asked.account))?;
                let profile: InstanceProfile = iam::read(&found.value)?;
                compares.push(Compare::ModRevision(profile_key, found.mod_revision));
                let account = asked.account.clone();
                let association = Association { account, profile: profile.name, profile_id: profile.id };
                Some(Op::put(key(&asked.host), iam::write(&association)?))
            }
        };
        if let Some(op) = op {
            if self.formats.active() < TRAILS {
                return Err("the region still has nodes of an older build".to_owned());
            }
            let txn = Txn { compares, success: vec![op], failure: vec![] };
            if !self.meta.txn(txn, deadline).await.map_err(|e| e.to_string())?.succeeded {
                return Err("the profile was changed meanwhile: try again".to_owned());
            }
        }
        let association = match get(key(&asked.host)).await? {
            Some(entry) => Some(iam::read::<Association>(&entry.value)?),
            None => None,
        };
        Ok(json!({
            "instance_id": instance_id(&self.region, &asked.host),
            "account_id": association.as_ref().map(|a| &a.account),
            "profile": association.as_ref().map(|a| &a.profile),
        }))
    }
}

/// `/hosts/profile` from now on.
pub fn serve(pages: &Pages, meta: &MetaClient, formats: &Arc<Formats>, region: &Region) {
    let all = Associations { meta: meta.clone(), formats: formats.clone(), region: region.clone() };
    let all = Arc::new(all);
    pages.action("/hosts/profile", move |body| {
        let all = all.clone();
        async move { all.act(body).await }
    });
}
