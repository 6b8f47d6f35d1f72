//! SAML providers: whose assertions AssumeRoleWithSAML believes.

mod create_saml_provider;
mod delete_saml_provider;
mod get_saml_provider;
mod list_saml_providers;
mod update_saml_provider;

pub use create_saml_provider::CreateSamlProvider;
pub use delete_saml_provider::DeleteSamlProvider;
pub use get_saml_provider::GetSamlProvider;
pub use list_saml_providers::ListSamlProviders;
pub use update_saml_provider::UpdateSamlProvider;

use super::prelude::*;
use super::store::Found;
use breakwater_federation::saml::Metadata;

const METADATA_CHARACTERS_MIN: usize = 1_000;
/// AWS takes ten million; a form here holds less.
const METADATA_BYTES_MAX: usize = 512 << 10;
/// What providers without an end are said to be valid for.
const VALID_S: i64 = 100 * 365 * 86_400;

/// Where a provider's metadata stands: it is long, and only control nodes look at it.
pub(crate) fn metadata_key(account: &breakwater_types::AccountId, name: &str) -> Vec<u8> {
    format!("control/saml-metadata/{account}/{}", name.to_lowercase()).into_bytes()
}

fn name(value: Option<&str>) -> Result<&str, AwsError> {
    let value = check::required(value, "name")?;
    let fits =
        (1..=128).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    match fits {
        true => Ok(value),
        false => Err(check::constraint(value, "name", "Member must satisfy regular expression pattern: [\\w._-]+")),
    }
}

/// The document, which must be of use, and until when it is valid.
fn metadata(value: Option<&str>, now: i64) -> Result<(&str, i64), AwsError> {
    let value = check::required(value, "sAMLMetadataDocument")?;
    if value.chars().count() < METADATA_CHARACTERS_MIN {
        let words = "Member must have length greater than or equal to 1000";
        return Err(check::constraint("", "sAMLMetadataDocument", words));
    }
    if value.len() > METADATA_BYTES_MAX {
        let words = format!("Member must have length less than or equal to {METADATA_BYTES_MAX}");
        return Err(check::constraint("", "sAMLMetadataDocument", &words));
    }
    let metadata = Metadata::parse(value).map_err(|e| errors::invalid_input(e.to_string()))?;
    Ok((value, metadata.valid_until_unix_s.unwrap_or(now + VALID_S)))
}

pub(crate) fn arn(account: &breakwater_types::AccountId, name: &str) -> String {
    records::arn(account, Kind::SamlProvider, "/", name)
}

/// A provider of the caller's account, by its ARN.
pub(super) async fn find(ctx: &Context, call: &Call, arn: Option<&str>) -> Result<Found<SamlProvider>, AwsError> {
    let arn = check::required(arn, "sAMLProviderArn")?;
    let prefix = format!("arn:aws:iam::{}:saml-provider/", call.principal.account);
    let Some(name) = arn.strip_prefix(&prefix).filter(|name| self::name(Some(name)).is_ok()) else {
        return Err(match arn.starts_with("arn:") && arn.len() >= 20 {
            true => errors::no_such(Kind::SamlProvider, arn),
            false => errors::invalid_input(format!("Invalid ARN: {arn}")),
        });
    };
    let found = ctx.find::<SamlProvider>(call, records::key(&call.principal.account, Kind::SamlProvider, name)).await?;
    found.filter(|found| found.record.name == name).ok_or_else(|| errors::no_such(Kind::SamlProvider, arn))
}
