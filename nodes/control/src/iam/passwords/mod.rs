//! Passwords: how they are stored, who may guess them how often, what they must be like, and the operations on them.
//!
//! What is stored of a password lies where only control nodes read, under the user's id: a renamed user keeps hers, and
//! one who is made anew under the same name has none.

mod change_password;
mod create_login_profile;
mod delete_account_password_policy;
mod delete_login_profile;
mod get_account_password_policy;
mod get_login_profile;
pub(crate) mod guesses;
pub(crate) mod hash;
pub(crate) mod login;
pub(crate) mod policy;
pub(crate) mod root;
mod update_account_password_policy;
mod update_login_profile;

pub use change_password::ChangePassword;
pub use create_login_profile::CreateLoginProfile;
pub use delete_account_password_policy::DeleteAccountPasswordPolicy;
pub use delete_login_profile::DeleteLoginProfile;
pub use get_account_password_policy::GetAccountPasswordPolicy;
pub use get_login_profile::GetLoginProfile;
pub use update_account_password_policy::UpdateAccountPasswordPolicy;
pub use update_login_profile::UpdateLoginProfile;

use super::prelude::*;
use zeroize::Zeroizing;

const CHARACTERS_MAX: usize = 128;

/// A password of a request. No message repeats it.
fn given(value: Option<&str>, at: &str) -> Result<Zeroizing<String>, AwsError> {
    let value = check::required(value, at)?;
    let is_sign = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}');
    let wrong = match value.chars().count() {
        0 => Some("Member must have length greater than or equal to 1".to_owned()),
        n if n > CHARACTERS_MAX => Some(format!("Member must have length less than or equal to {CHARACTERS_MAX}")),
        _ if !value.chars().all(is_sign) => {
            Some("Member must satisfy regular expression pattern: [\\u0009\\u000A\\u000D\\u0020-\\u00FF]+".to_owned())
        }
        _ => None,
    };
    match wrong {
        None => Ok(Zeroizing::new(value.to_owned())),
        Some(words) => Err(errors::validation(format!(
            "1 validation error detected: Value at '{at}' failed to satisfy constraint: {words}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_password_that_is_refused_is_not_repeated() {
        for bad in ["", &"s3cr3t".repeat(30), "s3cr3t\u{100}", "s3cr3t\0"] {
            let e = super::given(Some(bad), "password").unwrap_err();
            assert!(!e.message.contains("s3cr3t") && e.code == "ValidationError", "{}", e.message);
        }
        assert_eq!(&**super::given(Some("é ok\t"), "password").as_ref().unwrap(), "é ok\t");
    }
}
