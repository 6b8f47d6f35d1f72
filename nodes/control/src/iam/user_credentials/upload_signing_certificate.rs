//! UploadSigningCertificate.

use super::credential::{self, UserCredential};
use super::signing_certificate::SigningCertificate;
use crate::iam::pem;
use crate::iam::prelude::*;
use breakwater_types::formats::TRAILS;

const CERTIFICATES_MAX: usize = 2;

pub struct UploadSigningCertificate;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    certificate_body: Option<String>,
}

impl Operation for UploadSigningCertificate {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UploadSigningCertificate";
    const ACTION: &'static str = "iam:UploadSigningCertificate";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let body = pem::text(request.certificate_body.as_deref(), "certificateBody", pem::BODY_MAX)?;
        let der = pem::certificate(body)?;
        if !pem::is_valid_at(&der, ctx.now())? {
            return Err(AwsError::new("InvalidCertificate", 400, "The certificate is expired or not yet valid."));
        }
        ctx.needs_format(TRAILS)?;
        let id = shapes::random_id(32);
        let change = || async {
            let user = credential::user(ctx, call, request.user_name.as_deref()).await?;
            let others = credential::of_user::<SigningCertificate>(ctx, call, &user.record.id).await?;
            if others.iter().any(|other| pem::certificate(&other.body).is_ok_and(|known| known == der)) {
                let message = "The certificate is already associated with this user.";
                return Err(AwsError::new("DuplicateCertificate", 409, message));
            }
            if others.len() >= CERTIFICATES_MAX {
                return Err(errors::quota("CertificatesPerUser", CERTIFICATES_MAX));
            }
            let certificate = SigningCertificate {
                user_id: user.record.id.clone(),
                id: id.clone(),
                body: body.to_owned(),
                active: true,
                uploaded_unix_s: ctx.now(),
            };
            let answer = json!({"Certificate": certificate.shape(&user.record.name)});
            credential::added(call, &user, &certificate, answer)
        };
        Ok(ctx.commit(call, change).await?.0)
    }
}
