//! CreateAccountAlias.

use crate::iam::prelude::*;

pub struct CreateAccountAlias;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    account_alias: Option<String>,
}

impl Operation for CreateAccountAlias {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreateAccountAlias";
    const ACTION: &'static str = "iam:CreateAccountAlias";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::raw("*".to_owned())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let alias = super::alias(request.account_alias.as_deref())?;
        let account = &call.principal.account;
        ctx.change(call, || async {
            let owner = ctx.find::<String>(call, super::owner_key(alias)).await?;
            if let Some(owner) = owner {
                return match owner.record == account.as_str() {
                    true => Ok(Change { compares: vec![owner.unchanged()], ops: vec![], answer: json!({}) }),
                    false => Err(AwsError::new(
                        "EntityAlreadyExists",
                        409,
                        format!("The account alias {alias} already exists."),
                    )),
                };
            }
            let key = super::key(account);
            let before = ctx.find::<String>(call, key.clone()).await?;
            let mut compares = vec![Compare::Absent(super::owner_key(alias))];
            let mut ops = vec![put(super::owner_key(alias), &account.to_string())?];
            match before {
                // A new one takes the place of the one before it.
                Some(mut before) => {
                    compares.push(before.unchanged());
                    ops.push(Op::Delete { key: super::owner_key(&before.record) });
                    before.record = alias.to_owned();
                    ops.push(before.put()?);
                }
                None => {
                    compares.push(Compare::Absent(key.clone()));
                    ops.push(put(key, &alias.to_owned())?);
                }
            }
            Ok(Change { compares, ops, answer: json!({}) })
        })
        .await
    }
}
