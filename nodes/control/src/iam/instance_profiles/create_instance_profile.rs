//! CreateInstanceProfile.

use crate::iam::prelude::*;

pub struct CreateInstanceProfile;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    instance_profile_name: Option<String>,
    path: Option<String>,
    #[serde(default, deserialize_with = "check::list")]
    tags: Option<Vec<Tag>>,
}

impl Operation for CreateInstanceProfile {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreateInstanceProfile";
    const ACTION: &'static str = "iam:CreateInstanceProfile";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "instance-profile";
    const CONDITION_KEYS: &'static [&'static str] = &["aws:RequestTag/${TagKey}", "aws:TagKeys"];
    const FURTHER_ACTIONS: &'static [&'static str] = &["iam:TagInstanceProfile"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::tag_lengths(request.tags.as_deref())
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        check::request_tags(keys, request.tags.as_deref());
    }

    fn further_actions(request: &Request) -> Vec<&'static str> {
        check::tagging("iam:TagInstanceProfile", request.tags.as_deref())
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![new_arn(call, Kind::InstanceProfile, request.path.as_deref(), request.instance_profile_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.instance_profile_name.as_deref(), "instanceProfileName", 128)?;
        let path = check::path(request.path.as_deref())?;
        let mut tags = BTreeMap::new();
        check::tag(&mut tags, request.tags.as_deref().unwrap_or_default())?;
        let account = &call.principal.account;
        room_for(ctx, call, Kind::InstanceProfile)?;
        ctx.change(call, || async {
            let profile = InstanceProfile {
                name: name.to_owned(),
                id: unique_id("AIPA"),
                path: path.to_owned(),
                created_unix_s: ctx.now(),
                role: None,
                tags: tags.clone(),
            };
            let key = records::key(account, Kind::InstanceProfile, name);
            if ctx.find::<InstanceProfile>(call, key.clone()).await?.is_some() {
                return Err(AwsError::new(
                    "EntityAlreadyExists",
                    409,
                    format!("Instance Profile {name} already exists."),
                ));
            }
            let answer = json!({"InstanceProfile": shapes::instance_profile(account, &profile, None)});
            let ops = vec![put(key.clone(), &profile)?];
            Ok(Change { compares: vec![Compare::Absent(key)], ops, answer })
        })
        .await
    }
}
