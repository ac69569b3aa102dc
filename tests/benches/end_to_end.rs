//! The way of a payment from accept to PAID, through real processes and a paced ledger, against signed transactions that
//! are pushed straight into the same server.
//!
//! `cargo bench --workspace --bench end_to_end [-- CAPACITY]`. The simulated ledger closes each second and takes CAPACITY
//! transactions (50). Three phases on one server: signed payments of another account, as many as it takes; payments of
//! the gateway, always enough of them waiting; and payments at half of the capacity, of which each one's ledgers from
//! accept to PAID are counted. Limits are raised. The first and last two ledgers of a full phase do not count. CPU is what the processes
//! used, so that others on the machine disturb only the pace.
#![allow(clippy::print_stdout, reason = "the figures are the result")]
#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(clippy::float_arithmetic, reason = "figures for people, not money")]

mod processes;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paygate_proto::v1::PaymentState;
use paygate_tests::world::client::{Client, payment};
use paygate_tests::world::ledger::Ledger;
use paygate_tests::world::wallet::{SeedType, Wallet, payee};
use paygate_tests::world::{NETWORK_ID, Setup, World};
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use xrpl_tx::{
    AccountId, Amount, Body, Drops, Hash256, Memos, Payment, PublicKey, Slot, Unsigned, invoice_id,
    network_id_field,
};

use processes::{processor_us, resident_mib};

const CAPACITY: u64 = 50;
const CLOSE_MS: u64 = 1000;
/// Ledgers that a phase fills.
const LEDGERS: u64 = 24;
/// Left out at both ends of a phase.
const EDGE: usize = 2;
const CALLERS: usize = 16;
const WITHIN: Duration = Duration::from_secs(240);

/// Bars: of what pushed blobs reach, and in ledgers.
const RATE_BAR: f64 = 0.8;
const P50_BAR: u64 = 2;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run());
}

async fn run() {
    let capacity = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(CAPACITY);
    let count = capacity * LEDGERS;
    let pusher = Wallet::random(SeedType::Ed25519);
    let at_large = (4 * capacity).to_string();
    let mut world = World::start(Setup {
        close_ms: CLOSE_MS,
        wallet_xrp: 10_000_000,
        funded: vec![(payee("alice"), 100), (pusher.address(), 1_000_000)],
        max_payment_xrp: "100".to_owned(),
        daily_limit_xrp: "1000000".to_owned(),
        max_pending: 1_000_000,
        gateway_variables: vec![("PAYGATE__XRPL__MAX_AT_LARGE".to_owned(), at_large.clone())],
        ledger_arguments: vec!["--capacity".to_owned(), capacity.to_string()],
        ..Setup::default()
    })
    .await
    .unwrap();
    let ledger = world.ledger();
    println!(
        "a ledger each {CLOSE_MS} ms takes {capacity} transactions; the gateway has up to {at_large} at large"
    );

    let pushed = push(&ledger, &pusher, count).await;

    let own = world.wallet().address();
    let pids = [world.gateway_pid(), world.signer_pid()];
    let before = pids.map(processor_us);
    create(&world.client(), "full", 0..count).await;
    paid(&world.client(), "full", count).await;
    let [gateway, signer] = [0, 1].map(|at| (processor_us(pids[at]) - before[at]) / count as f64);
    let full = steady(&by_ledger(&ledger, &own).await);

    let ledgers = paced(&world, &ledger, capacity / 2).await;
    let p50 = ledgers[ledgers.len() / 2];
    let ratio = full / pushed;
    println!("pushed blobs       {pushed:6.1} a ledger");
    println!(
        "gateway            {full:6.1} a ledger   {ratio:.2} x (bar {RATE_BAR}: {})",
        verdict(ratio >= RATE_BAR)
    );
    println!(
        "accept to PAID     p50 {p50} ledgers (bar {P50_BAR}: {}), p99 {}, at half of the capacity",
        verdict(p50 <= P50_BAR),
        ledgers[ledgers.len() * 99 / 100]
    );
    println!("CPU a payment      gateway {gateway:.0} us, signer {signer:.0} us");
    let [gateway, signer] = pids.map(resident_mib);
    println!("resident           gateway {gateway:.0} MiB, signer {signer:.0} MiB");
    world.stop().await.unwrap();
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

/// Signed payments straight into the server; how many a ledger took.
async fn push(ledger: &Ledger, wallet: &Wallet, count: u64) -> f64 {
    let (_, first) = ledger.account(&wallet.address()).await.unwrap().unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&wallet.private_key).unwrap();
    let mut public = [0xED; 33];
    public[1..].copy_from_slice(ring::signature::KeyPair::public_key(&pair).as_ref());
    let index = u32::try_from(ledger.validated_index().await.unwrap()).unwrap();
    let blobs: Vec<String> = (0..count)
        .map(|number| {
            let tx = Unsigned {
                account: wallet.account,
                slot: Slot::Sequence(u32::try_from(first + number).unwrap()),
                fee: Drops::from_const(10),
                last_ledger_sequence: index + 1000,
                network_id: network_id_field(NETWORK_ID),
                source_tag: None,
                memos: Memos::new(Vec::new()).unwrap(),
                body: Body::Payment(Payment {
                    destination: AccountId::from_address(&payee("alice")).unwrap(),
                    destination_tag: None,
                    amount: Amount::Xrp(Drops::from_const(1_000_000)),
                    invoice_id: Hash256::from_bytes([7; 32]),
                }),
                signing_key: PublicKey::from_bytes(&public).unwrap(),
            };
            let signature = pair.sign(&tx.signing_payload());
            hex::encode_upper(tx.sign_with(signature.as_ref()).unwrap().blob)
        })
        .collect();
    for blob in blobs {
        ledger
            .ask("submit", json!({ "tx_blob": blob }))
            .await
            .unwrap();
    }
    let began = Instant::now();
    loop {
        let (_, next) = ledger.account(&wallet.address()).await.unwrap().unwrap();
        if next >= first + count {
            return steady(&by_ledger(ledger, &wallet.address()).await);
        }
        assert!(
            began.elapsed() < WITHIN,
            "pushed blobs are not in: {next} of {first} + {count}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// CreatePayment for each number, by several callers.
async fn create(client: &Client, name: &'static str, numbers: std::ops::Range<u64>) {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (client, numbers) = (client.clone(), numbers.clone());
        callers.spawn(async move {
            for number in numbers.skip(caller).step_by(CALLERS) {
                let request = payment(&format!("{name}-{number}"), &payee("alice"), 1_000_000);
                client.create(request).await.unwrap();
            }
        });
    }
    callers.join_all().await;
}

/// Waits until all of them are PAID. They are paid in the order of their creation, so the last ones are looked at.
async fn paid(client: &Client, name: &str, count: u64) {
    let began = Instant::now();
    for number in (count.saturating_sub(4 * CALLERS as u64))..count {
        let id = format!("{name}-{number}");
        loop {
            match client.get(&id).await {
                Ok(payment) if payment.state() == PaymentState::Paid => break,
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
            assert!(began.elapsed() < WITHIN, "{id} is not PAID");
        }
    }
}

/// Payments at a pace that the ledger holds; how many ledgers each took from accept to PAID, sorted.
async fn paced(world: &World, ledger: &Ledger, per_ledger: u64) -> Vec<u64> {
    let client = world.client();
    let count = per_ledger * LEDGERS;
    let pause = Duration::from_millis(CLOSE_MS) / u32::try_from(per_ledger.max(1)).unwrap();
    let mut accepted: BTreeMap<String, u64> = BTreeMap::new();
    let mut tick = tokio::time::interval(pause);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut index = 0;
    for number in 0..count {
        tick.tick().await;
        if number % (per_ledger / 5).max(1) == 0 {
            index = ledger.validated_index().await.unwrap();
        }
        let id = format!("paced-{number}");
        client
            .create(payment(&id, &payee("alice"), 1_000_000))
            .await
            .unwrap();
        let invoice = invoice_id(NETWORK_ID, world.wallet().account, "local", &id);
        accepted.insert(invoice.to_string(), index);
    }
    paid(&client, "paced", count).await;
    let mut ledgers: Vec<u64> = entries(ledger, &world.wallet().address())
        .await
        .into_iter()
        .filter_map(|(invoice, index)| Some(index.saturating_sub(*accepted.get(&invoice)?)))
        .collect();
    assert_eq!(ledgers.len() as u64, count, "each is paid once");
    ledgers.sort_unstable();
    ledgers
}

/// InvoiceID and ledger of each validated payment of the account.
async fn entries(ledger: &Ledger, address: &str) -> Vec<(String, u64)> {
    let (mut found, mut marker) = (Vec::new(), Value::Null);
    loop {
        let mut params = json!({ "account": address, "ledger_index_min": -1, "ledger_index_max": -1, "forward": true, "limit": 200 });
        if !marker.is_null() {
            params["marker"] = marker;
        }
        let page = ledger.ask("account_tx", params).await.unwrap();
        for entry in page["transactions"].as_array().unwrap() {
            let tx = &entry["tx"];
            if tx["Account"] == address && tx["TransactionType"] == "Payment" {
                let index = tx["ledger_index"].as_u64().unwrap();
                found.push((tx["InvoiceID"].as_str().unwrap().to_owned(), index));
            }
        }
        marker = page["marker"].clone();
        if marker.is_null() {
            return found;
        }
    }
}

async fn by_ledger(ledger: &Ledger, address: &str) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    for (_, index) in entries(ledger, address).await {
        *counts.entry(index).or_default() += 1;
    }
    counts
}

/// Payments a ledger between the edges, ledgers without any counted too.
fn steady(counts: &BTreeMap<u64, u64>) -> f64 {
    let first = *counts.keys().next().unwrap() + EDGE as u64;
    let last = *counts.keys().next_back().unwrap() - EDGE as u64;
    let sum: u64 = counts.range(first..=last).map(|(_, count)| count).sum();
    sum as f64 / (last - first + 1) as f64
}
