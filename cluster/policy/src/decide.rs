//! From policies to a decision, as AWS documents its evaluation.

use crate::context::Context;
use crate::document::{Effect, Policy, Statement};
use crate::pattern::CutArn;
use crate::principal::{Caller, CallerKind, Reach};

/// May `caller` do `action` to `resource`?
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub caller: &'a Caller,
    /// As `dynamodb:GetItem`.
    pub action: &'a str,
    pub resource: &'a str,
    /// Who owns the resource.
    pub account: &'a str,
    pub context: &'a Context,
}

/// A policy and what people call it: a name or an ARN.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    pub name: &'a str,
    pub policy: &'a Policy,
}

/// All that bears on a question.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources<'a> {
    /// Of the user and her groups, or of the role.
    pub identity: &'a [Named<'a>],
    pub boundary: Option<Named<'a>>,
    /// Given when a session was made; None where it was made without.
    pub session: Option<&'a [Named<'a>]>,
    pub resource: Option<Named<'a>>,
    /// The resource's policy has to agree also within its account: trust policies, key policies.
    pub resource_must_allow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    Identity,
    Boundary,
    Session,
    Resource,
}

impl Layer {
    /// As AWS's messages call such a policy.
    pub fn words(self) -> &'static str {
        match self {
            Layer::Identity => "identity-based policy",
            Layer::Boundary => "permissions boundary",
            Layer::Session => "session policy",
            Layer::Resource => "resource-based policy",
        }
    }
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A statement of this kind of policy denies it.
    Explicit(Layer),
    /// No policy of this kind allows it, and one has to.
    Silent(Layer),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Allowed,
    Denied(Why),
}

/// A statement: of which policy of which kind, and the how-manieth, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub layer: Layer,
    pub policy: &'a str,
    pub statement: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    pub outcome: Outcome,
    /// The statement that decided: one that denies, or one that allows; none where nothing spoke, and for root.
    pub by: Option<Place<'a>>,
}

impl Decision<'_> {
    pub fn is_allowed(&self) -> bool {
        self.outcome == Outcome::Allowed
    }
}

/// A question, made ready to be put to many statements.
struct Asking<'a> {
    question: &'a Question<'a>,
    resource: CutArn<'a>,
}

impl<'a> Asking<'a> {
    fn new(question: &'a Question<'a>) -> Self {
        Asking { question, resource: CutArn::new(question.resource) }
    }
}

impl Statement {
    /// How near it comes to naming the caller, if it applies at all.
    fn applies(&self, asking: &Asking<'_>) -> Option<Reach> {
        let Question { caller, action, context, .. } = asking.question;
        let acts = self.actions.any.iter().any(|a| a.matches(action, context)) != self.actions.not;
        if !acts {
            return None;
        }
        if let Some(resources) = &self.resources
            && resources.any.iter().any(|r| r.matches_cut(&asking.resource, context)) == resources.not
        {
            return None;
        }
        let reach = match &self.principals {
            None => Reach::Exact,
            Some(principals) => principals.reach(caller)?,
        };
        self.conditions.iter().all(|condition| condition.holds(context)).then_some(reach)
    }
}

/// The first statement with this effect that applies.
fn first<'a>(policies: &[Named<'a>], layer: Layer, effect: Effect, asking: &Asking<'_>) -> Option<(Place<'a>, Reach)> {
    policies.iter().find_map(|named| {
        let mut statements = named.policy.statements.iter().enumerate();
        statements.find_map(|(statement, one)| {
            let reach = if one.effect == effect { one.applies(asking)? } else { return None };
            Some((Place { layer, policy: named.name, statement }, reach))
        })
    })
}

/// The nearest that a resource's policy comes to allowing it.
fn granted<'a>(policy: Option<Named<'a>>, asking: &Asking<'_>) -> Option<(Place<'a>, Reach)> {
    let named = policy?;
    let grants = named.policy.statements.iter().enumerate().filter(|(_, s)| s.effect == Effect::Allow);
    let grants = grants.filter_map(|(statement, one)| {
        Some((Place { layer: Layer::Resource, policy: named.name, statement }, one.applies(asking)?))
    });
    grants.max_by_key(|(_, reach)| *reach)
}

/// Decides. What is denied somewhere is denied; what nothing allows is denied.
pub fn decide<'a>(question: &Question<'_>, sources: &Sources<'a>) -> Decision<'a> {
    let asking = &Asking::new(question);
    let boundary = sources.boundary.as_slice();
    let resource = sources.resource.as_slice();
    let session = sources.session.unwrap_or_default();
    let layers = [
        (Layer::Identity, sources.identity),
        (Layer::Boundary, boundary),
        (Layer::Session, session),
        (Layer::Resource, resource),
    ];
    for (layer, policies) in layers {
        if let Some((place, _)) = first(policies, layer, Effect::Deny, asking) {
            return Decision { outcome: Outcome::Denied(Why::Explicit(layer)), by: Some(place) };
        }
    }
    let no = |layer| Decision { outcome: Outcome::Denied(Why::Silent(layer)), by: None };
    let yes = |by| Decision { outcome: Outcome::Allowed, by };
    let grant = granted(sources.resource, asking);
    let allowing = first(sources.identity, Layer::Identity, Effect::Allow, asking);
    let at_home = question.caller.account == question.account;
    let (needs_grant, grant_is_enough) = match &question.caller.kind {
        // They have no identity here whose policies could allow anything.
        CallerKind::Service { .. } | CallerKind::WebIdentity { .. } | CallerKind::Saml { .. } => (true, true),
        _ => (!at_home || sources.resource_must_allow, at_home),
    };
    if needs_grant && grant.is_none() {
        return no(Layer::Resource);
    }
    // Boundaries and session policies bound what a role was granted, not what this user or this session was.
    let bounded = match (&question.caller.kind, &grant) {
        (CallerKind::User, Some((_, Reach::Exact | Reach::Broad))) if grant_is_enough => false,
        (_, Some((_, Reach::Exact))) if grant_is_enough => false,
        _ => true,
    };
    if bounded {
        let silent = |layer, policies| first(policies, layer, Effect::Allow, asking).is_none().then_some(layer);
        let by_boundary = sources.boundary.and_then(|_| silent(Layer::Boundary, boundary));
        let by_session = sources.session.and_then(|policies| silent(Layer::Session, policies));
        let by_identity = || match (&question.caller.kind, &grant) {
            (CallerKind::Root, _) => None,
            (_, Some((_, Reach::Exact | Reach::Broad))) if grant_is_enough => None,
            _ => allowing.is_none().then_some(Layer::Identity),
        };
        if let Some(layer) = by_identity().or(by_boundary).or(by_session) {
            return no(layer);
        }
    }
    yes(allowing.or(grant).map(|(place, _)| place))
}

/// Every statement that applies, for people who ask why.
pub fn matching<'a>(question: &Question<'_>, sources: &Sources<'a>) -> Vec<(Place<'a>, Effect)> {
    let asking = &Asking::new(question);
    let boundary = sources.boundary.as_slice();
    let resource = sources.resource.as_slice();
    let layers = [
        (Layer::Identity, sources.identity),
        (Layer::Boundary, boundary),
        (Layer::Session, sources.session.unwrap_or_default()),
        (Layer::Resource, resource),
    ];
    let mut all = Vec::new();
    for (layer, policies) in layers {
        for named in policies {
            for (statement, one) in named.policy.statements.iter().enumerate() {
                if one.applies(asking).is_some() {
                    all.push((Place { layer, policy: named.name, statement }, one.effect));
                }
            }
        }
    }
    all
}
