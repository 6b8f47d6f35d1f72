//! OpenID Connect providers: whose tokens AssumeRoleWithWebIdentity believes.

mod add_client_id;
mod create_oidc_provider;
mod delete_oidc_provider;
mod get_oidc_provider;
mod list_oidc_providers;
mod remove_client_id;
mod update_thumbprint;

pub use add_client_id::AddClientId;
pub use create_oidc_provider::CreateOidcProvider;
pub use delete_oidc_provider::DeleteOidcProvider;
pub use get_oidc_provider::GetOidcProvider;
pub use list_oidc_providers::ListOidcProviders;
pub use remove_client_id::RemoveClientId;
pub use update_thumbprint::UpdateThumbprint;

use super::prelude::*;
use super::store::Found;

/// AWS's bounds.
const CLIENT_IDS_MAX: usize = 100;
const THUMBPRINTS_MAX: usize = 5;
const URL_CHARACTERS_MAX: usize = 255;

/// `https://host/path` without its scheme, which the ARN and the condition keys leave out. Unlike AWS's, it may have a
/// port: providers of a private region do.
fn url(value: Option<&str>) -> Result<&str, AwsError> {
    let value = check::required(value, "url")?;
    if value.is_empty() || value.chars().count() > URL_CHARACTERS_MAX {
        return Err(check::constraint(value, "url", "Member must have length between 1 and 255, inclusive"));
    }
    let wrong = || errors::invalid_input(format!("Invalid Open ID Connect Provider URL: {value}"));
    let rest = value.strip_prefix("https://").ok_or_else(wrong)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let is_sign = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:[]+%".contains(&b);
    let authority = rest.split('/').next().unwrap_or_default();
    let uri: Result<http::Uri, _> = value.parse();
    let fits = !authority.is_empty()
        && rest.bytes().all(is_sign)
        && !rest[authority.len()..].contains([':', '[', ']'])
        && uri.is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    if fits { Ok(rest) } else { Err(wrong()) }
}

fn client_id<'a>(value: Option<&'a str>, at: &str) -> Result<&'a str, AwsError> {
    let value = check::required(value, at)?;
    match value.chars().count() {
        1..=255 => Ok(value),
        _ => Err(check::constraint(value, at, "Member must have length between 1 and 255, inclusive")),
    }
}

/// In lower case, each once.
fn thumbprints(values: &[String]) -> Result<Vec<String>, AwsError> {
    if values.len() > THUMBPRINTS_MAX {
        return Err(errors::invalid_input("Thumbprint list must contain fewer than 5 entries."));
    }
    let mut all: Vec<String> = Vec::new();
    for value in values {
        if value.len() != 40 || !value.bytes().all(|b| b.is_ascii_hexdigit()) {
            let words = "Member must have length greater than or equal to 40";
            return Err(check::constraint(value, "thumbprintList", words));
        }
        let value = value.to_lowercase();
        if !all.contains(&value) {
            all.push(value);
        }
    }
    Ok(all)
}

/// A provider of the caller's account, by its ARN.
pub(super) async fn find(ctx: &Context, call: &Call, arn: Option<&str>) -> Result<Found<OidcProvider>, AwsError> {
    let arn = check::required(arn, "openIDConnectProviderArn")?;
    let prefix = format!("arn:aws:iam::{}:oidc-provider/", call.principal.account);
    let Some(url) = arn.strip_prefix(&prefix).filter(|url| !url.is_empty() && url.len() <= URL_CHARACTERS_MAX) else {
        return Err(match arn.starts_with("arn:") && arn.len() >= 20 {
            true => errors::no_such(Kind::OidcProvider, arn),
            false => errors::invalid_input(format!("Invalid ARN: {arn}")),
        });
    };
    let found = ctx.find::<OidcProvider>(call, records::key(&call.principal.account, Kind::OidcProvider, url)).await?;
    found.filter(|found| found.record.url == url).ok_or_else(|| errors::no_such(Kind::OidcProvider, arn))
}

fn arn(call: &Call, url: &str) -> String {
    format!("arn:aws:iam::{}:oidc-provider/{url}", call.principal.account)
}

#[cfg(test)]
mod tests {
    #[test]
    fn urls_and_thumbprints() {
        for (good, rest) in [
            ("https://idp.example", "idp.example"),
            ("https://idp.example/tenant/1/", "idp.example/tenant/1"),
            ("https://127.0.0.1:8443", "127.0.0.1:8443"),
            ("https://[::1]:8443/x", "[::1]:8443/x"),
        ] {
            assert_eq!(super::url(Some(good)).unwrap(), rest);
        }
        for bad in [
            "",
            "http://a.example",
            "https://",
            "https:///x",
            "https://a?b",
            "https://a b",
            "https://u@a",
            "https://a/x:y",
        ] {
            assert!(super::url(Some(bad)).is_err(), "{bad}");
        }
        assert_eq!(super::thumbprints(&["A".repeat(40), "a".repeat(40)]).unwrap(), ["a".repeat(40)]);
        assert!(super::thumbprints(&["a".repeat(39)]).is_err() && super::thumbprints(&["x".repeat(40)]).is_err());
    }
}
