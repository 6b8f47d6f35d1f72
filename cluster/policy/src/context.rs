//! What is known of a request, by condition key.

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

/// Condition keys and their values; names in any case are the same key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context(Vec<(String, Value)>);

impl Context {
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.put(key.into(), Value::One(value.into()));
    }
    pub fn set_many(&mut self, key: impl Into<String>, values: Vec<String>) {
        self.put(key.into(), Value::Many(values));
    }
    fn put(&mut self, key: String, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&key)) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }
}
