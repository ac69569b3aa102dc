//! Admin: the HTTP listener for people and machines that watch the gateway.
//!
//! Owns: `/metrics`, `/livez`, `/readyz` and `/health`. May not: change anything, ask the ledger, the store or the
//! signer, or wait for them; it shows what others fed it last, so a hung dependency cannot hang the answer about it.
//!
//! `/readyz` and the capabilities in `/health` are the gRPC health service's own state, so that no two ways in tell two stories.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use paygate_telemetry::health::{Health, NameState, Serving};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::metrics::{CLASSIC_CONTENT_TYPE, Format, Metrics, OPENMETRICS_CONTENT_TYPE};
use crate::seats::{Seats, holder};

/// Time for a request's head to arrive. Also the longest that an idle connection is kept between two scrapes.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection is closed after so long, whatever it does; a scraper opens another.
const CONNECTION_LIFETIME_MAX: Duration = Duration::from_secs(60);

/// Connections at the same time, and those of one address: a handful of scrapers, probes and people. Who has more is hung up on, so that
/// he who opens all that he can keeps no orchestrator waiting.
const CONNECTIONS_MAX: usize = 64;
const CONNECTIONS_PER_ADDRESS_MAX: usize = 16;

/// Size of a request's head. Nobody who asks for metrics has more to say.
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// Wait after a failed accept, which means that this process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How one part of the gateway is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// As it should be.
    Healthy,
    /// Works, but somebody should look.
    Degraded,
    /// Does not work.
    Unhealthy,
}

/// One part of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name: `xrpl`, `wallet`, `pending`, `signer` or `store`.
    pub name: &'static str,
    /// How it is.
    pub status: CheckStatus,
    /// Why, in a sentence.
    pub detail: String,
    /// How long its last question took, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
}

/// One ledger server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerReport {
    /// Its name, as in metrics.
    pub name: String,
    /// How it is used: `primary`, `used`, `only if needed` or `set aside`.
    pub state: &'static str,
    /// Why it is not used gladly.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The newest validated ledger that it told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validated_ledger: Option<u32>,
    /// So many ledgers behind what enough servers tell.
    pub lag_ledgers: u32,
    /// How long its last answer took, or is open.
    pub latency_ms: u32,
}

/// What was seen of the gateway's parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// Every part.
    pub checks: Vec<Check>,
    /// The ledger servers.
    pub servers: Vec<ServerReport>,
}

impl HealthReport {
    /// Before anybody has reported: no check is known to be healthy.
    pub fn starting() -> HealthReport {
        HealthReport {
            checks: Vec::new(),
            servers: Vec::new(),
        }
    }

    /// The worst of the checks; without any, unhealthy.
    pub fn status(&self) -> CheckStatus {
        self.checks
            .iter()
            .map(|check| check.status)
            .max()
            .unwrap_or(CheckStatus::Unhealthy)
    }
}

#[derive(Serialize)]
struct HealthBody<'a> {
    status: CheckStatus,
    accepting: bool,
    checks: &'a [Check],
    servers: &'a [ServerReport],
    capabilities: Vec<CapabilityBody>,
}

/// A name of the gRPC health service.
#[derive(Serialize)]
struct CapabilityBody {
    name: &'static str,
    serving: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// Since it turned so.
    for_seconds: u64,
}

#[derive(Clone)]
struct View {
    metrics: Metrics,
    health: Health,
    report: watch::Receiver<HealthReport>,
}

/// Serves until `stop` resolves. Connections still open then are dropped: nothing here is worth waiting for.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    health: Health,
    report: watch::Receiver<HealthReport>,
    stop: impl Future<Output = ()>,
) {
    let router = router(View {
        metrics,
        health,
        report,
    });
    tokio::select! {
        never = accept_for_ever(listener, router) => match never {},
        () = stop => {}
    }
}

async fn accept_for_ever(listener: TcpListener, router: Router) -> Infallible {
    let places = Seats::<IpAddr>::new(CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX);
    let mut connections = tokio::task::JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let Some(place) = places.take(&holder(address.ip())) else {
                    continue;
                };
                let router = router.clone();
                connections.spawn(async move {
                    let _place = place;
                    // A scraper that hangs up, or is too slow, is its own affair.
                    let _ =
                        tokio::time::timeout(CONNECTION_LIFETIME_MAX, serve_one(stream, router))
                            .await;
                });
            }
            Err(err) => {
                tracing::warn!(%err, "the admin listener cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_one(
    stream: TcpStream,
    router: Router,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX);
    let service = TowerToHyperService::new(router);
    http.serve_connection(TokioIo::new(stream), service).await
}

fn router(view: View) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/health", get(health))
        .with_state(view)
}

async fn metrics(State(view): State<View>, headers: HeaderMap) -> impl IntoResponse {
    let (format, content_type) = match wants_openmetrics(&headers) {
        true => (Format::OpenMetrics, OPENMETRICS_CONTENT_TYPE),
        false => (Format::Classic, CLASSIC_CONTENT_TYPE),
    };
    view.metrics.scraped();
    ([(CONTENT_TYPE, content_type)], view.metrics.render(format))
}

/// Only who names OpenMetrics gets it; `*/*` gets what everything reads.
fn wants_openmetrics(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"))
}

/// That this answer is written at all is the whole statement: the event loop turns.
async fn livez() -> &'static str {
    "alive\n"
}

async fn readyz(State(view): State<View>) -> (StatusCode, &'static str) {
    match view.is_accepting() {
        true => (StatusCode::OK, "accepting payments\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not accepting payments\n"),
    }
}

async fn health(State(view): State<View>) -> impl IntoResponse {
    let report = view.report.borrow().clone();
    let status = report.status();
    let code = match status {
        CheckStatus::Healthy | CheckStatus::Degraded => StatusCode::OK,
        CheckStatus::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = HealthBody {
        status,
        accepting: view.is_accepting(),
        checks: &report.checks,
        servers: &report.servers,
        capabilities: view.health.snapshot().into_iter().map(capability).collect(),
    };
    let body = serde_json::to_string(&body).expect("names, numbers and strings are always JSON");
    (code, [(CONTENT_TYPE, "application/json")], body)
}

fn capability(state: NameState) -> CapabilityBody {
    let NameState {
        name,
        serving,
        since,
    } = state;
    let reason = match &serving {
        Serving::Yes => String::new(),
        Serving::No(reason) => reason.clone(),
    };
    CapabilityBody {
        name,
        serving: serving == Serving::Yes,
        reason,
        // A clock that was set back makes it 0.
        for_seconds: since.elapsed().unwrap_or_default().as_secs(),
    }
}

impl View {
    /// Readiness: the health service's word for the process as a whole.
    fn is_accepting(&self) -> bool {
        self.health.get("") == Some(Serving::Yes)
    }
}

/// Binds the listener; port 0 is allowed, and the caller prints the real one.
pub async fn bind(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::metrics::BuildInfo;

    struct Admin {
        address: std::net::SocketAddr,
        metrics: Metrics,
        health: Health,
        report: watch::Sender<HealthReport>,
    }

    async fn admin() -> Admin {
        let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let build = BuildInfo {
            version: "0.1.0",
            revision: "unknown",
        };
        let metrics = Metrics::new(&build, []);
        let (report, seen) = watch::channel(HealthReport::starting());
        let (health, _) = Health::new(&["", "paygate.capability.sign"]);
        tokio::spawn(serve(
            listener,
            metrics.clone(),
            health.clone(),
            seen,
            std::future::pending(),
        ));
        Admin {
            address,
            metrics,
            health,
            report,
        }
    }

    impl Admin {
        async fn get(&self, path: &str, accept: &str) -> String {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            let request = format!(
                "GET {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        }
    }

    fn check(name: &'static str, status: CheckStatus) -> Check {
        Check {
            name,
            status,
            detail: "said so".to_owned(),
            latency_ms: Some(12),
        }
    }

    #[tokio::test]
    async fn liveness_needs_nothing_and_readiness_is_what_was_reported() {
        let admin = admin().await;
        assert!(admin.get("/livez", "*/*").await.starts_with("HTTP/1.1 200"));
        assert!(
            admin
                .get("/readyz", "*/*")
                .await
                .starts_with("HTTP/1.1 503")
        );
        let checks = vec![check("xrpl", CheckStatus::Unhealthy)];
        admin.health.set("", Serving::Yes);
        admin.report.send_replace(HealthReport {
            checks,
            servers: Vec::new(),
        });
        assert!(
            admin
                .get("/readyz", "*/*")
                .await
                .starts_with("HTTP/1.1 200")
        );
        assert!(
            admin
                .get("/health", "*/*")
                .await
                .starts_with("HTTP/1.1 503")
        );
    }

    #[tokio::test]
    async fn health_is_as_bad_as_its_worst_check() {
        let admin = admin().await;
        let checks = vec![
            check("store", CheckStatus::Healthy),
            check("wallet", CheckStatus::Degraded),
        ];
        admin.health.set("", Serving::Yes);
        admin.report.send_replace(HealthReport {
            checks,
            servers: vec![ServerReport {
                name: "us".to_owned(),
                state: "set aside",
                reason: "its state is syncing".to_owned(),
                validated_ledger: Some(7),
                lag_ledgers: 2,
                latency_ms: 3,
            }],
        });
        let answer = admin.get("/health", "*/*").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(body).unwrap(),
            serde_json::json!({ "status": "degraded", "accepting": true, "checks": [
                { "name": "store", "status": "healthy", "detail": "said so", "latency_ms": 12 },
                { "name": "wallet", "status": "degraded", "detail": "said so", "latency_ms": 12 },
            ], "servers": [
                { "name": "us", "state": "set aside", "reason": "its state is syncing", "validated_ledger": 7, "lag_ledgers": 2, "latency_ms": 3 },
            ], "capabilities": [
                { "name": "", "serving": true, "for_seconds": 0 },
                { "name": "paygate.capability.sign", "serving": false, "reason": "starting", "for_seconds": 0 },
            ]})
        );
    }

    #[tokio::test]
    async fn metrics_come_in_the_classic_format_unless_openmetrics_is_asked_for() {
        let admin = admin().await;
        admin.metrics.payment_entered("ACCEPTED");
        let classic = admin.get("/metrics", "*/*").await;
        assert!(classic.contains(CLASSIC_CONTENT_TYPE), "{classic}");
        assert!(!classic.contains("# EOF"));
        let accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
        let open = admin.get("/metrics", accept).await;
        assert!(
            open.contains(OPENMETRICS_CONTENT_TYPE) && open.ends_with("# EOF\n"),
            "{open}"
        );
    }

    #[tokio::test]
    async fn an_oversize_head_is_refused() {
        let admin = admin().await;
        let answer = admin.get("/livez", &"x".repeat(HEADER_BYTES_MAX + 1)).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}
