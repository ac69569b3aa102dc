//! How the processes begin and end: with everything missing, with everybody holding on, and with a reason for each exit code.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use paygate_proto::v1::{PaymentState, WatchPaymentsRequest, WatchPaymentsResponse};
use paygate_tests::world::client::{Client, DROPS_PER_XRP, payment};
use paygate_tests::world::collector::Collector;
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World, http};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt as _;

const WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// The drain of a gateway whose calls are all answered: a watcher's second, and a busy machine. Half of its timeout is 15 s.
const DRAINED_WITHIN: Duration = Duration::from_secs(8);

/// Payments that are being stored when the signal comes.
const IN_HAND: usize = 40;

async fn until<F>(what: &str, mut look: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let deadline = Instant::now() + WITHIN;
    while !look().await {
        assert!(Instant::now() < deadline, "{what}: it never came");
        tokio::time::sleep(POLL).await;
    }
}

async fn health(world: &World) -> (u16, Value) {
    let answer = http::get(&world.listeners().metrics, "/health").await;
    let answer = answer.unwrap();
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

fn detail(health: &Value, check: &str) -> String {
    let checks = health["checks"].as_array().unwrap();
    let entry = checks.iter().find(|entry| entry["name"] == check);
    entry.map_or_else(String::new, |entry| entry["detail"].to_string())
}

// === starting ===

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_alone_accepts_and_pays_when_the_others_come() {
    let folder = tempfile::tempdir().unwrap();
    let collector = folder.path().join("collector.sock");
    let mut world = World::prepare(Setup {
        otlp_endpoint: Some(Collector::endpoint_at(&collector)),
        ..Setup::default()
    })
    .await
    .unwrap();
    world.kill_ledger();
    world.start_gateway().await.unwrap();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let asked = payment("early", &payee("alice"), DROPS_PER_XRP);
    let accepted = world
        .client()
        .create_traced(asked, &format!("00-{trace}-b7ad6b7169203331-01"))
        .await
        .unwrap();
    assert_eq!(accepted.state(), PaymentState::Accepted);
    until("both reasons", || async {
        let (code, health) = health(&world).await;
        code == 503
            && health["accepting"] == true
            && detail(&health, "xrpl").contains("no connection to the ledger")
            && detail(&health, "signer").contains("the signer does not answer")
    })
    .await;
    let ready = http::get(&world.listeners().metrics, "/readyz").await;
    assert_eq!(ready.unwrap().status, 200);

    // What was accepted is on the disk, whoever is missing.
    world.kill_gateway();
    world.start_gateway().await.unwrap();
    let kept = world.client().get("early").await.unwrap();
    assert_eq!(kept.state(), PaymentState::Accepted);
    world.start_ledger().await.unwrap();
    world.start_signer().await.unwrap();
    let paid = world.client().until_final("early", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
    until("everything is healthy", || async {
        health(&world).await.0 == 200
    })
    .await;

    let collector = Collector::start_at(&collector).await.unwrap();
    let late = payment("late", &payee("alice"), DROPS_PER_XRP);
    let trace = "1af7651916cd43dd8448eb211c80319c";
    let traceparent = format!("00-{trace}-b7ad6b7169203331-01");
    world
        .client()
        .create_traced(late, &traceparent)
        .await
        .unwrap();
    until("spans of both processes reach the collector", || async {
        let services: Vec<_> = collector
            .trace(trace)
            .into_iter()
            .map(|seen| seen.service)
            .collect();
        ["paygate", "paygate-signer"]
            .iter()
            .all(|wanted| services.iter().any(|service| service == wanted))
    })
    .await;
}

// === ending ===

/// A connection of its own. `window` is how many bytes of a stream the server may send ahead of its reader.
fn channel(address: &str, window: Option<u32>) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .initial_stream_window_size(window)
        .connect_lazy()
}

async fn watch(channel: Channel) -> Streaming<WatchPaymentsResponse> {
    Client::with_channel(channel)
        .payments()
        .watch_payments(WatchPaymentsRequest {
            cursor: "beginning".to_owned(),
            ..WatchPaymentsRequest::default()
        })
        .await
        .unwrap()
        .into_inner()
}

/// Reads to the end, which must have a status.
async fn last_word(mut stream: Streaming<WatchPaymentsResponse>) -> Status {
    loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a watch ends with a status that says why"),
            Err(status) => return status,
        }
    }
}

/// Watches health; the first word has come when this returns.
async fn watch_health(channel: Channel) -> Streaming<HealthCheckResponse> {
    let request = HealthCheckRequest {
        service: "paygate.capability.accept".to_owned(),
    };
    let mut stream = HealthClient::new(channel)
        .watch(request)
        .await
        .unwrap()
        .into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    stream
}

/// What is heard to the end, which must come without an error.
async fn health_words(mut stream: Streaming<HealthCheckResponse>) -> Vec<ServingStatus> {
    let mut heard = Vec::new();
    while let Some(answer) = stream.message().await.unwrap() {
        heard.push(answer.status());
    }
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn the_drain_answers_what_is_in_hand_and_waits_for_nobody_else() {
    let mut world = World::start(Setup::default()).await.unwrap();
    let grpc = world.listeners().grpc.clone();
    for n in 0..4 {
        let asked = payment(&format!("before-{n}"), &payee("alice"), DROPS_PER_XRP);
        world.client().create(asked).await.unwrap();
    }
    until("accepting", || async {
        health(&world).await.1["accepting"] == true
    })
    .await;
    let reads = tokio::spawn(last_word(watch(channel(&grpc, None)).await));
    // A window of one byte is full with the first message: the server has more to tell, and nobody takes it.
    let never_reads = watch(channel(&grpc, Some(1))).await;
    let idle = channel(&grpc, None);
    Client::with_channel(idle.clone())
        .get("before-0")
        .await
        .unwrap();
    let on_api = watch_health(channel(&grpc, None)).await;
    let on_api = tokio::spawn(health_words(on_api));
    let on_health = watch_health(channel(&world.listeners().health, None)).await;
    let on_health = tokio::spawn(health_words(on_health));
    let mut in_hand = JoinSet::new();
    for n in 0..IN_HAND {
        let client = Client::with_channel(channel(&grpc, None));
        let id = format!("in-hand-{n}");
        in_hand.spawn(async move {
            let asked = payment(&id, &payee("alice"), DROPS_PER_XRP);
            (id, client.create(asked).await)
        });
    }
    let began = Instant::now();
    let ended = world.stop_gateway().await.unwrap().unwrap();
    let took = began.elapsed();
    assert_eq!(ended.code(), Some(0));
    assert!(took < DRAINED_WITHIN, "the drain took {took:?}");

    let status = reads.await.unwrap();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let reason = status.get_error_details().error_info().cloned();
    assert_eq!(reason.unwrap().reason, "DRAINING", "{status:?}");
    for words in [on_api, on_health] {
        assert_eq!(words.await.unwrap(), [ServingStatus::NotServing]);
    }
    drop((never_reads, idle));

    world.start_gateway().await.unwrap();
    let mut stored = 0;
    while let Some(answer) = in_hand.join_next().await {
        let (id, answer) = answer.unwrap();
        if answer.is_ok() {
            stored += 1;
            // What was answered is kept.
            world.client().get(&id).await.unwrap();
        }
    }
    let paid = world.client().until_final("before-3", WITHIN).await;
    assert_eq!(paid.unwrap().state(), PaymentState::Paid, "{stored} stored");

    // The signer after the gateway that needs it.
    assert_eq!(world.stop_gateway().await.unwrap().unwrap().code(), Some(0));
    assert_eq!(world.stop_signer().await.unwrap().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_in_time_though_ledger_and_signer_hang() {
    let timeout = Duration::from_secs(4);
    let mut world = World::start(Setup {
        gateway_variables: vec![(
            "PAYGATE__SHUTDOWN__TIMEOUT_MS".to_owned(),
            timeout.as_millis().to_string(),
        )],
        ..Setup::default()
    })
    .await
    .unwrap();
    until("healthy", || async { health(&world).await.0 == 200 }).await;
    for name in ["ledger", "signer"] {
        let pid = i32::try_from(world.pids()[name].as_u64().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
    }
    let asked = payment("hanging", &payee("alice"), DROPS_PER_XRP);
    world.client().create(asked).await.unwrap();
    let began = Instant::now();
    let ended = world.stop_gateway().await.unwrap().unwrap();
    let took = began.elapsed();
    assert_eq!(ended.code(), Some(0));
    assert!(took <= timeout, "the drain took {took:?} of {timeout:?}");
    world.kill_ledger();
    world.kill_signer();
}

// === exit codes ===

fn run(program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(program)
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_exit_code_comes_with_its_reason() {
    let mut world = World::prepare(Setup::default()).await.unwrap();
    world.start_signer().await.unwrap();
    let (gateway, signer) = (
        world.binaries().gateway.clone(),
        world.binaries().signer.clone(),
    );
    let of_gateway = world.write_gateway_config().unwrap().display().to_string();
    let of_signer = world.path("signer/signer.toml").display().to_string();

    // 64: field, value, limit.
    let bad = [
        (
            &gateway,
            &of_gateway,
            "PAYGATE__XRPL__LAST_LEDGER_WINDOW",
            "3",
            ["xrpl.last_ledger_window", "3", "4"],
        ),
        (
            &gateway,
            &of_gateway,
            "PAYGATE__XRPL__HALTED_AFTER_MS",
            "0",
            ["xrpl.halted_after_ms", "0", "600000"],
        ),
        (
            &gateway,
            &of_gateway,
            "PAYGATE__SHUTDOWN__TIMEOUT_MS",
            "soon",
            ["shutdown.timeout_ms", "soon", ""],
        ),
        (
            &signer,
            &of_signer,
            "PAYGATE_SIGNER__POLICY__MAX_FEE_DROPS",
            "0",
            ["policy.max_fee_drops", "0", ""],
        ),
        (
            &signer,
            &of_signer,
            "PAYGATE_SIGNER__POLICY__LEDGER_MIN_CLOSE_MS",
            "1",
            ["policy.ledger_min_close_ms", "1", ""],
        ),
    ];
    for (program, config, variable, value, words) in bad {
        for command in ["check-config", "serve"] {
            let refused = run(
                program,
                &[command, "--config", config],
                &[(variable, value)],
            );
            assert_eq!(refused.status.code(), Some(64), "{variable}: {refused:?}");
            for word in words {
                assert!(said(&refused).contains(word), "{word}: {}", said(&refused));
            }
        }
    }

    // 1: what a restart may mend.
    let second_signer = run(&signer, &["serve", "--config", &of_signer], &[]);
    assert_eq!(second_signer.status.code(), Some(1), "{second_signer:?}");
    assert!(
        said(&second_signer).contains("exactly one signer"),
        "{}",
        said(&second_signer)
    );
    world.start_gateway().await.unwrap();
    let second = run(&gateway, &["serve", "--config", &of_gateway], &[]);
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(said(&second).contains("is locked"), "{}", said(&second));
    let taken = world.listeners().metrics.clone();
    let in_use = run(
        &gateway,
        &["serve", "--config", &of_gateway],
        &[("PAYGATE__MONITORING__METRICS_LISTEN", &taken)],
    );
    assert_eq!(in_use.status.code(), Some(1), "{in_use:?}");
    for word in ["monitoring.metrics_listen", &taken] {
        assert!(said(&in_use).contains(word), "{}", said(&in_use));
    }

    // 2: not a command.
    for program in [&gateway, &signer] {
        let refused = run(program, &["servve"], &[]);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }

    // Probes, of either program for either process.
    until("accepting", || async {
        health(&world).await.1["accepting"] == true
    })
    .await;
    let health_listener = format!("http://{}", world.listeners().health);
    let socket = format!("unix:{}", world.signer_socket().display());
    for (program, address, service) in [
        (&gateway, &health_listener, "paygate.capability.accept"),
        (&signer, &socket, "paygate.signer.v1.SignerService"),
        (&signer, &socket, ""),
    ] {
        let arguments = ["probe", "--addr", address, "--service", service];
        let probed = run(program, &arguments, &[]);
        assert_eq!(probed.status.code(), Some(0), "{address}: {probed:?}");
    }
    world.kill_signer();
    let nobody = run(&signer, &["probe", "--addr", &socket], &[]);
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
    assert!(
        said(&nobody).contains("cannot connect"),
        "{}",
        said(&nobody)
    );
}
