//! The host's service: one process, started, watched, started again.

use anyhow::{Context, Result};
use breakwater_node::{Shutdown, Source};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Between two starts after failures: doubled each time, forgotten after a good while.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
const GOOD_WHILE: Duration = Duration::from_secs(30);
/// The node's own bound of a graceful stop is shorter.
const STOP_MAX: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct ServiceSettings {
    name: String,
    program: PathBuf,
    config: PathBuf,
    log_dir: PathBuf,
}

impl ServiceSettings {
    pub fn read(source: &mut Source) -> Self {
        ServiceSettings {
            name: source.required("service", "the service's name, as dynamo-node"),
            program: source.required("program", "the service's binary"),
            config: source.required("service_config", "the service's settings"),
            log_dir: source.required("log_dir", "where the service's log goes"),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    pid: Option<u32>,
    restarts: u64,
    last_exit: Option<String>,
}

pub struct Service {
    settings: ServiceSettings,
    pid_file: PathBuf,
    wanted: watch::Sender<bool>,
    state: Mutex<State>,
    up: Gauge,
    restarts: Counter,
}

/// When a process was started, in clock ticks since boot; none where it is gone, or only waits to be reaped.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// The memory that a process has now.
fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1_024)
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw)
        && let Err(e) = rustix::process::kill_process(pid, signal)
    {
        tracing::warn!(error = %e, "a signal could not be sent");
    }
}

impl Service {
    pub fn new(settings: ServiceSettings, run_dir: &Path) -> Self {
        Service {
            settings,
            pid_file: run_dir.join("node.pid"),
            wanted: watch::Sender::new(true),
            state: Mutex::default(),
            up: Gauge::default(),
            restarts: Counter::default(),
        }
    }

    pub fn register(&self, registry: &mut Registry) {
        registry.register("breakwater_service_up", "1 while the host's service runs", self.up.clone());
        registry.register("breakwater_service_restarts", "Unexpected ends of the service", self.restarts.clone());
    }

    /// Whether it should run.
    pub fn want(&self, running: bool) {
        self.wanted.send_replace(running);
    }

    pub fn status(&self) -> Value {
        let state = self.state.lock();
        json!({"service": self.settings.name, "service_pid": state.pid, "restarts": state.restarts,
               "last_exit": state.last_exit, "resident_bytes": state.pid.and_then(resident_bytes)})
    }

    /// Ends what an agent before this one left running: two of the same would fight over its files.
    fn end_leftover(&self) {
        let Ok(text) = fs::read_to_string(&self.pid_file) else { return };
        let mut words = text.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(pid)), Some(Ok(at))) = (words.next(), words.next()) else { return };
        let Ok(pid) = u32::try_from(pid) else { return };
        if started(pid) == Some(at) {
            tracing::warn!(pid, "ends a service that an earlier agent left running");
            send(pid, Signal::KILL);
            let deadline = Instant::now() + Duration::from_secs(5);
            while started(pid) == Some(at) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    fn start(&self) -> Result<Child> {
        fs::create_dir_all(&self.settings.log_dir)?;
        let path = self.settings.log_dir.join(format!("{}.log", self.settings.name));
        let log = fs::OpenOptions::new().create(true).append(true).open(&path)?;
        let child = Command::new(&self.settings.program)
            .arg("--config")
            .arg(&self.settings.config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| self.settings.program.display().to_string())?;
        if let Some((pid, at)) = child.id().and_then(|pid| Some((pid, started(pid)?))) {
            fs::write(&self.pid_file, format!("{pid} {at}\n"))?;
            self.state.lock().pid = Some(pid);
        }
        self.up.set(1);
        Ok(child)
    }

    fn ended(&self, how: &str) {
        self.up.set(0);
        let mut state = self.state.lock();
        state.pid = None;
        state.last_exit = Some(how.to_owned());
    }

    async fn stop(&self, mut child: Child) -> Result<()> {
        if let Some(pid) = child.id() {
            send(pid, Signal::TERM);
        }
        let how = match tokio::time::timeout(STOP_MAX, child.wait()).await {
            Ok(status) => status?.to_string(),
            Err(_) => {
                tracing::warn!(service = self.settings.name, "didn't end in time: killed");
                child.kill().await?;
                "killed".to_owned()
            }
        };
        self.ended(&how);
        Ok(())
    }

    /// Until the agent is asked to end; the service ends first.
    pub async fn run(&self, shutdown: Shutdown) -> Result<()> {
        self.end_leftover();
        let mut wanted = self.wanted.subscribe();
        let mut backoff = BACKOFF_MIN;
        loop {
            tokio::select! {
                _ = wanted.wait_for(|w| *w) => {}
                () = shutdown.asked() => return Ok(()),
            }
            let began = Instant::now();
            let mut child = match self.start() {
                Ok(child) => child,
                Err(e) => {
                    // The binary may be being replaced: it is tried again.
                    tracing::error!(service = self.settings.name, error = %format!("{e:#}"), "can't be started");
                    self.ended("not started");
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                    tokio::select! {
                        () = tokio::time::sleep(backoff) => continue,
                        () = shutdown.asked() => return Ok(()),
                    }
                }
            };
            let exit: std::io::Result<ExitStatus> = tokio::select! {
                status = child.wait() => status,
                _ = wanted.wait_for(|w| !*w) => {
                    self.stop(child).await?;
                    continue;
                }
                () = shutdown.asked() => return self.stop(child).await,
            };
            let how = exit?.to_string();
            tracing::error!(service = self.settings.name, how, "ended unexpectedly");
            self.ended(&how);
            self.restarts.inc();
            self.state.lock().restarts += 1;
            backoff = if began.elapsed() > GOOD_WHILE { BACKOFF_MIN } else { (backoff * 2).min(BACKOFF_MAX) };
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = shutdown.asked() => return Ok(()),
            }
        }
    }
}
