//! `dynamo-node-broken`: `dynamo-node` with a fault built in, for proving that tests catch it. Never for use.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    breakwater_dynamo::main()
}
