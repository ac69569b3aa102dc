//! Stories of destinations that cannot receive: what the gateway finds out before it sends, and what it cannot know.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::time::{Duration, Instant};

use paygate_proto::v1::{
    EvidenceKind, Payment, PaymentReason, PaymentState, PreflightRefusal, TimelineEvent,
    TimelineStage,
};
use paygate_tests::world::client::{Client, DROPS_PER_XRP, payment};
use paygate_tests::world::http;
use paygate_tests::world::ledger::Ledger;
use paygate_tests::world::person::{ASF_DEPOSIT_AUTH, ASF_DISALLOW_XRP, ASF_REQUIRE_DEST, Person};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World};
use serde_json::json;
use xrpl_tx::ACCOUNT_ONE;

/// More than anything in these stories takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);

/// The base reserve of the simulated network.
const RESERVE: u64 = DROPS_PER_XRP;

/// A transaction that somebody else makes gets into a validated ledger, and succeeds.
async fn validated(ledger: &Ledger, (result, hash): (String, String)) {
    assert_eq!(result, "tesSUCCESS");
    let deadline = Instant::now() + WITHIN;
    loop {
        let tx = ledger
            .ask("tx", json!({ "transaction": hash }))
            .await
            .unwrap();
        if tx["validated"] == true {
            assert_eq!(tx["meta"]["TransactionResult"], "tesSUCCESS");
            return;
        }
        assert!(Instant::now() < deadline, "{tx}");
        tokio::time::sleep(POLL).await;
    }
}

/// What every payment has in common that was given up before it was sent.
fn assert_given_up(payment: &Payment, refusal: PreflightRefusal, says: &[&str]) {
    let id = &payment.payment_id;
    assert_eq!(payment.state(), PaymentState::Cancelled, "{id}");
    assert_eq!(
        payment.reason(),
        PaymentReason::DestinationCannotReceive,
        "{id}"
    );
    assert!(payment.safe_to_repay, "{id}");
    assert_eq!((&payment.slot, payment.versions.len()), (&None, 0), "{id}");
    for words in says {
        let detail = &payment.reason_detail;
        assert!(detail.contains(words), "{id}: {detail:?} lacks {words:?}");
    }
    let evidence = payment.evidence.as_ref().unwrap();
    assert_eq!(evidence.kind(), EvidenceKind::NeverBound, "{id}");
    assert_eq!(evidence.refusal(), refusal, "{id}");
    assert_ne!(evidence.ledger_index, 0, "{id}");
    assert_eq!(evidence.ledger_hash.len(), 64, "{id}");
    assert!(!evidence.servers.is_empty(), "{id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn xrp_that_cannot_arrive_is_given_up_before_it_costs_a_slot_and_all_other_is_paid() {
    let (tagged, barred, shy) = (
        Person::named("tagged"),
        Person::named("barred"),
        Person::named("shy"),
    );
    let people = [&tagged, &barred, &shy];
    let funded = people.map(|person| (person.address(), 50)).to_vec();
    let world = World::start(Setup {
        funded,
        ..Setup::default()
    })
    .await
    .unwrap();
    let (client, ledger) = (world.client(), world.ledger());
    for (person, flag) in [
        (&tagged, ASF_REQUIRE_DEST),
        (&barred, ASF_DEPOSIT_AUTH),
        (&shy, ASF_DISALLOW_XRP),
    ] {
        validated(&ledger, person.sets(&ledger, flag).await.unwrap()).await;
    }

    let newcomer = payee("newcomer");
    let mut with_tag = payment("with-tag", &tagged.address(), 5 * DROPS_PER_XRP);
    with_tag.destination_tag = Some(0);
    let asked = [
        payment("below-reserve", &payee("nobody"), RESERVE - 1),
        payment("at-reserve", &newcomer, RESERVE),
        payment("no-tag", &tagged.address(), 5 * DROPS_PER_XRP),
        with_tag,
        payment("barred", &barred.address(), 5 * DROPS_PER_XRP),
        payment("unwanted", &shy.address(), 5 * DROPS_PER_XRP),
        payment("nobodys", &ACCOUNT_ONE.to_address(), 5 * DROPS_PER_XRP),
    ];
    for request in asked {
        client.create(request).await.unwrap();
    }
    let wallet = world.wallet().address();
    for (id, refusal, says) in [
        (
            "below-reserve",
            PreflightRefusal::NotFunded,
            ["does not exist", "0.999999 XRP", "1 XRP"].as_slice(),
        ),
        (
            "no-tag",
            PreflightRefusal::TagNeeded,
            &["requires a destination tag", "ask the payee"],
        ),
        (
            "barred",
            PreflightRefusal::DepositNotAuthorised,
            &["DepositAuth", &wallet, "preauthorise it"],
        ),
        (
            "unwanted",
            PreflightRefusal::XrpUnwanted,
            &["not to be sent XRP"],
        ),
        (
            "nobodys",
            PreflightRefusal::NobodysAddress,
            &["the money would be lost"],
        ),
    ] {
        let given_up = client.until_final(id, WITHIN).await.unwrap();
        assert_given_up(&given_up, refusal, says);
    }
    for id in ["at-reserve", "with-tag"] {
        let paid = client.until_final(id, WITHIN).await.unwrap();
        assert_eq!(paid.state(), PaymentState::Paid, "{id}");
    }
    let made = ledger.history(&wallet).await.unwrap();
    let made = made.iter().filter(|entry| entry.account == wallet);
    assert_eq!(made.count(), 2, "only what is paid took a slot and a fee");

    // The barred one opens his door.
    let fields = json!({ "TransactionType": "DepositPreauth", "Authorize": wallet });
    validated(&ledger, barred.sends(&ledger, fields).await.unwrap()).await;
    let mut again = payment("barred-again", &barred.address(), 5 * DROPS_PER_XRP);
    again.retry_of = "barred".to_owned();
    client.create(again).await.unwrap();
    let paid = client.until_final("barred-again", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);

    assert_told(&world, &client).await;
}

/// The timeline and the metrics tell the same.
async fn assert_told(world: &World, client: &Client) {
    let explained = client.explain("no-tag").await.unwrap();
    let last = explained.events.last().unwrap();
    assert_eq!(last.stage(), TimelineStage::Cancelled);
    assert!(
        last.summary.contains("its destination cannot receive it")
            && last.summary.contains("Safe to pay again"),
        "{}",
        last.summary
    );
    assert_eq!(last.details["reason"], "tag_needed");
    let scraped = http::get(&world.listeners().metrics, "/metrics")
        .await
        .unwrap()
        .body;
    for line in [
        "paygate_preflight_refusals_total{reason=\"tag_needed\"} 1",
        "paygate_preflight_refusals_total{reason=\"not_funded\"} 1",
        "payments_total{status=\"CANCELLED\"} 5",
    ] {
        assert!(scraped.contains(line), "{line} is not in\n{scraped}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_changes_after_preflight_still_fails_with_proof() {
    let carol = Person::named("carol");
    let world = World::start(Setup {
        close_ms: 0,
        funded: vec![(carol.address(), 50)],
        gateway_variables: vec![(
            "PAYGATE__XRPL__REQUEST_TIMEOUT_MS".to_owned(),
            "1000".to_owned(),
        )],
        ..Setup::default()
    })
    .await
    .unwrap();
    let (client, ledger) = (world.client(), world.ledger());
    // What is submitted first is lost on its way.
    let lost = json!({ "drop_submit_requests": 1 });
    ledger.ask("sim_script", lost).await.unwrap();
    let request = payment("late", &carol.address(), 5 * DROPS_PER_XRP);
    client.create(request).await.unwrap();
    until_submit_says(&client, "late", "unknown").await;

    // In the next ledger Carol asks for tags, and only the one after it can hold the payment.
    let (result, _) = carol.sets(&ledger, ASF_REQUIRE_DEST).await.unwrap();
    assert_eq!(result, "tesSUCCESS");
    ledger.close_ledger().await.unwrap();
    until_submit_says(&client, "late", "tecDST_TAG_NEEDED").await;
    let failed = close_until_final(&world, "late").await;
    assert_eq!(failed.state(), PaymentState::Failed);
    assert_eq!(failed.reason(), PaymentReason::TecTagNeeded);
    assert!(failed.safe_to_repay);
    let evidence = failed.evidence.unwrap();
    assert_eq!(evidence.engine_result, "tecDST_TAG_NEEDED");
    assert_eq!(evidence.delivered, None);
    assert_eq!(evidence.refusal(), PreflightRefusal::Unspecified);
}

/// Waits until a submit was answered so, as the timeline tells.
async fn until_submit_says(client: &Client, payment_id: &str, word: &str) {
    let deadline = Instant::now() + WITHIN;
    loop {
        let explained = client.explain(payment_id).await.unwrap();
        let says = |event: &TimelineEvent| {
            let said = event.details.get("engine_result");
            event.stage() == TimelineStage::SubmitAnswered && said.is_some_and(|said| said == word)
        };
        if explained.events.iter().any(says) {
            return;
        }
        assert!(Instant::now() < deadline, "{explained:#?}");
        tokio::time::sleep(POLL).await;
    }
}

async fn close_until_final(world: &World, payment_id: &str) -> Payment {
    let deadline = Instant::now() + WITHIN;
    loop {
        world.ledger().close_ledger().await.unwrap();
        let found = world
            .client()
            .until_final(payment_id, Duration::from_millis(500))
            .await;
        match found {
            Ok(payment) => return payment,
            Err(not_yet) => assert!(Instant::now() < deadline, "{not_yet}"),
        }
    }
}
