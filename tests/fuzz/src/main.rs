//! libFuzzer on the target that BREAKWATER_FUZZ_TARGET names. `scripts/fuzz` builds and starts it.
#![no_main]

use breakwater_fuzz::{TARGETS, Target, target};
use std::sync::OnceLock;

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("BREAKWATER_FUZZ_TARGET").unwrap_or_default();
        target(&name).unwrap_or_else(|| {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            eprintln!("BREAKWATER_FUZZ_TARGET is none of {}", names.join(", "));
            std::process::exit(2);
        })
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| (chosen().run)(data));
