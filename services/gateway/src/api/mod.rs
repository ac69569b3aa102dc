//! The gRPC surface: `paygate.v1` on one listener, with health and reflection.
//!
//! Owns: what callers may send and what they are told. May not: decide about payments, bind, sign or send; it stores what was
//! asked for and shows what is stored.
//!
//! # Layout
//! - `decode.rs`, `encode.rs`: requests into core types, core types into answers.
//! - `errors.rs`: every error there is.
//! - `access/`: who may call, decided once for all methods; `identity.rs`: who calls; `reach.rs`: whose payments he may see.
//! - `payments.rs`, `wallet.rs`, `operations.rs`, `approvals.rs`: the services.
//! - `announce.rs`, `pause.rs`, `rollout.rs`, `audit.rs`: parts of OperationsService.
//! - `watch.rs`: streams of changes.
//! - `gate.rs`: the concurrency cap.
//! - `settings.rs`: what of the configuration matters here.

pub mod access;
mod announce;
pub mod approvals;
mod audit;
mod batch;
mod decode;
mod encode;
mod errors;
mod gate;
mod identity;
mod next;
pub mod operations;
mod pause;
pub mod payments;
mod reach;
mod rollout;
mod settings;
pub mod wallet;
mod watch;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use paygate_payments::intent::Wallet;
use paygate_proto::v1::approval_service_server::ApprovalServiceServer;
use paygate_proto::v1::operations_service_server::OperationsServiceServer;
use paygate_proto::v1::payment_service_server::PaymentServiceServer;
use paygate_proto::v1::wallet_service_server::WalletServiceServer;
use paygate_telemetry::grpc::{Observer, StatusLayer, TraceLayer};
use paygate_telemetry::health::Health;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tower::ServiceExt as _;

use crate::clock::Millis;
use crate::engine::Inquiry;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::tls;
use crate::view::View;

pub use identity::LOCAL_CLIENT;
pub use settings::{LedgerServerSettings, Settings};

/// Names that the gateway's health service knows.
pub const HEALTH_NAMES: &[&str] = &[
    "",
    "paygate.v1.PaymentService",
    "paygate.capability.accept",
    "paygate.capability.submit",
    "paygate.capability.confirm",
    "paygate.capability.sign",
    "paygate.capability.ledger",
    "paygate.capability.store",
    "paygate.capability.wallet",
];

/// Services that reflection tells of, beside itself.
const SERVED: [&str; 5] = [
    "paygate.v1.PaymentService",
    "paygate.v1.WalletService",
    "paygate.v1.ApprovalService",
    "paygate.v1.OperationsService",
    "grpc.health.v1.Health",
];

/// The longest that a call may take. Nothing here waits for the signer, and only `validate_only` for the ledger, 2 s at most.
const CALL_TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// How often an idle connection is asked whether somebody is there, and how long the answer may take.
pub(crate) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
pub(crate) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Calls that one connection may have open. The concurrency cap is for all together; one caller cannot hold it alone.
const STREAMS_PER_CONNECTION_MAX: u32 = 128;

/// Connections of the listener, altogether and from one address. Each costs some ten KiB; callers share one among all their calls, and a
/// proxy may have many.
const ROOM: tls::Room = tls::Room {
    connections: 2_048,
    per_address: 1_024,
};

/// Bytes that may be on their way on one stream, and on one connection, before anybody has read them: all that a connection can make the
/// gateway keep. A batch is read as it comes.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// Metadata of one call. A certificate that a proxy hands on has a few KiB.
const METADATA_BYTES_MAX: u32 = 16 * 1024;

/// Streams that a caller has reset and that nobody has looked at yet; and streams that were reset because of his mistakes. With one more
/// the connection ends: resetting as fast as opening is an attack (CVE-2023-44487, and its kin by errors).
const RESETS_PENDING_MAX: usize = 20;
const RESETS_BY_ERROR_MAX: usize = 256;

/// How long the last answers may take to leave, and watchers to read that the process stops.
const WATCHERS_LEAVE: Duration = Duration::from_secs(1);

/// What the surface needs of the rest. Clones share it.
#[derive(Clone, Debug)]
pub struct Api {
    /// Configured facts that answers show or that bound calls.
    pub settings: Arc<Settings>,
    /// Who may call.
    pub access: access::Access,
    /// The store.
    pub store: Store,
    /// What the engine sees.
    pub view: View,
    /// Where accepted payments are counted.
    pub metrics: Metrics,
    /// The wallet that pays.
    pub wallet: Wallet,
    /// Woken after a payment was stored.
    pub wake: Arc<Notify>,
    /// What `validate_only` asks the ledger with. `None`: it does not ask.
    pub inquiry: Option<Arc<Inquiry>>,
    /// When the process started.
    pub started: Millis,
    /// The capabilities that GetStatus shows, made of [`HEALTH_NAMES`].
    pub health: Health,
}

/// The surface cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptor set that was built in does not decode.
    #[error("descriptors for reflection do not decode: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The listener failed.
    #[error("grpc listener failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves until `stop` resolves, then lets running calls end. `observer` is told of every call.
///
/// What counts at the end is that no call is left. Watchers are told that the process stops as soon as their connections take
/// it; one who does not read, or an idle connection that stays, is left behind after [`WATCHERS_LEAVE`].
pub async fn serve(
    api: Api,
    listener: TcpListener,
    observer: Observer,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let routes = routes(&api)?;
    let incoming = tls::incoming(listener, api.access.tls(), ROOM, api.metrics.clone());
    let gate = gate::GateLayer::new(gate::CALLS_AT_ONCE_MAX, gate::CALLS_PER_CLIENT_MAX);
    let calls = gate.clone();
    let (stopping, stopped) = oneshot::channel();
    let stop = async {
        stop.await;
        // Nobody listens any more if the server has failed before.
        let _ = stopping.send(());
    };
    // The first layer is the outermost: spans and counters see what the caller gets.
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(METADATA_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS_PENDING_MAX))
        .http2_max_local_error_reset_streams(Some(RESETS_BY_ERROR_MAX))
        .layer(TraceLayer::new(observer))
        .layer(StatusLayer::new(CALL_TIMEOUT_MAX))
        .layer(access::AccessLayer(api.access.clone()))
        .layer(gate)
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stop);
    let all_answered = async {
        if stopped.await.is_err() {
            // The server has ended by itself, which the other branch tells.
            std::future::pending::<()>().await;
        }
        calls.all_answered().await;
        tokio::time::sleep(WATCHERS_LEAVE).await;
    };
    tokio::select! {
        served = server => served.map_err(ServeError::from),
        () = all_answered => {
            tracing::info!("every call is answered; connections that stay open are left behind");
            Ok(())
        }
    }
}

/// All services, without layers.
fn routes(api: &Api) -> Result<Routes, ServeError> {
    let max = api.settings.request_bytes_max;
    let own = payments::PaymentApi::new(api.clone());
    let payments = PaymentServiceServer::new(own.clone()).max_decoding_message_size(max);
    // The same service, reached by one of its methods only, which takes larger messages.
    let batches =
        PaymentServiceServer::new(own).max_decoding_message_size(max.max(batch::BYTES_MAX));
    let batches = batches.map_request(|request: Request<axum::body::Body>| request.map(Body::new));
    let wallet =
        WalletServiceServer::new(wallet::WalletApi(api.clone())).max_decoding_message_size(max);
    let operations = OperationsServiceServer::new(operations::OperationsApi(api.clone()))
        .max_decoding_message_size(max);
    let approvals = ApprovalServiceServer::new(approvals::ApprovalApi(api.clone()))
        .max_decoding_message_size(max);
    let health = api.health.server().max_decoding_message_size(max);
    let payments = Routes::new(payments)
        .into_axum_router()
        .route_service(batch::PATH, batches);
    let routes = Routes::from(payments)
        .add_service(wallet)
        .add_service(operations)
        .add_service(approvals)
        .add_service(health);
    if !api.settings.reflection {
        return Ok(routes);
    }
    let described = |own: &str| {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(paygate_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        // The signer's services are in the same set, and are not served here.
        SERVED
            .iter()
            .fold(builder.with_service_name(own), |builder, name| {
                builder.with_service_name(*name)
            })
    };
    let v1 = described("grpc.reflection.v1.ServerReflection")
        .build_v1()?
        .max_decoding_message_size(max);
    let v1alpha = described("grpc.reflection.v1alpha.ServerReflection")
        .build_v1alpha()?
        .max_decoding_message_size(max);
    Ok(routes.add_service(v1).add_service(v1alpha))
}
