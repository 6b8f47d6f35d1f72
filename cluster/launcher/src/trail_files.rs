//! Lists and copies files that trails have delivered.

use crate::Region;
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// A delivered file, without its contents.
#[derive(Clone, Debug, Deserialize)]
pub struct TrailFile {
    /// `BUCKET/OBJECT`.
    pub path: String,
    pub bytes: u64,
    pub created_unix_ms: i64,
    /// As `x-amz-meta-signature`.
    pub metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Page {
    files: Vec<TrailFile>,
    more: bool,
}

#[derive(Deserialize)]
struct Whole {
    content: String,
}

/// The metadata of a bucket's files, by their paths.
pub type Bucket = BTreeMap<String, BTreeMap<String, String>>;

/// Where a copied file's metadata lies.
pub fn metadata_name(path: &str) -> String {
    format!("{path}.metadata.json")
}

/// Where a file is copied to; what would lead out of the folder isn't copied.
pub fn place(folder: &Path, path: &str) -> Result<PathBuf> {
    let relative = Path::new(path);
    if path.is_empty() || !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        bail!("{path:?} can't be the name of a file");
    }
    Ok(folder.join(relative))
}

impl Region {
    /// Those whose path begins with `prefix`, in order.
    pub fn trail_files(&self, prefix: &str) -> Result<Vec<TrailFile>> {
        let mut all: Vec<TrailFile> = Vec::new();
        loop {
            let after = all.last().map(|file| &file.path);
            let asked = serde_json::json!({ "prefix": prefix, "after": after });
            let page: Page = serde_json::from_value(self.ask_control("/trail-files/list", &asked.to_string())?)?;
            let more = page.more && !page.files.is_empty();
            all.extend(page.files);
            if !more {
                return Ok(all);
            }
        }
    }

    /// All files of one bucket.
    pub(crate) fn trail_bucket(&self, name: &str) -> Result<Bucket> {
        let files = self.trail_files(&format!("{name}/"))?;
        Ok(files.into_iter().map(|file| (file.path, file.metadata)).collect())
    }

    /// The contents of one.
    pub(crate) fn trail_file(&self, path: &str) -> Result<Vec<u8>> {
        let asked = serde_json::json!({ "path": path });
        let whole: Whole = serde_json::from_value(self.ask_control("/trail-files/get", &asked.to_string())?)?;
        STANDARD.decode(whole.content).context("a file's contents can't be read")
    }

    /// Copies them below a folder, each with its metadata beside it, as `NAME.metadata.json`.
    pub fn copy_trail_files(&self, prefix: &str, folder: &Path) -> Result<usize> {
        let files = self.trail_files(prefix)?;
        for file in &files {
            let to = place(folder, &file.path)?;
            let content = self.trail_file(&file.path)?;
            let parent = to.parent().context("a file without a folder")?;
            fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
            fs::write(&to, content).with_context(|| to.display().to_string())?;
            let metadata = place(folder, &metadata_name(&file.path))?;
            fs::write(&metadata, serde_json::to_vec_pretty(&file.metadata)?)
                .with_context(|| metadata.display().to_string())?;
        }
        Ok(files.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_copied_out_of_the_folder() {
        let folder = Path::new("/tmp/x");
        assert_eq!(place(folder, "b/a.json.gz").unwrap(), Path::new("/tmp/x/b/a.json.gz"));
        for bad in ["", "/etc/passwd", "../x", "b/../../x"] {
            assert!(place(folder, bad).is_err(), "{bad}");
        }
    }
}
