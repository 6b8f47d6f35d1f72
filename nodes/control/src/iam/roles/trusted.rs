//! Whom a role's trust policy means: AWS keeps the unique ids that users and roles had when the policy was written, so
//! that who comes later under the same name isn't trusted.
//!
//! The policy is stored as it was written, and beside it the ids. Where an ARN is somebody else's by now, or nobody's,
//! the policy is read, and shown, with the id in its place, which no caller matches.

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

/// The ids of all whom a new trust policy names. Nobody can be named who isn't there.
pub async fn resolve(ctx: &Context, call: &Call, trust: &str) -> Result<Ids, AwsError> {
    let mut document: Value = serde_json::from_str(trust).map_err(|e| errors::malformed(e.to_string()))?;
    let mut ids = Ids::new();
    for name in principals(&mut document) {
        let Some(name) = name.as_str() else { continue };
        let nobody = || errors::malformed(format!("Invalid principal in policy: \"AWS\":\"{name}\""));
        // As a policy shows who is gone.
        if is_unique_id(name) {
            return Err(nobody());
        }
        let Some((kind, key)) = record_of(name) else { continue };
        let entry = ctx.meta.get(&key, call.deadline).await.map_err(|e| errors::unavailable(&e.to_string()))?;
        let id = entry.and_then(|entry| id_in(kind, name, &entry.value)).ok_or_else(nobody)?;
        ids.insert(name.to_owned(), id);
    }
    Ok(ids)
}

/// The policy as it is meant now, with ids in place of ARNs that aren't whom it names any more.
pub fn meant(mirror: &Mirror, account: &AccountId, role: &Role) -> String {
    let entry = mirror.get(&key(account, &role.name));
    let ids = entry.and_then(|entry| records::read::<Ids>(&entry.value).ok()).unwrap_or_default();
    let gone = |arn: &str| -> Option<&String> {
        let id = ids.get(arn)?;
        let (kind, key) = record_of(arn)?;
        let now = mirror.get(&key).and_then(|entry| id_in(kind, arn, &entry.value));
        (now.as_ref() != Some(id)).then_some(id)
    };
    if ids.keys().all(|arn| gone(arn).is_none()) {
        return role.trust.clone();
    }
    let Ok(mut document) = serde_json::from_str::<Value>(&role.trust) else { return role.trust.clone() };
    for principal in principals(&mut document) {
        if let Some(id) = principal.as_str().and_then(gone) {
            *principal = id.as_str().into();
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
        assert!(is_unique_id("AIDA1234567890ABCDEF") && !is_unique_id("arn:aws:iam::111122223333:user/x"));
    }
}
