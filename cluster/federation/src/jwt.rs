//! OpenID Connect's identity tokens: signed JSON Web Tokens (RFC 7515, RFC 7519) with the claims that AWS looks at.

use crate::jwks::KeySet;
use crate::{Refused, invalid};
use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, RsaParameters};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeMap;

/// AWS's bound.
pub const TOKEN_BYTES_MAX: usize = 20_000;
/// By which clocks may differ, as AWS allows it.
pub const SKEW_S: i64 = 300;
const TEXT_CHARACTERS_MAX: usize = 1_024;
const AUDIENCES_MAX: usize = 100;
const TAGS_MAX: usize = 50;

/// Those that AWS accepts. There is no `none`, and nothing symmetric: a public key is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
    Es512,
}

impl Algorithm {
    const ALL: [Algorithm; 6] =
        [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512, Algorithm::Es256, Algorithm::Es384, Algorithm::Es512];

    pub fn word(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::Es512 => "ES512",
        }
    }

    pub(crate) fn curve(self) -> Option<&'static str> {
        match self {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => None,
            Algorithm::Es256 => Some("P-256"),
            Algorithm::Es384 => Some("P-384"),
            Algorithm::Es512 => Some("P-521"),
        }
    }

    pub(crate) fn rsa(self) -> Option<&'static RsaParameters> {
        match self {
            Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 => None,
        }
    }

    pub(crate) fn ecdsa(self) -> Option<&'static EcdsaVerificationAlgorithm> {
        match self {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => None,
            Algorithm::Es256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
            Algorithm::Es384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
            Algorithm::Es512 => Some(&signature::ECDSA_P521_SHA512_FIXED),
        }
    }
}

/// A JSON object none of whose names stands there twice: readers differ in which of them they take.
struct Object(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Object;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut all = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if all.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name twice"));
                    }
                }
                Ok(Object(all))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

fn not_a_jwt() -> Refused {
    invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
}

fn object(part: &str) -> Result<BTreeMap<String, Value>, Refused> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| not_a_jwt())?;
    serde_json::from_slice::<Object>(&json).map(|object| object.0).map_err(|_| not_a_jwt())
}

fn bounded(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= TEXT_CHARACTERS_MAX
}

/// A claim of one text.
fn text(claims: &BTreeMap<String, Value>, name: &str) -> Result<Option<String>, Refused> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if bounded(text) => Ok(Some(text.clone())),
        Some(_) => Err(invalid(format!("The claim {name} of the identity token is not valid"))),
    }
}

fn required(claims: &BTreeMap<String, Value>, name: &str) -> Result<String, Refused> {
    text(claims, name)?.ok_or_else(|| invalid(format!("Missing a required claim: {name}")))
}

/// A claim of one text or several.
fn texts(claims: &BTreeMap<String, Value>, name: &str) -> Result<Vec<String>, Refused> {
    let wrong = || invalid(format!("The claim {name} of the identity token is not valid"));
    let one = |value: &Value| match value {
        Value::String(text) if bounded(text) => Ok(text.clone()),
        _ => Err(wrong()),
    };
    match claims.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(all)) if all.len() <= AUDIENCES_MAX => all.iter().map(one).collect(),
        Some(value) => Ok(vec![one(value)?]),
    }
}

/// Seconds since 1970, perhaps with a fraction.
fn seconds(claims: &BTreeMap<String, Value>, name: &str) -> Result<Option<i64>, Refused> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            let whole = number.as_i64().or_else(|| {
                let seconds = number.as_f64().filter(|s| s.is_finite() && s.abs() < 1e15)?;
                Some(seconds.floor() as i64)
            });
            let fits = whole.filter(|s| (0..1_000_000_000_000).contains(s));
            Ok(Some(fits.ok_or_else(|| invalid(format!("The claim {name} of the identity token is not valid")))?))
        }
        Some(_) => Err(invalid(format!("The claim {name} of the identity token is not valid"))),
    }
}

/// What a token says, once it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub issuer: String,
    pub subject: String,
    pub audiences: Vec<String>,
    /// For whom it was made, where there are several audiences.
    pub authorized_party: Option<String>,
    pub issued_unix_s: i64,
    pub expires_unix_s: i64,
    pub not_before_unix_s: Option<i64>,
    /// How she was authenticated.
    pub methods: Vec<String>,
    /// Tags for the session, and which of them go on with it.
    pub tags: Vec<(String, String)>,
    pub transitive_tag_keys: Vec<String>,
    pub source_identity: Option<String>,
}

const TAGS: &str = "https://aws.amazon.com/tags";
const SOURCE_IDENTITY: &str = "https://aws.amazon.com/source_identity";

/// Tags, and the keys of those that go on.
type Tags = (Vec<(String, String)>, Vec<String>);

/// Tags as AWS defines them: nested, or flat with the tag's key in the claim's name.
fn tags(claims: &BTreeMap<String, Value>) -> Result<Tags, Refused> {
    let wrong = || invalid("The claim https://aws.amazon.com/tags of the identity token is not valid");
    let value = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Array(all) => match all.as_slice() {
            [Value::String(text)] => Ok(text.clone()),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    };
    let mut tags = Vec::new();
    let mut transitive = Vec::new();
    match claims.get(TAGS) {
        None | Some(Value::Null) => {}
        Some(Value::Object(nested)) => {
            match nested.get("principal_tags") {
                None | Some(Value::Null) => {}
                Some(Value::Object(all)) => {
                    for (key, given) in all {
                        tags.push((key.clone(), value(given)?));
                    }
                }
                Some(_) => return Err(wrong()),
            }
            let nested: BTreeMap<String, Value> = nested.clone().into_iter().collect();
            transitive = texts(&nested, "transitive_tag_keys")?;
        }
        Some(_) => return Err(wrong()),
    }
    for (name, given) in claims {
        if let Some(key) = name.strip_prefix("https://aws.amazon.com/tags/principal_tags/") {
            tags.push((key.to_owned(), value(given)?));
        }
    }
    transitive.extend(texts(claims, "https://aws.amazon.com/tags/transitive_tag_keys")?);
    match tags.len() <= TAGS_MAX && transitive.len() <= TAGS_MAX {
        true => Ok((tags, transitive)),
        false => Err(wrong()),
    }
}

impl Claims {
    fn read(claims: &BTreeMap<String, Value>) -> Result<Claims, Refused> {
        let (tags, transitive_tag_keys) = tags(claims)?;
        let time =
            |name: &str| seconds(claims, name)?.ok_or_else(|| invalid(format!("Missing a required claim: {name}")));
        let audiences = texts(claims, "aud")?;
        if audiences.is_empty() {
            return Err(invalid("Missing a required claim: aud"));
        }
        Ok(Claims {
            issuer: required(claims, "iss")?,
            subject: required(claims, "sub")?,
            audiences,
            authorized_party: text(claims, "azp")?,
            issued_unix_s: time("iat")?,
            expires_unix_s: time("exp")?,
            not_before_unix_s: seconds(claims, "nbf")?,
            methods: texts(claims, "amr")?,
            tags,
            transitive_tag_keys,
            source_identity: text(claims, SOURCE_IDENTITY)?,
        })
    }

    /// Whether it is valid now, give or take what clocks may differ by.
    pub fn check_times(&self, now_unix_s: i64) -> Result<(), Refused> {
        let (now, exp) = (now_unix_s, self.expires_unix_s);
        if now >= exp + SKEW_S {
            return Err(Refused::Expired(format!(
                "Token expired: current date/time {now} must be before the expiration date/time {exp}"
            )));
        }
        let from = self.not_before_unix_s.unwrap_or(self.issued_unix_s).max(self.issued_unix_s);
        if now < from - SKEW_S {
            return Err(invalid(format!(
                "Token not yet valid: current date/time {now} must be after the date/time {from} from which it is valid"
            )));
        }
        Ok(())
    }

    /// The audience that counts, if it is one of the provider's clients: who the token was made for, where it says so.
    pub fn audience(&self, clients: &[String]) -> Result<&str, Refused> {
        let counts = match (&self.authorized_party, self.audiences.as_slice()) {
            (Some(party), _) => party,
            (None, [only]) => only,
            // One of several could take what was meant for another.
            (None, _) => return Err(invalid("Incorrect token audience")),
        };
        match clients.contains(counts) {
            true => Ok(counts),
            false => Err(invalid("Incorrect token audience")),
        }
    }
}

/// A token as it came: nothing in it is to be believed before [`Token::verify`].
#[derive(Debug)]
pub struct Token<'a> {
    algorithm: Algorithm,
    key_id: Option<String>,
    signed: &'a str,
    signature: Vec<u8>,
    claims: Claims,
}

impl<'a> Token<'a> {
    pub fn parse(token: &'a str) -> Result<Token<'a>, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(not_a_jwt());
        }
        let (signed, signature) = token.rsplit_once('.').ok_or_else(not_a_jwt)?;
        let (header, claims) = signed.split_once('.').filter(|(_, c)| !c.contains('.')).ok_or_else(not_a_jwt)?;
        let header = object(header)?;
        let algorithm = match header.get("alg") {
            Some(Value::String(word)) => Algorithm::ALL.into_iter().find(|known| known.word() == word),
            _ => None,
        };
        let algorithm =
            algorithm.ok_or_else(|| invalid("The identity token is not signed with a supported algorithm"))?;
        // What is critical to its maker isn't known to us.
        if header.contains_key("crit") {
            return Err(not_a_jwt());
        }
        let key_id = text(&header, "kid").map_err(|_| not_a_jwt())?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| not_a_jwt())?;
        Ok(Token { algorithm, key_id, signed, signature, claims: Claims::read(&object(claims)?)? })
    }

    /// Whose keys to look for. Not to be believed.
    pub fn issuer(&self) -> &str {
        &self.claims.issuer
    }

    pub fn verify(&self, keys: &KeySet) -> Result<Claims, Refused> {
        keys.verify(self.algorithm, self.key_id.as_deref(), self.signed.as_bytes(), &self.signature)?;
        Ok(self.claims.clone())
    }
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
