//! What operators and orchestrators have of the processes: health, metrics, signals, exit codes, command line.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use paygate_proto::v1::PaymentState;
use paygate_tests::world::client::{Client, DROPS_PER_XRP, payment, unix_channel};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World, http};
use serde_json::Value;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Health is reported with hysteresis: a few observations, seconds apart.
const SERVING_WITHIN: Duration = Duration::from_secs(60);

/// How often health is asked again.
const POLL: Duration = Duration::from_millis(100);

async fn until_health(channel: Channel, service: &str, wanted: ServingStatus) {
    let deadline = Instant::now() + SERVING_WITHIN;
    loop {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = HealthClient::new(channel.clone()).check(request).await;
        if answer
            .as_ref()
            .is_ok_and(|answer| answer.get_ref().status() == wanted)
        {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{service:?} is not {wanted:?}: {answer:?}"
        );
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_on_every_way_in() {
    let mut world = World::start(Setup::default()).await.unwrap();
    let gateway = world.client().channel();
    let names = ["", "paygate.v1.PaymentService"];
    let capabilities = [
        "accept", "submit", "confirm", "sign", "ledger", "store", "wallet",
    ];
    for name in names {
        until_health(gateway.clone(), name, ServingStatus::Serving).await;
    }
    for capability in capabilities {
        until_health(
            gateway.clone(),
            &format!("paygate.capability.{capability}"),
            ServingStatus::Serving,
        )
        .await;
    }
    until_health(
        Client::new(&world.listeners().health).channel(),
        "",
        ServingStatus::Serving,
    )
    .await;
    for name in ["", "paygate.signer.v1.SignerService"] {
        until_health(
            unix_channel(&world.signer_socket()),
            name,
            ServingStatus::Serving,
        )
        .await;
    }
    let unknown = HealthCheckRequest {
        service: "no.such.Service".to_owned(),
    };
    let refused = HealthClient::new(gateway.clone())
        .check(unknown)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);

    world.kill_signer();
    until_health(
        gateway.clone(),
        "paygate.capability.sign",
        ServingStatus::NotServing,
    )
    .await;
    until_health(
        gateway.clone(),
        "paygate.capability.accept",
        ServingStatus::Serving,
    )
    .await;
    world.start_signer().await.unwrap();
    until_health(gateway, "paygate.capability.sign", ServingStatus::Serving).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_tells_monitoring_what_it_asks() {
    let world = World::start(Setup::default()).await.unwrap();
    let admin = world.listeners().metrics.clone();
    until_health(world.client().channel(), "", ServingStatus::Serving).await;
    world
        .client()
        .create(payment("counted", &payee("alice"), DROPS_PER_XRP))
        .await
        .unwrap();
    let paid = world
        .client()
        .until_final("counted", SERVING_WITHIN)
        .await
        .unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);

    assert_eq!(http::get(&admin, "/livez").await.unwrap().status, 200);
    assert_eq!(http::get(&admin, "/readyz").await.unwrap().status, 200);
    // Health looks once a second, and a payment can be quicker than that.
    let deadline = Instant::now() + SERVING_WITHIN;
    let health = loop {
        let health = http::get(&admin, "/health").await.unwrap();
        if health.status == 200 {
            break health;
        }
        assert!(Instant::now() < deadline, "{}", health.body);
        tokio::time::sleep(POLL).await;
    };
    let health: Value = serde_json::from_str(&health.body).unwrap();
    for check in ["xrpl", "wallet", "pending", "signer", "store"] {
        assert!(
            health.to_string().contains(check),
            "{check} is not in {health}"
        );
    }
    let metrics = http::get(&admin, "/metrics").await.unwrap();
    assert_eq!(metrics.status, 200);
    for name in [
        "payments_total",
        "payment_amount_xrp_total",
        "pending_payments",
        "wallet_balance_xrp",
        "xrpl_connection_status",
        "xrpl_request_duration_seconds",
        "grpc_requests_total",
        "grpc_request_duration_seconds",
    ] {
        assert!(
            metrics.body.lines().any(|line| line.starts_with(name)),
            "{name} is not in\n{}",
            metrics.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_both_in_order_and_loses_nothing() {
    let mut world = World::start(Setup::default()).await.unwrap();
    for number in 0..5 {
        world
            .client()
            .create(payment(
                &format!("drain-{number}"),
                &payee("alice"),
                DROPS_PER_XRP,
            ))
            .await
            .unwrap();
    }
    assert_eq!(world.stop_gateway().await.unwrap().unwrap().code(), Some(0));
    assert_eq!(world.stop_signer().await.unwrap().unwrap().code(), Some(0));
    world.start_signer().await.unwrap();
    world.start_gateway().await.unwrap();
    for number in 0..5 {
        let paid = world
            .client()
            .until_final(&format!("drain-{number}"), SERVING_WITHIN)
            .await
            .unwrap();
        assert_eq!(paid.state(), PaymentState::Paid);
    }
}

fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_lines_answer() {
    let world = World::start(Setup::default()).await.unwrap();
    let (gateway, signer) = (&world.binaries().gateway, &world.binaries().signer);
    let good = world.write_gateway_config().unwrap().display().to_string();
    let good_signer = world.path("signer/signer.toml").display().to_string();
    let bad = world.path("bad.toml").display().to_string();
    std::fs::write(&bad, "no_such_key = 1\n").unwrap();

    for (program, good) in [(gateway, &good), (signer, &good_signer)] {
        let checked = run(program, &["check-config", "--config", good]);
        assert_eq!(checked.status.code(), Some(0), "{checked:?}");
        assert!(!String::from_utf8_lossy(&checked.stdout).contains(&world.wallet().seed));
        for command in ["check-config", "serve"] {
            for file in [bad.as_str(), "/no/such/file"] {
                let refused = run(program, &[command, "--config", file]);
                assert_eq!(
                    refused.status.code(),
                    Some(64),
                    "{command} {file}: {refused:?}"
                );
            }
        }
        let said = run(program, &["check-config", "--config", &bad]);
        assert!(
            String::from_utf8_lossy(&said.stderr).contains("no_such_key"),
            "{said:?}"
        );
    }

    until_health(world.client().channel(), "", ServingStatus::Serving).await;
    let health = format!("http://{}", world.listeners().health);
    let socket = format!("unix:{}", world.signer_socket().display());
    for address in [&health, &socket] {
        let probed = run(gateway, &["probe", "--addr", address]);
        assert_eq!(probed.status.code(), Some(0), "{address}: {probed:?}");
    }
    let nobody = run(gateway, &["probe", "--addr", "http://127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
}
