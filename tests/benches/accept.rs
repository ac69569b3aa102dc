//! Durable CreatePayment against a bare tonic echo of the same messages, connections and calls in flight.
//!
//! `cargo bench --workspace --bench accept [-- IN_FLIGHT...]`. Client, gateway and echo share one process and its cores, so that only
//! the ratio means something. Limits are raised: 10^11 XRP a day, 10^9 pending. Rounds of both are interleaved, and the
//! median round is told. So is one sync of 4 KiB to the same disk, measured between the rounds: the bar is 0.4 of the echo's rate, and
//! a p99 of 3 times the echo's and one sync.
#![allow(clippy::print_stdout, reason = "the figures are the result")]
#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(clippy::float_arithmetic, reason = "figures for people, not money")]

#[path = "echo/mod.rs"]
mod echo;
mod serve;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use paygate_proto::v1::CreatePaymentResponse;
use paygate_proto::v1::payment_service_server::PaymentServiceServer;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use echo::Echo;
use serve::{Client, ROUNDS, Round, connect, gateway, median, ms, request, round};

const IN_FLIGHT: [usize; 4] = [1, 16, 64, 256];
/// Syncs between two rounds.
const SYNCS: usize = 20;
/// Bars: of the echo's rate, and of its p99.
const RATE_BAR: f64 = 0.4;
const P99_BAR: f64 = 3.0;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run());
}

async fn run() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = connect(gateway(directory.path()).await).await;
    let first = gateway[0]
        .clone()
        .create_payment(request(0))
        .await
        .unwrap()
        .into_inner();
    let echo = connect(echo(first).await).await;
    let number = Arc::new(AtomicU64::new(1));
    println!(
        "in flight | echo/s  p50 ms  p99 ms  CPU us | durable/s  p50 ms  p99 ms  CPU us  writer's | rate ratio  p99 ratio  CPU ratio | sync ms  p99 allowed ms"
    );
    let disk = File::create(directory.path().join("syncs")).unwrap();
    for in_flight in asked() {
        let (mut bare, mut durable, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(create(&echo, in_flight, &number).await);
            durable.push(create(&gateway, in_flight, &number).await);
            syncs.extend((0..SYNCS).map(|_| sync(&disk)));
        }
        let (bare, durable) = (median(bare), median(durable));
        syncs.sort_unstable();
        let one_sync = syncs[syncs.len() / 2];
        let (rate, p99) = (
            durable.per_second / bare.per_second,
            durable.p99.as_secs_f64() / bare.p99.as_secs_f64(),
        );
        let allowed = ms(bare.p99) * P99_BAR + ms(one_sync);
        println!(
            "{in_flight:9} | {:6.0}  {:6.2}  {:6.2}  {:6.0} | {:9.0}  {:6.2}  {:6.2}  {:6.0}  {:8.0} | {rate:10.2}  {p99:9.1}  {:9.1} | {:7.2}  {allowed:7.2}  rate {}, p99 {}",
            bare.per_second,
            ms(bare.p50),
            ms(bare.p99),
            bare.cpu.process,
            durable.per_second,
            ms(durable.p50),
            ms(durable.p99),
            durable.cpu.process,
            durable.cpu.writer,
            durable.cpu.process / bare.cpu.process,
            ms(one_sync),
            verdict(rate >= RATE_BAR),
            verdict(ms(durable.p99) <= allowed),
        );
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

/// What a disk takes to keep 4 KiB.
fn sync(disk: &File) -> Duration {
    let began = Instant::now();
    disk.write_all_at(&[7; 4096], disk.metadata().unwrap().len())
        .unwrap();
    disk.sync_data().unwrap();
    began.elapsed()
}

/// The numbers on the command line, or all.
fn asked() -> Vec<usize> {
    // cargo adds an option of its own.
    let numbers = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let asked: Vec<usize> = numbers.map(|arg| arg.parse().unwrap()).collect();
    if asked.is_empty() {
        IN_FLIGHT.to_vec()
    } else {
        asked
    }
}

async fn create(clients: &[Client], in_flight: usize, number: &Arc<AtomicU64>) -> Round {
    let number = Arc::clone(number);
    round(clients, in_flight, move |mut client| {
        let request = request(number.fetch_add(1, Ordering::Relaxed));
        async move { drop(client.create_payment(request).await.unwrap()) }
    })
    .await
}

async fn echo(answer: CreatePaymentResponse) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let service = PaymentServiceServer::new(Echo(answer));
    tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    format!("http://{address}")
}
