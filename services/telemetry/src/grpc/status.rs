//! Puts right what the transport says about deadlines and sizes.
//!
//! Owns the server's deadline. May not touch a status that a handler has made.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::{Layer, Service};

/// Domain of every ErrorInfo.
const DOMAIN: &str = "paygate.v1";
/// tonic's own deadline lies outside of all layers and answers CANCELLED. Ours is this much earlier, so that it comes first.
const AHEAD_OF_TRANSPORT: Duration = Duration::from_millis(10);
/// How tonic's decoder begins the message about a message that is too large.
const TOO_LARGE: &str = "Error, decoded message length too large";
/// How tonic begins what it says about bytes that are no message. It calls them INTERNAL, which is what errors of ours are called, and what
/// people are woken for.
const NO_MESSAGE: [&str; 4] = [
    "failed to decode Protobuf message",
    "protocol error: received message with",
    "Unexpected EOF decoding stream",
    "Missing request message",
];
/// tonic's message about an expired timeout.
const TIMEOUT_EXPIRED: &str = "Timeout expired";

/// Holds calls to their deadline (the caller's `grpc-timeout` or ours, the earlier one) with DEADLINE_EXCEEDED instead of
/// CANCELLED, and explains a message that is too large. Both carry an ErrorInfo of domain `paygate.v1`.
///
/// Do not set `Server::timeout` beside it.
#[derive(Clone, Copy, Debug)]
pub struct StatusLayer {
    call_timeout_max: Duration,
}

impl StatusLayer {
    /// No call takes longer than `call_timeout_max` to its first answer.
    #[must_use]
    pub fn new(call_timeout_max: Duration) -> Self {
        Self { call_timeout_max }
    }
}

impl<S> Layer<S> for StatusLayer {
    type Service = StatusService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        StatusService {
            inner,
            call_timeout_max: self.call_timeout_max,
        }
    }
}

/// What [`StatusLayer`] makes.
#[derive(Clone, Debug)]
pub struct StatusService<S> {
    inner: S,
    call_timeout_max: Duration,
}

impl<S> Service<Request<Body>> for StatusService<S>
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
        let limit = match grpc_timeout(request.headers()) {
            Some(asked) => ahead(asked).min(self.call_timeout_max),
            None => self.call_timeout_max,
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            match tokio::time::timeout(limit, answer).await {
                Ok(answer) => Ok(corrected(answer?)),
                Err(_) => Ok(deadline_exceeded(limit).into_http()),
            }
        })
    }
}

fn ahead(asked: Duration) -> Duration {
    // A tenth, so that a call with a very short timeout still has most of it.
    asked.saturating_sub(AHEAD_OF_TRANSPORT.min(asked / 10))
}

fn corrected(response: Response<Body>) -> Response<Body> {
    let Some(status) = Status::from_header_map(response.headers()) else {
        return response;
    };
    match status.code() {
        Code::OutOfRange
            if status.details().is_empty() && status.message().starts_with(TOO_LARGE) =>
        {
            explained(
                Code::OutOfRange,
                status.message().to_owned(),
                "REQUEST_TOO_LARGE",
            )
            .into_http()
        }
        Code::Internal
            if status.details().is_empty()
                && NO_MESSAGE
                    .iter()
                    .any(|said| status.message().starts_with(said)) =>
        {
            explained(
                Code::InvalidArgument,
                "the request is no message of this method".to_owned(),
                "FIELD_INVALID",
            )
            .into_http()
        }
        Code::Cancelled if status.message() == TIMEOUT_EXPIRED => explained(
            Code::DeadlineExceeded,
            "the call took longer than the server allows; its outcome is unknown".to_owned(),
            "DEADLINE_EXCEEDED",
        )
        .into_http(),
        _ => response,
    }
}

fn deadline_exceeded(limit: Duration) -> Status {
    explained(
        Code::DeadlineExceeded,
        format!(
            "the call was not answered within {} ms; its outcome is unknown",
            limit.as_millis()
        ),
        "DEADLINE_EXCEEDED",
    )
}

fn explained(code: Code, message: String, reason: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, DOMAIN, []);
    Status::with_error_details(code, message, details)
}

/// The caller's `grpc-timeout`: at most eight digits and a unit. A malformed one is none, as in tonic.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts_are_read_as_the_specification_has_them() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            grpc_timeout(&headers)
        };
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(
            read("99999999H"),
            Some(Duration::from_secs(359_999_996_400))
        );
        for malformed in ["", "m", "1", "-1S", "+1S", "123456789m", "1x", "1.5S"] {
            assert_eq!(read(malformed), None, "{malformed:?}");
        }
    }
}
