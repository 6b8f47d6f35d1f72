//! What an account's passwords must be like: its own policy, or AWS's default.

use super::hash;
use super::login::Login;
use crate::iam::prelude::*;
use breakwater_aws::{Identity, ResourcePolicy};
use breakwater_policy::{Policy, Use};
use breakwater_types::AccountId;
use zeroize::Zeroizing;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordPolicy {
    pub minimum_length: u32,
    pub symbols: bool,
    pub numbers: bool,
    pub uppercase: bool,
    pub lowercase: bool,
    /// Every user may change her own.
    pub users_may_change: bool,
    pub max_age_days: Option<u32>,
    /// Former passwords, the present one among them, that nobody may set again.
    pub reuse_prevention: Option<u32>,
    pub hard_expiry: Option<bool>,
}

/// Of accounts that have set none: so long, and of three kinds of signs.
const DEFAULT_LENGTH: u32 = 8;
const DEFAULT_KINDS: usize = 3;

const SYMBOLS: &str = "!@#$%^&*()_+-=[]{}|'";

/// Not a secret: every node may read it.
pub fn key(account: &AccountId) -> Vec<u8> {
    format!("iam/aws/{account}/password-policy").into_bytes()
}

pub fn no_such(account: &AccountId) -> AwsError {
    AwsError::new("NoSuchEntity", 404, format!("The Password Policy with domain name {account} cannot be found."))
}

/// The account's own, if it has one. Linearizable.
pub async fn of(ctx: &Context, call: &Call) -> Result<Option<PasswordPolicy>, AwsError> {
    let found = ctx.find::<PasswordPolicy>(call, key(&call.principal.account)).await?;
    Ok(found.map(|found| found.record))
}

/// As this node has heard.
pub fn known(ctx: &Context, account: &AccountId) -> Option<PasswordPolicy> {
    records::read(&ctx.mirror.get(&key(account))?.value).ok()
}

/// Where the account's policy lets every user change her own password, that is hers by a policy on the account itself.
pub fn lets_change(ctx: &Context, call: &Call) -> Option<ResourcePolicy> {
    let Identity::User(_) = &call.principal.identity else { return None };
    known(ctx, &call.principal.account).filter(|policy| policy.users_may_change)?;
    let document = json!({
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": call.principal.arn},
            "Action": ["iam:ChangePassword", "iam:GetAccountPasswordPolicy"],
            "Resource": "*",
        },
    });
    let policy = Policy::parse(&document.to_string(), Use::Resource).ok()?;
    Some(ResourcePolicy { policy: Arc::new(policy), must_allow: false })
}

pub fn violated(message: impl Into<String>) -> AwsError {
    AwsError::new("PasswordPolicyViolation", 400, message.into())
}

/// Whether a password is as the policy wants it, or as AWS's default does where there is none.
pub fn check(policy: Option<&PasswordPolicy>, password: &str) -> Result<(), AwsError> {
    let has = |is: fn(char) -> bool| password.chars().any(is);
    let kinds = [
        (has(|c| SYMBOLS.contains(c)), "symbol"),
        (has(|c| c.is_ascii_digit()), "number"),
        (has(|c| c.is_ascii_uppercase()), "uppercase letter"),
        (has(|c| c.is_ascii_lowercase()), "lowercase letter"),
    ];
    let least = policy.map_or(DEFAULT_LENGTH, |policy| policy.minimum_length);
    if password.chars().count() < usize::try_from(least).unwrap_or(usize::MAX) {
        return Err(violated(format!("Password should have a minimum length of {least}")));
    }
    let Some(policy) = policy else {
        return match kinds.iter().filter(|(there, _)| *there).count() >= DEFAULT_KINDS {
            true => Ok(()),
            false => Err(violated("Password does not conform to the account password policy.")),
        };
    };
    let wanted = [policy.symbols, policy.numbers, policy.uppercase, policy.lowercase];
    match kinds.iter().zip(wanted).find(|((there, _), wanted)| *wanted && !there) {
        None => Ok(()),
        Some(((_, kind), _)) => Err(violated(format!("Password should have at least one {kind}"))),
    }
}

/// That a password wasn't used before, as far back as the policy wants it; and where it has to be another one, that it is.
pub async fn is_new(
    policy: Option<&PasswordPolicy>,
    login: &Login,
    password: &Zeroizing<String>,
) -> Result<(), AwsError> {
    let back = policy.and_then(|policy| policy.reuse_prevention).unwrap_or_default();
    let back = back.max(u32::from(login.reset_required));
    if back > 0 {
        let former = login.newest(usize::try_from(back).unwrap_or(usize::MAX));
        if hash::is_one_of(password.clone(), former).await? {
            return Err(violated("Password has been used before: it must differ from your previous passwords."));
        }
    }
    Ok(())
}

impl PasswordPolicy {
    pub fn is_expired(&self, changed_unix_s: i64, now_unix_s: i64) -> bool {
        self.max_age_days.is_some_and(|days| now_unix_s - changed_unix_s > i64::from(days) * 86_400)
    }

    pub fn shape(&self) -> Value {
        let mut shape = json!({
            "MinimumPasswordLength": self.minimum_length,
            "RequireSymbols": self.symbols,
            "RequireNumbers": self.numbers,
            "RequireUppercaseCharacters": self.uppercase,
            "RequireLowercaseCharacters": self.lowercase,
            "AllowUsersToChangePassword": self.users_may_change,
            "ExpirePasswords": self.max_age_days.is_some(),
        });
        if let Some(days) = self.max_age_days {
            shape["MaxPasswordAge"] = days.into();
        }
        if let Some(count) = self.reuse_prevention {
            shape["PasswordReusePrevention"] = count.into();
        }
        if let Some(hard) = self.hard_expiry {
            shape["HardExpiry"] = hard.into();
        }
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_asks_for_eight_signs_of_three_kinds() {
        for good in ["Abcdefg1", "abcdef1!", "ABCDEF1|", "Abcdefg'", "Pässwort1"] {
            assert!(check(None, good).is_ok(), "{good}");
        }
        for bad in ["Abcdef1", "abcdefgh", "Abcdefgh", "abcdefg1", "12345678", "        ", "ABCDEFG~"] {
            assert!(check(None, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_accounts_own_policy_takes_the_defaults_place() {
        let mut policy = PasswordPolicy { minimum_length: 6, ..PasswordPolicy::default() };
        assert!(check(Some(&policy), "aaaaaa").is_ok());
        assert!(check(Some(&policy), "aaaaa").unwrap_err().message.ends_with("minimum length of 6"));
        policy.symbols = true;
        assert!(check(Some(&policy), "aaaaaa").unwrap_err().message.ends_with("symbol"));
        policy.symbols = false;
        policy.uppercase = true;
        assert!(check(Some(&policy), "aaaaaa").unwrap_err().message.ends_with("uppercase letter"));
        assert!(check(Some(&policy), "aaaaaA").is_ok());
    }
}
