//! One span and one observation for each call.
//!
//! Owns the names of server spans. May not open spans for health checks and reflection: they would drown the rest.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::body::Body;
use tonic::codegen::Bytes;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span};

use crate::propagation::{self, TraceParent};

/// Services whose calls get no span.
const UNTRACED_PREFIX: [&str; 2] = ["grpc.health.", "grpc.reflection."];

/// One finished call.
///
/// `service` and `method` are as the caller wrote them: whoever makes labels of them maps unknown ones to one value.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Full name of the service, for example `paygate.v1.PaymentService`.
    pub service: &'a str,
    /// Name of the method, for example `CreatePayment`.
    pub method: &'a str,
    /// What the caller got. CANCELLED: it went away before.
    pub code: Code,
    /// From the request's arrival to the end of the answer.
    pub elapsed: Duration,
    /// The call's own span, if it is recorded.
    pub trace: Option<&'a TraceParent>,
}

/// Told of every finished call, untraced ones included.
pub type Observer = Arc<dyn Fn(&Call<'_>) + Send + Sync>;

/// Opens a span for each call, as child of the caller's `traceparent`, and tells an observer how it ended. Handlers see it as
/// `tracing::Span::current()`.
#[derive(Clone)]
pub struct TraceLayer {
    observer: Observer,
}

impl TraceLayer {
    /// A layer that tells `observer`.
    #[must_use]
    pub fn new(observer: Observer) -> Self {
        Self { observer }
    }
}

impl fmt::Debug for TraceLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TraceLayer")
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = TraceService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TraceService {
            inner,
            observer: Arc::clone(&self.observer),
        }
    }
}

/// What [`TraceLayer`] makes.
#[derive(Clone)]
pub struct TraceService<S> {
    inner: S,
    observer: Observer,
}

impl<S> Service<Request<Body>> for TraceService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let running = Running::start(&request, Arc::clone(&self.observer));
        let span = running.span.clone();
        let answer = span.in_scope(|| self.inner.call(request));
        Box::pin(async move { Ok(running.answered(answer.await?)) }.instrument(span))
    }
}

/// A call that has not ended. Dropped before its end, it was cancelled.
struct Running {
    path: String,
    span: Span,
    started: Instant,
    observer: Observer,
    ended: bool,
}

impl Running {
    fn start(request: &Request<Body>, observer: Observer) -> Self {
        let path = request.uri().path().trim_start_matches('/').to_owned();
        let (service, method) = names(&path);
        let span = if UNTRACED_PREFIX
            .iter()
            .any(|prefix| service.starts_with(prefix))
        {
            Span::none()
        } else {
            let span = tracing::info_span!(
                parent: None,
                "call",
                otel.name = path,
                otel.kind = "server",
                otel.status_code = tracing::field::Empty,
                rpc.system.name = "grpc",
                rpc.service = service,
                rpc.method = method,
                rpc.grpc.status_code = tracing::field::Empty,
                rpc.response.status_code = tracing::field::Empty,
            );
            // Before the span is entered: afterwards its parent is fixed.
            if let Some(parent) = propagation::from_headers(request.headers()) {
                propagation::set_remote_parent(&span, &parent);
            }
            span
        };
        Self {
            path,
            span,
            started: Instant::now(),
            observer,
            ended: false,
        }
    }

    /// The answer's head came: it carries the status of a call without messages; otherwise the status follows the messages.
    fn answered(mut self, response: Response<Body>) -> Response<Body> {
        if let Some(code) = code_in(response.headers()) {
            self.end(code);
            return response;
        }
        response.map(|body| {
            Body::new(Observed {
                body,
                running: self,
            })
        })
    }

    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.span
            .record("rpc.grpc.status_code", i64::from(i32::from(code)));
        self.span
            .record("rpc.response.status_code", code_name(code));
        if is_server_error(code) {
            self.span.record("otel.status_code", "ERROR");
        }
        let (service, method) = names(&self.path);
        let trace = (!self.span.is_disabled())
            .then(|| propagation::traceparent_of(&self.span))
            .flatten();
        (self.observer)(&Call {
            service,
            method,
            code,
            elapsed: self.started.elapsed(),
            trace: trace.as_ref(),
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// The messages of an answer, watched for the status behind them.
struct Observed {
    body: Body,
    running: Running,
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let observed = &mut *self;
        let frame = {
            let _entered = observed.running.span.enter();
            Pin::new(&mut observed.body).poll_frame(cx)
        };
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(code) = frame.trailers_ref().and_then(code_in) {
                    observed.running.end(code);
                }
            }
            Poll::Ready(Some(Err(status))) => observed.running.end(status.code()),
            // An answer without trailers: the transport broke off.
            Poll::Ready(None) => observed.running.end(Code::Unknown),
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers
        .get("grpc-status")
        .map(|value| Code::from_bytes(value.as_bytes()))
}

/// Service and method of a path without its leading slash.
fn names(path: &str) -> (&str, &str) {
    path.split_once('/').unwrap_or((path, ""))
}

/// The codes that the semantic conventions count as the server's own failure.
fn is_server_error(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The code's name in the specification, as labels and attributes carry it.
#[must_use]
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
