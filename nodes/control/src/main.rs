//! `control-node`: the region's front door and the control plane.

#[cfg(feature = "previous-format")]
compile_error!("a node of the previous format is control-node-previous: --bin control-node-previous");

mod accounts;
mod credentials;
mod iam;
mod join;
mod members;
mod node;
mod settings;
mod sts;
mod tables;

use breakwater_node::{run, settings as read_settings};
use settings::Settings;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let settings = match read_settings("control-node", Settings::read) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    run("control-node", &settings.common.clone(), |shutdown| node::run(settings, shutdown))
}
