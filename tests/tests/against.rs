//! The suite for any server passes against the simulated one, on a network whose number no transaction names, in ledgers
//! that fill up.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::time::Duration;

use paygate_tests::against::{CASES, Options, Verdict, run, show};
use paygate_tests::world::binaries;
use paygate_tests::world::process::Launch;

/// The genesis account's address; its seed is the suite's default.
const GENESIS: &str = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh";

const READY_WITHIN: Duration = Duration::from_secs(60);

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
        close_every: Duration::from_millis(200),
        only: Vec::new(),
    };
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
