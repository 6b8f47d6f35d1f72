//! `control-node-previous`: `control-node` as it was before the newest format, for trying upgrades.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    breakwater_control::main()
}
