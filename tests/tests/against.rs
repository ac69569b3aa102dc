//! The suite for any server passes against the simulated one, on a network whose number no transaction names, in ledgers
//! that fill up.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::process::Command;
use std::time::Duration;

use paygate_tests::against::{CASES, Options, Verdict, run, show};
use paygate_tests::world::binaries;
use paygate_tests::world::process::Launch;
use serde_json::Value;

/// The genesis account's address; its seed is the suite's default.
const GENESIS: &str = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh";

const READY_WITHIN: Duration = Duration::from_secs(60);

/// What the program leaves behind: exit code, standard output, standard error.
fn types(options: &Options, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_against"))
        .args(["--ws", &options.ws, "--admin-rpc", &options.admin_rpc])
        .args(["--close-ms", "200"])
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stderr, reason = "the table is the result")]
async fn the_simulated_server_passes_the_suite_for_any_server() {
    let programs = tokio::task::spawn_blocking(binaries::build)
        .await
        .unwrap()
        .unwrap();
    let logs = tempfile::tempdir().unwrap();
    let genesis = format!("{GENESIS}=1000000");
    let arguments = [
        ("--ws-port", "0"),
        ("--rpc-port", "0"),
        ("--close-ms", "0"),
        ("--network-id", "0"),
        ("--reserve-base-drops", "10000000"),
        ("--reserve-inc-drops", "2000000"),
        ("--expected-size", "32"),
        ("--start-index", "2"),
        ("--fund", &genesis),
    ];
    let launch = Launch {
        name: "ledger",
        program: programs.ledger,
        arguments: arguments
            .iter()
            .flat_map(|(key, value)| [(*key).to_owned(), (*value).to_owned()])
            .collect(),
        environment: Vec::new(),
        logs: logs.path().to_owned(),
    };
    let (_server, ready) = launch.start(READY_WITHIN).await.unwrap();
    let options = Options {
        ws: ready["ws"].as_str().unwrap().to_owned(),
        admin_rpc: ready["rpc"].as_str().unwrap().to_owned(),
        funder_seed: None,
        network_id: Some(0),
        close_every: Duration::from_millis(150),
        only: Vec::new(),
    };
    // What cannot begin is said, and is no success.
    let (code, _, said) = types(&options, &["--network-id", "1"]);
    assert_eq!(code, 1);
    assert!(said.contains("the server is on network 0, not 1"), "{said}");
    let (code, _, said) = types(&options, &["--only", "xrq"]);
    assert_eq!(code, 1);
    assert!(said.contains("there is no case \"xrq\""), "{said}");
    let (code, shown, said) = types(&options, &["--only", "xrp", "--output", "json"]);
    assert_eq!(code, 0, "{said}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["cases"][0]["result"], "ok", "{shown}");

    eprintln!("{}", show::header());
    let report = run(&options, |case| eprintln!("{}", show::line(case)))
        .await
        .unwrap();
    eprintln!("{}", show::summary(&report));
    assert_eq!(
        report.count(Verdict::Ok),
        CASES.len(),
        "{:#}",
        show::json(&report)
    );
}
