//! ListEntitiesForPolicy.

use crate::iam::prelude::*;

pub struct ListEntitiesForPolicy;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    policy_arn: Option<String>,
    entity_filter: Option<String>,
    path_prefix: Option<String>,
    policy_usage_filter: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListEntitiesForPolicy {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListEntitiesForPolicy";
    const ACTION: &'static str = "iam:ListEntitiesForPolicy";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "policy";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.policy_arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let arn = check::required(request.policy_arn.as_deref(), "policyArn")?;
        let max = check::max_items(request.max_items)?;
        let prefix = check::path_prefix(request.path_prefix.as_deref())?;
        let filter = request.entity_filter.as_deref();
        let of_use = check::policy_usage(request.policy_usage_filter.as_deref())?;
        const FILTERS: [&str; 5] = ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];
        if let Some(wrong) = filter.filter(|filter| !FILTERS.contains(filter)) {
            let words = format!("Member must satisfy enum value set: [{}]", FILTERS.join(", "));
            return Err(check::constraint(wrong, "entityFilter", &words));
        }
        let uses = |policies: &Policies, boundary: Option<&String>| {
            let attached = of_use != Some(check::PolicyUse::Boundary) && policies.attached.contains(arn);
            attached || of_use != Some(check::PolicyUse::Permissions) && boundary.is_some_and(|b| b == arn)
        };
        if aws_managed(arn).is_none() {
            ctx.policy(call, arn).await?;
        }
        let mut all = Vec::new();
        if matches!(filter, None | Some("User")) {
            let users: Vec<User> = ctx.all(call, &store::prefix(call, Kind::User)).await?;
            let users =
                users.into_iter().filter(|u| uses(&u.policies, u.boundary.as_ref()) && u.path.starts_with(prefix));
            all.extend(users.map(|u| ("PolicyUsers", u.name.clone(), json!({"UserName": u.name, "UserId": u.id}))));
        }
        if matches!(filter, None | Some("Group")) {
            let groups: Vec<Group> = ctx.all(call, &store::prefix(call, Kind::Group)).await?;
            let groups = groups.into_iter().filter(|g| uses(&g.policies, None) && g.path.starts_with(prefix));
            all.extend(groups.map(|g| ("PolicyGroups", g.name.clone(), json!({"GroupName": g.name, "GroupId": g.id}))));
        }
        if matches!(filter, None | Some("Role")) {
            let roles: Vec<Role> = ctx.all(call, &store::prefix(call, Kind::Role)).await?;
            let roles =
                roles.into_iter().filter(|r| uses(&r.policies, r.boundary.as_ref()) && r.path.starts_with(prefix));
            all.extend(roles.map(|r| ("PolicyRoles", r.name.clone(), json!({"RoleName": r.name, "RoleId": r.id}))));
        }
        let page = store::page(all, |(kind, name, _)| format!("{kind}/{name}"), request.marker.as_deref(), max);
        let of = |kind: &str| -> Vec<Value> {
            page.items.iter().filter(|(k, ..)| *k == kind).map(|(.., shape)| shape.clone()).collect()
        };
        let mut answer = json!({
            "PolicyUsers": of("PolicyUsers"),
            "PolicyGroups": of("PolicyGroups"),
            "PolicyRoles": of("PolicyRoles"),
            "IsTruncated": page.marker.is_some(),
        });
        if let Some(marker) = &page.marker {
            answer["Marker"] = marker.as_str().into();
        }
        Ok(answer)
    }
}
