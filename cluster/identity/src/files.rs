//! What lies in a host's identity folder, and `init`, which makes it.
//!
//! | file | where | what |
//! | --- | --- | --- |
//! | `ca.pem` | every host | the CA's certificate |
//! | `dev.key` | hosts that store | root key of the stores until KMS is there |
//! | `join-token` | hosts that join | gone once used |
//! | `enrolment.key`, `node.key`, `node.pem` | hosts that joined | |
//! | `ca.key.sealed`, `hosts.json` | control hosts | the CA's key under `dev.key`; hosts and their tokens' hashes |

use crate::IdentityError;
use crate::ca::Ca;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use breakwater_types::{NodeKind, NodeName, Region, SharedClock, Zone};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A host as `init` is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPlan {
    pub name: NodeName,
    pub kind: NodeKind,
    pub zone: Option<Zone>,
    pub address: IpAddr,
}

/// A host as control nodes know it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KnownHost {
    #[serde(flatten)]
    pub(crate) plan: HostPlan,
    /// SHA-256 of the join token, hex.
    pub(crate) token_sha256: String,
    /// How often the host was replaced: the enrolment key of one before counts for nothing.
    #[serde(default)]
    pub(crate) replaced: u32,
}

impl KnownHost {
    /// The name under which its enrolment key is kept.
    pub(crate) fn enrolled_as(&self) -> String {
        match self.replaced {
            0 => self.plan.name.to_string(),
            n => format!("{}/{n}", self.plan.name),
        }
    }
}

pub(crate) const HOSTS: &str = "hosts.json";

pub(crate) fn read_hosts(path: &Path) -> Result<Vec<KnownHost>, IdentityError> {
    let text = fs::read(path).map_err(file_error(path))?;
    serde_json::from_slice(&text).map_err(|e| IdentityError::Certificate(format!("{}: {e}", path.display())))
}

fn hosts_json(hosts: &[KnownHost]) -> Result<Vec<u8>, IdentityError> {
    serde_json::to_vec_pretty(hosts).map_err(|e| IdentityError::Certificate(e.to_string()))
}

pub fn identity_dir(root: &Path, host: &NodeName) -> PathBuf {
    root.join("hosts").join(host.as_str()).join("identity")
}

pub(crate) fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> IdentityError + '_ {
    move |e| IdentityError::File(path.display().to_string(), e)
}

/// Writes whole or not at all, readable by nobody else.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let part = path.with_extension("part");
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        match path.parent() {
            Some(dir) => fs::File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(file_error(path))
}

pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    fs::read(path).map(Zeroizing::new).map_err(file_error(path))
}

fn root_key(dev_key: &[u8]) -> Result<LessSafeKey, IdentityError> {
    UnboundKey::new(&AES_256_GCM, dev_key)
        .map(LessSafeKey::new)
        .map_err(|_| IdentityError::Certificate("dev.key isn't 32 bytes".to_owned()))
}

const SEALED_FORMAT: u8 = 1;
const SEALED_FOR: &[u8] = b"breakwater ca key";

pub(crate) fn seal(dev_key: &[u8], plain: &[u8]) -> Result<Vec<u8>, IdentityError> {
    let nonce: [u8; 12] = rand::random();
    let mut sealed = plain.to_vec();
    root_key(dev_key)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(SEALED_FOR), &mut sealed)
        .map_err(|_| IdentityError::Certificate("sealing failed".to_owned()))?;
    Ok([&[SEALED_FORMAT], &nonce[..], &sealed].concat())
}

pub(crate) fn unseal(dev_key: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let damaged = || IdentityError::Certificate("the sealed CA key is damaged or not under this dev.key".to_owned());
    let (format, rest) = sealed.split_first().ok_or_else(damaged)?;
    let (nonce, body) = rest.split_first_chunk::<12>().ok_or_else(damaged)?;
    if *format != SEALED_FORMAT {
        return Err(damaged());
    }
    let mut body = Zeroizing::new(body.to_vec());
    let length = root_key(dev_key)?
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(SEALED_FOR), &mut body)
        .map_err(|_| damaged())?
        .len();
    body.truncate(length);
    Ok(body)
}

pub(crate) fn token_hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.trim().as_bytes()))
}

/// A one-time token for the host of this folder.
fn new_token(dir: &Path) -> Result<Zeroizing<String>, IdentityError> {
    let token: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    let token = Zeroizing::new(hex::encode(&token[..]));
    write_secret(&dir.join("join-token"), token.as_bytes())?;
    Ok(token)
}

/// Makes the identity folder of a new machine that takes a host's place: with a join token of its own. What the old
/// machine had, its enrolment key too, counts for nothing any more; its certificate does until it ends.
pub fn replace_host(root: &Path, host: &NodeName) -> Result<(), IdentityError> {
    let all = root.join("hosts");
    let mut controls = Vec::new();
    for entry in fs::read_dir(&all).map_err(file_error(&all))? {
        let dir = entry.map_err(file_error(&all))?.path().join("identity");
        if dir.join(HOSTS).exists() {
            controls.push(dir);
        }
    }
    let control = controls.first().ok_or_else(|| IdentityError::Refused("no control host is here".to_owned()))?;
    let mut known = read_hosts(&control.join(HOSTS))?;
    let Some(entry) = known.iter_mut().find(|k| k.plan.name == *host) else {
        return Err(IdentityError::Refused(format!("{host} has no join token: only hosts that join can be replaced")));
    };
    let dir = identity_dir(root, host);
    if dir.exists() {
        fs::remove_dir_all(&dir).map_err(file_error(&dir))?;
    }
    fs::create_dir_all(&dir).map_err(file_error(&dir))?;
    for file in ["ca.pem", "dev.key"] {
        write_secret(&dir.join(file), &read_secret(&control.join(file))?)?;
    }
    entry.token_sha256 = token_hash(&new_token(&dir)?);
    entry.replaced += 1;
    let known = hosts_json(&known)?;
    controls.iter().try_for_each(|dir| write_secret(&dir.join(HOSTS), &known))
}

/// Makes the CA, the development root key and a join token for every host that joins. Refuses where it was done.
pub fn init(root: &Path, region: &Region, hosts: &[HostPlan], clock: SharedClock) -> Result<(), IdentityError> {
    let mark = root.join("initialised");
    if mark.exists() {
        return Err(IdentityError::Refused(format!("{} is initialised already", root.display())));
    }
    let ca = Ca::generate(region.as_str(), clock)?;
    let dev_key: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    let sealed = seal(&dev_key[..], ca.key_pem().as_bytes())?;
    let mut known = Vec::new();
    for host in hosts {
        let dir = identity_dir(root, &host.name);
        fs::create_dir_all(&dir).map_err(file_error(&dir))?;
        write_secret(&dir.join("ca.pem"), ca.certificate_pem().as_bytes())?;
        match host.kind {
            NodeKind::Control => write_secret(&dir.join("dev.key"), &dev_key[..])?,
            NodeKind::Edge | NodeKind::Agent | NodeKind::Operator => continue,
            NodeKind::Dynamo | NodeKind::Dax | NodeKind::Cache | NodeKind::Sql | NodeKind::Kms => {
                write_secret(&dir.join("dev.key"), &dev_key[..])?;
                let token = new_token(&dir)?;
                known.push(KnownHost { plan: host.clone(), token_sha256: token_hash(&token), replaced: 0 });
            }
        }
    }
    let known = hosts_json(&known)?;
    for host in hosts.iter().filter(|h| h.kind == NodeKind::Control) {
        let dir = identity_dir(root, &host.name);
        write_secret(&dir.join("ca.key.sealed"), &sealed)?;
        write_secret(&dir.join(HOSTS), &known)?;
    }
    write_secret(&mark, b"")
}
