//! Keeps `deploy/answers.md` equal to what the core knows about every answer of a ledger's server.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use paygate_payments::codes::errors::{Refusal, Trouble};
use paygate_payments::codes::guide::{self, Guide};
use paygate_payments::codes::{Advice, Code, Verdict};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/answers.md");

const HEAD: &str = "\
# What the ledger's servers answer, and what to do

Every result code and every error that the gateway knows: what it says, what the gateway does next by itself, and what is left
to a person. `paygatectl explain PAYMENT_ID` shows the same for one payment, with the answers that it really got.

**An answer never decides.** Whatever a server says to a `submit`, the payment stays AT_LARGE and is not `safe_to_repay`: servers keep
what they refuse, and execute it up to some ledgers later without being asked again. Only a validated ledger ends it.
A code or an error that is not on this page freezes sending and pages, as do those of which this page says so.

This page is generated: `UPDATE_GENERATED=1 cargo test -p paygate-tests --test generated` writes it anew.
";

/// What entries call for: whether sending stops, what the gateway does, what a person does.
type Called = (bool, String, String);

/// An answer and what it says.
type Entry = (&'static str, &'static str);

/// Entries that call for the same, in one block.
#[derive(Default)]
struct Blocks(BTreeMap<Called, Vec<Entry>>);

impl Blocks {
    fn add(&mut self, name: &'static str, freezes: bool, guide: Guide) {
        let key = (freezes, guide.gateway.to_owned(), guide.person);
        self.0.entry(key).or_default().push((name, guide.meaning));
    }

    fn write(self, page: &mut String, title: &str) {
        writeln!(page, "\n## {title}").unwrap();
        let mut blocks: Vec<_> = self.0.into_iter().collect();
        blocks.sort_by_key(|((freezes, ..), entries)| (*freezes, entries.len()));
        for ((_, gateway, person), entries) in blocks {
            writeln!(
                page,
                "\n- **The gateway.** {gateway}\n- **You.** {person}\n"
            )
            .unwrap();
            writeln!(page, "| answer | what it says |\n|---|---|").unwrap();
            for (name, meaning) in entries {
                writeln!(page, "| `{name}` | {meaning} |").unwrap();
            }
        }
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut answers = Blocks::default();
    for code in Code::all() {
        let freezes = Advice::of(code.name).freezes();
        answers.add(code.name, freezes, guide::provisional(code.name));
    }
    answers.write(&mut page, "Result codes, as answers to `submit`");
    let mut refusals = Blocks::default();
    for refusal in Refusal::all() {
        let freezes = Trouble::of(refusal.token).freezes();
        refusals.add(refusal.token, freezes, guide::refused(refusal.token));
    }
    refusals.write(&mut page, "Errors, as answers to `submit`");
    let mut settled = Blocks::default();
    for code in Code::all() {
        let verdict = Verdict::of(code.name);
        if verdict != Verdict::NotInLedger {
            settled.add(code.name, verdict.freezes(), guide::settled(code.name));
        }
    }
    settled.write(
        &mut page,
        "Result codes in a validated ledger: these decide",
    );
    page
}

#[test]
fn the_page_about_answers_is_current() {
    let current = page();
    if std::env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1") {
        fs::write(PAGE, &current).unwrap();
    }
    let stored = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        stored == current,
        "deploy/answers.md is not what the core knows: run\n  \
         UPDATE_GENERATED=1 cargo test -p paygate-tests --test generated\nand commit the result"
    );
}
