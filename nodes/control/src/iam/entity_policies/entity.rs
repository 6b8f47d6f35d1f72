//! What has policies.

use crate::iam::prelude::*;
use serde::de::DeserializeOwned;

/// Names of the operations on one kind of entity, and where its policies are.
pub trait Entity: Send + Sync + 'static {
    type Record: Serialize + DeserializeOwned + Send + Sync;
    const KIND: Kind;
    /// It may have a permissions boundary, which policies that delegate its administration ask for.
    const BOUNDED: bool = true;
    /// `userName`, as messages spell it.
    const AT: &'static str;
    /// Names and actions, in the order: put, get, delete, list inline; attach, detach, list attached.
    const OPERATIONS: [(&'static str, &'static str); 7];
    /// The most characters of all its inline policies together, white space not counted.
    const INLINE_MAX: usize;
    const ATTACHED_QUOTA: &'static str;
    /// Refuses what only a service changes.
    fn protect(_record: &Self::Record) -> Result<(), AwsError> {
        Ok(())
    }
    fn policies(record: &Self::Record) -> &Policies;
    fn policies_mut(record: &mut Self::Record) -> &mut Policies;
    /// The request's own name of it.
    fn name(names: &Names) -> Option<&str>;
    /// How an answer names it.
    fn shape(record: &Self::Record) -> (&'static str, String);
}

/// A request names a user or a group.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Names {
    user_name: Option<String>,
    group_name: Option<String>,
    role_name: Option<String>,
}

pub struct OfUser;
pub struct OfGroup;
pub struct OfRole;

impl Entity for OfUser {
    type Record = User;
    const KIND: Kind = Kind::User;
    const AT: &'static str = "userName";
    const OPERATIONS: [(&'static str, &'static str); 7] = [
        ("PutUserPolicy", "iam:PutUserPolicy"),
        ("GetUserPolicy", "iam:GetUserPolicy"),
        ("DeleteUserPolicy", "iam:DeleteUserPolicy"),
        ("ListUserPolicies", "iam:ListUserPolicies"),
        ("AttachUserPolicy", "iam:AttachUserPolicy"),
        ("DetachUserPolicy", "iam:DetachUserPolicy"),
        ("ListAttachedUserPolicies", "iam:ListAttachedUserPolicies"),
    ];
    const INLINE_MAX: usize = 2_048;
    const ATTACHED_QUOTA: &'static str = "PoliciesPerUser";
    fn policies(record: &User) -> &Policies {
        &record.policies
    }
    fn policies_mut(record: &mut User) -> &mut Policies {
        &mut record.policies
    }
    fn name(names: &Names) -> Option<&str> {
        names.user_name.as_deref()
    }
    fn shape(record: &User) -> (&'static str, String) {
        ("UserName", record.name.clone())
    }
}

impl Entity for OfGroup {
    type Record = Group;
    const KIND: Kind = Kind::Group;
    const BOUNDED: bool = false;
    const AT: &'static str = "groupName";
    const OPERATIONS: [(&'static str, &'static str); 7] = [
        ("PutGroupPolicy", "iam:PutGroupPolicy"),
        ("GetGroupPolicy", "iam:GetGroupPolicy"),
        ("DeleteGroupPolicy", "iam:DeleteGroupPolicy"),
        ("ListGroupPolicies", "iam:ListGroupPolicies"),
        ("AttachGroupPolicy", "iam:AttachGroupPolicy"),
        ("DetachGroupPolicy", "iam:DetachGroupPolicy"),
        ("ListAttachedGroupPolicies", "iam:ListAttachedGroupPolicies"),
    ];
    const INLINE_MAX: usize = 5_120;
    const ATTACHED_QUOTA: &'static str = "PoliciesPerGroup";
    fn policies(record: &Group) -> &Policies {
        &record.policies
    }
    fn policies_mut(record: &mut Group) -> &mut Policies {
        &mut record.policies
    }
    fn name(names: &Names) -> Option<&str> {
        names.group_name.as_deref()
    }
    fn shape(record: &Group) -> (&'static str, String) {
        ("GroupName", record.name.clone())
    }
}

impl Entity for OfRole {
    type Record = Role;
    const KIND: Kind = Kind::Role;
    const AT: &'static str = "roleName";
    const OPERATIONS: [(&'static str, &'static str); 7] = [
        ("PutRolePolicy", "iam:PutRolePolicy"),
        ("GetRolePolicy", "iam:GetRolePolicy"),
        ("DeleteRolePolicy", "iam:DeleteRolePolicy"),
        ("ListRolePolicies", "iam:ListRolePolicies"),
        ("AttachRolePolicy", "iam:AttachRolePolicy"),
        ("DetachRolePolicy", "iam:DetachRolePolicy"),
        ("ListAttachedRolePolicies", "iam:ListAttachedRolePolicies"),
    ];
    const INLINE_MAX: usize = 10_240;
    const ATTACHED_QUOTA: &'static str = "PoliciesPerRole";
    fn protect(record: &Role) -> Result<(), AwsError> {
        crate::iam::service_linked_roles::protect(record)
    }
    fn policies(record: &Role) -> &Policies {
        &record.policies
    }
    fn policies_mut(record: &mut Role) -> &mut Policies {
        &mut record.policies
    }
    fn name(names: &Names) -> Option<&str> {
        names.role_name.as_deref()
    }
    fn shape(record: &Role) -> (&'static str, String) {
        ("RoleName", record.name.clone())
    }
}

/// The name, checked.
pub fn name<E: Entity>(names: &Names) -> Result<&str, AwsError> {
    check::name(E::name(names), E::AT, 128)
}

pub fn no_such_inline<E: Entity>(policy: &str) -> AwsError {
    errors::missing(&format!("{} policy", word::<E>()), policy)
}

/// `user`, as messages have it.
pub fn word<E: Entity>() -> &'static str {
    E::AT.trim_end_matches("Name")
}
