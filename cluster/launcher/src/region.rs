//! A region on this machine.

use crate::hosts::{DYNAMODB_PORT, FRONT_PORT, Host, METRICS_PORT, NETWORKS, Place, Settings, hosts};
use crate::processes::Processes;
use crate::{Containers, pages, profile};
use anyhow::{Context, Result, bail};
use breakwater_identity::{HostPlan, identity_dir, init};
use breakwater_types::{AccountId, NodeKind, SystemClock};
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How hosts are run: as processes or as containers.
pub trait Driver: Send + Sync {
    fn start(&self, host: &Host) -> Result<()>;
    /// An error where somebody else has a port that the host would publish. Of one that runs, nothing is asked.
    fn ports_must_be_free(&self, _host: &Host) -> Result<()> {
        Ok(())
    }
    /// Where this machine's clients reach a port of the host, if it isn't where the settings say.
    fn published(&self, _host: &Host, _port: u16) -> Option<u16> {
        None
    }
    /// In order, within a bound; then by force.
    fn stop(&self, host: &Host) -> Result<()>;
    fn kill(&self, host: &Host) -> Result<()>;
    /// All of them in one moment, as a loss of power does.
    fn kill_at_once(&self, hosts: &[&Host]) -> Result<()>;
    /// The node alone; its agent starts it again.
    fn kill_node(&self, host: &Host) -> Result<()>;
    /// The agent alone where that is possible; the next one ends the node that it finds.
    fn kill_agent(&self, host: &Host) -> Result<()>;
    fn pause(&self, host: &Host) -> Result<()>;
    fn resume(&self, host: &Host) -> Result<()>;
    /// Off the network, but for the hosts that are cut off together with it.
    fn cut(&self, host: &Host, together: &[&Host]) -> Result<()>;
    /// Off the network of the hosts, but clients on this machine, and the edge, still reach it.
    fn isolate(&self, host: &Host, edge: Option<&Host>) -> Result<()>;
    fn heal(&self, host: &Host) -> Result<()>;
    /// Gives the node's process a fault plan, see `breakwater_types::faults`.
    fn arm(&self, host: &Host, plan: &str) -> Result<()>;
    /// Removes all that a host stores, which must not be running. Its identity and its settings stay.
    fn wipe(&self, host: &Host) -> Result<()>;
    fn is_up(&self, host: &Host) -> bool;
    /// What was done to a host that it can't tell itself.
    fn condition(&self, host: &Host) -> Option<Condition>;
    /// Whether there is such a region at all.
    fn exists(&self) -> Result<bool>;
    /// Where a host's page is reached from this machine.
    fn page(&self, host: &Host, port: u16) -> Option<SocketAddr>;
}

/// As the table of status shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Condition {
    pub state: String,
    pub why: String,
}

impl Condition {
    pub fn new(state: &str, why: impl Into<String>) -> Self {
        Condition { state: state.to_owned(), why: why.into() }
    }
}

pub struct Region {
    pub root: PathBuf,
    pub settings: Settings,
    pub hosts: Vec<Host>,
    pub driver: Box<dyn Driver>,
}

/// The administrator's access key as control nodes load it at their first start.
#[derive(Serialize, Deserialize)]
pub struct AdminCredentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub account_id: String,
    /// With which its root user signs in at the console, in emergencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_password: Option<String>,
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().with_context(|| path.display().to_string())
}

/// As the aws CLI reads it.
fn credentials_file(profile: &str, admin: &AdminCredentials) -> String {
    let (id, secret) = (&admin.access_key_id, &admin.secret_access_key);
    format!("[{profile}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")
}

/// `key = value;…` as lines. A semicolon in a quoted value is the value's own.
fn lines(settings: &str) -> String {
    let mut quoted = false;
    let line_ends = |c: char| {
        quoted ^= c == '"';
        if c == ';' && !quoted { '\n' } else { c }
    };
    settings.chars().map(line_ends).chain(['\n']).collect()
}

fn random_text(signs: &[u8], length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(signs[rng.random_range(0..signs.len())])).collect()
}

/// Makes what a region needs before its first start. Harmless where it was done.
pub fn initialise(root: &Path, settings: &Settings, hosts: &[Host]) -> Result<()> {
    if root.join("initialised").exists() {
        return publish_ca(root, hosts);
    }
    fs::create_dir_all(root)?;
    let admin = AdminCredentials {
        access_key_id: format!("AKIA{}", random_text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
        secret_access_key: random_text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 40),
        account_id: settings.account.to_string(),
        root_password: Some(random_text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 32)),
    };
    let operator = root.join("operator");
    fs::create_dir_all(&operator)?;
    if let Some(password) = &admin.root_password {
        write_private(&operator.join("root-password"), format!("{password}\n").as_bytes())?;
    }
    write_private(&operator.join("credentials"), credentials_file("breakwater", &admin).as_bytes())?;
    for host in hosts.iter().filter(|h| h.kind == NodeKind::Control) {
        let dir = identity_dir(root, &host.name);
        fs::create_dir_all(&dir)?;
        write_private(&dir.join("admin-credentials.json"), &serde_json::to_vec(&admin)?)?;
    }
    let plans: Vec<HostPlan> = hosts
        .iter()
        .map(|h| HostPlan { name: h.name.clone(), kind: h.kind, zone: h.zone.clone(), address: h.address })
        .collect();
    init(root, &settings.region, &plans, SystemClock::shared())?;
    publish_ca(root, hosts)
}

/// Puts the CA's certificate where the region's users find it.
fn publish_ca(root: &Path, hosts: &[Host]) -> Result<()> {
    let host = hosts.iter().find(|h| h.kind == NodeKind::Control).context("no control node")?;
    let (from, to) = (identity_dir(root, &host.name).join("ca.pem"), root.join("operator/ca.pem"));
    let certificate = fs::read(&from).with_context(|| from.display().to_string())?;
    fs::write(&to, certificate).with_context(|| to.display().to_string())
}

/// This network, or the next one where no other region of this machine has its hosts: the other's would answer for
/// ours. Names of two regions may come to the same one.
fn free_network(preferred: u8) -> u8 {
    let is_free = |network: &u8| {
        let edge = std::net::Ipv4Addr::new(127, *network, 0, 1);
        TcpListener::bind((edge, METRICS_PORT)).is_ok()
    };
    let others = (NETWORKS..=249).filter(|n| *n > preferred).chain(NETWORKS..preferred);
    std::iter::once(preferred).chain(others).find(is_free).unwrap_or(preferred)
}

impl Region {
    /// The settings of the first start stay: `settings` counts only where there are none.
    pub fn open(root: PathBuf, settings: Settings, binaries: PathBuf, docker: bool) -> Result<Self> {
        let extra = std::env::var("BREAKWATER_NODE_SETTINGS").unwrap_or_default();
        Self::open_with(root, settings, binaries, docker, &extra)
    }

    /// `extra` are settings for nodes that store, `key = value;…`, from their next start on; `control-node: key = value` is for
    /// one kind of them.
    pub fn open_with(root: PathBuf, settings: Settings, binaries: PathBuf, docker: bool, extra: &str) -> Result<Self> {
        let file = root.join("region.json");
        let settings = match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| file.display().to_string())?,
            Err(_) if docker => settings,
            Err(_) => Settings { network: free_network(settings.network), ..settings },
        };
        let hosts = hosts(&settings, if docker { Place::Containers } else { Place::Processes })?;
        let driver: Box<dyn Driver> = if docker {
            Box::new(Containers::new(&settings))
        } else {
            Box::new(Processes {
                root: root.clone(),
                binaries,
                settings: settings.clone(),
                hosts: hosts.clone(),
                extra: lines(extra),
            })
        };
        Ok(Region { root, settings, hosts, driver })
    }

    /// An error where nothing was ever started under this name.
    pub fn must_exist(&self) -> Result<()> {
        if !self.driver.exists()? {
            let option = self.settings.name_option();
            bail!("there is no region {:?} here: scripts/up{option} starts one", self.settings.name);
        }
        Ok(())
    }

    /// An error where the region was made with another offset: its settings are those of its first start.
    pub fn must_have_offset(&self, asked: Option<u16>) -> Result<()> {
        let (own, option) = (self.settings.port_offset, self.settings.name_option());
        if asked.is_some_and(|asked| asked != own) {
            bail!(
                "the region {:?} is there already, with --port-offset {own}: scripts/down{option} --wipe removes it and \
                 its data, then another one can be chosen",
                self.settings.name
            );
        }
        Ok(())
    }

    pub fn ports_must_be_free(&self) -> Result<()> {
        self.hosts.iter().try_for_each(|host| self.driver.ports_must_be_free(host))
    }

    pub fn initialise(&self) -> Result<()> {
        initialise(&self.root, &self.settings, &self.hosts)?;
        write_private(&self.root.join("region.json"), &serde_json::to_vec_pretty(&self.settings)?)
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.published(FRONT_PORT))
    }

    pub fn dynamodb_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.published(DYNAMODB_PORT))
    }

    /// Where one of the edge's ports is reached on this machine.
    pub(crate) fn published(&self, port: u16) -> u16 {
        let edge = self.hosts.iter().find(|h| h.kind == NodeKind::Edge);
        edge.and_then(|edge| self.driver.published(edge, port)).unwrap_or(port + self.settings.port_offset)
    }

    /// Starts what isn't running. Says what it does through `tell`.
    pub fn start(&self, tell: &mut dyn FnMut(&str)) -> Result<()> {
        for host in &self.hosts {
            if !self.driver.is_up(host) {
                tell(&format!("starting {}", host.name));
                self.driver.start(host)?;
            }
        }
        Ok(())
    }

    /// Waits until all hosts are ready, telling which it waits for.
    pub fn wait_ready(&self, limit: Duration, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let deadline = Instant::now() + limit;
        let mut told = String::new();
        loop {
            let waiting: Vec<String> = self.hosts.iter().filter_map(|host| self.why_not_ready(host)).collect();
            if waiting.is_empty() {
                return Ok(());
            }
            let line = waiting.join("; ");
            if Instant::now() > deadline {
                bail!(
                    "not ready after {} s: {line}. See scripts/logs{}.",
                    limit.as_secs(),
                    self.settings.name_option()
                );
            }
            if line != told && Instant::now() + limit - Duration::from_secs(3) > deadline {
                tell(&format!("waiting for {line}"));
                told = line;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    pub fn why_not_ready(&self, host: &Host) -> Option<String> {
        let Some(address) = self.driver.page(host, METRICS_PORT) else {
            return Some(format!("{} (not running)", host.name));
        };
        match pages::get(address, "/ready", Duration::from_millis(500)) {
            Ok((200, _)) => None,
            Ok((_, why)) => Some(format!("{} ({})", host.name, why.trim())),
            Err(_) => Some(format!("{} (no answer)", host.name)),
        }
    }

    pub fn stop(&self, tell: &mut dyn FnMut(&str)) -> Result<()> {
        tell("stopping");
        self.each(&self.hosts.iter().collect::<Vec<_>>(), |host| self.driver.stop(host))
    }

    /// Does something with several hosts at once; the first failure is the answer.
    pub fn each(&self, hosts: &[&Host], act: impl Fn(&Host) -> Result<()> + Sync) -> Result<()> {
        std::thread::scope(|scope| {
            let running: Vec<_> = hosts.iter().map(|host| scope.spawn(|| act(host))).collect();
            running.into_iter().try_for_each(|thread| match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }

    pub fn admin(&self) -> Result<AdminCredentials> {
        let host = self.hosts.iter().find(|h| h.kind == NodeKind::Control).context("no control node")?;
        let path = identity_dir(&self.root, &host.name).join("admin-credentials.json");
        let text = fs::read(&path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Asks whichever control node answers first, by its admin socket.
    pub(crate) fn ask_control(&self, path: &str, body: &str) -> Result<serde_json::Value> {
        let mut last = anyhow::anyhow!("there is no control node");
        for host in self.hosts.iter().filter(|h| h.kind == NodeKind::Control) {
            let socket = host.dir(&self.root).join("run").join(format!("{}.sock", host.kind.binary()));
            match pages::admin(&socket, path, body) {
                Ok(answer) => return Ok(serde_json::from_str(&answer)?),
                // What one says of the account all say.
                Err(e) if e.downcast_ref::<std::io::Error>().is_none() => return Err(e),
                Err(e) => last = e,
            }
        }
        Err(last.context("no control node answers"))
    }

    /// Makes an account with an administrator, whose access key stands in the AWS profile of that name from now on.
    pub fn create_account(&self, account: &AccountId, name: &str) -> Result<()> {
        let answer = self.ask_control("/accounts/create", &serde_json::json!({ "account": account }).to_string())?;
        let admin: AdminCredentials = serde_json::from_value(answer)?;
        let path = self.root.join(format!("operator/credentials-{account}"));
        write_private(&path, credentials_file(name, &admin).as_bytes())?;
        if let Some(password) = &admin.root_password {
            let path = self.root.join(format!("operator/root-password-{account}"));
            write_private(&path, format!("{password}\n").as_bytes())?;
        }
        self.write_profile_of(name, &admin)
    }

    /// The AWS profiles that were written: the region's, and those of accounts that were made.
    pub fn profiles(&self) -> Vec<String> {
        let files = fs::read_dir(self.root.join("operator")).into_iter().flatten().flatten();
        let accounts = files.filter(|file| file.file_name().to_string_lossy().starts_with("credentials-"));
        let named = |text: String| Some(text.lines().next()?.trim_matches(['[', ']']).to_owned());
        let mut profiles: Vec<String> =
            accounts.filter_map(|file| named(fs::read_to_string(file.path()).ok()?)).collect();
        profiles.push(self.settings.name.clone());
        profiles.sort_unstable();
        profiles.dedup();
        profiles
    }

    pub fn accounts(&self) -> Result<Vec<String>> {
        Ok(serde_json::from_value(self.ask_control("/accounts/list", "")?["accounts"].take())?)
    }

    /// The instance profile that a host has from now on; only told where `profile` is none and nothing is taken away.
    pub fn host_profile(
        &self,
        host: &str,
        account: &AccountId,
        profile: Option<&str>,
        none: bool,
    ) -> Result<serde_json::Value> {
        let asked = serde_json::json!({"host": host, "account": account, "profile": profile, "none": none});
        self.ask_control("/hosts/profile", &asked.to_string())
    }

    /// The CA's certificate, with which clients check the front doors when they speak HTTPS.
    pub fn ca_pem(&self) -> PathBuf {
        self.root.join("operator/ca.pem")
    }

    pub fn write_profile(&self) -> Result<()> {
        self.write_profile_of(&self.settings.name, &self.admin()?)
    }

    fn write_profile_of(&self, name: &str, admin: &AdminCredentials) -> Result<()> {
        profile::write(
            name,
            &self.endpoint(),
            self.settings.region.as_str(),
            &self.ca_pem(),
            &admin.access_key_id,
            &admin.secret_access_key,
        )
    }
}

/// For containers: everything of [`initialise`], and each host's settings as they are inside its container.
pub fn initialise_for_containers(root: &Path, settings: &Settings, host_dir: &Path) -> Result<()> {
    let hosts = hosts(settings, Place::Containers)?;
    initialise(root, settings, &hosts)?;
    let binaries = Path::new("/usr/local/bin");
    for host in &hosts {
        let dir = host.dir(root);
        for sub in ["log", "run", "data", "identity"] {
            fs::create_dir_all(dir.join(sub))?;
        }
        let layout = crate::hosts::Layout { dir: host_dir, place: Place::Containers, binaries, extra: "" };
        fs::write(dir.join("node.toml"), crate::hosts::node_toml(settings, &hosts, host, &layout)?)?;
        fs::write(dir.join("agent.toml"), crate::hosts::agent_toml(settings, &hosts, host, &layout)?)?;
    }
    write_private(&root.join("region.json"), &serde_json::to_vec_pretty(settings)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_regions_never_share_their_addresses() {
        let free = free_network(150);
        let _taken = TcpListener::bind((std::net::Ipv4Addr::new(127, free, 0, 1), METRICS_PORT)).unwrap();
        let other = free_network(free);
        assert_ne!(other, free);
        assert!(other >= NETWORKS);
    }

    #[test]
    fn a_fault_plan_among_the_settings_keeps_its_semicolons() {
        let text = lines("hold_back_unsynced = true; faults = \"seed=7;log.before_sync=crash@0.001\"");
        let read: toml::Table = text.parse().unwrap();
        assert_eq!(read["faults"].as_str(), Some("seed=7;log.before_sync=crash@0.001"));
        assert_eq!(read["hold_back_unsynced"].as_bool(), Some(true));
        assert_eq!(lines(""), "\n");
    }
}
