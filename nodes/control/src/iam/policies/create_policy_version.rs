//! CreatePolicyVersion.

use crate::iam::prelude::*;
use breakwater_policy::Use;

const VERSIONS_MAX: usize = 5;

pub struct CreatePolicyVersion;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    policy_arn: Option<String>,
    policy_document: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    set_as_default: Option<bool>,
}

impl Operation for CreatePolicyVersion {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreatePolicyVersion";
    const ACTION: &'static str = "iam:CreatePolicyVersion";
    const ACCESS: Access = Access::PermissionsManagement;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "policy";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.policy_arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let arn = check::required(request.policy_arn.as_deref(), "policyArn")?;
        let document = check::document(request.policy_document.as_deref(), "PolicySize", DOCUMENT_MAX, Use::Managed)?;
        ctx.change(call, || async {
            let mut policy = ctx.policy(call, arn).await?;
            let record = &mut policy.record;
            if record.versions.len() >= VERSIONS_MAX {
                return Err(AwsError::new(
                    "LimitExceeded",
                    409,
                    "A managed policy can have up to 5 versions. Before you create a new version, you must delete an \
                     existing version.",
                ));
            }
            let now = ctx.now();
            let version = PolicyVersion { number: record.next, document: document.to_owned(), created_unix_s: now };
            record.next += 1;
            record.updated_unix_s = now;
            let default = request.set_as_default == Some(true);
            if default {
                record.default = version.number;
            }
            let answer = json!({"PolicyVersion": shapes::version(&version, default, false)});
            record.versions.push(version);
            Ok(Change { compares: vec![policy.unchanged()], ops: vec![policy.put()?], answer })
        })
        .await
    }
}
