//! The deliberate defects: each is in the code and in the list, and no program that ships holds any.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use paygate_tests::simulate::mutants;
use paygate_tests::world::binaries;

/// Where code lies that ships.
const FOLDERS: [&str; 4] = ["services", "signer", "proto", "deploy"];

/// What a build with defects carries, put together here so that this test does not carry it.
fn marker() -> String {
    ["this binary holds", "the deliberate defects", "of paygate"].join(" ")
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_defect_is_in_the_code_and_in_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut code = Vec::new();
    for folder in FOLDERS {
        sources(&root.join(folder), &mut code);
    }
    let mut there = BTreeSet::new();
    for text in &code {
        for part in text.split("mutant!(\"").skip(1) {
            there.insert(part.split('"').next().unwrap().to_owned());
        }
    }
    let listed: BTreeSet<String> = mutants::ALL.iter().map(|m| m.name.to_owned()).collect();
    assert_eq!(there, listed);
    assert_eq!(listed.len(), mutants::ALL.len(), "a name is listed twice");
    assert!(
        code.iter().any(|text| text.contains(&marker())),
        "the marker has changed"
    );
}

#[test]
fn no_program_that_ships_holds_a_defect() {
    let built = binaries::build().unwrap();
    for program in [&built.gateway, &built.signer] {
        let bytes = fs::read(program).unwrap();
        let marker = marker();
        let mut windows = bytes.windows(marker.len());
        assert!(
            !windows.any(|window| window == marker.as_bytes()),
            "{} holds the deliberate defects",
            program.display()
        );
    }
    assert!(
        !mutants::choose(&mutants::ALL[0]),
        "this build holds the defects"
    );
}
