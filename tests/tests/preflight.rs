//! Stories of destinations that cannot receive: what the gateway finds out before it sends, and what it cannot know.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::time::{Duration, Instant};

use paygate_proto::v1::{
    CreatePaymentRequest, EvidenceKind, GetWalletRequest, IssuedAmount, Payment, PaymentReason,
    PaymentState, PreflightRefusal, TimelineEvent, TimelineStage, create_payment_request,
};
use paygate_tests::world::client::{Client, DROPS_PER_XRP, payment};
use paygate_tests::world::http;
use paygate_tests::world::ledger::{Ledger, LedgerError};
use paygate_tests::world::person::{Person, Rule};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Asset, Setup, World};
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt as _;
use xrpl_tx::ACCOUNT_ONE;

/// More than anything in these stories takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);

/// The base reserve of the simulated network.
const RESERVE: u64 = DROPS_PER_XRP;

/// Everything that was sent until now is in a validated ledger.
async fn settled(ledger: &Ledger) {
    let until = ledger.validated_index().await.unwrap() + 2;
    let deadline = Instant::now() + WITHIN;
    while ledger.validated_index().await.unwrap() < until {
        assert!(Instant::now() < deadline, "ledgers do not close");
        tokio::time::sleep(POLL).await;
    }
}

/// What somebody else did got into the open ledger.
fn done(result: Result<String, LedgerError>) {
    assert_eq!(result.unwrap(), "tesSUCCESS");
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
    let names = ["tagged", "barred", "shy"];
    let funded = names.map(|name| (Person::wallet_of(name).address(), 50));
    let world = World::start(Setup {
        funded: funded.to_vec(),
        ..Setup::default()
    })
    .await
    .unwrap();
    let (client, ledger) = (world.client(), world.ledger());
    let [tagged, barred, shy] = names.map(|name| Person::named(name, &ledger));
    for (person, rule) in [
        (&tagged, Rule::DestinationTag),
        (&barred, Rule::DepositAuthorization),
        (&shy, Rule::NoXrp),
    ] {
        done(person.sets(rule, true).await);
    }
    settled(&ledger).await;

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
    done(barred.preauthorizes(&wallet).await);
    settled(&ledger).await;
    let mut again = payment("barred-again", &barred.address(), 5 * DROPS_PER_XRP);
    again.retry_of = "barred".to_owned();
    client.create(again).await.unwrap();
    let paid = client.until_final("barred-again", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);

    assert_told(&world, &client).await;

    // Who only asks hears the same, and nothing is stored.
    let mut only_asks = payment("only-asks", &tagged.address(), 5 * DROPS_PER_XRP);
    only_asks.validate_only = true;
    let refused = client.create(only_asks.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.reason, "DESTINATION_CANNOT_RECEIVE");
    assert_eq!(info.metadata["refusal"], "TAG_NEEDED");
    only_asks.destination_tag = Some(7);
    client.create(only_asks).await.unwrap();
    let unknown = client.get("only-asks").await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
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
    let world = World::start(Setup {
        close_ms: 0,
        funded: vec![(Person::wallet_of("carol").address(), 50)],
        gateway_variables: vec![(
            "PAYGATE__XRPL__REQUEST_TIMEOUT_MS".to_owned(),
            "1000".to_owned(),
        )],
        ..Setup::default()
    })
    .await
    .unwrap();
    let (client, ledger) = (world.client(), world.ledger());
    let carol = Person::named("carol", &ledger);
    // What is submitted first is lost on its way.
    let lost = json!({ "drop_submit_requests": 1 });
    ledger.ask("sim_script", lost).await.unwrap();
    let request = payment("late", &carol.address(), 5 * DROPS_PER_XRP);
    client.create(request).await.unwrap();
    until_submit_says(&client, "late", None).await;

    // In the next ledger Carol asks for tags, and only the one after it can hold the payment.
    done(carol.sets(Rule::DestinationTag, true).await);
    ledger.close_ledger().await.unwrap();
    until_submit_says(&client, "late", Some("tecDST_TAG_NEEDED")).await;
    let failed = close_until_final(&world, "late").await;
    assert_eq!(failed.state(), PaymentState::Failed);
    assert_eq!(failed.reason(), PaymentReason::TecTagNeeded);
    assert!(failed.safe_to_repay);
    let evidence = failed.evidence.unwrap();
    assert_eq!(evidence.engine_result, "tecDST_TAG_NEEDED");
    assert_eq!(evidence.delivered, None);
    assert_eq!(evidence.refusal(), PreflightRefusal::Unspecified);
}

// === issued currencies ===

const CURRENCY: &str = "USD";

/// Deep freeze of a trust line, which demands the ordinary one.
const TF_SET_FREEZE_AND_DEEP_FREEZE: u32 = 0x0010_0000 | 0x0040_0000;

/// Issuers by name. The wallet has a trust line with all but the last.
const ISSUERS: [&str; 4] = ["plain", "strict", "greedy", "distant"];

/// Holders of what `plain` issues, by what becomes of them.
const HOLDERS: [&str; 4] = ["small", "icy", "cool", "stranger"];

fn issued(id: &str, issuer: &str, to: &str, value: &str) -> CreatePaymentRequest {
    let amount = IssuedAmount {
        currency: CURRENCY.to_owned(),
        issuer: Person::wallet_of(issuer).address(),
        value: value.to_owned(),
    };
    CreatePaymentRequest {
        amount: Some(create_payment_request::Amount::Issued(amount)),
        ..payment(id, to, 0)
    }
}

/// Issuers and holders, and a wallet that holds 1,000 of three of the currencies before the gateway starts.
async fn issued_world() -> World {
    let people = ISSUERS.into_iter().chain(HOLDERS);
    let funded = people.map(|name| (Person::wallet_of(name).address(), 50));
    let assets = ISSUERS.map(|name| Asset {
        currency: CURRENCY.to_owned(),
        issuer: Person::wallet_of(name).address(),
        max_payment: "500".to_owned(),
        daily_limit: "5000".to_owned(),
        max_transfer_fee_ppm: 2000,
    });
    let mut world = World::prepare(Setup {
        funded: funded.collect(),
        assets: assets.to_vec(),
        ..Setup::default()
    })
    .await
    .unwrap();
    let ledger = world.ledger();
    let issuers = ISSUERS.map(|name| Person::named(name, &ledger));
    let [plain, strict, greedy, _] = &issuers;
    for issuer in &issuers {
        done(issuer.sets(Rule::Rippling, true).await);
    }
    done(strict.sets(Rule::Authorization, true).await);
    done(greedy.charges_ppm(2_001).await);
    settled(&ledger).await;

    let wallet = Person::with(world.wallet().clone(), &ledger);
    let holders = HOLDERS.map(|name| Person::named(name, &ledger));
    let [small, icy, cool, _] = &holders;
    for issuer in [plain, strict, greedy] {
        done(wallet.trusts(&issuer.address(), CURRENCY, "2000").await);
    }
    done(small.trusts(&plain.address(), CURRENCY, "5").await);
    for holder in [icy, cool] {
        for issuer in [plain, strict, greedy] {
            done(holder.trusts(&issuer.address(), CURRENCY, "100").await);
        }
    }
    settled(&ledger).await;

    done(strict.authorizes(&wallet.address(), CURRENCY).await);
    let line = json!({ "currency": CURRENCY, "issuer": icy.address(), "value": "0" });
    let freeze = json!({ "TransactionType": "TrustSet", "LimitAmount": line, "Flags": TF_SET_FREEZE_AND_DEEP_FREEZE });
    done(plain.sends(freeze).await);
    done(plain.freezes(&cool.address(), CURRENCY, true).await);
    settled(&ledger).await;
    for issuer in [plain, strict, greedy] {
        done(issuer.issues(&wallet.address(), CURRENCY, "1000").await);
    }
    settled(&ledger).await;
    world.start_signer().await.unwrap();
    world.start_gateway().await.unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issued_currency_that_cannot_arrive_is_given_up_and_what_the_wallet_lacks_is_waited_for()
{
    let world = issued_world().await;
    let (client, ledger) = (world.client(), world.ledger());
    let address = |name: &str| Person::wallet_of(name).address();
    for (id, issuer, to, value, refusal, says) in [
        (
            "no-account",
            "plain",
            payee("nobody"),
            "10",
            PreflightRefusal::NotFunded,
            ["does not exist", "trust line"],
        ),
        (
            "no-line",
            "plain",
            address("stranger"),
            "10",
            PreflightRefusal::NoTrustLine,
            ["has no trust line", "ask the payee"],
        ),
        (
            "over-limit",
            "plain",
            address("small"),
            "5.01",
            PreflightRefusal::LineLimit,
            ["willing to hold 5", "raise the limit"],
        ),
        (
            "frozen-deep",
            "plain",
            address("icy"),
            "10",
            PreflightRefusal::LineFrozen,
            ["is frozen", "lift the freeze"],
        ),
        (
            "unauthorised",
            "strict",
            address("cool"),
            "10",
            PreflightRefusal::LineNotAuthorised,
            ["has not authorised", "ask the issuer"],
        ),
        (
            "fee-above-cap",
            "greedy",
            address("cool"),
            "10",
            PreflightRefusal::TransferFeeAboveCap,
            ["2001 millionths", "max_transfer_fee_ppm"],
        ),
    ] {
        client.create(issued(id, issuer, &to, value)).await.unwrap();
        let given_up = client.until_final(id, WITHIN).await.unwrap();
        assert_given_up(&given_up, refusal, &says);
    }

    // The wallet has no line with `distant`: that waits, and what comes after it goes on.
    let distant = issued("distant", "distant", &address("distant"), "10");
    client.create(distant).await.unwrap();
    let xrp = payment("behind-it", &address("cool"), DROPS_PER_XRP);
    client.create(xrp).await.unwrap();
    let paid = client.until_final("behind-it", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
    until_waits_for(&client, "distant", "has no trust line").await;

    // A line that its issuer has frozen still receives: the ledger says so, and so do we.
    let cool = issued("frozen-line", "plain", &address("cool"), "10");
    client.create(cool).await.unwrap();
    let paid = client.until_final("frozen-line", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid, "{paid:?}");

    // Everything that `plain` issued stops.
    let plain = Person::named("plain", &ledger);
    done(plain.sets(Rule::GlobalFreeze, true).await);
    settled(&ledger).await;
    until_wallet_shows(&client, &plain.address(), "990", true).await;
    let frozen = issued("frozen", "plain", &address("cool"), "10");
    client.create(frozen).await.unwrap();
    let given_up = client.until_final("frozen", WITHIN).await.unwrap();
    assert_given_up(&given_up, PreflightRefusal::AssetFrozen, &["global freeze"]);
}

/// Waits until the payment says that the asset is what it waits for; with a ledger every 400 ms a busy machine may be behind.
async fn until_waits_for(client: &Client, payment_id: &str, words: &str) {
    let deadline = Instant::now() + WITHIN;
    loop {
        let waits = client.get(payment_id).await.unwrap();
        assert_eq!(waits.state(), PaymentState::Accepted);
        if waits.reason() == PaymentReason::AssetUnavailable && waits.reason_detail.contains(words)
        {
            return;
        }
        assert!(Instant::now() < deadline, "{waits:#?}");
        tokio::time::sleep(POLL).await;
    }
}

/// GetWallet shows the trust line so, within two ledgers.
async fn until_wallet_shows(client: &Client, issuer: &str, balance: &str, frozen: bool) {
    let deadline = Instant::now() + WITHIN;
    loop {
        let request = tonic::Request::new(GetWalletRequest::default());
        let shown = client
            .wallet()
            .get_wallet(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(shown.assets.len(), ISSUERS.len());
        let asset = shown
            .assets
            .iter()
            .find(|asset| asset.issuer == issuer)
            .unwrap();
        let line = asset.line.as_ref();
        if line.is_some_and(|line| {
            (line.balance.as_str(), line.limit.as_str(), line.frozen) == (balance, "2000", frozen)
        }) {
            return;
        }
        assert!(Instant::now() < deadline, "{shown:#?}");
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until a submit was answered so, as the timeline tells.
/// Waits for an answer to `submit`; `None`: that none came which can be read.
async fn until_submit_says(client: &Client, payment_id: &str, word: Option<&str>) {
    let deadline = Instant::now() + WITHIN;
    loop {
        let explained = client.explain(payment_id).await.unwrap();
        let says = |event: &TimelineEvent| {
            let said = event.details.get("engine_result").map(String::as_str);
            event.stage() == TimelineStage::SubmitAnswered && said == word
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
