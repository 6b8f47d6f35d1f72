//! CreateSAMLProvider.

use crate::iam::prelude::*;
use breakwater_types::formats::TRAILS;

pub struct CreateSamlProvider;

#[derive(Deserialize)]
pub struct Request {
    #[serde(rename = "SAMLMetadataDocument")]
    metadata: Option<String>,
    #[serde(rename = "Name")]
    name: Option<String>,
    #[serde(rename = "Tags")]
    #[serde(default, deserialize_with = "check::list")]
    tags: Option<Vec<Tag>>,
    #[serde(rename = "AssertionEncryptionMode")]
    encryption: Option<String>,
    #[serde(rename = "AddPrivateKey")]
    private_key: Option<String>,
}

impl Operation for CreateSamlProvider {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreateSAMLProvider";
    const ACTION: &'static str = "iam:CreateSAMLProvider";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "saml-provider";
    const CONDITION_KEYS: &'static [&'static str] = &["aws:RequestTag/${TagKey}", "aws:TagKeys"];
    const FURTHER_ACTIONS: &'static [&'static str] = &["iam:TagSAMLProvider"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::tag_lengths(request.tags.as_deref())
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        check::request_tags(keys, request.tags.as_deref());
    }

    fn further_actions(request: &Request) -> Vec<&'static str> {
        check::tagging("iam:TagSAMLProvider", request.tags.as_deref())
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(super::arn(&call.principal.account, request.name.as_deref().unwrap_or_default()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        ctx.needs_format(TRAILS)?;
        let name = super::name(request.name.as_deref())?;
        if request.encryption.is_some() || request.private_key.is_some() {
            return Err(errors::invalid_input("Encrypted assertions are not supported by this region."));
        }
        let (metadata, valid_until_unix_s) = super::metadata(request.metadata.as_deref(), ctx.now())?;
        let mut tags = BTreeMap::new();
        check::tag(&mut tags, request.tags.as_deref().unwrap_or_default())?;
        let account = &call.principal.account;
        room_for(ctx, call, Kind::SamlProvider)?;
        let key = records::key(account, Kind::SamlProvider, name);
        ctx.change(call, || async {
            if ctx.find::<SamlProvider>(call, key.clone()).await?.is_some() {
                return Err(errors::exists("SAMLProvider", name));
            }
            let provider = SamlProvider {
                name: name.to_owned(),
                id: unique_id("ASPA"),
                created_unix_s: ctx.now(),
                valid_until_unix_s,
                tags: tags.clone(),
            };
            let mut answer = json!({"SAMLProviderArn": super::arn(account, name)});
            if !tags.is_empty() {
                answer["Tags"] = shapes::tags(&tags);
            }
            let document = put(super::metadata_key(account, name), &metadata.to_owned())?;
            let ops = vec![put(key.clone(), &provider)?, document];
            Ok(Change { compares: vec![Compare::Absent(key.clone())], ops, answer })
        })
        .await
    }
}
