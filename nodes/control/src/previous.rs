//! `control-node-previous`: `control-node` as it was before the newest format, for trying upgrades.

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
