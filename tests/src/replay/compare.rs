//! Two answers to the same request, laid side by side.
//!
//! Owns: the rule of what must be equal. Everywhere the set of fields, their types and the lengths of lists; and all
//! values, except those that no two servers share: hashes, times and counters of the machine. May not: excuse anything.

use serde_json::Value;

/// Fields of which only the type is compared: they say when and where a server ran, or follow from that.
const OWN_TO_EACH_SERVER: [&str; 30] = [
    "age",
    "avg_time",
    "build_version",
    "close_time",
    "close_time_human",
    "close_time_iso",
    "close_time_resolution",
    "converge_time",
    "converge_time_s",
    "date",
    "duration_us",
    "git",
    "hostid",
    "initial_sync_duration_us",
    "io_latency_ms",
    "job_types",
    "ledger_data",
    "ledger_time",
    "meta_blob",
    "parent_close_time",
    "peer_disconnects",
    "ports",
    "pubkey_node",
    "pubkey_validator",
    "server_state_duration_us",
    "time",
    "total_coins",
    "transitions",
    "uptime",
    "validation_quorum",
];
/// Length of a hash in hexadecimal digits.
const HASH_CHARS: usize = 64;

/// What is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The real server sent this field, the simulated one did not.
    Missing,
    /// The simulated server sent this field, the real one did not.
    Extra,
    /// Another type.
    Type,
    /// A list of another length.
    Length,
    /// Another value.
    Value,
}

/// One difference between two answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Where in the answer, with `[]` for any element of a list.
    pub path: String,
    /// What is different there.
    pub kind: Kind,
    /// What the real server said, shortened.
    pub real: String,
    /// What the simulated one said, shortened.
    pub simulated: String,
}

/// All differences between a real answer and a simulated one.
pub(super) fn compare(real: &Value, simulated: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", real, simulated, &mut found);
    found
}

fn walk(path: &str, real: &Value, simulated: &Value, found: &mut Vec<Difference>) {
    match (real, simulated) {
        (Value::Object(left), Value::Object(right)) => {
            for (name, value) in left {
                let below = join(path, name);
                match right.get(name) {
                    None => found.push(difference(below, Kind::Missing, Some(value), None)),
                    Some(_)
                        if OWN_TO_EACH_SERVER.contains(&name.as_str())
                            && !value.is_string()
                            && !value.is_number() => {}
                    Some(other) => walk(&below, value, other, found),
                }
            }
            for (name, value) in right.iter().filter(|(name, _)| !left.contains_key(*name)) {
                found.push(difference(join(path, name), Kind::Extra, None, Some(value)));
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            if left.len() != right.len() {
                let (left, right) = (Value::from(left.len()), Value::from(right.len()));
                found.push(difference(
                    path.to_owned(),
                    Kind::Length,
                    Some(&left),
                    Some(&right),
                ));
            }
            for (left, right) in left.iter().zip(right) {
                walk(&format!("{path}[]"), left, right, found);
            }
        }
        _ if type_name(real) != type_name(simulated) => {
            found.push(difference(
                path.to_owned(),
                Kind::Type,
                Some(real),
                Some(simulated),
            ));
        }
        (Value::Number(real), Value::Number(simulated)) if real.as_f64() == simulated.as_f64() => {}
        _ if real != simulated && !own_to_each_server(path, real) => {
            found.push(difference(
                path.to_owned(),
                Kind::Value,
                Some(real),
                Some(simulated),
            ));
        }
        _ => {}
    }
}

fn difference(
    path: String,
    kind: Kind,
    real: Option<&Value>,
    simulated: Option<&Value>,
) -> Difference {
    Difference {
        path,
        kind,
        real: short(real),
        simulated: short(simulated),
    }
}

fn own_to_each_server(path: &str, real: &Value) -> bool {
    let name = path.rsplit(['.', ']']).next().unwrap_or(path);
    let is_hash =
        |text: &str| text.len() == HASH_CHARS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    OWN_TO_EACH_SERVER.contains(&name) || real.as_str().is_some_and(is_hash)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn short(value: Option<&Value>) -> String {
    /// Enough to recognise a value in a table.
    const CHARS: usize = 60;
    let text = value.map_or_else(String::new, Value::to_string);
    if text.chars().count() <= CHARS {
        text
    } else {
        format!("{}...", text.chars().take(CHARS).collect::<String>())
    }
}
