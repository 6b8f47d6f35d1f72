//! UpdateGroup: another name or path.

use crate::iam::prelude::*;

/// Of a group that gets another name: all of them are written in one transaction, which has at most 1,024 steps.
const MEMBERS_MAX: usize = 250;

pub struct UpdateGroup;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    group_name: Option<String>,
    new_path: Option<String>,
    new_group_name: Option<String>,
}

impl Operation for UpdateGroup {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UpdateGroup";
    const ACTION: &'static str = "iam:UpdateGroup";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "group";

    /// The group as it is, and as it will be.
    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        let name = Some(request.group_name.as_deref().unwrap_or_default());
        ctx.before_and_after(call, Kind::Group, name, request.new_path.as_deref(), request.new_group_name.as_deref())
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.group_name.as_deref(), "groupName", 128)?;
        let new_name = request.new_group_name.as_deref();
        let new_name = new_name.map(|new| check::name(Some(new), "newGroupName", 128)).transpose()?;
        let new_path = request.new_path.as_deref().map(|new| check::path(Some(new))).transpose()?;
        let account = &call.principal.account;
        ctx.change(call, || async {
            let found = ctx.named::<Group>(call, Kind::Group, name).await?;
            let mut after = found.record.clone();
            after.name = new_name.unwrap_or(&after.name).to_owned();
            after.path = new_path.unwrap_or(&after.path).to_owned();
            let key = records::key(account, Kind::Group, &after.name);
            let (mut compares, mut ops) = (vec![found.unchanged()], Vec::new());
            if key != found.key {
                if ctx.find::<Group>(call, key.clone()).await?.is_some() {
                    return Err(errors::exists("Group", &after.name));
                }
                compares.push(Compare::Absent(key.clone()));
                ops.push(found.delete());
            }
            if after.name != found.record.name {
                // Who joins or leaves meanwhile changes the group's record too.
                let members: Vec<String> = ctx.all(call, &store::member_prefix(account, name)).await?;
                if members.len() > MEMBERS_MAX {
                    return Err(errors::quota("MembersOfRenamedGroup", MEMBERS_MAX));
                }
                for member in &members {
                    let mut user = ctx.named::<User>(call, Kind::User, member).await?;
                    user.record.groups.remove(&found.record.name);
                    user.record.groups.insert(after.name.clone());
                    compares.push(user.unchanged());
                    ops.push(user.put()?);
                    let from = store::member_key(account, name, member);
                    let to = store::member_key(account, &after.name, member);
                    if from != to {
                        ops.push(Op::Delete { key: from });
                        ops.push(put(to, &user.record.name)?);
                    }
                }
            }
            ops.push(put(key, &after)?);
            Ok(Change { compares, ops, answer: json!({}) })
        })
        .await
    }
}
