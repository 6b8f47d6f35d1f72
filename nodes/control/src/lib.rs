//! `control-node`: the region's front door and the control plane.
//! Its whole code: the binary, and the ones that tests build of it, only call [`main`].

mod accounts;
mod blobs;
mod cloudtrail;
mod console;
#[cfg(test)]
mod coverage_tests;
mod credentials;
mod iam;
mod instances;
mod join;
mod members;
mod node;
mod session_keys;
mod settings;
mod signing_keys;
mod store;
mod sts;
mod tables;
mod usage;

use breakwater_node::{run, settings as read_settings};
use settings::Settings;
use std::process::ExitCode;

/// Runs the node until it is told to stop.
#[must_use]
pub fn main() -> ExitCode {
    let settings = match read_settings("control-node", Settings::read) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    run("control-node", &settings.common.clone(), |shutdown| node::run(settings, shutdown))
}
