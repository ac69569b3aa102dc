//! Log lines: one JSON object a line, with the trace and payment that they belong to.
//!
//! Owns the shape of a line and the thread that writes it. May not block the caller: a line that finds the queue full is dropped,
//! and the next line that fits says how many were.

use std::fmt::{self, Write as _};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use opentelemetry::trace::TraceContextExt as _;
use serde_json::{Map, Value};
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Subscriber, span};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Lines that wait for the writer. At 300 bytes each about 2.5 MiB; a burst of a thousand payments fits.
const QUEUE_LINES_MAX: usize = 8192;
/// Longest text of one field. What a caller sent may be in it.
const TEXT_BYTES_MAX: usize = 2048;
/// Fields of a span that its log lines carry too.
const INHERITED_FIELDS: [&str; 2] = ["client_id", "payment_id"];

/// Makes lines out of events.
pub(crate) struct JsonLayer {
    lines: LogQueue,
    // The subscriber that this layer is part of: asked for the OpenTelemetry context of a span.
    dispatch: OnceLock<WeakDispatch>,
}

/// The queue before the writer. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct LogQueue {
    sender: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Line(String),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// The inherited fields of one span.
#[derive(Default)]
struct SpanFields(Map<String, Value>);

#[derive(Default)]
struct Fields {
    message: Option<String>,
    others: Map<String, Value>,
}

impl LogQueue {
    /// Starts the thread that writes to `out`.
    pub(crate) fn start(out: Box<dyn Write + Send>) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE_LINES_MAX);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(&receiver, out))?;
        Ok(Self {
            sender,
            dropped: Arc::default(),
        })
    }

    /// Waits until everything so far is written, at most `within`.
    pub(crate) fn flush(&self, within: Duration) {
        let (done, written) = sync_channel(1);
        if self.sender.try_send(Message::Flush(done)).is_ok() {
            // Whether it came in time changes nothing for the caller.
            let _ = written.recv_timeout(within);
        }
    }

    pub(crate) fn push(&self, line: String) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let line = if dropped == 0 {
            line
        } else {
            format!(
                "{{\"level\":\"WARN\",\"message\":\"log lines were dropped\",\"fields\":{{\"lines\":{dropped}}}}}\n{line}"
            )
        };
        if self.sender.try_send(Message::Line(line)).is_err() {
            self.dropped
                .fetch_add(dropped.saturating_add(1), Ordering::Relaxed);
        }
    }
}

fn write_lines(receiver: &Receiver<Message>, mut out: Box<dyn Write + Send>) {
    while let Ok(message) = receiver.recv() {
        match message {
            // Nobody could be told that the log cannot be written.
            Message::Line(line) => drop(out.write_all(line.as_bytes())),
            Message::Flush(done) => {
                drop(out.flush());
                let _ = done.try_send(());
            }
        }
    }
}

impl JsonLayer {
    pub(crate) fn new(lines: LogQueue) -> Self {
        Self {
            lines,
            dispatch: OnceLock::new(),
        }
    }

    fn trace_and_span_id(&self, id: &span::Id) -> Option<(String, String)> {
        let dispatch = self.dispatch.get()?.upgrade()?;
        let context = tracing_opentelemetry::get_otel_context(id, &dispatch)?;
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid()
            .then(|| (ids.trace_id().to_string(), ids.span_id().to_string()))
    }
}

impl<S> Layer<S> for JsonLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        // Set once: a layer is part of one subscriber.
        let _ = self.dispatch.set(subscriber.downgrade());
    }

    fn on_new_span(&self, attrs: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        let mut fields = SpanFields::default();
        attrs.record(&mut fields);
        if let Some(span) = ctx.span(id)
            && !fields.0.is_empty()
        {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, ctx: Context<'_, S>) {
        let mut fields = SpanFields::default();
        values.record(&mut fields);
        if let Some(span) = ctx.span(id)
            && !fields.0.is_empty()
        {
            let mut extensions = span.extensions_mut();
            match extensions.get_mut::<SpanFields>() {
                Some(known) => known.0.extend(fields.0),
                None => extensions.insert(fields),
            }
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut ids = None;
        if let Some(span) = ctx.event_span(event) {
            ids = self.trace_and_span_id(&span.id());
            for span in span.scope() {
                if let Some(inherited) = span.extensions().get::<SpanFields>() {
                    for (name, value) in &inherited.0 {
                        fields
                            .others
                            .entry(name.clone())
                            .or_insert_with(|| value.clone());
                    }
                }
            }
        }
        self.lines.push(line(event, fields, ids));
    }
}

fn line(event: &Event<'_>, fields: Fields, ids: Option<(String, String)>) -> String {
    let mut line = String::with_capacity(512);
    line.push_str("{\"timestamp\":\"");
    // Writing into a String cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut line));
    let metadata = event.metadata();
    let _ = write!(line, "\",\"level\":\"{}\"", metadata.level());
    member(&mut line, "target", &Value::from(metadata.target()));
    member(
        &mut line,
        "message",
        &Value::from(fields.message.unwrap_or_default()),
    );
    if let Some((trace_id, span_id)) = ids {
        member(&mut line, "trace_id", &Value::from(trace_id));
        member(&mut line, "span_id", &Value::from(span_id));
    }
    if !fields.others.is_empty() {
        member(&mut line, "fields", &Value::Object(fields.others));
    }
    line.push_str("}\n");
    line
}

fn member(line: &mut String, name: &str, value: &Value) {
    // A Value writes itself as JSON: control characters and line ends are escaped.
    let _ = write!(line, ",\"{name}\":{value}");
}

fn text(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    format!("{}... ({} bytes)", &text[..end], text.len())
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = Some(message),
            (name, value) => drop(self.others.insert(name.to_owned(), value)),
        }
    }
}

impl SpanFields {
    fn put(&mut self, field: &Field, value: impl FnOnce() -> Value) {
        if INHERITED_FIELDS.contains(&field.name()) {
            self.0.insert(field.name().to_owned(), value());
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::from(text(&format!("{value:?}"))));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::from(text(value)));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }
}

impl Visit for SpanFields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, || Value::from(text(&format!("{value:?}"))));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, || Value::from(text(value)));
    }
}
