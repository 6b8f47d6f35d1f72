//! A request in the one form that both sides hash.

use super::claim::{Claim, pairs};
use http::HeaderMap;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

/// AWS's `UriEncode`.
fn encode(bytes: &[u8], keep_slash: bool, out: &mut Vec<u8>) {
    for &b in bytes {
        if unreserved(b) || (keep_slash && b == b'/') {
            out.push(b);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        }
    }
}

/// A query's value as its bytes; `+` is a space, and a `%` that begins no escape stays.
pub fn percent_decode(text: &str) -> Cow<'_, [u8]> {
    let b = text.as_bytes();
    if !b.iter().any(|c| matches!(c, b'%' | b'+')) {
        return Cow::Borrowed(b);
    }
    let digit = |c: Option<&u8>| c.and_then(|c| char::from(*c).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let mut out = Vec::with_capacity(b.len());
    let mut i = 0;
    while i < b.len() {
        match (b[i], digit(b.get(i + 1)), digit(b.get(i + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                i += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                i += 1;
            }
            (c, ..) => {
                out.push(c);
                i += 1;
            }
        }
    }
    Cow::Owned(out)
}

/// Every service but S3 normalises the path and encodes it once more than it was sent.
fn path(raw: &str, s3: bool, out: &mut Vec<u8>) {
    if raw.is_empty() || raw == "/" {
        return out.push(b'/');
    }
    if s3 {
        return encode(&percent_decode_path(raw), true, out);
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in raw.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            s => segments.push(s),
        }
    }
    for segment in &segments {
        out.push(b'/');
        encode(segment.as_bytes(), false, out);
    }
    if segments.is_empty() || matches!(raw.rsplit('/').next(), Some("" | "." | "..")) {
        out.push(b'/');
    }
}

/// In a path a `+` is itself.
fn percent_decode_path(raw: &str) -> Vec<u8> {
    let plus = raw.replace('+', "%2B");
    percent_decode(&plus).into_owned()
}

fn query(raw: Option<&str>, presigned: bool, out: &mut Vec<u8>) {
    let Some(raw) = raw.filter(|q| !q.is_empty()) else { return };
    let mut encoded: Vec<(Vec<u8>, Vec<u8>)> = pairs(raw)
        .filter(|(k, _)| !(presigned && *k == "X-Amz-Signature"))
        .map(|(k, v)| {
            let (mut key, mut value) = (Vec::with_capacity(k.len()), Vec::with_capacity(v.len()));
            encode(&percent_decode(k), false, &mut key);
            encode(&percent_decode(v), false, &mut value);
            (key, value)
        })
        .collect();
    encoded.sort_unstable();
    for (i, (key, value)) in encoded.iter().enumerate() {
        if i > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(key);
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

/// Trimmed, runs of spaces as one.
fn header_value(value: &[u8], out: &mut Vec<u8>) {
    let mut space = false;
    for &b in value.trim_ascii() {
        if b == b' ' || b == b'\t' {
            space = true;
        } else {
            if space {
                out.push(b' ');
                space = false;
            }
            out.push(b);
        }
    }
}

/// The canonical request; its last line is the hash of the body.
pub fn request(
    method: &str,
    raw_path: &str,
    raw_query: Option<&str>,
    headers: &HeaderMap,
    claim: &Claim<'_>,
    s3: bool,
    body_hash: &[u8; 64],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(method.as_bytes());
    out.push(b'\n');
    path(raw_path, s3, &mut out);
    out.push(b'\n');
    query(raw_query, claim.presigned, &mut out);
    out.push(b'\n');
    for name in &claim.signed_headers {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        for (i, value) in headers.get_all(name.as_ref()).iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            header_value(value.as_bytes(), &mut out);
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    for (i, name) in claim.signed_headers.iter().enumerate() {
        if i > 0 {
            out.push(b';');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b'\n');
    out.extend_from_slice(body_hash);
    out
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> [u8; 64] {
    let mut out = [0u8; 64];
    // 32 bytes always fill 64 digits.
    let _ = hex::encode_to_slice(Sha256::digest(bytes), &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical_path(raw: &str, s3: bool) -> String {
        let mut out = Vec::new();
        path(raw, s3, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn paths_as_in_aws_test_suite() {
        for (raw, want) in [
            ("/", "/"),
            ("//", "/"),
            ("/foo/..", "/"),
            ("/foo/bar/../..", "/"),
            ("/./", "/"),
            ("/./foo", "/foo"),
            ("/%20/.", "/%2520/"),
            ("/a/b/..", "/a/"),
            ("//foo//", "/foo/"),
            ("/example%20space/", "/example%2520space/"),
            ("/-._~0123", "/-._~0123"),
        ] {
            assert_eq!(canonical_path(raw, false), want, "{raw}");
        }
        assert_eq!(canonical_path("/a%20b//c+d/../e", true), "/a%20b//c%2Bd/../e");
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut text = Vec::new();
            encode(&bytes, false, &mut text);
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(percent_decode(&text).into_owned(), bytes);
        }
        #[test]
        fn no_text_panics(s in "\\PC{0,40}", q in "[%+a-f0-9&=é]{0,40}") {
            let _ = canonical_path(&s, false);
            let _ = canonical_path(&s, true);
            let mut out = Vec::new();
            query(Some(&q), true, &mut out);
        }
    }
}
