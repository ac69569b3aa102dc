//! Hostile callers, and what good ones notice of them: nothing is stored of what was refused, nothing panics, memory stays bounded, health is
//! answered, and good payments go on at no less than half of the rate that they had before.
//!
//! 1,000 hostile requests, some eight seconds; 10,000 with `PAYGATE_TESTS_FULL=1`. They are drawn from one seed, which is printed;
//! `PAYGATE_SEED=N` draws them again. Bytes and texts come from the address of those who pay; floods of connections, of streams and slow senders from others
//! of loopback. A request counts once it was begun: one whose connection was refused or ended by the gateway counts as well.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]
#![allow(clippy::print_stderr, reason = "the figures are the result")]

#[path = "hostile/assaults.rs"]
mod assaults;
#[path = "hostile/bodies.rs"]
mod bodies;
#[path = "hostile/calls.rs"]
mod calls;
#[path = "hostile/frames.rs"]
mod frames;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use paygate_client::{Client, Identity};
use paygate_tests::world::client::payment;
use paygate_tests::world::draws::seed;
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World, http};
use rusqlite::{Connection, OpenFlags};
use tokio::task::JoinSet;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// What the gateway may hold in memory at its highest, in KiB, in a debug build, with hundreds of hostile connections open.
const RESIDENT_MAX_KIB: u64 = 128 * 1024;

/// Good callers, each on a connection of its own, and the pause of each between two payments: callers of a service, not a bench.
const GOOD_CALLERS: usize = 4;
const GOOD_PAUSE: Duration = Duration::from_millis(5);

/// How long the rate is measured before anybody attacks.
const BEFORE: Duration = Duration::from_secs(3);

/// An orchestrator looks so often, and takes the process for dead after so long without an answer.
const PROBE_EVERY: Duration = Duration::from_millis(200);
const PROBE_WITHIN: Duration = Duration::from_secs(5);

/// Who may come. The insider may do what people on duty may, and does it with malice.
const CLIENTS: &str = r#"[{client_id="shop",scopes=["pay","read"]},{client_id="mallory",scopes=["pay","read"]},{client_id="insider",scopes=["approve","operate"]}]"#;

fn is_full() -> bool {
    std::env::var_os("PAYGATE_TESTS_FULL").is_some_and(|value| value == "1")
}

/// Callers who pay, as long as the story lasts.
struct Good {
    stop: Arc<AtomicBool>,
    paid: Arc<AtomicU64>,
    ids: Arc<Mutex<BTreeSet<String>>>,
    callers: JoinSet<()>,
}

impl Good {
    fn start(world: &World) -> Good {
        let mut good = Good {
            stop: Arc::default(),
            paid: Arc::default(),
            ids: Arc::default(),
            callers: JoinSet::new(),
        };
        let identity = Identity {
            token_file: Some(world.path("shop.token")),
            ..Identity::default()
        };
        let endpoint = format!("http://{}", world.listeners().grpc);
        let to = payee("landlord");
        for caller in 0..GOOD_CALLERS {
            let client = Client::with_identity(&endpoint, &identity).unwrap();
            let (stop, paid, ids) = (good.stop.clone(), good.paid.clone(), good.ids.clone());
            let to = to.clone();
            good.callers.spawn(async move {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let id = format!("good-{caller}-{number}");
                    let answer = client.create_payment(payment(&id, &to, 1_000)).await;
                    answer.unwrap_or_else(|error| panic!("{id}: {error:?}"));
                    ids.lock().unwrap().insert(id);
                    paid.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(GOOD_PAUSE).await;
                }
            });
        }
        good
    }

    /// Payments in thousandths of a second's worth since then.
    fn rate_milli(&self, before: u64, began: Instant) -> u128 {
        let paid = u128::from(self.paid.load(Ordering::Relaxed) - before);
        paid * 1_000_000 / began.elapsed().as_millis().max(1)
    }

    async fn end(mut self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
        std::mem::take(&mut *self.ids.lock().unwrap())
    }
}

/// What orchestrators and monitoring ask, on listeners that are under attack as well. The longest that an answer took.
async fn probe(world_health: String, world_admin: String, stop: Arc<AtomicBool>) -> Duration {
    let mut longest = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let alive = http::get(&world_admin, "/livez");
        let alive = tokio::time::timeout(PROBE_WITHIN, alive).await;
        let alive = alive.expect("/livez answers in time").unwrap();
        assert_eq!(alive.status, 200);
        // A kubelet makes a connection for each question.
        let asked = async {
            let endpoint =
                tonic::transport::Endpoint::from_shared(format!("http://{world_health}"));
            let channel = endpoint.unwrap().connect().await.unwrap();
            let request = HealthCheckRequest::default();
            HealthClient::new(channel).check(request).await.unwrap()
        };
        let asked = tokio::time::timeout(PROBE_WITHIN, asked).await;
        asked.expect("health answers in time");
        longest = longest.max(began.elapsed());
        tokio::time::sleep(PROBE_EVERY).await;
    }
    longest
}

/// A token of this client, and its entry for the file.
fn token(client: &str, world: &World) -> (String, String) {
    let made = Command::new(&world.binaries().ctl)
        .args(["token", "new", "--id", client, "--client", client])
        .env_clear()
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let out = String::from_utf8(made.stdout).unwrap();
    let (token, entry) = out.split_once("\n\n").unwrap();
    (token.to_owned(), entry.to_owned())
}

/// A line of `/proc/PID/status`, in KiB.
fn memory_kib(pid: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|found| found.strip_prefix(line));
    let digits = value.unwrap().trim().trim_end_matches(" kB").trim();
    digits.parse().unwrap()
}

async fn guarded() -> (World, Vec<(String, String)>) {
    let mut world = World::prepare(Setup {
        daily_limit_xrp: "1000000".to_owned(),
        max_pending: 1_000_000,
        ..Setup::default()
    })
    .await
    .unwrap();
    let (mut file, mut tokens) = (String::new(), Vec::new());
    for client in ["shop", "mallory", "insider"] {
        let (secret, entry) = token(client, &world);
        file.push_str(&format!("{entry}\n"));
        let path = world.path(&format!("{client}.token"));
        paygate_tests::world::pki::put(&path, &secret).unwrap();
        tokens.push((client.to_owned(), secret));
    }
    let path = world.path("tokens.toml");
    paygate_tests::world::pki::put(&path, &file).unwrap();
    let path = path.display().to_string();
    let variables = [
        ("PAYGATE__SECURITY__REQUIRE_AUTHENTICATION", "true"),
        ("PAYGATE__SECURITY__TOKENS_FILE", &path),
        ("PAYGATE__CLIENTS", CLIENTS),
    ];
    let variables = variables.map(|(key, value)| (key.to_owned(), value.to_owned()));
    world.set_gateway_variables(variables.to_vec());
    // No signer: nothing is bound, and what is stored stays as it was stored.
    world.start_gateway().await.unwrap();
    (world, tokens)
}

/// Rows of a query of one text column.
fn texts(store: &Connection, sql: &str) -> BTreeSet<String> {
    let mut statement = store.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_hostile_requests_leave_nothing_and_stop_nobody() {
    let seed = seed();
    eprintln!("to draw the same requests again: PAYGATE_SEED={seed} cargo test --test hostile");
    let (mut world, tokens) = guarded().await;
    let pid = world.gateway_pid();
    let good = Good::start(&world);
    // The first calls make connections and fill caches.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (began, paid) = (Instant::now(), good.paid.load(Ordering::Relaxed));
    tokio::time::sleep(BEFORE).await;
    let before = good.rate_milli(paid, began);
    let memory_before = memory_kib(pid, "VmRSS:");

    let stop_probes = Arc::new(AtomicBool::new(false));
    let listeners = world.listeners().clone();
    let probes = probe(listeners.health, listeners.metrics, stop_probes.clone());
    let probes = tokio::spawn(probes);
    let (began, paid) = (Instant::now(), good.paid.load(Ordering::Relaxed));
    let wanted = if is_full() { 10_000 } else { 1_000 };
    let scene = assaults::Scene::new(&world, &tokens);
    let told = assaults::all(&scene, seed, wanted).await;
    let during = good.rate_milli(paid, began);
    let took = began.elapsed();
    let (memory_now, memory_most) = (memory_kib(pid, "VmRSS:"), memory_kib(pid, "VmHWM:"));
    stop_probes.store(true, Ordering::Relaxed);
    let longest = probes.await.unwrap();
    eprintln!(
        "{} hostile requests in {took:?}: {}\n\
         good payments: {}/s before, {}/s meanwhile; slowest probe {longest:?}\n\
         resident: {memory_before} KiB before, {memory_now} KiB after, {memory_most} KiB at most (bound {RESIDENT_MAX_KIB})",
        told.requests,
        told.summary(),
        before / 1000,
        during / 1000,
    );
    assert!(told.requests >= wanted, "{}", told.requests);
    assert_eq!(told.wrong, Vec::<String>::new());
    assert!(during * 2 >= before, "good payments were slowed down");
    assert!(memory_most <= RESIDENT_MAX_KIB, "{memory_most} KiB");

    // Nobody holds anything any more, and everything is as before.
    drop(scene);
    let promised = good.end().await;
    assert_eq!(world.ended_by_itself(), None);
    let ended = world.stop_gateway().await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0), "{}", world.tails());
    let log = fs::read_to_string(world.path("logs/gateway.log")).unwrap();
    let panicked = log.lines().find(|line| line.contains("panick"));
    assert_eq!(panicked, None);

    let path = world.path("gateway/paygate.db");
    let store = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let stored = "SELECT payment_id FROM payments WHERE client_id = 'shop'";
    assert_eq!(texts(&store, stored), promised);
    // Of a fuzzed message now and then one is left that is good, and is answered so. Of what was refused there is no row.
    let stored = "SELECT payment_id FROM payments WHERE client_id <> 'shop'";
    let stored = texts(&store, stored);
    let unasked: Vec<_> = stored.difference(&told.accepted).collect();
    assert_eq!(unasked, Vec::<&String>::new(), "refused, and stored");
    let done = "SELECT method FROM audit UNION SELECT what FROM pauses UNION SELECT client_id FROM approvals WHERE client_id IS NOT NULL";
    assert_eq!(texts(&store, done), BTreeSet::new());
}
