//! A clock that jumps: what is refused then is refused for the time, and what is good again later is let in again.

use super::*;
use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use breakwater_types::{AccountId, Clock, ManualClock};
use http::Request;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

const NOW_S: i64 = 1_795_448_000;
const HOUR_MS: i64 = 3_600_000;

struct Place {
    clock: Arc<ManualClock>,
    keys: Arc<SecretKeys>,
    token: String,
}

impl Place {
    /// With a session that lasts an hour from now.
    fn new() -> Place {
        let keys = Arc::new(SecretKeys::new([]));
        keys.sessions().replace([(1, Zeroizing::new(vec![7; 32]))]);
        let session = Session {
            access_key_id: "ASIAONE".to_owned(),
            secret: "secret".to_owned(),
            account: AccountId::new("111122223333").unwrap(),
            arn: "arn:aws:sts::111122223333:assumed-role/r/s".to_owned(),
            role: Some(("r".to_owned(), "arn:aws:iam::111122223333:role/r".to_owned())),
            user_id: "AROA:s".to_owned(),
            issued_unix_s: NOW_S,
            expires_unix_s: NOW_S + 3_600,
            mfa_unix_s: None,
            policies: vec![],
            policy_arns: vec![],
            tags: vec![],
            source_identity: None,
            more: Default::default(),
        };
        let token = keys.sessions().seal(&session).unwrap();
        Place { clock: ManualClock::new(NOW_S * 1_000), keys, token }
    }

    /// By a client whose clock shows this.
    fn call(&self, client_unix_s: i64) -> String {
        let mut request = Request::builder().method("POST").uri("http://h/").header("host", "h").body(()).unwrap();
        let identity = AwsCredentials::new("ASIAONE", "secret", Some(self.token.clone()), None, "test").into();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(client_unix_s.unsigned_abs());
        let params = SigningParams::builder().identity(&identity).region("us-east-1").name("dynamodb").time(at);
        let params = params.settings(SigningSettings::default()).build().unwrap().into();
        let signable =
            SignableRequest::new("POST", "http://h/", [("host", "h")].into_iter(), SignableBody::Bytes(b"")).unwrap();
        sign(signable, &params).unwrap().into_parts().0.apply_to_request_http1x(&mut request);
        let signed = SignedRequest { method: "POST", path: "/", query: None, headers: request.headers(), body: b"" };
        let verifier = Verifier::new("us-east-1", self.keys.clone(), self.clock.clone());
        verifier.verify("dynamodb", false, &signed).map_or_else(|e| e.code.into_owned(), |_| "OK".to_owned())
    }
}

#[test]
fn a_node_whose_clock_jumps_refuses_by_the_time_and_forgets_it_when_it_is_back() {
    let place = Place::new();
    assert_eq!(place.call(NOW_S), "OK");
    // The node is ahead, or behind: honest clients are refused for their time, not for their key.
    for jump in [HOUR_MS / 2, -HOUR_MS / 2, 48 * HOUR_MS, -48 * HOUR_MS] {
        place.clock.jump_ms(jump);
        assert_eq!(place.call(NOW_S), "InvalidSignatureException", "{jump} ms");
        place.clock.jump_ms(-jump);
        assert_eq!(place.call(NOW_S), "OK", "{jump} ms");
    }
    // Within what clocks may differ it is nobody's concern.
    for jump in [14 * 60_000, -14 * 60_000] {
        place.clock.jump_ms(jump);
        assert_eq!(place.call(NOW_S), "OK", "{jump} ms");
        place.clock.jump_ms(-jump);
    }
}

#[test]
fn a_session_ends_by_the_nodes_clock_whatever_the_client_says() {
    let place = Place::new();
    place.clock.advance_ms(HOUR_MS - 1_000);
    assert_eq!(place.call(place.clock.unix_s()), "OK");
    place.clock.advance_ms(1_000);
    for said in [0, -600, 600] {
        assert_eq!(place.call(place.clock.unix_s() + said), "ExpiredTokenException", "{said} s");
    }
    // Set back by a day, a node takes requests of that day alone.
    place.clock.jump_ms(-24 * HOUR_MS);
    assert_eq!(place.call(NOW_S + 3_600), "InvalidSignatureException");
}
