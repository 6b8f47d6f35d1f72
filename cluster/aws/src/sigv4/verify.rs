//! Is this request signed by who it says, now, for us?

use super::canonical::{self, sha256_hex};
use super::claim::Claim;
use super::credentials::{Credentials, Found, Lookup};
use super::sessions::Opened;
use super::{ALGORITHM, SKEW_S_MAX, timestamp};
use crate::call::Principal;
use crate::error::AwsError;
use breakwater_types::SharedClock;
use http::HeaderMap;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// For which requests to services without regions are signed.
pub const GLOBAL_REGION: &str = "us-east-1";

/// What a signature covers.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    pub method: &'a str,
    /// As sent, escapes and all.
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

/// Checks signatures for one region.
pub struct Verifier {
    region: String,
    credentials: Arc<dyn Credentials>,
    clock: SharedClock,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("region", &self.region).finish_non_exhaustive()
    }
}

fn invalid(message: String) -> AwsError {
    AwsError::framework("InvalidSignatureException", message)
}

impl Verifier {
    pub fn new(region: impl Into<String>, credentials: Arc<dyn Credentials>, clock: SharedClock) -> Self {
        Verifier { region: region.into(), credentials, clock }
    }

    /// Who signed the request, or AWS's error. The order of the checks is DynamoDB's. What is `global` is signed for
    /// [`GLOBAL_REGION`], or for this region.
    pub fn verify(&self, service: &str, global: bool, request: &SignedRequest<'_>) -> Result<Arc<Principal>, AwsError> {
        let claim = Claim::read(request.headers, request.query)?;
        self.check_time(&claim)?;
        check_signed_headers(&claim, request.headers)?;
        claim.check_algorithm()?;
        let [access_key_id, date, region, scope_service, terminator] = claim.credential_parts()?;
        let expected = if global && region == GLOBAL_REGION { GLOBAL_REGION } else { &self.region };
        check_scope(expected, service, &claim, date, region, scope_service, terminator)?;

        let found = match &claim.security_token {
            Some(token) => self.session(token, access_key_id, date, region, service)?,
            None => {
                let found = self.credentials.signing_key(access_key_id, date, region, service);
                found.map_err(|lookup| match lookup {
                    Lookup::Unknown => AwsError::invalid_token(),
                    Lookup::NotKnownHere => AwsError::unavailable("no signing key here for this access key and day"),
                })?
            }
        };

        let canonical = canonical::request(
            request.method,
            request.path,
            request.query,
            request.headers,
            &claim,
            service == "s3",
            &sha256_hex(request.body),
        );
        let mut string_to_sign = Vec::with_capacity(160);
        for part in [ALGORITHM, "\n", &claim.timestamp, "\n", date, "/", region, "/", service, "/aws4_request\n"] {
            string_to_sign.extend_from_slice(part.as_bytes());
        }
        string_to_sign.extend_from_slice(&sha256_hex(&canonical));

        let mut ours = [0u8; 64];
        // 32 bytes always fill 64 digits.
        let _ = hex::encode_to_slice(found.key.sign(&string_to_sign), &mut ours);
        if !bool::from(ours[..].ct_eq(claim.signature.as_bytes())) {
            return Err(mismatch(&canonical, &string_to_sign));
        }
        if let Some(session) = &found.principal.session
            && session.expires_unix_s <= self.clock.unix_s()
        {
            return Err(AwsError::framework(
                "ExpiredTokenException",
                "The security token included in the request is expired",
            ));
        }
        Ok(found.principal)
    }

    /// The key of temporary credentials: their token says it all, if it is one of ours and theirs. Of a session without a
    /// secret everybody could derive the key.
    fn session(
        &self,
        token: &str,
        access_key_id: &str,
        date: &str,
        region: &str,
        service: &str,
    ) -> Result<Found, AwsError> {
        let opened = self.credentials.sessions().open(token);
        let signs = |o: &Arc<Opened>| o.session.access_key_id == access_key_id && !o.session.is_signed_in();
        let opened = opened.filter(signs).ok_or_else(AwsError::invalid_token)?;
        Ok(Found { key: opened.signing_key(date, region, service), principal: opened.principal.clone() })
    }

    fn check_time(&self, claim: &Claim<'_>) -> Result<(), AwsError> {
        let now = self.clock.unix_s();
        let (stamp, basic) = (&claim.timestamp, timestamp::format_basic);
        let good_for_s = claim.expires_s.map_or(SKEW_S_MAX, |e| e.min(SKEW_S_MAX));
        if claim.unix_s < now.saturating_sub(good_for_s) {
            let bound = if good_for_s == SKEW_S_MAX { "15 min.".to_owned() } else { format!("{good_for_s} sec.") };
            return Err(invalid(format!(
                "Signature expired: {stamp} is now earlier than {} ({} - {bound})",
                basic(now - good_for_s),
                basic(now)
            )));
        }
        if claim.unix_s > now.saturating_add(SKEW_S_MAX) {
            return Err(invalid(format!(
                "Signature not yet current: {stamp} is still later than {} ({} + 15 min.)",
                basic(now + SKEW_S_MAX),
                basic(now)
            )));
        }
        Ok(())
    }
}

fn check_scope(
    expected: &str,
    service: &str,
    claim: &Claim<'_>,
    date: &str,
    region: &str,
    scope_service: &str,
    terminator: &str,
) -> Result<(), AwsError> {
    // The timestamp has passed as ISO 8601's basic format: sixteen signs of ASCII.
    let day = claim.timestamp.get(..8).unwrap_or_default();
    if region == expected && scope_service == service && terminator == "aws4_request" && date == day {
        return Ok(());
    }
    let mut wrong = Vec::new();
    if region != expected {
        wrong.push(format!("Credential should be scoped to a valid region, not '{region}'."));
    }
    if scope_service != service {
        wrong.push(format!("Credential should be scoped to correct service: '{service}'."));
    }
    if terminator != "aws4_request" {
        wrong.push(format!("Credential should be scoped with a valid terminator: 'aws4_request', not '{terminator}'."));
    }
    if date != day {
        wrong.push(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{date}' != \
                 '{day}', from '{}'.",
            claim.timestamp
        ));
    }
    Err(invalid(wrong.join(" ")))
}

/// `Host`, and every `x-amz-` header that says what is to be done, must be covered.
fn check_signed_headers(claim: &Claim<'_>, headers: &HeaderMap) -> Result<(), AwsError> {
    let signed = |name: &str| claim.signed_headers.iter().any(|h| h == name);
    if !signed("host") {
        return Err(invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned()));
    }
    for name in headers.keys().map(http::HeaderName::as_str).filter(|n| n.starts_with("x-amz-")) {
        // Browsers put their agent's name there, after signing in some SDKs; it has no meaning to us.
        if name != "x-amz-user-agent" && !signed(name) {
            return Err(invalid(format!("'{}' must be a 'SignedHeader' in the AWS Authorization.", title_case(name))));
        }
    }
    Ok(())
}

/// `x-amz-target` → `X-Amz-Target`.
fn title_case(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|c| {
            let c = if start { c.to_ascii_uppercase() } else { c };
            start = c == '-';
            c
        })
        .collect()
}

#[cold]
fn mismatch(canonical: &[u8], string_to_sign: &[u8]) -> AwsError {
    invalid(format!(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details.\n\nThe Canonical String for this \
         request should have been\n'{}'\n\nThe String-to-Sign should have been\n'{}'\n",
        String::from_utf8_lossy(canonical),
        String::from_utf8_lossy(string_to_sign)
    ))
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
