//! Print: the effective configuration as TOML, which can be saved and loaded again.
//!
//! Owns: the text. May not: show a secret; there is none in the structs, only paths of files that hold them.

use std::fmt::{self, Display, Write};

use serde_json::{Map, Value};

use super::Config;

impl Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tree = serde_json::to_value(self).map_err(|_| fmt::Error)?;
        table(f, "", tree.as_object().ok_or(fmt::Error)?)
    }
}

/// Values first, then the sections: in TOML a value after a section's head would belong to that section.
fn table(out: &mut impl Write, path: &str, table_of: &Map<String, Value>) -> fmt::Result {
    for (key, value) in table_of {
        if !value.is_object() {
            write!(out, "{key} = ")?;
            inline(out, value)?;
            writeln!(out)?;
        }
    }
    for (key, value) in table_of {
        if let Value::Object(inner) = value {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            writeln!(out, "\n[{path}]")?;
            table(out, &path, inner)?;
        }
    }
    Ok(())
}

fn inline(out: &mut impl Write, value: &Value) -> fmt::Result {
    match value {
        Value::Array(items) => {
            out.write_char('[')?;
            separated(out, items, inline)?;
            out.write_char(']')
        }
        Value::Object(fields) => {
            out.write_str("{ ")?;
            separated(out, fields, |out, (key, value)| {
                write!(out, "{key} = ")?;
                inline(out, value)
            })?;
            out.write_str(" }")
        }
        // JSON's strings, numbers and booleans are TOML's, except that TOML has no null, which is never serialized here.
        other => write!(out, "{other}"),
    }
}

fn separated<W: Write, T>(
    out: &mut W,
    items: impl IntoIterator<Item = T>,
    one: impl Fn(&mut W, T) -> fmt::Result,
) -> fmt::Result {
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.write_str(", ")?;
        }
        one(out, item)?;
    }
    Ok(())
}
