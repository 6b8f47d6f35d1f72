//! Whom a role's trust policy means: AWS keeps the unique ids that users and roles had when the policy was written, so
//! that who comes later under the same name isn't trusted.
//!
//! The policy is stored as it was written, and beside it the ids. Where those whom it names have another ARN by now, it is
//! read, and shown, with that one; where they are gone, with the id in its place, which no caller matches.

use crate::credentials::is_account;
use crate::iam::prelude::*;
use breakwater_meta::Mirror;
use breakwater_types::AccountId;

/// The unique ids of users and roles that a trust policy names, by ARN.
pub type Ids = BTreeMap<String, String>;

/// `iam/aws/111122223333/trusted/ROLE`.
pub fn key(account: &AccountId, role: &str) -> Vec<u8> {
    format!("iam/aws/{account}/trusted/{}", role.to_lowercase()).into_bytes()
}

/// Every `AWS` principal of a policy.
fn principals(document: &mut Value) -> Vec<&mut Value> {
    let statements = match document.get_mut("Statement") {
        Some(Value::Array(all)) => all.iter_mut().collect(),
        Some(one) => vec![one],
        None => vec![],
    };
    let mut all = Vec::new();
    for statement in statements.into_iter().filter_map(Value::as_object_mut) {
        for (name, principal) in statement.iter_mut() {
            if name != "Principal" && name != "NotPrincipal" {
                continue;
            }
            match principal.get_mut("AWS") {
                Some(Value::Array(names)) => all.extend(names.iter_mut()),
                Some(one) => all.push(one),
                None => {}
            }
        }
    }
    all
}

/// The key of the record of a user or role with this ARN.
fn record_of(arn: &str) -> Option<(Kind, Vec<u8>)> {
    let (account, resource) = arn.strip_prefix("arn:aws:iam::")?.split_once(':')?;
    let account = AccountId::new(account).ok()?;
    let (kind, path) = resource.split_once('/')?;
    let kind = match kind {
        "user" => Kind::User,
        "role" => Kind::Role,
        _ => return None,
    };
    Some((kind, records::key(&account, kind, path.rsplit('/').next()?)))
}

/// The id in a record, if it is of whom this ARN means.
fn id_in(kind: Kind, arn: &str, record: &[u8]) -> Option<String> {
    let account = AccountId::new(arn.split(':').nth(4)?).ok()?;
    let (id, path, name) = match kind {
        Kind::User => records::read::<User>(record).ok().map(|user| (user.id, user.path, user.name))?,
        _ => records::read::<Role>(record).ok().map(|role| (role.id, role.path, role.name))?,
    };
    (records::arn(&account, kind, &path, &name) == arn).then_some(id)
}

fn is_unique_id(text: &str) -> bool {
    let fits = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    fits && (text.starts_with("AIDA") || text.starts_with("AROA"))
}

/// The account that a principal names as a whole: by its number, or as its root.
fn account_of(principal: &str) -> Option<AccountId> {
    let root = principal.strip_prefix("arn:aws:iam::").and_then(|rest| rest.strip_suffix(":root"));
    AccountId::new(root.unwrap_or(principal)).ok()
}

/// A new trust policy as it is kept, and the ids of all whom it names. Nobody can be named who isn't there; an account's
/// number becomes the ARN of its root, as AWS does it.
pub async fn resolve(ctx: &Context, call: &Call, trust: &str) -> Result<(String, Ids), AwsError> {
    let mut document: Value = serde_json::from_str(trust).map_err(|e| errors::malformed(e.to_string()))?;
    let (mut ids, mut numbers) = (Ids::new(), false);
    for principal in principals(&mut document) {
        let Some(name) = principal.as_str() else { continue };
        let nobody = || errors::malformed(format!("Invalid principal in policy: \"AWS\":\"{name}\""));
        // As a policy shows who is gone.
        if is_unique_id(name) {
            return Err(nobody());
        }
        if let Some(account) = account_of(name) {
            let known = account == call.principal.account
                || is_account(&ctx.meta, &account, call.deadline)
                    .await
                    .map_err(|e| errors::unavailable(&e.to_string()))?;
            if !known {
                return Err(nobody());
            }
            let root = format!("arn:aws:iam::{account}:root");
            numbers |= name != root;
            *principal = root.into();
            continue;
        }
        let Some((kind, key)) = record_of(name) else { continue };
        let entry = ctx.meta.get(&key, call.deadline).await.map_err(|e| errors::unavailable(&e.to_string()))?;
        let id = entry.and_then(|entry| id_in(kind, name, &entry.value)).ok_or_else(nobody)?;
        ids.insert(name.to_owned(), id);
    }
    Ok((if numbers { document.to_string() } else { trust.to_owned() }, ids))
}

/// The ARN that somebody with this id has now, whom a policy named by `arn`; nothing where they are gone. Users may have
/// been renamed, or moved to another path, and are the same users still.
fn present(arn: &str, id: &str, get: &impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<String> {
    let account = AccountId::new(arn.split(':').nth(4)?).ok()?;
    let (kind, key) = record_of(arn)?;
    let found = |key: &[u8]| -> Option<String> {
        let record = get(key)?;
        let (found, path, name) = match kind {
            Kind::User => records::read::<User>(&record).ok().map(|user| (user.id, user.path, user.name))?,
            _ => records::read::<Role>(&record).ok().map(|role| (role.id, role.path, role.name))?,
        };
        (found == id).then(|| records::arn(&account, kind, &path, &name))
    };
    found(&key).or_else(|| {
        let name = records::read::<String>(&get(&records::renamed_key(&account, id))?).ok()?;
        found(&records::key(&account, kind, &name))
    })
}

/// The policy as it is meant now: with the ARNs that those whom it names have now, and with ids in place of those who are
/// gone, whoever has their names.
pub fn meant(mirror: &Mirror, account: &AccountId, role: &Role) -> String {
    meant_by(|key| mirror.get(key).map(|entry| entry.value.to_vec()), account, role)
}

fn meant_by(get: impl Fn(&[u8]) -> Option<Vec<u8>>, account: &AccountId, role: &Role) -> String {
    let ids = get(&key(account, &role.name)).and_then(|ids| records::read::<Ids>(&ids).ok()).unwrap_or_default();
    let changed = |arn: &str| -> Option<String> {
        let id = ids.get(arn)?;
        Some(present(arn, id, &get).unwrap_or_else(|| id.clone())).filter(|now| now != arn)
    };
    if ids.keys().all(|arn| changed(arn).is_none()) {
        return role.trust.clone();
    }
    let Ok(mut document) = serde_json::from_str::<Value>(&role.trust) else { return role.trust.clone() };
    for principal in principals(&mut document) {
        if let Some(now) = principal.as_str().and_then(changed) {
            *principal = now.into();
        }
    }
    document.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_found_in_every_form() {
        let mut document = json!({"Statement": [
            {"Principal": {"AWS": "a"}}, {"NotPrincipal": {"AWS": ["b", "c"], "Service": "x"}}, {"Principal": "*"}]});
        let names: Vec<String> = principals(&mut document).iter().map(|v| v.as_str().unwrap().to_owned()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let mut one = json!({"Statement": {"Principal": {"AWS": "a"}}});
        assert_eq!(principals(&mut one).len(), 1);
        assert!(record_of("arn:aws:iam::111122223333:user/a/b/ann").is_some());
        for other in
            ["arn:aws:iam::111122223333:root", "*", "111122223333", "arn:aws:sts::111122223333:assumed-role/r/s"]
        {
            assert!(record_of(other).is_none(), "{other}");
        }
        for account in ["arn:aws:iam::111122223333:root", "111122223333"] {
            assert_eq!(account_of(account).unwrap().as_str(), "111122223333");
        }
        for other in ["*", "arn:aws:iam::111122223333:user/root", "arn:aws:iam:::root", "11112222333", "root"] {
            assert!(account_of(other).is_none(), "{other}");
        }
        assert!(is_unique_id("AIDA1234567890ABCDEF") && !is_unique_id("arn:aws:iam::111122223333:user/x"));
    }

    /// AWS: a policy follows the user, whatever she is called. Renaming her broke every policy that named her.
    #[test]
    fn a_policy_follows_a_user_to_her_new_name() {
        let account = AccountId::new("111122223333").unwrap();
        let user = |name: &str, path: &str, id: &str| {
            let user = User {
                name: name.to_owned(),
                id: id.to_owned(),
                path: path.to_owned(),
                created_unix_s: 0,
                groups: BTreeSet::new(),
                policies: Policies::default(),
                boundary: None,
                tags: BTreeMap::new(),
                access_keys: Vec::new(),
            };
            (records::key(&account, Kind::User, name), records::write(&user).unwrap())
        };
        let ann = "arn:aws:iam::111122223333:user/ann";
        let role = Role {
            name: "r".to_owned(),
            id: "AROAR".to_owned(),
            path: "/".to_owned(),
            created_unix_s: 0,
            trust: json!({"Statement": {"Principal": {"AWS": ann}}}).to_string(),
            description: None,
            max_session_s: 3_600,
            policies: Policies::default(),
            boundary: None,
            tags: BTreeMap::new(),
        };
        let ids = Ids::from([(ann.to_owned(), "AIDAANN".to_owned())]);
        let ids = (key(&account, "r"), records::write(&ids).unwrap());
        let renamed =
            |name: &str| (records::renamed_key(&account, "AIDAANN"), records::write(&name.to_owned()).unwrap());
        let meant = |more: &[(Vec<u8>, Vec<u8>)]| {
            let all: BTreeMap<Vec<u8>, Vec<u8>> = more.iter().chain([&ids]).cloned().collect();
            let meant = meant_by(|key| all.get(key).cloned(), &account, &role);
            let mut meant: Value = serde_json::from_str(&meant).unwrap();
            principals(&mut meant)[0].as_str().unwrap().to_owned()
        };
        assert_eq!(meant(&[user("ann", "/", "AIDAANN")]), ann);
        let bea = "arn:aws:iam::111122223333:user/bea";
        assert_eq!(meant(&[user("bea", "/", "AIDAANN"), renamed("bea")]), bea);
        // Another ann came, and the first one moved.
        assert_eq!(meant(&[user("ann", "/", "AIDAOTHER"), user("bea", "/", "AIDAANN"), renamed("bea")]), bea);
        assert_eq!(meant(&[user("ann", "/p/", "AIDAANN")]), "arn:aws:iam::111122223333:user/p/ann");
        for gone in [vec![], vec![user("ann", "/", "AIDAOTHER")], vec![user("bea", "/", "AIDAOTHER"), renamed("bea")]] {
            assert_eq!(meant(&gone), "AIDAANN");
        }
    }
}
