//! What a large store costs: CreatePayment, GetPayment and a start with a million stored payments against ten thousand.
//!
//! `cargo bench -p paygate-tests --bench stored [-- SMALL LARGE]`. Both stores are served by one process, and rounds on them are
//! interleaved. The rows are written by SQL: paid payments of the last year, each with slot, version and timeline.
#![allow(clippy::print_stdout, reason = "the figures are the result")]
#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(clippy::float_arithmetic, reason = "figures for people, not money")]

mod serve;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use paygate::clock;
use paygate::store::Store;
use paygate_proto::v1::GetPaymentRequest;
use rusqlite::{Connection, params};

use serve::{Client, ROUNDS, Round, connect, gateway, median, ms, options, request, round};

const STORED: [u64; 2] = [10_000, 1_000_000];
const IN_FLIGHT: usize = 64;
const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;

/// What `codec.rs` reads as: settled in ledger 1000 by tesSUCCESS, 1 XRP delivered, fee 10 drops, shown by the server "own".
const EVIDENCE: &str =
    "080110e8071a20LEDGER2220TRANSACTION2a0a7465735355434345535330c0843d380a42036f776e";

/// Lines of a paid payment's timeline: state, stage, a sentence.
const TIMELINE: [(Option<&str>, i32, &str); 6] = [
    (
        Some("ACCEPTED"),
        1,
        "Accepted: 1 XRP to rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe, tag 7. It has no deadline.",
    ),
    (
        Some("AT_LARGE"),
        5,
        "Bound to sequence 1000 at validated ledger 1000. Version 1: fee 0.00001 XRP, dead after ledger 1020.",
    ),
    (
        Some("AT_LARGE"),
        8,
        "Version 1 is signed and stored: transaction F46A701DEA3655203428D01BA378994165F889FC1FD5798571CB2F1C42401DB7.",
    ),
    (None, 10, "sent to own"),
    (None, 11, "tesSUCCESS (applied for now), provisional"),
    (
        Some("PAID"),
        12,
        "PAID: 1 XRP delivered in validated ledger 1001, fee 0.00001 XRP.",
    ),
];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run());
}

async fn run() {
    let mut sides = Vec::new();
    for stored in asked() {
        let directory = tempfile::tempdir().unwrap();
        let began = Instant::now();
        fill(directory.path(), stored).await;
        let bytes = std::fs::metadata(directory.path().join("paygate.db"))
            .unwrap()
            .len();
        println!(
            "{stored} payments written in {:.0} s, {} MB",
            began.elapsed().as_secs_f64(),
            bytes / 1_000_000
        );
        let began = Instant::now();
        let address = gateway(directory.path()).await;
        println!("  opened in {:.1} ms", ms(began.elapsed()));
        let clients = connect(address).await;
        sides.push((stored, directory, clients));
    }
    let number = Arc::new(AtomicU64::new(0));
    println!(
        "                stored | calls/s  p50 ms  p99 ms  CPU us | of the smaller store's CPU"
    );
    for (what, measure) in [("CreatePayment", true), ("GetPayment", false)] {
        let mut rounds: Vec<Vec<Round>> = sides.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for ((stored, _, clients), rounds) in sides.iter().zip(&mut rounds) {
                rounds.push(if measure {
                    create(clients, &number).await
                } else {
                    get(clients, *stored, &number).await
                });
            }
        }
        let medians: Vec<Round> = rounds.into_iter().map(median).collect();
        for ((stored, ..), found) in sides.iter().zip(&medians) {
            println!(
                "{what:14} {stored:7} | {:7.0}  {:6.2}  {:6.2}  {:6.0} | {:.2}",
                found.per_second,
                ms(found.p50),
                ms(found.p99),
                found.cpu.process,
                found.cpu.process / medians[0].cpu.process,
            );
        }
    }
}

/// The numbers on the command line, or the usual ones.
fn asked() -> Vec<u64> {
    // cargo adds an option of its own.
    let numbers = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let asked: Vec<u64> = numbers.map(|arg| arg.parse().unwrap()).collect();
    if asked.is_empty() {
        STORED.to_vec()
    } else {
        asked
    }
}

async fn create(clients: &[Client], number: &Arc<AtomicU64>) -> Round {
    let number = Arc::clone(number);
    round(clients, IN_FLIGHT, move |mut client| {
        let request = request(number.fetch_add(1, Ordering::Relaxed));
        async move { drop(client.create_payment(request).await.unwrap()) }
    })
    .await
}

/// Payments from all over the store, each a different one.
async fn get(clients: &[Client], stored: u64, number: &Arc<AtomicU64>) -> Round {
    let number = Arc::clone(number);
    round(clients, IN_FLIGHT, move |mut client| {
        // A prime step visits every payment before one comes again.
        let which = number.fetch_add(1, Ordering::Relaxed) * 7_368_787 % stored + 1;
        let request = GetPaymentRequest {
            payment_id: stored_id(which),
            client_id: String::new(),
        };
        async move { drop(client.get_payment(request).await.unwrap()) }
    })
    .await
}

/// As random as callers' own ids are, so that neighbours in time are none in the index.
fn stored_id(number: u64) -> String {
    format!("{:016x}-stored", number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Makes a store of `stored` paid payments.
async fn fill(directory: &Path, stored: u64) {
    let store = Store::open(options(directory)).unwrap();
    store.close().await;
    let mut conn = Connection::open(directory.join("paygate.db")).unwrap();
    // Only while it is filled: what is measured later opens the file as the gateway does.
    conn.pragma_update(None, "synchronous", "OFF").unwrap();
    conn.pragma_update(None, "cache_size", -500_000).unwrap();
    let first_ms = clock::now().0 - YEAR_MS;
    let step_ms = YEAR_MS / i64::try_from(stored).unwrap();
    let tx = conn.transaction().unwrap();
    for number in 1..=stored {
        pay(
            &tx,
            number,
            first_ms + step_ms * i64::try_from(number).unwrap(),
        );
    }
    tx.execute(
        "INSERT INTO state_counts (state, n) VALUES ('PAID', ?1)",
        [i64::try_from(stored).unwrap()],
    )
    .unwrap();
    tx.commit().unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
}

fn pay(conn: &Connection, number: u64, at_ms: i64) {
    let account = [7_u8; 20];
    let (row, slot) = (
        i64::try_from(number).unwrap(),
        i64::try_from(number).unwrap(),
    );
    let hash = |what: &[u8]| *xrpl_tx::sha256(&[what, &number.to_be_bytes()]).as_bytes();
    let evidence = EVIDENCE
        .replace("LEDGER", &hex::encode(hash(b"ledger")))
        .replace("TRANSACTION", &hex::encode(hash(b"transaction")));
    conn.prepare_cached(
        "INSERT INTO payments (number, client_id, payment_id, invoice_id, destination, destination_tag, drops, created_ms, \
         updated_ms, state, live, counts, slot_kind, slot_number, digest, epoch, since_ledger, evidence, closed_ms) \
         VALUES (?1, 'local', ?2, ?3, ?4, 7, 1000000, ?5, ?5, 'PAID', 0, 1, 1, ?6, ?7, 1, 1000, ?8, ?5)",
    )
    .unwrap()
    .execute(params![
        row,
        stored_id(number),
        hash(b"invoice"),
        &hash(b"destination")[..20],
        at_ms,
        slot,
        hash(b"digest"),
        hex::decode(evidence).unwrap(),
    ])
    .unwrap();
    conn.prepare_cached("INSERT INTO slots (account, kind, number, owner, resolved_ledger, resolved_by) VALUES (?1, 1, ?2, ?3, 1001, ?4)")
        .unwrap()
        .execute(params![account, slot, row, hash(b"transaction")])
        .unwrap();
    conn.prepare_cached(
        "INSERT INTO versions (account, slot_kind, slot_number, n, kind, fee, last_ledger, tx_hash, blob) VALUES (?1, 1, ?2, 0, 1, 10, 1020, ?3, ?4)",
    )
    .unwrap()
    .execute(params![account, slot, hash(b"transaction"), hash(b"blob").repeat(7)])
    .unwrap();
    for (state, stage, sentence) in TIMELINE {
        conn.prepare_cached(
            "INSERT INTO events (payment, at_ms, stage, state, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .unwrap()
        .execute(params![row, at_ms, stage, state, sentence.as_bytes()])
        .unwrap();
    }
}
