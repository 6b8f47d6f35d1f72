//! Counting what managed policies are attached to, in the transaction that attaches them.

use super::errors;
use super::service_linked_roles;
use super::store::{Change, Context};
use breakwater_aws::{AwsError, Call};
use breakwater_iam::aws_managed;
use breakwater_meta::{Compare, Op};

/// A change under way.
#[derive(Default)]
pub struct Attach {
    pub compares: Vec<Compare>,
    pub ops: Vec<Op>,
}

impl Attach {
    /// One more or one less of the policy, which must exist. AWS's own aren't counted: they can't be deleted.
    pub async fn count(&mut self, ctx: &Context, call: &Call, arn: &str, by: i32) -> Result<(), AwsError> {
        if by > 0 {
            service_linked_roles::check_attachable(arn)?;
        }
        if aws_managed(arn).is_some() {
            return Ok(());
        }
        let mut policy = ctx.policy(call, arn).await.map_err(|e| match &*e.code {
            "NoSuchEntity" => {
                AwsError::new("NoSuchEntity", 404, format!("Policy {arn} does not exist or is not attachable."))
            }
            _ => e,
        })?;
        let count = policy.record.attachments.checked_add_signed(by);
        policy.record.attachments = count.ok_or_else(|| AwsError::internal("a policy's attachments are miscounted"))?;
        if policy.record.default_document().is_none() {
            return Err(errors::no_such_policy(arn));
        }
        self.compares.push(policy.unchanged());
        self.ops.push(policy.put()?);
        Ok(())
    }

    pub fn into_change<R>(self, answer: R) -> Change<R> {
        Change { compares: self.compares, ops: self.ops, answer }
    }
}
