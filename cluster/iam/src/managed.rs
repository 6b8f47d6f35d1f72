//! AWS's managed policies that people use by name, as data.

use breakwater_policy::{Policy, Use};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

#[derive(Deserialize)]
struct Row {
    name: String,
    #[serde(default = "root")]
    path: String,
    description: String,
    document: serde_json::Value,
}

fn root() -> String {
    "/".to_owned()
}

pub struct AwsManaged {
    pub name: String,
    pub path: String,
    pub arn: String,
    pub description: String,
    pub document: String,
    pub policy: Arc<Policy>,
}

static ALL: LazyLock<BTreeMap<String, AwsManaged>> = LazyLock::new(|| {
    // Checked by a test: every row is a policy.
    let rows: Vec<Row> = serde_json::from_str(include_str!("managed/policies.json")).unwrap_or_default();
    let managed = rows.into_iter().filter_map(|row| {
        let document = serde_json::to_string_pretty(&row.document).ok()?;
        let policy = Arc::new(Policy::parse(&document, Use::Identity).ok()?);
        let arn = format!("arn:aws:iam::aws:policy{}{}", row.path, row.name);
        let managed = AwsManaged {
            name: row.name,
            path: row.path,
            arn: arn.clone(),
            description: row.description,
            document,
            policy,
        };
        Some((arn, managed))
    });
    managed.collect()
});

/// The policy with this ARN, as `arn:aws:iam::aws:policy/AdministratorAccess`.
pub fn aws_managed(arn: &str) -> Option<&'static AwsManaged> {
    ALL.get(arn)
}

pub fn aws_managed_all() -> impl Iterator<Item = &'static AwsManaged> {
    ALL.values()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_policy() {
        let rows: Vec<Row> = serde_json::from_str(include_str!("managed/policies.json")).unwrap();
        assert_eq!(rows.len(), ALL.len());
        for row in rows {
            Policy::parse(&row.document.to_string(), Use::Identity).unwrap_or_else(|e| panic!("{}: {e}", row.name));
        }
        assert!(aws_managed("arn:aws:iam::aws:policy/AdministratorAccess").is_some());
    }
}
