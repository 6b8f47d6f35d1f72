//! Names and numbers of things.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An id inside Raft: a replica that lost its disk comes back under a new one, so it is not the node's name.
pub type RaftNodeId = u64;

/// A Raft group: `meta`, or one partition of a table. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId(pub u64);

impl GroupId {
    /// The control store's own group.
    pub const META: GroupId = GroupId(1);
    /// Audit events, on the control nodes too.
    pub const AUDIT: GroupId = GroupId(2);
    /// Partition groups are numbered by `meta` from here on.
    pub const FIRST_PARTITION: GroupId = GroupId(1_000);
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}", self.0)
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what} {value:?} is not valid: {rule}")]
pub struct InvalidName {
    pub what: &'static str,
    pub value: String,
    pub rule: &'static str,
}

/// What a node does; part of its certificate, so that a call can be refused by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    Edge,
    Control,
    Dynamo,
    Dax,
    Cache,
    Sql,
    Kms,
    /// The `host-agent` that runs on every host.
    Agent,
    /// The person's own tools: `scripts/chaos`, `scripts/status`.
    Operator,
}

impl NodeKind {
    pub const ALL: [NodeKind; 9] = [
        NodeKind::Edge,
        NodeKind::Control,
        NodeKind::Dynamo,
        NodeKind::Dax,
        NodeKind::Cache,
        NodeKind::Sql,
        NodeKind::Kms,
        NodeKind::Agent,
        NodeKind::Operator,
    ];

    /// The word in certificates and configuration.
    pub fn word(self) -> &'static str {
        match self {
            NodeKind::Edge => "edge",
            NodeKind::Control => "control",
            NodeKind::Dynamo => "dynamo",
            NodeKind::Dax => "dax",
            NodeKind::Cache => "cache",
            NodeKind::Sql => "sql",
            NodeKind::Kms => "kms",
            NodeKind::Agent => "agent",
            NodeKind::Operator => "operator",
        }
    }

    /// The name of the binary.
    pub fn binary(self) -> &'static str {
        match self {
            NodeKind::Edge => "edge-node",
            NodeKind::Control => "control-node",
            NodeKind::Dynamo => "dynamo-node",
            NodeKind::Dax => "dax-node",
            NodeKind::Cache => "cache-node",
            NodeKind::Sql => "sql-node",
            NodeKind::Kms => "kms-node",
            NodeKind::Agent => "host-agent",
            NodeKind::Operator => "breakwater",
        }
    }
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for NodeKind {
    type Err = InvalidName;
    fn from_str(s: &str) -> Result<Self, InvalidName> {
        Self::ALL.into_iter().find(|k| k.word() == s).ok_or(InvalidName {
            what: "node kind",
            value: s.to_owned(),
            rule: "one of edge, control, dynamo, dax, cache, sql, kms, agent, operator",
        })
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidName> {
                let value = value.into();
                let check: fn(&str) -> bool = $check;
                if check(&value) { Ok(Self(value)) } else { Err(InvalidName { what: $what, value, rule: $rule }) }
            }
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(v: String) -> Result<Self, InvalidName> { Self::new(v) }
        }
        impl From<$name> for String { fn from(v: $name) -> String { v.0 } }
        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(s: &str) -> Result<Self, InvalidName> { Self::new(s) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    };
}

fn is_label(s: &str) -> bool {
    !s.is_empty()
        && s.len() <= 63
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !s.starts_with('-')
        && !s.ends_with('-')
}

name_type!(
    /// A host's node, as `dynamo-node-b1`; its agent is `agent-dynamo-node-b1` in certificates.
    NodeName,
    "node name",
    "lower-case letters, digits and hyphens, at most 63",
    is_label
);
name_type!(
    /// An availability zone, as `az-b`.
    Zone,
    "zone",
    "lower-case letters, digits and hyphens, at most 63",
    is_label
);
name_type!(
    /// The region's name, as `us-east-1` or `breakwater-1`.
    Region,
    "region",
    "lower-case letters, digits and hyphens, at most 63",
    is_label
);
name_type!(
    /// An AWS account number.
    AccountId,
    "account id",
    "twelve digits",
    |s| s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit())
);

/// Where a resource belongs; the first part of every stored key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The ARN partition; `aws` here.
    pub partition: String,
    pub account: AccountId,
    pub region: Region,
}

impl Scope {
    pub fn new(account: AccountId, region: Region) -> Self {
        Scope { partition: "aws".to_owned(), account, region }
    }

    /// `aws/111122223333/us-east-1`, the prefix of every stored key.
    pub fn key_prefix(&self) -> String {
        format!("{}/{}/{}", self.partition, self.account, self.region)
    }

    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition, self.region, self.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_would_break_a_key_or_a_certificate() {
        for bad in ["", "-a", "a-", "A", "a/b", "a.b", &"a".repeat(64)] {
            assert!(NodeName::new(bad).is_err(), "{bad:?}");
        }
        assert!(NodeName::new("dynamo-node-b1").is_ok());
        assert!(AccountId::new("12345678901").is_err());
        let scope = Scope::new(AccountId::new("111122223333").unwrap(), Region::new("us-east-1").unwrap());
        assert_eq!(scope.arn("dynamodb", "table/t"), "arn:aws:dynamodb:us-east-1:111122223333:table/t");
    }

    #[test]
    fn every_kind_reads_back() {
        for kind in NodeKind::ALL {
            assert_eq!(kind.word().parse::<NodeKind>(), Ok(kind));
        }
    }
}
