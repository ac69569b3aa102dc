//! The signer of the simulation: the real vault and its real services, on a disk that loses what was not synced.
//!
//! Owns: the lives of one signer on one disk, and what can go wrong on the way to it: the process is not there, dies at any
//! call of its disk or just before it answers, answers late, or its answer is lost. May not: decide anything about a payment,
//! nor answer in the signer's stead.
//!
//! The gateway talks to [`SimSigner::port`], which stays the same over all lives, as a socket's path does.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paygate_proto::signer::v1 as wire;
use paygate_signer::hardening::Report;
use paygate_signer::journal::{Disk, Journal, OpenError};
use paygate_signer::keys::SigningKey;
use paygate_signer::keys::seed::Seed;
use paygate_signer::policy::Policy;
use paygate_signer::server::{Clock, InProcess, Parts, in_process};
use paygate_signer::vault::{Ledger, Vault, Wallet};
use paygate_telemetry::SpanRing;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tonic_health::pb as health;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use wire::signer_service_client::SignerServiceClient;
use wire::signer_service_server::{SignerService, SignerServiceServer};
use wire::telemetry_service_client::TelemetryServiceClient;
use wire::telemetry_service_server::{TelemetryService, TelemetryServiceServer};

use super::disk::{Draw, SimDisk};
use super::facts::{Ask, Fact, Hash, Signature, Sink};

/// Spans that wait to be pulled; nobody looks at them.
const SPANS_MAX: usize = 16;

/// A signer with its disk. Clones are the same one.
#[derive(Clone)]
pub struct SimSigner(Arc<Shared>);

struct Shared {
    seed: String,
    network_id: u32,
    policy: Policy,
    clock: Clock,
    sink: Sink,
    disk: SimDisk,
    life: Mutex<Option<Life>>,
    lives: AtomicU64,
    slips: Mutex<VecDeque<Slip>>,
}

struct Life {
    process: InProcess,
    /// No other life has it.
    number: u64,
}

/// What goes wrong with one request for a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// The request arrives late.
    LateRequest(Duration),
    /// The answer arrives late.
    LateAnswer(Duration),
    /// The answer is lost, the process lives on.
    LostAnswer,
    /// The process dies once everything is durable, and before it answers.
    DiesBeforeAnswer,
}

/// Why a life did not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal refuses, or the disk died.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The journal belongs to another wallet.
    #[error(transparent)]
    Wallet(#[from] paygate_signer::vault::Unfit),
    /// The key cannot be used.
    #[error("the key cannot be used: {0}")]
    Key(String),
}

// === impl SimSigner ===

impl SimSigner {
    /// A signer with an empty disk. It is not running yet.
    #[must_use]
    pub fn new(seed: &str, network_id: u32, policy: Policy, clock: Clock, sink: Sink) -> Self {
        Self(Arc::new(Shared {
            seed: seed.to_owned(),
            network_id,
            policy,
            clock,
            sink,
            disk: SimDisk::new(),
            life: Mutex::new(None),
            lives: AtomicU64::new(0),
            slips: Mutex::new(VecDeque::new()),
        }))
    }

    /// Its disk.
    #[must_use]
    pub fn disk(&self) -> &SimDisk {
        &self.0.disk
    }

    /// Begins a life: opens the journal, as the process does.
    pub fn start(&self) -> Result<(), StartError> {
        let shared = &self.0;
        shared.life().take();
        let number = shared.lives.fetch_add(1, Ordering::Relaxed);
        let disk: Arc<dyn Disk> = Arc::new(shared.disk.clone());
        let ledger = Ledger::open_on(disk, shared.network_id)?;
        let key = |error: String| StartError::Key(error);
        let seed = Seed::parse(shared.seed.as_bytes()).map_err(|error| key(error.to_string()))?;
        let signing = SigningKey::from_seed(seed).map_err(|error| key(error.to_string()))?;
        let wallet = Wallet {
            account: signing.public().account_id(),
            network_id: shared.network_id,
        };
        let vault = Vault::new(wallet, shared.policy.clone(), signing, ledger)?;
        let parts = Parts {
            vault: Arc::new(vault),
            report: Report::default(),
            waived: Vec::new(),
            spans: SpanRing::new(SPANS_MAX),
        };
        let process =
            in_process(parts, Arc::clone(&shared.clock)).map_err(|error| key(error.to_string()))?;
        *shared.life() = Some(Life { process, number });
        (shared.sink)(Fact::SignerBegan(self.journal()?));
        Ok(())
    }

    /// Hashes of all that the journal on the disk holds, read from a copy of it.
    fn journal(&self) -> Result<Vec<Hash>, OpenError> {
        let copy = SimDisk::new();
        copy.put_back(&self.0.disk.copy());
        let mut held = Vec::new();
        Journal::open_on(Arc::new(copy), self.0.network_id, &mut |_, record| {
            held.extend(record.transaction().map(|transaction| transaction.hash));
            Ok(())
        })?;
        Ok(held)
    }

    /// Ends the life at once, and its disk keeps what a crash keeps.
    pub fn kill(&self, draw: Draw<'_>) {
        self.0.life().take();
        self.0.disk.crash(draw);
    }

    /// True if a process is there that answers. One whose disk died or whose journal failed ends by itself.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let life = self.0.life();
        life.as_ref()
            .is_some_and(|life| !self.0.disk.is_dead() && !*life.process.failed.borrow())
    }

    /// The next requests for a signature have these slips, one each.
    pub fn slip(&self, slip: Slip) {
        self.0.slips().push_back(slip);
    }

    /// What a gateway connects to.
    #[must_use]
    pub fn port(&self) -> Routes {
        Routes::new(SignerServiceServer::new(Port(self.clone())))
            .add_service(TelemetryServiceServer::new(Port(self.clone())))
            .add_service(HealthServer::new(Port(self.clone())))
    }

    fn services(&self) -> Result<Routes, Status> {
        if !self.is_alive() {
            return Err(Status::unavailable("nobody listens on the signer's socket"));
        }
        let life = self.0.life();
        let life = life.as_ref().expect("it is alive, as the line above says");
        Ok(life.process.services.clone())
    }

    fn life_number(&self) -> Option<u64> {
        self.is_alive()
            .then(|| self.0.life().as_ref().map(|life| life.number))
            .flatten()
    }

    /// Carries a request for a signature to the process and its answer back, through whatever goes wrong on the way.
    async fn carry<Q, A, F>(
        &self,
        ask: Ask,
        request: Request<Q>,
        call: impl FnOnce(SignerServiceClient<Routes>, Request<Q>) -> F,
        signed: impl Fn(&A) -> Option<&wire::Signed>,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let lost = || Status::unavailable("the connection to the signer is lost");
        (self.0.sink)(Fact::Asked(ask.clone()));
        let slip = self.0.slips().pop_front();
        if let Some(Slip::LateRequest(late)) = slip {
            tokio::time::sleep(late).await;
        }
        let life = self.life_number();
        let services = self.services()?;
        let answer = call(SignerServiceClient::new(services), request).await;
        if slip == Some(Slip::DiesBeforeAnswer) {
            self.0.disk.die();
        }
        if self.life_number() != life {
            return Err(lost());
        }
        if let Ok(answer) = &answer
            && let Some(signed) = signed(answer.get_ref())
        {
            (self.0.sink)(Fact::Signed(Signature {
                ask,
                hash: hash(&signed.tx_hash),
                blob: signed.blob.clone(),
                replayed: signed.replayed,
            }));
        }
        match slip {
            Some(Slip::LostAnswer) => return Err(lost()),
            Some(Slip::LateAnswer(late)) => tokio::time::sleep(late).await,
            _ => {}
        }
        answer
    }
}

impl Shared {
    fn life(&self) -> MutexGuard<'_, Option<Life>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slips(&self) -> MutexGuard<'_, VecDeque<Slip>> {
        self.slips.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(bytes: &[u8]) -> Hash {
    bytes.try_into().unwrap_or_default()
}

fn slot_number(slot: Option<&wire::Slot>) -> u32 {
    match slot.and_then(|slot| slot.kind) {
        Some(wire::slot::Kind::Sequence(number) | wire::slot::Kind::Ticket(number)) => number,
        None => 0,
    }
}

fn key(key: Option<&wire::PaymentKey>) -> Option<String> {
    key.map(|key| format!("{}/{}", key.client_id, key.payment_id))
}

// === what listens on the socket ===

struct Port(SimSigner);

#[tonic::async_trait]
impl SignerService for Port {
    async fn describe_signer(
        &self,
        request: Request<wire::DescribeSignerRequest>,
    ) -> Result<Response<wire::DescribeSignerResponse>, Status> {
        SignerServiceClient::new(self.0.services()?)
            .describe_signer(request)
            .await
    }

    async fn sign_payment(
        &self,
        request: Request<wire::SignPaymentRequest>,
    ) -> Result<Response<wire::SignPaymentResponse>, Status> {
        let asked = request.get_ref();
        let ask = Ask {
            epoch: asked.fence.as_ref().map_or(0, |fence| fence.epoch),
            slot: slot_number(asked.slot.as_ref()),
            key: key(asked.key.as_ref()),
            is_payment: true,
            fee: asked.fee_drops,
            last_ledger: asked.last_ledger_sequence,
        };
        let call = |mut client: SignerServiceClient<Routes>, request| async move {
            client.sign_payment(request).await
        };
        self.0
            .carry(
                ask,
                request,
                call,
                |answer: &wire::SignPaymentResponse| match &answer.outcome {
                    Some(wire::sign_payment_response::Outcome::Signed(signed)) => Some(signed),
                    _ => None,
                },
            )
            .await
    }

    async fn sign_ticket_create(
        &self,
        request: Request<wire::SignTicketCreateRequest>,
    ) -> Result<Response<wire::SignTicketCreateResponse>, Status> {
        SignerServiceClient::new(self.0.services()?)
            .sign_ticket_create(request)
            .await
    }

    async fn sign_no_op(
        &self,
        request: Request<wire::SignNoOpRequest>,
    ) -> Result<Response<wire::SignNoOpResponse>, Status> {
        let asked = request.get_ref();
        let ask = Ask {
            epoch: asked.fence.as_ref().map_or(0, |fence| fence.epoch),
            slot: slot_number(asked.slot.as_ref()),
            key: key(asked.for_payment.as_ref()),
            is_payment: false,
            fee: asked.fee_drops,
            last_ledger: asked.last_ledger_sequence,
        };
        let call = |mut client: SignerServiceClient<Routes>, request| async move {
            client.sign_no_op(request).await
        };
        self.0
            .carry(
                ask,
                request,
                call,
                |answer: &wire::SignNoOpResponse| match &answer.outcome {
                    Some(wire::sign_no_op_response::Outcome::Signed(signed)) => Some(signed),
                    _ => None,
                },
            )
            .await
    }
}

#[tonic::async_trait]
impl TelemetryService for Port {
    async fn pull(
        &self,
        request: Request<wire::PullRequest>,
    ) -> Result<Response<wire::PullResponse>, Status> {
        TelemetryServiceClient::new(self.0.services()?)
            .pull(request)
            .await
    }
}

#[tonic::async_trait]
impl Health for Port {
    type WatchStream = tonic::codec::Streaming<health::HealthCheckResponse>;

    async fn check(
        &self,
        request: Request<health::HealthCheckRequest>,
    ) -> Result<Response<health::HealthCheckResponse>, Status> {
        HealthClient::new(self.0.services()?).check(request).await
    }

    async fn watch(
        &self,
        request: Request<health::HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        HealthClient::new(self.0.services()?).watch(request).await
    }
}
