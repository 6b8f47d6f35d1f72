//! `breakwater` with a shell script as `host-agent`, and one as `docker`: what it starts, and with what.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

struct Machine {
    dir: PathBuf,
    /// Of published ports that nobody has: a region of whoever runs the tests may be at the usual ones.
    offset: String,
}

fn free_offset() -> u16 {
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (21_000..24_000).step_by(7).find(|offset| is_free(4_566 + offset) && is_free(8_000 + offset)).unwrap()
}

fn write_program(path: &Path, body: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Ended with the test; what it has started is ended by `down`.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine {
    fn new(test: &str) -> Machine {
        let dir = std::env::temp_dir().join(format!("breakwater-launcher-{test}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("bin")).unwrap();
        std::fs::copy(env!("CARGO_BIN_EXE_breakwater"), dir.join("bin/breakwater")).unwrap();
        // Beside the folder of settings stands what the agent was started with.
        write_program(&dir.join("bin/host-agent"), "env > \"$(dirname \"$2\")/run/env\"\nexec sleep 600");
        write_program(&dir.join("bin/docker"), &format!("echo \"$@\" >> {}/docker.log", dir.display()));
        Machine { dir, offset: free_offset().to_string() }
    }

    fn breakwater(&self) -> Command {
        let mut command = Command::new(self.dir.join("bin/breakwater"));
        command
            .env("BREAKWATER_ROOT", self.dir.join("regions"))
            .env("AWS_CONFIG_FILE", self.dir.join("aws-config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.dir.join("aws-credentials"))
            .env("PATH", format!("{}:/usr/bin:/bin", self.dir.join("bin").display()))
            .env_remove("BREAKWATER_NAME")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.breakwater().args(arguments).output().unwrap()
    }

    fn host(&self, region: &str, host: &str) -> PathBuf {
        self.dir.join("regions").join(region).join("hosts").join(host)
    }

    /// `up` never gets ready with such agents: it is left waiting until all have been started.
    fn up(&self, change: impl FnOnce(&mut Command), region: &str) -> Running {
        let mut command = self.breakwater();
        command.args(["up", "--port-offset", &self.offset]).stdout(Stdio::null()).stderr(Stdio::null());
        change(&mut command);
        let running = Running(command.spawn().unwrap());
        let last = self.host(region, "edge").join("run");
        let started = || (last.join("agent.pid").exists() && last.join("env").exists()).then_some(());
        until(10, "the agents are started", started);
        running
    }

    fn agents(&self, region: &str) -> Vec<u32> {
        let mut pids: Vec<u32> = std::fs::read_dir(self.dir.join("regions").join(region).join("hosts"))
            .unwrap()
            .filter_map(|host| std::fs::read_to_string(host.unwrap().path().join("run/agent.pid")).ok())
            .map(|text| text.split(' ').next().unwrap().parse().unwrap())
            .collect();
        pids.sort_unstable();
        pids
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for region in std::fs::read_dir(self.dir.join("regions")).into_iter().flatten().flatten() {
            self.run(&["down", "--name", &region.file_name().to_string_lossy()]);
        }
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn down_ends_what_up_has_started_and_nothing_else() {
    let machine = Machine::new("down");
    let up = machine.up(|_| {}, "breakwater");
    let agents = machine.agents("breakwater");
    assert_eq!(agents.len(), 7);
    assert!(agents.iter().all(|pid| runs(*pid)));
    drop(up);
    // A pid that is used again: ours by number, not by the moment it was started.
    let mut bystander = Command::new("sleep").arg("600").spawn().unwrap();
    let file = machine.host("breakwater", "edge").join("run/node.pid");
    std::fs::write(file, format!("{} 1\n", bystander.id())).unwrap();
    let down = machine.run(&["down"]);
    assert!(down.status.success(), "{down:?}");
    assert!(!agents.iter().any(|pid| runs(*pid)));
    assert!(runs(bystander.id()));
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

/// Looks until there is something.
fn until<T>(seconds: u64, what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn up_again_starts_only_what_was_killed_and_keeps_the_secrets() {
    let machine = Machine::new("twice");
    let up = machine.up(|_| {}, "breakwater");
    let before = machine.agents("breakwater");
    let credentials = machine.dir.join("regions/breakwater/operator/credentials");
    let secret = std::fs::read(&credentials).unwrap();
    assert_eq!(std::fs::metadata(&credentials).unwrap().permissions().mode() & 0o777, 0o600);
    drop(up);
    let victim = machine.host("breakwater", "dynamo-node-b1").join("run/agent.pid");
    let done = machine.run(&["chaos", "kill", "dynamo-node-b1"]);
    assert!(done.status.success(), "{done:?}");
    let old = std::fs::read(&victim).unwrap();
    let _up = machine.up(|_| {}, "breakwater");
    until(5, "the killed host is started", || (std::fs::read(&victim).unwrap() != old).then_some(()));
    let kept = machine.agents("breakwater").into_iter().filter(|pid| before.contains(pid)).count();
    assert_eq!(kept, 6);
    assert_eq!(std::fs::read(&credentials).unwrap(), secret);
}

/// The node's pid isn't noted yet when its agent is killed: it must not stay behind, and fight over its files later.
#[test]
fn a_kill_ends_what_the_agent_has_just_started_too() {
    let machine = Machine::new("group");
    let child =
        "sleep 600 & echo $! > \"$(dirname \"$2\")/run/child\"; env > \"$(dirname \"$2\")/run/env\"; exec sleep 600";
    write_program(&machine.dir.join("bin/host-agent"), child);
    let up = machine.up(|_| {}, "breakwater");
    drop(up);
    // Started, they may not have come so far yet.
    let child = |host: &str| -> u32 {
        let file = machine.host("breakwater", host).join("run/child");
        until(30, "it has a child", || std::fs::read_to_string(&file).ok()?.trim().parse().ok())
    };
    let (killed, other) = (child("dynamo-node-b1"), child("dynamo-node-a1"));
    assert!(runs(killed) && runs(other));
    let alone = child("dynamo-node-c1");
    assert!(machine.run(&["chaos", "kill-agent", "dynamo-node-c1"]).status.success());
    assert!(runs(alone), "a node outlives its agent");
    assert!(Command::new("kill").args(["-9", &alone.to_string()]).status().unwrap().success());
    assert!(machine.run(&["chaos", "kill", "dynamo-node-b1"]).status.success());
    assert!(!runs(killed));
    assert!(runs(other));
    assert!(machine.run(&["chaos", "kill", "all"]).status.success());
    assert!(!runs(other));
}

#[test]
fn a_wiped_host_is_down_and_has_lost_its_data_but_not_its_identity() {
    let machine = Machine::new("wiped");
    let up = machine.up(|_| {}, "breakwater");
    drop(up);
    let host = machine.host("breakwater", "dynamo-node-b1");
    let other = machine.host("breakwater", "dynamo-node-a1");
    for host in [&host, &other] {
        std::fs::create_dir_all(host.join("data/log")).unwrap();
        std::fs::write(host.join("data/log/1"), "x").unwrap();
    }
    let identity = std::fs::read(host.join("identity/ca.pem")).unwrap();
    let done = machine.run(&["chaos", "wipe", "dynamo-node-b1"]);
    assert!(done.status.success(), "{done:?}");
    assert!(!host.join("data").exists() && other.join("data/log/1").exists());
    assert_eq!(std::fs::read(host.join("identity/ca.pem")).unwrap(), identity);
    assert_eq!(machine.agents("breakwater").into_iter().filter(|pid| runs(*pid)).count(), 6);
    // Once more, with nothing left.
    assert!(machine.run(&["chaos", "wipe", "dynamo-node-b1"]).status.success());
}

#[test]
fn a_containers_disk_is_wiped_from_inside_a_container() {
    let machine = Machine::new("wiped-container");
    let log = machine.dir.join("docker.log");
    let answer = "case \"$*\" in ps*) echo 1;; *State.Running*) echo false;; *Config.Image*) echo the-image;; esac";
    write_program(&machine.dir.join("bin/docker"), &format!("echo \"$@\" >> {}; {answer}", log.display()));
    let done = machine.run(&["--docker", "chaos", "wipe", "dynamo-node-b1"]);
    assert!(done.status.success(), "{done:?}");
    let asked = std::fs::read_to_string(&log).unwrap();
    let run = asked.lines().find(|line| line.starts_with("run ")).unwrap();
    assert!(run.contains("--volumes-from breakwater-dynamo-node-b1 ") && run.contains(" the-image "), "{run}");
    assert!(run.contains("rm -rf /var/lib/breakwater/data"), "{run}");
    assert!(!asked.contains("kill"), "it wasn't running: {asked}");
}

#[test]
fn no_secret_is_among_arguments_settings_or_logs() {
    let machine = Machine::new("secrets");
    let _up = machine.up(|_| {}, "breakwater");
    let text = std::fs::read_to_string(machine.dir.join("regions/breakwater/operator/credentials")).unwrap();
    let secret = text.lines().last().unwrap().rsplit(" = ").next().unwrap();
    assert_eq!(secret.len(), 40);
    for pid in machine.agents("breakwater") {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&arguments).contains(secret));
    }
    for host in ["control-node-a1", "dynamo-node-a1", "edge"] {
        for file in ["node.toml", "agent.toml", "log/agent.log", "run/env"] {
            let text = std::fs::read(machine.host("breakwater", host).join(file)).unwrap();
            assert!(!String::from_utf8_lossy(&text).contains(secret), "{host}/{file}");
        }
    }
}

#[test]
fn an_unknown_target_is_refused_and_nothing_is_touched() {
    let machine = Machine::new("target");
    let up = machine.up(|_| {}, "breakwater");
    drop(up);
    for bad in ["az-z", "", "dynamo", "control-node-a9", "../edge"] {
        assert!(!machine.run(&["chaos", "kill", bad]).status.success(), "{bad:?}");
    }
    let left = || machine.agents("breakwater").into_iter().filter(|pid| runs(*pid)).count();
    assert_eq!(left(), 7);
    assert!(machine.run(&["chaos", "kill", "dynamo-node"]).status.success());
    assert_eq!(left(), 4, "a kind is a target");
}

#[test]
fn what_was_never_started_is_said_to_be_missing() {
    let machine = Machine::new("missing");
    for words in [&["status"][..], &["status", "--json"], &["chaos", "kill", "all"], &["down"], &["down", "--wipe"]] {
        let done = machine.run(words);
        assert_eq!(done.status.code(), Some(1), "{words:?}");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(said.contains("there is no region") && said.lines().count() == 1, "{words:?}: {said}");
        // The same where no container is.
        assert_eq!(machine.run(&[&["--docker"], words].concat()).status.code(), Some(1), "{words:?}");
    }
    let up = machine.run(&["--docker", "up"]);
    assert!(!up.status.success() && String::from_utf8_lossy(&up.stderr).contains("docker compose up"));
}

#[test]
fn the_story_of_a_host_is_in_its_status() {
    let machine = Machine::new("story");
    let up = machine.up(|_| {}, "breakwater");
    drop(up);
    let row = |host: &str| {
        let table = machine.run(&["status"]).stdout;
        let table = String::from_utf8(table).unwrap();
        table.lines().find(|line| line.starts_with(host)).unwrap().to_owned()
    };
    assert!(machine.run(&["chaos", "kill", "dynamo-node-b1"]).status.success());
    assert!(machine.run(&["chaos", "pause", "dynamo-node-c1"]).status.success());
    assert!(row("dynamo-node-b1").contains(" killed ") && row("dynamo-node-b1").contains(" down "));
    assert!(row("dynamo-node-c1").contains(" paused "));
    assert!(!row("dynamo-node-a1").contains("killed"));
    assert!(machine.run(&["chaos", "resume", "dynamo-node-c1"]).status.success());
    assert!(!row("dynamo-node-c1").contains("paused"));
    assert!(machine.run(&["down"]).status.success());
    assert!(row("dynamo-node-a1").contains(" stopped "));
    assert!(row("dynamo-node-b1").contains(" killed "), "it was down already");
}

#[test]
fn a_reader_of_status_may_go_away() {
    let machine = Machine::new("reader");
    let up = machine.up(|_| {}, "breakwater");
    drop(up);
    let mut status = machine.breakwater();
    let mut status = status.args(["status", "--watch"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(status.stdout.take());
    assert!(status.wait().unwrap().success());
    let mut said = String::new();
    std::io::Read::read_to_string(&mut status.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn the_regions_name_in_the_environment_is_no_setting_of_its_nodes() {
    let machine = Machine::new("environment");
    let _up = machine.up(
        |command| {
            command.env("BREAKWATER_NAME", "other");
        },
        "other",
    );
    let environment = std::fs::read_to_string(machine.host("other", "edge").join("run/env")).unwrap();
    // The message must not show an environment: it may hold secrets of whoever runs the test.
    assert!(!environment.lines().any(|l| l.starts_with("BREAKWATER_NAME=")), "BREAKWATER_NAME is in it");
}

#[test]
fn settings_for_nodes_that_store_are_not_given_to_the_edge() {
    let machine = Machine::new("extra");
    let _up = machine.up(
        |command| {
            command.env("BREAKWATER_NODE_SETTINGS", "hold_back_unsynced=true");
        },
        "breakwater",
    );
    let text = |host: &str| std::fs::read_to_string(machine.host("breakwater", host).join("node.toml")).unwrap();
    assert!(text("dynamo-node-a1").contains("hold_back_unsynced"));
    assert!(!text("edge").contains("hold_back_unsynced"));
}

#[test]
fn a_wipe_of_containers_removes_their_data() {
    let machine = Machine::new("wipe");
    let root = machine.dir.join("regions/breakwater");
    std::fs::create_dir_all(&root).unwrap();
    let done = machine.run(&["--docker", "down", "--wipe"]);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(said.contains("its data removed"), "{said}");
    assert!(!root.exists());
}

#[test]
fn a_start_goes_on_though_nobody_reads_what_it_says() {
    let machine = Machine::new("up-reader");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    // Comes back once all agents have been started.
    let mut up = machine.up(
        |command| {
            command.stdout(writer);
        },
        "breakwater",
    );
    assert!(up.0.try_wait().unwrap().is_none(), "it waits for them to be ready");
}

#[test]
fn a_port_that_somebody_else_has_is_told_at_once() {
    let machine = Machine::new("port");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let done = machine.run(&["up", "--port-offset", &(port - 8_000).to_string()]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(said, format!("breakwater: port {port} is in use by another process: choose --port-offset\n"));
    assert!(!machine.dir.join("regions/breakwater").exists(), "another offset can be chosen");
    let beyond = machine.run(&["up", "--port-offset", "60000"]);
    assert!(!beyond.status.success() && String::from_utf8_lossy(&beyond.stderr).contains("57535"), "{beyond:?}");
}

#[test]
fn a_region_keeps_its_ports_and_says_so() {
    let machine = Machine::new("offset");
    drop(machine.up(
        |command| {
            command.args(["--name", "second"]);
        },
        "second",
    ));
    let done = machine.run(&["--name", "second", "up", "--port-offset", "3000"]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && said.contains(&format!("--port-offset {}", machine.offset)), "{said}");
    assert!(said.contains("scripts/down --name second --wipe"), "{said}");
    let wiped = machine.run(&["--name", "second", "down", "--wipe"]);
    assert!(String::from_utf8_lossy(&wiped.stdout).contains("stay where they are: second."), "{wiped:?}");
}
