//! Sets up logs and spans for a process.
//!
//! Owns the global subscriber, the panic hook and the exporter of spans. May not read `RUST_LOG`, and may not let another crate
//! log below WARN: HTTP/2 frames at debug level carry credentials.

use std::fmt;
use std::io::Write;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter as OtlpExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::Registry;

use crate::log::{JsonLayer, LogQueue};
use crate::ring::SpanRing;

/// Spans that wait for the exporter; more are dropped.
const EXPORT_QUEUE_SPANS: usize = 8192;
/// Spans in one export.
const EXPORT_BATCH_SPANS: usize = 512;
/// How long a finished span waits for company.
const EXPORT_DELAY: Duration = Duration::from_secs(1);
/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// At most one line about a failing exporter in this time.
const EXPORT_ERROR_LOG_INTERVAL: Duration = Duration::from_secs(60);
/// Whose spans are recorded and whose log lines may be below WARN: prefixes of crate names.
const OWN_TARGETS: [&str; 3] = ["paygate", "xrpl_tx", "devnet"];

/// What `init` needs to know.
#[derive(Debug)]
pub struct Settings {
    /// `service.name` of the spans.
    pub service_name: &'static str,
    /// The least important lines that are logged.
    pub log_level: LogLevel,
    /// Where spans go.
    pub spans: SpanSink,
}

/// Where spans go.
#[derive(Debug)]
pub enum SpanSink {
    /// Nowhere. Traces go on all the same: ids are made, logged and handed on.
    Discard,
    /// To a collector over OTLP/gRPC: `http://host:4317` or `unix:///path`.
    Otlp {
        /// The collector.
        endpoint: String,
    },
    /// Into a ring from which somebody else takes them.
    Ring(SpanRing),
}

/// The least important lines that are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// Text that is no log level.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("log level {0:?} is none of error, warn, info, debug, trace")]
pub struct UnknownLogLevel(String);

/// Why telemetry could not be set up.
#[derive(Debug, Error)]
pub enum InitError {
    /// The exporter refuses its endpoint.
    #[error("span exporter for {endpoint}: {source}")]
    Exporter {
        /// As configured.
        endpoint: String,
        /// What is wrong with it.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// The thread that writes the log could not be started.
    #[error("log thread: {0}")]
    Thread(#[from] std::io::Error),
    /// This process has a subscriber already.
    #[error("telemetry is already set up: {0}")]
    AlreadySet(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Telemetry that is running. Logs and spans go on when it is dropped, but only `shutdown` makes sure that the last ones leave.
#[derive(Debug)]
#[must_use = "call shutdown before the process ends, or the last spans and lines are lost"]
pub struct Telemetry {
    provider: SdkTracerProvider,
    pub(crate) lines: LogQueue,
}

/// Sets up telemetry for the whole process: JSON lines on standard error, spans to their sink, panics as log lines.
///
/// Starts threads: close a sandbox that binds threads before. With `SpanSink::Otlp`, call it inside the runtime.
///
/// # Errors
/// If it is called twice, a thread cannot be started, or the collector's endpoint is no URI.
pub fn init(settings: Settings) -> Result<Telemetry, InitError> {
    let (subscriber, telemetry) = build(settings, Box::new(std::io::stderr()))?;
    tracing::subscriber::set_global_default(subscriber)?;
    log_panics(telemetry.lines.clone());
    Ok(telemetry)
}

impl Telemetry {
    /// Sends the last spans and writes the last lines. Blocks for at most about `within`: from async code, call it in
    /// `spawn_blocking`, or the exporter waits for the runtime that waits for it.
    pub fn shutdown(self, within: Duration) {
        if let Err(err) = self.provider.shutdown_with_timeout(within) {
            tracing::warn!(error = %err, "the last spans were not exported");
        }
        self.lines.flush(within);
    }
}

pub(crate) fn build(
    settings: Settings,
    out: Box<dyn Write + Send>,
) -> Result<(impl Subscriber + Send + Sync, Telemetry), InitError> {
    let lines = LogQueue::start(out)?;
    let provider = tracer_provider(settings.service_name, settings.spans)?;
    let log_level = LevelFilter::from(settings.log_level);

    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("paygate"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_filter(
            FilterFn::new(is_recorded as fn(&Metadata<'_>) -> bool)
                .with_max_level_hint(LevelFilter::INFO),
        );
    // Spans pass whatever the log level is: lines take their ids from them.
    let log = JsonLayer::new(lines.clone()).with_filter(
        FilterFn::new(move |metadata: &Metadata<'_>| {
            if metadata.is_span() {
                is_recorded(metadata)
            } else {
                let level = *metadata.level();
                level <= log_level && (is_own(metadata) || level <= tracing::Level::WARN)
            }
        })
        .with_max_level_hint(log_level.max(LevelFilter::INFO)),
    );
    let subscriber = Registry::default().with(spans).with(log);
    Ok((subscriber, Telemetry { provider, lines }))
}

/// Own spans from INFO up, and own events from WARN up, which become events of their span.
fn is_recorded(metadata: &Metadata<'_>) -> bool {
    let least = if metadata.is_span() {
        tracing::Level::INFO
    } else {
        tracing::Level::WARN
    };
    *metadata.level() <= least && is_own(metadata)
}

fn is_own(metadata: &Metadata<'_>) -> bool {
    OWN_TARGETS
        .iter()
        .any(|prefix| metadata.target().starts_with(prefix))
}

fn tracer_provider(
    service_name: &'static str,
    sink: SpanSink,
) -> Result<SdkTracerProvider, InitError> {
    let provider = SdkTracerProvider::builder()
        // A caller that does not sample does not want our spans either.
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
        .with_resource(Resource::builder().with_service_name(service_name).build());
    let provider = match sink {
        SpanSink::Discard => provider,
        SpanSink::Ring(ring) => provider.with_span_processor(ring),
        SpanSink::Otlp { endpoint } => {
            let exporter = OtlpExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint.clone())
                .with_timeout(EXPORT_TIMEOUT)
                .build()
                .map_err(|source| InitError::Exporter { endpoint, source })?;
            let batch = BatchConfigBuilder::default()
                .with_max_queue_size(EXPORT_QUEUE_SPANS)
                .with_max_export_batch_size(EXPORT_BATCH_SPANS)
                .with_scheduled_delay(EXPORT_DELAY)
                .build();
            provider.with_span_processor(
                BatchSpanProcessor::builder(QuietExporter::new(exporter))
                    .with_batch_config(batch)
                    .build(),
            )
        }
    };
    Ok(provider.build())
}

/// Replaces the hook that would print plain text between the JSON lines.
fn log_panics(lines: LogQueue) {
    /// A process that dies of a panic has at most so long to write why.
    const PANIC_FLUSH: Duration = Duration::from_millis(200);

    std::panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or("no message");
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(
            location,
            thread = std::thread::current().name(),
            "panic: {message}"
        );
        lines.flush(PANIC_FLUSH);
    }));
}

/// An exporter whose failures are logged rarely and told to nobody.
#[derive(Debug)]
struct QuietExporter<E> {
    exporter: E,
    spans_lost: AtomicU64,
    last_logged: Mutex<Option<Instant>>,
}

impl<E> QuietExporter<E> {
    fn new(exporter: E) -> Self {
        Self {
            exporter,
            spans_lost: AtomicU64::new(0),
            last_logged: Mutex::new(None),
        }
    }

    fn note_loss(&self, spans: usize, error: &dyn fmt::Display) {
        let spans = u64::try_from(spans).unwrap_or(u64::MAX);
        let lost = self.spans_lost.fetch_add(spans, Ordering::Relaxed) + spans;
        let Ok(mut last_logged) = self.last_logged.lock() else {
            return;
        };
        if last_logged.is_none_or(|last| last.elapsed() >= EXPORT_ERROR_LOG_INTERVAL) {
            *last_logged = Some(Instant::now());
            tracing::warn!(error = %error, spans_lost = lost, "spans could not be exported; payments are not affected");
        }
    }
}

impl<E: SpanExporter> SpanExporter for QuietExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        if let Err(err) = self.exporter.export(batch).await {
            self.note_loss(spans, &err);
        }
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl FromStr for LogLevel {
    type Err = UnknownLogLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            _ => Err(UnknownLogLevel(text.to_owned())),
        }
    }
}

impl TryFrom<String> for LogLevel {
    type Error = UnknownLogLevel;

    fn try_from(text: String) -> Result<Self, UnknownLogLevel> {
        text.parse()
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        })
    }
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}
