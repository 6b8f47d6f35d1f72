//! `dynamo-node`: replicas of table partitions, and a front door for DynamoDB alone.
//! Its whole code: the binary, and the ones that tests build of it, only call [`main`].

mod keys;
mod node;
mod settings;
mod usage;

use breakwater_node::{run, settings as read_settings};
use settings::Settings;
use std::process::ExitCode;

/// Runs the node until it is told to stop.
#[must_use]
pub fn main() -> ExitCode {
    let settings = match read_settings("dynamo-node", Settings::read) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    run("dynamo-node", &settings.common.clone(), |shutdown| node::run(settings, shutdown))
}
