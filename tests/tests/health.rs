//! Stories of a signal that goes away and comes back: what Check and Watch say, the reason in `/health`, and that each
//! outage is told as one: down once, up once, and nothing else moves.
//!
//! Ledgers close only while the story lets them, so that a halted network is a matter of not closing any.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use paygate_proto::signer::v1 as wire;
use paygate_proto::v1::{PaymentState, UnfreezeRequest};
use paygate_tests::world::client::{Client, DROPS_PER_XRP, payment, unix_channel};
use paygate_tests::world::wallet::{SeedType, Wallet, payee};
use paygate_tests::world::{NETWORK_ID, Setup, World, http};
use ring::signature::Ed25519KeyPair;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::HealthReporter;
use wire::signer_service_client::SignerServiceClient;
use wire::signer_service_server::{SignerService, SignerServiceServer};
use wire::telemetry_service_client::TelemetryServiceClient;
use wire::telemetry_service_server::{TelemetryService, TelemetryServiceServer};
use xrpl::core::binarycodec::{encode, encode_for_signing};

/// Three bad looks of a second each, a request's deadline, and a busy machine.
const TOLD_WITHIN: Duration = Duration::from_secs(40);

const POLL: Duration = Duration::from_millis(100);

/// Between two ledgers, while they close.
const CLOSE_EVERY: Duration = Duration::from_millis(300);

/// What the wallet holds at first: a payment of five brings it below its minimum of ten.
const WALLET_XRP: u64 = 14;

/// Every name of the gateway's health service.
const NAMES: [&str; 9] = [
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

/// What goes with the ledger.
const WITH_THE_LEDGER: [&str; 3] = ["ledger", "submit", "confirm"];

/// What goes with the signer.
const WITH_THE_SIGNER: [&str; 2] = ["sign", "submit"];

/// What goes with the store: nothing is left but to look.
const WITH_THE_STORE: [&str; 6] = [
    "",
    "paygate.v1.PaymentService",
    "accept",
    "submit",
    "confirm",
    "store",
];

// === the scene ===

/// A world whose health is watched on every name from the beginning.
struct Scene {
    world: World,
    watched: BTreeMap<&'static str, Arc<Mutex<Vec<bool>>>>,
    closing: Arc<AtomicBool>,
    /// Somebody else with money.
    benefactor: Wallet,
    spoilt: Option<SpoiltSigner>,
}

/// Stands before the signer, hands everything on, and spoils what the story wants spoilt: the key itself is out of reach.
#[derive(Clone)]
struct SpoiltSigner {
    signer: SignerServiceClient<Channel>,
    telemetry: TelemetryServiceClient<Channel>,
    health: HealthReporter,
    signs: Arc<AtomicBool>,
}

/// An outage, and what must be told of it.
struct Outage<'a> {
    what: &'static str,
    /// Names that go down; `sign` stands for `paygate.capability.sign`.
    names: &'a [&'a str],
    /// The check of `/health` that is unhealthy, and a part of its detail.
    check: Option<(&'static str, &'static str)>,
    /// A part of the reason of the first name.
    reason: &'static str,
}

fn full(name: &str) -> &'static str {
    NAMES
        .into_iter()
        .find(|full| *full == name || full.strip_prefix("paygate.capability.") == Some(name))
        .unwrap()
}

impl Scene {
    async fn start() -> Scene {
        Scene::with_signer_at(None).await
    }

    /// The gateway asks for signatures somewhere else than at the real signer's socket.
    async fn with_signer_at(socket: Option<&Path>) -> Scene {
        let benefactor = Wallet::random(SeedType::Ed25519);
        let short = |key: &str, ms: u32| (format!("PAYGATE__XRPL__{key}_MS"), ms.to_string());
        let elsewhere = socket.map(|path| {
            let variable = "PAYGATE__SIGNER__SOCKET_PATH".to_owned();
            (variable, path.display().to_string())
        });
        let mut world = World::prepare(Setup {
            close_ms: 0,
            wallet_xrp: WALLET_XRP,
            funded: vec![(payee("alice"), 100), (benefactor.address(), 1_000)],
            gateway_variables: vec![
                short("REQUEST_TIMEOUT", 2_000),
                short("CONNECT_TIMEOUT", 2_000),
                short("HEALTH_CHECK_INTERVAL", 2_000),
                short("HALTED_AFTER", 5_000),
            ]
            .into_iter()
            .chain(elsewhere)
            .collect(),
            ..Setup::default()
        })
        .await
        .unwrap();
        let closing = Arc::new(AtomicBool::new(true));
        tokio::spawn(close_ledgers(world.ledger(), closing.clone()));
        world.start_signer().await.unwrap();
        let spoilt = match socket {
            Some(path) => Some(SpoiltSigner::start(&world.signer_socket(), path).await),
            None => None,
        };
        world.start_gateway().await.unwrap();
        let mut scene = Scene {
            spoilt,
            world,
            watched: BTreeMap::new(),
            closing,
            benefactor,
        };
        scene.watch().await;
        for name in NAMES {
            scene.until(name, true).await;
        }
        // A second look at everything: what is told from here on is of the outages.
        for told in scene.watched.values() {
            assert_eq!(told.lock().unwrap().last(), Some(&true));
            told.lock().unwrap().clear();
        }
        scene
    }

    /// Half of the names on the health listener, which needs no more than the other one.
    async fn watch(&mut self) {
        let listeners = self.world.listeners();
        let ways = [&listeners.grpc, &listeners.health].map(|at| watching_channel(at));
        for (n, name) in NAMES.into_iter().enumerate() {
            let told = Arc::new(Mutex::new(Vec::new()));
            self.watched.insert(name, told.clone());
            let stream = HealthClient::new(ways[n % 2].clone())
                .watch(asked(name))
                .await
                .unwrap()
                .into_inner();
            tokio::spawn(async move {
                let mut stream = stream;
                while let Some(Ok(answer)) = stream.next().await {
                    let serving = answer.status() == ServingStatus::Serving;
                    told.lock().unwrap().push(serving);
                }
            });
        }
    }

    fn check_channel(&self) -> Channel {
        self.world.client().channel()
    }

    async fn until(&self, name: &'static str, serving: bool) {
        until(self.check_channel(), name, serving).await;
    }

    async fn health(&self) -> (u16, Value) {
        let answer = http::get(&self.world.listeners().metrics, "/health")
            .await
            .unwrap();
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    /// Waits until the outage is told on every way in.
    async fn is_down(&self, outage: &Outage<'_>) {
        let what = outage.what;
        for name in outage.names {
            self.until(full(name), false).await;
        }
        let (code, health) = self.health().await;
        for name in outage.names {
            let shown = capability(&health, full(name));
            assert_eq!(shown["serving"], false, "{what}: {name}: {health}");
            assert_ne!(shown["reason"], "", "{what}: {name}: {health}");
        }
        let reason = capability(&health, full(outage.names[0]))["reason"].to_string();
        assert!(reason.contains(outage.reason), "{what}: {reason}");
        if let Some((check, detail)) = outage.check {
            assert_eq!(code, 503, "{what}: {health}");
            let shown = entry(&health["checks"], check);
            assert_eq!(shown["status"], "unhealthy", "{what}: {health}");
            let said = shown["detail"].to_string();
            assert!(said.contains(detail), "{what}: {said}");
        }
        let ready = http::get(&self.world.listeners().metrics, "/readyz")
            .await
            .unwrap();
        let accepts = !outage.names.contains(&"");
        assert_eq!(ready.status, if accepts { 200 } else { 503 }, "{what}");
    }

    /// Waits until everything serves again, and looks whether it was told as one outage.
    async fn is_over(&self, outage: &Outage<'_>) {
        let what = outage.what;
        for name in outage.names {
            self.until(full(name), true).await;
        }
        // A flap would come with the next looks.
        let health = eventually(what, || async {
            let (code, health) = self.health().await;
            (code == 200).then_some(health)
        })
        .await;
        assert_eq!(health["accepting"], true, "{what}");
        let names: Vec<_> = outage.names.iter().map(|name| full(name)).collect();
        for (name, told) in &self.watched {
            let told = std::mem::take(&mut *told.lock().unwrap());
            let wanted: &[bool] = if names.contains(name) {
                &[false, true]
            } else {
                &[]
            };
            assert_eq!(told, wanted, "{what}: what Watch told of {name:?}");
        }
    }
}

impl SpoiltSigner {
    async fn start(real: &Path, at: &Path) -> SpoiltSigner {
        let (health, health_server) = tonic_health::server::health_reporter();
        let spoilt = SpoiltSigner {
            signer: SignerServiceClient::new(unix_channel(real)),
            telemetry: TelemetryServiceClient::new(unix_channel(real)),
            health,
            signs: Arc::new(AtomicBool::new(true)),
        };
        spoilt.set_canary(true).await;
        let server = tonic::transport::Server::builder()
            .add_service(health_server)
            .add_service(SignerServiceServer::new(spoilt.clone()))
            .add_service(TelemetryServiceServer::new(spoilt.clone()))
            .serve_with_incoming(UnixListenerStream::new(UnixListener::bind(at).unwrap()));
        tokio::spawn(server);
        spoilt
    }

    async fn set_canary(&self, verifies: bool) {
        let status = match verifies {
            true => tonic_health::ServingStatus::Serving,
            false => tonic_health::ServingStatus::NotServing,
        };
        let name = "paygate.signer.v1.SignerService";
        self.health.set_service_status(name, status).await;
    }
}

#[tonic::async_trait]
impl SignerService for SpoiltSigner {
    async fn describe_signer(
        &self,
        request: Request<wire::DescribeSignerRequest>,
    ) -> Result<Response<wire::DescribeSignerResponse>, Status> {
        self.signer.clone().describe_signer(request).await
    }

    async fn sign_payment(
        &self,
        request: Request<wire::SignPaymentRequest>,
    ) -> Result<Response<wire::SignPaymentResponse>, Status> {
        if !self.signs.load(Ordering::Relaxed) {
            return Err(Status::unavailable("the journal takes no more"));
        }
        self.signer.clone().sign_payment(request).await
    }

    async fn sign_ticket_create(
        &self,
        request: Request<wire::SignTicketCreateRequest>,
    ) -> Result<Response<wire::SignTicketCreateResponse>, Status> {
        self.signer.clone().sign_ticket_create(request).await
    }

    async fn sign_no_op(
        &self,
        request: Request<wire::SignNoOpRequest>,
    ) -> Result<Response<wire::SignNoOpResponse>, Status> {
        self.signer.clone().sign_no_op(request).await
    }
}

#[tonic::async_trait]
impl TelemetryService for SpoiltSigner {
    async fn pull(
        &self,
        request: Request<wire::PullRequest>,
    ) -> Result<Response<wire::PullResponse>, Status> {
        self.telemetry.clone().pull(request).await
    }
}

async fn close_ledgers(ledger: paygate_tests::world::ledger::Ledger, closing: Arc<AtomicBool>) {
    loop {
        if closing.load(Ordering::Relaxed) {
            // A server that is down or stands still is a part of the story.
            let _ = tokio::time::timeout(CLOSE_EVERY, ledger.close_ledger()).await;
        }
        tokio::time::sleep(CLOSE_EVERY).await;
    }
}

/// Without the deadline that other calls have: a watch lasts.
fn watching_channel(address: &str) -> Channel {
    Channel::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_lazy()
}

fn asked(name: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: name.to_owned(),
    }
}

async fn until(channel: Channel, name: &str, serving: bool) {
    let wanted = if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    let deadline = Instant::now() + TOLD_WITHIN;
    loop {
        let answer = HealthClient::new(channel.clone()).check(asked(name)).await;
        if answer
            .as_ref()
            .is_ok_and(|answer| answer.get_ref().status() == wanted)
        {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{name:?} is not {wanted:?}: {answer:?}"
        );
        tokio::time::sleep(POLL).await;
    }
}

async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + TOLD_WITHIN;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: it never came");
        tokio::time::sleep(POLL).await;
    }
}

fn entry<'a>(list: &'a Value, name: &str) -> &'a Value {
    list.as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["name"] == name)
        .unwrap()
}

fn capability<'a>(health: &'a Value, name: &str) -> &'a Value {
    entry(&health["capabilities"], name)
}

fn signal(pid: &Value, signal: Signal) {
    let pid = i32::try_from(pid.as_u64().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// A payment that was made outside: with the wallet's own key it is foreign, from others it is income.
async fn pay_outside(world: &World, from: &Wallet, to: &str, drops: u64) -> String {
    let ledger = world.ledger();
    let (_, sequence) = ledger.account(&from.address()).await.unwrap().unwrap();
    let last = ledger.validated_index().await.unwrap() + 100;
    let pair = Ed25519KeyPair::from_seed_unchecked(&from.private_key).unwrap();
    let mut public = vec![0xED];
    public.extend(ring::signature::KeyPair::public_key(&pair).as_ref());
    let tx = json!({
        "TransactionType": "Payment", "Account": from.address(), "Destination": to, "Amount": drops.to_string(),
        "Fee": "10", "Flags": 0, "NetworkID": NETWORK_ID, "Sequence": sequence, "LastLedgerSequence": last,
        "SigningPubKey": hex::encode_upper(public),
    });
    let mut tx = tx.as_object().unwrap().clone();
    let message = hex::decode(encode_for_signing(&tx).unwrap()).unwrap();
    let signature = hex::encode_upper(pair.sign(&message));
    tx.insert("TxnSignature".to_owned(), json!(signature));
    let params = json!({ "tx_blob": encode(&tx).unwrap() });
    let answer = ledger.ask("submit", params).await.unwrap();
    assert_eq!(answer["engine_result"], "tesSUCCESS", "{answer}");
    answer["tx_json"]["hash"].as_str().unwrap().to_owned()
}

// === the stories ===

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_goes_away_stands_still_and_halts() {
    let mut scene = Scene::start().await;
    let gone = Outage {
        what: "the ledger's server is killed",
        names: &WITH_THE_LEDGER,
        check: Some(("xrpl", "no connection to the ledger")),
        reason: "no connection to the ledger",
    };
    scene.world.kill_ledger();
    scene.is_down(&gone).await;
    scene.world.start_ledger().await.unwrap();
    scene.is_over(&gone).await;

    let frozen = Outage {
        what: "the ledger's server is stopped by a signal",
        check: Some(("xrpl", "ledger")),
        reason: "ledger",
        ..gone
    };
    let pid = scene.world.pids()["ledger"].clone();
    signal(&pid, Signal::STOP);
    scene.is_down(&frozen).await;
    signal(&pid, Signal::CONT);
    scene.is_over(&frozen).await;

    let halted = Outage {
        what: "no ledger closes",
        check: Some(("xrpl", "halted")),
        reason: "the network is halted",
        ..frozen
    };
    scene.closing.store(false, Ordering::Relaxed);
    scene.is_down(&halted).await;
    scene.closing.store(true, Ordering::Relaxed);
    scene.is_over(&halted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signer_goes_away_and_stands_still() {
    let mut scene = Scene::start().await;
    let gone = Outage {
        what: "the signer is killed",
        names: &WITH_THE_SIGNER,
        check: Some(("signer", "does not answer")),
        reason: "the signer does not answer",
    };
    scene.world.kill_signer();
    scene.is_down(&gone).await;
    scene.world.start_signer().await.unwrap();
    scene.is_over(&gone).await;

    let frozen = Outage {
        what: "the signer is stopped by a signal",
        check: Some(("signer", "has not answered for")),
        reason: "the signer has not answered for",
        ..gone
    };
    let pid = scene.world.pids()["signer"].clone();
    signal(&pid, Signal::STOP);
    scene.is_down(&frozen).await;
    signal(&pid, Signal::CONT);
    scene.is_over(&frozen).await;

    let socket = unix_channel(&scene.world.signer_socket());
    for name in ["", "paygate.signer.v1.SignerService"] {
        until(socket.clone(), name, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signers_key_fails_and_its_journal_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::with_signer_at(Some(&folder.path().join("signer.sock"))).await;
    let spoilt = scene.spoilt.clone().unwrap();
    let damaged = Outage {
        what: "the signer's canary signature does not verify",
        names: &WITH_THE_SIGNER,
        check: Some(("signer", "canary")),
        reason: "the signer's canary signature fails",
    };
    spoilt.set_canary(false).await;
    scene.is_down(&damaged).await;
    spoilt.set_canary(true).await;
    scene.is_over(&damaged).await;

    let full = Outage {
        what: "the signer answers questions and does not sign",
        check: Some(("signer", "the journal takes no more")),
        reason: "the journal takes no more",
        ..damaged
    };
    spoilt.signs.store(false, Ordering::Relaxed);
    let client = scene.world.client();
    client
        .create(payment("waits", &payee("alice"), DROPS_PER_XRP))
        .await
        .unwrap();
    scene.is_down(&full).await;
    spoilt.signs.store(true, Ordering::Relaxed);
    scene.is_over(&full).await;
    let paid = client.until_final("waits", TOLD_WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wallet_is_drained_and_somebody_else_uses_its_key() {
    let scene = Scene::start().await;
    let drained = Outage {
        what: "the wallet is paid down below its minimum",
        names: &["wallet"],
        check: Some(("wallet", "below the minimum 10")),
        reason: "below the minimum 10",
    };
    let client = scene.world.client();
    client
        .create(payment("drain", &payee("alice"), 5 * DROPS_PER_XRP))
        .await
        .unwrap();
    let paid = client.until_final("drain", TOLD_WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
    scene.is_down(&drained).await;
    let wallet = scene.world.wallet().clone();
    pay_outside(
        &scene.world,
        &scene.benefactor,
        &wallet.address(),
        100 * DROPS_PER_XRP,
    )
    .await;
    scene.is_over(&drained).await;

    let frozen = Outage {
        what: "a transaction of the wallet that was not made here",
        names: &["submit"],
        check: None,
        reason: "the key may be in other hands",
    };
    let foreign = pay_outside(&scene.world, &wallet, &payee("alice"), DROPS_PER_XRP).await;
    scene.is_down(&frozen).await;
    let request = UnfreezeRequest {
        reason: "the story's own transaction".to_owned(),
        acknowledged_tx_hashes: vec![foreign],
    };
    client.operations().unfreeze(request).await.unwrap();
    scene.is_over(&frozen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_held_by_somebody_else() {
    let scene = Scene::start().await;
    let held = Outage {
        what: "another program holds the database",
        names: &WITH_THE_STORE,
        check: Some(("store", "the store")),
        reason: "the store",
    };
    let other = rusqlite::Connection::open(scene.world.path("gateway/paygate.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    scene.is_down(&held).await;
    let client = Client::new(&scene.world.listeners().grpc);
    let refused = client
        .create(payment("refused", &payee("alice"), DROPS_PER_XRP))
        .await;
    assert!(refused.is_err(), "nothing can be stored: {refused:?}");
    other.execute_batch("ROLLBACK").unwrap();
    scene.is_over(&held).await;
    // The same id, again: whether the first call was stored does not matter.
    let again = payment("refused", &payee("alice"), DROPS_PER_XRP);
    client
        .create_until_stored(&again, TOLD_WITHIN)
        .await
        .unwrap();
    let paid = client.until_final("refused", TOLD_WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
}
