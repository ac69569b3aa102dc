//! The table of reasons and the code, held against each other: each reason that can be answered is in the table, and each row of the
//! table can be answered. That a reason comes with its row's code is looked at by `reason`, in every story of this surface.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use paygate_proto::v1::ErrorReason;
use paygate_proto::{REASONS, Stored};
use tonic::Code;

/// All of our own source below a folder but tests.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            sources(&path, text);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

/// Names after `prefix` as far as they are made of letters, digits and underscores.
fn names_after(text: &str, prefix: &str) -> BTreeSet<String> {
    let found = text.split(prefix).skip(1);
    let word = |rest: &str| {
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    };
    found.map(word).collect()
}

#[test]
fn each_reason_of_the_code_is_in_the_table_and_each_row_of_the_table_is_in_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut gateway, mut layers) = (String::new(), String::new());
    sources(&root.join("src"), &mut gateway);
    sources(&root.join("../telemetry/src/grpc"), &mut layers);
    let used = names_after(&gateway, "ErrorReason::");
    // The layer that corrects what the transport says has no types of the contract, only their names.
    let named: BTreeSet<String> = names_after(&layers, "\"")
        .into_iter()
        .filter(|name| REASONS.iter().any(|row| row.name == name))
        .collect();
    let answered: BTreeSet<&str> = REASONS
        .iter()
        .filter(|row| used.contains(&format!("{:?}", row.reason)) || named.contains(row.name))
        .map(|row| row.name)
        .collect();
    let all: BTreeSet<&str> = REASONS.iter().map(|row| row.name).collect();
    let idle: Vec<&&str> = all.difference(&answered).collect();
    assert!(
        idle.is_empty(),
        "in the table, and no code answers so: {idle:?}"
    );
    // What the code names exists, or it would not compile; that it is in the table too, is left.
    let rows: BTreeSet<String> = REASONS
        .iter()
        .map(|row| format!("{:?}", row.reason))
        .collect();
    let reasons = used
        .iter()
        .filter(|name| name.as_str() != "Unspecified" && !name.is_empty());
    for name in reasons {
        assert!(rows.contains(name), "{name} is not in the table");
    }
    for literal in layers
        .split("explained(")
        .skip(1)
        .filter_map(|call| call.split(')').next())
    {
        for name in names_after(literal, "\"") {
            let is_reason = name.contains('_') && name == name.to_uppercase();
            assert!(!is_reason || all.contains(name.as_str()), "{name}");
        }
    }
}

#[test]
fn the_table_says_unknown_exactly_where_a_client_must_take_it_so() {
    for row in REASONS {
        assert_eq!(
            row.reason,
            ErrorReason::from_str_name(&format!("ERROR_REASON_{}", row.name)).unwrap()
        );
        let code = Code::from(row.code);
        // Clients that know no reasons go by codes: where something may be stored, the code must say so too.
        let says_nothing = matches!(
            code,
            Code::Unavailable | Code::DeadlineExceeded | Code::Internal | Code::NotFound
        );
        assert!(
            row.stored == Stored::Nothing || says_nothing,
            "{}: {code:?} reads as refused",
            row.name
        );
    }
}
