//! The account itself: its alias, and how much of everything it has and may have.

mod create_account_alias;
mod delete_account_alias;
mod get_account_authorization_details;
mod get_account_summary;
mod list_account_aliases;
mod quotas;
mod set_security_token_service_preferences;

pub use create_account_alias::CreateAccountAlias;
pub use delete_account_alias::DeleteAccountAlias;
pub use get_account_authorization_details::GetAccountAuthorizationDetails;
pub use get_account_summary::GetAccountSummary;
pub use list_account_aliases::ListAccountAliases;
pub(crate) use quotas::room_for;
pub use set_security_token_service_preferences::SetSecurityTokenServicePreferences;

use super::check;
use breakwater_aws::AwsError;
use breakwater_types::AccountId;

/// Where an account's alias stands.
fn key(account: &AccountId) -> Vec<u8> {
    format!("iam/aws/{account}/alias").into_bytes()
}

/// Whose an alias is: there is but one of that name in the region.
fn owner_key(alias: &str) -> Vec<u8> {
    format!("iam/alias/{alias}").into_bytes()
}

/// 3 to 63 lower-case letters, digits and single hyphens between them.
fn alias(value: Option<&str>) -> Result<&str, AwsError> {
    let value = check::required(value, "accountAlias")?;
    let is_sign = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fits = (3..=63).contains(&value.len())
        && value.bytes().all(is_sign)
        && !value.starts_with('-')
        && !value.ends_with('-')
        && !value.contains("--");
    if fits {
        return Ok(value);
    }
    let pattern = "Member must satisfy regular expression pattern: ^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$";
    Err(check::constraint(value, "accountAlias", pattern))
}

#[cfg(test)]
mod tests {
    #[test]
    fn aliases() {
        for good in ["abc", "a-b", "0-1-2", &"a".repeat(63)] {
            assert!(super::alias(Some(good)).is_ok(), "{good}");
        }
        for bad in ["ab", "-ab", "ab-", "a--b", "Abc", "a.b", "é-é", &"a".repeat(64)] {
            assert!(super::alias(Some(bad)).is_err(), "{bad}");
        }
        assert!(super::alias(None).is_err());
    }
}
