//! What is known of a request, by condition key.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// A key's value: most have one, some (tag keys, leading keys) have many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    One(String),
    Many(Vec<String>),
}

impl Value {
    pub fn all(&self) -> &[String] {
        match self {
            Value::One(one) => std::slice::from_ref(one),
            Value::Many(many) => many,
        }
    }
    /// What a policy variable stands for; nothing where there are many.
    pub fn single(&self) -> Option<&str> {
        match self {
            Value::One(one) => Some(one),
            Value::Many(_) => None,
        }
    }
}

/// The only condition keys that some policies ask for; nothing where it isn't worth the while to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked(Option<Arc<[String]>>);

/// With more of them, looking each up takes as long as making all values.
const ASKED_MAX: usize = 32;

impl Asked {
    pub fn by<'a>(policies: impl IntoIterator<Item = &'a crate::Policy>) -> Asked {
        let mut all: Vec<&str> = policies.into_iter().flat_map(crate::Policy::keys).collect();
        all.sort_unstable();
        all.dedup();
        Asked((all.len() <= ASKED_MAX).then(|| all.into_iter().map(str::to_owned).collect()))
    }

    /// About the memory that it takes.
    pub fn bytes(&self) -> usize {
        self.0.iter().flat_map(|keys| keys.iter()).map(|key| key.len() + size_of::<String>()).sum()
    }
}

/// Up to so many keys, comparing their names is as quick as hashing one.
const COMPARED_MAX: usize = 64;

/// Condition keys and their values; names in any case are the same key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    values: Vec<(Cow<'static, str>, Value)>,
    /// Where each key stands, in lower case; only of many, as simulations are given them.
    places: Option<HashMap<String, usize>>,
    asked: Asked,
}

impl Context {
    /// Keeps only what is asked for.
    pub fn of(asked: &Asked) -> Context {
        Context { asked: asked.clone(), ..Context::default() }
    }
    /// Whether a value of this key may be looked at: making one that isn't is a waste.
    pub fn wants(&self, key: &str) -> bool {
        self.asked.0.as_ref().is_none_or(|asked| asked.iter().any(|one| one.eq_ignore_ascii_case(key)))
    }
    pub fn set(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.set_with(key, || value);
    }
    /// For values that take some work to make.
    pub fn set_with<V: Into<String>>(&mut self, key: impl Into<Cow<'static, str>>, value: impl FnOnce() -> V) {
        let key = key.into();
        if self.wants(&key) {
            self.put(key, Value::One(value().into()));
        }
    }
    pub fn set_many(&mut self, key: impl Into<Cow<'static, str>>, values: Vec<String>) {
        let key = key.into();
        if self.wants(&key) {
            self.put(key, Value::Many(values));
        }
    }
    fn place(&self, key: &str) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(&key.to_ascii_lowercase()).copied(),
            None => self.values.iter().position(|(known, _)| known.eq_ignore_ascii_case(key)),
        }
    }
    fn put(&mut self, key: Cow<'static, str>, value: Value) {
        if let Some(at) = self.place(&key) {
            self.values[at].1 = value;
            return;
        }
        if let Some(places) = &mut self.places {
            places.insert(key.to_ascii_lowercase(), self.values.len());
        }
        self.values.push((key, value));
        if self.places.is_none() && self.values.len() > COMPARED_MAX {
            let names = self.values.iter().map(|(key, _)| key.to_ascii_lowercase());
            self.places = Some(names.zip(0..).collect());
        }
    }
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.place(key).map(|at| &self.values[at].1)
    }
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(key, _)| key.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Policy, Use};

    #[test]
    fn many_keys_are_found_as_few_are() {
        let mut context = Context::default();
        for round in ["old", "new"] {
            for n in 0..3 * COMPARED_MAX {
                context.set(format!("{}:Key{n}", if round == "old" { "S" } else { "s" }), format!("{round}{n}"));
            }
        }
        assert_eq!(context.keys().count(), 3 * COMPARED_MAX);
        for n in [0, COMPARED_MAX - 1, COMPARED_MAX, COMPARED_MAX + 1, 3 * COMPARED_MAX - 1] {
            assert_eq!(context.get(&format!("S:KEY{n}")).and_then(Value::single), Some(&*format!("new{n}")));
        }
        assert_eq!(context.get("s:Key"), None);
    }

    #[test]
    fn only_what_is_asked_for_is_kept() {
        let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:b",
            "Resource":"arn:aws:x:::${aws:username}/*","Condition":{"StringLike":{"AWS:PrincipalTag/team":"${s:key, 'x'}*"},
            "ArnLike":{"aws:SourceArn":"arn:aws:x:::${t:key}"}}}]}"#;
        let policy = Policy::parse(document, Use::Identity).unwrap();
        let mut context = Context::of(&Asked::by([&policy]));
        for key in ["aws:username", "aws:principaltag/TEAM", "s:key", "aws:SourceArn", "t:key"] {
            assert!(context.wants(key), "{key}");
            context.set(key.to_owned(), "v");
        }
        context.set("aws:SourceIp", "v");
        context.set_many("aws:TagKeys", Vec::new());
        context.set_with("aws:CurrentTime", || -> String { unreachable!("nobody asks") });
        assert_eq!(context.keys().count(), 5);
        assert!(Context::default().wants("aws:SourceIp"));
        assert!(!Context::of(&Asked::by([])).wants("aws:SourceIp"));
    }
}
