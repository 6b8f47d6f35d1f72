//! What follows a user who gets another name or path: everything that is found by her name, and what knows her ARN.

use crate::iam::prelude::*;
use crate::iam::secrets;

/// Her memberships, MFA devices and access keys. Whatever else is kept by her unique id needs no move.
pub async fn moves(ctx: &Context, call: &Call, before: &User, after: &User) -> Result<Change<()>, AwsError> {
    let account = &call.principal.account;
    let mut change = Change { compares: Vec::new(), ops: Vec::new(), answer: () };
    for group in &before.groups {
        let (from, to) =
            (store::member_key(account, group, &before.name), store::member_key(account, group, &after.name));
        if from != to {
            change.ops.push(Op::Delete { key: from });
        }
        change.ops.push(put(to, &after.name)?);
    }
    let devices: Vec<String> = ctx.all(call, &store::user_mfa_prefix(account, &before.name)).await?;
    for name in devices {
        let mut device = ctx.named::<MfaDevice>(call, Kind::Mfa, &name).await?;
        device.record.user = Some(after.name.clone());
        let from = store::user_mfa_key(account, &before.name, &name);
        let to = store::user_mfa_key(account, &after.name, &name);
        if from != to {
            change.ops.push(Op::Delete { key: from });
        }
        change.ops.push(put(to, &name)?);
        change.compares.push(device.unchanged());
        change.ops.push(device.put()?);
    }
    let arn = records::arn(account, Kind::User, &after.path, &after.name);
    for key in &after.access_keys {
        let moved = secrets::of_user(ctx, call, &key.id, key.active, &arn).await?;
        change.compares.extend(moved.compares);
        change.ops.extend(moved.ops);
    }
    // Her sessions have the name that she had, and her id.
    change.ops.push(put(records::renamed_key(account, &after.id), &after.name)?);
    Ok(change)
}
