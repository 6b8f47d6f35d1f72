//! The keys of OpenID Connect providers: fetched when they are needed, kept for a while, asked for again when a token is
//! signed with one that isn't known.
//!
//! Who asks has shown nothing yet. So there is a bound on how many may wait at once, on how long, on how much a provider
//! may send, and on how often it is asked; and nothing that it sends comes back to who asks.

mod https;
mod trust;

use breakwater_aws::AwsError;
use breakwater_federation::jwks::KeySet;
use breakwater_iam::providers::OidcProvider;
use https::Failed;
use parking_lot::Mutex;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use trust::Trust;

/// After this they are fetched again.
const KEPT: Duration = Duration::from_secs(600);
/// A provider isn't asked more often, whether it answered or not.
const PAUSE: Duration = Duration::from_secs(1);
/// What a provider has for both documents.
const PATIENCE: Duration = Duration::from_secs(4);
const DOCUMENT_BYTES_MAX: usize = 64 << 10;
const KEY_SET_BYTES_MAX: usize = 256 << 10;
const PROVIDERS_MAX: usize = 1_000;
/// Who waits for providers at once, and for one of them: no provider that hangs may keep the others from answering.
const WAITING_MAX: usize = 64;
const WAITING_FOR_ONE_MAX: usize = 8;

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// What a provider last answered.
type Answered = (Instant, Result<Arc<KeySet>, AwsError>);

/// A provider that is asked one question at a time.
struct Asked {
    waiting: Semaphore,
    answered: tokio::sync::Mutex<Option<Answered>>,
}

pub struct Issuers {
    trust: Trust,
    /// By URL and thumbprints.
    known: Mutex<HashMap<String, Arc<Asked>>>,
    waiting: Semaphore,
}

/// Keys, and when they were fetched.
pub struct Fetched {
    pub keys: Arc<KeySet>,
    pub at: Instant,
}

fn unreachable(cause: &str) -> AwsError {
    let message = "The request could not be fulfilled because the identity provider (IDP) that was asked to verify the \
                   incoming identity token could not be reached.";
    AwsError::new("IDPCommunicationError", 400, message).with_cause(cause)
}

fn from_failed(failed: &Failed) -> AwsError {
    match failed {
        Failed::Unreachable(cause) => unreachable(cause),
        Failed::Untrusted => super::invalid_token("OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"),
        Failed::Unusable(cause) => super::invalid_token(
            "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity \
             documentation for requirements",
        )
        .with_cause(cause),
    }
}

impl Issuers {
    /// Trusts the authorities that this machine trusts, and those that a provider's thumbprints name.
    pub fn new() -> Issuers {
        Issuers { trust: Trust::of_machine(), known: Mutex::default(), waiting: Semaphore::new(WAITING_MAX) }
    }

    /// The provider's keys: newer than `than` if it may be asked again already.
    pub async fn keys(&self, provider: &OidcProvider, than: Option<Instant>) -> Result<Fetched, AwsError> {
        let too_many = |_| unreachable("too many wait for providers");
        let _waiting = self.waiting.try_acquire().map_err(too_many)?;
        let name = format!("{} {}", provider.url, provider.thumbprints.join(" "));
        let asked = {
            let mut known = self.known.lock();
            if known.len() >= PROVIDERS_MAX && !known.contains_key(&name) {
                known.clear();
            }
            let new = || Asked { waiting: Semaphore::new(WAITING_FOR_ONE_MAX), answered: Default::default() };
            known.entry(name).or_insert_with(|| Arc::new(new())).clone()
        };
        let _waiting_for_one = asked.waiting.try_acquire().map_err(too_many)?;
        let mut answered = asked.answered.lock().await;
        if let Some((at, outcome)) = &*answered {
            let age = at.elapsed();
            let is_enough = match outcome {
                Ok(_) => age < KEPT && than.is_none_or(|than| *at > than),
                Err(_) => false,
            };
            if is_enough || age < PAUSE {
                return outcome.clone().map(|keys| Fetched { keys, at: *at });
            }
        }
        let outcome = match tokio::time::timeout(PATIENCE, self.ask(provider)).await {
            Ok(Ok(keys)) => Ok(Arc::new(keys)),
            Ok(Err(failed)) => Err(from_failed(&failed)),
            Err(_) => Err(unreachable("it took too long")),
        };
        let at = Instant::now();
        *answered = Some((at, outcome.clone()));
        outcome.map(|keys| Fetched { keys, at })
    }

    async fn ask(&self, provider: &OidcProvider) -> Result<KeySet, Failed> {
        let tls = self.trust.with(&provider.thumbprints)?;
        let url = format!("https://{}/.well-known/openid-configuration", provider.url);
        let document = https::get(&url, &tls, DOCUMENT_BYTES_MAX).await?;
        let unusable = |what: &str| Failed::Unusable(what.to_owned());
        let document: Discovery =
            serde_json::from_slice(&document).map_err(|_| unusable("not a discovery document"))?;
        // Else one provider could speak for another on the same host.
        let issuer = document.issuer.strip_prefix("https://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        if issuer != Some(provider.url.as_str()) {
            return Err(unusable("the discovery document is of another issuer"));
        }
        let keys = https::get(&document.jwks_uri, &tls, KEY_SET_BYTES_MAX).await?;
        KeySet::parse(&keys).map_err(|e| unusable(&e.to_string()))
    }

    /// Of the highest certificate that a provider's server shows, as it is asked for when none is given.
    pub async fn thumbprint(&self, url: &str, deadline: Instant) -> Result<String, AwsError> {
        let failed = |cause: String| {
            let message = "The identity provider (IDP) could not be reached, or its certificate could not be read.";
            AwsError::new("OpenIdIdpCommunicationError", 400, message).with_cause(cause)
        };
        let _waiting = self.waiting.try_acquire().map_err(|e| failed(e.to_string()))?;
        let end = deadline.min(Instant::now() + PATIENCE);
        let (url, tls) = (format!("https://{url}/"), self.trust.in_anybody().map_err(|e| failed(format!("{e:?}")))?);
        let seen = tokio::time::timeout_at(end, https::highest(&url, &tls));
        let certificate = seen.await.map_err(|_| failed("it took too long".to_owned()))?;
        let certificate = certificate.map_err(|e| failed(format!("{e:?}")))?;
        Ok(trust::thumbprint(&certificate))
    }
}
