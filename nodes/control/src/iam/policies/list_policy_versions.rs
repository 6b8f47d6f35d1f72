//! ListPolicyVersions.

use crate::iam::prelude::*;

pub struct ListPolicyVersions;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    policy_arn: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListPolicyVersions {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListPolicyVersions";
    const ACTION: &'static str = "iam:ListPolicyVersions";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "policy";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.policy_arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let arn = check::required(request.policy_arn.as_deref(), "policyArn")?;
        let max = check::max_items(request.max_items)?;
        let (mut versions, default) = match aws_managed(arn) {
            Some(policy) => return Ok(json!({"IsTruncated": false, "Versions": [shapes::aws_version(policy, false)]})),
            None => {
                let policy = ctx.policy(call, arn).await?.record;
                (policy.versions, policy.default)
            }
        };
        // The newest first.
        versions.sort_by_key(|version| std::cmp::Reverse(version.number));
        let order = |version: &PolicyVersion| format!("{:010}", u32::MAX - version.number);
        let page = store::page(versions, order, request.marker.as_deref(), max);
        Ok(page.into_json("Versions", |version| shapes::version(&version, version.number == default, false)))
    }
}
