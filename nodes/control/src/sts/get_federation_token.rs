//! GetFederationToken: credentials that a user makes for somebody of her own application, with at most her rights.

use super::session::{self, PolicyArn};
use crate::iam::Context;
use crate::iam::check::{self, Tag};
use breakwater_aws::query::from_text;
use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Identity, Operation, Plane};
use breakwater_types::formats::TRAILS;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub struct GetFederationToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    name: Option<String>,
    policy: Option<String>,
    #[serde(default, deserialize_with = "check::list")]
    policy_arns: Option<Vec<PolicyArn>>,
    #[serde(default, deserialize_with = "from_text")]
    duration_seconds: Option<i64>,
    #[serde(default, deserialize_with = "check::list")]
    tags: Option<Vec<Tag>>,
}

const DEFAULT_S: i64 = 43_200;
const MOST_S: i64 = 129_600;
const ROOT_MOST_S: i64 = 3_600;

impl Operation for GetFederationToken {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetFederationToken";
    const ACTION: &'static str = "sts:GetFederationToken";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const READ_ONLY: bool = false;
    const RESOURCE_TYPE: &'static str = "federated-user";
    const CONDITION_KEYS: &'static [&'static str] = &["aws:RequestTag/${TagKey}", "aws:TagKeys"];
    const FURTHER_ACTIONS: &'static [&'static str] = &["sts:TagSession"];

    fn validate(call: &Call, request: &Request) -> Result<(), AwsError> {
        session::federated_name(request.name.as_deref())?;
        session::duration(request.duration_seconds, DEFAULT_S, MOST_S)?;
        session::tags(request.tags.as_deref().unwrap_or_default(), &[])?;
        session::policies(request.policy.as_deref(), request.policy_arns.as_deref())?;
        // Whatever its policies allow: the guard would say that there are no such credentials.
        match &call.principal.session {
            Some(_) => {
                Err(AwsError::new("AccessDenied", 403, "Cannot call GetFederationToken with session credentials"))
            }
            None => Ok(()),
        }
    }

    fn further_actions(request: &Request) -> Vec<&'static str> {
        check::tagging("sts:TagSession", request.tags.as_deref())
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        check::request_tags(keys, request.tags.as_deref());
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        let name = request.name.as_deref().unwrap_or_default();
        vec![Arn::raw(format!("arn:aws:sts::{}:federated-user/{name}", call.principal.account))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        ctx.needs_format(TRAILS)?;
        let name = session::federated_name(request.name.as_deref())?;
        let asked = session::duration(request.duration_seconds, DEFAULT_S, MOST_S)?;
        let lasts_s = if call.principal.identity == Identity::Root { asked.min(ROOT_MOST_S) } else { asked };
        let account = &call.principal.account;
        let (arn, id) = (format!("arn:aws:sts::{account}:federated-user/{name}"), format!("{account}:{name}"));
        let issuer = (call.principal.arn.clone(), super::user_id(ctx, call)?);
        let mut session = session::begin(ctx, call, arn.clone(), id.clone(), lasts_s);
        (session.policies, session.policy_arns) =
            session::policies(request.policy.as_deref(), request.policy_arns.as_deref())?;
        session.tags = request.tags.iter().flatten().map(|t| (t.key.clone(), t.value.clone())).collect();
        session.more.issuer = Some(issuer);
        let mut answer = session::begun(ctx, &session)?;
        answer["FederatedUser"] = json!({"FederatedUserId": id, "Arn": arn});
        Ok(answer)
    }
}
