//! Who asks, and the principals that a resource's policy names.

use crate::json::Json;

/// What kind of identity it is: resource policies and boundaries treat them differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerKind {
    Root,
    User,
    /// A session of a role, with the role's ARN.
    Role {
        role: String,
    },
    FederatedUser,
    /// Somebody who was vouched for by a provider, and has no identity here yet.
    WebIdentity {
        provider: String,
    },
    Saml {
        provider: String,
    },
    /// As `ec2.amazonaws.com`.
    Service {
        name: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// `arn:aws:iam::111122223333:user/path/name`, `arn:aws:sts::111122223333:assumed-role/role/session`.
    pub arn: String,
    pub account: String,
    pub kind: CallerKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Everybody,
    Account(String),
    Arn(String),
    Service(String),
    Federated(String),
    /// `AIDA…`, `AROA…`, canonical users: nobody whom we know by it.
    Other,
}

/// How near a policy came to naming the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// The account: it may hand the right on to whom it likes.
    Account,
    /// The role of a session, or everybody.
    Broad,
    /// This very user, session or service.
    Exact,
}

/// `Principal` or `NotPrincipal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principals {
    not: bool,
    names: Vec<Name>,
}

/// What is wrong, as `"AWS":"arn:aws:iam::1:user/x"`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    Syntax,
    Invalid(String),
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn aws(text: &str) -> Option<Name> {
    if text == "*" {
        return Some(Name::Everybody);
    }
    if is_account(text) {
        return Some(Name::Account(text.to_owned()));
    }
    let unique_id = text.len() >= 16 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if unique_id && ["AIDA", "AROA", "AGPA", "ANPA"].iter().any(|prefix| text.starts_with(prefix)) {
        return Some(Name::Other);
    }
    let mut segments = text.splitn(6, ':');
    let [arn, _partition, service, region, account, resource] = std::array::from_fn(|_| segments.next().unwrap_or(""));
    if arn != "arn" || !region.is_empty() || !is_account(account) || text.contains(['*', '?']) {
        return None;
    }
    let named =
        |kinds: &[&str]| kinds.iter().any(|kind| resource.strip_prefix(kind).is_some_and(|name| !name.is_empty()));
    match service {
        "iam" if resource == "root" => Some(Name::Account(account.to_owned())),
        "iam" if named(&["user/", "role/"]) => Some(Name::Arn(text.to_owned())),
        "sts" if named(&["assumed-role/", "federated-user/"]) => Some(Name::Arn(text.to_owned())),
        _ => None,
    }
}

fn service(text: &str) -> Option<Name> {
    let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    let known = text.ends_with(".amazonaws.com") || text.ends_with(".amazonaws.com.cn");
    (fits && known && !text.starts_with('.')).then(|| Name::Service(text.to_owned()))
}

fn federated(text: &str) -> Option<Name> {
    let fits = !text.is_empty() && !text.contains(['*', '?']) && text.contains(['.', ':']);
    fits.then(|| Name::Federated(text.to_owned()))
}

impl Principals {
    pub(crate) fn parse(value: &Json, not: bool) -> Result<Principals, Bad> {
        let names = match value {
            Json::Text(all) if all == "*" => vec![Name::Everybody],
            Json::Map(kinds) if !kinds.is_empty() => {
                let mut names = Vec::new();
                for (kind, values) in kinds {
                    let read: fn(&str) -> Option<Name> = match kind.as_str() {
                        "AWS" => aws,
                        "Service" => service,
                        "Federated" => federated,
                        "CanonicalUser" => |_| Some(Name::Other),
                        _ => return Err(Bad::Syntax),
                    };
                    for value in values.each() {
                        let Json::Text(text) = value else { return Err(Bad::Syntax) };
                        names.push(read(text).ok_or_else(|| Bad::Invalid(format!("\"{kind}\":\"{text}\"")))?);
                    }
                }
                names
            }
            _ => return Err(Bad::Syntax),
        };
        match names.is_empty() {
            true => Err(Bad::Syntax),
            false => Ok(Principals { not, names }),
        }
    }

    /// About the memory that they take.
    pub(crate) fn bytes(&self) -> usize {
        let texts = self.names.iter().map(|name| match name {
            Name::Account(text) | Name::Arn(text) | Name::Service(text) | Name::Federated(text) => text.len(),
            Name::Everybody | Name::Other => 0,
        });
        size_of_val(self.names.as_slice()) + texts.sum::<usize>()
    }

    pub(crate) fn reach(&self, caller: &Caller) -> Option<Reach> {
        let nearest = self.names.iter().filter_map(|name| name.reach(caller)).max();
        if !self.not {
            return nearest;
        }
        // Only denials except somebody. Who is excepted has to be named; an account that is named excepts its root alone.
        let excepted = nearest.is_some_and(|reach| reach > Reach::Account);
        (!excepted).then_some(Reach::Broad)
    }
}

impl Name {
    fn reach(&self, caller: &Caller) -> Option<Reach> {
        let of_an_account = matches!(
            caller.kind,
            CallerKind::Root | CallerKind::User | CallerKind::Role { .. } | CallerKind::FederatedUser
        );
        match self {
            Name::Everybody => Some(Reach::Broad),
            Name::Account(account) if of_an_account && *account == caller.account => match caller.kind {
                CallerKind::Root => Some(Reach::Exact),
                _ => Some(Reach::Account),
            },
            Name::Arn(arn) if of_an_account && *arn == caller.arn => Some(Reach::Exact),
            Name::Arn(arn) => match &caller.kind {
                CallerKind::Role { role } => (arn == role).then_some(Reach::Broad),
                _ => None,
            },
            Name::Service(name) => match &caller.kind {
                CallerKind::Service { name: given } => (name == given).then_some(Reach::Exact),
                _ => None,
            },
            Name::Federated(name) => match &caller.kind {
                CallerKind::WebIdentity { provider } | CallerKind::Saml { provider } => {
                    (name == provider).then_some(Reach::Exact)
                }
                _ => None,
            },
            Name::Account(_) | Name::Other => None,
        }
    }
}
