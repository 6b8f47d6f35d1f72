//! The public keys that digests of trails are verified with: CloudTrail's ListPublicKeys, as the administrator.

use crate::hosts::FRONT_PORT;
use crate::{AdminCredentials, Region, pages};
use anyhow::{Context, Result, bail};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use time::OffsetDateTime;

const TARGET: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.ListPublicKeys";
const SIGNED_HEADERS: &str = "host;x-amz-date;x-amz-target";
const PATIENCE: Duration = Duration::from_secs(10);

/// By fingerprint, PKCS #1 in DER.
pub type PublicKeys = BTreeMap<String, Vec<u8>>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    public_key_list: Vec<PublicKey>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PublicKey {
    value: String,
    fingerprint: String,
}

pub fn sha256_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hmac_sha256(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

/// `X-Amz-Date` and `Authorization` by Signature Version 4.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>
fn signature(
    admin: &AdminCredentials,
    region: &str,
    host: &str,
    body: &[u8],
    now: OffsetDateTime,
) -> [(&'static str, String); 2] {
    let day = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
    let date = format!("{day}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
    let headers = format!("host:{host}\nx-amz-date:{date}\nx-amz-target:{TARGET}\n");
    let canonical = format!("POST\n/\n\n{headers}\n{SIGNED_HEADERS}\n{}", sha256_hex(body));
    let scope = format!("{day}/{region}/cloudtrail/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
    let secret = format!("AWS4{}", admin.secret_access_key);
    let key = [region, "cloudtrail", "aws4_request"]
        .iter()
        .fold(hmac_sha256(secret.as_bytes(), &day), |key, word| hmac_sha256(key.as_ref(), word));
    let signature = HEXLOWER.encode(hmac_sha256(key.as_ref(), &to_sign).as_ref());
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}",
        admin.access_key_id
    );
    [("X-Amz-Date", date), ("Authorization", authorization)]
}

fn read(answer: &str) -> Result<PublicKeys> {
    let answer: Answer = serde_json::from_str(answer).context("the answer of ListPublicKeys can't be read")?;
    let decoded = |key: PublicKey| Ok((key.fingerprint, STANDARD.decode(key.value)?));
    answer.public_key_list.into_iter().map(decoded).collect()
}

impl Region {
    /// All that the region has ever signed with.
    pub fn public_keys(&self) -> Result<PublicKeys> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.published(FRONT_PORT)));
        let now = OffsetDateTime::now_utc();
        // A day more: this machine's clock may be behind that of a node.
        let body = serde_json::json!({ "StartTime": 0, "EndTime": now.unix_timestamp() + 86_400 }).to_string();
        let host = address.to_string();
        let mut headers =
            signature(&self.admin()?, self.settings.region.as_str(), &host, body.as_bytes(), now).to_vec();
        headers
            .extend([("Content-Type", "application/x-amz-json-1.1".to_owned()), ("X-Amz-Target", TARGET.to_owned())]);
        let asked = pages::post(address, &headers, &body, PATIENCE);
        match asked.with_context(|| format!("the public keys can't be asked for at {}", self.endpoint()))? {
            (200, answer) => read(&answer),
            (status, answer) => bail!("the public keys are refused: {} (status {status})", answer.trim()),
        }
    }
}
