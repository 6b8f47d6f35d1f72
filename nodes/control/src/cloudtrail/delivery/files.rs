//! Log files and digests: their names and contents, as CloudTrail has them. Pure.

use breakwater_audit::Category;
use breakwater_audit::trails::{Facts, LastDigest, LogFile, Trail, Wants};
use breakwater_aws::{Event, audit};
use breakwater_types::{Region, rfc3339};
use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Write;
use time::OffsetDateTime;

/// Those whose events don't belong to any region.
const GLOBAL_SOURCES: &[&str] = &["cloudfront.amazonaws.com", "iam.amazonaws.com", "sts.amazonaws.com"];
pub const SIGNATURE_ALGORITHM: &str = "SHA256withRSA";

/// A file, ready to be put.
pub struct File {
    pub object: String,
    /// SHA-256 of its contents before they were compressed, in hex.
    pub hash: String,
    pub compressed: Vec<u8>,
}

pub fn hash(contents: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(contents))
}

fn gzip(contents: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(contents.len() / 8), Compression::fast());
    encoder.write_all(contents)?;
    encoder.finish()
}

fn time(unix_s: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix_s).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn folder(trail: &Trail, kind: &str, region: &Region, at: OffsetDateTime) -> String {
    let prefix = trail.prefix.as_ref().map_or(String::new(), |prefix| format!("{prefix}/"));
    let (account, month) = (&trail.account, u8::from(at.month()));
    format!("{prefix}AWSLogs/{account}/{kind}/{region}/{:04}/{month:02}/{:02}", at.year(), at.day())
}

/// Whether a trail wants this event: as it was when the event happened.
pub fn wants(trail: &Trail, category: Category, event: &Event) -> bool {
    let all: Vec<&Wants> = trail.wants_of(event.unix_ms).collect();
    if all.is_empty() {
        return false;
    }
    if category == Category::Management && all.iter().any(|wants| **wants == Wants::default()) {
        return true;
    }
    let Ok(record) = serde_json::from_str::<Value>(&event.record) else { return false };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let source = text(&record["eventSource"]);
    let is_global = GLOBAL_SOURCES.contains(&source.as_str());
    let resources = audit::typed_resources(&event.resources);
    let resources: Vec<(&str, &str)> = resources.iter().map(|(kind, arn)| (*kind, arn.as_str())).collect();
    let facts = Facts {
        data: category == Category::Data,
        source: &source,
        name: &text(&record["eventName"]),
        read_only: record["readOnly"].as_bool().unwrap_or(false),
        kind: &text(&record["eventType"]),
        identity_arn: &text(&record["userIdentity"]["arn"]),
        from_console: record["sessionCredentialFromConsole"] == "true",
        resources: &resources,
    };
    all.iter().any(|wants| (wants.includes_global || !is_global) && wants.selectors.select(&facts))
}

/// `{"Records":[…]}` of these events, which are at least one.
pub fn log_file(
    trail: &Trail,
    region: &Region,
    events: &[Event],
    now_s: i64,
    unique: &str,
) -> std::io::Result<(File, LogFile)> {
    let mut contents = Vec::with_capacity(32 + events.iter().map(|e| e.record.len() + 1).sum::<usize>());
    contents.extend_from_slice(b"{\"Records\":[");
    for (n, event) in events.iter().enumerate() {
        if n > 0 {
            contents.push(b',');
        }
        contents.extend_from_slice(event.record.as_bytes());
    }
    contents.extend_from_slice(b"]}");
    let at = time(now_s);
    let object = format!(
        "{}/{}_CloudTrail_{region}_{:04}{:02}{:02}T{:02}{:02}Z_{unique}.json.gz",
        folder(trail, "CloudTrail", region, at),
        trail.account,
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
    );
    let file = File { hash: hash(&contents), compressed: gzip(&contents)?, object };
    let times = || events.iter().map(|event| event.unix_ms);
    let named = LogFile {
        bucket: trail.bucket.clone(),
        object: file.object.clone(),
        hash: file.hash.clone(),
        oldest_unix_ms: times().min().unwrap_or_default(),
        newest_unix_ms: times().max().unwrap_or_default(),
    };
    Ok((file, named))
}

/// What a digest tells.
pub struct Told<'a> {
    pub trail: &'a Trail,
    pub region: &'a Region,
    pub from_s: i64,
    pub to_s: i64,
    pub fingerprint: &'a str,
    pub previous: Option<&'a LastDigest>,
    pub files: &'a [LogFile],
}

/// The digest's file, and the text that is signed.
pub fn digest(told: &Told<'_>) -> std::io::Result<(File, String)> {
    let Told { trail, region, from_s, to_s, fingerprint, previous, files } = told;
    let (at, account) = (time(*to_s), &trail.account);
    let object = format!(
        "{}/{account}_CloudTrail-Digest_{region}_{}_{region}_{:04}{:02}{:02}T{:02}{:02}{:02}Z.json.gz",
        folder(trail, "CloudTrail-Digest", region, at),
        trail.name,
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
    );
    let second = |unix_ms: i64| rfc3339(unix_ms.div_euclid(1_000));
    let end = rfc3339(*to_s);
    let log_files: Vec<Value> = files
        .iter()
        .map(|file| {
            json!({
                "s3Bucket": file.bucket,
                "s3Object": file.object,
                "hashValue": file.hash,
                "hashAlgorithm": "SHA-256",
                "newestEventTime": second(file.newest_unix_ms),
                "oldestEventTime": second(file.oldest_unix_ms),
            })
        })
        .collect();
    let contents = json!({
        "awsAccountId": account,
        "digestStartTime": rfc3339(*from_s),
        "digestEndTime": end,
        "digestS3Bucket": trail.bucket,
        "digestS3Object": object,
        "digestPublicKeyFingerprint": fingerprint,
        "digestSignatureAlgorithm": SIGNATURE_ALGORITHM,
        "newestEventTime": files.iter().map(|file| file.newest_unix_ms).max().map(second),
        "oldestEventTime": files.iter().map(|file| file.oldest_unix_ms).min().map(second),
        "previousDigestS3Bucket": previous.map(|last| &last.bucket),
        "previousDigestS3Object": previous.map(|last| &last.object),
        "previousDigestHashValue": previous.map(|last| &last.hash),
        "previousDigestHashAlgorithm": previous.map(|_| "SHA-256"),
        "previousDigestSignature": previous.map(|last| &last.signature),
        "logFiles": log_files,
    });
    let contents = contents.to_string().into_bytes();
    let hash = hash(&contents);
    let before = previous.map_or("null", |last| last.signature.as_str());
    let to_sign = format!("{end}\n{}/{object}\n{hash}\n{before}", trail.bucket);
    Ok((File { hash, compressed: gzip(&contents)?, object }, to_sign))
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_types::AccountId;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn trail() -> Trail {
        let mut trail = Trail::new(1, AccountId::new("111122223333").unwrap(), "music", 0);
        trail.bucket = "logs".to_owned();
        trail.prefix = Some("a/b".to_owned());
        trail.validated = true;
        trail.start(1_000);
        trail
    }

    fn event(unix_ms: i64, record: Value) -> Event {
        Event {
            account: trail().account,
            unix_ms,
            id: 7,
            done: true,
            access_key_id: String::new(),
            user_name: String::new(),
            resources: vec![],
            record: record.to_string(),
        }
    }

    fn contents(file: &File) -> Vec<u8> {
        let mut contents = Vec::new();
        GzDecoder::new(&file.compressed[..]).read_to_end(&mut contents).unwrap();
        contents
    }

    #[test]
    fn files_lie_and_read_as_awss() {
        let region = Region::new("us-east-1").unwrap();
        let events = [event(2_000, json!({"eventID": "1"})), event(1_500, json!({"eventID": "2"}))];
        let (file, named) = log_file(&trail(), &region, &events, 1_440_000_000, "9nYN7gp2eWAJHIfT").unwrap();
        assert_eq!(
            file.object,
            "a/b/AWSLogs/111122223333/CloudTrail/us-east-1/2015/08/19/\
             111122223333_CloudTrail_us-east-1_20150819T1600Z_9nYN7gp2eWAJHIfT.json.gz"
        );
        assert_eq!(contents(&file), br#"{"Records":[{"eventID":"1"},{"eventID":"2"}]}"#);
        assert_eq!((named.oldest_unix_ms, named.newest_unix_ms), (1_500, 2_000));
        let told = Told {
            trail: &trail(),
            region: &region,
            from_s: 1_439_996_400,
            to_s: 1_440_000_000,
            fingerprint: "f",
            previous: None,
            files: &[named],
        };
        let (first, to_sign) = digest(&told).unwrap();
        assert_eq!(
            first.object,
            "a/b/AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2015/08/19/\
             111122223333_CloudTrail-Digest_us-east-1_music_us-east-1_20150819T160000Z.json.gz"
        );
        let read: Value = serde_json::from_slice(&contents(&first)).unwrap();
        assert_eq!(read["digestStartTime"], "2015-08-19T15:00:00Z");
        assert_eq!(read["logFiles"][0]["hashValue"], file.hash.as_str());
        assert_eq!(read["previousDigestSignature"], Value::Null);
        assert_eq!(to_sign, format!("2015-08-19T16:00:00Z\nlogs/{}\n{}\nnull", first.object, first.hash));
        let last = LastDigest { bucket: "logs".into(), object: first.object, hash: first.hash, signature: "ab".into() };
        let (second, to_sign) = digest(&Told { previous: Some(&last), files: &[], ..told }).unwrap();
        let read: Value = serde_json::from_slice(&contents(&second)).unwrap();
        assert_eq!((&read["previousDigestSignature"], &read["newestEventTime"]), (&json!("ab"), &Value::Null));
        assert!(to_sign.ends_with("\nab"));
    }

    #[test]
    fn a_trail_wants_what_it_covers_and_selects() {
        let (of_iam, of_tables) =
            (json!({"eventSource": "iam.amazonaws.com"}), json!({"eventSource": "dynamodb.amazonaws.com"}));
        assert!(wants(&trail(), Category::Management, &event(1_000, of_iam.clone())));
        assert!(!wants(&trail(), Category::Management, &event(999, of_iam.clone())));
        assert!(!wants(&trail(), Category::Data, &event(1_000, of_tables.clone())));
        let mut regional = trail();
        regional.want(Wants { includes_global: false, ..Wants::default() }, 2_000);
        assert!(!wants(&regional, Category::Management, &event(2_000, of_iam.clone())));
        assert!(wants(&regional, Category::Management, &event(2_000, of_tables)));
        // What happened before is as it was wanted then.
        assert!(wants(&regional, Category::Management, &event(1_999, of_iam)));
    }
}
