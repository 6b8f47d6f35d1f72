//! DecodeAuthorizationMessage: why a call was refused, from the message that only this region can read.
//!
//! Services whose refusals AWS encodes (EC2's, mostly) are the ones that make such messages, by
//! [`breakwater_aws::SessionKeys::seal_message`].

use crate::iam::{Context, check};
use breakwater_aws::{Access, Arn, AwsError, Call, Credentials as _, Operation, Plane};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub struct DecodeAuthorizationMessage;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    encoded_message: Option<String>,
}

const CHARACTERS_MAX: usize = 10_240;

impl Operation for DecodeAuthorizationMessage {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DecodeAuthorizationMessage";
    const ACTION: &'static str = "sts:DecodeAuthorizationMessage";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::raw("*".to_owned())]
    }

    async fn handle(ctx: &Arc<Context>, _call: &Call, request: Request) -> Result<Value, AwsError> {
        let message = check::required(request.encoded_message.as_deref(), "encodedMessage")?;
        if !(1..=CHARACTERS_MAX).contains(&message.len()) {
            let words = "Member must have length between 1 and 10240, inclusive";
            return Err(check::constraint("", "encodedMessage", words));
        }
        let opened = ctx.keys.sessions().open_message(message);
        let text =
            opened.ok_or_else(|| AwsError::new("InvalidAuthorizationMessageException", 400, "Message is not valid"))?;
        Ok(json!({"DecodedMessage": text}))
    }
}
