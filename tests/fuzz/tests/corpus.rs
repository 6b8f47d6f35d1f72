//! All targets on the corpus, and on copies of it that were changed at random: without the fuzzer, in seconds.

use breakwater_fuzz::TARGETS;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::path::{Path, PathBuf};

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

fn changed(rng: &mut StdRng, inputs: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = inputs[rng.random_range(0..inputs.len())].1.clone();
    for _ in 0..rng.random_range(1..6) {
        if bytes.is_empty() {
            bytes.push(rng.random());
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..5) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => bytes.truncate(at),
            3 => {
                let end = rng.random_range(at..=bytes.len().min(at + 16));
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let other = &inputs[rng.random_range(0..inputs.len())].1;
                let from = rng.random_range(0..=other.len());
                bytes.splice(at.., other[from..].iter().copied());
            }
        }
    }
    bytes.truncate(64 << 10);
    bytes
}

fn run(name: &str, rounds: u32) {
    let target = breakwater_fuzz::target(name).unwrap();
    let inputs = corpus(name);
    assert!(inputs.len() >= 5, "{name} has a corpus of {}", inputs.len());
    for (path, bytes) in &inputs {
        println!("{}", path.display());
        (target.run)(bytes);
    }
    let mut rng = StdRng::seed_from_u64(1);
    for _ in 0..rounds {
        let bytes = changed(&mut rng, &inputs);
        // Shown where it fails: to be put into the corpus.
        let shown = std::panic::catch_unwind(|| (target.run)(&bytes));
        assert!(shown.is_ok(), "{name} on {}", bytes.escape_ascii());
    }
}

#[test]
fn every_target_has_a_test() {
    let tested = [
        "expression",
        "form",
        "jwt",
        "key",
        "log",
        "number",
        "policy",
        "proxy",
        "record",
        "saml",
        "signature",
        "stored",
        "token",
        "value",
    ];
    assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), tested);
}

macro_rules! targets {
    ($($name:ident $rounds:literal),* $(,)?) => {$(
        #[test]
        fn $name() {
            run(stringify!($name), $rounds);
        }
    )*};
}

targets! {
    expression 500_000, form 300_000, jwt 100_000, key 1_000_000, log 3_000, number 1_000_000, policy 200_000, proxy 1_000_000,
    record 1_000_000, saml 20_000, signature 200_000, stored 1_000_000, token 300_000, value 500_000,
}
