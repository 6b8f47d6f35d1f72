//! Validates what trails have delivered: the chains of digests, and the log files that they name. What
//! `aws cloudtrail validate-logs` does, which reads from S3 alone.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html>
//!
//! What is missing at a chain's end can't be told from the files, here as there: GetTrailStatus says when the last
//! digest was delivered.

use crate::Region;
use crate::public_keys::{PublicKeys, sha256_hex};
use crate::trail_files::{Bucket, metadata_name, place};
use anyhow::{Context, Result};
use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use data_encoding::HEXLOWER;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Of a digest, after it was decompressed: 20,000 files are about 8 MB.
const DIGEST_BYTES_MAX: u64 = 64 << 20;
const SIGNATURE: &str = "x-amz-meta-signature";

const NOT_FOUND: &str = "not found";
const BAD_FORMAT: &str = "invalid format";
const BAD_HASH: &str = "hash value doesn't match";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Digest {
    digest_start_time: String,
    digest_end_time: String,
    #[serde(rename = "digestS3Bucket")]
    bucket: String,
    #[serde(rename = "digestS3Object")]
    object: String,
    digest_public_key_fingerprint: String,
    #[serde(rename = "previousDigestS3Bucket")]
    previous_bucket: Option<String>,
    #[serde(rename = "previousDigestS3Object")]
    previous_object: Option<String>,
    previous_digest_hash_value: Option<String>,
    previous_digest_signature: Option<String>,
    log_files: Vec<LogFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogFile {
    #[serde(rename = "s3Bucket")]
    bucket: String,
    #[serde(rename = "s3Object")]
    object: String,
    hash_value: String,
}

/// What the digest after it says of one.
struct Expected {
    hash: Option<String>,
    signature: Option<String>,
}

/// A file's contents as they lie there, and its metadata.
type Found = (Vec<u8>, BTreeMap<String, String>);

/// Where files are read from. Paths are `BUCKET/OBJECT`.
trait Source {
    fn list(&mut self) -> Result<Vec<String>>;
    /// None where there is no such file.
    fn read(&mut self, path: &str) -> Result<Option<Found>>;
}

/// As `copy` leaves it.
struct Folder(PathBuf);

impl Folder {
    fn collect(&self, within: &Path, found: &mut Vec<String>) -> Result<()> {
        for entry in std::fs::read_dir(within).with_context(|| within.display().to_string())? {
            let entry = entry?;
            let path = entry.path();
            // What a link leads to isn't in the folder.
            if entry.file_type()?.is_dir() {
                self.collect(&path, found)?;
            } else if let Some(name) = path.strip_prefix(&self.0).ok().and_then(Path::to_str) {
                found.push(name.to_owned());
            }
        }
        Ok(())
    }

    fn content(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = place(&self.0, name)?;
        // Nothing that copy doesn't make, as a pipe or a folder in a file's place, is read: it is as if nothing was there.
        if !std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
            return Ok(None);
        }
        std::fs::read(&path).map(Some).with_context(|| path.display().to_string())
    }
}

impl Source for Folder {
    fn list(&mut self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        self.collect(&self.0, &mut found)?;
        Ok(found)
    }

    fn read(&mut self, path: &str) -> Result<Option<Found>> {
        let Some(content) = self.content(path)? else { return Ok(None) };
        let metadata = self.content(&metadata_name(path))?;
        // Only digests need it, and one without a signature is invalid.
        let metadata = metadata.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Ok(Some((content, metadata)))
    }
}

/// The region's own files. A digest may name files in a bucket that the trail had before: each is listed when it is
/// first asked for.
struct Delivered<'a> {
    region: &'a Region,
    prefix: String,
    buckets: BTreeMap<String, Bucket>,
}

impl Source for Delivered<'_> {
    fn list(&mut self) -> Result<Vec<String>> {
        Ok(self.region.trail_files(&self.prefix)?.into_iter().map(|file| file.path).collect())
    }

    fn read(&mut self, path: &str) -> Result<Option<Found>> {
        let name = path.split('/').next().unwrap_or_default();
        if !self.buckets.contains_key(name) {
            self.buckets.insert(name.to_owned(), self.region.trail_bucket(name)?);
        }
        let Some(metadata) = self.buckets.get(name).and_then(|bucket| bucket.get(path)) else { return Ok(None) };
        Ok(Some((self.region.trail_file(path)?, metadata.clone())))
    }
}

/// What is the same in the names of all digests of a trail, and the time in this one's:
/// `ACCOUNT_CloudTrail-Digest_REGION_TRAIL_REGION` and `20150819T160000Z`.
fn digest_name(path: &str) -> Option<(&str, &str)> {
    let (trail, time) = path.rsplit('/').next()?.strip_suffix(".json.gz")?.rsplit_once('_')?;
    trail.contains("_CloudTrail-Digest_").then_some((trail, time))
}

fn is_log_file(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.contains("_CloudTrail_") && name.ends_with(".json.gz"))
}

/// `TRAIL of ACCOUNT in REGION`.
fn trail_in_words(trail: &str) -> String {
    let words = || {
        let (account, rest) = trail.split_once("_CloudTrail-Digest_")?;
        let (region, rest) = rest.split_once('_')?;
        // The home region stands at the end; a trail's name may have underscores.
        Some(format!("trail {} of {account} in {region}", rest.rsplit_once('_')?.0))
    };
    words().unwrap_or_else(|| trail.to_owned())
}

/// Of what is compressed there, piece by piece: it may be large. None if it isn't gzip.
fn hash_within(compressed: &[u8]) -> Option<String> {
    let (mut decoder, mut hash) = (MultiGzDecoder::new(compressed), digest::Context::new(&SHA256));
    let mut piece = vec![0; 64 << 10];
    loop {
        match decoder.read(&mut piece).ok()? {
            0 => return Some(HEXLOWER.encode(hash.finish().as_ref())),
            n => hash.update(&piece[..n]),
        }
    }
}

fn decompressed(compressed: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut decoder = MultiGzDecoder::new(compressed).take(DIGEST_BYTES_MAX + 1);
    decoder.read_to_end(&mut content).ok()?;
    (content.len() as u64 <= DIGEST_BYTES_MAX).then_some(content)
}

/// What the trail signed.
fn string_to_sign(digest: &Digest, hash: &str) -> String {
    let before = digest.previous_digest_signature.as_deref().unwrap_or("null");
    format!("{}\n{}/{}\n{hash}\n{before}", digest.digest_end_time, digest.bucket, digest.object)
}

/// The digest, or why it is invalid.
fn checked_digest(
    path: &str,
    found: Option<Found>,
    expected: Option<&Expected>,
    keys: &PublicKeys,
) -> Result<Digest, String> {
    let (compressed, metadata) = found.ok_or(NOT_FOUND)?;
    let content = decompressed(&compressed).ok_or(BAD_FORMAT)?;
    let digest: Digest = serde_json::from_slice(&content).map_err(|_| BAD_FORMAT)?;
    if format!("{}/{}", digest.bucket, digest.object) != path {
        return Err("has been moved from its original location".to_owned());
    }
    let fingerprint = &digest.digest_public_key_fingerprint;
    let key = keys.get(fingerprint).ok_or_else(|| format!("public key not found for fingerprint {fingerprint}"))?;
    let hash = sha256_hex(&content);
    let signature = metadata.get(SIGNATURE);
    let bytes = signature.and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok()).unwrap_or_default();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
        .verify(string_to_sign(&digest, &hash).as_bytes(), &bytes)
        .map_err(|_| "signature verification failed")?;
    // Signed too, but not the one that the chain goes on from.
    if expected.is_some_and(|e| e.hash.as_ref() != Some(&hash) || e.signature.as_ref() != signature) {
        return Err("the digest after it names another one in its place".to_owned());
    }
    Ok(digest)
}

#[derive(Default)]
struct Count {
    valid: usize,
    invalid: usize,
}

impl Count {
    fn words(&self, what: &str) -> String {
        let all = self.valid + self.invalid;
        let mut words = format!("{}/{all} {what} files valid", self.valid);
        if self.invalid > 0 {
            let _ = write!(words, ", {}/{all} {what} files INVALID", self.invalid);
        }
        words
    }
}

/// Of one trail.
#[derive(Default)]
struct Chain {
    digests: Count,
    logs: Count,
    /// From when to when valid digests tell.
    span: Option<(String, String)>,
    begins: usize,
}

impl Chain {
    fn widen(&mut self, digest: &Digest) {
        let (start, end) = (&digest.digest_start_time, &digest.digest_end_time);
        let (from, to) = self.span.take().unwrap_or_else(|| (start.clone(), end.clone()));
        self.span = Some((from.min(start.clone()), to.max(end.clone())));
    }

    fn summary(&self, trail: &str) -> String {
        let span = match &self.span {
            Some((from, to)) => format!("{from} to {to}"),
            None => "no valid digest".to_owned(),
        };
        let trail = trail_in_words(trail);
        let mut line =
            format!("Results found for {trail}, {span}: {}, {}", self.digests.words("digest"), self.logs.words("log"));
        if self.begins > 1 {
            // Validation, or logging, was off in between.
            let _ = write!(line, " ({} chains, one after the other)", self.begins);
        }
        line
    }
}

/// What was found of some trails' files.
#[derive(Default)]
pub struct Report {
    /// A line for each file that isn't as it was delivered.
    pub invalid: Vec<String>,
    /// A line for each trail.
    pub summaries: Vec<String>,
    /// Log files that no valid digest names: nothing is known of them.
    pub unnamed: usize,
}

impl Report {
    pub fn is_valid(&self) -> bool {
        self.invalid.is_empty() && !self.summaries.is_empty()
    }

    fn tell(&mut self, kind: &str, path: &str, why: &str) {
        self.invalid.push(format!("{kind} file\ts3://{path}\tINVALID: {why}"));
    }
}

struct Validation<'a> {
    source: &'a mut dyn Source,
    keys: &'a PublicKeys,
    report: Report,
    /// Log files that valid digests name.
    named: BTreeSet<String>,
}

impl Validation<'_> {
    fn log_file(&mut self, log: &LogFile, chain: &mut Chain) -> Result<()> {
        let path = format!("{}/{}", log.bucket, log.object);
        let why = match self.source.read(&path)? {
            None => Some(NOT_FOUND),
            Some((compressed, _)) => match hash_within(&compressed) {
                None => Some(BAD_FORMAT),
                Some(hash) => (hash != log.hash_value).then_some(BAD_HASH),
            },
        };
        match why {
            Some(why) => {
                chain.logs.invalid += 1;
                self.report.tell("Log", &path, why);
            }
            None => chain.logs.valid += 1,
        }
        self.named.insert(path);
        Ok(())
    }

    /// All digests of a trail, the newest first: what a valid one says of the one before is known when that one is
    /// read, and one that nobody has listed is missed. `left` has those that are still to be read, by their time.
    fn chain(&mut self, trail: &str, mut left: BTreeSet<(String, String)>) -> Result<()> {
        let (mut chain, mut expected, mut seen) = (Chain::default(), BTreeMap::new(), BTreeSet::new());
        while let Some((_, path)) = left.pop_last() {
            if !seen.insert(path.clone()) {
                continue;
            }
            let digest = match checked_digest(&path, self.source.read(&path)?, expected.get(&path), self.keys) {
                Ok(digest) => digest,
                Err(why) => {
                    chain.digests.invalid += 1;
                    self.report.tell("Digest", &path, &why);
                    continue;
                }
            };
            chain.digests.valid += 1;
            chain.widen(&digest);
            for log in &digest.log_files {
                self.log_file(log, &mut chain)?;
            }
            match (digest.previous_bucket, digest.previous_object) {
                (Some(bucket), Some(object)) => {
                    let before = format!("{bucket}/{object}");
                    let time = digest_name(&before).map_or(String::new(), |(_, time)| time.to_owned());
                    let (hash, signature) = (digest.previous_digest_hash_value, digest.previous_digest_signature);
                    expected.insert(before.clone(), Expected { hash, signature });
                    left.insert((time, before));
                }
                _ => chain.begins += 1,
            }
        }
        self.report.summaries.push(chain.summary(trail));
        Ok(())
    }
}

fn validate(source: &mut dyn Source, keys: &PublicKeys) -> Result<Report> {
    let paths = source.list()?;
    let mut trails: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for path in &paths {
        if let Some((trail, time)) = digest_name(path) {
            trails.entry(trail.to_owned()).or_default().insert((time.to_owned(), path.clone()));
        }
    }
    let mut validation = Validation { source, keys, report: Report::default(), named: BTreeSet::new() };
    for (trail, digests) in trails {
        validation.chain(&trail, digests)?;
    }
    let Validation { mut report, named, .. } = validation;
    report.unnamed = paths.iter().filter(|path| is_log_file(path) && !named.contains(*path)).count();
    Ok(report)
}

impl Region {
    /// Of a folder that `copy` has made.
    pub fn validate_folder(&self, folder: &Path) -> Result<Report> {
        validate(&mut Folder(folder.to_owned()), &self.public_keys()?)
    }

    /// Of what lies in a bucket, or below `BUCKET/PREFIX`.
    pub fn validate_bucket(&self, prefix: &str) -> Result<Report> {
        // A bucket, not all whose names begin so.
        let prefix = if prefix.contains('/') { prefix.to_owned() } else { format!("{prefix}/") };
        validate(&mut Delivered { region: self, prefix, buckets: BTreeMap::new() }, &self.public_keys()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::{Value, json};
    use std::io::Write;

    /// A bucket in memory, and what signs there.
    struct Files {
        files: BTreeMap<String, Found>,
        pair: KeyPair,
    }

    impl Source for Files {
        fn list(&mut self) -> Result<Vec<String>> {
            Ok(self.files.keys().cloned().collect())
        }

        fn read(&mut self, path: &str) -> Result<Option<Found>> {
            Ok(self.files.get(path).cloned())
        }
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn log(n: usize) -> String {
        format!("AWSLogs/1/CloudTrail/us-east-1/2026/01/01/1_CloudTrail_us-east-1_20260101T0{n}00Z_x.json.gz")
    }

    fn digest(n: usize) -> String {
        let folder = "AWSLogs/1/CloudTrail-Digest/us-east-1/2026/01/01";
        format!("{folder}/1_CloudTrail-Digest_us-east-1_my_trail_us-east-1_20260101T0{n}0000Z.json.gz")
    }

    impl Files {
        /// Three digests, each with a log file, and a log file that is in none yet.
        fn new() -> Self {
            let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
            let mut files = Files { files: BTreeMap::new(), pair };
            for n in 1..=4 {
                files.files.insert(format!("b/{}", log(n)), (gzip(format!("log {n}").as_bytes()), BTreeMap::new()));
            }
            let mut before = None;
            for n in 1..=3 {
                before = Some(files.sign(n, before.as_ref()));
            }
            files
        }

        fn keys(&self) -> PublicKeys {
            BTreeMap::from([("f".to_owned(), self.pair.public_key().as_ref().to_vec())])
        }

        /// Hash and signature of the digest.
        fn sign(&mut self, n: usize, before: Option<&(String, String)>) -> (String, String) {
            let content = json!({
                "digestStartTime": format!("2026-01-01T0{}:00:00Z", n - 1),
                "digestEndTime": format!("2026-01-01T0{n}:00:00Z"),
                "digestS3Bucket": "b",
                "digestS3Object": digest(n),
                "digestPublicKeyFingerprint": "f",
                "previousDigestS3Bucket": before.map(|_| "b"),
                "previousDigestS3Object": before.map(|_| digest(n - 1)),
                "previousDigestHashValue": before.map(|(hash, _)| hash),
                "previousDigestSignature": before.map(|(_, signature)| signature),
                "logFiles": [{"s3Bucket": "b", "s3Object": log(n),
                              "hashValue": sha256_hex(format!("log {n}").as_bytes())}],
            });
            let content = content.to_string().into_bytes();
            let (read, hash) = (serde_json::from_slice(&content).unwrap(), sha256_hex(&content));
            let mut signature = vec![0; self.pair.public_modulus_len()];
            let to_sign = string_to_sign(&read, &hash);
            self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), to_sign.as_bytes(), &mut signature).unwrap();
            let signature = HEXLOWER.encode(&signature);
            let metadata = BTreeMap::from([(SIGNATURE.to_owned(), signature.clone())]);
            self.files.insert(format!("b/{}", digest(n)), (gzip(&content), metadata));
            (hash, signature)
        }

        fn swap(&mut self, one: &str, other: &str) {
            let (a, b) = (self.files.remove(one).unwrap(), self.files.remove(other).unwrap());
            self.files.extend([(one.to_owned(), b), (other.to_owned(), a)]);
        }

        /// What is said of the files, without their folders, and the summary's counts.
        fn said(&mut self) -> (Vec<String>, String) {
            let keys = self.keys();
            let report = validate(self, &keys).unwrap();
            assert_eq!(report.is_valid(), report.invalid.is_empty());
            let short = |line: &String| {
                let (kind, rest) = line.split_once('\t').unwrap();
                format!("{kind} {}", rest.rsplit('/').next().unwrap().rsplit_once("T0").unwrap().1)
            };
            let (_, counts) = report.summaries[0].split_once("00Z: ").unwrap();
            (report.invalid.iter().map(short).collect(), counts.to_owned())
        }
    }

    #[test]
    fn a_chain_as_it_was_delivered_is_valid() {
        let mut files = Files::new();
        let keys = files.keys();
        let report = validate(&mut files, &keys).unwrap();
        let summary = "Results found for trail my_trail of 1 in us-east-1, 2026-01-01T00:00:00Z to 2026-01-01T03:00:00Z: \
                       3/3 digest files valid, 3/3 log files valid";
        assert_eq!((report.summaries.as_slice(), report.unnamed), (&[summary.to_owned()][..], 1));
        assert!(report.is_valid());
        let report = validate(&mut files, &PublicKeys::new()).unwrap();
        assert!(report.invalid.len() == 3 && report.invalid[0].ends_with("public key not found for fingerprint f"));
        files.files.clear();
        assert!(!validate(&mut files, &keys).unwrap().is_valid(), "nothing was validated");
    }

    #[test]
    fn log_files_that_are_changed_or_missing_are_found() {
        let mut files = Files::new();
        files.files.get_mut(&format!("b/{}", log(1))).unwrap().0 = gzip(b"log 2");
        files.files.get_mut(&format!("b/{}", log(2))).unwrap().0 = b"no gzip".to_vec();
        files.files.remove(&format!("b/{}", log(3)));
        let (invalid, counts) = files.said();
        let of = |n, why: &str| format!("Log file {n}00Z_x.json.gz\tINVALID: {why}");
        assert_eq!(invalid, [of(3, NOT_FOUND), of(2, BAD_FORMAT), of(1, BAD_HASH)]);
        assert_eq!(counts, "3/3 digest files valid, 0/3 log files valid, 3/3 log files INVALID");
    }

    fn bad_digest(n: usize, why: &str) -> String {
        format!("Digest file {n}0000Z.json.gz\tINVALID: {why}")
    }

    #[test]
    fn digests_that_are_missing_changed_or_moved_are_found() {
        let mut files = Files::new();
        files.files.remove(&format!("b/{}", digest(2)));
        let (invalid, counts) = files.said();
        assert_eq!(invalid, [bad_digest(2, NOT_FOUND)]);
        assert_eq!(counts, "2/3 digest files valid, 1/3 digest files INVALID, 2/2 log files valid");

        let mut files = Files::new();
        let changed = files.files.get_mut(&format!("b/{}", digest(3))).unwrap();
        let mut told: Value = serde_json::from_slice(&decompressed(&changed.0).unwrap()).unwrap();
        told["logFiles"] = json!([]);
        changed.0 = gzip(told.to_string().as_bytes());
        files.files.get_mut(&format!("b/{}", digest(1))).unwrap().1.clear();
        let why = "signature verification failed";
        assert_eq!(files.said().0, [bad_digest(3, why), bad_digest(1, why)]);

        let mut files = Files::new();
        files.swap(&format!("b/{}", digest(1)), &format!("b/{}", digest(2)));
        let why = "has been moved from its original location";
        assert_eq!(files.said().0, [bad_digest(2, why), bad_digest(1, why)]);
    }

    #[test]
    fn one_that_is_signed_but_not_of_the_chain_is_found() {
        let mut files = Files::new();
        files.sign(2, None);
        assert_eq!(files.said().0, [bad_digest(2, "the digest after it names another one in its place")]);
    }

    #[test]
    fn a_chain_that_begins_anew_is_told() {
        let mut files = Files::new();
        files.sign(3, None);
        let (invalid, counts) = files.said();
        assert_eq!((invalid.as_slice(), counts.ends_with(" (2 chains, one after the other)")), (&[][..], true));
    }
}
