//! The report's lines.

use crate::iam::passwords::login::{self, Login};
use crate::iam::passwords::policy::{self, PasswordPolicy};
use crate::iam::prelude::*;
use crate::iam::user_credentials::{SigningCertificate, prefix};
use crate::usage::{self, LastUsed};
use std::collections::HashMap;

const COLUMNS: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
    password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,\
    access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,\
    access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,\
    cert_1_last_rotated,cert_2_active,cert_2_last_rotated,additional_credentials_info";

const NONE: &str = "N/A";
/// Of a password that nobody has signed in with.
const UNUSED: &str = "no_information";

/// As reports write times: `2026-11-23T20:15:00+00:00`.
fn time(unix_s: i64) -> String {
    shapes::time(unix_s).replace('Z', "+00:00")
}

/// A password's four columns: whether there is one, last used, last changed, next rotation.
fn password(login: Option<&Login>, policy: Option<&PasswordPolicy>) -> [String; 4] {
    let none = || NONE.to_owned();
    let Some(login) = login else { return ["false".to_owned(), none(), none(), none()] };
    let used = login.used_unix_s.map_or_else(|| UNUSED.to_owned(), time);
    let days = policy.and_then(|policy| policy.max_age_days);
    let next = days.map_or_else(none, |days| time(login.changed_unix_s + i64::from(days) * 86_400));
    ["true".to_owned(), used, time(login.changed_unix_s), next]
}

fn key(key: Option<&AccessKey>, used: &HashMap<String, LastUsed>) -> [String; 5] {
    let Some(key) = key else { return ["false", NONE, NONE, NONE, NONE].map(str::to_owned) };
    let none = || NONE.to_owned();
    let (date, region, service) = match used.get(&key.id) {
        Some(last) => (time(last.unix_s), last.region.clone(), last.service.clone()),
        None => (none(), none(), none()),
    };
    [key.active.to_string(), time(key.created_unix_s), date, region, service]
}

fn certificate(certificate: Option<&SigningCertificate>) -> [String; 2] {
    match certificate {
        Some(certificate) => [certificate.active.to_string(), time(certificate.uploaded_unix_s)],
        None => ["false".to_owned(), NONE.to_owned()],
    }
}

/// The account's root, whose keys and certificates don't exist here.
fn root(account: &str, created_unix_s: i64, login: Option<&Login>) -> String {
    let mut cells = vec!["<root_account>".to_owned(), format!("arn:aws:iam::{account}:root"), time(created_unix_s)];
    let used = login.map_or_else(|| NONE.to_owned(), |login| login.used_unix_s.map_or_else(|| UNUSED.to_owned(), time));
    cells.extend(["not_supported", &used, "not_supported", "not_supported", "false"].map(str::to_owned));
    cells.extend(key(None, &HashMap::new()).into_iter().chain(key(None, &HashMap::new())));
    cells.extend(certificate(None).into_iter().chain(certificate(None)));
    cells.push(String::new());
    cells.join(",")
}

/// Everything that IAM lets into names and paths needs no quotes here, but for a comma.
fn quoted(cell: String) -> String {
    if cell.contains([',', '"']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

pub async fn report(ctx: &Context, call: &Call) -> Result<String, AwsError> {
    let account = &call.principal.account;
    let users: Vec<User> = ctx.all(call, &store::prefix(call, Kind::User)).await?;
    let devices: Vec<MfaDevice> = ctx.all(call, &store::prefix(call, Kind::Mfa)).await?;
    let with_mfa: BTreeSet<String> = devices.into_iter().filter_map(|d| d.user).map(|u| u.to_lowercase()).collect();
    let used: HashMap<String, LastUsed> =
        ctx.all_with_names::<LastUsed>(call, &usage::access_keys(account)).await?.into_iter().collect();
    let certificates: Vec<SigningCertificate> = ctx.all(call, &prefix::<SigningCertificate>(account)).await?;
    let logins: Vec<Login> = ctx.all(call, &login::prefix(account)).await?;
    let logins: HashMap<&str, &Login> = logins.iter().map(|login| (&*login.user_id, login)).collect();
    let login_of = |id: &str| logins.get(id).copied();
    let policy = policy::of(ctx, call).await?;
    let created = users.iter().map(|user| user.created_unix_s).min().unwrap_or_default();
    let mut lines = vec![COLUMNS.to_owned(), root(account.as_str(), created, login_of(account.as_str()))];
    for user in &users {
        let mut cells = vec![
            user.name.clone(),
            records::arn(account, Kind::User, &user.path, &user.name),
            time(user.created_unix_s),
        ];
        cells.extend(password(login_of(&user.id), policy.as_ref()));
        cells.push(with_mfa.contains(&user.name.to_lowercase()).to_string());
        cells.extend(key(user.access_keys.first(), &used));
        cells.extend(key(user.access_keys.get(1), &used));
        let mut own = certificates.iter().filter(|certificate| certificate.user_id == user.id);
        cells.extend(certificate(own.next()));
        cells.extend(certificate(own.next()));
        cells.push(String::new());
        lines.push(cells.into_iter().map(quoted).collect::<Vec<_>>().join(","));
    }
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::passwords::hash::Hash;

    #[test]
    fn every_line_has_the_columns() {
        let columns = COLUMNS.split(',').count();
        assert_eq!(columns, 23);
        assert_eq!(root("111122223333", 0, None).split(',').count(), columns);
        let count =
            3 + password(None, None).len() + 1 + 2 * key(None, &HashMap::new()).len() + 2 * certificate(None).len() + 1;
        assert_eq!(count, columns);
        assert_eq!(time(0), "1970-01-01T00:00:00+00:00");
        let login = Login::new("AIDA", Hash::decoy(), false, 0);
        let policy = PasswordPolicy { max_age_days: Some(1), ..PasswordPolicy::default() };
        let dates = ["1970-01-01T00:00:00+00:00", "1970-01-02T00:00:00+00:00"];
        assert_eq!(password(Some(&login), Some(&policy)), ["true", UNUSED, dates[0], dates[1]]);
        assert_eq!(quoted("a,b".to_owned()), "\"a,b\"");
    }
}
