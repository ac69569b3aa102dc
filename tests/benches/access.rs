//! What mTLS, authentication, limits and the audit log cost: CreatePayment with each of them against the same path without, and with all of it
//! on against a bare tonic echo behind the same mTLS.
//!
//! `cargo bench --workspace --bench access [-- IN_FLIGHT]`. Clients, gateways and echoes share one process and its cores: only ratios and
//! differences mean something. Rounds of all are interleaved, and the median round of each is told. The bar is 0.4 of the echo's rate,
//! and a p99 of 3 times the echo's and one sync. Limits are all looked at, and high enough to let everything in.
#![allow(clippy::print_stdout, reason = "the figures are the result")]
#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(clippy::float_arithmetic, reason = "figures for people, not money")]

#[path = "echo/mod.rs"]
mod echo;
mod serve;

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use paygate::api::access::Access;
use paygate::config::Config;
use paygate::metrics::{BuildInfo, Metrics};
use paygate::store::StoreOptions;
use paygate::tls;
use paygate_client::Identity;
use paygate_payments::clients::ClientLimits;
use paygate_payments::intent::Id;
use paygate_payments::limits::Limits;
use paygate_proto::v1::operations_service_client::OperationsServiceClient;
use paygate_proto::v1::pause_scope::Of;
use paygate_proto::v1::payment_service_client::PaymentServiceClient;
use paygate_proto::v1::payment_service_server::PaymentServiceServer;
use paygate_proto::v1::{CreatePaymentResponse, PauseRequest, PauseScope, ResumeRequest};
use paygate_tests::world::pki::{Authority, Subject, put};
use tokio::net::TcpListener;
use tonic::Request;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use xrpl_tx::{AccountId, Drops};

use echo::Echo;
use serve::{
    CONNECTIONS, Client, ROUNDS, Round, connect, gateway, gateway_of, median, ms, options, request,
    round,
};

const IN_FLIGHT: usize = 64;
/// Fewer than pauses there may be at once.
const AUDITED_IN_FLIGHT: usize = 32;
/// Syncs between two rounds.
const SYNCS: usize = 20;
/// Bars: of the echo's rate, and of its p99.
const RATE_BAR: f64 = 0.4;
const P99_BAR: f64 = 3.0;

/// The token of `shop`. Its hash is in the gateway's file.
const TOKEN: &str = "pgt_shop_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// As many connections of listeners as the bench needs.
const ROOM: tls::Room = tls::Room {
    connections: 64,
    per_address: 64,
};

/// One way to be served.
struct Way {
    name: &'static str,
    clients: Vec<Client>,
    token: bool,
    rounds: Vec<Round>,
}

/// Files of TLS and tokens.
struct Files(PathBuf);

impl Files {
    fn make(directory: &Path) -> Files {
        let at = |name: &str| directory.join(name);
        let authority = Authority::new("paygate bench CA");
        put(&at("ca.pem"), authority.pem()).unwrap();
        put(&at("crl.pem"), &authority.revoked(&[])).unwrap();
        for (serial, name) in (1..).zip(["server", "shop", "ops"]) {
            let subject = Subject {
                common_name: name.to_owned(),
                ..Subject::default()
            };
            let issued = authority.issue(serial, &subject);
            put(&at(&format!("{name}.pem")), &issued.cert).unwrap();
            put(&at(&format!("{name}.key")), &issued.key).unwrap();
        }
        let hash = hex::encode(xrpl_tx_sha256(TOKEN.as_bytes()));
        let entry =
            format!("[[tokens]]\nid = \"shop\"\nclient_id = \"shop\"\nsha256 = \"{hash}\"\n");
        put(&at("tokens.toml"), &entry).unwrap();
        Files(directory.to_owned())
    }

    fn identity(&self, name: Option<&str>) -> Identity {
        let file = |name: &str, end: &str| self.0.join(format!("{name}.{end}"));
        Identity {
            ca_file: Some(self.0.join("ca.pem")),
            cert_file: name.map(|name| file(name, "pem")),
            key_file: name.map(|name| file(name, "key")),
            token_file: None,
        }
    }

    /// A configuration that differs in these two only.
    fn config(&self, tls: bool, authentication: bool) -> Config {
        let directory = self.0.display();
        // Without TLS nobody shows a certificate, and check-config refuses to map one.
        let credentials = |name: &str| match tls {
            true => format!("credentials = [\"cn:{name}\"]"),
            false => String::new(),
        };
        let (shop, ops) = (credentials("shop"), credentials("ops"));
        let tls = match tls {
            false => String::new(),
            true => format!(
                "[tls]\ncert_file = \"{directory}/server.pem\"\nkey_file = \"{directory}/server.key\"\n\
                 client_ca_file = \"{directory}/ca.pem\"\ncrl_file = \"{directory}/crl.pem\"\n"
            ),
        };
        let tokens = format!("tokens_file = \"{directory}/tokens.toml\"\n");
        let text = format!(
            r#"listen = "127.0.0.1:0"
[wallet]
address = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"
network_id = 21338
anchor = {{ index = 3, hash = "6BD4144ABD632074334F545FB48310396849F074FED457B75EB3613EBDD22FC7" }}
[[xrpl.servers]]
url = "ws://127.0.0.1:9"
operator = "nobody"
own = true
[signer]
socket_path = "{directory}/signer.sock"
{tls}
[security]
require_authentication = {authentication}
{tokens}rate_limit_per_minute = 1000000
rate_limit_per_hour = 1000000
read_limit_per_minute = 1000000
allowed_ips = ["127.0.0.0/8", "10.0.0.0/8"]
[[clients]]
client_id = "shop"
{shop}
scopes = ["pay", "read"]
[[clients]]
client_id = "ops"
{ops}
scopes = ["operate"]
"#,
            tokens = if authentication { &tokens } else { "" },
        );
        Config::parse(&text, [], "the bench").unwrap()
    }
}

fn xrpl_tx_sha256(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, bytes)
        .as_ref()
        .to_vec()
}

/// All that can be limited is: the wallet's and the client's day, places, amounts, destinations, the threshold of approval.
fn limited(mut options: StoreOptions) -> StoreOptions {
    let to = AccountId::from_address(&request(0).destination).unwrap();
    let high = Drops::from_const(90_000_000_000_000_000);
    let client = |name: &str, destinations: Vec<AccountId>| ClientLimits {
        client: Id::new(name).unwrap(),
        payment_max: Some(Drops::from_const(2_000_000)),
        day_max: Some(high),
        pending_max: Some(500_000_000),
        destinations,
    };
    options.limits = Limits {
        day_max: high,
        approval_threshold: Some(Drops::from_const(2_000_000)),
        clients: vec![client("shop", vec![to]), client("bank", Vec::new())],
        ..options.limits
    };
    options
}

fn metrics() -> Metrics {
    let build = BuildInfo {
        version: "bench",
        revision: "unknown",
    };
    Metrics::new(&build, [])
}

/// Connections of this identity.
fn channels(address: SocketAddr, identity: &Identity) -> Vec<Channel> {
    let endpoint = format!("https://{address}");
    let connect = |_| {
        let client = paygate_client::Client::with_identity(&endpoint, identity);
        client.unwrap().channel()
    };
    (0..CONNECTIONS).map(connect).collect()
}

/// Callers over TLS.
fn tls_clients(address: SocketAddr, identity: &Identity) -> Vec<Client> {
    let channels = channels(address, identity).into_iter();
    channels.map(PaymentServiceClient::new).collect()
}

/// Callers without.
async fn clients(address: SocketAddr) -> Vec<Client> {
    connect(format!("http://{address}")).await
}

fn way(name: &'static str, clients: Vec<Client>, token: bool) -> Way {
    Way {
        name,
        clients,
        token,
        rounds: Vec::new(),
    }
}

/// A request of this number, with the token if it is one's way to say who he is.
fn asked(number: u64, token: bool) -> Request<paygate_proto::v1::CreatePaymentRequest> {
    let mut request = Request::new(request(number));
    if token {
        let bearer = format!("Bearer {TOKEN}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
    }
    request
}

async fn create(way: &Way, in_flight: usize, number: &Arc<AtomicU64>) -> Round {
    let (number, token) = (Arc::clone(number), way.token);
    round(&way.clients, in_flight, move |mut client| {
        let request = asked(number.fetch_add(1, Ordering::Relaxed), token);
        async move { drop(client.create_payment(request).await.unwrap()) }
    })
    .await
}

/// Calls that do little else than to write into the audit log: each is a pause and a resume.
async fn audited(way: &Way, channels: &[Channel], number: &Arc<AtomicU64>) -> Round {
    let (number, channels) = (Arc::clone(number), channels.to_vec());
    round(&way.clients, AUDITED_IN_FLIGHT, move |_| {
        let n = number.fetch_add(1, Ordering::Relaxed);
        let channel = channels[(n % channels.len() as u64) as usize].clone();
        async move {
            let mut operations = OperationsServiceClient::new(channel);
            let scope = Some(PauseScope {
                of: Some(Of::ClientId(format!("c-{}", n % 48))),
            });
            let reason = "a bench".to_owned();
            let pause = PauseRequest {
                reason: reason.clone(),
                scope: scope.clone(),
            };
            operations.pause(pause).await.unwrap();
            operations
                .resume(ResumeRequest { reason, scope })
                .await
                .unwrap();
        }
    })
    .await
}

async fn echo(answer: CreatePaymentResponse, access: Option<&Access>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = PaymentServiceServer::new(Echo(answer));
    let server = Server::builder().add_service(service);
    match access {
        Some(access) => {
            let incoming = tls::incoming(listener, access.tls(), ROOM, metrics());
            tokio::spawn(server.serve_with_incoming(incoming));
        }
        None => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            tokio::spawn(server.serve_with_incoming(incoming));
        }
    }
    address
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run());
}

async fn run() {
    // cargo adds an option of its own.
    let asked_for = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let in_flight = asked_for.map_or(IN_FLIGHT, |number| number.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let files = Files::make(directory.path());
    let shop = files.identity(Some("shop"));
    let nobody = files.identity(None);
    let store = |name: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir(&path).unwrap();
        options(&path)
    };
    let open = |tls, authentication| {
        let config = files.config(tls, authentication);
        move |metrics| Access::open(&config, metrics).unwrap()
    };
    let bare = connect(gateway(&store("bare").path.with_file_name("")).await).await;
    let by_token = gateway_of(store("token"), open(false, true)).await;
    let behind_tls = gateway_of(store("tls"), open(true, false)).await;
    let certified = gateway_of(store("certificate"), open(true, true)).await;
    let limits = gateway_of(limited(store("limits")), Access::local).await;
    let all = gateway_of(limited(store("all")), open(true, true)).await;
    let mut first = bare[0].clone();
    let answer = first.create_payment(request(0)).await.unwrap().into_inner();
    let plain_echo = echo(answer.clone(), None).await;
    let tls_echo = echo(answer, Some(&open(true, false)(metrics()))).await;

    let mut ways = [
        way("nothing", bare, false),
        way("token", clients(by_token).await, true),
        way("limits", clients(limits).await, false),
        way("mTLS", tls_clients(behind_tls, &shop), false),
        way("mTLS, certificate", tls_clients(certified, &shop), false),
        way("mTLS, certificate, limits", tls_clients(all, &shop), false),
        way("TLS, token, limits", tls_clients(all, &nobody), true),
        way("echo", clients(plain_echo).await, false),
        way(
            "echo with the same mTLS",
            tls_clients(tls_echo, &shop),
            false,
        ),
    ];
    let ops = channels(all, &files.identity(Some("ops")));
    let number = Arc::new(AtomicU64::new(1));
    for way in &ways {
        for client in &way.clients {
            let mut client = client.clone();
            let request = asked(number.fetch_add(1, Ordering::Relaxed), way.token);
            client.create_payment(request).await.unwrap();
        }
    }
    let disk = File::create(directory.path().join("syncs")).unwrap();
    let (mut syncs, mut audits) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for way in &mut ways {
            let done = create(way, in_flight, &number).await;
            way.rounds.push(done);
        }
        audits.push(audited(&ways[5], &ops, &number).await);
        syncs.extend((0..SYNCS).map(|_| sync(&disk)));
    }
    syncs.sort_unstable();
    tell(ways, median(audits), in_flight, syncs[syncs.len() / 2]);
}

fn tell(ways: [Way; 9], audited: Round, in_flight: usize, one_sync: Duration) {
    println!(
        "CreatePayment, {in_flight} in flight on {CONNECTIONS} connections; CPU is that of callers and gateway together"
    );
    println!(
        "{:<28} {:>8}  {:>7}  {:>7}  {:>7}  {:>9}",
        "with", "a second", "p50 ms", "p99 ms", "CPU us", "CPU added"
    );
    let named: Vec<(&str, Round)> = ways
        .into_iter()
        .map(|way| (way.name, median(way.rounds)))
        .collect();
    let bare = named[0].1.cpu.process;
    for (name, round) in &named {
        println!(
            "{name:<28} {:8.0}  {:7.2}  {:7.2}  {:7.0}  {:+9.0}",
            round.per_second,
            ms(round.p50),
            ms(round.p99),
            round.cpu.process,
            round.cpu.process - bare,
        );
    }
    // Two calls in each: a pause and a resume.
    println!(
        "audited calls (Pause, Resume; {AUDITED_IN_FLIGHT} in flight, mTLS): {:.0} a second, CPU {:.0} us each, of which the store's writer {:.0}",
        audited.per_second * 2.0,
        audited.cpu.process / 2.0,
        audited.cpu.writer / 2.0,
    );
    println!(
        "CreatePayment itself writes no audit entry: its row and its event name the client, in the same transaction, in every line above"
    );
    let (all, echo) = (&named[5].1, &named[8].1);
    let rate = all.per_second / echo.per_second;
    let allowed = ms(echo.p99) * P99_BAR + ms(one_sync);
    println!(
        "all on against the echo with the same mTLS: {rate:.2} of its rate (bar {RATE_BAR}: {}), p99 {:.2} ms of {allowed:.2} allowed ({P99_BAR} x {:.2} and a sync of {:.2}: {})",
        verdict(rate >= RATE_BAR),
        ms(all.p99),
        ms(echo.p99),
        ms(one_sync),
        verdict(ms(all.p99) <= allowed),
    );
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
