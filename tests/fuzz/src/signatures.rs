//! Signed requests, in the header form and the query form.

use breakwater_aws::Principal;
use breakwater_aws::sigv4::{SecretKey, SecretKeys, SignedRequest, Verifier};
use breakwater_types::{AccountId, ManualClock};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

/// When the requests of the corpus were signed.
const NOW_MS: i64 = 1_795_448_000_000;
const ACCESS_KEY_ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn verifier() -> &'static Verifier {
    static VERIFIER: OnceLock<Verifier> = OnceLock::new();
    VERIFIER.get_or_init(|| {
        let principal = Principal {
            access_key_id: ACCESS_KEY_ID.to_owned(),
            account: AccountId::new("111122223333").expect("an account"),
            arn: "arn:aws:iam::111122223333:user/a".to_owned(),
            identity: breakwater_aws::Identity::Root,
            session: None,
        };
        let key = SecretKey { secret: Zeroizing::new(SECRET.to_owned()), principal: Arc::new(principal) };
        Verifier::new("us-east-1", Arc::new(SecretKeys::new([key])), ManualClock::new(NOW_MS))
    })
}

/// As HTTP has it: method and target, headers, an empty line, the body; lines end with a line feed.
pub(crate) fn run(data: &[u8]) {
    let mut rest = data;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = &rest[..end];
        rest = &rest[end + 1..];
        Some(line)
    };
    let Some(Ok(first)) = line().map(std::str::from_utf8) else { return };
    let Some((method, target)) = first.split_once(' ') else { return };
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut headers = HeaderMap::new();
    while let Some(header) = line().filter(|line| !line.is_empty()) {
        let Some(colon) = header.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&header[..colon], &header[colon + 1..]);
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let request = SignedRequest { method, path, query, headers: &headers, body: rest };
    // Who has no key of ours signs nothing: the corpus has the only good signatures, on these bodies.
    if let Ok(principal) = verifier().verify("dynamodb", false, &request) {
        assert_eq!(principal.access_key_id, ACCESS_KEY_ID);
        assert!(rest == b"{}" || query.is_some(), "a body that nobody signed");
    }
}
