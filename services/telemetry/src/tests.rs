//! Stories about the whole: spans, lines, calls, health and tasks as the processes use them.
//!
//! Owns the helpers of these stories. They run on one thread each, so that a subscriber belongs to one story.

mod calls;
mod ends;
mod lines;
mod names;
mod traces;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span as OtlpSpan;
use prost::Message as _;
use tokio_stream::wrappers::TcpListenerStream;
use tracing::subscriber::DefaultGuard;

use crate::tracing_setup::build;
use crate::{LogLevel, Settings, SpanRing, SpanSink, Telemetry};

/// Longest wait for something that must happen.
const DEADLINE: Duration = Duration::from_secs(20);

/// What was written to the log.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn lines(&self, telemetry: &Telemetry) -> Vec<serde_json::Value> {
        telemetry.lines.flush(DEADLINE);
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// Telemetry of this thread, with what it writes and the ring that it fills.
struct Scene {
    telemetry: Telemetry,
    written: Written,
    ring: SpanRing,
    _subscriber: DefaultGuard,
}

fn scene(log_level: LogLevel, capacity_spans: usize) -> Scene {
    let ring = SpanRing::new(capacity_spans);
    let written = Written::default();
    let settings = Settings {
        service_name: "paygate-test",
        log_level,
        spans: SpanSink::Ring(ring.clone()),
    };
    let (subscriber, telemetry) = build(settings, Box::new(written.clone())).unwrap();
    Scene {
        telemetry,
        written,
        ring,
        _subscriber: tracing::subscriber::set_default(subscriber),
    }
}

fn spans_in(requests: &[Vec<u8>]) -> Vec<OtlpSpan> {
    requests
        .iter()
        .map(|request| ExportTraceServiceRequest::decode(request.as_slice()).unwrap())
        .flat_map(|request| request.resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect()
}

fn attribute(span: &OtlpSpan, key: &str) -> Option<String> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let value = span.attributes.iter().find(|pair| pair.key == key)?;
    match value.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

async fn loopback() -> (SocketAddr, TcpListenerStream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, TcpListenerStream::new(listener))
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "did not happen in time: {what}");
}
