//! Classic: the encoder's OpenMetrics text turned into the format that every scraper reads.
//!
//! Owns: the differences of the two formats. May not: change a value.

use std::fmt::Write as _;

/// Turns the encoder's OpenMetrics text into the classic format: there a counter's metadata carries the full name with
/// `_total`, info and unknown do not exist, and neither do UNIT, EOF and exemplars.
pub(super) fn from_openmetrics(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut help = None;
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            let meaning = help.take().map_or("", |(_, meaning)| meaning);
            writeln!(
                text,
                "# HELP {name}{suffix} {meaning}\n# TYPE {name}{suffix} {kind}"
            )
            .expect("writing into a String does not fail");
        } else if !line.starts_with('#') {
            // An exemplar follows the value. No label can hold these characters: their values are words.
            text.push_str(line.split_once(" # {").map_or(line, |(sample, _)| sample));
            text.push('\n');
        }
    }
    text
}
