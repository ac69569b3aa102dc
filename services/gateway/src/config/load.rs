//! Load: the file and the variables, read into [`Config`] with every problem named at once.
//!
//! Owns: precedence (a variable wins over the file) and the report. May not: read the process environment; the caller
//! passes it in. A wrong value is reported, replaced by a valid stand-in and the rest is read on, so that one start
//! tells everything; a configuration with a problem is never returned.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};

use super::keys::{self, Form};
use super::{Config, VARIABLE_PREFIX, check};

/// Size of a configuration file; a larger one is some other file.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Problems of type that are looked for before giving up; there are fewer keys.
const PROBLEMS_MAX: usize = 100;

/// How much of a wrong value is shown.
const SHOWN_CHARS_MAX: usize = 80;

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the key.
    pub key: String,
    /// Its value, as it was read.
    pub value: String,
    /// What is wrong with it, with the limit.
    pub reason: String,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {path} cannot be read")]
    File {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is far too large.
    #[error("configuration file {path} has {bytes} bytes, more than {FILE_BYTES_MAX}")]
    TooLarge {
        /// Its path.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// The file is not TOML.
    #[error("configuration file {path} is not valid TOML: {detail}")]
    Syntax {
        /// Its path.
        path: String,
        /// Where and why.
        detail: String,
    },
    /// Keys or values are wrong: all that were found.
    #[error("the configuration has {} problem(s):{}", .0.len(), list(.0))]
    Problems(Vec<Problem>),
}

/// Where a configuration came from, to be read again.
#[derive(Clone, Debug)]
pub struct ConfigSource {
    /// The file.
    pub path: PathBuf,
    /// The variables of the process, which do not change while it runs.
    pub environment: Vec<(String, String)>,
}

impl ConfigSource {
    /// Reads it.
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.path, self.environment.iter().cloned())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.key, self.value, self.reason)
    }
}

fn list(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("\n  {problem}"))
        .collect()
}

impl Config {
    /// Reads the file, applies the variables that start with `PAYGATE__`, and checks the result as a whole.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Config, ConfigError> {
        let name = || path.display().to_string();
        let unreadable = |source| ConfigError::File {
            path: name(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(ConfigError::TooLarge {
                path: name(),
                bytes,
            });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let config = Config::parse(&text, environment, &name())?;
        config.check_stages().map(|()| config)
    }

    /// The file of stages is part of the configuration. One that is not there may be on the machine that this is meant for; there, the
    /// gateway does not start without it.
    fn check_stages(&self) -> Result<(), ConfigError> {
        let named = self.rollout.stages_path.as_deref();
        let Some(path) = named.filter(|path| path.exists()) else {
            return Ok(());
        };
        match self.read_stages() {
            Ok(_) => Ok(()),
            Err(error) => Err(ConfigError::Problems(vec![Problem {
                key: "rollout.stages_path".to_owned(),
                value: path.display().to_string(),
                reason: error.to_string(),
            }])),
        }
    }

    /// The same for text that is already in memory; `name` stands for the file in errors.
    pub fn parse(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        name: &str,
    ) -> Result<Config, ConfigError> {
        let mut tree: Dict =
            Figment::from(Toml::string(text))
                .extract()
                .map_err(|err| ConfigError::Syntax {
                    path: name.to_owned(),
                    detail: err.to_string(),
                })?;
        let mut reading = Reading::default();
        reading.apply(environment, &mut tree);
        reading.drop_unknown(&mut tree, "");
        let config = reading.read(tree);
        if let Some(config) = &config {
            check::check(config, &reading.replaced, &mut reading.problems);
        }
        match config {
            Some(config) if reading.problems.is_empty() => Ok(config),
            _ => Err(ConfigError::Problems(reading.problems)),
        }
    }

    /// What is allowed but deserves a look before real money moves.
    pub fn warnings(&self) -> Vec<Problem> {
        check::warnings(self)
    }
}

#[derive(Default)]
struct Reading {
    problems: Vec<Problem>,
    /// Keys whose values were replaced by stand-ins; nothing else may be said about them.
    replaced: BTreeSet<String>,
}

impl Reading {
    /// Sets the keys that variables name. In order of their names, so that `…__ANCHOR` comes before `…__ANCHOR__INDEX`.
    fn apply(&mut self, environment: impl IntoIterator<Item = (String, String)>, tree: &mut Dict) {
        let mut variables: Vec<(String, String)> = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX))
            .collect();
        variables.sort();
        for (name, text) in variables {
            let path = name[VARIABLE_PREFIX.len()..]
                .to_ascii_lowercase()
                .replace("__", ".");
            let Some(key) = keys::all().find(|key| key.path == path) else {
                self.problems.push(Problem {
                    key: name,
                    value: shorten(&text),
                    reason: "this variable names no key of the configuration".to_owned(),
                });
                continue;
            };
            set(tree, &path, value_of(key.form, &text));
        }
    }

    /// Reports and removes every key that no struct has.
    fn drop_unknown(&mut self, tree: &mut Dict, under: &str) {
        let names: Vec<String> = tree.keys().cloned().collect();
        for name in names {
            let path = if under.is_empty() {
                name.clone()
            } else {
                format!("{under}.{name}")
            };
            let section = format!("{path}.");
            let is_section = keys::all().any(|key| key.path.starts_with(&section));
            if !is_section && !keys::all().any(|key| key.path == path) {
                let value = tree
                    .remove(&name)
                    .map_or_else(String::new, |value| show(&value));
                self.problems.push(Problem {
                    key: path,
                    value,
                    reason: "unknown key".to_owned(),
                });
                continue;
            }
            match tree.get_mut(&name) {
                Some(Value::Dict(_, inner)) => self.drop_unknown(inner, &path),
                Some(Value::Array(_, items)) => {
                    for item in items {
                        if let Value::Dict(_, inner) = item {
                            self.drop_unknown(inner, &path);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Reads the structs, replacing what is wrong until the rest can be read. `None`: it never could.
    fn read(&mut self, mut tree: Dict) -> Option<Config> {
        for _ in 0..PROBLEMS_MAX {
            let err = match Value::from(tree.clone()).deserialize::<Config>() {
                Ok(config) => return Some(config),
                Err(err) => err,
            };
            let mut path = err.path.clone();
            path.retain(|part| part.parse::<usize>().is_err());
            let (value, reason) = match &err.kind {
                Kind::MissingField(field) => {
                    path.push(field.to_string());
                    ("absent".to_owned(), "this key is required".to_owned())
                }
                kind => (
                    find(&tree, &path).map_or_else(String::new, show),
                    kind.to_string(),
                ),
            };
            let key = path.join(".");
            self.problems.push(Problem {
                key: key.clone(),
                value,
                reason,
            });
            if !self.put_stand_in(&mut tree, &key) {
                return None;
            }
        }
        None
    }

    /// False if the key was replaced before, so replacing it does not help.
    fn put_stand_in(&mut self, tree: &mut Dict, key: &str) -> bool {
        // One wrong entry of a list replaces the list.
        let key = keys::list_of(key).unwrap_or(key);
        if !self.replaced.insert(key.to_owned()) {
            return false;
        }
        let section = format!("{key}.");
        if let Some(known) = keys::all().find(|known| known.path == key) {
            set(tree, key, value_of(known.form, known.example));
            return true;
        }
        remove(tree, key);
        let inner: Vec<_> = keys::all()
            .filter(|known| known.path.starts_with(&section))
            .filter(|known| !keys::is_in_list(known.path))
            .collect();
        for known in &inner {
            set(tree, known.path, value_of(known.form, known.example));
            self.replaced.insert(known.path.to_owned());
        }
        !inner.is_empty()
    }
}

fn value_of(form: Form, text: &str) -> Value {
    match form {
        Form::Text => Value::from(text.to_owned()),
        Form::Parsed => text.parse().unwrap_or_else(|never| match never {}),
    }
}

/// Puts a value at a path, making the sections on the way.
fn set(tree: &mut Dict, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            tree.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = tree
                .entry(section.to_owned())
                .or_insert_with(|| Value::from(Dict::new()));
            if !matches!(inner, Value::Dict(..)) {
                *inner = Value::from(Dict::new());
            }
            if let Value::Dict(_, inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

fn remove(tree: &mut Dict, path: &str) {
    match path.split_once('.') {
        None => {
            tree.remove(path);
        }
        Some((section, rest)) => {
            if let Some(Value::Dict(_, inner)) = tree.get_mut(section) {
                remove(inner, rest);
            }
        }
    }
}

fn find<'a>(tree: &'a Dict, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let value = tree.get(first)?;
    match (rest, value) {
        ([], _) => Some(value),
        (rest, Value::Dict(_, inner)) => find(inner, rest),
        // Within a list the place is not told apart: show the whole.
        _ => Some(value),
    }
}

fn show(value: &Value) -> String {
    shorten(&serde_json::to_string(value).unwrap_or_default())
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
