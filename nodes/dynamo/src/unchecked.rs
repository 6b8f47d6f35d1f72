//! `dynamo-node-unchecked`: `dynamo-node` that lets everybody in and everything be done, for measuring what checking
//! costs. Never for use.

const _: () = assert!(breakwater_aws::UNCHECKED);

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    breakwater_dynamo::main()
}
