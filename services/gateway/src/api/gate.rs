//! The last layer before the services: how many calls run at once, and what a call of a method that does not exist is told.
//!
//! Owns: the concurrency cap, and how much of it one client has. May not: look into messages. Health checks pass always, so that a busy gateway is not taken for a
//! dead one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use paygate_payments::intent::Id;
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::errors;
use super::identity::Caller;
use crate::seats::Seats;

/// Calls that are answered at once. Each holds a request of at most some ten KiB and waits for the store's next commit; past so
/// many, waiting longer helps nobody.
pub(super) const CALLS_AT_ONCE_MAX: usize = 512;

/// Of them, those of one client. A caller who sends his messages slowly holds his calls until their deadline; he leaves a quarter to others.
pub(super) const CALLS_PER_CLIENT_MAX: usize = 384;

/// Paths of the health service.
const HEALTH_PATH: &str = "/grpc.health.";

/// Where gRPC carries details.
const DETAILS_HEADER: &str = "grpc-status-details-bin";

/// Makes [`Gate`]s that share one cap.
#[derive(Clone, Debug)]
pub(super) struct GateLayer {
    seats: Arc<Semaphore>,
    limit: usize,
    clients: Seats<Id>,
    each: usize,
}

/// What [`GateLayer`] makes.
#[derive(Clone, Debug)]
pub(super) struct Gate<S> {
    inner: S,
    seats: Arc<Semaphore>,
    limit: usize,
    clients: Seats<Id>,
    each: usize,
}

impl GateLayer {
    /// At most `limit` calls at once, of which one client has at most `each`.
    pub(super) fn new(limit: usize, each: usize) -> Self {
        Self {
            seats: Arc::new(Semaphore::new(limit)),
            limit,
            clients: Seats::new(limit, each),
            each,
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
            clients: self.clients.clone(),
            each: self.each,
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
        // Who proves nothing is on this host, and calls as everybody of it.
        let caller = request
            .extensions()
            .get::<Caller>()
            .filter(|_| seat.is_some());
        let own = match caller.map(|caller| self.clients.take(&caller.client_id)) {
            None => None,
            Some(Some(own)) => Some(own),
            Some(None) => {
                let refusal = errors::overloaded(self.each).into_http();
                return Box::pin(async move { Ok(refusal) });
            }
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            drop((seat, own));
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
        let gate = GateLayer::new(0, 0).layer(answers);
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
    async fn one_client_leaves_seats_to_the_others() {
        let never = tower::service_fn(|_: Request<Body>| async {
            std::future::pending::<()>().await;
            Ok::<_, std::convert::Infallible>(Response::new(Body::default()))
        });
        let mut gate = GateLayer::new(3, 2).layer(never);
        let mut call = |client: &str| {
            let uri = "/paygate.v1.PaymentService/CreatePayment";
            let mut request = Request::builder().uri(uri).body(Body::default()).unwrap();
            request.extensions_mut().insert(Caller {
                client_id: Id::new(client).unwrap(),
                ..Caller::local()
            });
            gate.call(request)
        };
        let mut held = vec![call("slow"), call("slow")];
        let refused = call("slow").await.unwrap();
        let status = Status::from_header_map(refused.headers()).unwrap();
        assert_eq!(status.code(), Code::ResourceExhausted);
        held.push(call("shop"));
        let waits = std::time::Duration::from_millis(1);
        let waits = tokio::time::timeout(waits, held.pop().unwrap()).await;
        assert!(waits.is_err(), "it is being answered");
    }

    #[tokio::test]
    async fn a_seat_is_free_again_after_the_answer() {
        let answers = tower::service_fn(|_: Request<Body>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Body::default()))
        });
        let gate = GateLayer::new(1, 1).layer(answers);
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
