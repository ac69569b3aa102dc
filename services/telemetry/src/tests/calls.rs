//! Calls over real sockets: traced, counted, and answered with the status that is true.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span as OtlpSpan};
use prost::Message as _;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;

use super::{attribute, eventually, loopback, scene, spans_in};
use crate::grpc::{StatusLayer, TraceLayer};
use crate::health::Health;
use crate::propagation::{self, traceparent_of};
use crate::tracing_setup::build;
use crate::{LogLevel, Settings, SpanForwarder, SpanSink, TraceParent};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A service that does what the request's schema_url says, and remembers what it was sent.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<OtlpSpan>>>,
    seen: Arc<Mutex<Vec<TraceParent>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let seen = traceparent_of(&tracing::Span::current());
        self.seen.lock().unwrap().extend(seen);
        let request = request.into_inner();
        match order(&request) {
            "refuse" => return Err(Status::failed_precondition("as asked")),
            "break" => return Err(Status::internal("as asked")),
            "hang" => std::future::pending().await,
            _ => {}
        }
        let spans = spans_in(&[request.encode_to_vec()]);
        self.spans.lock().unwrap().extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn order(request: &ExportTraceServiceRequest) -> &str {
    request
        .resource_spans
        .first()
        .map_or("", |first| first.schema_url.as_str())
}

fn please(order: &str) -> Request<ExportTraceServiceRequest> {
    Request::new(ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            schema_url: order.to_owned(),
            ..ResourceSpans::default()
        }],
    })
}

type Ends = Arc<Mutex<Vec<(String, Code)>>>;

async fn served(collector: Collector, call_timeout_max: Duration) -> (SocketAddr, Ends) {
    let ends = Ends::default();
    let noted = Arc::clone(&ends);
    let observer = Arc::new(move |call: &crate::grpc::Call<'_>| {
        noted
            .lock()
            .unwrap()
            .push((format!("{}/{}", call.service, call.method), call.code));
    });
    let (_, health) = Health::new(&[""]);
    let (address, incoming) = loopback().await;
    let server = Server::builder()
        .layer(TraceLayer::new(observer))
        .layer(StatusLayer::new(call_timeout_max))
        .add_service(TraceServiceServer::new(collector).max_decoding_message_size(1024))
        .add_service(health);
    tokio::spawn(server.serve_with_incoming(incoming));
    (address, ends)
}

async fn client(address: SocketAddr) -> TraceServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    TraceServiceClient::new(endpoint.connect().await.unwrap())
}

const EXPORT: &str = "opentelemetry.proto.collector.trace.v1.TraceService/Export";

#[tokio::test]
async fn a_call_is_a_span_of_its_callers_trace() {
    let scene = scene(LogLevel::Info, 100);
    let collector = Collector::default();
    let (address, ends) = served(collector.clone(), super::DEADLINE).await;
    let mut client = client(address).await;

    for order in ["", "refuse", "break"] {
        let mut request = please(order);
        let traceparent = CALLER.parse().unwrap();
        request.metadata_mut().insert("traceparent", traceparent);
        let _ = client.export(request).await;
    }
    eventually("three calls", || ends.lock().unwrap().len() == 3).await;

    let codes = [Code::Ok, Code::FailedPrecondition, Code::Internal];
    assert_eq!(
        *ends.lock().unwrap(),
        codes.map(|code| (EXPORT.to_owned(), code))
    );
    let spans = spans_in(&scene.ring.pull(100));
    let seen = collector.seen.lock().unwrap().clone();
    assert_eq!((spans.len(), seen.len()), (3, 3));
    let said = |key| {
        spans
            .iter()
            .map(|span| attribute(span, key).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(said("rpc.grpc.status_code"), ["0", "9", "13"]);
    assert_eq!(
        said("rpc.response.status_code"),
        ["OK", "FAILED_PRECONDITION", "INTERNAL"]
    );
    assert_eq!(said("rpc.system.name"), ["grpc"; 3]);
    assert_eq!(said("rpc.method"), ["Export"; 3]);
    for (span, seen) in spans.iter().zip(seen) {
        assert_eq!(span.name, EXPORT);
        assert_eq!(span.kind, 2, "server");
        assert_eq!(seen.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(
            span.parent_span_id,
            [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]
        );
        assert_eq!(span.trace_id[..2], [0x0a, 0xf7]);
    }
    // Only the last one is the server's own fault.
    let errors: Vec<_> = spans
        .iter()
        .map(|span| span.status.clone().unwrap().code)
        .collect();
    assert_eq!(errors, [0, 0, 2]);
}

#[tokio::test]
async fn a_call_without_traceparent_begins_a_trace_and_health_has_none() {
    let scene = scene(LogLevel::Info, 100);
    let (address, ends) = served(Collector::default(), super::DEADLINE).await;
    let mut client = client(address).await;
    let mut request = please("");
    let nonsense = "nonsense".parse().unwrap();
    request.metadata_mut().insert("traceparent", nonsense);
    client.export(request).await.unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.connect().await.unwrap();
    tonic_health::pb::health_client::HealthClient::new(channel)
        .check(tonic_health::pb::HealthCheckRequest::default())
        .await
        .unwrap();
    eventually("both calls", || ends.lock().unwrap().len() == 2).await;
    assert_eq!(
        ends.lock().unwrap()[1],
        ("grpc.health.v1.Health/Check".to_owned(), Code::Ok)
    );
    let spans = spans_in(&scene.ring.pull(100));
    assert_eq!(spans.len(), 1);
    assert!(spans[0].parent_span_id.is_empty());
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_deadline_exceeded() {
    let scene = scene(LogLevel::Info, 100);
    let (address, ends) = served(Collector::default(), Duration::from_millis(50)).await;
    let status = client(address)
        .await
        .export(please("hang"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(
        status.message(),
        "the call was not answered within 50 ms; its outcome is unknown"
    );
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        ("DEADLINE_EXCEEDED", "paygate.v1")
    );
    assert_eq!(
        *ends.lock().unwrap(),
        [(EXPORT.to_owned(), Code::DeadlineExceeded)]
    );
    let spans = spans_in(&scene.ring.pull(100));
    assert_eq!(spans[0].status.clone().unwrap().code, 2);
}

#[tokio::test]
async fn an_oversize_message_is_explained_and_never_reaches_the_handler() {
    let _scene = scene(LogLevel::Info, 100);
    let collector = Collector::default();
    let (address, ends) = served(collector.clone(), super::DEADLINE).await;
    let mut client = client(address).await;
    let status = client.export(please(&"x".repeat(2000))).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(
        status.message().contains("the limit is: 1024 bytes"),
        "{}",
        status.message()
    );
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        ("REQUEST_TOO_LARGE", "paygate.v1")
    );
    assert_eq!(
        *ends.lock().unwrap(),
        [(EXPORT.to_owned(), Code::OutOfRange)]
    );
    assert!(collector.seen.lock().unwrap().is_empty());

    // A status that a handler has made stays as it is.
    let status = client.export(please("refuse")).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::FailedPrecondition, "as asked")
    );
}

#[tokio::test]
async fn a_caller_who_goes_away_is_counted_as_cancelled() {
    let scene = scene(LogLevel::Info, 100);
    let collector = Collector::default();
    let (address, ends) = served(collector.clone(), super::DEADLINE).await;
    let mut client = client(address).await;
    let call = tokio::spawn(async move { client.export(please("hang")).await });
    eventually("the handler runs", || {
        !collector.seen.lock().unwrap().is_empty()
    })
    .await;
    call.abort();
    eventually("the call's end", || !ends.lock().unwrap().is_empty()).await;
    assert_eq!(
        *ends.lock().unwrap(),
        [(EXPORT.to_owned(), Code::Cancelled)]
    );
    eventually("the span's end", || !scene.ring.pull(1).is_empty()).await;
}

#[tokio::test]
async fn spans_pulled_from_a_ring_are_forwarded_unchanged() {
    let scene = scene(LogLevel::Info, 100);
    tracing::info_span!("sign", slot = 7).in_scope(|| ());
    let requests = scene.ring.pull(100);
    let expected = spans_in(&requests);

    let collector = Collector::default();
    let (address, incoming) = loopback().await;
    let server = TraceServiceServer::new(collector.clone());
    tokio::spawn(
        Server::builder()
            .add_service(server)
            .serve_with_incoming(incoming),
    );
    let forwarder = SpanForwarder::connect(&format!("http://{address}")).unwrap();
    for request in requests {
        forwarder.send(request).await.unwrap();
    }
    assert_eq!(*collector.spans.lock().unwrap(), expected);

    assert!(forwarder.send(vec![0xff]).await.is_err());
    let nowhere = SpanForwarder::connect("http://127.0.0.1:1").unwrap();
    assert!(nowhere.send(Vec::new()).await.is_err());
}

#[tokio::test]
async fn spans_reach_a_collector_over_otlp_before_the_process_ends() {
    let collector = Collector::default();
    let (address, incoming) = loopback().await;
    let server = TraceServiceServer::new(collector.clone());
    tokio::spawn(
        Server::builder()
            .add_service(server)
            .serve_with_incoming(incoming),
    );

    let settings = Settings {
        service_name: "paygate-test",
        log_level: LogLevel::Info,
        spans: SpanSink::Otlp {
            endpoint: format!("http://{address}"),
        },
    };
    let (subscriber, telemetry) = build(settings, Box::new(std::io::sink())).unwrap();
    let guard = tracing::subscriber::set_default(subscriber);
    tracing::info_span!("last words").in_scope(|| ());
    drop(guard);
    tokio::task::spawn_blocking(move || telemetry.shutdown(super::DEADLINE))
        .await
        .unwrap();
    let names: Vec<_> = collector
        .spans
        .lock()
        .unwrap()
        .iter()
        .map(|span| span.name.clone())
        .collect();
    assert_eq!(names, ["last words"]);
}

#[tokio::test]
async fn a_collector_that_is_down_costs_spans_and_nothing_else() {
    let settings = Settings {
        service_name: "paygate-test",
        log_level: LogLevel::Info,
        spans: SpanSink::Otlp {
            endpoint: "http://127.0.0.1:1".to_owned(),
        },
    };
    let (subscriber, telemetry) = build(settings, Box::new(std::io::sink())).unwrap();
    let guard = tracing::subscriber::set_default(subscriber);
    for _ in 0..10_000 {
        tracing::info_span!("lost").in_scope(|| ());
    }
    let mut metadata = MetadataMap::new();
    let span = tracing::info_span!("still traced");
    propagation::inject(&span, &mut metadata);
    assert!(propagation::from_metadata(&metadata).is_some());
    drop(span);
    drop(guard);
    let began = std::time::Instant::now();
    tokio::task::spawn_blocking(move || telemetry.shutdown(Duration::from_secs(2)))
        .await
        .unwrap();
    assert!(began.elapsed() < super::DEADLINE);
}
