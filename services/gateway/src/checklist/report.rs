//! The list as a table for a person, or as one JSON object.
//!
//! Owns: columns and keys. May not: judge.

use serde_json::{Value, json};

use super::{Finding, Status};

pub(super) fn table(found: &[Finding]) -> String {
    let mut text = format!("{:<8} {:<25} DETAIL\n", "STATUS", "ITEM");
    for finding in found {
        let status = finding.status.word().to_uppercase();
        let detail = match finding.status {
            Status::Person => finding.item.to_do,
            _ => finding.detail.as_str(),
        };
        text.push_str(&format!("{status:<8} {:<25} {detail}\n", finding.item.name));
        if matches!(finding.status, Status::Failed | Status::Warning) {
            text.push_str(&format!(
                "{:<8} {:<25}   -> {}\n",
                "", "", finding.item.to_do
            ));
        }
    }
    let count = |status| {
        found
            .iter()
            .filter(|finding| finding.status == status)
            .count()
    };
    text.push_str(&format!(
        "{} passed, {} failed, {} warnings, {} for a person\n",
        count(Status::Passed),
        count(Status::Failed),
        count(Status::Warning),
        count(Status::Person)
    ));
    text
}

pub(super) fn json(found: &[Finding]) -> Value {
    let items: Vec<Value> = found
        .iter()
        .map(|finding| {
            json!({
                "item": finding.item.name,
                "status": finding.status.word(),
                "detail": finding.detail,
                "to_do": finding.item.to_do,
            })
        })
        .collect();
    json!({ "passed": passed(found), "items": items })
}

/// Whether nothing failed.
pub(super) fn passed(found: &[Finding]) -> bool {
    found.iter().all(|finding| finding.status != Status::Failed)
}
