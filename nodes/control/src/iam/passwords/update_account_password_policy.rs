//! UpdateAccountPasswordPolicy: what isn't named gets its default, whatever it was before.

use super::policy::{self, PasswordPolicy};
use crate::iam::prelude::*;
use breakwater_types::formats::TRAILS;
use std::ops::RangeInclusive;

pub struct UpdateAccountPasswordPolicy;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(default, deserialize_with = "from_text")]
    minimum_password_length: Option<i64>,
    #[serde(default, deserialize_with = "from_text")]
    require_symbols: Option<bool>,
    #[serde(default, deserialize_with = "from_text")]
    require_numbers: Option<bool>,
    #[serde(default, deserialize_with = "from_text")]
    require_uppercase_characters: Option<bool>,
    #[serde(default, deserialize_with = "from_text")]
    require_lowercase_characters: Option<bool>,
    #[serde(default, deserialize_with = "from_text")]
    allow_users_to_change_password: Option<bool>,
    #[serde(default, deserialize_with = "from_text")]
    max_password_age: Option<i64>,
    #[serde(default, deserialize_with = "from_text")]
    password_reuse_prevention: Option<i64>,
    #[serde(default, deserialize_with = "from_text")]
    hard_expiry: Option<bool>,
}

const LENGTH: i64 = 6;

fn within(value: i64, range: &RangeInclusive<i64>, at: &str) -> Result<u32, AwsError> {
    let words = if value < *range.start() {
        format!("Member must have value greater than or equal to {}", range.start())
    } else if value > *range.end() {
        format!("Member must have value less than or equal to {}", range.end())
    } else {
        return u32::try_from(value).map_err(AwsError::internal);
    };
    Err(check::constraint(&value.to_string(), at, &words))
}

impl Request {
    fn policy(&self) -> Result<PasswordPolicy, AwsError> {
        let given = |value: Option<i64>, range, at| value.map(|value| within(value, &range, at)).transpose();
        Ok(PasswordPolicy {
            minimum_length: within(
                self.minimum_password_length.unwrap_or(LENGTH),
                &(6..=128),
                "minimumPasswordLength",
            )?,
            symbols: self.require_symbols.unwrap_or_default(),
            numbers: self.require_numbers.unwrap_or_default(),
            uppercase: self.require_uppercase_characters.unwrap_or_default(),
            lowercase: self.require_lowercase_characters.unwrap_or_default(),
            users_may_change: self.allow_users_to_change_password.unwrap_or_default(),
            max_age_days: given(self.max_password_age, 1..=1_095, "maxPasswordAge")?,
            reuse_prevention: given(self.password_reuse_prevention, 1..=24, "passwordReusePrevention")?,
            hard_expiry: self.hard_expiry,
        })
    }
}

impl Operation for UpdateAccountPasswordPolicy {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UpdateAccountPasswordPolicy";
    const ACTION: &'static str = "iam:UpdateAccountPasswordPolicy";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::any()]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        ctx.needs_format(TRAILS)?;
        let policy = request.policy()?;
        let key = policy::key(&call.principal.account);
        ctx.change(call, || async {
            Ok(Change { compares: vec![], ops: vec![put(key.clone(), &policy)?], answer: json!({}) })
        })
        .await
    }
}
