//! `dynamo-node-previous`: `dynamo-node` as it was before the newest format, for trying upgrades.

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
