//! The signer's spans, kept until the gateway pulls them: the signer opens no connection of its own.
//!
//! Owns a bounded ring. May not block: a span that does not fit pushes out the oldest one, and the loss is counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prost::Message as _;

/// Spans in one encoded request. About 1 KiB each at most, so that a request stays far below gRPC's usual 4 MiB.
const REQUEST_SPANS_MAX: usize = 512;

/// A bounded ring of finished spans. Clones share it.
#[derive(Clone, Debug)]
pub struct SpanRing {
    capacity_spans: usize,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    spans: VecDeque<SpanData>,
    resource: Resource,
    dropped: u64,
}

impl SpanRing {
    /// A ring that keeps at most `capacity_spans` (at least one).
    #[must_use]
    pub fn new(capacity_spans: usize) -> Self {
        Self {
            capacity_spans: capacity_spans.max(1),
            inner: Arc::new(Mutex::new(Inner {
                spans: VecDeque::new(),
                resource: Resource::builder_empty().build(),
                dropped: 0,
            })),
        }
    }

    /// Takes out at most `max_spans`, oldest first, as encoded `ExportTraceServiceRequest`s. What was taken is gone.
    #[must_use]
    pub fn pull(&self, max_spans: usize) -> Vec<Vec<u8>> {
        // The lock is left before anything is encoded: spans end on threads that do payments.
        let (mut spans, resource) = {
            let mut inner = self.lock();
            let count = max_spans.min(inner.spans.len());
            let spans: Vec<SpanData> = inner.spans.drain(..count).collect();
            (spans, inner.resource.clone())
        };
        let resource = ResourceAttributesWithSchema::from(&resource);
        let mut requests = Vec::new();
        while !spans.is_empty() {
            let rest = spans.split_off(REQUEST_SPANS_MAX.min(spans.len()));
            let request = ExportTraceServiceRequest {
                resource_spans: group_spans_by_resource_and_scope(spans, &resource),
            };
            requests.push(request.encode_to_vec());
            spans = rest;
        }
        requests
    }

    /// Spans that were lost because the ring was full, since the process started.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic between two statements of a push leaves at worst one span uncounted.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpanProcessor for SpanRing {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        let mut inner = self.lock();
        if inner.spans.len() >= self.capacity_spans {
            inner.spans.pop_front();
            inner.dropped = inner.dropped.saturating_add(1);
        }
        inner.spans.push_back(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.lock().resource = resource.clone();
    }
}
