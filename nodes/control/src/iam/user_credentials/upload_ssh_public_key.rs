//! UploadSSHPublicKey.

use super::credential;
use super::get_ssh_public_key::whole;
use super::ssh_format::{self, Bad};
use super::ssh_public_key::SshPublicKey;
use crate::iam::pem;
use crate::iam::prelude::*;
use breakwater_types::formats::TRAILS;

const KEYS_MAX: usize = 5;

pub struct UploadSshPublicKey;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    #[serde(rename = "SSHPublicKeyBody")]
    body: Option<String>,
}

impl Operation for UploadSshPublicKey {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UploadSSHPublicKey";
    const ACTION: &'static str = "iam:UploadSSHPublicKey";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let body = pem::text(request.body.as_deref(), "sSHPublicKeyBody", pem::BODY_MAX)?;
        let blob = ssh_format::read(body).map_err(|bad| match bad {
            Bad::Encoding => AwsError::new(
                "UnrecognizedPublicKeyEncoding",
                400,
                "The public key encoding is not recognized: it must be ssh-rsa or PEM.",
            ),
            Bad::Key => {
                AwsError::new("InvalidPublicKey", 400, "The public key is not an RSA key of 2048 to 16384 bits.")
            }
        })?;
        ctx.needs_format(TRAILS)?;
        let id = key_id("APKA");
        let change = || async {
            let user = credential::user(ctx, call, request.user_name.as_deref()).await?;
            let others = credential::of_user::<SshPublicKey>(ctx, call, &user.record.id).await?;
            if others.iter().any(|other| other.blob == blob) {
                let message = "The SSH public key is already associated with this user.";
                return Err(AwsError::new("DuplicateSSHPublicKey", 400, message));
            }
            if others.len() >= KEYS_MAX {
                return Err(errors::quota("SSHPublicKeysPerUser", KEYS_MAX));
            }
            let key = SshPublicKey { id: id.clone(), blob: blob.clone(), active: true, uploaded_unix_s: ctx.now() };
            let answer = json!({"SSHPublicKey": whole(&key, &user.record.name, body)});
            credential::added(call, &user, &key, answer)
        };
        Ok(ctx.commit(call, change).await?.0)
    }
}
