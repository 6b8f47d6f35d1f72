//! Requests signed by AWS's own crate must pass, and none that was changed afterwards may.

use super::*;
use crate::call::Principal;
use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use breakwater_types::{AccountId, ManualClock};
use http::Request;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

const NOW_S: u64 = 1_795_448_000;
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn verifier_at(now_s: i64) -> Verifier {
    let keys = SecretKeys::new([SecretKey {
        secret: Zeroizing::new(SECRET.to_owned()),
        principal: Arc::new(Principal {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            account: AccountId::new("111122223333").unwrap(),
            arn: "arn:aws:iam::111122223333:user/a".to_owned(),
            identity: crate::call::Identity::Root,
            session: None,
        }),
    }]);
    Verifier::new("us-east-1", Arc::new(keys), ManualClock::new(now_s * 1_000))
}

fn signed(mut request: Request<Vec<u8>>, presigned: bool) -> Request<Vec<u8>> {
    let identity = AwsCredentials::new("AKIDEXAMPLE", SECRET, None, None, "test").into();
    let mut settings = SigningSettings::default();
    if presigned {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(300));
    }
    let params = SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("dynamodb")
        .time(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW_S))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let headers = request.headers().iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap()));
    let uri = request.uri().to_string();
    let signable =
        SignableRequest::new(request.method().as_str(), &uri, headers, SignableBody::Bytes(request.body())).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    instructions.apply_to_request_http1x(&mut request);
    request
}

fn verify(request: &Request<Vec<u8>>) -> Result<Arc<Principal>, crate::AwsError> {
    verifier_at(NOW_S as i64).verify(
        "dynamodb",
        false,
        &SignedRequest {
            method: request.method().as_str(),
            path: request.uri().path(),
            query: request.uri().query(),
            headers: request.headers(),
            body: request.body(),
        },
    )
}

prop_compose! {
    fn any_request()(
        method in prop_oneof![Just("POST"), Just("GET"), Just("PUT")],
        path in "(/([A-Za-z0-9._~-]|%20|%C3%A9|%2F|[+:@!$']){0,6}){1,4}",
        query in "([a-zA-Z0-9_-]{1,4}=([A-Za-z0-9~.-]|%20|%2B|%C3%A9){0,6}(&|)){0,4}",
        value in "[ -~]{0,20}",
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) -> Request<Vec<u8>> {
        let query = query.trim_end_matches('&');
        let uri = if query.is_empty() { format!("http://h{path}") } else { format!("http://h{path}?{query}") };
        Request::builder()
            .method(method)
            .uri(uri)
            .header("host", "dynamodb.us-east-1.amazonaws.com")
            .header("x-amz-target", "DynamoDB_20120810.PutItem")
            .header("x-amz-meta", value)
            .header("content-type", "application/x-amz-json-1.0")
            .body(body)
            .unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn what_aws_signs_passes(request in any_request(), presigned: bool) {
        let request = signed(request, presigned);
        let verified = verify(&request);
        prop_assert!(verified.is_ok(), "{} {:?}", request.uri(), verified);
    }

    #[test]
    fn what_was_changed_afterwards_does_not(request in any_request(), presigned: bool, what in 0..6usize) {
        let mut request = signed(request, presigned);
        match what {
            0 => request.body_mut().push(b'x'),
            1 => *request.method_mut() = http::Method::DELETE,
            2 => { request.headers_mut().insert("x-amz-target", "DynamoDB_20120810.DeleteTable".parse().unwrap()); }
            3 => { request.headers_mut().append("x-amz-target", "DynamoDB_20120810.PutItem".parse().unwrap()); }
            4 => { request.headers_mut().insert("x-amz-more", "1".parse().unwrap()); }
            _ => {
                let uri = request.uri().to_string();
                let more = if uri.contains('?') { format!("{uri}&zz=1") } else { format!("{uri}?zz=1") };
                *request.uri_mut() = more.parse().unwrap();
            }
        }
        prop_assert_eq!(verify(&request).unwrap_err().code, "InvalidSignatureException");
    }

    #[test]
    fn no_authorization_header_panics(text in "(AWS4-HMAC-SHA256 )?(Credential=|Signature=|SignedHeaders=|[a-z/;,= ]|\\PC){0,40}",
                                      query in "(X-Amz-(Algorithm|Credential|Date|Signature|SignedHeaders|Expires)=|[%a-f0-9&=;/]){0,30}") {
        let request = Request::builder().method("POST").uri(format!("/?{query}")).header("x-amz-date", "20261123T150000Z");
        let request = match http::HeaderValue::from_str(&text) {
            Ok(value) if !text.is_empty() => request.header("authorization", value),
            _ => request,
        };
        prop_assert!(verify(&request.body(Vec::new()).unwrap()).is_err());
    }
}

/// Of AWS's signing test suite: get-vanilla, get-vanilla-query-order-encoded, get-header-value-trim,
/// post-x-www-form-urlencoded.
#[test]
fn aws_test_suite() {
    let form_hash = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
    type Vector = (&'static str, &'static str, Vec<(&'static str, &'static str)>, &'static str, &'static str);
    let vectors: [Vector; 4] = [
        ("GET", "/", vec![], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "GET",
            "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
            vec![],
            "",
            "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
        ),
        (
            "GET",
            "/",
            vec![("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "POST",
            "/",
            vec![
                ("content-type", "application/x-www-form-urlencoded"),
                ("content-length", "13"),
                ("x-amz-content-sha256", form_hash),
            ],
            "Param1=value1",
            "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
        ),
    ];
    for (method, uri, headers, body, signature) in vectors {
        let mut names: Vec<_> = headers.iter().map(|(n, _)| *n).chain(["host", "x-amz-date"]).collect();
        names.sort_unstable();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={}, \
             Signature={signature}",
            names.join(";")
        );
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header("host", "example.amazonaws.com")
            .header("x-amz-date", "20150830T123600Z")
            .header("authorization", authorization);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(()).unwrap();
        let signed = SignedRequest {
            method,
            path: request.uri().path(),
            query: request.uri().query(),
            headers: request.headers(),
            body: body.as_bytes(),
        };
        let verifier = verifier_at(1_440_938_160);
        assert!(
            verifier.verify("service", false, &signed).is_ok(),
            "{uri} {:?}",
            verifier.verify("service", false, &signed)
        );
    }
}
