//! The AWS profile that `scripts/up` writes, beside those that are there.

use anyhow::{Context, Result};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

fn path_of(variable: &str, name: &str) -> Result<PathBuf> {
    match std::env::var_os(variable) {
        Some(path) => Ok(path.into()),
        None => {
            let home = std::env::var_os("HOME").context("HOME is not set")?;
            Ok(Path::new(&home).join(".aws").join(name))
        }
    }
}

/// The text with the section replaced, or added at its end.
fn with_section(text: &str, header: &str, lines: &[String]) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.trim_start().starts_with('[') {
            inside = line.trim() == header;
        }
        if !inside {
            out.push_str(line);
            out.push('\n');
        }
    }
    if !out.is_empty() && !out.ends_with("\n\n") {
        out.push('\n');
    }
    out.push_str(header);
    out.push('\n');
    for line in lines {
        out.push_str(line);
        out.push('\n');
    }
    out
}

fn rewrite(path: &Path, header: &str, lines: &[String]) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let old = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).with_context(|| path.display().to_string()),
    };
    let part = path.with_extension("breakwater-part");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(with_section(&old, header, lines).as_bytes())?;
    file.sync_all()?;
    fs::rename(&part, path).with_context(|| path.display().to_string())
}

/// Writes `[profile NAME]` and its credentials.
pub fn write(name: &str, endpoint: &str, region: &str, ca_pem: &Path, access_key_id: &str, secret: &str) -> Result<()> {
    rewrite(
        &path_of("AWS_SHARED_CREDENTIALS_FILE", "credentials")?,
        &format!("[{name}]"),
        &[format!("aws_access_key_id = {access_key_id}"), format!("aws_secret_access_key = {secret}")],
    )?;
    rewrite(
        &path_of("AWS_CONFIG_FILE", "config")?,
        &format!("[profile {name}]"),
        &[
            format!("region = {region}"),
            format!("endpoint_url = {endpoint}"),
            format!("ca_bundle = {}", ca_pem.display()),
            "output = json".to_owned(),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_profiles_stay_and_ours_is_replaced() {
        let old = "[default]\na = 1\n\n[breakwater]\nold = 1\n\n[other]\nb = 2\n";
        let new = with_section(old, "[breakwater]", &["new = 1".to_owned()]);
        assert_eq!(new, "[default]\na = 1\n\n[other]\nb = 2\n\n[breakwater]\nnew = 1\n");
        assert_eq!(with_section(&new, "[breakwater]", &["new = 1".to_owned()]), new);
    }
}
