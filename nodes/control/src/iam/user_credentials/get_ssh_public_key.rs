//! GetSSHPublicKey.

use super::credential::{self, Names, UserCredential};
use super::ssh_format;
use super::ssh_public_key::SshPublicKey;
use crate::iam::prelude::*;

pub struct GetSshPublicKey;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(flatten)]
    names: Names,
    encoding: Option<String>,
}

/// With the key itself.
pub fn whole(key: &SshPublicKey, user: &str, body: &str) -> Value {
    let mut shape = key.shape(user);
    shape["Fingerprint"] = ssh_format::fingerprint(&key.blob).into();
    shape["SSHPublicKeyBody"] = body.into();
    shape
}

impl Operation for GetSshPublicKey {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetSSHPublicKey";
    const ACTION: &'static str = "iam:GetSSHPublicKey";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.names.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let (user, key) = credential::find::<SshPublicKey>(ctx, call, &request.names).await?;
        let body = match check::required(request.encoding.as_deref(), "encoding")? {
            "SSH" => ssh_format::ssh(&key.record.blob),
            "PEM" => {
                ssh_format::pem(&key.record.blob).ok_or_else(|| AwsError::internal("a stored key can't be read"))?
            }
            other => {
                return Err(check::constraint(other, "encoding", "Member must satisfy enum value set: [SSH, PEM]"));
            }
        };
        Ok(json!({"SSHPublicKey": whole(&key.record, &user.record.name, &body)}))
    }
}
