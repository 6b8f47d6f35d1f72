//! ListServiceSpecificCredentials: of one user, or of all.

use super::credential::{self, UserCredential};
use super::service_specific::{self, ServiceSpecificCredential};
use crate::iam::prelude::*;

pub struct ListServiceSpecificCredentials;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    service_name: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    all_users: Option<bool>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListServiceSpecificCredentials {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListServiceSpecificCredentials";
    const ACTION: &'static str = "iam:ListServiceSpecificCredentials";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![match request.all_users {
            Some(true) => any_arn(call, "user/*"),
            _ => ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref())),
        }]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let max = check::max_items(request.max_items)?;
        if let Some(service) = &request.service_name {
            service_specific::service(service)?;
        }
        let users: Vec<User> = match (request.all_users, &request.user_name) {
            (Some(true), Some(_)) => return Err(errors::invalid_input("UserName and AllUsers can't both be given.")),
            (Some(true), None) => ctx.all(call, &store::prefix(call, Kind::User)).await?,
            _ => vec![credential::user(ctx, call, request.user_name.as_deref()).await?.record],
        };
        let mut all = Vec::new();
        for user in &users {
            let own = credential::of_user::<ServiceSpecificCredential>(ctx, call, &user.id).await?;
            let fits =
                |one: &ServiceSpecificCredential| request.service_name.as_ref().is_none_or(|s| *s == one.service);
            all.extend(own.into_iter().filter(fits).map(|one| (user.name.clone(), one)));
        }
        let order = |(user, one): &(String, ServiceSpecificCredential)| format!("{user}/{}", one.id());
        let page = store::page(all, order, request.marker.as_deref(), max);
        let now = ctx.now();
        Ok(page.into_json(ServiceSpecificCredential::LIST, |(user, one)| {
            let mut shape = one.shape(&user);
            if one.expires_unix_s.is_some_and(|expires| expires <= now) {
                shape["Status"] = "Expired".into();
            }
            shape
        }))
    }
}
