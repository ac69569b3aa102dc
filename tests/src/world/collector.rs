//! An OTLP collector inside the test: takes spans over gRPC and shows them.
//!
//! Owns: the receiving end. May not: change or drop what it was sent.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::{Request, Response, Status};

/// A span and the service that made it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `service.name` of the resource.
    pub service: String,
    /// The span as it was sent.
    pub span: Span,
    /// Every attribute's text, of the resource, the span, its events and its links.
    pub texts: Vec<String>,
}

/// The collector. Its listener ends with the runtime.
#[derive(Clone, Debug)]
pub struct Collector {
    seen: Arc<Mutex<Vec<Seen>>>,
    endpoint: String,
}

impl Collector {
    /// Listens on loopback.
    pub async fn start() -> std::io::Result<Collector> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let collector = Collector {
            seen: Arc::default(),
            endpoint: format!("http://{}", listener.local_addr()?),
        };
        tokio::spawn(
            collector
                .server()
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        Ok(collector)
    }

    /// Listens on a Unix socket, whose path can be known before there is a collector.
    pub async fn start_at(socket: &Path) -> std::io::Result<Collector> {
        let listener = UnixListener::bind(socket)?;
        let collector = Collector {
            seen: Arc::default(),
            endpoint: Collector::endpoint_at(socket),
        };
        tokio::spawn(
            collector
                .server()
                .serve_with_incoming(UnixListenerStream::new(listener)),
        );
        Ok(collector)
    }

    /// What `otlp_endpoint` is set to for a collector at this socket.
    pub fn endpoint_at(socket: &Path) -> String {
        format!("unix://{}", socket.display())
    }

    fn server(&self) -> tonic::transport::server::Router {
        let service = TraceServiceServer::new(Receiver(self.seen.clone()));
        tonic::transport::Server::builder().add_service(service)
    }

    /// What `otlp_endpoint` is set to.
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// All spans of a trace so far.
    pub fn trace(&self, trace_id: &str) -> Vec<Seen> {
        self.all()
            .into_iter()
            .filter(|seen| hex::encode(&seen.span.trace_id) == trace_id)
            .collect()
    }

    /// All spans so far.
    pub fn all(&self) -> Vec<Seen> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

struct Receiver(Arc<Mutex<Vec<Seen>>>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for resource_spans in request.into_inner().resource_spans {
            let resource = resource_spans
                .resource
                .map(|resource| resource.attributes)
                .unwrap_or_default();
            let service = resource
                .iter()
                .find(|attribute| attribute.key == "service.name")
                .map(text_of)
                .unwrap_or_default();
            for span in resource_spans
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans)
            {
                let events = span.events.iter().flat_map(|event| event.attributes.iter());
                let links = span.links.iter().flat_map(|link| link.attributes.iter());
                let attributes = resource
                    .iter()
                    .chain(&span.attributes)
                    .chain(events)
                    .chain(links);
                let mut texts: Vec<String> = attributes.map(text_of).collect();
                texts.extend(span.events.iter().map(|event| event.name.clone()));
                texts.push(span.name.clone());
                texts.push(
                    span.status
                        .as_ref()
                        .map(|status| status.message.clone())
                        .unwrap_or_default(),
                );
                seen.push(Seen {
                    service: service.clone(),
                    span,
                    texts,
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn text_of(attribute: &KeyValue) -> String {
    attribute
        .value
        .as_ref()
        .map(text_of_value)
        .unwrap_or_default()
}

fn text_of_value(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BytesValue(bytes)) => hex::encode(bytes),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
