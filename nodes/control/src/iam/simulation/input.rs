//! The policies of a simulation, with what answers call them.

use crate::iam::prelude::*;
use breakwater_policy::{Policy, Use, lines_and_columns};
use std::borrow::Cow;
use std::sync::OnceLock;

/// Characters of a document that a request brings.
const DOCUMENT_CHARACTERS_MAX: usize = 131_072;

/// Where a policy stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a user, group or role of this name, under the policy's own.
    Inline {
        entity: String,
        policy: String,
    },
    Managed {
        arn: String,
    },
    Given,
}

pub struct Input {
    pub origin: Origin,
    /// As `user_ann_read`, `AdministratorAccess`, `PolicyInputList.1`.
    pub id: String,
    /// As `user`, `aws-managed`.
    pub kind: &'static str,
    pub document: Cow<'static, str>,
    pub policy: Arc<Policy>,
    places: OnceLock<Vec<[(usize, usize); 2]>>,
}

impl Input {
    /// Where each statement starts and ends, as lines and columns: measured once for all results.
    pub fn places(&self) -> &[[(usize, usize); 2]] {
        self.places.get_or_init(|| lines_and_columns(&self.document))
    }

    fn read(origin: Origin, id: String, kind: &'static str, document: &str, used: Use) -> Result<Input, AwsError> {
        let policy = Policy::parse(document, used).map_err(|e| errors::invalid_input(e.0))?;
        let document = Cow::Owned(document.to_owned());
        Ok(Input { origin, id, kind, document, policy: Arc::new(policy), places: OnceLock::new() })
    }

    /// Documents of a request's list, numbered from 1.
    pub fn list(name: &str, documents: &[String]) -> Result<Vec<Input>, AwsError> {
        let numbered = documents.iter().enumerate();
        numbered
            .map(|(at, document)| Self::given(&format!("{name}.{}", at + 1), "none", document, Use::Identity))
            .collect()
    }

    pub fn given(id: &str, kind: &'static str, document: &str, used: Use) -> Result<Input, AwsError> {
        if document.is_empty() {
            return Err(check::constraint("", id, "Member must have length greater than or equal to 1"));
        }
        if document.chars().count() > DOCUMENT_CHARACTERS_MAX {
            return Err(check::constraint("", id, "Member must have length less than or equal to 131072"));
        }
        Self::read(Origin::Given, id.to_owned(), kind, document, used)
    }

    /// A managed policy, the account's own or one of AWS's.
    pub async fn managed(ctx: &Context, call: &Call, arn: &str) -> Result<Input, AwsError> {
        let id = arn.rsplit('/').next().unwrap_or(arn).to_owned();
        let origin = Origin::Managed { arn: arn.to_owned() };
        if let Some(managed) = aws_managed(arn) {
            let document = Cow::Borrowed(managed.document.as_str());
            let (policy, places) = (managed.policy.clone(), OnceLock::new());
            return Ok(Input { origin, id, kind: "aws-managed", document, policy, places });
        }
        let policy = ctx.policy(call, arn).await?;
        let document = policy.record.default_document().ok_or_else(|| errors::no_such_policy(arn))?;
        Self::read(origin, id, "user-managed", document, Use::Identity)
    }

    /// The policies of one user, group or role.
    async fn of_entity(
        ctx: &Context,
        call: &Call,
        kind: &'static str,
        name: &str,
        policies: &Policies,
    ) -> Result<Vec<Input>, AwsError> {
        let mut all = Vec::new();
        for (policy, document) in &policies.inline {
            let origin = Origin::Inline { entity: name.to_owned(), policy: policy.clone() };
            all.push(Self::read(origin, format!("{kind}_{name}_{policy}"), kind, document, Use::Identity)?);
        }
        for arn in &policies.attached {
            all.push(Self::managed(ctx, call, arn).await?);
        }
        Ok(all)
    }
}

/// A user, group or role with everything that says what it may do.
pub struct Source {
    pub kind: Kind,
    pub arn: String,
    pub name: String,
    pub id: String,
    pub tags: BTreeMap<String, String>,
    pub identity: Vec<Input>,
    pub boundary: Option<Input>,
}

pub fn unclear(arn: &str) -> AwsError {
    errors::invalid_input(format!("Invalid Entity Arn: {arn} does not clearly define entity type and name."))
}

/// The kind and name that an ARN of a user, group or role says.
pub fn entity(arn: &str) -> Result<(Kind, &str), AwsError> {
    if !(20..=2_048).contains(&arn.len()) {
        return Err(check::constraint(
            arn,
            "policySourceArn",
            "Member must have length between 20 and 2048, inclusive",
        ));
    }
    let resource = arn.splitn(6, ':').nth(5).and_then(|resource| resource.split_once('/'));
    let (kind, path) = resource.filter(|_| arn.starts_with("arn:aws:iam::")).ok_or_else(|| unclear(arn))?;
    let kind = match kind {
        "user" => Kind::User,
        "group" => Kind::Group,
        "role" => Kind::Role,
        _ => return Err(unclear(arn)),
    };
    let name = path.rsplit('/').next().filter(|name| !name.is_empty()).ok_or_else(|| unclear(arn))?;
    Ok((kind, name))
}

impl Source {
    /// Linearizable, record by record.
    pub async fn find(ctx: &Context, call: &Call, arn: &str) -> Result<Source, AwsError> {
        let account = &call.principal.account;
        let (kind, name) = entity(arn)?;
        let mut identity = Vec::new();
        let (path, found_name, id, tags, boundary) = match kind {
            Kind::Group => {
                let group = ctx.named::<Group>(call, kind, name).await?.record;
                identity.extend(Input::of_entity(ctx, call, "group", &group.name, &group.policies).await?);
                (group.path, group.name, group.id, BTreeMap::new(), None)
            }
            Kind::Role => {
                let role = ctx.named::<Role>(call, kind, name).await?.record;
                identity.extend(Input::of_entity(ctx, call, "role", &role.name, &role.policies).await?);
                (role.path, role.name, role.id, role.tags, role.boundary)
            }
            _ => {
                let user = ctx.named::<User>(call, kind, name).await?.record;
                identity.extend(Input::of_entity(ctx, call, "user", &user.name, &user.policies).await?);
                for group in &user.groups {
                    let group = ctx.named::<Group>(call, Kind::Group, group).await?.record;
                    identity.extend(Input::of_entity(ctx, call, "group", &group.name, &group.policies).await?);
                }
                (user.path, user.name, user.id, user.tags, user.boundary)
            }
        };
        if records::arn(account, kind, &path, &found_name) != arn {
            return Err(errors::no_such(kind, name));
        }
        let boundary = match &boundary {
            Some(arn) => Some(Input::managed(ctx, call, arn).await?),
            None => None,
        };
        Ok(Source { kind, arn: arn.to_owned(), name: found_name, id, tags, identity, boundary })
    }
}
