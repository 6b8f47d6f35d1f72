//! ListPoliciesGrantingServiceAccess.

use super::get_service_last_accessed_details_with_entities::namespace;
use crate::iam::prelude::*;
use crate::iam::simulation::input::{Input, Origin, Source};

pub struct ListPoliciesGrantingServiceAccess;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    marker: Option<String>,
    arn: Option<String>,
    #[serde(default, deserialize_with = "check::list")]
    service_namespaces: Option<Vec<String>>,
}

const NAMESPACES_MAX: usize = 200;
/// Services of one answer.
const PAGE: usize = 100;

fn shape(input: &Input) -> Option<Value> {
    match &input.origin {
        Origin::Managed { arn } => Some(json!({"PolicyName": input.id, "PolicyType": "MANAGED", "PolicyArn": arn})),
        Origin::Inline { entity, policy } => Some(json!({
            "PolicyName": policy,
            "PolicyType": "INLINE",
            "EntityType": input.kind.to_uppercase(),
            "EntityName": entity,
        })),
        Origin::Given => None,
    }
}

impl Operation for ListPoliciesGrantingServiceAccess {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListPoliciesGrantingServiceAccess";
    const ACTION: &'static str = "iam:ListPoliciesGrantingServiceAccess";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let arn = check::required(request.arn.as_deref(), "arn")?;
        let asked = request.service_namespaces.unwrap_or_default();
        if asked.is_empty() || asked.len() > NAMESPACES_MAX {
            let words = "Member must have length between 1 and 200, inclusive";
            return Err(check::constraint(&format!("[{} members]", asked.len()), "serviceNamespaces", words));
        }
        asked.iter().try_for_each(|space| namespace(Some(space)).map(|_| ()))?;
        let source = Source::find(ctx, call, arn).await?;
        let spaces: BTreeSet<String> = asked.into_iter().map(|space| space.to_lowercase()).collect();
        let page = store::page(spaces.into_iter().collect(), String::clone, request.marker.as_deref(), Some(PAGE));
        Ok(page.into_json("PoliciesGrantingServiceAccess", |space| {
            let policies: Vec<Value> =
                source.identity.iter().filter(|input| input.policy.opens(&space)).filter_map(shape).collect();
            json!({"ServiceNamespace": space, "Policies": policies})
        }))
    }
}
