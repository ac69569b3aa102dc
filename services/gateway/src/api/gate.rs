//! The last layer before the services: how many calls run at once, and what a call of a method that does not exist is told.
//!
//! Owns: the concurrency cap. May not: look into messages. Health checks pass always, so that a busy gateway is not taken for a
//! dead one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::errors;

/// Calls that are answered at once. Each holds a request of at most some ten KiB and waits for the store's next commit; past so
/// many, waiting longer helps nobody.
pub(super) const CALLS_AT_ONCE_MAX: usize = 512;

/// Paths of the health service.
const HEALTH_PATH: &str = "/grpc.health.";

/// Where gRPC carries details.
const DETAILS_HEADER: &str = "grpc-status-details-bin";

/// Makes [`Gate`]s that share one cap.
#[derive(Clone, Debug)]
pub(super) struct GateLayer {
    seats: Arc<Semaphore>,
    limit: usize,
}

/// What [`GateLayer`] makes.
#[derive(Clone, Debug)]
pub(super) struct Gate<S> {
    inner: S,
    seats: Arc<Semaphore>,
    limit: usize,
}

impl GateLayer {
    /// At most `limit` calls at once.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            seats: Arc::new(Semaphore::new(limit)),
            limit,
        }
    }
}

impl GateLayer {
    /// Waits until no call is running. The head of an answer ends a call here, so open streams do not count.
    pub(super) async fn all_answered(&self) {
        let all = u32::try_from(self.limit).unwrap_or(u32::MAX);
        // An error says that the cap is closed, which it never is.
        let _ = self.seats.acquire_many(all).await;
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate {
            inner,
            seats: Arc::clone(&self.seats),
            limit: self.limit,
        }
    }
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let seat = if request.uri().path().starts_with(HEALTH_PATH) {
            None
        } else {
            match Arc::clone(&self.seats).try_acquire_owned() {
                Ok(seat) => Some(seat),
                Err(_) => {
                    let refusal = errors::overloaded(self.limit).into_http();
                    return Box::pin(async move { Ok(refusal) });
                }
            }
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            drop(seat);
            Ok(explained(response))
        })
    }
}

/// tonic answers calls of unknown services and methods without a word.
fn explained(response: Response<Body>) -> Response<Body> {
    let unimplemented = Status::from_header_map(response.headers())
        .is_some_and(|s| s.code() == Code::Unimplemented);
    if unimplemented && !response.headers().contains_key(DETAILS_HEADER) {
        return errors::not_implemented("this method", "server reflection lists those that exist")
            .into_http();
    }
    response
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_full_gate_sends_calls_away_and_answers_health() {
        let answers = tower::service_fn(|_: Request<Body>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Body::default()))
        });
        let gate = GateLayer::new(0).layer(answers);
        let call = |path: &str| Request::builder().uri(path).body(Body::default()).unwrap();
        let refused = gate
            .clone()
            .oneshot(call("/paygate.v1.PaymentService/GetPayment"))
            .await
            .unwrap();
        let status = Status::from_header_map(refused.headers()).unwrap();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let health = gate
            .oneshot(call("/grpc.health.v1.Health/Check"))
            .await
            .unwrap();
        assert!(Status::from_header_map(health.headers()).is_none());
    }

    #[tokio::test]
    async fn a_seat_is_free_again_after_the_answer() {
        let answers = tower::service_fn(|_: Request<Body>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Body::default()))
        });
        let gate = GateLayer::new(1).layer(answers);
        for _ in 0..3 {
            let call = Request::builder()
                .uri("/paygate.v1.PaymentService/GetPayment")
                .body(Body::default())
                .unwrap();
            let answered = gate.clone().oneshot(call).await.unwrap();
            assert!(Status::from_header_map(answered.headers()).is_none());
        }
    }
}
