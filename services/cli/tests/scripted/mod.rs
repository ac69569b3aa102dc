//! A gateway that does what a story tells it, and remembers what it was asked.
//!
//! Owns: the wire. May not: know anything about payments.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paygate_client::proto::payment_service_server::{PaymentService, PaymentServiceServer};
use paygate_client::proto::{
    BatchCreatePaymentsRequest, BatchCreatePaymentsResponse, CancelPaymentRequest,
    CancelPaymentResponse, CreatePaymentRequest, CreatePaymentResponse, ExplainPaymentRequest,
    ExplainPaymentResponse, GetPaymentRequest, GetPaymentResponse, ListPaymentsRequest,
    ListPaymentsResponse, Payment, PaymentState, WatchPaymentsRequest, WatchPaymentsResponse,
};
use paygate_client::{Client, Settings, TraceParent};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

pub(crate) const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// One attempt: short, as some of these gateways never answer.
pub(crate) const ATTEMPT: Duration = Duration::from_millis(300);

/// All attempts, on a busy machine.
pub(crate) const TOTAL: Duration = Duration::from_secs(20);

/// What the gateway does with one request.
#[derive(Clone)]
pub(crate) enum Does {
    Answers(PaymentState),
    Fails(Status),
    /// Takes the request and says nothing.
    Nothing,
}

/// One stream: what it sends before it ends with an error.
pub(crate) type Stream = Vec<WatchPaymentsResponse>;

#[derive(Default)]
struct Script {
    does: Mutex<VecDeque<Does>>,
    streams: Mutex<VecDeque<Stream>>,
    created: Mutex<Vec<(CreatePaymentRequest, String)>>,
    cursors: Mutex<Vec<String>>,
}

#[derive(Clone, Default)]
pub(crate) struct Gateway(Arc<Script>);

impl Gateway {
    pub(crate) async fn start(does: impl IntoIterator<Item = Does>) -> (Gateway, Client) {
        Gateway::start_with(Script {
            does: Mutex::new(does.into_iter().collect()),
            ..Script::default()
        })
        .await
    }

    /// Whose streams are these, one for each time that it is asked for one.
    pub(crate) async fn watched<const N: usize>(streams: [Stream; N]) -> (Gateway, Client) {
        Gateway::start_with(Script {
            streams: Mutex::new(streams.into()),
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

    pub(crate) fn cursors(&self) -> Vec<String> {
        self.0.cursors.lock().unwrap().clone()
    }

    pub(crate) fn created(&self) -> Vec<(CreatePaymentRequest, String)> {
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

pub(crate) fn client(endpoint: &str) -> Client {
    let settings = Settings {
        attempt_timeout: ATTEMPT,
        total_timeout: TOTAL,
        ..Settings::default()
    };
    let trace: TraceParent = TRACE.parse().unwrap();
    let client = Client::new(endpoint).unwrap();
    client.with_settings(settings).with_trace(trace)
}

/// What the gateway itself says.
pub(crate) fn refusal(code: Code, reason: &str) -> Status {
    let mut details = ErrorDetails::with_error_info(
        reason,
        "paygate.v1",
        [("field".to_owned(), "amount".to_owned())],
    );
    details.add_bad_request_violation("amount", "5 differs from 6");
    details.set_retry_info(Some(Duration::from_secs(7)));
    Status::with_error_details(code, "no", details)
}
