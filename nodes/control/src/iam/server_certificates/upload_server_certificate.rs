//! UploadServerCertificate.

use super::{
    CERTIFICATES_MAX, ServerCertificate, arn, body_key, chain_key, exists, key, metadata, prefix, private_key,
};
use crate::iam::pem;
use crate::iam::prelude::*;
use breakwater_types::formats::TRAILS;
use zeroize::Zeroizing;

/// Characters of a chain; the longest form that is read at all ends before.
const CHAIN_CHARACTERS_MAX: usize = 2_097_152;

pub struct UploadServerCertificate;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    path: Option<String>,
    server_certificate_name: Option<String>,
    certificate_body: Option<String>,
    private_key: Option<String>,
    certificate_chain: Option<String>,
    #[serde(default, deserialize_with = "check::list")]
    tags: Option<Vec<Tag>>,
}

impl Operation for UploadServerCertificate {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UploadServerCertificate";
    const ACTION: &'static str = "iam:UploadServerCertificate";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "server-certificate";
    const CONDITION_KEYS: &'static [&'static str] = &["aws:RequestTag/${TagKey}", "aws:TagKeys"];
    const FURTHER_ACTIONS: &'static [&'static str] = &["iam:TagServerCertificate"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::tag_lengths(request.tags.as_deref())
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        check::request_tags(keys, request.tags.as_deref());
    }

    fn further_actions(request: &Request) -> Vec<&'static str> {
        check::tagging("iam:TagServerCertificate", request.tags.as_deref())
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        let path = request.path.as_deref().unwrap_or("/");
        let name = request.server_certificate_name.as_deref().unwrap_or_default();
        vec![arn(&call.principal.account, path, name)]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, mut request: Request) -> Result<Value, AwsError> {
        let secret = request.private_key.take().map(Zeroizing::new);
        let name = check::name(request.server_certificate_name.as_deref(), "serverCertificateName", 128)?;
        let path = check::path(request.path.as_deref())?;
        let mut tags = BTreeMap::new();
        check::tag(&mut tags, request.tags.as_deref().unwrap_or_default())?;
        let body = pem::text(request.certificate_body.as_deref(), "certificateBody", pem::BODY_MAX)?;
        let secret = pem::text(secret.as_ref().map(|key| key.as_str()), "privateKey", pem::BODY_MAX)?;
        let der = pem::certificate(body)?;
        if !pem::is_valid_at(&der, ctx.now())? {
            return Err(AwsError::new("MalformedCertificate", 400, "The certificate is expired or not yet valid."));
        }
        pem::check_key(&der, secret)?;
        let chain = match &request.certificate_chain {
            None => None,
            Some(chain) => {
                let chain = pem::text(Some(chain), "certificateChain", CHAIN_CHARACTERS_MAX)?;
                pem::check_chain(&der, chain)?;
                Some(chain)
            }
        };
        ctx.needs_format(TRAILS)?;
        let account = &call.principal.account;
        let certificate = ServerCertificate {
            name: name.to_owned(),
            id: unique_id("ASCA"),
            path: path.to_owned(),
            has_chain: chain.is_some(),
            uploaded_unix_s: ctx.now(),
            expires_unix_s: pem::expires(&der)?,
            tags,
        };
        let mut answer = json!({"ServerCertificateMetadata": metadata(account, &certificate)});
        if !certificate.tags.is_empty() {
            answer["Tags"] = shapes::tags(&certificate.tags);
        }
        let change = || async {
            let key = key(account, name);
            if ctx.find::<ServerCertificate>(call, key.clone()).await?.is_some() {
                return Err(exists(name));
            }
            let others: Vec<ServerCertificate> = ctx.all(call, &prefix(account)).await?;
            if others.len() >= CERTIFICATES_MAX {
                return Err(errors::quota("ServerCertificatesPerAccount", CERTIFICATES_MAX));
            }
            let mut ops = vec![put(key.clone(), &certificate)?];
            ops.push(Op::put(body_key(account, &certificate.id), body.as_bytes()));
            ops.push(Op::put(private_key(account, &certificate.id), secret.as_bytes()));
            if let Some(chain) = chain {
                ops.push(Op::put(chain_key(account, &certificate.id), chain.as_bytes()));
            }
            Ok(Change { compares: vec![Compare::Absent(key)], ops, answer: answer.clone() })
        };
        ctx.change(call, change).await
    }
}
