//! The tonic server around the vault: who may connect, how many calls run, what is answered.
//!
//! Owns the socket and the translation of the vault's answers to the wire. May not decide anything about a payment. A
//! journal that fails ends the server, since what is on the disk is then unknown.

mod listen;
mod metrics;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use paygate_proto::signer::v1 as wire;
use paygate_telemetry::SpanRing;
use paygate_telemetry::grpc::{StatusLayer, TraceLayer};
use paygate_telemetry::health::{Health, Hysteresis, Serving};
use paygate_telemetry::shutdown::Tasks;
use tokio::sync::{Semaphore, watch};
use tonic::service::interceptor::InterceptedService;
use tonic::service::{LayerExt as _, Routes};
use tonic::{Request, Response, Status};
use tracing::Span;
use wire::signer_service_server::{SignerService, SignerServiceServer};
use wire::telemetry_service_server::{TelemetryService, TelemetryServiceServer};
use xrpl_tx::{Asset, IssuedValue, Slot};

use crate::hardening::{Protection, Report};
use crate::intent::{NoOpRequest, PaymentKey, PaymentRequest, TicketCreateRequest, Version};
use crate::journal::{Head, JournalError};
use crate::policy::Policy;
use crate::vault::{Outcome, Vault};

pub use listen::{ListenError, Socket};
pub use metrics::Metrics;

/// A clock: milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Calls in the vault at once. More wait: each takes a thread while it waits for the disk, and one commit takes 256.
pub const CALLS_MAX: u32 = 64;

/// Largest request: a payment with 1,024 bytes of memos takes less than 2,000.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Streams on one connection. The gateway uses one connection.
const STREAMS_MAX: u32 = 256;

/// A call that has not ended by then has failed for its caller, who asks again with the same request. A commit takes
/// milliseconds, on a bad disk a second.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// How often the key is proven.
const CANARY_INTERVAL: Duration = Duration::from_secs(10);

/// A canary that fails once is a damaged key, not a lost answer; that it is whole again has to be shown thrice.
const CANARY_HYSTERESIS: Hysteresis = Hysteresis {
    up_after: 3,
    down_after: 1,
};

/// How long calls may take to end once the process is told to stop.
const DRAIN: Duration = Duration::from_secs(12);

/// How long the answers of the last calls may take to leave.
const ANSWERS_LEAVE: Duration = Duration::from_millis(300);

/// Spans that one pull takes if it does not say how many, and at most.
const PULL_SPANS_DEFAULT: u32 = 512;
const PULL_SPANS_MAX: u32 = 2048;

/// Names of the health service.
const HEALTH_NAMES: &[&str] = &["", "paygate.signer.v1.SignerService"];

/// Everything that the services need.
pub struct Parts {
    /// The vault.
    pub vault: Arc<Vault>,
    /// What holds of the hardening.
    pub report: Report,
    /// What the configuration waives of it.
    pub waived: Vec<Protection>,
    /// Spans for the gateway to pull.
    pub spans: SpanRing,
}

/// Why the server ended although nobody had asked for it.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket cannot be served.
    #[error("the socket cannot be served: {0}")]
    Socket(#[from] std::io::Error),
    /// The transport gave up.
    #[error("the transport failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The journal failed.
    #[error("the journal failed; what it holds is known after a restart")]
    Journal,
    /// The key does not sign.
    #[error(transparent)]
    Canary(#[from] crate::keys::CanaryError),
    /// A task ended.
    #[error("task {0} ended")]
    Task(&'static str),
}

/// Serves until `stop` resolves, then lets running calls end. `ready` is called once calls are answered.
pub async fn serve(
    socket: Socket,
    parts: Parts,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(),
) -> Result<(), ServeError> {
    let vault = Arc::clone(&parts.vault);
    let callers = socket.callers();
    let waits = socket.into_incoming()?;
    let (health, health_server) = Health::with_hysteresis(HEALTH_NAMES, CANARY_HYSTERESIS);
    vault.canary(system_ms())?;
    HEALTH_NAMES
        .iter()
        .for_each(|name| health.set(name, Serving::Yes));

    let shared = Shared::new(parts, Arc::new(system_ms), Running::OnThreads);
    let tasks = Tasks::new();
    tasks.spawn(
        "canary",
        prove_key(Arc::clone(&shared), health.clone(), tasks.stop_token()),
    );

    let signer = SignerServiceServer::new(Signer(Arc::clone(&shared)))
        .max_decoding_message_size(REQUEST_BYTES_MAX);
    // Around this service only: a span for each pull of spans would never end.
    let signer = TraceLayer::new(Arc::new(|_| ())).named_layer(signer);
    let signer = InterceptedService::new(signer, callers.clone());
    let telemetry = TelemetryServiceServer::new(Telemetry(Arc::clone(&shared)));
    let telemetry = InterceptedService::new(telemetry, callers);
    let drain = tasks.stop_token().into_stopped();
    let server = tonic::transport::Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .layer(StatusLayer::new(CALL_DEADLINE))
        .add_service(health_server)
        .add_service(signer)
        .add_service(telemetry)
        .serve_with_incoming_shutdown(waits, drain);
    let mut server = std::pin::pin!(server);
    ready();

    let mut journal_failed = shared.failed.subscribe();
    tokio::select! {
        result = &mut server => return result.map_err(ServeError::from),
        _ = journal_failed.wait_for(|failed| *failed) => return Err(ServeError::Journal),
        failure = tasks.first_failure() => return Err(ServeError::Task(failure.name)),
        () = stop => {}
    }
    health.end("the signer is stopping");
    tasks.stop();
    // Idle connections and health watches have no end of their own: what counts is that no call is left.
    let calls_over = async {
        let _all = shared.calls.acquire_many(CALLS_MAX).await;
        tokio::time::sleep(ANSWERS_LEAVE).await;
    };
    tokio::select! {
        result = &mut server => result.map_err(ServeError::from),
        () = calls_over => Ok(()),
        // Whoever still waits asks the next process with the same request.
        () = tokio::time::sleep(DRAIN) => {
            tracing::warn!("calls were still running after the drain");
            Ok(())
        }
    }
}

/// The same services without a socket, for a caller in this process.
pub struct InProcess {
    /// All of them, found by the path of a request.
    pub services: Routes,
    /// True once the journal failed: a process would have ended.
    pub failed: watch::Receiver<bool>,
}

/// Serves a caller in this process, under its clock. Calls run on the caller's own thread, one after the other, and have no
/// deadline; the key is proven once.
pub fn in_process(parts: Parts, clock: Clock) -> Result<InProcess, crate::keys::CanaryError> {
    parts.vault.canary(clock())?;
    let (health, health_server) = Health::with_hysteresis(HEALTH_NAMES, CANARY_HYSTERESIS);
    HEALTH_NAMES
        .iter()
        .for_each(|name| health.set(name, Serving::Yes));
    let shared = Shared::new(parts, clock, Running::OnCaller);
    let signer = SignerServiceServer::new(Signer(Arc::clone(&shared)))
        .max_decoding_message_size(REQUEST_BYTES_MAX);
    Ok(InProcess {
        failed: shared.failed.subscribe(),
        services: Routes::new(health_server)
            .add_service(signer)
            .add_service(TelemetryServiceServer::new(Telemetry(shared))),
    })
}

/// Where the calls of the vault run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Running {
    /// On threads that may wait for the disk.
    OnThreads,
    /// On the thread that asks.
    OnCaller,
}

struct Shared {
    clock: Clock,
    running: Running,
    vault: Arc<Vault>,
    report: Report,
    waived: Vec<Protection>,
    spans: SpanRing,
    metrics: Metrics,
    calls: Arc<Semaphore>,
    failed: watch::Sender<bool>,
}

struct Signer(Arc<Shared>);

struct Telemetry(Arc<Shared>);

async fn prove_key(
    shared: Arc<Shared>,
    health: Health,
    mut stop: paygate_telemetry::shutdown::StopToken,
) -> Result<(), Infallible> {
    let mut interval = tokio::time::interval(CANARY_INTERVAL);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = stop.stopped() => return Ok(()),
        }
        let proof = shared.vault.canary((shared.clock)());
        if let Err(error) = &proof {
            tracing::error!(%error, "the key does not sign");
            shared.metrics.canary_failed();
        }
        for name in HEALTH_NAMES {
            health.observe(name, proof.as_ref().copied().map_err(ToString::to_string));
        }
    }
}

/// The process's only clock.
fn system_ms() -> u64 {
    // Before 1970 counts as 1970: the vault takes the journal's time instead.
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

// === impl Shared ===

impl Shared {
    fn new(parts: Parts, clock: Clock, running: Running) -> Arc<Shared> {
        Arc::new(Shared {
            clock,
            running,
            vault: parts.vault,
            report: parts.report,
            waived: parts.waived,
            spans: parts.spans,
            metrics: Metrics::default(),
            calls: Arc::new(Semaphore::new(CALLS_MAX as usize)),
            failed: watch::Sender::new(false),
        })
    }

    /// Runs a call of the vault, at a time of the clock, on a thread that may wait for the disk.
    ///
    /// The call runs to its end even if its caller goes away: what was begun is recorded.
    async fn in_vault<T: Send + 'static>(
        self: &Arc<Self>,
        method: &'static str,
        span: Span,
        call: impl FnOnce(&Vault, u64) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, Status> {
        let permit = Arc::clone(&self.calls)
            .acquire_owned()
            .await
            .map_err(|_| Status::unavailable("the signer is stopping"))?;
        let shared = Arc::clone(self);
        let run = move || {
            let _permit = permit;
            span.in_scope(|| call(&shared.vault, (shared.clock)()))
        };
        let result = match self.running {
            Running::OnThreads => tokio::task::spawn_blocking(run).await,
            Running::OnCaller => Ok(run()),
        };
        match result {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error @ (JournalError::Backlog(_) | JournalError::Full(_)))) => {
                tracing::error!(%error, method, "the journal takes no more");
                self.metrics.failed(method);
                Err(Status::unavailable(error.to_string()))
            }
            Ok(Err(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    method,
                    "the journal failed"
                );
                self.metrics.failed(method);
                self.failed.send_replace(true);
                Err(Status::unavailable(
                    "the journal failed: ask again with the same request",
                ))
            }
            Err(error) => {
                tracing::error!(%error, method, "the call panicked");
                self.metrics.failed(method);
                self.failed.send_replace(true);
                Err(Status::internal(
                    "the call failed: ask again with the same request",
                ))
            }
        }
    }

    /// A signing call of the vault, with what is counted and traced of it.
    async fn sign(
        self: &Arc<Self>,
        method: &'static str,
        span: Span,
        call: impl FnOnce(&Vault, u64) -> Result<Outcome, JournalError> + Send + 'static,
    ) -> Result<Outcome, Status> {
        let outcome = self.in_vault(method, span.clone(), call).await?;
        match &outcome {
            Outcome::Signed { replayed, .. } => {
                span.record("outcome", if *replayed { "replayed" } else { "signed" });
                if *replayed {
                    self.metrics.replayed(method)
                } else {
                    self.metrics.approved(method)
                }
            }
            Outcome::Denied {
                denial, permanent, ..
            } => {
                let reason = denial.reason().as_str_name();
                span.record("outcome", "denied");
                span.record("denial", reason);
                let _entered = span.enter();
                tracing::warn!(method, reason, permanent, %denial, "denied");
                self.metrics.denied(method, reason);
            }
        }
        Ok(outcome)
    }
}

/// What a signing span says of its request: which payment, slot and version; never memos, a destination or bytes.
fn signing_span(
    method: &'static str,
    key: Option<&PaymentKey>,
    slot: Slot,
    version: Version,
) -> Span {
    tracing::info_span!(
        "vault",
        otel.name = method,
        payment_id = key.map(PaymentKey::payment_id),
        client_id = key.map(PaymentKey::client_id),
        slot = slot.number(),
        last_ledger_sequence = version.last_ledger_sequence,
        fee_drops = version.fee_drops,
        outcome = tracing::field::Empty,
        denial = tracing::field::Empty,
    )
}

/// The span of a request that has no meaning.
fn malformed_span(method: &'static str) -> Span {
    tracing::info_span!(
        "vault",
        otel.name = method,
        outcome = tracing::field::Empty,
        denial = tracing::field::Empty
    )
}

// === impl SignerService ===

#[tonic::async_trait]
impl SignerService for Signer {
    async fn describe_signer(
        &self,
        _request: Request<wire::DescribeSignerRequest>,
    ) -> Result<Response<wire::DescribeSignerResponse>, Status> {
        let described = self
            .0
            .in_vault("DescribeSigner", Span::current(), Vault::describe)
            .await?;
        let policy = self.0.vault.policy();
        let holds = |protection| self.0.report.holds(protection);
        Ok(Response::new(wire::DescribeSignerResponse {
            account: described.wallet.account.to_address(),
            public_key: described.public_key.as_bytes().to_vec(),
            network_id: described.wallet.network_id,
            policy_digest: described.policy_digest.to_vec(),
            limits: Some(wire::Limits {
                max_payment_drops: policy.max_payment.get(),
                max_day_drops: policy.max_day.get(),
                used_day_drops: described.used_day.get(),
                max_fee_drops: policy.max_fee.get(),
                last_ledger_window: policy.last_ledger_window,
                assets: asset_limits(policy, &described.used_assets),
            }),
            journal_head: Some(journal_head(described.head)),
            highest_sequence: described.highest_sequence,
            highest_last_ledger_sequence: described.head.highest_last_ledger_sequence,
            store_id: described.store_id.map(Vec::from).unwrap_or_default(),
            epoch: described.epoch,
            hardening: Some(wire::Hardening {
                landlock: holds(Protection::Landlock),
                seccomp: holds(Protection::Seccomp),
                no_new_privs: holds(Protection::NoNewPrivs),
                not_dumpable: holds(Protection::NotDumpable),
                key_memory_locked: holds(Protection::KeyMemory),
                waived: self.0.waived.iter().map(ToString::to_string).collect(),
            }),
            estimated_ledger_index: described.estimated_ledger_index,
            version: env!("CARGO_PKG_VERSION").into(),
            journal_recovery: described.recovery.map(|(height, hash)| wire::JournalHead {
                height,
                hash: hash.to_vec(),
            }),
        }))
    }

    async fn sign_payment(
        &self,
        request: Request<wire::SignPaymentRequest>,
    ) -> Result<Response<wire::SignPaymentResponse>, Status> {
        const METHOD: &str = "vault.sign_payment";
        let outcome = match PaymentRequest::from_wire(request.into_inner()) {
            Ok(request) => {
                let span = signing_span(METHOD, Some(&request.key), request.slot, request.version);
                self.0
                    .sign("SignPayment", span, move |vault, now_ms| {
                        vault.sign_payment(&request, now_ms)
                    })
                    .await?
            }
            Err(malformed) => {
                let span = malformed_span(METHOD);
                self.0
                    .sign("SignPayment", span, |vault, _| {
                        vault.deny_malformed(malformed)
                    })
                    .await?
            }
        };
        let outcome = match signed_or_denied(outcome) {
            Ok(signed) => wire::sign_payment_response::Outcome::Signed(signed),
            Err(denied) => wire::sign_payment_response::Outcome::Denied(denied),
        };
        Ok(Response::new(wire::SignPaymentResponse {
            outcome: Some(outcome),
        }))
    }

    async fn sign_ticket_create(
        &self,
        request: Request<wire::SignTicketCreateRequest>,
    ) -> Result<Response<wire::SignTicketCreateResponse>, Status> {
        const METHOD: &str = "vault.sign_ticket_create";
        let outcome = match TicketCreateRequest::from_wire(request.into_inner()) {
            Ok(request) => {
                let span = signing_span(METHOD, None, request.slot(), request.version);
                self.0
                    .sign("SignTicketCreate", span, move |vault, now_ms| {
                        vault.sign_ticket_create(&request, now_ms)
                    })
                    .await?
            }
            Err(malformed) => {
                let span = malformed_span(METHOD);
                self.0
                    .sign("SignTicketCreate", span, |vault, _| {
                        vault.deny_malformed(malformed)
                    })
                    .await?
            }
        };
        let outcome = match signed_or_denied(outcome) {
            Ok(signed) => wire::sign_ticket_create_response::Outcome::Signed(signed),
            Err(denied) => wire::sign_ticket_create_response::Outcome::Denied(denied),
        };
        Ok(Response::new(wire::SignTicketCreateResponse {
            outcome: Some(outcome),
        }))
    }

    async fn sign_no_op(
        &self,
        request: Request<wire::SignNoOpRequest>,
    ) -> Result<Response<wire::SignNoOpResponse>, Status> {
        const METHOD: &str = "vault.sign_no_op";
        let outcome = match NoOpRequest::from_wire(request.into_inner()) {
            Ok(request) => {
                let span = signing_span(
                    METHOD,
                    request.for_payment.as_ref(),
                    request.slot,
                    request.version,
                );
                self.0
                    .sign("SignNoOp", span, move |vault, now_ms| {
                        vault.sign_noop(&request, now_ms)
                    })
                    .await?
            }
            Err(malformed) => {
                let span = malformed_span(METHOD);
                self.0
                    .sign("SignNoOp", span, |vault, _| vault.deny_malformed(malformed))
                    .await?
            }
        };
        let outcome = match signed_or_denied(outcome) {
            Ok(signed) => wire::sign_no_op_response::Outcome::Signed(signed),
            Err(denied) => wire::sign_no_op_response::Outcome::Denied(denied),
        };
        Ok(Response::new(wire::SignNoOpResponse {
            outcome: Some(outcome),
        }))
    }
}

fn asset_limits(policy: &Policy, used: &[(Asset, IssuedValue)]) -> Vec<wire::AssetLimits> {
    let of = |(asset, used): &(Asset, IssuedValue)| {
        let limits = policy.assets.get(asset)?;
        Some(wire::AssetLimits {
            currency: asset.currency.to_string(),
            issuer: asset.issuer.to_address(),
            max_payment: limits.max_payment.to_string(),
            max_day: limits.max_day.to_string(),
            used_day: used.to_string(),
        })
    };
    used.iter().filter_map(of).collect()
}

fn journal_head(head: Head) -> wire::JournalHead {
    let hash = if head.height == 0 {
        Vec::new()
    } else {
        head.hash.to_vec()
    };
    wire::JournalHead {
        height: head.height,
        hash,
    }
}

/// Signed bytes come from a record that is durable, and from nowhere else.
fn signed_or_denied(outcome: Outcome) -> Result<wire::Signed, wire::Denied> {
    match outcome {
        Outcome::Signed { recorded, replayed } => {
            let transaction = recorded
                .record()
                .transaction()
                .expect("the vault signs transactions, never seals");
            Ok(wire::Signed {
                blob: transaction.blob.clone(),
                tx_hash: transaction.hash.to_vec(),
                journal_head: Some(journal_head(recorded.head())),
                replayed,
            })
        }
        Outcome::Denied {
            denial,
            permanent,
            head,
        } => Err(wire::Denied {
            reason: denial.reason().into(),
            permanent,
            message: denial.to_string(),
            journal_head: Some(journal_head(head)),
        }),
    }
}

// === impl TelemetryService ===

#[tonic::async_trait]
impl TelemetryService for Telemetry {
    async fn pull(
        &self,
        request: Request<wire::PullRequest>,
    ) -> Result<Response<wire::PullResponse>, Status> {
        let max_spans = match request.into_inner().max_spans {
            0 => PULL_SPANS_DEFAULT,
            asked => asked.min(PULL_SPANS_MAX),
        };
        let described = self
            .0
            .in_vault("Pull", Span::none(), Vault::describe)
            .await?;
        Ok(Response::new(wire::PullResponse {
            export_trace_requests: self.0.spans.pull(max_spans as usize),
            spans_dropped: self.0.spans.dropped(),
            metrics: self
                .0
                .metrics
                .read(&described, self.0.vault.policy(), (self.0.clock)()),
        }))
    }
}
