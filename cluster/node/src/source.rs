//! Settings from flags, environment and one TOML file, in this order of precedence. Every problem is collected, so
//! that a person sees all of them at once.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Where settings come from, and what was wrong with them.
#[derive(Debug, Default)]
pub struct Source {
    values: BTreeMap<String, (toml::Value, &'static str)>,
    known: Vec<(&'static str, &'static str, String)>,
    problems: Vec<String>,
    help: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}", .0.join("\n"))]
    Problems(Vec<String>),
    /// `--help` was asked for: the text.
    #[error("{0}")]
    Help(String),
}

const ENV_PREFIX: &str = "BREAKWATER_";

/// A flag's or a variable's text as TOML, where it is that; else as a string.
fn parse_text(text: &str) -> toml::Value {
    match format!("v = {text}").parse::<toml::Table>() {
        Ok(mut table) => table.remove("v").unwrap_or_else(|| text.into()),
        Err(_) => text.into(),
    }
}

impl Source {
    /// `arguments` without the program's name.
    pub fn read(
        arguments: impl IntoIterator<Item = String>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut source = Source::default();
        let mut flags = BTreeMap::new();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let Some(flag) = argument.strip_prefix("--") else {
                source.problems.push(format!("{argument:?} is not a flag"));
                continue;
            };
            if flag == "help" {
                source.help = true;
                continue;
            }
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (flag.to_owned(), arguments.next()),
            };
            match value {
                Some(value) => {
                    flags.insert(name.replace('-', "_"), value);
                }
                None => source.problems.push(format!("--{name} needs a value")),
            }
        }
        if let Some(path) = flags.remove("config") {
            match std::fs::read_to_string(&path)
                .map_err(|e| e.to_string())
                .and_then(|text| text.parse::<toml::Table>().map_err(|e| e.to_string()))
            {
                Ok(table) => source.values.extend(table.into_iter().map(|(k, v)| (k, (v, "file")))),
                Err(e) => source.problems.push(format!("{path}: {e}")),
            }
        }
        for (name, value) in environment {
            if let Some(key) = name.strip_prefix(ENV_PREFIX) {
                source.values.insert(key.to_lowercase(), (parse_text(&value), "environment"));
            }
        }
        source.values.extend(flags.into_iter().map(|(k, v)| (k, (parse_text(&v), "flag"))));
        source
    }

    pub fn from_process() -> Self {
        // Not `args` and `vars`: they panic at what isn't UTF-8.
        let text = |s: std::ffi::OsString| s.to_string_lossy().into_owned();
        Self::read(std::env::args_os().skip(1).map(text), std::env::vars_os().map(|(k, v)| (text(k), text(v))))
    }

    fn problem(&mut self, key: &str, why: impl fmt::Display) {
        self.problems.push(format!("{key}: {why}"));
    }

    /// A setting that has to be there. What comes back where it isn't is never used: `finish` fails.
    pub fn required<T: Setting>(&mut self, key: &'static str, about: &'static str) -> T {
        self.known.push((key, about, "required".to_owned()));
        if !self.values.contains_key(key) && !self.help {
            self.problem(key, "is missing");
        }
        self.take(key).unwrap_or_else(T::placeholder)
    }

    pub fn or<T: Setting + fmt::Debug>(&mut self, key: &'static str, default: T, about: &'static str) -> T {
        self.known.push((key, about, format!("{default:?}")));
        self.take(key).unwrap_or(default)
    }

    pub fn optional<T: Setting>(&mut self, key: &'static str, about: &'static str) -> Option<T> {
        self.known.push((key, about, "none".to_owned()));
        self.take(key)
    }

    fn take<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        let (value, from) = self.values.remove(key)?;
        match T::from_toml(&value) {
            Ok(value) => Some(value),
            Err(why) => {
                self.problem(key, format!("{why} (from {from})"));
                None
            }
        }
    }

    /// Adds a problem that only the settings together show.
    pub fn check(&mut self, holds: bool, why: &str) {
        if !holds {
            self.problems.push(why.to_owned());
        }
    }

    /// All problems, unknown keys among them.
    pub fn finish(mut self, program: &str) -> Result<(), ConfigError> {
        if self.help {
            let mut text = format!(
                "Usage: {program} --config FILE [--key value …]\n\nSettings (flag --key, environment {ENV_PREFIX}KEY, or key in FILE):\n"
            );
            for (key, about, default) in &self.known {
                text.push_str(&format!("  {key:<24} {about} [{default}]\n"));
            }
            return Err(ConfigError::Help(text));
        }
        for (key, (_, from)) in std::mem::take(&mut self.values) {
            // The environment is shared with other programs of ours: what isn't for this one is no mistake.
            if from != "environment" {
                self.problem(&key, format!("is not a setting of {program} (from {from})"));
            }
        }
        if self.problems.is_empty() { Ok(()) } else { Err(ConfigError::Problems(self.problems)) }
    }
}

/// A type that settings may have.
pub trait Setting: Sized {
    fn from_toml(value: &toml::Value) -> Result<Self, String>;
    fn placeholder() -> Self;
}

macro_rules! text_setting {
    ($($type:ty => $placeholder:expr),* $(,)?) => {$(
        impl Setting for $type {
            fn from_toml(value: &toml::Value) -> Result<Self, String> {
                let text = match value {
                    toml::Value::String(text) => text.clone(),
                    // An account number looks like a number where it isn't quoted.
                    toml::Value::Integer(number) => number.to_string(),
                    other => return Err(format!("{other} is not a text")),
                };
                <$type>::from_str(&text).map_err(|e| e.to_string())
            }
            fn placeholder() -> Self { $placeholder }
        }
    )*};
}

fn named<T: FromStr>(text: &str) -> T {
    match text.parse() {
        Ok(value) => value,
        Err(_) => unreachable!("placeholders are valid"),
    }
}

text_setting! {
    String => String::new(),
    std::path::PathBuf => std::path::PathBuf::new(),
    std::net::IpAddr => std::net::IpAddr::from([127, 0, 0, 1]),
    std::net::SocketAddr => std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
    breakwater_types::NodeName => named("none"),
    breakwater_types::Zone => named("none"),
    breakwater_types::Region => named("none"),
    breakwater_types::AccountId => named("000000000000"),
    Named => Named { name: named("none"), address: std::net::SocketAddr::from(([127, 0, 0, 1], 0)) },
}

macro_rules! number_setting {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            fn from_toml(value: &toml::Value) -> Result<Self, String> {
                let number = value.as_integer().ok_or_else(|| format!("{value} is not a whole number"))?;
                <$type>::try_from(number).map_err(|_| format!("{number} is out of range"))
            }
            fn placeholder() -> Self { 0 }
        }
    )*};
}

number_setting!(u16, u32, u64, i64, usize);

impl Setting for bool {
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| format!("{value} is neither true nor false"))
    }
    fn placeholder() -> Self {
        false
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::Array(values) => values.iter().map(T::from_toml).collect(),
            toml::Value::String(text) => {
                text.split(',').filter(|t| !t.is_empty()).map(|t| T::from_toml(&t.trim().into())).collect()
            }
            other => Err(format!("{other} is not a list")),
        }
    }
    fn placeholder() -> Self {
        Vec::new()
    }
}

/// `control-node-a1=127.0.0.1:7400`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub name: breakwater_types::NodeName,
    pub address: std::net::SocketAddr,
}

impl FromStr for Named {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, address) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=ADDRESS:PORT"))?;
        let name = name.parse().map_err(|e: breakwater_types::ids::InvalidName| e.to_string())?;
        // A container's name is resolved once, at start: its address is fixed in the compose file.
        let address = std::net::ToSocketAddrs::to_socket_addrs(address)
            .map_err(|e| format!("{address}: {e}"))?
            .next()
            .ok_or_else(|| format!("{address} has no address"))?;
        Ok(Named { name, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str], environment: &[(&str, &str)]) -> Source {
        Source::read(
            arguments.iter().map(|s| (*s).to_owned()),
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        )
    }

    #[test]
    fn flags_beat_environment_beats_file_and_all_problems_are_told() {
        let file = std::env::temp_dir().join(format!("breakwater-config-{}.toml", std::process::id()));
        std::fs::write(&file, "a = 1\nb = 1\nc = 1\nunknown = 2\nport = 99999\n").unwrap();
        let path = file.to_str().unwrap();
        let mut source = read(&["--config", path, "--a", "3"], &[("BREAKWATER_A", "2"), ("BREAKWATER_B", "2")]);
        assert_eq!(source.or("a", 0u64, ""), 3);
        assert_eq!(source.or("b", 0u64, ""), 2);
        assert_eq!(source.or("c", 0u64, ""), 1);
        source.or("port", 1u16, "");
        source.required::<String>("missing", "");
        let Err(ConfigError::Problems(problems)) = source.finish("test") else { panic!() };
        assert_eq!(problems.len(), 3, "{problems:?}");
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn lists_and_named_addresses_are_read() {
        let mut source = read(&["--control=a=127.0.0.1:1,b=127.0.0.2:2", "--account", "000000000001"], &[]);
        let control: Vec<Named> = source.or("control", vec![], "");
        assert_eq!(control.len(), 2);
        assert_eq!(control[1].name.as_str(), "b");
        source.finish("x").unwrap_err();
    }

    #[test]
    fn bad_settings_are_problems_never_panics() {
        for arguments in [
            &["stray"][..],
            &["--config", "/nowhere/at/all.toml"],
            &["--config"],
            &["--number", "-1"],
            &["--number", "9999999999999999999999"],
            &["--number", "[[["],
            &["--zone", "AZ/A"],
            &["--address", "999.1.1.1"],
            &["--control", "a=nowhere"],
            &["--control", "127.0.0.1:1"],
            &["--", "x"],
            &["--unknown", "1"],
        ] {
            let mut source = read(arguments, &[]);
            source.or("number", 1u16, "");
            source.optional::<breakwater_types::Zone>("zone", "");
            source.optional::<std::net::IpAddr>("address", "");
            source.or::<Vec<Named>>("control", vec![], "");
            assert!(matches!(source.finish("test"), Err(ConfigError::Problems(_))), "{arguments:?}");
        }
    }

    #[test]
    fn the_environment_may_hold_settings_of_other_programs_and_help_needs_none() {
        let source = read(&[], &[("BREAKWATER_OF_ANOTHER", "1"), ("PATH", "x")]);
        source.finish("test").unwrap();
        let mut source = read(&["--help"], &[]);
        source.required::<String>("name", "what it is called");
        let Err(ConfigError::Help(text)) = source.finish("test") else { panic!() };
        assert!(text.contains("what it is called"));
    }
}
