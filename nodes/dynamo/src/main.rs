//! `dynamo-node`: replicas of table partitions, and a front door for DynamoDB alone.

#[cfg(feature = "broken")]
compile_error!("a node that is broken on purpose is dynamo-node-broken: --bin dynamo-node-broken");

#[cfg(feature = "previous-format")]
compile_error!("a node of the previous format is dynamo-node-previous: --bin dynamo-node-previous");

const _: () = assert!(!breakwater_aws::UNCHECKED, "a node that checks nothing is dynamo-node-unchecked");

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    breakwater_dynamo::main()
}
