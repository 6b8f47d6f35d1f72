//! What every operation on trails uses.

pub(super) use super::Context;
pub(super) use super::check;
pub(super) use super::errors;
pub(super) use super::shapes;
pub(super) use crate::iam::check::{Tag, request_tags, tagging};
pub(super) use crate::store::{Change, Found, put};
pub(super) use breakwater_audit::trails::{self, Delivery, Trail, Wants};
pub(super) use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Operation, Plane};
pub(super) use breakwater_meta::{Compare, Op};
pub(super) use serde::Deserialize;
pub(super) use serde_json::{Value, json};
pub(super) use std::sync::Arc;
