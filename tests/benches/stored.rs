//! What a large store costs: CreatePayment, GetPayment and a start with a million stored payments against ten thousand.
//!
//! `cargo bench --workspace --bench stored [-- SMALL LARGE]`. Both stores are served by one process, and rounds on them are
//! interleaved. The rows are written by SQL: paid payments of the last year, each with slot, version and timeline.
#![allow(clippy::print_stdout, reason = "the figures are the result")]
#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(clippy::float_arithmetic, reason = "figures for people, not money")]

mod fill;
mod serve;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use paygate_proto::v1::GetPaymentRequest;

use fill::{fill, stored_id};
use serve::{Client, ROUNDS, Round, connect, gateway, median, ms, options, request, round};

const STORED: [u64; 2] = [10_000, 1_000_000];
const IN_FLIGHT: usize = 64;

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
        fill(options(directory.path()), 1, stored).await;
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
