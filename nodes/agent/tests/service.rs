//! The real `host-agent` with shell scripts as the host's service.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(8);

struct Host {
    dir: PathBuf,
    page: SocketAddr,
    agent: Option<Child>,
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Neither gone nor a zombie.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

fn write_program(path: &Path, body: &str) {
    // Renamed into place: a file that is open for writing can't be executed.
    let part = path.with_extension("part");
    std::fs::write(&part, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&part, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(part, path).unwrap();
}

impl Host {
    fn new(test: &str) -> Host {
        let dir = std::env::temp_dir().join(format!("breakwater-agent-{test}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("run")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = dir.display();
        let settings = format!(
            "name = \"dynamo-node-a1\"\nzone = \"az-a\"\nregion = \"us-east-1\"\naccount = \"111122223333\"\n\
             address = \"127.0.0.1\"\nmetrics_port = {port}\ndata_dir = \"{at}\"\nidentity_dir = \"{at}\"\n\
             run_dir = \"{at}/run\"\nservice = \"dynamo-node\"\nprogram = \"{at}/program\"\n\
             service_config = \"{at}/node.toml\"\nlog_dir = \"{at}/log\"\n"
        );
        std::fs::write(dir.join("agent.toml"), settings).unwrap();
        Host { dir, page: SocketAddr::from(([127, 0, 0, 1], port)), agent: None }
    }

    fn start_agent(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.dir.join("agent.log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_host-agent"))
            .arg("--config")
            .arg(self.dir.join("agent.toml"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.agent = Some(child);
    }

    fn status(&self) -> Option<serde_json::Value> {
        let mut stream = TcpStream::connect(self.page).ok()?;
        write!(stream, "GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
    }

    fn service_pid(&self) -> Option<u32> {
        u32::try_from(self.status()?["service_pid"].as_u64()?).ok().filter(|pid| runs(*pid))
    }

    fn agent_pid(&self) -> u32 {
        self.agent.as_ref().unwrap().id()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let service = self.service_pid();
            let _ = agent.kill();
            let _ = agent.wait();
            if let Some(pid) = service {
                let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            }
        }
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

#[test]
fn a_service_that_dies_is_started_again_and_counted() {
    let mut host = Host::new("dies");
    write_program(&host.dir.join("program"), "exec sleep 600");
    host.start_agent();
    let first = until("the service runs", || host.service_pid());
    signal("-KILL", first);
    let second = until("it runs again", || host.service_pid().filter(|pid| *pid != first));
    assert_ne!(first, second);
    let status = host.status().unwrap();
    assert_eq!(status["restarts"], 1);
    assert!(status["last_exit"].as_str().unwrap().contains('9'), "{status}");
}

#[test]
fn an_agent_that_was_killed_leaves_no_second_service_behind() {
    let mut host = Host::new("leftover");
    write_program(&host.dir.join("program"), "exec sleep 600");
    host.start_agent();
    let first = until("the service runs", || host.service_pid());
    let mut agent = host.agent.take().unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(runs(first), "SIGKILL of the agent alone leaves its service");
    host.start_agent();
    let second = until("a new service runs", || host.service_pid().filter(|pid| *pid != first));
    assert!(!runs(first) && runs(second));
}

#[test]
fn a_service_that_ignores_sigterm_is_killed_within_the_bound() {
    let mut host = Host::new("stubborn");
    write_program(&host.dir.join("program"), "trap '' TERM\nwhile :; do sleep 0.1; done");
    host.start_agent();
    let service = until("the service runs", || host.service_pid());
    signal("-TERM", host.agent_pid());
    let asked = Instant::now();
    let mut agent = host.agent.take().unwrap();
    assert!(agent.wait().unwrap().success());
    assert!(asked.elapsed() < Duration::from_secs(12), "{:?}", asked.elapsed());
    assert!(!runs(service));
}

#[test]
fn a_service_that_cannot_be_started_yet_is_tried_again() {
    let mut host = Host::new("missing");
    host.start_agent();
    until("the agent has tried", || {
        let ended = host.agent.as_mut().unwrap().try_wait().unwrap();
        (ended.is_some() || host.status().is_some()).then_some(())
    });
    write_program(&host.dir.join("program"), "exec sleep 600");
    until("the service runs", || host.service_pid());
}
