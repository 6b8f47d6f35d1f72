//! GenerateCredentialReport.

use super::{GOOD_FOR_S, PIECE_BYTES, Report, csv, key, piece_key};
use crate::iam::prelude::*;

pub struct GenerateCredentialReport;

#[derive(Deserialize)]
pub struct Request {}

impl Operation for GenerateCredentialReport {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GenerateCredentialReport";
    const ACTION: &'static str = "iam:GenerateCredentialReport";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::raw("*".to_owned())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, _request: Request) -> Result<Value, AwsError> {
        let account = &call.principal.account;
        let now = ctx.now();
        let before = ctx.find::<Report>(call, key(account)).await?;
        let age = before.as_ref().map(|report| now - report.record.made_unix_s);
        if age.is_some_and(|age| (0..GOOD_FOR_S).contains(&age)) {
            return Ok(json!({"State": "COMPLETE"}));
        }
        let text = csv::report(ctx, call).await?;
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(PIECE_BYTES).collect();
        let count = u32::try_from(pieces.len()).map_err(AwsError::internal)?;
        let (answer, _) = ctx
            .commit(call, || async {
                let mut ops = vec![put(key(account), &Report { made_unix_s: now, pieces: count })?];
                for (number, piece) in (0..count).zip(&pieces) {
                    ops.push(Op::put(piece_key(account, number), piece.to_vec()));
                }
                let answer = json!({
                    "State": "STARTED",
                    "Description": "No report exists. Starting a new report generation task",
                });
                Ok(Change { compares: Vec::new(), ops, answer })
            })
            .await?;
        Ok(answer)
    }
}
