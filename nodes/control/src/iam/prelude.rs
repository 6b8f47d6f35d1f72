//! What every operation of IAM uses.

pub(crate) use super::account::room_for;
pub(crate) use super::attach::Attach;
pub(crate) use super::check::{self, Tag};
pub(crate) use super::policies::DOCUMENT_MAX;
pub(crate) use super::shapes::{self, key_id, unique_id};
pub(crate) use super::store::{self, Change, Context, put};
pub(crate) use super::{any_arn, errors, mfa, named_or_self, new_arn, user_or_caller};
pub(crate) use breakwater_aws::query::from_text;
pub(crate) use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Operation, Plane};
pub(crate) use breakwater_iam::providers::{OidcProvider, SamlProvider};
pub(crate) use breakwater_iam::records::{
    self, AccessKey, Group, InstanceProfile, Kind, ManagedPolicy, MfaDevice, Policies, PolicyVersion, Role, User,
};
pub(crate) use breakwater_iam::{aws_managed, aws_managed_all};
pub(crate) use breakwater_meta::{Compare, Op};
pub(crate) use serde::{Deserialize, Serialize};
pub(crate) use serde_json::{Value, json};
pub(crate) use std::collections::{BTreeMap, BTreeSet};
pub(crate) use std::marker::PhantomData;
pub(crate) use std::sync::Arc;
