//! ListPolicies.

use crate::iam::prelude::*;

pub struct ListPolicies;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    scope: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    only_attached: Option<bool>,
    path_prefix: Option<String>,
    policy_usage_filter: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListPolicies {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListPolicies";
    const ACTION: &'static str = "iam:ListPolicies";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, call: &Call, _request: &Request) -> Vec<Arn> {
        vec![any_arn(call, "policy/")]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let prefix = check::path_prefix(request.path_prefix.as_deref())?;
        let max = check::max_items(request.max_items)?;
        let scope = request.scope.as_deref().unwrap_or("All");
        if !["All", "AWS", "Local"].contains(&scope) {
            let words = "Member must satisfy enum value set: [All, AWS, Local]";
            return Err(check::constraint(scope, "scope", words));
        }
        let of_use = check::policy_usage(request.policy_usage_filter.as_deref())?;
        let account = &call.principal.account;
        let usage = ctx.usage(call);
        let mut all = Vec::new();
        if scope != "AWS" {
            let own: Vec<ManagedPolicy> = ctx.all(call, &store::prefix(call, Kind::Policy)).await?;
            let own = own.into_iter().filter(|policy| policy.path.starts_with(prefix));
            all.extend(own.map(|policy| (policy.name.clone(), shapes::policy(account, &policy, &usage, false))));
        }
        if scope != "Local" {
            let aws = aws_managed_all().filter(|policy| policy.path.starts_with(prefix));
            all.extend(aws.map(|policy| (policy.name.clone(), shapes::aws_policy(policy, &usage, false))));
        }
        if request.only_attached == Some(true) || of_use.is_some() {
            let used = |shape: &Value, by: &str| shape[by] != 0;
            all.retain(|(_, shape)| match of_use {
                None => used(shape, "AttachmentCount") || used(shape, "PermissionsBoundaryUsageCount"),
                Some(check::PolicyUse::Permissions) => used(shape, "AttachmentCount"),
                Some(check::PolicyUse::Boundary) => used(shape, "PermissionsBoundaryUsageCount"),
            });
        }
        let page = store::page(all, |(name, shape)| format!("{name} {}", shape["Arn"]), request.marker.as_deref(), max);
        Ok(page.into_json("Policies", |(_, shape)| shape))
    }
}
