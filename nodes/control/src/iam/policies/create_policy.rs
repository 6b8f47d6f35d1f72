//! CreatePolicy.

use crate::iam::prelude::*;

pub struct CreatePolicy;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    policy_name: Option<String>,
    path: Option<String>,
    policy_document: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "check::list")]
    tags: Option<Vec<Tag>>,
}

impl Operation for CreatePolicy {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreatePolicy";
    const ACTION: &'static str = "iam:CreatePolicy";
    const ACCESS: Access = Access::PermissionsManagement;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "policy";
    const CONDITION_KEYS: &'static [&'static str] = &["aws:RequestTag/${TagKey}", "aws:TagKeys"];
    const FURTHER_ACTIONS: &'static [&'static str] = &["iam:TagPolicy"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::tag_lengths(request.tags.as_deref())
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        check::request_tags(keys, request.tags.as_deref());
    }

    fn further_actions(request: &Request) -> Vec<&'static str> {
        check::tagging("iam:TagPolicy", request.tags.as_deref())
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![new_arn(call, Kind::Policy, request.path.as_deref(), request.policy_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.policy_name.as_deref(), "policyName", 128)?;
        let path = check::path(request.path.as_deref())?;
        let document = check::managed_document(request.policy_document.as_deref())?;
        let description = request.description.as_deref().unwrap_or_default();
        check::description(Some(description))?;
        let mut tags = BTreeMap::new();
        check::tag(&mut tags, request.tags.as_deref().unwrap_or_default())?;
        let account = &call.principal.account;
        room_for(ctx, call, Kind::Policy)?;
        ctx.change(call, || async {
            let key = records::key(account, Kind::Policy, name);
            if ctx.find::<ManagedPolicy>(call, key.clone()).await?.is_some() {
                return Err(AwsError::new(
                    "EntityAlreadyExists",
                    409,
                    format!("A policy called {name} already exists. Duplicate names are not allowed."),
                ));
            }
            let now = ctx.now();
            let policy = ManagedPolicy {
                name: name.to_owned(),
                id: unique_id("ANPA"),
                path: path.to_owned(),
                description: description.to_owned(),
                created_unix_s: now,
                updated_unix_s: now,
                versions: vec![PolicyVersion { number: 1, document: document.to_owned(), created_unix_s: now }],
                default: 1,
                next: 2,
                attachments: 0,
                tags: tags.clone(),
            };
            let answer = json!({"Policy": shapes::policy(account, &policy, &Default::default(), true)});
            Ok(Change { compares: vec![Compare::Absent(key.clone())], ops: vec![put(key, &policy)?], answer })
        })
        .await
    }
}
