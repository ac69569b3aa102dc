//! W3C trace context: taken over from callers, stored with payments, handed on to the signer.
//!
//! Owns the only parser of `traceparent`. May not fail a call: a malformed one counts as none.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use thiserror::Error;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Name of the header.
const TRACEPARENT: &str = "traceparent";
/// Length of version 00: `00-` + 32 + `-` + 16 + `-` + 2.
const TRACEPARENT_BYTES: usize = 55;

/// A checked W3C traceparent of version 00, 55 lower-case characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent(String);

/// Text that is no traceparent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "traceparent is not of the form 00-<32 hex digits>-<16 hex digits>-<2 hex digits> with ids that are not zero"
)]
pub struct MalformedTraceParent;

/// The traceparent of incoming metadata. A malformed one, or more than one, is none.
#[must_use]
pub fn from_metadata(metadata: &MetadataMap) -> Option<TraceParent> {
    from_headers(metadata.as_ref())
}

pub(crate) fn from_headers(headers: &http::HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()?.parse().ok()
}

/// Sets the traceparent of `span` in outgoing metadata. Without one, the metadata stays as it is.
pub fn inject(span: &tracing::Span, metadata: &mut MetadataMap) {
    if let Some(parent) = traceparent_of(span) {
        let value = MetadataValue::try_from(parent.0).expect("hex digits and dashes are ASCII");
        metadata.insert(TRACEPARENT, value);
    }
}

/// Makes `span` a child of `parent`. Only before the span is entered or asked for its traceparent: afterwards it has a parent for
/// good, and the mistake is logged, once in the life of the process.
pub fn set_remote_parent(span: &tracing::Span, parent: &TraceParent) {
    static LOGGED: AtomicBool = AtomicBool::new(false);

    if span.is_disabled() {
        return;
    }
    let context = Context::new().with_remote_span_context(parent.span_context());
    if let Err(err) = span.set_parent(context)
        && !LOGGED.swap(true, Ordering::Relaxed)
    {
        tracing::warn!(error = %err, "a span could not be given its remote parent: its trace breaks here");
    }
}

/// The traceparent that names `span`; none while nothing records spans. It starts the span: set its parent before.
#[must_use]
pub fn traceparent_of(span: &tracing::Span) -> Option<TraceParent> {
    let context = span.context();
    let span = context.span();
    let span_context = span.span_context();
    span_context
        .is_valid()
        .then(|| TraceParent::from_span_context(span_context))
}

impl TraceParent {
    /// The trace id: 32 lower-case hex digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }

    /// The span id: 16 lower-case hex digits.
    #[must_use]
    pub fn span_id(&self) -> &str {
        &self.0[36..52]
    }

    /// Whether the spans of this trace are kept, so that its id leads somewhere.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        u8::from_str_radix(&self.0[53..], 16).is_ok_and(|flags| flags & 1 == 1)
    }

    /// The whole header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_span_context(context: &SpanContext) -> Self {
        Self(format!(
            "00-{}-{}-{:02x}",
            context.trace_id(),
            context.span_id(),
            context.trace_flags().to_u8()
        ))
    }

    fn span_context(&self) -> SpanContext {
        let checked = "checked when it was parsed";
        SpanContext::new(
            TraceId::from_hex(self.trace_id()).expect(checked),
            SpanId::from_hex(self.span_id()).expect(checked),
            TraceFlags::new(u8::from_str_radix(&self.0[53..55], 16).expect(checked)),
            true,
            TraceState::NONE,
        )
    }
}

impl FromStr for TraceParent {
    type Err = MalformedTraceParent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let lower_hex = |part: &[u8]| {
            part.iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
        // A later version may be longer, and its first fields mean the same; version ff is forbidden.
        let length_fits = match bytes.get(..2) {
            Some(b"00") => bytes.len() == TRACEPARENT_BYTES,
            Some(b"ff") | None => false,
            Some(_) => {
                bytes.len() == TRACEPARENT_BYTES || bytes.get(TRACEPARENT_BYTES) == Some(&b'-')
            }
        };
        if !length_fits
            || !lower_hex(&bytes[..2])
            || bytes[2] != b'-'
            || !lower_hex(&bytes[3..35])
            || zero(&bytes[3..35])
            || bytes[35] != b'-'
            || !lower_hex(&bytes[36..52])
            || zero(&bytes[36..52])
            || bytes[52] != b'-'
            || !lower_hex(&bytes[53..55])
        {
            return Err(MalformedTraceParent);
        }
        Ok(Self(format!("00{}", &text[2..TRACEPARENT_BYTES])))
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sends spans that another process recorded to the collector.
#[derive(Clone, Debug)]
pub struct SpanForwarder {
    client: TraceServiceClient<Channel>,
}

/// Why spans could not be forwarded. They are lost; nothing else is.
#[derive(Debug, Error)]
pub enum ForwardError {
    /// The endpoint is no URI.
    #[error("collector endpoint {endpoint} is not a URI: {source}")]
    Endpoint {
        /// As configured.
        endpoint: String,
        /// What is wrong with it.
        source: tonic::transport::Error,
    },
    /// The bytes are no `ExportTraceServiceRequest`.
    #[error("spans do not decode: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// The collector did not take them.
    #[error("collector did not take the spans: {0}")]
    Refused(Box<tonic::Status>),
}

impl SpanForwarder {
    /// How long one request may take. A slow collector costs spans, not memory.
    const SEND_TIMEOUT: Duration = Duration::from_secs(5);

    /// A forwarder to `endpoint` (`http://host:4317` or `unix:///path`); connects when first used. Needs a runtime around it.
    ///
    /// # Errors
    /// If the endpoint is no URI.
    pub fn connect(endpoint: &str) -> Result<Self, ForwardError> {
        let channel = Endpoint::from_shared(endpoint.to_owned())
            .map_err(|source| ForwardError::Endpoint {
                endpoint: endpoint.to_owned(),
                source,
            })?
            .timeout(Self::SEND_TIMEOUT)
            .connect_timeout(Self::SEND_TIMEOUT)
            .connect_lazy();
        Ok(Self {
            client: TraceServiceClient::new(channel),
        })
    }

    /// Sends one encoded `ExportTraceServiceRequest`. Once: what the collector does not take is lost.
    ///
    /// # Errors
    /// If the bytes do not decode, or the collector does not take them in time.
    pub async fn send(&self, encoded_request: Vec<u8>) -> Result<(), ForwardError> {
        let request = ExportTraceServiceRequest::decode(encoded_request.as_slice())?;
        self.client
            .clone()
            .export(request)
            .await
            .map_err(|status| ForwardError::Refused(Box::new(status)))?;
        Ok(())
    }
}
