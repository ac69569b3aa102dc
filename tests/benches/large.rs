//! Memory and start with very much stored: real processes, a gateway with a million payments and a thousand of them at
//! large, a signer whose journal has a million entries.
//!
//! `cargo bench --workspace --bench large [-- STORED]`. The store is filled by SQL with paid payments of a year, the journal
//! by the signer's own code with their approvals. Then both start, 1,000 payments get at large at a ledger that takes one
//! transaction each 4 s, and the gateway is killed and started again: from the start of the process to the first 200 of
//! `/readyz`. Memory is `VmRSS`, after the start and after load. Limits are raised. A start includes the ledger's answers; and
//! the machine's other work: the processor time of the start stands beside it.
#![allow(clippy::print_stdout, reason = "the figures are the result")]
#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(clippy::float_arithmetic, reason = "figures for people, not money")]

mod fill;
mod processes;

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};

use paygate::clock;
use paygate::store::{Store, StoreOptions};
use paygate_payments::intent::Wallet;
use paygate_payments::limits::Limits;
use paygate_signer::intent::PaymentKey;
use paygate_signer::journal::{Entry, Head, Journal, Record, SignedTransaction};
use paygate_tests::world::client::payment;
use paygate_tests::world::http;
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{NETWORK_ID, Setup, World};
use rusqlite::{Connection, OpenFlags};
use tokio::task::JoinSet;
use xrpl_tx::{AccountId, Amount, Drops, Hash256, Slot};

use fill::{fill, stored_id};
use processes::{processor_us, resident_mib};

const STORED: u64 = 1_000_000;
const AT_LARGE: u64 = 1000;
const STARTS: usize = 3;
/// The wallet's next sequence: what it was before was paid with.
const FIRST_LEDGER: u32 = 2_000_000;
const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;
/// Frames that one commit makes durable, while the journal is filled.
const COMMIT_FRAMES: u64 = 250;
/// About what a payment's blob has.
const BLOB_BYTES: usize = 220;
const LOOKUPS: u64 = 20_000;
const CALLERS: usize = 16;
const WITHIN: Duration = Duration::from_secs(240);

/// Bars: MiB resident, and milliseconds.
const GATEWAY_MIB: f64 = 64.0;
const SIGNER_MIB: f64 = 16.0;
const START_MS: f64 = 1000.0;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run());
}

async fn run() {
    let stored = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(STORED);
    let mut world = World::prepare(Setup {
        close_ms: 4000,
        wallet_xrp: 10_000_000,
        max_payment_xrp: "100".to_owned(),
        daily_limit_xrp: "1000000".to_owned(),
        max_pending: 1_000_000,
        gateway_variables: vec![(
            "PAYGATE__XRPL__MAX_AT_LARGE".to_owned(),
            AT_LARGE.to_string(),
        )],
        ledger_arguments: ["--start-index", "2000000", "--capacity", "1"]
            .map(str::to_owned)
            .to_vec(),
        ..Setup::default()
    })
    .await
    .unwrap();
    let began = Instant::now();
    prepare(&world, stored).await;
    println!(
        "{stored} payments and journal entries written in {:.0} s",
        began.elapsed().as_secs_f64()
    );

    let began = Instant::now();
    world.start_signer().await.unwrap();
    let signer = world.signer_pid();
    println!(
        "signer: ready after {:.0} ms ({:.0} ms of a processor)",
        ms(began.elapsed()),
        processor_us(signer) / 1000.0
    );
    told(
        "signer after start",
        resident_mib(signer),
        SIGNER_MIB,
        "MiB",
    );

    world.start_gateway().await.unwrap();
    get_at_large(&world).await;
    told(
        "signer after 1000 signatures",
        resident_mib(signer),
        SIGNER_MIB,
        "MiB",
    );
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        world.kill_gateway();
        let (wall, cpu) = start(&mut world).await;
        println!(
            "gateway: SERVING after {wall:.0} ms, {cpu:.0} ms of a processor, {} at large",
            at_large(&world)
        );
        starts.push(wall);
    }
    starts.sort_by(f64::total_cmp);
    told(
        "gateway start to SERVING",
        starts[STARTS / 2],
        START_MS,
        "ms",
    );
    let gateway = world.gateway_pid();
    told(
        "gateway after start",
        resident_mib(gateway),
        GATEWAY_MIB,
        "MiB",
    );
    load(&world, stored).await;
    told(
        "gateway after load",
        resident_mib(gateway),
        GATEWAY_MIB,
        "MiB",
    );
    told("signer after load", resident_mib(signer), SIGNER_MIB, "MiB");
    world.stop().await.unwrap();
}

fn told(what: &str, found: f64, bar: f64, unit: &str) {
    let verdict = if found <= bar { "met" } else { "MISSED" };
    println!("{what:30} {found:8.1} {unit} (bar {bar}: {verdict})");
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

// === filling ===

async fn prepare(world: &World, stored: u64) {
    let account = world.wallet().account;
    let options = StoreOptions {
        path: world.path("gateway/paygate.db"),
        wallet: Wallet {
            network_id: NETWORK_ID,
            account,
            source_tag: None,
        },
        limits: Limits {
            payment_min: Drops::from_const(1),
            payment_max: Drops::MAX,
            day_max: Drops::MAX,
            pending_max: 1_000_000,
            assets: Vec::new(),
            approval_threshold: None,
            approval_window: paygate_payments::limits::APPROVAL_WINDOW_DEFAULT,
            clients: Vec::new(),
            stage: None,
        },
    };
    for folder in ["gateway", "signer"] {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(world.path(folder))
            .unwrap();
    }
    let first_slot = FIRST_LEDGER - u32::try_from(stored).unwrap();
    fill(options.clone(), first_slot, stored).await;
    let store = Store::open(options).unwrap();
    let head = approvals(
        &world.path("signer/journal"),
        store.store_id(),
        account,
        first_slot,
        stored,
    );
    store
        .record_journal(head.height, Hash256::from_bytes(head.hash))
        .await
        .unwrap();
    store.close().await;
}

/// A journal with the approvals of those payments.
fn approvals(
    directory: &Path,
    store_id: [u8; 16],
    account: AccountId,
    first_slot: u32,
    stored: u64,
) -> Head {
    let mut journal = Journal::open(directory, NETWORK_ID, &mut |_, _| Ok(()))
        .unwrap()
        .journal;
    let first_ms = u64::try_from(clock::now().0).unwrap() - YEAR_MS;
    for number in 1..=stored {
        let hash = *xrpl_tx::sha256(&[b"approval", &number.to_be_bytes()]).as_bytes();
        let record = Record {
            store_id,
            epoch: 1,
            recorded_at_ms: first_ms + YEAR_MS / stored * (number - 1),
            account,
            slot: Slot::Sequence(first_slot + u32::try_from(number).unwrap() - 1),
            previous_offset: 0,
            entry: Entry::Payment {
                key: PaymentKey::new("local", &stored_id(number)).unwrap(),
                digest: hash,
                amount: Amount::Xrp(Drops::from_const(1_000_000)),
                transaction: SignedTransaction {
                    fee_drops: 10,
                    last_ledger_sequence: FIRST_LEDGER - 1000,
                    hash,
                    blob: vec![7; BLOB_BYTES],
                },
            },
        };
        let position = journal.append(&record).unwrap();
        if number % COMMIT_FRAMES == 0 || number == stored {
            let _recorded = journal.durability().commit(position, record).unwrap();
        }
    }
    journal.head()
}

// === load ===

/// Payments of which hardly any can become final.
async fn get_at_large(world: &World) {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let client = world.client();
        callers.spawn(async move {
            for number in (0..AT_LARGE).skip(caller).step_by(CALLERS) {
                let request = payment(&format!("large-{number}"), &payee("alice"), 1_000_000);
                client.create(request).await.unwrap();
            }
        });
    }
    callers.join_all().await;
    let began = Instant::now();
    // The ledger takes a few while the last ones are signed.
    while at_large(world) < AT_LARGE * 9 / 10 {
        assert!(
            began.elapsed() < WITHIN,
            "only {} are at large",
            at_large(world)
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn at_large(world: &World) -> u64 {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let conn = Connection::open_with_flags(world.path("gateway/paygate.db"), flags).unwrap();
    let sql = "SELECT count(*) FROM payments WHERE state = 'AT_LARGE'";
    let count: i64 = conn.query_row(sql, [], |row| row.get(0)).unwrap();
    u64::try_from(count).unwrap()
}

/// Starts the gateway: wall and processor time until it is SERVING, in milliseconds.
async fn start(world: &mut World) -> (f64, f64) {
    let metrics = world.listeners().metrics.clone();
    let began = Instant::now();
    let ready = tokio::spawn(async move {
        loop {
            match http::get(&metrics, "/readyz").await {
                Ok(answer) if answer.status == 200 => return began.elapsed(),
                _ => tokio::time::sleep(Duration::from_millis(2)).await,
            }
            assert!(began.elapsed() < WITHIN, "the gateway does not serve");
        }
    });
    world.start_gateway().await.unwrap();
    let wall = ready.await.unwrap();
    (ms(wall), processor_us(world.gateway_pid()) / 1000.0)
}

/// Lookups all over the store, pages, and a few more payments.
async fn load(world: &World, stored: u64) {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let client = world.client();
        callers.spawn(async move {
            for number in (0..LOOKUPS).skip(caller).step_by(CALLERS) {
                let which = number * 7_368_787 % stored + 1;
                client.get(&stored_id(which)).await.unwrap();
                if number % 50 == 0 {
                    let request = payment(&format!("load-{number}"), &payee("alice"), 1_000_000);
                    client.create(request).await.unwrap();
                }
            }
        });
    }
    callers.join_all().await;
}
