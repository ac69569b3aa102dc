//! What the benches share: a gateway's surface on a store, and rounds of calls with their times and CPU.
//!
//! Owns: how a round is measured. May not: print.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paygate::api::access::Access;
use paygate::api::{self, Api, Settings};
use paygate::clock;
use paygate::metrics::{BuildInfo, Metrics};
use paygate::store::{Store, StoreOptions};
use paygate::view::View;
use paygate_payments::intent::Wallet;
use paygate_payments::limits::Limits;
use paygate_proto::v1::CreatePaymentRequest;
use paygate_proto::v1::create_payment_request::Amount;
use paygate_proto::v1::payment_service_client::PaymentServiceClient;
use paygate_telemetry::health::Health;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use xrpl_tx::{AccountId, Drops};

/// Connections that callers share.
pub(crate) const CONNECTIONS: usize = 4;
/// Rounds, of which the median is told.
pub(crate) const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);

/// A caller's connection.
pub(crate) type Client = PaymentServiceClient<Channel>;

/// Calls of one round.
pub(crate) struct Round {
    /// Calls answered in a second.
    pub(crate) per_second: f64,
    /// Half of the calls took no longer.
    pub(crate) p50: Duration,
    /// 99 of 100 took no longer.
    pub(crate) p99: Duration,
    /// CPU time of a call, client's side included: what does not change when others use the machine too.
    pub(crate) cpu: Cpu,
}

/// CPU time, in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Cpu {
    /// All threads.
    pub(crate) process: f64,
    /// Of it, the store's one writing thread.
    pub(crate) writer: f64,
}

impl Cpu {
    /// What was used up to now.
    fn now() -> Cpu {
        let mut cpu = Cpu {
            process: 0.0,
            writer: 0.0,
        };
        for task in std::fs::read_dir("/proc/self/task").unwrap() {
            let task = task.unwrap().path();
            // A thread may end while we look.
            let Ok(schedstat) = std::fs::read_to_string(task.join("schedstat")) else {
                continue;
            };
            let ran_ns: f64 = schedstat.split(' ').next().unwrap().parse().unwrap();
            cpu.process += ran_ns / 1000.0;
            if std::fs::read_to_string(task.join("comm")).is_ok_and(|c| c.trim() == "store-writer")
            {
                cpu.writer += ran_ns / 1000.0;
            }
        }
        cpu
    }
}

/// One XRP to somebody, as a payment of its own.
pub(crate) fn request(number: u64) -> CreatePaymentRequest {
    CreatePaymentRequest {
        payment_id: format!("bench-{number:012}"),
        destination: "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe".to_owned(),
        destination_tag: Some(7),
        amount: Some(Amount::XrpDrops(1_000_000)),
        ..CreatePaymentRequest::default()
    }
}

/// The wallet of every store here.
pub(crate) fn options(directory: &Path) -> StoreOptions {
    StoreOptions {
        path: directory.join("paygate.db"),
        wallet: Wallet {
            network_id: 21_337,
            account: AccountId::from_bytes([7; 20]),
            source_tag: None,
        },
        limits: Limits {
            payment_min: Drops::from_const(1),
            payment_max: Drops::MAX,
            day_max: Drops::MAX,
            pending_max: 1_000_000_000,
            assets: Vec::new(),
            approval_threshold: None,
            approval_window: paygate_payments::limits::APPROVAL_WINDOW_DEFAULT,
            clients: Vec::new(),
            stage: None,
        },
    }
}

/// Serves the store in `directory`, limits raised: 10^11 XRP a day, 10^9 pending. Its address.
pub(crate) async fn gateway(directory: &Path) -> String {
    format!(
        "http://{}",
        gateway_of(options(directory), Access::local).await
    )
}

/// Serves this store to those whom `access` lets in. Where.
pub(crate) async fn gateway_of(
    options: StoreOptions,
    access: impl FnOnce(Metrics) -> Access,
) -> SocketAddr {
    let wallet = options.wallet.clone();
    let store = Store::open(options).unwrap();
    let build = BuildInfo {
        version: "bench",
        revision: "unknown",
    };
    let settings = Settings {
        profile: "dev",
        role: "all",
        servers: Vec::new(),
        agreement: 1,
        watched: Vec::new(),
        request_bytes_max: 10_240,
        reflection: false,
    };
    let metrics = Metrics::new(
        &build,
        ["paygate.v1.PaymentService/CreatePayment".to_owned()],
    );
    let api = Api {
        settings: Arc::new(settings),
        access: access(metrics.clone()),
        store,
        view: View::default(),
        metrics,
        wallet,
        wake: Arc::new(Notify::new()),
        started: clock::now(),
        health: Health::new(api::HEALTH_NAMES).0,
        inquiry: None,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(api::serve(
        api,
        listener,
        Arc::new(|_| {}),
        std::future::pending(),
    ));
    address
}

/// Connections to it.
pub(crate) async fn connect(address: String) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let channel = Channel::from_shared(address.clone())
            .unwrap()
            .connect()
            .await
            .unwrap();
        clients.push(PaymentServiceClient::new(channel));
    }
    clients
}

/// Each of `in_flight` callers asks again as soon as it has its answer.
pub(crate) async fn round<C, F>(clients: &[Client], in_flight: usize, call: C) -> Round
where
    C: Fn(Client) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let mut callers = JoinSet::new();
    let (began, before) = (Instant::now(), Cpu::now());
    for caller in 0..in_flight {
        let client = clients[caller % clients.len()].clone();
        let call = call.clone();
        callers.spawn(async move {
            let mut took = Vec::new();
            while began.elapsed() < ROUND {
                let asked = Instant::now();
                call(client.clone()).await;
                took.push(asked.elapsed());
            }
            took
        });
    }
    let mut took: Vec<Duration> = callers.join_all().await.concat();
    let (elapsed, after) = (began.elapsed(), Cpu::now());
    took.sort_unstable();
    let calls = took.len() as f64;
    Round {
        cpu: Cpu {
            process: (after.process - before.process) / calls,
            writer: (after.writer - before.writer) / calls,
        },
        per_second: calls / elapsed.as_secs_f64(),
        p50: took[took.len() / 2],
        p99: took[took.len() * 99 / 100],
    }
}

/// The round in the middle.
pub(crate) fn median(mut rounds: Vec<Round>) -> Round {
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    rounds.swap_remove(rounds.len() / 2)
}

/// For people.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
