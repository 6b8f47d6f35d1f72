//! CreateRole.

use super::trusted;
use crate::iam::prelude::*;

pub struct CreateRole;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    path: Option<String>,
    role_name: Option<String>,
    assume_role_policy_document: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_session_duration: Option<i64>,
    permissions_boundary: Option<String>,
    #[serde(default, deserialize_with = "check::list")]
    tags: Option<Vec<Tag>>,
}

impl Operation for CreateRole {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreateRole";
    const ACTION: &'static str = "iam:CreateRole";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "role";
    const CONDITION_KEYS: &'static [&'static str] =
        &["aws:RequestTag/${TagKey}", "aws:TagKeys", "iam:PermissionsBoundary"];
    const FURTHER_ACTIONS: &'static [&'static str] = &["iam:TagRole"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::tag_lengths(request.tags.as_deref())?;
        check::arn(request.permissions_boundary.as_deref(), "permissionsBoundary")
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        check::request_tags(keys, request.tags.as_deref());
        if let Some(boundary) = &request.permissions_boundary {
            keys.set("iam:PermissionsBoundary", boundary.as_str());
        }
    }

    fn further_actions(request: &Request) -> Vec<&'static str> {
        check::tagging("iam:TagRole", request.tags.as_deref())
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![new_arn(call, Kind::Role, request.path.as_deref(), request.role_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.role_name.as_deref(), "roleName", 64)?;
        let path = check::path(request.path.as_deref())?;
        if path.starts_with(crate::iam::service_linked_roles::PATH) {
            return Err(errors::invalid_input("Roles under this path are made by CreateServiceLinkedRole."));
        }
        let trust = check::trust(request.assume_role_policy_document.as_deref(), "assumeRolePolicyDocument")?;
        check::description(request.description.as_deref())?;
        let max_session_s = check::session_s(request.max_session_duration)?;
        let mut tags = BTreeMap::new();
        check::tag(&mut tags, request.tags.as_deref().unwrap_or_default())?;
        let account = &call.principal.account;
        room_for(ctx, call, Kind::Role)?;
        ctx.change(call, || async {
            let mut attach = Attach::default();
            if let Some(arn) = &request.permissions_boundary {
                attach.count(ctx, call, arn, 1).await?;
            }
            let (trust, ids) = trusted::resolve(ctx, call, trust).await?;
            let role = Role {
                name: name.to_owned(),
                id: unique_id("AROA"),
                path: path.to_owned(),
                created_unix_s: ctx.now(),
                trust,
                description: request.description.clone(),
                max_session_s,
                policies: Policies::default(),
                boundary: request.permissions_boundary.clone(),
                tags: tags.clone(),
            };
            let key = records::key(account, Kind::Role, name);
            if ctx.find::<Role>(call, key.clone()).await?.is_some() {
                return Err(errors::exists("Role", name));
            }
            let answer = json!({"Role": shapes::role(account, &role, true)});
            attach.compares.push(Compare::Absent(key.clone()));
            attach.ops.push(put(key, &role)?);
            attach.ops.push(put(trusted::key(account, name), &ids)?);
            Ok(attach.into_change(answer))
        })
        .await
    }
}
