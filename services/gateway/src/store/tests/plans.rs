//! Every sentence of SQL in the store, and how SQLite means to carry it out: nothing that grows for ever is ever read from end to end.

use std::collections::BTreeSet;
use std::path::Path;

use super::world::World;
use crate::store::open;
use crate::store::rows;

/// Tables of which rows are never deleted, with the names that sentences give them.
const GROWING: [&str; 8] = [
    "payments", "slots", "versions", "events", "p", "s", "v", "e",
];

/// The index that holds only slots that no ledger has decided.
const OF_OPEN_SLOTS: &str = "INDEX slots_open";

/// One row, the newest.
const NEWEST: &str = "ORDER BY e.sequence DESC LIMIT 1";

/// Fewer were not found: then this file reads the others wrong.
const SENTENCES_MIN: usize = 80;

#[tokio::test]
async fn no_sentence_reads_from_end_to_end_what_grows() {
    let world = World::new().await;
    let conn = open::reader(&world.folder.path().join("paygate.db")).unwrap();
    let sentences = sentences();
    assert!(sentences.len() >= SENTENCES_MIN, "{}", sentences.len());
    for sql in sentences {
        let explained = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}"));
        let mut statement = explained.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let plan: String = row.get(3).unwrap();
            let table = plan
                .strip_prefix("SCAN ")
                .and_then(|rest| rest.split(' ').next());
            let is_bounded = plan.ends_with(OF_OPEN_SLOTS) || sql.ends_with(NEWEST);
            assert!(
                is_bounded || table.is_none_or(|table| !GROWING.contains(&table)),
                "{plan}: {sql}"
            );
        }
    }
}

/// All literals of the store's files that are sentences of SQL on rows.
fn sentences() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|e| e != "rs") || path.ends_with("schema.rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        // What the file's tests ask is their own affair.
        let source = source.split("#[cfg(test)]").next().unwrap();
        let mut event = String::new();
        let mut literals = literals(source).into_iter();
        while let Some(literal) = literals.next() {
            match literal.as_str() {
                // All columns of a payment, put between the two by a macro.
                "SELECT " => {
                    let rest = literals.next().unwrap();
                    found.insert(format!("SELECT {}{rest}", rows::columns!()));
                }
                // The beginning of others.
                sql if sql.starts_with("SELECT e.sequence") => event = sql.to_owned(),
                sql if sql.starts_with("{EVENT}") => {
                    found.insert(sql.replace("{EVENT}", &event));
                }
                sql if ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE "]
                    .iter()
                    .any(|verb| sql.starts_with(verb)) =>
                {
                    for one in sql.split(';').map(str::trim).filter(|one| !one.is_empty()) {
                        found.insert(one.replace("{COLUMNS}", "*"));
                    }
                }
                _ => {}
            }
        }
    }
    found
}

/// The string literals of a source file, as the compiler reads them. Comments hold no quotes that are alone.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line_or_more in without_comments(source).split('"').skip(1).step_by(2) {
        let mut text = String::new();
        let mut continued = false;
        for character in line_or_more.chars() {
            match character {
                '\\' => continued = true,
                c if continued && c.is_whitespace() => {}
                c => {
                    continued = false;
                    text.push(c);
                }
            }
        }
        found.push(text);
    }
    found
}

fn without_comments(source: &str) -> String {
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}
