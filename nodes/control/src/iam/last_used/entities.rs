//! Who uses what a report is about: the user or role itself, a group's members, everybody who has a policy.

use crate::iam::prelude::*;
use crate::iam::simulation::input::{self, Input, Source};
use breakwater_policy::Policy;

pub struct Entity {
    pub kind: &'static str,
    pub arn: String,
    pub name: String,
    pub id: String,
    pub path: String,
}

/// What a report is about.
pub struct Subject {
    /// Its permissions.
    pub policies: Vec<Arc<Policy>>,
    pub entities: Vec<Entity>,
}

fn user(call: &Call, user: User) -> Entity {
    let arn = records::arn(&call.principal.account, Kind::User, &user.path, &user.name);
    Entity { kind: "USER", arn, name: user.name, id: user.id, path: user.path }
}

fn role(call: &Call, role: Role) -> Entity {
    let arn = records::arn(&call.principal.account, Kind::Role, &role.path, &role.name);
    Entity { kind: "ROLE", arn, name: role.name, id: role.id, path: role.path }
}

async fn having(ctx: &Context, call: &Call, policy: &str) -> Result<Vec<Entity>, AwsError> {
    let groups: Vec<Group> = ctx.all(call, &store::prefix(call, Kind::Group)).await?;
    let groups: BTreeSet<String> =
        groups.into_iter().filter(|g| g.policies.attached.contains(policy)).map(|g| g.name).collect();
    let users: Vec<User> = ctx.all(call, &store::prefix(call, Kind::User)).await?;
    let has = |u: &User| u.policies.attached.contains(policy) || u.groups.iter().any(|g| groups.contains(g));
    let mut all: Vec<Entity> = users.into_iter().filter(has).map(|u| user(call, u)).collect();
    let roles: Vec<Role> = ctx.all(call, &store::prefix(call, Kind::Role)).await?;
    let roles = roles.into_iter().filter(|r| r.policies.attached.contains(policy));
    all.extend(roles.map(|r| role(call, r)));
    Ok(all)
}

pub async fn subject(ctx: &Context, call: &Call, arn: &str) -> Result<Subject, AwsError> {
    if arn.contains(":policy/") {
        let policy = Input::managed(ctx, call, arn).await?;
        return Ok(Subject { policies: vec![policy.policy], entities: having(ctx, call, arn).await? });
    }
    let source = Source::find(ctx, call, arn).await?;
    let (kind, name) = input::entity(arn)?;
    let entities = match kind {
        Kind::User => vec![user(call, ctx.named::<User>(call, kind, name).await?.record)],
        Kind::Role => vec![role(call, ctx.named::<Role>(call, kind, name).await?.record)],
        _ => {
            let members: Vec<String> = ctx.all(call, &store::member_prefix(&call.principal.account, name)).await?;
            let mut all = Vec::new();
            for member in &members {
                let found = ctx.find::<User>(call, records::key(&call.principal.account, Kind::User, member)).await?;
                all.extend(found.map(|found| user(call, found.record)));
            }
            all
        }
    };
    Ok(Subject { policies: source.identity.into_iter().map(|input| input.policy).collect(), entities })
}
