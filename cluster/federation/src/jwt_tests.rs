use super::*;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
};
use serde_json::json;

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

struct Provider {
    pair: EcdsaKeyPair,
    algorithm: Algorithm,
}

impl Provider {
    fn new(signing: &'static EcdsaSigningAlgorithm, algorithm: Algorithm) -> Provider {
        Provider { pair: EcdsaKeyPair::generate(signing).unwrap(), algorithm }
    }

    fn keys(&self, id: &str) -> KeySet {
        let point = &self.pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let key = json!({"kty": "EC", "crv": self.algorithm.curve(), "x": x, "y": y, "kid": id, "use": "sig"});
        KeySet::parse(json!({"keys": [{"kty": "oct", "k": "AA"}, key]}).to_string().as_bytes()).unwrap()
    }

    fn sign(&self, header: &Value, claims: &str) -> String {
        let signed = format!("{}.{}", encoded(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&json!({"alg": self.algorithm.word(), "kid": "one"}), &claims.to_string())
    }
}

fn claims() -> Value {
    json!({"iss": "https://idp.example", "sub": "ann", "aud": "app", "iat": 1_000, "exp": 2_000.5})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

#[test]
fn a_token_is_believed_by_the_providers_key_alone() {
    for (signing, algorithm) in
        [(&ECDSA_P256_SHA256_FIXED_SIGNING, Algorithm::Es256), (&ECDSA_P521_SHA512_FIXED_SIGNING, Algorithm::Es512)]
    {
        let provider = Provider::new(signing, algorithm);
        let token = provider.token(&claims());
        let verified = Token::parse(&token).unwrap().verify(&provider.keys("one")).unwrap();
        assert_eq!((verified.subject.as_str(), verified.expires_unix_s), ("ann", 2_000));
        assert_eq!(Token::parse(&token).unwrap().verify(&provider.keys("two")), Err(Refused::UnknownKey));
        let other = Provider::new(signing, algorithm);
        let wrong = Token::parse(&token).unwrap().verify(&other.keys("one"));
        assert!(matches!(wrong, Err(Refused::Invalid(_))), "{wrong:?}");
        let (head, tail) = token.rsplit_once('.').unwrap();
        let (header, _) = head.split_once('.').unwrap();
        let forged = format!("{header}.{}.{tail}", encoded(&with("sub", json!("root"))));
        assert!(Token::parse(&forged).unwrap().verify(&provider.keys("one")).is_err());
    }
}

#[test]
fn other_algorithms_and_malformed_tokens_are_refused() {
    let provider = Provider::new(&ECDSA_P256_SHA256_FIXED_SIGNING, Algorithm::Es256);
    let text = claims().to_string();
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "PS256"}),
        json!({"alg": "es256"}),
        json!({}),
        json!({"alg": "ES256", "crit": ["exp"]}),
    ] {
        assert!(Token::parse(&provider.sign(&header, &text)).is_err(), "{header}");
    }
    let twice = r#"{"iss":"https://idp.example","sub":"ann","aud":"app","iat":1,"exp":2,"sub":"root"}"#;
    assert!(Token::parse(&provider.sign(&json!({"alg": "ES256"}), twice)).is_err());
    let good = provider.token(&claims());
    for bad in ["", ".", "..", "a.b", "a.b.c", &format!("{good}.x"), &format!("{good}="), &"a".repeat(30_000)] {
        assert!(Token::parse(bad).is_err(), "{bad:.40}");
    }
    // Signed as ES256, with a header that says that it is RSA: no key of that kind is there.
    let confused = provider.sign(&json!({"alg": "RS256", "kid": "one"}), &text);
    assert_eq!(Token::parse(&confused).unwrap().verify(&provider.keys("one")), Err(Refused::UnknownKey));
    for name in ["iss", "sub", "aud", "iat", "exp"] {
        let message = Token::parse(&provider.token(&with(name, Value::Null))).unwrap_err();
        assert_eq!(message, invalid(format!("Missing a required claim: {name}")));
    }
    for (name, value) in [("exp", json!("2")), ("sub", json!(7)), ("aud", json!([1])), ("exp", json!(1e30))] {
        assert!(Token::parse(&provider.token(&with(name, value))).is_err(), "{name}");
    }
}

fn read(claims: &Value) -> Claims {
    let provider = Provider::new(&ECDSA_P256_SHA256_FIXED_SIGNING, Algorithm::Es256);
    let token = provider.token(claims);
    Token::parse(&token).unwrap().verify(&provider.keys("one")).unwrap()
}

#[test]
fn times_have_a_skew() {
    let token = read(&claims());
    assert!(token.check_times(1_000 - SKEW_S).is_ok() && token.check_times(1_999 + SKEW_S).is_ok());
    assert!(matches!(token.check_times(2_000 + SKEW_S), Err(Refused::Expired(_))));
    assert!(matches!(token.check_times(999 - SKEW_S), Err(Refused::Invalid(_))));
    assert!(read(&with("nbf", json!(1_500))).check_times(1_100).is_err());
}

#[test]
fn the_audience_is_a_client_and_only_one() {
    let clients = ["app".to_owned(), "other".to_owned()];
    assert_eq!(read(&claims()).audience(&clients), Ok("app"));
    assert!(read(&with("aud", json!("foreign"))).audience(&clients).is_err());
    assert!(read(&with("aud", json!(["app", "foreign"]))).audience(&clients).is_err());
    let mut both = with("aud", json!(["foreign", "app"]));
    both["azp"] = json!("other");
    assert_eq!(read(&both).audience(&clients), Ok("other"));
    assert!(read(&with("azp", json!("foreign"))).audience(&clients).is_err());
}

#[test]
fn tags_come_nested_and_flat() {
    let nested = read(&with(
        "https://aws.amazon.com/tags",
        json!({"principal_tags": {"team": ["a"]}, "transitive_tag_keys": ["team"]}),
    ));
    assert_eq!((nested.tags.len(), nested.transitive_tag_keys), (1, vec!["team".to_owned()]));
    let flat = read(&with("https://aws.amazon.com/tags/principal_tags/team", json!(["a"])));
    assert_eq!(flat.tags, [("team".to_owned(), "a".to_owned())]);
}
