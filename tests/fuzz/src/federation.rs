//! What identity providers send: tokens and assertions. The corpus has the only good ones: nobody has the keys any more.

use base64::Engine as _;
use breakwater_federation::jwks::KeySet;
use breakwater_federation::jwt::Token;
use breakwater_federation::saml::{self, Metadata};
use std::sync::OnceLock;

/// When the corpus was made.
const NOW_UNIX_S: i64 = 1_795_565_625;

pub(crate) fn jwt(data: &[u8]) {
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    let keys = KEYS.get_or_init(|| KeySet::parse(include_bytes!("federation/keys.json")).expect("a key set"));
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = KeySet::parse(data);
    let Ok(token) = Token::parse(text) else { return };
    if let Ok(claims) = token.verify(keys) {
        assert_eq!((claims.subject.as_str(), token.issuer()), ("ann", "https://idp.example"));
        claims.check_times(NOW_UNIX_S).expect("it was good when it was made");
        claims.audience(&["app".to_owned()]).expect("it was made for this one");
    }
}

pub(crate) fn saml(data: &[u8]) {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    let parse = || Metadata::parse(include_str!("federation/metadata.xml")).expect("metadata");
    let metadata = METADATA.get_or_init(parse);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Metadata::parse(text);
    }
    let response = base64::engine::general_purpose::STANDARD.encode(data);
    if let Ok(assertion) = saml::verify(&response, metadata, NOW_UNIX_S) {
        assert_eq!(assertion.subject, "ann");
        assert_eq!(assertion.values("RoleSessionName"), ["visit"]);
    }
}
