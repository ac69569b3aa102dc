//! A process as a whole: what it writes to standard error, how it hears signals, how a panic shows.
//!
//! Each story starts this test binary again as the process under test.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use paygate_telemetry::shutdown::{self, Tasks};
use paygate_telemetry::{LogLevel, Settings, SpanSink, init};

/// Set in the process under test.
const ROLE: &str = "PAYGATE_TELEMETRY_TEST_ROLE";
const FLUSH: Duration = Duration::from_secs(5);

#[test]
fn a_panic_in_a_task_is_one_json_line_and_an_exit_code() {
    let mut child = start("panic");
    let mut lines = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut lines).unwrap();
    assert_eq!(
        child.wait().unwrap().code(),
        Some(i32::from(shutdown::EXIT_PANIC))
    );
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let messages: Vec<_> = lines
        .iter()
        .map(|line| line["message"].as_str().unwrap())
        .collect();
    assert_eq!(
        messages,
        ["panic: two \"owners\"", "a task ended unexpectedly"]
    );
    assert!(
        lines[0]["fields"]["location"]
            .as_str()
            .unwrap()
            .contains("process.rs")
    );
}

#[test]
fn both_signals_are_heard_and_what_was_said_before_the_end_is_written() {
    for (signal, name) in [("-TERM", "SIGTERM"), ("-INT", "SIGINT")] {
        let mut child = start("signal");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut next = || {
            let line = lines.next().unwrap().unwrap();
            serde_json::from_str::<serde_json::Value>(&line).unwrap()
        };
        // Said when the handlers are installed.
        assert_eq!(next()["message"], "ready");
        let sent = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        assert_eq!(next()["fields"]["signal"], name);
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

fn start(role: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_under_test", "--nocapture"])
        .env(ROLE, role)
        // Nothing of the outside decides what is logged.
        .env("RUST_LOG", "off")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Passes at once unless another story has started it as its process.
#[test]
fn the_process_under_test() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let settings = Settings {
        service_name: "paygate-test",
        log_level: LogLevel::Info,
        spans: SpanSink::Discard,
    };
    let telemetry = init(settings).unwrap();
    let code = match role.as_str() {
        "panic" => runtime.block_on(end_of_a_panic()),
        _ => runtime.block_on(end_by_signal()),
    };
    telemetry.shutdown(FLUSH);
    std::process::exit(i32::from(code));
}

async fn end_of_a_panic() -> u8 {
    let tasks = Tasks::new();
    tasks.spawn("broken", async { two_owners("owners") });
    tasks.first_failure().await.exit_code()
}

async fn end_by_signal() -> u8 {
    let mut signal = std::pin::pin!(shutdown::signal());
    // The first poll installs the handlers.
    let early = tokio::select! {
        biased;
        name = &mut signal => Some(name),
        () = std::future::ready(()) => None,
    };
    assert_eq!(early, None);
    tracing::info!(target: "paygate", "ready");
    let name = signal.await;
    tracing::info!(target: "paygate", signal = name, "stopping");
    shutdown::EXIT_OK
}

fn two_owners(whom: &str) -> Result<(), Infallible> {
    panic!("two {whom:?}")
}
