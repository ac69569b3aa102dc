//! The table of a run, for people and for programs. Owns: layout only.

use serde_json::{Value, json};

use super::{CASES, Case, Report, Verdict};

/// The line of a case.
pub fn line(case: &Case) -> String {
    let (name, expected) = widths();
    format!(
        "{:name$}  {:expected$}  {:7} {:>8}  {}",
        case.name,
        case.expected,
        word(case.verdict),
        format!("{} ms", case.took.as_millis()),
        case.got
    )
}

/// What is above the lines.
pub fn header() -> String {
    let (name, expected) = widths();
    format!(
        "{:name$}  {:expected$}  {:7} {:>8}  got",
        "case", "expected", "ok", "took"
    )
}

/// What is below them.
pub fn summary(report: &Report) -> String {
    format!(
        "server {} on network {}, wallet {}: {} ok, {} failed, {} skipped",
        report.server,
        report.network_id,
        report.wallet,
        report.count(Verdict::Ok),
        report.count(Verdict::Failed),
        report.count(Verdict::Skipped)
    )
}

/// All of it as one object.
pub fn json(report: &Report) -> Value {
    let cases = report.cases.iter().map(|case| {
        json!({
            "case": case.name, "expected": case.expected, "got": case.got, "result": word(case.verdict),
            "milliseconds": u64::try_from(case.took.as_millis()).unwrap_or(u64::MAX),
        })
    });
    json!({
        "server": report.server, "network_id": report.network_id, "wallet": report.wallet, "cases": cases.collect::<Vec<_>>(),
        "ok": report.count(Verdict::Ok), "failed": report.count(Verdict::Failed), "skipped": report.count(Verdict::Skipped),
    })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Failed => "FAILED",
        Verdict::Skipped => "skipped",
    }
}

fn widths() -> (usize, usize) {
    let longest = |of: fn(&(&str, &str)) -> usize| CASES.iter().map(of).max().unwrap_or(0);
    (longest(|case| case.0.len()), longest(|case| case.1.len()))
}
