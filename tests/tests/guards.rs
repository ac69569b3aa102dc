//! What stops payments for good reasons, and what is said of it: a key in other hands, planned work outside, fees, a halted network, an
//! empty wallet. Each with the words to the caller and to the operator, and with the way on.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

#[path = "codes/stage.rs"]
#[allow(dead_code, reason = "these stories use a part of the stage")]
mod stage;

use std::process::{Command, Stdio};

use paygate_payments::codes::Code;
use paygate_proto::v1::{
    Books, CreatePaymentRequest, EvidenceKind, GetWalletRequest, GetWalletResponse, Payment,
    PaymentReason, PaymentState, TimelineStage, VersionKind,
};
use paygate_tests::world::client::{DROPS_PER_XRP, payment};
use paygate_tests::world::person::Person;
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, http};
use serde_json::{Value, json};
use stage::{DROPS, Stage, shown};

/// More ledgers than a version lives and the jitter after a halt has.
const LEDGERS_MAX: usize = 40;

/// A server that has queued it for a later ledger.
fn queued() -> Value {
    json!({
        "engine_result": "terQUEUED", "engine_result_code": -89, "engine_result_message": "Held until escalated fee drops.",
        "accepted": true, "applied": false, "broadcast": false, "kept": true, "queued": true,
    })
}

impl Stage {
    /// Who has the wallet's key beside the gateway.
    fn stranger(&self) -> Person {
        Person::with(self.world.wallet().clone(), &self.ledger)
    }

    async fn payment(&self, id: &str) -> Payment {
        self.client.get(id).await.unwrap()
    }

    async fn wallet(&self) -> GetWalletResponse {
        let mut wallet = self.client.wallet();
        let answer = wallet.get_wallet(GetWalletRequest::default()).await;
        answer.unwrap().into_inner()
    }

    async fn books(&self) -> Books {
        self.wallet().await.books.unwrap()
    }

    /// Bound, sent, and kept away from the ledger by its server.
    async fn kept_away(&self, id: &str) {
        self.answer(id, Some(&queued())).await;
        self.pay(id, None).await;
        self.until_answered(id, "terQUEUED").await;
    }

    /// Closes ledgers until the payment is final.
    async fn until_final(&self, id: &str) -> Payment {
        for _ in 0..LEDGERS_MAX {
            let payment = self.payment(id).await;
            if paygate_tests::world::client::is_final(&payment) {
                return payment;
            }
            // A ledger is worth closing once the gateway did what it does between two.
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            self.close().await;
        }
        panic!("{id}: {:?}", self.payment(id).await)
    }

    /// Waits until the caller is told this reason, and gives its words.
    async fn until_reason(&self, id: &str, reason: PaymentReason) -> String {
        self.until(
            &format!("{id} waits for {}", reason.as_str_name()),
            async || self.payment(id).await.reason() == reason,
        )
        .await;
        self.payment(id).await.reason_detail
    }

    async fn metric(&self, sample: &str) -> String {
        let text = http::get(&self.world.listeners().metrics, "/metrics").await;
        let text = text.unwrap().body;
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{sample} ")));
        let line = line.unwrap_or_else(|| panic!("{sample} is not served: {text}"));
        line.rsplit(' ').next().unwrap().to_owned()
    }

    async fn until_metric(&self, sample: &str, value: &str) {
        self.until(&format!("{sample} is {value}"), async || {
            self.metric(sample).await == value
        })
        .await;
    }

    async fn health(&self) -> Value {
        let answer = http::get(&self.world.listeners().metrics, "/health").await;
        serde_json::from_str(&answer.unwrap().body).unwrap()
    }

    /// Waits until /health says so of a capability.
    async fn until_health(&self, capability: &str, words: &str) {
        let name = format!("paygate.capability.{capability}");
        self.until(&format!("{name} says {words}"), async || {
            let health = self.health().await;
            let list = health["capabilities"].as_array().unwrap().clone();
            list.iter().any(|one| {
                one["name"] == name.as_str()
                    && one["reason"].as_str().unwrap_or_default().contains(words)
            })
        })
        .await;
    }

    fn log_says(&self, words: &str) -> bool {
        let log = std::fs::read_to_string(self.world.path("logs/gateway.log")).unwrap();
        log.contains(words)
    }

    /// What an operator types where nobody can be asked.
    fn types(&self, arguments: &[&str]) -> (i32, String) {
        let endpoint = format!("http://{}", self.world.listeners().grpc);
        let output = Command::new(&self.world.binaries().ctl)
            .args(arguments)
            .env_clear()
            .env("PAYGATE_ENDPOINT", endpoint)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(said).unwrap(),
        )
    }

    /// A transaction of the wallet was made outside: frozen with the very ledger that holds it, and everybody is told. Then a person
    /// names it and sending goes on.
    async fn is_frozen_and_goes_on(&self, foreign: &str) {
        assert_eq!(self.frozen().await, None);
        self.close().await;
        let why = self.frozen().await.expect("frozen with its ledger");
        assert!(why.contains(foreign), "{why}");
        self.until_health("submit", "frozen: ").await;
        self.until_metric("paygate_wallet_frozen", "1").await;
        assert!(self.log_says("was not made here and nobody announced it"));
        let unnamed = ["unfreeze", "--reason", "a story", "--yes"];
        let (code, said) = self.types(&unnamed);
        assert!(code == 3 && said.contains(foreign), "{said}");
        let (code, said) = self.types(&[&unnamed[..], &["--acknowledge", foreign]].concat());
        assert!(code == 0 && said.contains("sending goes on"), "{said}");
        assert_eq!(self.frozen().await, None);
        self.until_metric("paygate_wallet_frozen", "0").await;
    }

    /// The payment's slot went to something else: with the next ledger it is proven unpaid.
    async fn is_displaced(&self, id: &str, foreign: &str) {
        let payment = self.payment(id).await;
        assert_eq!(payment.state(), PaymentState::OnHold, "{payment:?}");
        assert!(!payment.safe_to_repay);
        self.close().await;
        let failed = self.payment(id).await;
        assert_eq!(failed.state(), PaymentState::Failed, "{failed:?}");
        assert_eq!(failed.reason(), PaymentReason::SlotTaken);
        assert!(failed.safe_to_repay && failed.reason_detail.contains(foreign));
        let evidence = failed.evidence.unwrap();
        assert_eq!(evidence.kind(), EvidenceKind::Displaced);
        assert_eq!(evidence.tx_hash, foreign);
        assert_eq!(self.received(id).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_used_from_outside_freezes_with_its_ledger_and_payments_go_on_once_a_person_knows() {
    let stage = Stage::set().await;
    let stranger = stage.stranger();

    // A payment, on the slot of one of ours.
    stage.kept_away("taken").await;
    let theft =
        json!({ "TransactionType": "Payment", "Destination": payee("thief"), "Amount": "3000000" });
    let theft = stranger.prepares(theft).await.unwrap();
    assert_eq!(stranger.submits(&theft).await.unwrap(), "tesSUCCESS");
    stage.close().await;
    let held = stage.payment("taken").await;
    assert_eq!(
        (held.state(), held.reason()),
        (PaymentState::OnHold, PaymentReason::SlotTaken)
    );
    let why = stage.frozen().await.expect("frozen with its ledger");
    assert!(why.contains(&theft.hash), "{why}");
    let (code, said) = stage.types(&[
        "unfreeze",
        "--reason",
        "a story",
        "--yes",
        "--acknowledge",
        &theft.hash,
    ]);
    assert_eq!(code, 0, "{said}");
    stage.is_displaced("taken", &theft.hash).await;
    let books = stage.books().await;
    assert_eq!(books.outside_out_drops, 3 * DROPS_PER_XRP + 10, "{books:?}");
    assert_eq!((books.found_drops, books.lost_drops), (0, 0));
    let again = CreatePaymentRequest {
        retry_of: "taken".to_owned(),
        ..payment("taken-again", &payee("taken-again"), DROPS)
    };
    stage.client.create(again).await.unwrap();
    let paid = stage.until_final("taken-again").await;
    assert_eq!(paid.state(), PaymentState::Paid);

    // Another key for the account.
    let key = json!({ "TransactionType": "SetRegularKey", "RegularKey": payee("another key") });
    let key = stranger.prepares(key).await.unwrap();
    assert_eq!(stranger.submits(&key).await.unwrap(), "tesSUCCESS");
    stage.is_frozen_and_goes_on(&key.hash).await;
    stage
        .until_metric("paygate_foreign_transactions_total", "2")
        .await;

    // Tickets: the Sequence jumps over slots that payments have.
    stage.kept_away("first").await;
    stage.kept_away("second").await;
    let jump = json!({ "TransactionType": "TicketCreate", "TicketCount": 2 });
    let jump = stranger.prepares(jump).await.unwrap();
    assert_eq!(stranger.submits(&jump).await.unwrap(), "tesSUCCESS");
    stage.is_frozen_and_goes_on(&jump.hash).await;
    let jumped = stage.payment("second").await;
    assert!(jumped.reason_detail.contains("jumped over"), "{jumped:?}");
    stage.is_displaced("first", &jump.hash).await;
    assert_eq!(stage.payment("second").await.state(), PaymentState::Failed);
    stage.pay("after", None).await;
    assert_eq!(stage.until_final("after").await.state(), PaymentState::Paid);
    let books = stage.books().await;
    assert_eq!((books.found_drops, books.lost_drops), (0, 0), "{books:?}");
    assert_eq!(books.paid_drops, 2 * DROPS);
}

#[tokio::test(flavor = "multi_thread")]
async fn planned_work_outside_is_announced_and_freezes_nothing() {
    let stage = Stage::set().await;
    let operator = stage.stranger();
    stage.kept_away("before").await;
    let change = json!({ "TransactionType": "SetRegularKey", "RegularKey": payee("new key") });
    let index = stage.ledger.validated_index().await.unwrap();
    let last = (index + 200).to_string();
    let announce = |hash: &str| {
        stage.types(&[
            "announce",
            hash,
            "--last-ledger",
            &last,
            "--reason",
            "ticket 4711",
        ])
    };
    let (code, said) = announce(&"AB".repeat(32));
    assert!(
        code == 3 && said.contains("1 slots are at large") && said.contains("Do not send"),
        "{said}"
    );
    stage.answer("before", Some(&Value::Null)).await;
    assert_eq!(
        stage.until_final("before").await.state(),
        PaymentState::Paid
    );

    let change = operator.prepares(change).await.unwrap();
    let (code, said) = announce(&change.hash);
    assert!(code == 0 && said.contains("ticket 4711"), "{said}");
    stage.pay("waits", None).await;
    let words = stage.until_reason("waits", PaymentReason::Paused).await;
    assert!(words.contains(&change.hash), "{words}");
    let status = stage.status().await;
    assert_eq!(status.announced[0].tx_hash, change.hash);
    stage
        .until_metric("paygate_announced_transactions", "1")
        .await;

    assert_eq!(operator.submits(&change).await.unwrap(), "tesSUCCESS");
    stage.close().await;
    assert_eq!(stage.frozen().await, None, "it was announced");
    assert_eq!(stage.until_final("waits").await.state(), PaymentState::Paid);
    assert_eq!(stage.status().await.announced, []);
    let books = stage.books().await;
    assert_eq!((books.outside_out_drops, books.lost_drops), (10, 0));

    // The next one was not announced.
    let other = json!({ "TransactionType": "SetRegularKey", "RegularKey": payee("newer key") });
    let other = operator.prepares(other).await.unwrap();
    assert_eq!(operator.submits(&other).await.unwrap(), "tesSUCCESS");
    stage.is_frozen_and_goes_on(&other.hash).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fee_past_the_cap_is_waited_for_and_a_near_deadline_bids_more() {
    let stage = Stage::set().await;
    let asks = async |minimum: &str, open_ledger: &str| {
        stage.refuse("fee", None).await;
        let mut fee = stage.ledger.ask("fee", json!({})).await.unwrap();
        fee["drops"]["minimum_fee"] = json!(minimum);
        fee["drops"]["open_ledger_fee"] = json!(open_ledger);
        stage.refuse("fee", Some(&fee)).await;
    };
    asks("5000", "9000").await;
    stage.pay("spike", None).await;
    let words = stage
        .until_reason("spike", PaymentReason::FeeAboveCap)
        .await;
    assert!(
        words.contains("5000 drops") && words.contains("fees.max_drops 2000"),
        "{words}"
    );
    let next = stage.explain("spike").await;
    assert!(shown(&next).versions.is_empty(), "nothing was signed");
    stage.close().await;
    asks("10", "10").await;
    assert_eq!(stage.until_final("spike").await.state(), PaymentState::Paid);

    // The open ledger costs 500, a place in the queue 10: patience, until the deadline comes near.
    asks("10", "500").await;
    stage.answer("hurry", Some(&queued())).await;
    stage.pay("hurry", Some(6)).await;
    stage.until_answered("hurry", "terQUEUED").await;
    assert_eq!(fees(&stage.payment("hurry").await), [10]);
    stage.close().await;
    stage
        .until("a higher bid is signed", async || {
            let payment = stage.payment("hurry").await;
            fees(&payment) == [10, 500] && !payment.versions[1].tx_hash.is_empty()
        })
        .await;
    let bid = stage.payment("hurry").await;
    assert!(bid.versions.iter().all(|version| {
        version.kind() == VersionKind::Payment
            && version.last_ledger_sequence <= bid.deadline_ledger
    }));
    stage.until_metric("paygate_fee_bumps_total", "1").await;
    stage.answer("hurry", Some(&Value::Null)).await;
    let paid = stage.until_final("hurry").await;
    assert_eq!(paid.state(), PaymentState::Paid, "{paid:?}");
    assert_eq!(paid.evidence.unwrap().fee_drops, 500);
    assert_eq!(stage.received("hurry").await, DROPS, "once");
}

/// Fees of all versions, in the order of their commits.
fn fees(payment: &Payment) -> Vec<u64> {
    payment.versions.iter().map(|v| v.fee_drops).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_fees_of_the_hour_payments_wait_and_say_so() {
    let stage = Stage::set_with(Setup {
        gateway_variables: vec![
            ("PAYGATE__FEES__MAX_DROPS".into(), "10".into()),
            ("PAYGATE__FEES__MAX_XRP_PER_HOUR".into(), "0.00002".into()),
        ],
        ..Setup::default()
    })
    .await;
    for id in ["one", "two"] {
        stage.pay(id, None).await;
        assert_eq!(stage.until_final(id).await.state(), PaymentState::Paid);
    }
    stage.pay("three", None).await;
    let words = stage
        .until_reason("three", PaymentReason::FeeAboveCap)
        .await;
    assert!(
        words.starts_with("FEE_BUDGET") && words.contains("fees.max_xrp_per_hour"),
        "{words}"
    );
    stage
        .until_metric("paygate_limit_headroom_xrp{limit=\"fees_hour\"}", "0.0")
        .await;
    let limits = stage.wallet().await.limits.unwrap();
    assert_eq!(
        (
            limits.hourly_fees_used_drops,
            limits.hourly_fees_limit_drops
        ),
        (20, 20)
    );
    assert_eq!(stage.payment("three").await.state(), PaymentState::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_halted_network_payments_are_taken_in_and_nothing_is_signed_until_it_validates_again()
{
    let stage = Stage::set_with(Setup {
        gateway_variables: vec![("PAYGATE__XRPL__HALTED_AFTER_MS".into(), "3000".into())],
        ..Setup::default()
    })
    .await;
    stage.kept_away("before").await;
    stage.until_health("ledger", "halted").await;
    let frames =
        |status: paygate_proto::v1::GetStatusResponse| status.signer.unwrap().journal_height;
    let signed = frames(stage.status().await);
    for number in 0..5 {
        stage.pay(&format!("halt-{number}"), None).await;
    }
    let words = stage
        .until_reason("halt-4", PaymentReason::NetworkHalted)
        .await;
    assert!(words.contains("has validated nothing since"), "{words}");
    let status = stage.status().await;
    assert!(status.ledger.as_ref().unwrap().halted);
    let (_, said) = stage.types(&["status"]);
    assert!(said.contains("HALTED"), "{said}");
    // As long as one likes: no deadline passes, nothing is signed, nothing ends.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(frames(stage.status().await), signed);
    let before = stage.payment("before").await;
    assert_eq!(before.state(), PaymentState::AtLarge);
    assert!(!before.safe_to_repay);

    stage.answer("before", Some(&Value::Null)).await;
    for id in ["before", "halt-0", "halt-1", "halt-2", "halt-3", "halt-4"] {
        assert_eq!(
            stage.until_final(id).await.state(),
            PaymentState::Paid,
            "{id}"
        );
        assert_eq!(stage.received(id).await, DROPS, "{id}: once");
    }
    assert_eq!(stage.frozen().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_runs_dry_in_a_burst_says_so_and_goes_on_after_a_refill() {
    let benefactor = Person::wallet_of("benefactor");
    let stage = Stage::set_with(Setup {
        wallet_xrp: 12,
        funded: vec![(benefactor.address(), 1_000)],
        ..Setup::default()
    })
    .await;
    let ids: Vec<String> = (0..20).map(|n| format!("burst-{n}")).collect();
    for id in &ids {
        stage.pay(id, None).await;
    }
    let words = stage
        .until_reason("burst-19", PaymentReason::InsufficientFunds)
        .await;
    assert!(words.contains("the wallet can spend"), "{words}");
    // What there is room for is paid, and not one of them fails.
    for id in &ids[..10] {
        assert_eq!(
            stage.until_final(id).await.state(),
            PaymentState::Paid,
            "{id}"
        );
    }
    stage.until_health("wallet", "below the minimum 10").await;
    let waiting = stage.payment("burst-19").await;
    assert_eq!(
        (waiting.state(), waiting.reason()),
        (PaymentState::Accepted, PaymentReason::InsufficientFunds)
    );
    let told = stage.explain("burst-19").await;
    assert!(
        told.person_next.contains("Send XRP to the wallet"),
        "{told:?}"
    );

    let benefactor = Person::with(benefactor, &stage.ledger);
    let refill = json!({ "TransactionType": "Payment", "Destination": stage.world.wallet().address(), "Amount": "100000000" });
    assert_eq!(benefactor.sends(refill).await.unwrap(), "tesSUCCESS");
    for id in &ids {
        assert_eq!(
            stage.until_final(id).await.state(),
            PaymentState::Paid,
            "{id}"
        );
        assert_eq!(stage.received(id).await, DROPS, "{id}: once");
    }
    assert_eq!(stage.frozen().await, None, "an inflow never freezes");
    let books = stage.books().await;
    assert_eq!(books.inflows_drops, 100 * DROPS_PER_XRP);
    assert_eq!(
        (books.paid_drops, books.found_drops, books.lost_drops),
        (20 * DROPS, 0, 0)
    );
    let explained = stage.explain("burst-0").await;
    let failed = explained
        .events
        .iter()
        .any(|e| e.stage() == TimelineStage::Failed);
    assert!(!failed);
}

/// As a server would say it of a transaction that it keeps.
fn answered(code: &Code) -> Value {
    let mut answer = queued();
    answer["engine_result"] = json!(code.name);
    answer["engine_result_code"] = json!(code.number);
    answer["engine_result_message"] = json!(code.meaning);
    answer
}

/// All 195 result codes as answers to submit. Those that freeze need a person each: half of them have a story in `codes.rs`, all of
/// them here with `PAYGATE_TESTS_FULL=1`.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_to_submit_decides_a_payment() {
    let stage = Stage::set().await;
    let (freezing, calm): (Vec<&Code>, Vec<&Code>) =
        Code::all().iter().partition(|code| code.advice.freezes());
    assert_eq!(freezing.len() + calm.len(), 195);
    for code in &calm {
        stage.answer(code.name, Some(&answered(code))).await;
        stage.pay(code.name, None).await;
    }
    for code in &calm {
        stage.until_answered(code.name, code.name).await;
    }
    stage.close().await;
    for code in &calm {
        let payment = stage.payment(code.name).await;
        assert_eq!(payment.state(), PaymentState::AtLarge, "{}", code.name);
        assert!(!payment.safe_to_repay, "{}", code.name);
    }
    let full = std::env::var_os("PAYGATE_TESTS_FULL").is_some();
    for code in freezing.iter().filter(|_| full) {
        stage.answer(code.name, Some(&answered(code))).await;
        stage.pay(code.name, None).await;
        stage.until_answered(code.name, code.name).await;
        stage.until_frozen().await;
        let payment = stage.payment(code.name).await;
        assert_eq!(payment.state(), PaymentState::AtLarge, "{}", code.name);
        assert!(!payment.safe_to_repay, "{}", code.name);
        // Queued from now on, so that it freezes no more.
        stage.answer(code.name, Some(&queued())).await;
        stage.unfreeze("a story").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_payment_waits_for_the_account_that_ours_is_about_to_create() {
    let stage = Stage::set().await;
    stage.kept_away("creates").await;
    let small = payment("small", &payee("creates"), DROPS / 10);
    stage.client.create(small).await.unwrap();
    let words = stage.until_reason("small", PaymentReason::Queued).await;
    stage
        .until("it is said what it waits for", async || {
            stage
                .payment("small")
                .await
                .reason_detail
                .contains("to create its destination")
        })
        .await;
    assert!(!words.contains("does not exist"), "{words}");
    stage.answer("creates", Some(&Value::Null)).await;
    for id in ["creates", "small"] {
        assert_eq!(
            stage.until_final(id).await.state(),
            PaymentState::Paid,
            "{id}"
        );
    }
    assert_eq!(stage.received("creates").await, DROPS + DROPS / 10);
}
