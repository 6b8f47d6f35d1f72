//! What measurements share.

use anyhow::{Context, Result};
use breakwater_testkit::client::AccessKey;
use std::path::Path;

/// CPU microseconds of a process so far; none where it is gone.
pub fn cpu_us(pid: u32) -> Option<f64> {
    // Linux counts in 1/100 s for all that it shows to people.
    const TICK_US: f64 = 10_000.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces: count from its closing parenthesis.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: f64 = rest.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum();
    Some(ticks * TICK_US)
}

/// The key in an AWS credentials file with one profile.
pub fn access_key(path: &Path, region: &str) -> Result<AccessKey> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let field = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(k, _)| k.trim() == name)
            .map(|(_, v)| v.trim().to_owned())
            .with_context(|| format!("{} has no {name}", path.display()))
    };
    Ok(AccessKey {
        id: field("aws_access_key_id")?,
        secret: field("aws_secret_access_key")?,
        region: region.to_owned(),
    })
}
