//! `dynamo-node-broken`: `dynamo-node` with a fault built in, for proving that tests catch it. Never for use.

mod keys;
mod node;
mod settings;

use breakwater_node::{run, settings as read_settings};
use settings::Settings;
use std::process::ExitCode;

fn main() -> ExitCode {
    let settings = match read_settings("dynamo-node", Settings::read) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    run("dynamo-node", &settings.common.clone(), |shutdown| node::run(settings, shutdown))
}
