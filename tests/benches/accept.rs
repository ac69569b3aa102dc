//! Durable CreatePayment against a bare tonic echo of the same messages, connections and calls in flight.
//!
//! `cargo bench -p paygate-tests --bench accept`. Client, gateway and echo share one process and its cores, so that only
//! the ratio means something. Limits are raised: 10^11 XRP a day, 10^9 pending. Rounds of both are interleaved, and the
//! median round is told.
#![allow(clippy::print_stdout, reason = "the figures are the result")]
#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(clippy::float_arithmetic, reason = "figures for people, not money")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use paygate::api::{self, Api, Settings};
use paygate::clock;
use paygate::metrics::{BuildInfo, Metrics};
use paygate::store::{Store, StoreOptions};
use paygate::view::View;
use paygate_payments::intent::Wallet;
use paygate_payments::limits::Limits;
use paygate_proto::v1::create_payment_request::Amount;
use paygate_proto::v1::payment_service_client::PaymentServiceClient;
use paygate_proto::v1::payment_service_server::{PaymentService, PaymentServiceServer};
use paygate_proto::v1::*;
use paygate_telemetry::health::Health;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use xrpl_tx::{AccountId, Drops};

const CONNECTIONS: usize = 4;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const IN_FLIGHT: [usize; 4] = [1, 16, 64, 256];

/// Answers the answer that the gateway gave first, and does nothing else.
struct Echo(CreatePaymentResponse);

#[tonic::async_trait]
impl PaymentService for Echo {
    type WatchPaymentsStream = tokio_stream::Empty<Result<WatchPaymentsResponse, Status>>;

    async fn create_payment(
        &self,
        _: Request<CreatePaymentRequest>,
    ) -> Result<Response<CreatePaymentResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn batch_create_payments(
        &self,
        _: Request<BatchCreatePaymentsRequest>,
    ) -> Result<Response<BatchCreatePaymentsResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn get_payment(
        &self,
        _: Request<GetPaymentRequest>,
    ) -> Result<Response<GetPaymentResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn list_payments(
        &self,
        _: Request<ListPaymentsRequest>,
    ) -> Result<Response<ListPaymentsResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn watch_payments(
        &self,
        _: Request<WatchPaymentsRequest>,
    ) -> Result<Response<Self::WatchPaymentsStream>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn cancel_payment(
        &self,
        _: Request<CancelPaymentRequest>,
    ) -> Result<Response<CancelPaymentResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn explain_payment(
        &self,
        _: Request<ExplainPaymentRequest>,
    ) -> Result<Response<ExplainPaymentResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }
}

/// Calls of one round.
struct Round {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

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
        "in flight | echo/s  p50 ms  p99 ms | durable/s  p50 ms  p99 ms | rate ratio  p99 ratio"
    );
    for in_flight in IN_FLIGHT {
        let (mut bare, mut durable) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(round(&echo, in_flight, &number).await);
            durable.push(round(&gateway, in_flight, &number).await);
        }
        let (bare, durable) = (median(bare), median(durable));
        println!(
            "{in_flight:9} | {:6.0}  {:6.2}  {:6.2} | {:9.0}  {:6.2}  {:6.2} | {:10.2}  {:9.1}",
            bare.per_second,
            ms(bare.p50),
            ms(bare.p99),
            durable.per_second,
            ms(durable.p50),
            ms(durable.p99),
            durable.per_second / bare.per_second,
            durable.p99.as_secs_f64() / bare.p99.as_secs_f64(),
        );
    }
}

fn request(number: u64) -> CreatePaymentRequest {
    CreatePaymentRequest {
        payment_id: format!("bench-{number:012}"),
        destination: "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe".to_owned(),
        destination_tag: Some(7),
        amount: Some(Amount::XrpDrops(1_000_000)),
        ..CreatePaymentRequest::default()
    }
}

async fn gateway(directory: &std::path::Path) -> String {
    let wallet = Wallet {
        network_id: 21_337,
        account: AccountId::from_bytes([7; 20]),
        source_tag: None,
    };
    let limits = Limits {
        payment_min: Drops::from_const(1),
        payment_max: Drops::MAX,
        day_max: Drops::MAX,
        pending_max: 1_000_000_000,
        assets: Vec::new(),
    };
    let path = directory.join("paygate.db");
    let store = Store::open(StoreOptions {
        path,
        wallet: wallet.clone(),
        limits: limits.clone(),
    })
    .unwrap();
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
    let api = Api {
        settings: Arc::new(settings),
        store,
        view: View::default(),
        metrics: Metrics::new(
            &build,
            ["paygate.v1.PaymentService/CreatePayment".to_owned()],
        ),
        wallet,
        limits,
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
    format!("http://{address}")
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

async fn connect(address: String) -> Vec<PaymentServiceClient<Channel>> {
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
async fn round(
    clients: &[PaymentServiceClient<Channel>],
    in_flight: usize,
    number: &Arc<AtomicU64>,
) -> Round {
    let mut callers = JoinSet::new();
    let began = Instant::now();
    for caller in 0..in_flight {
        let mut client = clients[caller % clients.len()].clone();
        let number = Arc::clone(number);
        callers.spawn(async move {
            let mut took = Vec::new();
            while began.elapsed() < ROUND {
                let asked = Instant::now();
                client
                    .create_payment(request(number.fetch_add(1, Ordering::Relaxed)))
                    .await
                    .unwrap();
                took.push(asked.elapsed());
            }
            took
        });
    }
    let mut took: Vec<Duration> = callers.join_all().await.concat();
    let elapsed = began.elapsed();
    took.sort_unstable();
    Round {
        per_second: took.len() as f64 / elapsed.as_secs_f64(),
        p50: took[took.len() / 2],
        p99: took[took.len() * 99 / 100],
    }
}

fn median(mut rounds: Vec<Round>) -> Round {
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    rounds.swap_remove(rounds.len() / 2)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
