//! CreateServiceLinkedRole.

use super::{PATH, known};
use crate::iam::prelude::*;
use breakwater_types::formats::TRAILS;

const SESSION_S: u32 = 3_600;

pub struct CreateServiceLinkedRole;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(rename = "AWSServiceName")]
    service: Option<String>,
    description: Option<String>,
    custom_suffix: Option<String>,
}

impl Request {
    fn role_name(&self) -> String {
        let base = self.service.as_deref().and_then(known::find).map_or("", |known| known.role);
        match &self.custom_suffix {
            Some(suffix) => format!("{base}_{suffix}"),
            None => base.to_owned(),
        }
    }

    fn path(&self) -> String {
        format!("{PATH}{}/", self.service.as_deref().unwrap_or_default())
    }
}

impl Operation for CreateServiceLinkedRole {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreateServiceLinkedRole";
    const ACTION: &'static str = "iam:CreateServiceLinkedRole";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "role";
    const CONDITION_KEYS: &'static [&'static str] = &["iam:AWSServiceName"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::at_most(request.service.as_deref(), "aWSServiceName", 128)
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        if let Some(service) = &request.service {
            keys.set("iam:AWSServiceName", service.as_str());
        }
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![new_arn(call, Kind::Role, Some(&request.path()), Some(&request.role_name()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let service = check::name(request.service.as_deref(), "aWSServiceName", 128)?;
        check::description(request.description.as_deref())?;
        let known = known::find(service).ok_or_else(|| {
            errors::invalid_input(format!("{service} is not a service that has a service-linked role in this region."))
        })?;
        if let Some(suffix) = request.custom_suffix.as_deref() {
            check::name(Some(suffix), "customSuffix", 64)?;
            if !known.suffix {
                return Err(errors::invalid_input(format!("Custom suffix is not allowed for {service}")));
            }
        }
        let name = request.role_name();
        check::name(Some(&name), "roleName", 64)?;
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
        });
        ctx.needs_format(TRAILS)?;
        let account = &call.principal.account;
        room_for(ctx, call, Kind::Role)?;
        ctx.change(call, || async {
            let key = records::key(account, Kind::Role, &name);
            if ctx.find::<Role>(call, key.clone()).await?.is_some() {
                return Err(errors::invalid_input(format!(
                    "Service role name {name} has been taken in this account, please try a different suffix."
                )));
            }
            let role = Role {
                name: name.clone(),
                id: unique_id("AROA"),
                path: request.path(),
                created_unix_s: ctx.now(),
                trust: trust.to_string(),
                description: request.description.clone(),
                max_session_s: SESSION_S,
                policies: Policies {
                    inline: BTreeMap::new(),
                    attached: [format!("arn:aws:iam::aws:policy{PATH}{}", known.policy)].into(),
                },
                boundary: None,
                tags: BTreeMap::new(),
            };
            let answer = json!({"Role": shapes::role(account, &role, true)});
            Ok(Change { compares: vec![Compare::Absent(key.clone())], ops: vec![put(key, &role)?], answer })
        })
        .await
    }
}
