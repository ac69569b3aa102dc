//! The scene of the stories about health: a world whose names are all watched from the beginning, on both listeners.
//!
//! Owns: what must be told of an outage and of its end. Ledgers close only while a story lets them, so that a halted network is
//! a matter of not closing any.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use paygate_tests::world::ledger::Ledger;
use paygate_tests::world::wallet::{SeedType, Wallet, payee};
use paygate_tests::world::{NETWORK_ID, Setup, World, http};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use xrpl::core::binarycodec::{encode, encode_for_signing};

use super::spoilt::SpoiltSigner;

/// Three bad looks of a second each, a request's deadline, and a busy machine.
pub(crate) const TOLD_WITHIN: Duration = Duration::from_secs(40);

/// A name that has served for so long was looked at again, twice.
const SETTLED_SECONDS: u64 = 2;

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

/// A world whose health is watched on every name from the beginning.
pub(crate) struct Scene {
    /// Unmounted first, so that the world's directory can go.
    disk: Option<SmallDisk>,
    pub(crate) world: World,
    watched: BTreeMap<&'static str, Arc<Mutex<Vec<bool>>>>,
    pub(crate) closing: Arc<AtomicBool>,
    /// Somebody else with money.
    pub(crate) benefactor: Wallet,
    pub(crate) spoilt: Option<SpoiltSigner>,
}

/// A file system in memory, which is soon full.
struct SmallDisk(PathBuf);

/// An outage, and what must be told of it.
pub(crate) struct Outage<'a> {
    pub(crate) what: &'static str,
    /// Names that go down; `sign` stands for `paygate.capability.sign`.
    pub(crate) names: &'a [&'a str],
    /// The check of `/health` that is unhealthy, and a part of its detail.
    pub(crate) check: Option<(&'static str, &'static str)>,
    /// A part of the reason of the first name.
    pub(crate) reason: &'static str,
}

fn full(name: &str) -> &'static str {
    NAMES
        .into_iter()
        .find(|full| *full == name || full.strip_prefix("paygate.capability.") == Some(name))
        .unwrap()
}

impl Scene {
    pub(crate) async fn start() -> Scene {
        Scene::prepare(None).await.begin(None).await
    }

    /// The gateway asks for signatures somewhere else than at the real signer's socket.
    pub(crate) async fn with_signer_at(socket: &Path) -> Scene {
        Scene::prepare(Some(socket)).await.begin(Some(socket)).await
    }

    /// The gateway's store lies on a disk of two megabytes. None: this user may not mount one.
    pub(crate) async fn on_a_small_disk() -> Option<Scene> {
        let mut scene = Scene::prepare(None).await;
        scene.disk = Some(SmallDisk::mount(&scene.world.path("gateway"))?);
        Some(scene.begin(None).await)
    }

    async fn prepare(socket: Option<&Path>) -> Scene {
        let benefactor = Wallet::random(SeedType::Ed25519);
        let short = |key: &str, ms: u32| (format!("PAYGATE__XRPL__{key}_MS"), ms.to_string());
        let elsewhere = socket.map(|path| {
            let variable = "PAYGATE__SIGNER__SOCKET_PATH".to_owned();
            (variable, path.display().to_string())
        });
        let world = World::prepare(Setup {
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
        Scene {
            disk: None,
            world,
            watched: BTreeMap::new(),
            closing,
            benefactor,
            spoilt: None,
        }
    }

    async fn begin(mut self, socket: Option<&Path>) -> Scene {
        self.world.start_signer().await.unwrap();
        if let Some(path) = socket {
            let real = self.world.signer_socket();
            self.spoilt = Some(SpoiltSigner::start(&real, path).await);
        }
        self.world.start_gateway().await.unwrap();
        self.watch().await;
        for name in NAMES {
            self.until(name, true).await;
        }
        // What is told from here on is of the outages.
        for (name, told) in &self.watched {
            let serves = || async {
                told.lock()
                    .unwrap()
                    .last()
                    .copied()
                    .filter(|serves| *serves)
            };
            eventually(name, serves).await;
            told.lock().unwrap().clear();
        }
        self
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
    pub(crate) async fn is_down(&self, outage: &Outage<'_>) {
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
    pub(crate) async fn is_over(&self, outage: &Outage<'_>) {
        let what = outage.what;
        for name in outage.names {
            self.until(full(name), true).await;
        }
        // A flap would come with the next looks, of which there is one a second.
        let health = eventually(what, || async {
            let (code, health) = self.health().await;
            let settled = outage.names.iter().all(|name| {
                let served = &capability(&health, full(name))["for_seconds"];
                served.as_u64() >= Some(SETTLED_SECONDS)
            });
            (code == 200 && settled).then_some(health)
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

impl SmallDisk {
    /// None: only root may, and not everywhere.
    fn mount(at: &Path) -> Option<SmallDisk> {
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs"])
            .arg(at)
            .output();
        done.is_ok_and(|done| done.status.success())
            .then(|| SmallDisk(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the gateway still has files open there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

async fn close_ledgers(ledger: Ledger, closing: Arc<AtomicBool>) {
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

pub(crate) async fn until(channel: Channel, name: &str, serving: bool) {
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

pub(crate) fn signal(pid: &Value, signal: Signal) {
    let pid = i32::try_from(pid.as_u64().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// A payment that was made outside: with the wallet's own key it is foreign, from others it is income.
pub(crate) async fn pay_outside(world: &World, from: &Wallet, to: &str, drops: u64) -> String {
    let ledger = world.ledger();
    let (_, sequence) = ledger.account(&from.address()).await.unwrap().unwrap();
    let last = ledger.validated_index().await.unwrap() + 100;
    let pair = Ed25519KeyPair::from_seed_unchecked(&from.private_key).unwrap();
    let mut public = vec![0xED];
    public.extend(pair.public_key().as_ref());
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
