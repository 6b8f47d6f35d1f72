//! CreateOpenIDConnectProvider.

use crate::iam::prelude::*;
use breakwater_types::formats::TRAILS;

pub struct CreateOidcProvider;

#[derive(Deserialize)]
pub struct Request {
    #[serde(rename = "Url")]
    url: Option<String>,
    #[serde(rename = "ClientIDList", default, deserialize_with = "check::list")]
    client_ids: Option<Vec<String>>,
    #[serde(rename = "ThumbprintList", default, deserialize_with = "check::list")]
    thumbprints: Option<Vec<String>>,
    #[serde(rename = "Tags")]
    #[serde(default, deserialize_with = "check::list")]
    tags: Option<Vec<Tag>>,
}

impl Operation for CreateOidcProvider {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreateOpenIDConnectProvider";
    const ACTION: &'static str = "iam:CreateOpenIDConnectProvider";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "oidc-provider";
    const CONDITION_KEYS: &'static [&'static str] = &["aws:RequestTag/${TagKey}", "aws:TagKeys"];
    const FURTHER_ACTIONS: &'static [&'static str] = &["iam:TagOpenIDConnectProvider"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::tag_lengths(request.tags.as_deref())
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        check::request_tags(keys, request.tags.as_deref());
    }

    fn further_actions(request: &Request) -> Vec<&'static str> {
        check::tagging("iam:TagOpenIDConnectProvider", request.tags.as_deref())
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        let url = request.url.as_deref().unwrap_or_default();
        let url = url.strip_prefix("https://").unwrap_or(url);
        vec![Arn::raw(super::arn(call, url.strip_suffix('/').unwrap_or(url)))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        ctx.needs_format(TRAILS)?;
        let url = super::url(request.url.as_deref())?;
        let mut client_ids: Vec<String> = Vec::new();
        for id in request.client_ids.as_deref().unwrap_or_default() {
            let id = super::client_id(Some(id), "clientIDList")?;
            if !client_ids.iter().any(|known| known == id) {
                client_ids.push(id.to_owned());
            }
        }
        if client_ids.len() > super::CLIENT_IDS_MAX {
            return Err(errors::quota("ClientIdsPerOpenIdConnectProvider", super::CLIENT_IDS_MAX));
        }
        let given = request.thumbprints.as_deref().unwrap_or_default();
        let mut thumbprints = super::thumbprints(given)?;
        let mut tags = BTreeMap::new();
        check::tag(&mut tags, request.tags.as_deref().unwrap_or_default())?;
        room_for(ctx, call, Kind::OidcProvider)?;
        if thumbprints.is_empty() {
            // As AWS: that of the highest certificate which the server shows.
            thumbprints = vec![ctx.issuers.thumbprint(url, call.deadline).await?];
        }
        let key = records::key(&call.principal.account, Kind::OidcProvider, url);
        ctx.change(call, || async {
            if ctx.find::<OidcProvider>(call, key.clone()).await?.is_some() {
                let message = format!("Provider with url https://{url} already exists.");
                return Err(AwsError::new("EntityAlreadyExists", 409, message));
            }
            let provider = OidcProvider {
                url: url.to_owned(),
                created_unix_s: ctx.now(),
                client_ids: client_ids.clone(),
                thumbprints: thumbprints.clone(),
                tags: tags.clone(),
            };
            let mut answer = json!({"OpenIDConnectProviderArn": super::arn(call, url)});
            if !tags.is_empty() {
                answer["Tags"] = shapes::tags(&tags);
            }
            let ops = vec![put(key.clone(), &provider)?];
            Ok(Change { compares: vec![Compare::Absent(key.clone())], ops, answer })
        })
        .await
    }
}
