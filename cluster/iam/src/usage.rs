//! When credentials and services were last used: noted in memory on every front door, to the minute, and taken away in
//! batches by whoever writes it down. What a node has noted and not handed on is lost with it, as no right hangs on it.

use breakwater_aws::{Authorizer, Plane, Usage, Used};
use breakwater_types::AccountId;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// One use. It is sent between nodes: it may grow at its end only, behind a new format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    pub account: AccountId,
    /// `AIDA…`, `AROA…`, or the account's number for its root.
    pub principal_id: String,
    /// Empty where the credentials were temporary.
    pub access_key_id: String,
    pub service: String,
    /// Of management calls, as `CreateTable`.
    pub operation: Option<String>,
    pub region: String,
    pub unix_s: i64,
}

/// Times are kept to the minute: a key in steady use is noted once in that time.
const GRANULARITY_S: i64 = 60;
/// Notes that are remembered, of all credentials and operations; beyond it those of other minutes are let go of, and if
/// that isn't enough all are noted anew.
const NOTED_MAX: usize = 100_000;
/// Uses that wait to be taken; more are let go of, and counted.
const WAITING_MAX: usize = 100_000;

/// A service, and an operation where it is noted too.
type What = (&'static str, &'static str);
/// When each credential was last noted.
#[derive(Default)]
struct Noted {
    last: HashMap<What, HashMap<String, AtomicI64>>,
    /// In all of them.
    count: usize,
}

impl Noted {
    fn note(&mut self, what: What, credential: &str, minute: i64) {
        if self.count >= NOTED_MAX {
            self.forget(minute);
        }
        let before = self.last.entry(what).or_default().insert(credential.to_owned(), AtomicI64::new(minute));
        self.count += usize::from(before.is_none());
    }

    fn forget(&mut self, minute: i64) {
        self.last.retain(|_, all| {
            all.retain(|_, last| *last.get_mut() == minute);
            !all.is_empty()
        });
        self.count = self.last.values().map(HashMap::len).sum();
        // Or they would be looked through again soon.
        if self.count > NOTED_MAX / 2 {
            *self = Noted::default();
        }
    }
}

type Name = (String, String, Option<String>, String);

/// The uses that this node has noted.
pub struct Usages {
    authorizer: Arc<dyn Authorizer>,
    noted: RwLock<Noted>,
    waiting: Mutex<HashMap<Name, Use>>,
    lost: AtomicU64,
}

fn name(of: &Use) -> Name {
    (of.principal_id.clone(), of.service.clone(), of.operation.clone(), of.access_key_id.clone())
}

impl Usages {
    /// `authorizer` knows callers' unique ids.
    pub fn new(authorizer: Arc<dyn Authorizer>) -> Arc<Usages> {
        Arc::new(Usages { authorizer, noted: RwLock::default(), waiting: Mutex::default(), lost: AtomicU64::default() })
    }

    /// Whether it is to be noted now: it wasn't in this minute.
    fn is_due(&self, what: What, credential: &str, unix_s: i64) -> bool {
        let minute = unix_s.div_euclid(GRANULARITY_S);
        if let Some(last) = self.noted.read().last.get(&what).and_then(|all| all.get(credential)) {
            // Looked at first: a key in steady use is only read.
            return last.load(Ordering::Relaxed) != minute && last.swap(minute, Ordering::Relaxed) != minute;
        }
        self.noted.write().note(what, credential, minute);
        true
    }

    /// Adds what other nodes have noted, or what could not be written down.
    pub fn add(&self, uses: Vec<Use>) {
        let mut waiting = self.waiting.lock();
        for one in uses {
            let name = name(&one);
            let known = waiting.get(&name).map(|known| known.unix_s);
            if known.is_none() && waiting.len() >= WAITING_MAX {
                self.lost.fetch_add(1, Ordering::Relaxed);
            } else if known.is_none_or(|known| known < one.unix_s) {
                waiting.insert(name, one);
            }
        }
    }

    /// At most so many of those that wait.
    pub fn take(&self, most: usize) -> Vec<Use> {
        let mut waiting = self.waiting.lock();
        let names: Vec<Name> = waiting.keys().take(most).cloned().collect();
        names.iter().filter_map(|name| waiting.remove(name)).collect()
    }

    /// Uses that were let go of since this node's start.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Usage for Usages {
    fn used(&self, used: &Used<'_>) {
        let operation = match used.plane {
            Plane::Control => used.operation,
            Plane::Data => "",
        };
        let principal = used.principal;
        if !self.is_due((used.service, operation), &principal.access_key_id, used.unix_s) {
            return;
        }
        let id = self.authorizer.unique_id(principal);
        let id = id.split(':').next().unwrap_or_default();
        if id.is_empty() {
            return;
        }
        self.add(vec![Use {
            account: principal.account.clone(),
            principal_id: id.to_owned(),
            access_key_id: match principal.session {
                None => principal.access_key_id.clone(),
                Some(_) => String::new(),
            },
            service: used.service.to_owned(),
            operation: Some(operation).filter(|name| !name.is_empty()).map(str::to_owned),
            region: used.region.to_owned(),
            unix_s: used.unix_s,
        }]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_aws::{About, Arn, AwsError, Call, Identity, Principal};

    struct Known;

    impl Authorizer for Known {
        fn authorize(&self, _: &Call, _: &'static str, _: &Arn, _: &About<'_>) -> Result<(), AwsError> {
            Ok(())
        }
        fn unique_id(&self, principal: &Principal) -> String {
            format!("AIDA{}", principal.access_key_id)
        }
    }

    fn principal(key: &str) -> Principal {
        let account = AccountId::new("111122223333").unwrap();
        let arn = "arn:aws:iam::111122223333:user/ann".to_owned();
        Principal { access_key_id: key.to_owned(), account, arn, identity: Identity::User("ann".into()), session: None }
    }

    fn used(usages: &Usages, key: &str, operation: &'static str, plane: Plane, unix_s: i64) {
        let principal = principal(key);
        usages.used(&Used { service: "dynamodb", operation, plane, principal: &principal, region: "r", unix_s });
    }

    #[test]
    fn a_key_in_steady_use_is_noted_once_a_minute() {
        let usages = Usages::new(Arc::new(Known));
        for unix_s in 0..60 {
            used(&usages, "AKIAONE", "GetItem", Plane::Data, unix_s);
            used(&usages, "AKIAONE", "PutItem", Plane::Data, unix_s);
        }
        let taken = usages.take(10);
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0].unix_s, taken[0].operation.as_deref()), (0, None));
        used(&usages, "AKIAONE", "GetItem", Plane::Data, 61);
        used(&usages, "AKIAONE", "CreateTable", Plane::Control, 62);
        used(&usages, "AKIATWO", "GetItem", Plane::Data, 63);
        assert_eq!(usages.take(2).len(), 2);
        assert_eq!((usages.take(9).len(), usages.take(9).len()), (1, 0));
    }

    /// Each operation had its own bound, and what was noted once stayed forever.
    #[test]
    fn what_is_remembered_is_bounded_in_all_and_ages() {
        let mut noted = Noted::default();
        let operations = ["CreateTable", "DeleteTable", "ListTables", "TagResource"];
        for n in 0..NOTED_MAX {
            noted.note(("dynamodb", operations[n % 4]), &n.to_string(), 1);
        }
        assert_eq!(noted.count, NOTED_MAX);
        noted.note(("dynamodb", "UpdateTable"), "AKIAONE", 2);
        assert_eq!((noted.count, noted.last.len()), (1, 1));
        for n in 0..NOTED_MAX * 2 {
            noted.note(("dynamodb", operations[n % 4]), &n.to_string(), 2);
            assert!(noted.count <= NOTED_MAX);
        }
        assert_eq!(noted.count, noted.last.values().map(HashMap::len).sum::<usize>());
    }

    #[test]
    fn the_latest_use_stays_and_what_waits_is_bounded() {
        let usages = Usages::new(Arc::new(Known));
        used(&usages, "AKIAONE", "GetItem", Plane::Data, 600);
        let newest = usages.take(1);
        used(&usages, "AKIAONE", "GetItem", Plane::Data, 700);
        usages.add(newest);
        let taken = usages.take(9);
        assert_eq!((taken.len(), taken[0].unix_s), (1, 700));
        for n in 0..WAITING_MAX + 5 {
            usages.add(vec![Use { principal_id: n.to_string(), ..taken[0].clone() }]);
        }
        assert_eq!(usages.lost(), 5);
    }
}
