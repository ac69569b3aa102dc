//! Keeps `deploy/configuration.md` equal to what the two programs know about their own keys, and `deploy/answers.md` to what the
//! core knows about every answer of a ledger's server.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

#[path = "generated/answers.rs"]
mod answers;

use std::fmt::Write;
use std::fs;
use std::path::Path;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/configuration.md");

const HEAD: &str = "\
# Configuration

One TOML file for each process. Unknown keys are refused. A variable of the environment overrides the file; lists and tables
are written in it as in the file. Secrets are never values, only paths of files. Amounts are decimals in quotes, never floats.

`paygate check-config --config FILE` and `paygate-signer check-config --config FILE` print what is in force, or end with 64.

This page is generated: `UPDATE_GENERATED=1 cargo test -p paygate-tests --test generated` writes it anew.
";

fn table(page: &mut String, title: &str, rows: impl Iterator<Item = [String; 5]>) {
    writeln!(page, "\n## {title}\n\n| key | default | unit or form | meaning | variable |\n|---|---|---|---|---|").unwrap();
    for [key, default, unit, meaning, variable] in rows {
        let cells = [
            format!("`{key}`"),
            default,
            unit,
            meaning,
            format!("`{variable}`"),
        ];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        writeln!(page, "| {} |", cells.join(" | ")).unwrap();
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    let gateway = paygate::config::reference()
        .into_iter()
        .map(|key| [key.key, key.default, key.unit, key.meaning, &key.variable].map(str::to_owned));
    table(&mut page, "Gateway (`paygate`)", gateway);
    let signer = paygate_signer::config::reference::reference().iter();
    let signer = signer
        .map(|key| [key.key, key.default, key.unit, key.meaning, key.variable].map(str::to_owned));
    table(&mut page, "Signer (`paygate-signer`)", signer);
    page
}

#[test]
fn the_page_about_configuration_is_current() {
    let current = page();
    if std::env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1") {
        fs::create_dir_all(Path::new(PAGE).parent().unwrap()).unwrap();
        fs::write(PAGE, &current).unwrap();
    }
    let stored = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        stored == current,
        "deploy/configuration.md is not what the programs read: run\n  \
         UPDATE_GENERATED=1 cargo test -p paygate-tests --test generated\nand commit the result"
    );
}
