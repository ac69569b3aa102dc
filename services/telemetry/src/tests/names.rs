//! Health names exist from the first moment and do not flap.

use std::time::SystemTime;

use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::loopback;
use crate::health::{Health, Hysteresis, Serving};

const NAMES: &[&str] = &["", "paygate.capability.sign"];

#[tokio::test]
async fn every_name_is_registered_and_does_not_serve_at_birth() {
    let (health, server) = Health::new(NAMES);
    let (address, incoming) = loopback().await;
    tokio::spawn(
        Server::builder()
            .add_service(server)
            .serve_with_incoming(incoming),
    );
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut client = HealthClient::new(channel);
    let asked = |name: &str| HealthCheckRequest {
        service: name.to_owned(),
    };

    for name in NAMES {
        let answer = client.check(asked(name)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::NotServing, "{name:?}");
    }
    for unknown in ["paygate.v1.Nothing", "paygate.capability.sign "] {
        assert_eq!(
            client.check(asked(unknown)).await.unwrap_err().code(),
            Code::NotFound
        );
        assert_eq!(
            client.watch(asked(unknown)).await.unwrap_err().code(),
            Code::NotFound
        );
    }

    let mut watched = client
        .watch(asked("paygate.capability.sign"))
        .await
        .unwrap()
        .into_inner();
    let mut next = async || watched.next().await.unwrap().unwrap().status();
    assert_eq!(next().await, ServingStatus::NotServing);
    health.set("paygate.capability.sign", Serving::Yes);
    assert_eq!(next().await, ServingStatus::Serving);
    health.set(
        "paygate.capability.sign",
        Serving::No("signer gone".to_owned()),
    );
    assert_eq!(next().await, ServingStatus::NotServing);
    let answer = client.check(asked("")).await.unwrap().into_inner();
    assert_eq!(
        answer.status(),
        ServingStatus::NotServing,
        "names are independent"
    );

    health.set("paygate.capability.sign", Serving::Yes);
    assert_eq!(next().await, ServingStatus::Serving);
    health.end("the process is stopping");
    assert_eq!(next().await, ServingStatus::NotServing);
    assert!(watched.next().await.is_none(), "then the watcher is let go");
    let answer = client.check(asked("")).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::NotServing);
}

#[test]
fn a_single_lost_answer_does_not_flip_a_name() {
    let (health, _) = Health::with_hysteresis(
        NAMES,
        Hysteresis {
            up_after: 2,
            down_after: 3,
        },
    );
    let sign = "paygate.capability.sign";
    let bad = || Err("no answer in 2000 ms".to_owned());
    let steps = [
        (bad(), false),
        // The first time, one good answer is enough.
        (Ok(()), true),
        (bad(), true),
        (bad(), true),
        (Ok(()), true),
        (bad(), true),
        (bad(), true),
        (bad(), false),
        (Ok(()), false),
        (bad(), false),
        (Ok(()), false),
        (Ok(()), true),
    ];
    for (step, (seen, serves)) in steps.into_iter().enumerate() {
        health.observe(sign, seen);
        assert_eq!(
            health.get(sign) == Some(Serving::Yes),
            serves,
            "step {step}"
        );
    }
}

#[test]
fn a_snapshot_tells_reason_and_time_of_the_last_flip() {
    let (health, _) = Health::new(NAMES);
    let born = health.snapshot();
    assert_eq!(
        born.iter().map(|state| state.name).collect::<Vec<_>>(),
        NAMES
    );
    assert_eq!(born[0].serving, Serving::No("starting".to_owned()));

    while SystemTime::now() <= born[0].since {}
    health.set("", Serving::No("store is locked".to_owned()));
    let after = health.snapshot();
    assert_eq!(after[0].serving, Serving::No("store is locked".to_owned()));
    assert_eq!(
        after[0].since, born[0].since,
        "another reason is not another state"
    );
    health.set("", Serving::Yes);
    assert!(health.snapshot()[0].since > born[0].since);
    health.set("unknown", Serving::Yes);
    assert_eq!(health.get("unknown"), None);
}
