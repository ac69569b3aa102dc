//! Stories of a client whose gateway fails in the middle of a call.
//!
//! The other end speaks the generated contract and does what it is told, as no real gateway can be made to fail at each of these
//! moments. What a real gateway makes of the calls is told in `tests/tests/cli.rs` at the workspace's root.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paygate_client::proto::payment_service_server::{PaymentService, PaymentServiceServer};
use paygate_client::proto::{
    BatchCreatePaymentsRequest, BatchCreatePaymentsResponse, CancelPaymentRequest,
    CancelPaymentResponse, CreatePaymentRequest, CreatePaymentResponse, ExplainPaymentRequest,
    ExplainPaymentResponse, GetPaymentRequest, GetPaymentResponse, ListPaymentsRequest,
    ListPaymentsResponse, Payment, PaymentState, WatchPaymentsRequest, WatchPaymentsResponse,
    create_payment_request,
};
use paygate_client::{CallError, Client, Outcome, Settings, TraceParent, outcome};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// One attempt: short, as some of these gateways never answer.
const ATTEMPT: Duration = Duration::from_millis(300);

/// All attempts, on a busy machine.
const TOTAL: Duration = Duration::from_secs(20);

/// What the gateway does with one request.
#[derive(Clone)]
enum Does {
    Answers(PaymentState),
    Fails(Status),
    /// Takes the request and says nothing.
    Nothing,
}

/// One stream: what it sends before it ends with an error.
type Stream = Vec<WatchPaymentsResponse>;

#[derive(Default)]
struct Script {
    does: Mutex<VecDeque<Does>>,
    streams: Mutex<VecDeque<Stream>>,
    created: Mutex<Vec<(CreatePaymentRequest, String)>>,
    cursors: Mutex<Vec<String>>,
}

#[derive(Clone, Default)]
struct Gateway(Arc<Script>);

impl Gateway {
    async fn start(does: impl IntoIterator<Item = Does>) -> (Gateway, Client) {
        Gateway::start_with(Script {
            does: Mutex::new(does.into_iter().collect()),
            ..Script::default()
        })
        .await
    }

    async fn start_with(script: Script) -> (Gateway, Client) {
        let gateway = Gateway(Arc::new(script));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = PaymentServiceServer::new(gateway.clone());
        tokio::spawn(
            Server::builder()
                .add_service(served)
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        (gateway, client(&format!("http://{address}")))
    }

    async fn next(&self) -> Result<Payment, Status> {
        let does = self.0.does.lock().unwrap().pop_front();
        match does.expect("the story has an answer for each call") {
            Does::Answers(state) => Ok(Payment {
                payment_id: "rent".to_owned(),
                state: state.into(),
                ..Payment::default()
            }),
            Does::Fails(status) => Err(status),
            Does::Nothing => std::future::pending().await,
        }
    }

    fn created(&self) -> Vec<(CreatePaymentRequest, String)> {
        self.0.created.lock().unwrap().clone()
    }
}

#[tonic::async_trait]
impl PaymentService for Gateway {
    type WatchPaymentsStream =
        tokio_stream::Iter<std::vec::IntoIter<Result<WatchPaymentsResponse, Status>>>;

    async fn create_payment(
        &self,
        request: Request<CreatePaymentRequest>,
    ) -> Result<Response<CreatePaymentResponse>, Status> {
        let trace = request.metadata().get("traceparent").unwrap().to_str();
        let trace = trace.unwrap().to_owned();
        assert!(
            request.metadata().contains_key("grpc-timeout"),
            "the gateway is told how long the caller waits"
        );
        let asked = (request.into_inner(), trace);
        self.0.created.lock().unwrap().push(asked);
        let payment = Some(self.next().await?);
        Ok(Response::new(CreatePaymentResponse {
            payment,
            existed: false,
        }))
    }

    async fn get_payment(
        &self,
        request: Request<GetPaymentRequest>,
    ) -> Result<Response<GetPaymentResponse>, Status> {
        assert!(
            request.metadata().get("traceparent").is_none(),
            "polls stay out of the payment's trace"
        );
        let payment = Some(self.next().await?);
        Ok(Response::new(GetPaymentResponse { payment }))
    }

    async fn watch_payments(
        &self,
        request: Request<WatchPaymentsRequest>,
    ) -> Result<Response<Self::WatchPaymentsStream>, Status> {
        let cursor = request.into_inner().cursor;
        self.0.cursors.lock().unwrap().push(cursor);
        let stream = self.0.streams.lock().unwrap().pop_front();
        let Some(stream) = stream else {
            return Err(refusal(Code::Unimplemented, "NOT_IMPLEMENTED"));
        };
        let broken = Err(Status::unavailable("the gateway was killed"));
        let messages: Vec<_> = stream.into_iter().map(Ok).chain([broken]).collect();
        Ok(Response::new(tokio_stream::iter(messages)))
    }

    async fn batch_create_payments(
        &self,
        _: Request<BatchCreatePaymentsRequest>,
    ) -> Result<Response<BatchCreatePaymentsResponse>, Status> {
        Err(Status::unimplemented("in no story"))
    }

    async fn list_payments(
        &self,
        _: Request<ListPaymentsRequest>,
    ) -> Result<Response<ListPaymentsResponse>, Status> {
        Err(Status::unimplemented("in no story"))
    }

    async fn cancel_payment(
        &self,
        _: Request<CancelPaymentRequest>,
    ) -> Result<Response<CancelPaymentResponse>, Status> {
        let payment = Some(self.next().await?);
        Ok(Response::new(CancelPaymentResponse { payment }))
    }

    async fn explain_payment(
        &self,
        _: Request<ExplainPaymentRequest>,
    ) -> Result<Response<ExplainPaymentResponse>, Status> {
        Err(Status::unimplemented("in no story"))
    }
}

fn client(endpoint: &str) -> Client {
    let settings = Settings {
        attempt_timeout: ATTEMPT,
        total_timeout: TOTAL,
        ..Settings::default()
    };
    let trace: TraceParent = TRACE.parse().unwrap();
    let client = Client::new(endpoint).unwrap();
    client.with_settings(settings).with_trace(trace)
}

fn hasty(client: Client, total: Duration) -> Client {
    client.with_settings(Settings {
        attempt_timeout: ATTEMPT,
        total_timeout: total,
        ..Settings::default()
    })
}

fn rent() -> CreatePaymentRequest {
    CreatePaymentRequest {
        payment_id: "rent".to_owned(),
        destination: "rAlice".to_owned(),
        amount: Some(create_payment_request::Amount::XrpDrops(5)),
        ..CreatePaymentRequest::default()
    }
}

fn refusal(code: Code, reason: &str) -> Status {
    let mut details = ErrorDetails::with_error_info(
        reason,
        "paygate.v1",
        [("field".to_owned(), "amount".to_owned())],
    );
    details.add_bad_request_violation("amount", "5 differs from 6");
    details.set_retry_info(Some(Duration::from_secs(7)));
    Status::with_error_details(code, "no", details)
}

#[allow(
    clippy::needless_update,
    reason = "the contract may get further fields"
)]
fn message(cursor: &str, state: Option<PaymentState>) -> WatchPaymentsResponse {
    WatchPaymentsResponse {
        cursor: cursor.to_owned(),
        payment: state.map(|state| Payment {
            state: state.into(),
            ..Payment::default()
        }),
        ..WatchPaymentsResponse::default()
    }
}

// === paying ===

#[tokio::test]
async fn what_is_not_answered_is_asked_again_and_is_the_same_payment() {
    let unknown = [
        Code::Unavailable,
        Code::Unknown,
        Code::Cancelled,
        Code::Internal,
        Code::DeadlineExceeded,
    ];
    let fails = unknown.map(|code| Does::Fails(Status::new(code, "no")));
    let does = fails
        .into_iter()
        .chain([Does::Nothing, Does::Answers(PaymentState::Accepted)]);
    let (gateway, client) = Gateway::start(does).await;

    let created = client.create_payment(rent()).await.unwrap();
    assert_eq!(created.payment.unwrap().state(), PaymentState::Accepted);
    let seen = gateway.created();
    assert_eq!(seen.len(), unknown.len() + 2);
    for (asked, trace) in seen {
        assert_eq!(asked, rent(), "a repeated call is the same call");
        assert_eq!(trace, TRACE);
    }
}

#[tokio::test]
async fn a_refusal_is_not_repeated_and_tells_all() {
    let reused = Does::Fails(refusal(Code::AlreadyExists, "PAYMENT_ID_REUSED"));
    let (gateway, client) = Gateway::start([reused]).await;
    let error = client.create_payment(rent()).await.unwrap_err();
    let CallError::Refused(refused) = error else {
        panic!("{error}");
    };
    assert_eq!(refused.reason, "PAYMENT_ID_REUSED");
    assert_eq!(refused.metadata["field"], "amount");
    assert_eq!(refused.fields[0].description, "5 differs from 6");
    assert_eq!(refused.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(gateway.created().len(), 1);
}

/// The first attempt may have stored it: "too many calls" to the second one does not mean that nothing is stored.
#[tokio::test]
async fn a_refusal_after_silence_leaves_it_unknown() {
    let limited = Does::Fails(refusal(Code::ResourceExhausted, "RATE_LIMITED"));
    let (_gateway, client) = Gateway::start([Does::Nothing, limited]).await;
    let error = client.create_payment(rent()).await.unwrap_err();
    let CallError::Unanswered(unanswered) = error else {
        panic!("{error}");
    };
    assert!(unanswered.reached);
    assert_eq!(unanswered.last.reason, "RATE_LIMITED");
}

/// A proxy that answers for the gateway knows nothing about payments.
#[tokio::test]
async fn a_refusal_that_is_not_the_gateways_own_settles_nothing() {
    let foreign = Does::Fails(Status::permission_denied("403 by some proxy"));
    let (gateway, client) = Gateway::start([foreign]).await;
    let error = client.create_payment(rent()).await.unwrap_err();
    assert!(matches!(error, CallError::Unanswered(_)), "{error}");
    assert_eq!(gateway.created().len(), 1, "it would say the same again");
}

/// An id belongs to one content for ever: whatever the first attempt did, it did not store this one.
#[tokio::test]
async fn a_used_id_after_silence_is_a_refusal() {
    let reused = Does::Fails(refusal(Code::AlreadyExists, "PAYMENT_ID_REUSED"));
    let (_gateway, client) = Gateway::start([Does::Nothing, reused]).await;
    let error = client.create_payment(rent()).await.unwrap_err();
    assert!(matches!(error, CallError::Refused(_)), "{error}");
}

#[tokio::test]
async fn a_gateway_that_is_not_there_was_not_reached() {
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let client = hasty(client(&free.to_string()), Duration::from_secs(1));
    let error = client.create_payment(rent()).await.unwrap_err();
    let CallError::Unanswered(unanswered) = error else {
        panic!("{error}");
    };
    assert!(!unanswered.reached, "{unanswered}");
    assert!(unanswered.attempts > 1);
    assert!(
        unanswered.last.message.contains("refused"),
        "it says why: {unanswered}"
    );
}

#[tokio::test]
async fn silence_ends_in_time_and_is_unknown() {
    let (_gateway, client) = Gateway::start(vec![Does::Nothing; 20]).await;
    let client = hasty(client, Duration::from_secs(1));
    let error = tokio::time::timeout(TOTAL, client.create_payment(rent()))
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(&error, CallError::Unanswered(unanswered) if unanswered.reached),
        "{error}"
    );
}

#[tokio::test]
async fn waiting_goes_through_errors_to_the_end() {
    let busy = {
        let mut details = ErrorDetails::new();
        details.set_retry_info(Some(Duration::from_millis(10)));
        Status::with_error_details(Code::ResourceExhausted, "too many", details)
    };
    let does = [
        Does::Answers(PaymentState::AtLarge),
        Does::Fails(Status::unavailable("restarts")),
        Does::Fails(busy),
        Does::Nothing,
        Does::Answers(PaymentState::OnHold),
        Does::Answers(PaymentState::Paid),
    ];
    let (_gateway, client) = Gateway::start(does).await;
    let paid = client.wait_until_final("rent", TOTAL).await.unwrap();
    assert_eq!(outcome(&paid), Outcome::Paid);
}

#[tokio::test]
async fn a_wait_that_is_over_decides_nothing() {
    let (_gateway, client) = Gateway::start(vec![Does::Answers(PaymentState::AtLarge); 50]).await;
    let seen = client
        .wait_until_final("rent", Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!(outcome(&seen), Outcome::Live);
}

#[tokio::test]
async fn cancelling_is_asked_again_and_only_the_state_counts() {
    let does = [
        Does::Fails(Status::unavailable("no")),
        Does::Answers(PaymentState::AtLarge),
    ];
    let (_gateway, client) = Gateway::start(does).await;
    let payment = client.cancel_payment("rent", "").await.unwrap();
    assert_eq!(outcome(&payment), Outcome::Live);
}

// === watching ===

#[tokio::test]
async fn a_watch_goes_on_where_it_broke_and_misses_nothing() {
    let streams = [
        vec![
            message("c1", Some(PaymentState::Accepted)),
            message("c2", Some(PaymentState::AtLarge)),
        ],
        // A heartbeat moves the cursor, too.
        vec![message("c3", None)],
        vec![],
        vec![message("c4", Some(PaymentState::Paid))],
    ];
    let script = Script {
        streams: Mutex::new(streams.into()),
        ..Script::default()
    };
    let (gateway, client) = Gateway::start_with(script).await;
    let mut watch = client.watch_payments(WatchPaymentsRequest::default());
    let mut seen = Vec::new();
    for _ in 0..3 {
        let change = watch.next().await.unwrap();
        seen.push((change.cursor, change.payment.state()));
    }
    let wanted = [
        ("c1", PaymentState::Accepted),
        ("c2", PaymentState::AtLarge),
        ("c4", PaymentState::Paid),
    ];
    assert_eq!(
        seen,
        wanted.map(|(cursor, state)| (cursor.to_owned(), state))
    );
    assert_eq!(*gateway.0.cursors.lock().unwrap(), ["", "c2", "c3", "c3"]);
    assert_eq!(watch.cursor(), "c4");
}

#[tokio::test]
async fn a_watch_that_breaks_before_its_first_cursor_says_so() {
    let script = Script {
        streams: Mutex::new([vec![]].into()),
        ..Script::default()
    };
    let (_gateway, client) = Gateway::start_with(script).await;
    let mut watch = client.watch_payments(WatchPaymentsRequest::default());
    let error = watch.next().await.unwrap_err();
    assert!(
        matches!(error, CallError::Unanswered(_)),
        "changes since it began may be missing: {error}"
    );
}

#[tokio::test]
async fn a_gateway_without_a_stream_refuses_at_once() {
    let (_gateway, client) = Gateway::start([]).await;
    let error = client
        .watch_payments(WatchPaymentsRequest::default())
        .next()
        .await
        .unwrap_err();
    let CallError::Refused(refused) = error else {
        panic!("{error}");
    };
    assert_eq!(refused.reason, "NOT_IMPLEMENTED");
}
