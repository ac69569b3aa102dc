//! One payment, one trace: from the caller's own span through both processes to the ledger, also across a crash.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use paygate_proto::v1::{Payment, PaymentState};
use paygate_tests::world::client::{DROPS_PER_XRP, payment};
use paygate_tests::world::collector::{Collector, Seen};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World};
use serde_json::json;

const FINAL_WITHIN: Duration = Duration::from_secs(60);

/// Spans are exported in batches, seconds apart, and the signer's are pulled by the gateway first.
const SEEN_WITHIN: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(100);

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLERS_SPAN: &str = "00f067aa0ba902b7";

fn traceparent() -> String {
    format!("00-{TRACE_ID}-{CALLERS_SPAN}-01")
}

/// The trace as soon as it is as wanted.
async fn until_seen(
    collector: &Collector,
    what: &str,
    wanted: impl Fn(&[Seen]) -> bool,
) -> Vec<Seen> {
    let deadline = Instant::now() + SEEN_WITHIN;
    loop {
        let trace = collector.trace(TRACE_ID);
        if wanted(&trace) {
            return trace;
        }
        let names: Vec<_> = trace
            .iter()
            .map(|seen| {
                (
                    &seen.service,
                    &seen.span.name,
                    hex::encode(&seen.span.span_id),
                    hex::encode(&seen.span.parent_span_id),
                )
            })
            .collect();
        assert!(
            Instant::now() < deadline,
            "{what} is not in the trace, which holds {names:#?}"
        );
        tokio::time::sleep(POLL).await;
    }
}

/// Spans of both services, and no parent is missing.
fn is_whole(trace: &[Seen]) -> bool {
    let ids: BTreeSet<&[u8]> = trace
        .iter()
        .map(|seen| seen.span.span_id.as_slice())
        .collect();
    let callers = hex::decode(CALLERS_SPAN).unwrap();
    let services: BTreeSet<&str> = trace.iter().map(|seen| seen.service.as_str()).collect();
    services.is_superset(&BTreeSet::from(["paygate", "paygate-signer"]))
        && trace.iter().all(|seen| {
            let parent = seen.span.parent_span_id.as_slice();
            parent == callers || ids.contains(parent)
        })
}

/// What the spans of a payment have to be, whatever else there is.
async fn assert_good(world: &World, paid: &Payment, trace: &[Seen]) {
    let by_id: BTreeMap<&[u8], &Seen> = trace
        .iter()
        .map(|seen| (seen.span.span_id.as_slice(), seen))
        .collect();
    let create = trace
        .iter()
        .find(|seen| seen.span.name.ends_with("PaymentService/CreatePayment"))
        .unwrap();
    assert_eq!(
        hex::encode(&create.span.parent_span_id),
        CALLERS_SPAN,
        "the call is the caller's child"
    );
    let signers: Vec<_> = trace
        .iter()
        .filter(|seen| seen.service == "paygate-signer")
        .collect();
    assert!(
        signers
            .iter()
            .any(|seen| seen.span.name.ends_with("SignerService/SignPayment")),
        "{signers:?}"
    );
    for seen in signers {
        // Up from each span of the signer, one comes to the gateway and from there to the caller.
        let (mut at, mut through_gateway, mut steps) = (seen, false, 0);
        while let Some(parent) = by_id.get(at.span.parent_span_id.as_slice()) {
            through_gateway |= parent.service == "paygate";
            (at, steps) = (parent, steps + 1);
            assert!(steps < 20, "the parents go round in a circle");
        }
        assert!(
            through_gateway,
            "{} has no parent in the gateway",
            seen.span.name
        );
        assert_eq!(hex::encode(&at.span.parent_span_id), CALLERS_SPAN);
    }
    assert_no_secret(world, paid, trace).await;
}

async fn assert_no_secret(world: &World, paid: &Payment, trace: &[Seen]) {
    let tx_hash = paid.evidence.as_ref().unwrap().tx_hash.clone();
    let text = world
        .ledger()
        .ask("tx", json!({ "transaction": tx_hash }))
        .await
        .unwrap();
    let binary = world
        .ledger()
        .ask("tx", json!({ "transaction": tx_hash, "binary": true }))
        .await
        .unwrap();
    let forbidden = [
        world.wallet().seed.to_uppercase(),
        hex::encode_upper(world.wallet().private_key),
        text["TxnSignature"].as_str().unwrap().to_uppercase(),
        binary["tx"].as_str().unwrap().to_uppercase(),
    ];
    for text in trace.iter().flat_map(|seen| &seen.texts) {
        let text = text.to_uppercase();
        assert!(
            !forbidden.iter().any(|secret| text.contains(secret)),
            "an attribute holds a secret"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_one_trace_through_both_services() {
    let collector = Collector::start().await.unwrap();
    let setup = Setup {
        otlp_endpoint: Some(collector.endpoint()),
        ..Setup::default()
    };
    let world = World::start(setup).await.unwrap();
    let stored = world
        .client()
        .create_traced(
            payment("traced", &payee("alice"), DROPS_PER_XRP),
            &traceparent(),
        )
        .await
        .unwrap();
    assert_eq!(stored.trace_id, TRACE_ID);
    let paid = world
        .client()
        .until_final("traced", FINAL_WITHIN)
        .await
        .unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
    let trace = until_seen(&collector, "a whole payment", is_whole).await;
    assert_good(&world, &paid, &trace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_outlives_the_gateway_stays_in_its_trace() {
    let collector = Collector::start().await.unwrap();
    let setup = Setup {
        otlp_endpoint: Some(collector.endpoint()),
        ..Setup::default()
    };
    let mut world = World::start(setup).await.unwrap();
    // Without the ledger it can only be stored.
    world.kill_ledger();
    let request = payment("outlives", &payee("alice"), DROPS_PER_XRP);
    world
        .client()
        .create_traced(request, &traceparent())
        .await
        .unwrap();
    let first_life = until_seen(&collector, "the first life's call", |trace| {
        trace
            .iter()
            .any(|seen| seen.span.name.ends_with("PaymentService/CreatePayment"))
    })
    .await;
    assert_ne!(
        world.client().get("outlives").await.unwrap().state(),
        PaymentState::Paid
    );

    world.kill_gateway();
    world.start_ledger().await.unwrap();
    world.start_gateway().await.unwrap();
    let paid = world
        .client()
        .until_final("outlives", FINAL_WITHIN)
        .await
        .unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
    let trace = until_seen(&collector, "the second life", is_whole).await;
    assert!(trace.len() > first_life.len());
    assert_good(&world, &paid, &trace).await;
}
