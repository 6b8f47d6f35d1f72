use super::*;
use crate::sigv4::{Found, SigningKey, derive_signing_key};
use breakwater_types::{AccountId, ManualClock};
use http::HeaderValue;

const NOW_S: i64 = 1_440_938_160; // 20150830T123600Z
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

struct One {
    here: bool,
}

impl Credentials for One {
    fn sessions(&self) -> &crate::SessionKeys {
        static NONE: std::sync::LazyLock<crate::SessionKeys> = std::sync::LazyLock::new(Default::default);
        &NONE
    }
    fn signing_key(&self, id: &str, date: &str, region: &str, service: &str) -> Result<Found, Lookup> {
        match (id, self.here) {
            ("AKID", true) => Ok(Found {
                key: Arc::new(derive_signing_key(SECRET, date, region, service)),
                principal: Arc::new(Principal {
                    access_key_id: id.to_owned(),
                    account: AccountId::new("111122223333").unwrap(),
                    arn: "arn:aws:iam::111122223333:user/a".to_owned(),
                    identity: crate::call::Identity::Root,
                    session: None,
                }),
            }),
            ("AKID", false) => Err(Lookup::NotKnownHere),
            _ => Err(Lookup::Unknown),
        }
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert("host", HeaderValue::from_static("h"));
    for (name, value) in pairs {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn verify_with(here: bool, query: Option<&str>, headers: &HeaderMap, body: &[u8]) -> Result<(), AwsError> {
    let verifier = Verifier::new("us-east-1", Arc::new(One { here }), ManualClock::new(NOW_S * 1_000));
    let request = SignedRequest { method: "POST", path: "/", query, headers, body };
    verifier.verify("dynamodb", false, &request).map(|_| ())
}

fn refused(query: Option<&str>, pairs: &[(&'static str, &str)]) -> (String, String) {
    let e = verify_with(true, query, &headers(pairs), b"").unwrap_err();
    assert_eq!((e.status, e.namespace), (400, crate::Namespace::Framework));
    (e.code.into_owned(), e.message.into_owned())
}

fn check(got: (String, String), code: &str, message: &str) {
    assert_eq!(got, (code.to_owned(), message.to_owned()));
}

const SCOPE: &str = "AKID/20150830/us-east-1/dynamodb/aws4_request";

fn authorization(credential: &str, signed_headers: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed_headers}, Signature={}", "0".repeat(64))
}

#[test]
fn without_a_signature() {
    for pairs in [&[][..], &[("authorization", "Basic YTpi")], &[("authorization", "AWS AKID:x")]] {
        check(refused(None, pairs), "MissingAuthenticationTokenException", "Request is missing Authentication Token");
    }
    check(
        refused(Some("X-Amz-Algorithm=x"), &[("authorization", "AWS4-HMAC-SHA256 Credential=a")]),
        "InvalidSignatureException",
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    );
}

#[test]
fn parts_that_are_missing() {
    check(
        refused(None, &[("authorization", "AWS4-HMAC-SHA256")]),
        "IncompleteSignatureException",
        "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. \
         Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a \
         'X-Amz-Date' or a 'Date' header. Authorization=AWS4-HMAC-SHA256",
    );
    check(
        refused(None, &[("authorization", "AWS4-HMAC-SHA256 Credential=a,Signature=b"), ("x-amz-date", "x")]),
        "IncompleteSignatureException",
        "Authorization header requires 'SignedHeaders' parameter. \
         Authorization=AWS4-HMAC-SHA256 Credential=a,Signature=b",
    );
    check(
        refused(None, &[("authorization", "AWS4-HMAC-SHA256 Signature=b, Credential, SignedHeaders")]),
        "IncompleteSignatureException",
        "'Credential' not a valid key=value pair (missing equal-sign) in Authorization header: \
         'AWS4-HMAC-SHA256 Signature=b, Credential, SignedHeaders'.",
    );
    check(
        refused(Some("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=x"), &[]),
        "IncompleteSignatureException",
        "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include \
         'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the \
         query-string parameters.",
    );
}

#[test]
fn dates_that_are_malformed_or_off() {
    let auth = authorization(SCOPE, "host;x-amz-date");
    check(
        refused(None, &[("authorization", &auth), ("x-amz-date", "201")]),
        "IncompleteSignatureException",
        "Date must be in ISO-8601 'basic format'. Got '201'. See http://en.wikipedia.org/wiki/ISO_8601",
    );
    check(
        refused(None, &[("authorization", &auth), ("x-amz-date", "20150830T122059Z")]),
        "InvalidSignatureException",
        "Signature expired: 20150830T122059Z is now earlier than 20150830T122100Z (20150830T123600Z - 15 min.)",
    );
    check(
        refused(None, &[("authorization", &auth), ("x-amz-date", "20150830T125101Z")]),
        "InvalidSignatureException",
        "Signature not yet current: 20150830T125101Z is still later than 20150830T125100Z (20150830T123600Z + 15 min.)",
    );
    // On the edge of the window it is the signature that counts.
    for edge in ["20150830T122100Z", "20150830T125100Z"] {
        let (_, message) = refused(None, &[("authorization", &auth), ("x-amz-date", edge)]);
        assert!(message.starts_with("The request signature we calculated"), "{message}");
    }
}

#[test]
fn a_presigned_request_is_good_for_as_long_as_it_says() {
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={SCOPE}&X-Amz-Date=20150830T123430Z&X-Amz-Expires=60\
         &X-Amz-SignedHeaders=host&X-Amz-Signature=0"
    );
    check(
        refused(Some(&query), &[]),
        "InvalidSignatureException",
        "Signature expired: 20150830T123430Z is now earlier than 20150830T123500Z (20150830T123600Z - 60 sec.)",
    );
}

#[test]
fn what_must_be_signed() {
    let date = ("x-amz-date", "20150830T123600Z");
    check(
        refused(None, &[("authorization", &authorization(SCOPE, "x-amz-date")), date]),
        "InvalidSignatureException",
        "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    );
    let target = ("x-amz-target", "DynamoDB_20120810.DeleteTable");
    check(
        refused(None, &[("authorization", &authorization(SCOPE, "Host;x-amz-date")), date, target]),
        "InvalidSignatureException",
        "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.",
    );
}

#[test]
fn scopes_that_are_not_ours() {
    let date = ("x-amz-date", "20150830T123600Z");
    let with = |credential: &str| {
        let auth = authorization(credential, "host;x-amz-date");
        refused(None, &[("authorization", &auth), date])
    };
    check(
        with("a/b/c/d"),
        "IncompleteSignatureException",
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b/c/d'",
    );
    check(
        with("a/b/c/d/e"),
        "InvalidSignatureException",
        "Credential should be scoped to a valid region, not 'c'. Credential should be scoped to correct service: \
         'dynamodb'. Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. Date in Credential \
         scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: 'b' != '20150830', from \
         '20150830T123600Z'.",
    );
    check(
        with("NOBODY/20150830/us-east-1/dynamodb/aws4_request"),
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    );
    let other = authorization(SCOPE, "host;x-amz-date").replace("SHA256 ", "SHA1 ");
    check(
        refused(None, &[("authorization", &other), date]),
        "IncompleteSignatureException",
        "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1' (only AWS4-HMAC-SHA256 for now). ",
    );
}

#[test]
fn a_wrong_signature_is_told_what_it_should_have_been_but_not_the_signature() {
    let date = ("x-amz-date", "20150830T123600Z");
    let auth = authorization(SCOPE, "host;x-amz-date");
    let (code, message) = refused(None, &[("authorization", &auth), date]);
    assert_eq!(code, "InvalidSignatureException");
    let canonical = "POST\n/\n\nhost:h\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n\
                     e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let string_to_sign = format!(
        "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/dynamodb/aws4_request\n{}",
        String::from_utf8(sha256_hex(canonical.as_bytes()).to_vec()).unwrap()
    );
    assert_eq!(
        message,
        format!(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String for \
             this request should have been\n'{canonical}'\n\nThe String-to-Sign should have been\n'{string_to_sign}'\n"
        )
    );
    let right = hex::encode(key().sign(string_to_sign.as_bytes()));
    assert!(!message.contains(&right));

    let good = auth.replace(&"0".repeat(64), &right);
    assert!(verify_with(true, None, &headers(&[("authorization", &good), date]), b"").is_ok());
    // A prefix, or the same digits in capitals, is not the signature.
    for bad in [&right[..63], &right.to_ascii_uppercase()] {
        let auth = auth.replace(&"0".repeat(64), bad);
        assert!(verify_with(true, None, &headers(&[("authorization", &auth), date]), b"").is_err());
    }
    let elsewhere = verify_with(false, None, &headers(&[("authorization", &good), date]), b"").unwrap_err();
    assert_eq!(elsewhere.status, 503);
}

fn key() -> SigningKey {
    derive_signing_key(SECRET, "20150830", "us-east-1", "dynamodb")
}

fn sign(headers: &mut HeaderMap, names: &str, timestamp: &str, body: &[u8]) {
    sign_with(&key(), headers, names, timestamp, body);
}

fn sign_with(key: &SigningKey, headers: &mut HeaderMap, names: &str, timestamp: &str, body: &[u8]) {
    headers.insert("authorization", HeaderValue::from_str(&authorization(SCOPE, names)).unwrap());
    let hash = sha256_hex(body);
    let claim = Claim::read(headers, None).unwrap();
    let canonical = canonical::request("POST", "/", None, headers, &claim, false, &hash);
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{timestamp}\n20150830/us-east-1/dynamodb/aws4_request\n{}",
        String::from_utf8(sha256_hex(&canonical).to_vec()).unwrap()
    );
    let signature = hex::encode(key.sign(to_sign.as_bytes()));
    let auth = authorization(SCOPE, names).replace(&"0".repeat(64), &signature);
    headers.insert("authorization", HeaderValue::from_str(&auth).unwrap());
}

#[test]
fn a_session_token_is_refused_until_there_are_sessions() {
    let mut map = headers(&[("x-amz-date", "20150830T123600Z"), ("x-amz-security-token", "abc")]);
    sign(&mut map, "host;x-amz-date;x-amz-security-token", "20150830T123600Z", b"{}");
    let e = verify_with(true, None, &map, b"{}").unwrap_err();
    assert_eq!(e.code, "UnrecognizedClientException");
}

/// Knows sessions alone.
struct Sessions(crate::SessionKeys);

impl Credentials for Sessions {
    fn sessions(&self) -> &crate::SessionKeys {
        &self.0
    }
    fn signing_key(&self, _: &str, _: &str, _: &str, _: &str) -> Result<Found, Lookup> {
        Err(Lookup::Unknown)
    }
}

#[test]
fn nobody_signs_with_a_session_that_has_no_secret() {
    let outcome = |secret: &str| {
        let keys = crate::SessionKeys::default();
        keys.replace([(1, zeroize::Zeroizing::new(vec![7; 32]))]);
        let session = crate::sigv4::Session {
            access_key_id: "AKID".to_owned(),
            secret: secret.to_owned(),
            account: AccountId::new("111122223333").unwrap(),
            arn: "arn:aws:iam::111122223333:user/a".to_owned(),
            role: None,
            user_id: "AIDA".to_owned(),
            issued_unix_s: NOW_S,
            expires_unix_s: NOW_S + 900,
            mfa_unix_s: None,
            policies: vec![],
            policy_arns: vec![],
            tags: vec![],
            source_identity: None,
            more: Default::default(),
        };
        let token = keys.seal(&session).unwrap();
        let mut map = headers(&[("x-amz-date", "20150830T123600Z"), ("x-amz-security-token", &token)]);
        let key = derive_signing_key(secret, "20150830", "us-east-1", "dynamodb");
        sign_with(&key, &mut map, "host;x-amz-date;x-amz-security-token", "20150830T123600Z", b"{}");
        let verifier = Verifier::new("us-east-1", Arc::new(Sessions(keys)), ManualClock::new(NOW_S * 1_000));
        let request = SignedRequest { method: "POST", path: "/", query: None, headers: &map, body: b"{}" };
        verifier.verify("dynamodb", false, &request).map(|_| ()).map_err(|e| e.code.into_owned())
    };
    assert_eq!(outcome(SECRET), Ok(()));
    assert_eq!(outcome(""), Err("UnrecognizedClientException".to_owned()));
}

#[test]
fn an_http_date_does_where_there_is_no_other() {
    let mut map = headers(&[("date", "Sun, 30 Aug 2015 12:36:00 GMT")]);
    sign(&mut map, "date;host", "20150830T123600Z", b"{}");
    assert!(verify_with(true, None, &map, b"{}").is_ok());
}

#[test]
fn unsigned_payloads_are_for_s3_only() {
    let mut map = headers(&[("x-amz-date", "20150830T123600Z"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]);
    let names = "host;x-amz-content-sha256;x-amz-date";
    map.insert("authorization", HeaderValue::from_str(&authorization(SCOPE, names)).unwrap());
    let claim = Claim::read(&map, None).unwrap();
    let mut canonical = canonical::request("POST", "/", None, &map, &claim, false, &[b'x'; 64]);
    canonical.truncate(canonical.len() - 64);
    canonical.extend_from_slice(b"UNSIGNED-PAYLOAD");
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/dynamodb/aws4_request\n{}",
        String::from_utf8(sha256_hex(&canonical).to_vec()).unwrap()
    );
    let auth = authorization(SCOPE, names).replace(&"0".repeat(64), &hex::encode(key().sign(to_sign.as_bytes())));
    map.insert("authorization", HeaderValue::from_str(&auth).unwrap());
    assert_eq!(verify_with(true, None, &map, b"{}").unwrap_err().code, "InvalidSignatureException");
}
