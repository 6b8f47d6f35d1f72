//! Compiles every `.proto` of this folder with protox, so that no machine needs protoc.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=.");
    let mut files: Vec<PathBuf> = std::fs::read_dir(".")?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "proto"))
        .collect();
    files.sort();
    let descriptors = protox::compile(&files, ["."])?;
    // Secrets can't be printed by mistake.
    let secret = ["breakwater.instance.Credentials"];
    tonic_prost_build::configure().bytes(".").skip_debug(secret).compile_fds(descriptors)?;
    Ok(())
}
