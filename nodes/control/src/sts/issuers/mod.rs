//! The keys of OpenID Connect providers: fetched when they are needed, kept for a while, asked for again when a token is
//! signed with one that isn't known.
//!
//! Who asks has shown nothing yet. So there is a bound on how many providers are asked at once, of one account and of all,
//! on how many wait for them and how long, on how much a provider may send, and on how often it is asked; and nothing
//! that it sends comes back to who asks. For keys that are known nobody waits.

mod asked;
mod https;
mod kept;
mod places;
mod trust;

use asked::{Asked, Bounds, Unanswered};
use breakwater_aws::AwsError;
use breakwater_federation::jwks::KeySet;
use breakwater_iam::providers::OidcProvider;
use breakwater_types::AccountId;
use https::Failed;
use parking_lot::Mutex;
use places::Places;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use trust::Trust;

/// What a provider has for both documents.
const PATIENCE: Duration = Duration::from_secs(4);
const DOCUMENT_BYTES_MAX: usize = 64 << 10;
const KEY_SET_BYTES_MAX: usize = 256 << 10;
const PROVIDERS_MAX: usize = 1_000;
/// Providers that are asked at once, of all accounts and of one.
const ASKING_MAX: usize = 64;
const ASKING_FOR_ONE_MAX: usize = 8;
/// Who waits while others ask.
const WAITING_MAX: usize = 256;
const WAITING_FOR_ONE_MAX: usize = 32;
/// Servers whose certificates are looked at at once.
const LOOKING_MAX: usize = 16;

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

pub type Fetched = kept::Fetched<KeySet>;

struct Provider {
    used: Instant,
    asked: Arc<Asked<KeySet, AwsError>>,
}

/// By account, and by URL and thumbprints.
type Known = HashMap<(AccountId, String), Provider>;

pub struct Issuers {
    trust: Arc<Trust>,
    known: Mutex<Known>,
    bounds: Bounds<AccountId>,
    looking: Semaphore,
}

/// Of the account that has most, what wasn't used for longest: no account drives out what others use.
fn make_room(known: &mut Known) {
    let mut counts: HashMap<&AccountId, usize> = HashMap::new();
    for (account, _) in known.keys() {
        *counts.entry(account).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(account, _)| account);
    let its = known.iter().filter(|((account, _), _)| Some(account) == most);
    let oldest = its.min_by_key(|(_, provider)| provider.used).map(|(key, _)| key.clone());
    oldest.and_then(|oldest| known.remove(&oldest));
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

async fn ask(trust: &Trust, provider: &OidcProvider) -> Result<KeySet, Failed> {
    let tls = trust.with(&provider.thumbprints)?;
    let url = format!("https://{}/.well-known/openid-configuration", provider.url);
    let document = https::get(&url, &tls, DOCUMENT_BYTES_MAX).await?;
    let unusable = |what: &str| Failed::Unusable(what.to_owned());
    let document: Discovery = serde_json::from_slice(&document).map_err(|_| unusable("not a discovery document"))?;
    // Else one provider could speak for another on the same host.
    let issuer = document.issuer.strip_prefix("https://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    if issuer != Some(provider.url.as_str()) {
        return Err(unusable("the discovery document is of another issuer"));
    }
    let keys = https::get(&document.jwks_uri, &tls, KEY_SET_BYTES_MAX).await?;
    KeySet::parse(&keys).map_err(|e| unusable(&e.to_string()))
}

impl Issuers {
    /// Trusts the authorities that this machine trusts, and those that a provider's thumbprints name.
    pub fn new() -> Issuers {
        Issuers {
            trust: Arc::new(Trust::of_machine()),
            known: Mutex::default(),
            bounds: Bounds {
                asking: Places::new(ASKING_MAX, ASKING_FOR_ONE_MAX),
                waiting: Places::new(WAITING_MAX, WAITING_FOR_ONE_MAX),
            },
            looking: Semaphore::new(LOOKING_MAX),
        }
    }

    fn provider(&self, account: &AccountId, provider: &OidcProvider) -> Arc<Asked<KeySet, AwsError>> {
        let key = (account.clone(), format!("{} {}", provider.url, provider.thumbprints.join(" ")));
        let mut known = self.known.lock();
        if known.len() >= PROVIDERS_MAX && !known.contains_key(&key) {
            make_room(&mut known);
        }
        let now = Instant::now();
        let provider = known.entry(key).or_insert_with(|| Provider { used: now, asked: Arc::default() });
        provider.used = now;
        provider.asked.clone()
    }

    /// The keys of an account's provider: newer than `than` if it may be asked again already.
    pub async fn keys(
        &self,
        account: &AccountId,
        provider: &OidcProvider,
        than: Option<Instant>,
    ) -> Result<Fetched, AwsError> {
        let (trust, whom) = (self.trust.clone(), provider.clone());
        let question = async move {
            match tokio::time::timeout(PATIENCE, ask(&trust, &whom)).await {
                Ok(answer) => answer.map_err(|failed| from_failed(&failed)),
                Err(_) => Err(unreachable("it took too long")),
            }
        };
        let answer = self.provider(account, provider).keys(than, &self.bounds, account, question).await;
        answer.map_err(|unanswered| match unanswered {
            Unanswered::Failed(e) => e,
            Unanswered::TooMany => unreachable("too many wait for providers"),
        })
    }

    /// Of the highest certificate that a provider's server shows, as it is asked for when none is given.
    pub async fn thumbprint(&self, url: &str, deadline: Instant) -> Result<String, AwsError> {
        let failed = |cause: String| {
            let message = "The identity provider (IDP) could not be reached, or its certificate could not be read.";
            AwsError::new("OpenIdIdpCommunicationError", 400, message).with_cause(cause)
        };
        let _looking = self.looking.try_acquire().map_err(|e| failed(e.to_string()))?;
        let end = deadline.min(Instant::now() + PATIENCE);
        let (url, tls) = (format!("https://{url}/"), self.trust.in_anybody().map_err(|e| failed(format!("{e:?}")))?);
        let seen = tokio::time::timeout_at(end, https::highest(&url, &tls));
        let certificate = seen.await.map_err(|_| failed("it took too long".to_owned()))?;
        let certificate = certificate.map_err(|e| failed(format!("{e:?}")))?;
        Ok(trust::thumbprint(&certificate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_with_many_providers_drives_out_its_own() {
        let (few, many) = (AccountId::new("111122223333").unwrap(), AccountId::new("444455556666").unwrap());
        let start = Instant::now();
        let at = |n: u64| Provider { used: start + Duration::from_secs(n), asked: Arc::default() };
        let mut known = Known::new();
        known.insert((few.clone(), "first".to_owned()), at(0));
        known.extend((1..4).map(|n| ((many.clone(), n.to_string()), at(n))));
        make_room(&mut known);
        assert!(known.contains_key(&(few, "first".to_owned())));
        assert!(!known.contains_key(&(many, "1".to_owned())));
        assert_eq!(known.len(), 3);
    }
}
