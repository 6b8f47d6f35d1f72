//! GetAccountAuthorizationDetails: users, groups, roles and policies, with all that says who may do what.

use crate::iam::prelude::*;
use crate::iam::roles::trusted;

pub struct GetAccountAuthorizationDetails;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(default, deserialize_with = "check::list")]
    filter: Option<Vec<String>>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
    marker: Option<String>,
}

const KINDS: [&str; 5] = ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];

/// Under which list an entry stands, by the order in which they are shown.
const LISTS: [&str; 4] = ["UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"];

const ROLES: usize = 2;

struct Detail {
    list: usize,
    /// Of no other entry in the same list.
    name: String,
    shape: Value,
}

fn inline(policies: &Policies) -> Value {
    let shape =
        |(name, document): (&String, &String)| json!({"PolicyName": name, "PolicyDocument": shapes::encoded(document)});
    policies.inline.iter().map(shape).collect()
}

fn attached(policies: &Policies) -> Value {
    let name = |arn: &String| arn.rsplit('/').next().unwrap_or_default().to_owned();
    policies.attached.iter().map(|arn| json!({"PolicyName": name(arn), "PolicyArn": arn})).collect()
}

fn with(mut shape: Value, more: Value) -> Value {
    if let (Value::Object(shape), Value::Object(more)) = (&mut shape, more) {
        shape.extend(more);
    }
    shape
}

async fn roles(ctx: &Context, call: &Call) -> Result<Vec<Detail>, AwsError> {
    let account = &call.principal.account;
    let profiles: Vec<InstanceProfile> = ctx.all(call, &store::prefix(call, Kind::InstanceProfile)).await?;
    let roles: Vec<Role> = ctx.all(call, &store::prefix(call, Kind::Role)).await?;
    let shape = |mut role: Role| {
        role.trust = trusted::meant(&ctx.mirror, account, &role);
        let of = profiles.iter().filter(|profile| profile.role.as_ref() == Some(&role.name));
        let more = json!({
            "RolePolicyList": inline(&role.policies),
            "AttachedManagedPolicies": attached(&role.policies),
            "InstanceProfileList":
                of.map(|profile| shapes::instance_profile(account, profile, Some(&role))).collect::<Vec<_>>(),
        });
        let mut shape = with(shapes::role(account, &role, true), more);
        if let Value::Object(members) = &mut shape {
            // Lists of roles have these, details don't.
            members.remove("MaxSessionDuration");
            members.remove("Description");
        }
        Detail { list: ROLES, name: role.name, shape }
    };
    Ok(roles.into_iter().map(shape).collect())
}

async fn policies(ctx: &Context, call: &Call, local: bool, aws: bool) -> Result<Vec<Detail>, AwsError> {
    let account = &call.principal.account;
    let usage = ctx.usage(call);
    let mut all = Vec::new();
    if local {
        let own: Vec<ManagedPolicy> = ctx.all(call, &store::prefix(call, Kind::Policy)).await?;
        all.extend(own.into_iter().map(|policy| {
            let versions: Vec<Value> =
                policy.versions.iter().map(|v| shapes::version(v, v.number == policy.default, true)).collect();
            let shape = shapes::policy(account, &policy, &usage, true);
            Detail { list: 3, name: policy.name.clone(), shape: with(shape, json!({"PolicyVersionList": versions})) }
        }));
    }
    if aws {
        // Of AWS's own, those that the account uses.
        let used = aws_managed_all().filter(|policy| usage.contains_key(&policy.arn));
        all.extend(used.map(|policy| {
            let shape = shapes::aws_policy(policy, &usage, true);
            let versions = json!({"PolicyVersionList": [shapes::aws_version(policy, true)]});
            Detail { list: 3, name: policy.arn.clone(), shape: with(shape, versions) }
        }));
    }
    Ok(all)
}

impl Operation for GetAccountAuthorizationDetails {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetAccountAuthorizationDetails";
    const ACTION: &'static str = "iam:GetAccountAuthorizationDetails";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::raw("*".to_owned())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let max = check::max_items(request.max_items)?;
        let filter = request.filter.unwrap_or_default();
        if let Some(wrong) = filter.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
            let words = format!("Member must satisfy enum value set: [{}]", KINDS.join(", "));
            return Err(check::constraint(wrong, "filter", &words));
        }
        let wants = |kind: &str| filter.is_empty() || filter.iter().any(|wanted| wanted == kind);
        let account = &call.principal.account;
        let mut all = Vec::new();
        if wants("User") {
            let users: Vec<User> = ctx.all(call, &store::prefix(call, Kind::User)).await?;
            all.extend(users.into_iter().map(|user| {
                let more = json!({
                    "UserPolicyList": inline(&user.policies),
                    "GroupList": user.groups,
                    "AttachedManagedPolicies": attached(&user.policies),
                });
                Detail { list: 0, name: user.name.clone(), shape: with(shapes::user(account, &user, true), more) }
            }));
        }
        if wants("Group") {
            let groups: Vec<Group> = ctx.all(call, &store::prefix(call, Kind::Group)).await?;
            all.extend(groups.into_iter().map(|group| {
                let more = json!({
                    "GroupPolicyList": inline(&group.policies),
                    "AttachedManagedPolicies": attached(&group.policies),
                });
                Detail { list: 1, name: group.name.clone(), shape: with(shapes::group(account, &group), more) }
            }));
        }
        if wants("Role") {
            all.extend(roles(ctx, call).await?);
        }
        all.extend(policies(ctx, call, wants("LocalManagedPolicy"), wants("AWSManagedPolicy")).await?);
        let order = |detail: &Detail| format!("{}/{}", detail.list, detail.name);
        let page = store::page(all, order, request.marker.as_deref(), max);
        let mut answer = json!({"IsTruncated": page.marker.is_some()});
        if let Some(marker) = page.marker {
            answer["Marker"] = marker.into();
        }
        for list in LISTS {
            answer[list] = json!([]);
        }
        for mut detail in page.items {
            if let (ROLES, Some(id)) = (detail.list, detail.shape["RoleId"].as_str()) {
                let last = ctx.role_last_used(call, id).await?;
                detail.shape["RoleLastUsed"] = last;
            }
            if let Some(list) = answer[LISTS[detail.list]].as_array_mut() {
                list.push(detail.shape);
            }
        }
        Ok(answer)
    }
}
