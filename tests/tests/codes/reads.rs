//! Stories of a ledger that cannot be read: while reads are refused, or the connection is closed, nothing is decided, not even
//! what the ledger has decided long since; once it can be read again, the payment ends as it says.

use paygate_proto::v1::{PaymentReason, PaymentState};
use serde_json::{Value, json};

use super::rows::{CLOSES, READS};
use super::stage::{Stage, answers, shown};
use super::{Recorded, assert_is_paid};

/// Commands by which a connection proves its network.
const AT_CONNECT: [&str; 2] = ["ledger", "subscribe"];

/// Commands without which a validated ledger cannot be taken in.
const TO_CONFIRM: [&str; 2] = ["account_info", "account_tx"];

/// Recorded refusals of these commands, each with the answer.
fn refusals(commands: &[&str]) -> Vec<(String, String, Value)> {
    let recorded = Recorded::read();
    let all = recorded
        .refused
        .iter()
        .filter(|(command, _)| commands.contains(&command.as_str()));
    let all: Vec<_> = all
        .map(|(command, token)| {
            (
                command.clone(),
                token.clone(),
                recorded.errors[token].clone(),
            )
        })
        .collect();
    assert!(!all.is_empty(), "{commands:?}");
    all
}

/// Orders to close the connection as it was recorded.
fn closes() -> impl Iterator<Item = Value> {
    CLOSES.iter().map(|close| {
        let (code, reason) = close.split_once(' ').unwrap();
        let code: u16 = code.parse().unwrap();
        json!({ "sim_close": { "code": code, "reason": reason } })
    })
}

#[test]
fn every_read_is_in_one_of_the_stories() {
    let recorded = Recorded::read();
    let told = [&AT_CONNECT[..], &TO_CONFIRM[..], &["fee"]].concat();
    for (command, token) in &recorded.refused {
        let read = READS.contains(&command.as_str());
        assert!(
            !read || told.contains(&command.as_str()),
            "{command} {token}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_not_decided() {
    let stage = Stage::set().await;
    let queued = Recorded::read().results["terQUEUED"].clone();
    for (command, token, refusal) in refusals(&TO_CONFIRM) {
        let id = format!("{command}.{token}");
        stage.answer(&id, Some(&queued)).await;
        stage.pay(&id, None).await;
        stage.until_answered(&id, "terQUEUED").await;
        let before = stage.reconciled().await;
        stage.refuse(&command, Some(&refusal)).await;
        // The ledger pays, and the gateway cannot read that it did.
        stage.land(&id, None).await;
        stage.ledger.close_ledger().await.unwrap();
        stage
            .until("the refusal has arrived", async || {
                stage.refused(&command).await > 0
            })
            .await;
        let unread = stage.explain(&id).await;
        assert_eq!(shown(&unread).state(), PaymentState::AtLarge, "{id}");
        assert!(!shown(&unread).safe_to_repay, "{id}");
        assert!(unread.person_next.contains("Do not pay elsewhere"), "{id}");
        assert_eq!(
            stage.reconciled().await,
            before,
            "{id}: no ledger is taken in by halves"
        );
        stage.refuse(&command, None).await;
        stage.close().await;
        let paid = stage.until_state(&id, PaymentState::Paid).await;
        assert_is_paid(&stage, &id, &paid).await;
    }
    assert_eq!(stage.frozen().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fee_nothing_is_bound() {
    let stage = Stage::set().await;
    for (command, token, refusal) in refusals(&["fee"]) {
        let id = format!("{command}.{token}");
        stage.refuse(&command, Some(&refusal)).await;
        stage.pay(&id, None).await;
        stage
            .until("it says what it waits for", async || {
                let waits = stage.explain(&id).await;
                let waits = shown(&waits);
                // At first it may still say what it said before there was a connection.
                waits.reason() == PaymentReason::LedgerUnavailable
                    && waits.reason_detail.contains(&token)
            })
            .await;
        let waits = stage.explain(&id).await;
        assert_eq!(shown(&waits).state(), PaymentState::Accepted, "{id}");
        assert!(
            waits.gateway_next.contains("asks again"),
            "{id}: {}",
            waits.gateway_next
        );
        assert!(
            waits.person_next.contains("check the ledger's server"),
            "{id}: {}",
            waits.person_next
        );
        stage.refuse(&command, None).await;
        stage.until_answered(&id, "tesSUCCESS").await;
        stage.close().await;
        let paid = stage.until_state(&id, PaymentState::Paid).await;
        assert_is_paid(&stage, &id, &paid).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_prove_its_network_is_told_nothing() {
    let mut stage = Stage::set().await;
    let queued = Recorded::read().results["terQUEUED"].clone();
    let closed = closes().map(|close| {
        let reason = close["sim_close"]["reason"].as_str().unwrap().to_owned();
        ("server_state".to_owned(), reason, close)
    });
    let all = refusals(&AT_CONNECT).into_iter().chain(closed);
    for (number, (command, word, refusal)) in all.enumerate() {
        let id = format!("unproven.{number}");
        stage.answer(&id, Some(&queued)).await;
        stage.pay(&id, None).await;
        stage.until_answered(&id, "terQUEUED").await;
        // While the gateway is away the ledger pays; the next generation cannot know.
        stage.world.kill_gateway();
        let (_, arrivals) = stage.given(&id).await;
        stage.refuse(&command, Some(&refusal)).await;
        stage.land(&id, None).await;
        stage.ledger.close_ledger().await.unwrap();
        stage.start_gateway().await;
        stage
            .until("the refusal has arrived", async || {
                stage.refused(&command).await > 0
            })
            .await;
        // A ledger that the server does not hold is told in other words.
        let word = if word == "lgrNotFound" {
            "anchor ledger"
        } else {
            &word
        };
        stage
            .until("it says why no server is proven", async || {
                let explained = stage.explain(&id).await;
                let payment = shown(&explained);
                payment.reason() == PaymentReason::LedgerUnavailable
                    && payment.reason_detail.contains(word)
            })
            .await;
        let unread = stage.explain(&id).await;
        assert_eq!(shown(&unread).state(), PaymentState::AtLarge, "{id}");
        assert!(!shown(&unread).safe_to_repay, "{id}");
        assert!(
            unread.person_next.contains("Do not pay elsewhere"),
            "{id}: {}",
            unread.person_next
        );
        assert_eq!(
            stage.given(&id).await.1,
            arrivals,
            "{id}: nothing is sent to it"
        );
        stage.refuse(&command, None).await;
        let paid = stage.until_state(&id, PaymentState::Paid).await;
        assert_is_paid(&stage, &id, &paid).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_into_a_closing_connection_is_unknown() {
    let stage = Stage::set().await;
    // An answer that cannot be read says as much as none.
    let strange = [json!({ "surprise": true })];
    for (number, answer) in closes().chain(strange).enumerate() {
        let id = format!("closed.{number}");
        stage.answer(&id, Some(&answer)).await;
        stage.pay(&id, None).await;
        let unknown = stage.until_answered(&id, "unread").await;
        assert_eq!(shown(&unknown).state(), PaymentState::AtLarge, "{id}");
        assert!(!shown(&unknown).safe_to_repay, "{id}");
        assert!(
            answers(&unknown).iter().all(|word| word == "unread"),
            "{id}"
        );
        assert!(
            unknown.person_next.contains("Do not pay elsewhere"),
            "{id}: {}",
            unknown.person_next
        );
        stage.land(&id, None).await;
        stage.answer(&id, None).await;
        stage.close().await;
        let paid = stage.until_state(&id, PaymentState::Paid).await;
        assert_is_paid(&stage, &id, &paid).await;
    }
    assert_eq!(stage.frozen().await, None);
}
