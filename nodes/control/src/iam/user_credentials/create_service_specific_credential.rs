//! CreateServiceSpecificCredential.

use super::credential;
use super::service_specific::{self, KEYS, ServiceSpecificCredential};
use crate::iam::prelude::*;
use breakwater_types::formats::TRAILS;

const PER_SERVICE_MAX: usize = 2;
const DAY_S: i64 = 86_400;

pub struct CreateServiceSpecificCredential;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    service_name: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    credential_age_days: Option<i64>,
}

impl Operation for CreateServiceSpecificCredential {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreateServiceSpecificCredential";
    const ACTION: &'static str = "iam:CreateServiceSpecificCredential";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";
    const CONDITION_KEYS: &'static [&'static str] =
        &["iam:ServiceSpecificCredentialServiceName", "iam:ServiceSpecificCredentialAgeDays"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::at_most(request.service_name.as_deref(), "serviceName", 128)
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        if let Some(service) = &request.service_name {
            keys.set("iam:ServiceSpecificCredentialServiceName", service.as_str());
        }
        if let Some(days) = request.credential_age_days {
            keys.set("iam:ServiceSpecificCredentialAgeDays", days.to_string());
        }
    }

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, Some(request.user_name.as_deref().unwrap_or_default()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.user_name.as_deref(), "userName", 64)?;
        let service = check::required(request.service_name.as_deref(), "serviceName")?;
        service_specific::service(service)?;
        let key = KEYS.iter().find(|(known, _)| *known == service);
        let now = ctx.now();
        let expires_unix_s = match (request.credential_age_days, key) {
            (None, _) => None,
            (Some(days @ 1..=36_600), Some(_)) => Some(now + days * DAY_S),
            (Some(days), Some(_)) => {
                let words = "Member must have value between 1 and 36600, inclusive";
                return Err(check::constraint(&days.to_string(), "credentialAgeDays", words));
            }
            (Some(_), None) => {
                return Err(errors::invalid_input(format!("CredentialAgeDays is not supported for service {service}")));
            }
        };
        ctx.needs_format(TRAILS)?;
        let account = &call.principal.account;
        let (id, secret) = (unique_id("ACCA"), service_specific::new_secret());
        let change = || async {
            let user = credential::user(ctx, call, Some(name)).await?;
            let all = credential::of_user::<ServiceSpecificCredential>(ctx, call, &user.record.id).await?;
            let others: Vec<_> = all.iter().filter(|other| other.service == service).collect();
            if others.len() >= PER_SERVICE_MAX {
                return Err(errors::quota("ServiceSpecificCredentialsPerUser", PER_SERVICE_MAX));
            }
            let own = &user.record.name;
            let first = format!("{own}-at-{account}");
            let service_user = match key {
                Some((_, kind)) => format!("{kind}-{}-{first}", shapes::random_id(4).to_lowercase()),
                None if others.iter().any(|other| other.service_user == first) => format!("{own}+1-at-{account}"),
                None => first,
            };
            let credential = ServiceSpecificCredential {
                id: id.clone(),
                service: service.to_owned(),
                service_user,
                secret_sha256: service_specific::digest(&secret),
                active: true,
                created_unix_s: now,
                expires_unix_s,
            };
            let answer = json!({"ServiceSpecificCredential": credential.whole(own, &secret)});
            credential::added(call, &user, &credential, answer)
        };
        Ok(ctx.commit(call, change).await?.0)
    }
}
