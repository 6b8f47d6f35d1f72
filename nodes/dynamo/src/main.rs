//! `dynamo-node`: replicas of table partitions, and a front door for DynamoDB alone.

#[cfg(feature = "broken")]
compile_error!("a node that is broken on purpose is dynamo-node-broken: --bin dynamo-node-broken");

#[cfg(feature = "previous-format")]
compile_error!("a node of the previous format is dynamo-node-previous: --bin dynamo-node-previous");

mod keys;
mod node;
mod settings;

use breakwater_node::{run, settings as read_settings};
use settings::Settings;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let settings = match read_settings("dynamo-node", Settings::read) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    run("dynamo-node", &settings.common.clone(), |shutdown| node::run(settings, shutdown))
}
