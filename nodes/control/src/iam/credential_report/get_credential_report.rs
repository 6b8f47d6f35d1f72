//! GetCredentialReport.

use super::{GOOD_FOR_S, Report, key, piece_key};
use crate::iam::prelude::*;

pub struct GetCredentialReport;

#[derive(Deserialize)]
pub struct Request {}

fn expired() -> AwsError {
    AwsError::new("ReportExpired", 410, "The credential report has expired. Generate a new one.")
}

impl Operation for GetCredentialReport {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetCredentialReport";
    const ACTION: &'static str = "iam:GetCredentialReport";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::raw("*".to_owned())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, _request: Request) -> Result<Value, AwsError> {
        let account = &call.principal.account;
        let Some(report) = ctx.find::<Report>(call, key(account)).await? else {
            return Err(AwsError::new("ReportNotPresent", 410, "No report is present; generate one first."));
        };
        let Report { made_unix_s, pieces } = report.record;
        if ctx.now() - made_unix_s >= GOOD_FOR_S {
            return Err(expired());
        }
        let mut content = Vec::new();
        for number in 0..pieces {
            let piece = ctx.meta.get(&piece_key(account, number), call.deadline).await;
            let piece = piece.map_err(|e| errors::unavailable(&e.to_string()))?;
            content.extend_from_slice(&piece.ok_or_else(expired)?.value);
        }
        Ok(json!({
            "Content": data_encoding::BASE64.encode(&content),
            "ReportFormat": "text/csv",
            "GeneratedTime": shapes::time(made_unix_s),
        }))
    }
}
