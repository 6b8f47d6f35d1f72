//! A policy document, read whole or refused in AWS's words.

use crate::condition::{Bad, Condition};
use crate::json::Json;
use crate::pattern::{ArnPattern, Pattern};
use crate::principal::{self, Principals};
use crate::validate;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Allow,
    Deny,
}

/// Where a document is to be used: what it may and must hold differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Of a user, group or role, a session policy: names no principal.
    Identity,
    /// The same, but of the newest version of the language: what is to become a managed policy.
    Managed,
    /// Of a resource: names principals.
    Resource,
    /// Who may assume a role: names principals, and no resource.
    Trust,
}

/// AWS's message for a MalformedPolicyDocument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    pub(crate) fn syntax() -> Self {
        Malformed("Syntax errors in policy.".to_owned())
    }
    pub(crate) fn legacy() -> Self {
        Malformed("The policy failed legacy parsing".to_owned())
    }
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Clause<T> {
    pub(crate) not: bool,
    pub(crate) any: Vec<T>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub sid: Option<String>,
    pub effect: Effect,
    pub(crate) actions: Clause<Pattern>,
    /// None in a policy of a resource that leaves it out: that resource.
    pub(crate) resources: Option<Clause<ArnPattern>>,
    pub(crate) principals: Option<Principals>,
    pub(crate) conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub id: Option<String>,
    pub statements: Vec<Statement>,
}

/// A statement as it was written, its shape checked.
pub(crate) struct Raw<'a> {
    pub(crate) sid: Option<&'a str>,
    effect: &'a str,
    principal: Option<(bool, &'a Json)>,
    pub(crate) actions: Option<(bool, Vec<&'a str>)>,
    pub(crate) resources: Option<(bool, Vec<&'a str>)>,
    conditions: Vec<(&'a str, &'a str, &'a Json)>,
}

fn text(json: &Json) -> Result<&str, Malformed> {
    match json {
        Json::Text(text) => Ok(text),
        _ => Err(Malformed::syntax()),
    }
}

fn texts(json: &Json) -> Result<Vec<&str>, Malformed> {
    json.each().iter().map(text).collect()
}

/// Sets what may be set once: `X` and `NotX` exclude each other.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Malformed> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Malformed::syntax()),
    }
}

fn raw_conditions(json: &Json) -> Result<Vec<(&str, &str, &Json)>, Malformed> {
    let Json::Map(operators) = json else { return Err(Malformed::syntax()) };
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let Json::Map(keys) = keys else { return Err(Malformed::syntax()) };
        conditions.extend(keys.iter().map(|(key, values)| (operator.as_str(), key.as_str(), values)));
    }
    Ok(conditions)
}

impl<'a> Raw<'a> {
    fn read(json: &'a Json) -> Result<Raw<'a>, Malformed> {
        let Json::Map(elements) = json else { return Err(Malformed::syntax()) };
        let (mut sid, mut effect, mut principal, mut actions, mut resources) = (None, None, None, None, None);
        let mut conditions = Vec::new();
        for (name, value) in elements {
            match name.as_str() {
                "Sid" => sid = Some(text(value)?),
                "Effect" => effect = Some(text(value)?),
                "Principal" => once(&mut principal, (false, value))?,
                "NotPrincipal" => once(&mut principal, (true, value))?,
                "Action" => once(&mut actions, (false, texts(value)?))?,
                "NotAction" => once(&mut actions, (true, texts(value)?))?,
                "Resource" => once(&mut resources, (false, texts(value)?))?,
                "NotResource" => once(&mut resources, (true, texts(value)?))?,
                "Condition" => conditions = raw_conditions(value)?,
                _ => return Err(Malformed::syntax()),
            }
        }
        let effect = effect.ok_or_else(Malformed::syntax)?;
        if !effect.eq_ignore_ascii_case("allow") && !effect.eq_ignore_ascii_case("deny") {
            return Err(Malformed::syntax());
        }
        Ok(Raw { sid, effect, principal, actions, resources, conditions })
    }

    fn compile(self, variables: bool) -> Result<Statement, Malformed> {
        let effect = if self.effect == "Allow" { Effect::Allow } else { Effect::Deny };
        let (not, any) = self.actions.unwrap_or_default();
        let actions = Clause { not, any: any.into_iter().map(Pattern::folded).collect() };
        let resources = match self.resources {
            None => None,
            Some((not, any)) => {
                let any = any.into_iter().map(|arn| ArnPattern::of_resource(arn, variables));
                let any = any.collect::<Result<_, _>>().map_err(|_| Malformed::legacy())?;
                Some(Clause { not, any })
            }
        };
        let principals = match self.principal {
            None => None,
            Some((not, names)) => Some(Principals::parse(names, not).map_err(|bad| match bad {
                principal::Bad::Syntax => Malformed::syntax(),
                principal::Bad::Invalid(name) => Malformed(format!("Invalid principal in policy: {name}")),
            })?),
        };
        let conditions = self.conditions.into_iter().map(|(operator, key, values)| {
            Condition::parse(operator, key, values, variables).map_err(|bad| match bad {
                Bad::Operator => Malformed(format!("Invalid Condition type : {operator}.")),
                Bad::Value => Malformed::legacy(),
            })
        });
        let conditions = conditions.collect::<Result<_, _>>()?;
        Ok(Statement { sid: self.sid.map(str::to_owned), effect, actions, resources, principals, conditions })
    }
}

impl Policy {
    /// Reads a document for this use.
    pub fn parse(document: &str, used: Use) -> Result<Policy, Malformed> {
        let json: Json = serde_json::from_str(document).map_err(|_| Malformed::syntax())?;
        let Json::Map(elements) = &json else { return Err(Malformed::syntax()) };
        let (mut version, mut id, mut statements) = (None, None, None);
        for (name, value) in elements {
            match name.as_str() {
                "Version" => version = Some(text(value)?),
                "Id" => id = Some(text(value)?.to_owned()),
                "Statement" => statements = Some(value),
                _ => return Err(Malformed::syntax()),
            }
        }
        let variables = match version {
            Some("2012-10-17") => true,
            Some("2008-10-17") | None => false,
            Some(_) => return Err(Malformed::syntax()),
        };
        let (used, managed) = match used {
            Use::Managed => (Use::Identity, true),
            other => (other, false),
        };
        let statements = match statements {
            Some(one @ Json::Map(_)) => std::slice::from_ref(one),
            Some(Json::List(many)) if !many.is_empty() => many,
            _ => return Err(Malformed::syntax()),
        };
        let raw = statements.iter().map(Raw::read).collect::<Result<Vec<_>, _>>()?;
        for statement in &raw {
            match (used, &statement.principal, &statement.resources) {
                (Use::Identity, Some(_), _) => {
                    return Err(Malformed("Policy document should not specify a principal.".to_owned()));
                }
                (Use::Resource | Use::Trust, None, _) => {
                    return Err(Malformed("Missing required field Principal".to_owned()));
                }
                (Use::Trust, _, Some(_)) => return Err(Malformed("Has prohibited field Resource".to_owned())),
                // As AWS: it would trust everybody but a few, of any account.
                (Use::Trust, Some((true, _)), _) => {
                    return Err(Malformed("Has prohibited field NotPrincipal".to_owned()));
                }
                (Use::Resource, Some((true, _)), _) if statement.effect.eq_ignore_ascii_case("allow") => {
                    return Err(Malformed("Allow with NotPrincipal is not allowed.".to_owned()));
                }
                _ => {}
            }
        }
        // AWS takes any version everywhere else; in older ones variables are text.
        if managed && !variables {
            return Err(Malformed("Policy document must be version 2012-10-17 or greater.".to_owned()));
        }
        if raw.iter().any(|statement| !["Allow", "Deny"].contains(&statement.effect)) {
            return Err(Malformed::legacy());
        }
        validate::statements(&raw, used)?;
        let statements = raw.into_iter().map(|statement| statement.compile(variables)).collect::<Result<_, _>>()?;
        Ok(Policy { id, statements })
    }
}

impl Policy {
    /// Whether a decision by it may depend on the context: it has conditions or variables.
    pub fn asks(&self) -> bool {
        self.keys().next().is_some()
    }

    /// About the memory that it takes, which is much more than its text does.
    pub fn bytes(&self) -> usize {
        let statements = self.statements.iter().map(|statement| {
            let actions = statement.actions.any.iter().map(Pattern::bytes).sum::<usize>();
            let resources = statement.resources.iter().flat_map(|clause| &clause.any);
            let conditions = statement.conditions.iter().map(Condition::bytes).sum::<usize>();
            let principals = statement.principals.as_ref().map_or(0, Principals::bytes);
            let sid = statement.sid.as_ref().map_or(0, String::len);
            let resources = resources.map(ArnPattern::bytes).sum::<usize>();
            size_of::<Statement>() + sid + actions + resources + principals + conditions
        });
        size_of::<Policy>() + self.id.as_ref().map_or(0, String::len) + statements.sum::<usize>()
    }

    /// The condition keys that a decision by it may depend on: of conditions, and of variables anywhere.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().flat_map(|statement| {
            let resources =
                statement.resources.iter().flat_map(|clause| &clause.any).flat_map(|arn| arn.variables(true));
            let conditions =
                statement.conditions.iter().flat_map(|one| std::iter::once(one.key()).chain(one.variables(true)));
            resources.chain(conditions)
        })
    }
}

impl Statement {
    /// The condition keys that it asks for.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.conditions.iter().map(Condition::key)
    }
}
