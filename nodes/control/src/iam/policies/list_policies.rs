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
            return Err(errors::validation(format!(
                "1 validation error detected: Value '{scope}' at 'scope' failed to satisfy constraint: Member must satisfy \
                 enum value set: [All, AWS, Local]"
            )));
        }
        let account = &call.principal.account;
        let mut all = Vec::new();
        if scope != "AWS" {
            let own: Vec<ManagedPolicy> = ctx.all(call, &store::prefix(call, Kind::Policy)).await?;
            let own = own.into_iter().filter(|policy| policy.path.starts_with(prefix));
            all.extend(own.map(|policy| (policy.name.clone(), shapes::policy(account, &policy, false))));
        }
        if scope != "Local" {
            let attached = ctx.attachments(call);
            let of = |arn: &str| attached.get(arn).copied().unwrap_or(0);
            let aws = aws_managed_all().filter(|policy| policy.path.starts_with(prefix));
            all.extend(aws.map(|policy| (policy.name.clone(), shapes::aws_policy(policy, of(&policy.arn), false))));
        }
        if request.only_attached == Some(true) {
            all.retain(|(_, shape)| shape["AttachmentCount"] != 0);
        }
        let page = store::page(all, |(name, shape)| format!("{name} {}", shape["Arn"]), request.marker.as_deref(), max);
        Ok(page.into_json("Policies", |(_, shape)| shape))
    }
}
