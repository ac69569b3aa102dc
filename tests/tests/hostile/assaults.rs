//! Who attacks, how, how often, and what of the answers must not be.
//!
//! Owns: the mix of assaults and their pace. May not: attack from the address of those who pay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use paygate_proto::v1::{BatchCreatePaymentsResponse, CreatePaymentResponse, batch_item};
use paygate_tests::world::World;
use paygate_tests::world::draws::Draws;
use prost::Message as _;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::bodies::{self, TRICKS, TextField};
use super::calls::call;
use super::frames::{self, *};

/// Hostile requests in a second: more than good ones, less than what would only measure how two programs share a processor.
const PACE: u64 = 300;

/// Assaults at once.
const AT_ONCE: usize = 4;

/// Of a hundred requests, so many are of each kind; and so many of them are one assault.
const MIX: [(Kind, u64, u64); 11] = [
    (Kind::Fuzz, 44, 1),
    (Kind::Text, 16, 1),
    (Kind::RapidReset, 14, 100),
    (Kind::HalfClosed, 8, 40),
    (Kind::Metadata, 4, 1),
    (Kind::Silent, 6, 30),
    (Kind::Garbage, 2, 1),
    (Kind::Frames, 2, 1),
    (Kind::Unread, 2, 20),
    (Kind::Health, 1, 10),
    (Kind::Admin, 1, 10),
];

const CREATE: &str = "/paygate.v1.PaymentService/CreatePayment";

/// Methods that fuzzed messages go to; the first two more often.
const METHODS: [&str; 12] = [
    CREATE,
    "/paygate.v1.PaymentService/BatchCreatePayments",
    CREATE,
    "/paygate.v1.PaymentService/BatchCreatePayments",
    "/paygate.v1.PaymentService/GetPayment",
    "/paygate.v1.PaymentService/ListPayments",
    "/paygate.v1.PaymentService/CancelPayment",
    "/paygate.v1.PaymentService/ExplainPayment",
    "/paygate.v1.WalletService/GetWallet",
    "/paygate.v1.ApprovalService/ApprovePayment",
    "/paygate.v1.OperationsService/Pause",
    "/paygate.v1.NoSuchService/NoSuchMethod",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Any bytes as a message.
    Fuzz,
    /// Texts that are not what they seem, in every text field.
    Text,
    /// Streams that are reset as soon as they are opened.
    RapidReset,
    /// Calls whose message never ends, on connections that stay.
    HalfClosed,
    /// Metadata of 64 KiB, or without an end.
    Metadata,
    /// Connections that say nothing, or a little, and stay.
    Silent,
    /// Other protocols, or none.
    Garbage,
    /// Frames that are not allowed there.
    Frames,
    /// Answers that nobody reads.
    Unread,
    /// All of it on the listener of health.
    Health,
    /// And on that of metrics.
    Admin,
}

/// Where everybody is, and what was left open.
pub(super) struct Scene {
    grpc: String,
    health: String,
    admin: String,
    mallory: String,
    insider: String,
    channels: Vec<Channel>,
    fields: Vec<TextField>,
    held: Mutex<Vec<TcpStream>>,
    numbers: AtomicU64,
    told: Mutex<Told>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) requests: u64,
    /// Payments that were hostile in vain: good enough to be stored, and answered so.
    pub(super) accepted: BTreeSet<String>,
    /// Answers that must not be.
    pub(super) wrong: Vec<String>,
    kinds: BTreeMap<Kind, u64>,
    codes: BTreeMap<String, u64>,
}

impl Told {
    pub(super) fn summary(&self) -> String {
        format!("{:?}; answers {:?}", self.kinds, self.codes)
    }
}

impl Scene {
    pub(super) fn new(world: &World, tokens: &[(String, String)]) -> Scene {
        let listeners = world.listeners();
        let token = |name: &str| {
            let found = tokens.iter().find(|(client, _)| client == name);
            found.expect("it has a token").1.clone()
        };
        let endpoint = Endpoint::from_shared(format!("http://{}", listeners.grpc)).unwrap();
        Scene {
            grpc: listeners.grpc.clone(),
            health: listeners.health.clone(),
            admin: listeners.metrics.clone(),
            mallory: token("mallory"),
            insider: token("insider"),
            channels: (0..AT_ONCE).map(|_| endpoint.connect_lazy()).collect(),
            fields: bodies::text_fields(),
            held: Mutex::default(),
            numbers: AtomicU64::new(0),
            told: Mutex::default(),
        }
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn hold(&self, stream: TcpStream) {
        self.held.lock().unwrap().push(stream);
    }

    fn heard(&self, what: &str, answer: &Result<Vec<u8>, Status>) {
        let mut told = self.told.lock().unwrap();
        let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        *told.codes.entry(format!("{code:?}")).or_default() += 1;
        // These count as ours in the alert on errors: a caller's nonsense must never page anybody.
        let ours = [
            Code::Internal,
            Code::Unknown,
            Code::DataLoss,
            Code::DeadlineExceeded,
        ];
        if ours.contains(&code) {
            told.wrong.push(format!("{what}: {answer:?}"));
        }
    }
}

/// All assaults, in an order that is drawn.
pub(super) async fn all(scene: &Scene, seed: u64, wanted: u64) -> Told {
    let mut draws = Draws::new(seed);
    let mut plan = Vec::new();
    for (kind, of_hundred, each) in MIX {
        let assaults = (wanted * of_hundred / 100).div_ceil(each);
        plan.extend((0..assaults).map(|_| (kind, each)));
    }
    for at in (1..plan.len()).rev() {
        plan.swap(at, draws.below(at as u64 + 1) as usize);
    }
    let plan = Mutex::new(plan);
    let began = Instant::now();
    let workers = (0..AT_ONCE).map(|worker| {
        let mut draws = Draws::new(seed ^ (worker as u64 + 1));
        let (plan, scene) = (&plan, scene);
        async move {
            loop {
                let next = plan.lock().unwrap().pop();
                let Some((kind, each)) = next else { return };
                assault(scene, kind, each, worker, &mut draws).await;
                let done = {
                    let mut told = scene.told.lock().unwrap();
                    told.requests += each;
                    *told.kinds.entry(kind).or_default() += each;
                    told.requests
                };
                let due = Duration::from_millis(done * 1_000 / PACE);
                tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
            }
        }
    });
    futures_util::future::join_all(workers).await;
    scene.told.lock().unwrap().clone()
}

async fn assault(scene: &Scene, kind: Kind, each: u64, worker: usize, draws: &mut Draws) {
    // Everybody of them has an address of his own: 127.0.0.2 and on.
    let from = [127, 0, 0, 2 + u8::try_from(worker).unwrap()];
    match kind {
        Kind::Fuzz => fuzz(scene, worker, draws).await,
        Kind::Text => text(scene, worker, draws).await,
        Kind::RapidReset => rapid_reset(scene, from, &scene.grpc, each, draws).await,
        Kind::HalfClosed => half_closed(scene, from, each).await,
        Kind::Metadata => metadata(scene, from, draws).await,
        Kind::Silent => silent(scene, from, &scene.grpc, each).await,
        Kind::Garbage => garbage(from, &scene.grpc, draws).await,
        Kind::Frames => forbidden_frames(from, &scene.grpc, draws).await,
        Kind::Unread => unread(scene, from, each).await,
        Kind::Health => match draws.below(4) {
            0 => rapid_reset(scene, from, &scene.health, each, draws).await,
            1 => silent(scene, from, &scene.health, each).await,
            2 => garbage(from, &scene.health, draws).await,
            _ => forbidden_frames(from, &scene.health, draws).await,
        },
        Kind::Admin => admin(scene, from, each, draws).await,
    }
}

async fn fuzz(scene: &Scene, worker: usize, draws: &mut Draws) {
    let path = METHODS[draws.below(METHODS.len() as u64) as usize];
    let bytes = bodies::drawn(draws, scene.number());
    let token = (draws.below(8) > 0).then_some(scene.mallory.as_str());
    let shown = hex::encode(&bytes[..bytes.len().min(64)]);
    let answer = call(&scene.channels[worker], path, token, bytes).await;
    scene.heard(&format!("{path} of {shown}"), &answer);
    let Ok(answer) = answer else { return };
    let mut told = scene.told.lock().unwrap();
    if path == CREATE {
        let stored = CreatePaymentResponse::decode(answer.as_slice()).unwrap();
        told.accepted
            .extend(stored.payment.map(|payment| payment.payment_id));
    } else if path.ends_with("BatchCreatePayments") {
        let stored = BatchCreatePaymentsResponse::decode(answer.as_slice()).unwrap();
        for item in stored.items {
            if let Some(batch_item::Outcome::Created(created)) = item.outcome {
                told.accepted
                    .extend(created.payment.map(|payment| payment.payment_id));
            }
        }
    }
}

async fn text(scene: &Scene, worker: usize, draws: &mut Draws) {
    let field = &scene.fields[draws.below(scene.fields.len() as u64) as usize];
    let is_spoken = ["reason", "comment"].contains(&field.name.as_str());
    let tricks: Vec<_> = TRICKS
        .iter()
        .filter(|trick| !(is_spoken && trick.is_language))
        .collect();
    let trick = tricks[draws.below(tricks.len() as u64) as usize];
    // Once in a while as long as a message may be.
    let bytes = match draws.below(10) {
        0 => trick.bytes.repeat(9_000 / trick.bytes.len()),
        _ => trick.bytes.to_vec(),
    };
    let (path, name) = (&field.path, &field.name);
    let insider = path.contains("Approval") || path.contains("Operations");
    let token = if insider {
        &scene.insider
    } else {
        &scene.mallory
    };
    let request = field.request(&bytes, scene.number());
    let answer = call(&scene.channels[worker], path, Some(token), request).await;
    let what = format!("{path} with {name} = {:?}", String::from_utf8_lossy(&bytes));
    scene.heard(&what, &answer);
    // Only what changes something is refused for certain: a list of nothing is an answer.
    let writes = [
        "Create", "Cancel", "Approve", "Reject", "Pause", "Resume", "Unfreeze", "Announce",
    ];
    if answer.is_ok() && writes.iter().any(|word| path.contains(word)) && !path.contains("Batch") {
        scene
            .told
            .lock()
            .unwrap()
            .wrong
            .push(format!("{what} was taken"));
    }
}

/// CVE-2023-44487: each stream costs a request and is no stream any more when the next one is counted.
async fn rapid_reset(scene: &Scene, from: [u8; 4], to: &str, each: u64, draws: &mut Draws) {
    let Some(mut stream) = connect(from, to).await else {
        return;
    };
    let bearer = format!("Bearer {}", scene.mallory);
    let path = if to == scene.health {
        "/grpc.health.v1.Health/Watch"
    } else {
        CREATE
    };
    let block = frames::call(path, &[("authorization", &bearer)]);
    let mut bytes = hello();
    for number in 0..u32::try_from(each).unwrap() {
        let id = 2 * number + 1;
        bytes.extend(frame(HEADERS, END_HEADERS, id, &block));
        bytes.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
    }
    if write(&mut stream, &bytes).await && draws.below(2) == 0 {
        scene.hold(stream);
    }
}

/// Messages that say that they are longer than what comes, and calls without any.
async fn half_closed(scene: &Scene, from: [u8; 4], each: u64) {
    let Some(mut stream) = connect(from, &scene.grpc).await else {
        return;
    };
    let bearer = format!("Bearer {}", scene.mallory);
    let block = frames::call(CREATE, &[("authorization", &bearer)]);
    let mut bytes = hello();
    for number in 0..u32::try_from(each).unwrap() {
        let id = 2 * number + 1;
        match number % 4 {
            0 => bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, id, &block)),
            1 => {
                bytes.extend(frame(HEADERS, END_HEADERS, id, &block));
                bytes.extend(frame(DATA, END_STREAM, id, &message(100, &[8; 10])));
            }
            _ => {
                bytes.extend(frame(HEADERS, END_HEADERS, id, &block));
                bytes.extend(frame(DATA, 0, id, &message(100, &[8; 10])));
            }
        }
    }
    if write(&mut stream, &bytes).await {
        scene.hold(stream);
    }
}

async fn metadata(scene: &Scene, from: [u8; 4], draws: &mut Draws) {
    let Some(mut stream) = connect(from, &scene.grpc).await else {
        return;
    };
    let bearer = format!("Bearer {}", scene.mallory);
    let mut block = frames::call(CREATE, &[("authorization", &bearer)]);
    match draws.below(4) {
        0 => literal(&mut block, b"x-large", &vec![b'a'; 64 * 1024]),
        1 => {
            for number in 0..2_000 {
                literal(&mut block, format!("x-{number}").as_bytes(), b"v");
            }
        }
        2 => literal(&mut block, b"traceparent", &vec![b'0'; 8_000]),
        _ => literal(&mut block, b"x-bytes", b"\x00\xff\r\n"),
    }
    let mut bytes = hello();
    let mut parts = block.chunks(16_000).peekable();
    let first = parts.next().unwrap_or_default();
    // A quarter never says that the head ends.
    let endless = draws.below(4) == 0;
    let end = |last: bool| if last && !endless { END_HEADERS } else { 0 };
    bytes.extend(frame(HEADERS, end(parts.peek().is_none()), 1, first));
    while let Some(part) = parts.next() {
        bytes.extend(frame(CONTINUATION, end(parts.peek().is_none()), 1, part));
    }
    if endless {
        for _ in 0..500 {
            bytes.extend(frame(CONTINUATION, 0, 1, b""));
        }
    }
    if write(&mut stream, &bytes).await {
        scene.hold(stream);
    }
}

/// Slowloris: nothing, half a preface, half a head; and nobody goes.
async fn silent(scene: &Scene, from: [u8; 4], to: &str, each: u64) {
    for number in 0..each {
        let Some(mut stream) = connect(from, to).await else {
            continue;
        };
        let whole = [hello(), frame(HEADERS, 0, 1, &frames::call(CREATE, &[]))].concat();
        let part = match number % 4 {
            0 => 0,
            1 => 1,
            2 => PREFACE.len(),
            _ => whole.len() - 7,
        };
        if write(&mut stream, &whole[..part]).await {
            scene.hold(stream);
        }
    }
}

async fn garbage(from: [u8; 4], to: &str, draws: &mut Draws) {
    let Some(mut stream) = connect(from, to).await else {
        return;
    };
    let bytes = match draws.below(4) {
        0 => b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        // The beginning of a TLS handshake.
        1 => [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 505]].concat(),
        2 => (0..4_000).map(|_| draws.below(256) as u8).collect(),
        _ => [
            hello(),
            (0..4_000).map(|_| draws.below(256) as u8).collect(),
        ]
        .concat(),
    };
    write(&mut stream, &bytes).await;
}

async fn forbidden_frames(from: [u8; 4], to: &str, draws: &mut Draws) {
    let Some(mut stream) = connect(from, to).await else {
        return;
    };
    let many = |one: Vec<u8>| one.repeat(2_000);
    let bytes = match draws.below(10) {
        0 => many(frame(PING, 0, 0, &[7; 8])),
        1 => many(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1])),
        2 => frame(DATA, 0, 0, b"for nobody"),
        3 => frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()).repeat(2),
        4 => frame(WINDOW_UPDATE, 0, 1, &0_u32.to_be_bytes()),
        5 => many(frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 255])),
        6 => frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]),
        7 => many(frame(0x77, 0xff, 0x7fff_ffff, b"unknown")),
        // Says that it has 16 MiB.
        8 => [&[0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1][..], &[0; 20_000]].concat(),
        _ => [
            frame(GOAWAY, 0, 0, &[0; 8]),
            frame(CONTINUATION, 0, 3, b"alone"),
        ]
        .concat(),
    };
    write(&mut stream, &[hello(), bytes].concat()).await;
}

/// Asks for pages and opens no window for them.
async fn unread(scene: &Scene, from: [u8; 4], each: u64) {
    let Some(mut stream) = connect(from, &scene.grpc).await else {
        return;
    };
    let bearer = format!("Bearer {}", scene.mallory);
    let list = frames::call(
        "/paygate.v1.PaymentService/ListPayments",
        &[("authorization", &bearer)],
    );
    // INITIAL_WINDOW_SIZE 0.
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])].concat();
    for number in 0..u32::try_from(each).unwrap() {
        let id = 2 * number + 1;
        bytes.extend(frame(HEADERS, END_HEADERS, id, &list));
        bytes.extend(frame(DATA, END_STREAM, id, &message(0, &[])));
    }
    if write(&mut stream, &bytes).await {
        scene.hold(stream);
    }
}

async fn admin(scene: &Scene, from: [u8; 4], each: u64, draws: &mut Draws) {
    for _ in 0..each {
        let Some(mut stream) = connect(from, &scene.admin).await else {
            continue;
        };
        let bytes = match draws.below(6) {
            0 => Vec::new(),
            1 => b"GET /met".to_vec(),
            2 => format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(20_000)).into_bytes(),
            3 => b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20),
            4 => b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\nx".to_vec(),
            _ => (0..500).map(|_| draws.below(256) as u8).collect(),
        };
        if write(&mut stream, &bytes).await {
            scene.hold(stream);
        }
    }
}
