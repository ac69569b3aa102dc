//! A log line is one JSON object that leads to its trace and its payment.

use super::{scene, spans_in};
use crate::log::LogQueue;
use crate::propagation::traceparent_of;
use crate::{LogLevel, TraceParent};

#[test]
fn a_line_carries_the_ids_of_its_span_and_payment() {
    let scene = scene(LogLevel::Info, 16);
    let span = tracing::info_span!(
        "outer",
        client_id = "shop",
        payment_id = tracing::field::Empty,
        amount = 5
    );
    let own: TraceParent = span.in_scope(|| {
        tracing::Span::current().record("payment_id", "p1");
        tracing::info_span!("inner").in_scope(|| {
            tracing::info!(ledger_index = 7_u64, ok = true, "bound");
            traceparent_of(&tracing::Span::current()).unwrap()
        })
    });
    tracing::warn!("alone");

    let lines = scene.written.lines(&scene.telemetry);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["message"], "bound");
    assert_eq!(lines[0]["target"], "paygate_telemetry::tests::lines");
    assert_eq!(lines[0]["trace_id"], own.trace_id());
    assert_eq!(lines[0]["span_id"], own.span_id());
    assert_eq!(
        lines[0]["fields"],
        serde_json::json!({"ledger_index": 7, "ok": true, "client_id": "shop", "payment_id": "p1"})
    );
    let timestamp = lines[0]["timestamp"].as_str().unwrap();
    assert!(
        timestamp.starts_with("20") && timestamp.ends_with('Z'),
        "{timestamp}"
    );
    assert!(lines[1].get("trace_id").is_none());
}

#[test]
fn a_hostile_text_stays_inside_its_line() {
    let scene = scene(LogLevel::Info, 16);
    let hostile = "\",\"level\":\"x\"}\n{\"level\":\"INFO\",\"message\":\"forged\u{2028}";
    tracing::info!(hostile, "a {hostile}");
    tracing::info!(long = "é".repeat(5000).as_str(), "b");
    let lines = scene.written.lines(&scene.telemetry);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["fields"]["hostile"], hostile);
    assert!(lines[1]["fields"]["long"].as_str().unwrap().len() < 2100);
}

#[test]
fn the_level_cuts_lines_but_not_their_ids() {
    let scene = scene(LogLevel::Error, 16);
    tracing::info_span!("quiet").in_scope(|| {
        tracing::warn!("not written");
        tracing::error!("written");
    });
    let lines = scene.written.lines(&scene.telemetry);
    assert_eq!(lines.len(), 1);
    assert!(lines[0]["trace_id"].is_string());
    // A warning is an event of its span all the same.
    assert_eq!(spans_in(&scene.ring.pull(1))[0].events.len(), 2);
}

#[test]
fn other_crates_are_never_heard_below_warn() {
    let scene = scene(LogLevel::Trace, 16);
    tracing::debug!(target: "h2::codec", "authorization: secret");
    tracing::info!(target: "tonic", "chatter");
    tracing::warn!(target: "h2", "broken");
    tracing::trace!("own");
    let lines = scene.written.lines(&scene.telemetry);
    let messages: Vec<_> = lines.iter().map(|line| line["message"].clone()).collect();
    assert_eq!(messages, ["broken", "own"]);
}

#[test]
fn a_log_that_nobody_reads_slows_nobody_and_says_what_was_lost() {
    use std::io::Write;
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::time::Duration;

    struct Stuck(Receiver<()>, super::Written);
    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            // Blocks until the other end is dropped.
            let _ = self.0.recv();
            self.1.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (release, stuck) = sync_channel(0);
    let written = super::Written::default();
    let queue = LogQueue::start(Box::new(Stuck(stuck, written.clone()))).unwrap();
    for _ in 0..20_000 {
        queue.push("{}\n".to_owned());
    }
    drop(release);
    // The last line only fits after the writer has caught up.
    let deadline = std::time::Instant::now() + super::DEADLINE;
    let lost = || {
        queue.push("{}\n".to_owned());
        queue.flush(Duration::from_secs(5));
        String::from_utf8(written.0.lock().unwrap().clone())
            .unwrap()
            .lines()
            .filter_map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["fields"]["lines"].as_u64()
            })
            .sum::<u64>()
    };
    while lost() == 0 {
        assert!(std::time::Instant::now() < deadline, "no loss was reported");
    }
    assert!(lost() >= 20_000 - 8192 - 1);
}

#[test]
fn log_levels_have_names() {
    for name in ["error", "warn", "info", "debug", "trace"] {
        let level: LogLevel = name.parse().unwrap();
        assert_eq!(level.to_string(), name);
        assert_eq!(serde_json::to_value(level).unwrap(), name);
        assert_eq!(
            serde_json::from_value::<LogLevel>(name.into()).unwrap(),
            level
        );
    }
    assert_eq!(
        "loud".parse::<LogLevel>().unwrap_err().to_string(),
        "log level \"loud\" is none of error, warn, info, debug, trace"
    );
}
