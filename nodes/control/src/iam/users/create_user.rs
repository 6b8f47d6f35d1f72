//! CreateUser.

use crate::iam::prelude::*;

pub struct CreateUser;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    path: Option<String>,
    user_name: Option<String>,
    permissions_boundary: Option<String>,
    #[serde(default, deserialize_with = "check::list")]
    tags: Option<Vec<Tag>>,
}

impl Operation for CreateUser {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreateUser";
    const ACTION: &'static str = "iam:CreateUser";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";
    const CONDITION_KEYS: &'static [&'static str] =
        &["aws:RequestTag/${TagKey}", "aws:TagKeys", "iam:PermissionsBoundary"];
    const FURTHER_ACTIONS: &'static [&'static str] = &["iam:TagUser"];

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
        check::tagging("iam:TagUser", request.tags.as_deref())
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![new_arn(call, Kind::User, request.path.as_deref(), request.user_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.user_name.as_deref(), "userName", 64)?;
        let path = check::path(request.path.as_deref())?;
        let mut tags = BTreeMap::new();
        check::tag(&mut tags, request.tags.as_deref().unwrap_or_default())?;
        let account = &call.principal.account;
        room_for(ctx, call, Kind::User)?;
        ctx.change(call, || async {
            let mut attach = Attach::default();
            if let Some(arn) = &request.permissions_boundary {
                attach.count(ctx, call, arn, 1).await?;
            }
            let user = User {
                name: name.to_owned(),
                id: unique_id("AIDA"),
                path: path.to_owned(),
                created_unix_s: ctx.now(),
                groups: BTreeSet::new(),
                policies: Policies::default(),
                boundary: request.permissions_boundary.clone(),
                tags: tags.clone(),
                access_keys: Vec::new(),
            };
            let key = records::key(account, Kind::User, name);
            if ctx.find::<User>(call, key.clone()).await?.is_some() {
                return Err(errors::exists("User", name));
            }
            let answer = json!({"User": shapes::user(account, &user, true)});
            attach.compares.push(Compare::Absent(key.clone()));
            attach.ops.push(put(key, &user)?);
            Ok(attach.into_change(answer))
        })
        .await
    }
}
