//! `control-node`: the region's front door and the control plane.

#[cfg(feature = "previous-format")]
compile_error!("a node of the previous format is control-node-previous: --bin control-node-previous");

const _: () = assert!(!breakwater_aws::UNCHECKED, "a control node that checks nothing doesn't exist");

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    breakwater_control::main()
}
