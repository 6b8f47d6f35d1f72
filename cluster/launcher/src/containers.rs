//! Hosts as containers of docker-compose.yml.

use crate::hosts::{Host, Settings};
use crate::region::{Condition, Driver};
use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::process::Command;

pub struct Containers {
    project: String,
}

const DOCKER: &str = "docker";

fn docker(arguments: &[&str]) -> Result<String> {
    let output = Command::new(DOCKER).args(arguments).output().context("docker can't be run")?;
    if !output.status.success() {
        bail!("docker {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Containers {
    pub fn new(settings: &Settings) -> Self {
        Containers { project: settings.name.clone() }
    }

    fn container(&self, host: &Host) -> String {
        format!("{}-{}", self.project, host.name)
    }

    fn network(&self, name: &str) -> String {
        format!("{}_{name}", self.project)
    }

    fn on_backbone(&self, host: &Host) -> Result<bool> {
        let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
        let networks = docker(&["inspect", "--format", format, &self.container(host)])?;
        Ok(networks.split_whitespace().any(|name| name == self.network("backbone")))
    }

    fn inspect(&self, host: &Host, format: &str) -> Option<String> {
        docker(&["inspect", "--format", format, &self.container(host)]).ok()
    }
}

impl Driver for Containers {
    fn start(&self, host: &Host) -> Result<()> {
        docker(&["start", &self.container(host)]).map(|_| ())
    }
    fn published(&self, host: &Host, port: u16) -> Option<u16> {
        let addresses = docker(&["port", &self.container(host), &format!("{port}/tcp")]).ok()?;
        addresses.lines().next()?.rsplit(':').next()?.parse().ok()
    }
    fn stop(&self, host: &Host) -> Result<()> {
        docker(&["stop", "-t", "12", &self.container(host)]).map(|_| ())
    }
    fn kill(&self, host: &Host) -> Result<()> {
        if !self.is_up(host) {
            return Ok(());
        }
        docker(&["kill", &self.container(host)]).map(|_| ())
    }
    fn kill_at_once(&self, hosts: &[&Host]) -> Result<()> {
        let names: Vec<String> = hosts.iter().filter(|h| self.is_up(h)).map(|h| self.container(h)).collect();
        if names.is_empty() {
            return Ok(());
        }
        let mut arguments = vec!["kill"];
        arguments.extend(names.iter().map(String::as_str));
        docker(&arguments).map(|_| ())
    }
    fn kill_node(&self, host: &Host) -> Result<()> {
        let kill = "read -r pid rest </var/lib/breakwater/run/node.pid && kill -KILL \"$pid\"";
        docker(&["exec", &self.container(host), "sh", "-c", kill]).map(|_| ())
    }
    /// The agent is the container's first process: all others end with it.
    fn kill_agent(&self, host: &Host) -> Result<()> {
        self.kill(host)
    }
    fn pause(&self, host: &Host) -> Result<()> {
        docker(&["pause", &self.container(host)]).map(|_| ())
    }
    fn resume(&self, host: &Host) -> Result<()> {
        docker(&["unpause", &self.container(host)]).map(|_| ())
    }
    /// Off the backbone, on which everything that nodes say to each other goes: hosts that are cut off together are
    /// cut off from each other too.
    fn cut(&self, host: &Host, _together: &[&Host]) -> Result<()> {
        if !self.on_backbone(host)? {
            return Ok(());
        }
        docker(&["network", "disconnect", &self.network("backbone"), &self.container(host)]).map(|_| ())
    }
    fn isolate(&self, _host: &Host, _edge: Option<&Host>) -> Result<()> {
        bail!("a container has one way in, for hosts and clients: cut it")
    }
    fn arm(&self, _host: &Host, _plan: &str) -> Result<()> {
        bail!("fault points of nodes in containers are set by their settings")
    }
    fn heal(&self, host: &Host) -> Result<()> {
        if self.on_backbone(host)? {
            return Ok(());
        }
        let (network, container) = (self.network("backbone"), self.container(host));
        // The address of before, which the others know, and on which the node still listens.
        let address = host.address.to_string();
        docker(&["network", "connect", "--ip", &address, "--alias", host.name.as_str(), &network, &container])
            .map(|_| ())
    }
    fn wipe(&self, host: &Host) -> Result<()> {
        if self.is_up(host) {
            bail!("{} is running", host.name);
        }
        let container = self.container(host);
        // In a container, as what it stored belongs to its user.
        let image = docker(&["inspect", "--format", "{{.Config.Image}}", &container])?;
        let remove = "rm -rf /var/lib/breakwater/data && mkdir /var/lib/breakwater/data";
        let shell = ["--entrypoint", "/bin/sh", &image, "-ec", remove];
        docker(&[&["run", "--rm", "--network", "none", "--volumes-from", &container], &shell[..]].concat()).map(|_| ())
    }
    fn is_up(&self, host: &Host) -> bool {
        self.inspect(host, "{{.State.Running}}").as_deref() == Some("true")
    }
    fn condition(&self, host: &Host) -> Option<Condition> {
        let state = self.inspect(host, "{{.State.Status}} {{.State.ExitCode}}")?;
        match state.split_once(' ')? {
            ("running", _) if !self.on_backbone(host).ok()? => Some(Condition::new("cut", "off the backbone network")),
            ("running", _) => None,
            ("paused", _) => Some(Condition::new("paused", "docker pause")),
            (state, "137") => Some(Condition::new("down", format!("{state}: killed"))),
            (state, code) => Some(Condition::new("down", format!("{state}: exit status {code}"))),
        }
    }
    fn exists(&self) -> Result<bool> {
        let name = format!("name=^{}-edge$", self.project);
        Ok(!docker(&["ps", "--all", "--quiet", "--filter", &name])?.is_empty())
    }
    fn page(&self, host: &Host, port: u16) -> Option<SocketAddr> {
        self.is_up(host).then(|| SocketAddr::new(host.address, port))
    }
}
