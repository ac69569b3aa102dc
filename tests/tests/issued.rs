//! A payment in an issued currency, from the trust line to the proof, with real processes against the simulated ledger.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::process::Command;
use std::time::{Duration, Instant};

use paygate_proto::v1::create_payment_request::Amount;
use paygate_proto::v1::{
    CreatePaymentRequest, EvidenceKind, GetWalletRequest, IssuedAmount, Payment, PaymentState,
    evidence, payment,
};
use paygate_tests::world::client::{DROPS_PER_XRP, payment as xrp_payment};
use paygate_tests::world::ledger::Ledger;
use paygate_tests::world::person::{Person, Rule};
use paygate_tests::world::{Asset, Setup, World, http};
use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// More than anything in this story takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);

/// What the issuer takes of each transfer, and what the gateway lets it take at most, in millionths.
const FEE_PPM: u64 = 2_000;
const FEE_CAP_PPM: u32 = 5_000;

/// The holder has so much of it in a validated ledger.
async fn holds(ledger: &Ledger, holder: &str, issuer: &str, value: &str) {
    let deadline = Instant::now() + WITHIN;
    loop {
        let held = ledger.held(holder, issuer, "USD").await.unwrap();
        if held.as_deref() == Some(value) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{holder} holds {held:?}, not {value}"
        );
        tokio::time::sleep(POLL).await;
    }
}

struct Story {
    world: World,
    issuer: String,
    alice: String,
}

/// An issuer that takes 0.2 % of each transfer; the wallet has 100 of its dollars, and alice would take some.
async fn story() -> Story {
    let issuer = Person::wallet_of("issuer").address();
    let alice = Person::wallet_of("alice").address();
    let setup = Setup {
        funded: vec![(issuer.clone(), 100), (alice.clone(), 100)],
        assets: vec![Asset {
            currency: "USD".into(),
            issuer: issuer.clone(),
            max_payment: "25".into(),
            daily_limit: "30".into(),
            max_transfer_fee_ppm: FEE_CAP_PPM,
        }],
        ..Setup::default()
    };
    let mut world = World::prepare(setup).await.unwrap();
    // Before the gateway looks: a trust line that nobody announced would be a foreign transaction of the wallet.
    let ledger = world.ledger();
    let own = Person::with(world.wallet().clone(), &ledger);
    let mint = Person::named("issuer", &ledger);
    assert_eq!(mint.sets(Rule::Rippling, true).await.unwrap(), "tesSUCCESS");
    assert_eq!(mint.charges_ppm(FEE_PPM).await.unwrap(), "tesSUCCESS");
    // A line that is made before its issuer lets it ripple never does, and within one ledger the order is anybody's.
    ledger.close_ledger().await.unwrap();
    for holder in [&own, &Person::named("alice", &ledger)] {
        let answer = holder.trusts(&issuer, "USD", "1000").await.unwrap();
        assert_eq!(answer, "tesSUCCESS");
    }
    let wallet = world.wallet().address();
    holds(&ledger, &wallet, &issuer, "0").await;
    let answer = mint.issues(&wallet, "USD", "100").await.unwrap();
    assert_eq!(answer, "tesSUCCESS");
    holds(&ledger, &wallet, &issuer, "100").await;
    world.start_signer().await.unwrap();
    world.start_gateway().await.unwrap();
    Story {
        world,
        issuer,
        alice,
    }
}

impl Story {
    fn dollars(&self, value: &str) -> IssuedAmount {
        IssuedAmount {
            currency: "USD".into(),
            issuer: self.issuer.clone(),
            value: value.into(),
        }
    }

    fn asks(&self, id: &str, amount: IssuedAmount) -> CreatePaymentRequest {
        CreatePaymentRequest {
            amount: Some(Amount::Issued(amount)),
            ..xrp_payment(id, &self.alice, 1)
        }
    }

    async fn refused(&self, request: CreatePaymentRequest) -> Status {
        self.world.client().create(request).await.unwrap_err()
    }

    async fn paid(&self, id: &str) -> Payment {
        let payment = self.world.client().until_final(id, WITHIN).await.unwrap();
        assert_eq!(payment.state(), PaymentState::Paid, "{payment:?}");
        payment
    }

    async fn wallet_holds(&self, value: &str) {
        let wallet = self.world.wallet().address();
        holds(&self.world.ledger(), &wallet, &self.issuer, value).await;
    }

    /// What a person sees who types this.
    fn types(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.world.binaries().ctl)
            .args(arguments)
            .env_clear()
            .env(
                "PAYGATE_ENDPOINT",
                format!("http://{}", self.world.listeners().grpc),
            )
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    }
}

fn reason(status: &Status) -> (Code, String, String) {
    let info = status.get_details_error_info().unwrap();
    let field = info.metadata.get("field").or(info.metadata.get("quota"));
    (
        status.code(),
        info.reason,
        field.cloned().unwrap_or_default(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issued_payment_pays_the_amount_and_the_issuers_fee_and_no_more() {
    let mut story = story().await;
    let client = story.world.client();
    let stored = client
        .create(story.asks("rent", story.dollars("12.5")))
        .await
        .unwrap();
    assert_eq!(stored.send_max, "12.5625", "the cap of 0.5 % on top");
    let paid = story.paid("rent").await;
    assert_eq!(
        paid.amount,
        Some(payment::Amount::Issued(story.dollars("12.5")))
    );
    assert_eq!(paid.send_max, "12.5625");
    let evidence = paid.evidence.as_ref().unwrap();
    assert_eq!(evidence.kind(), EvidenceKind::Presence);
    assert_eq!(
        evidence.delivered,
        Some(evidence::Delivered::DeliveredIssued(story.dollars("12.5")))
    );
    // The ledger took what the issuer asks for, 0.2 %, and left the rest of SendMax alone.
    let ledger = story.world.ledger();
    holds(&ledger, &story.alice, &story.issuer, "12.5").await;
    story.wallet_holds("87.475").await;

    limits_are_of_the_currency(&story).await;
    people_and_graphs_see_it(&story).await;

    // Killed and started anew, it knows its lines and limits again.
    story.world.kill_gateway();
    story.world.start_gateway().await.unwrap();
    assert_eq!(story.paid("rent").await.evidence, paid.evidence);
    let again = story
        .world
        .client()
        .create(story.asks("rent", story.dollars("12.50")))
        .await;
    assert_eq!(again.unwrap().state(), PaymentState::Paid);
    story
        .world
        .client()
        .create(story.asks("tip", story.dollars("1")))
        .await
        .unwrap();
    story.paid("tip").await;
    story.wallet_holds("86.473").await;
    let left = story.refused(story.asks("more", story.dollars("20"))).await;
    assert_eq!(reason(&left).1, "LIMIT_DAILY", "{left:?}");
}

/// Same id, other issuer; more than one payment and more than the day; a currency that nobody configured.
async fn limits_are_of_the_currency(story: &Story) {
    let other_issuer = IssuedAmount {
        issuer: story.alice.clone(),
        ..story.dollars("12.5")
    };
    for (request, code, named, field) in [
        (
            story.asks("rent", other_issuer.clone()),
            Code::AlreadyExists,
            "PAYMENT_ID_REUSED",
            "issued.issuer",
        ),
        (
            story.asks("other", other_issuer),
            Code::InvalidArgument,
            "ASSET_NOT_CONFIGURED",
            "issued",
        ),
        (
            story.asks("much", story.dollars("24.9")),
            Code::InvalidArgument,
            "LIMIT_PAYMENT_MAX",
            "issued.value",
        ),
        // 12.5625 are used of 30: with its cap this one would take 18.09.
        (
            story.asks("day", story.dollars("18")),
            Code::ResourceExhausted,
            "LIMIT_DAILY",
            "assets.daily_limit",
        ),
    ] {
        let refusal = story.refused(request).await;
        let wanted = (code, named.to_owned(), field.to_owned());
        assert_eq!(reason(&refusal), wanted, "{refusal:?}");
    }
    // XRP has a day of its own.
    let client = story.world.client();
    client
        .create(xrp_payment("xrp", &story.alice, 5 * DROPS_PER_XRP))
        .await
        .unwrap();
    story.paid("xrp").await;
}

async fn people_and_graphs_see_it(story: &Story) {
    let wallet = story
        .world
        .client()
        .wallet()
        .get_wallet(GetWalletRequest {})
        .await;
    let asset = wallet.unwrap().into_inner().assets.remove(0);
    assert_eq!(
        (
            asset.currency.as_str(),
            asset.daily_used.as_str(),
            asset.daily_left.as_str()
        ),
        ("USD", "12.5625", "17.4375")
    );
    let line = asset.line.unwrap();
    assert_eq!(
        (line.balance.as_str(), line.limit.as_str(), line.frozen),
        ("87.475", "1000", false)
    );

    let shown = story.types(&["get", "rent"]);
    for words in [
        "PAID  12.5 USD of",
        "12.5625 USD with the issuer's transfer fee",
    ] {
        let there = shown.contains(words);
        assert!(there, "{words:?} is not in\n{shown}");
    }
    let told = story.types(&["explain", "rent"]);
    assert!(
        told.contains("with the issuer's fee at most 12.5625"),
        "{told}"
    );
    let json: Value =
        serde_json::from_str(&story.types(&["--output", "json", "get", "rent"])).unwrap();
    assert_eq!(json["issued"]["value"], "12.5");
    assert_eq!(json["send_max"], "12.5625");
    assert_eq!(json["evidence"]["delivered_issued"]["value"], "12.5");
    let shown = story.types(&["wallet"]);
    assert!(shown.contains("87.475 (limit of the line 1000)"), "{shown}");
    let trial = [
        "pay",
        "--amount",
        "1",
        "--currency",
        "USD",
        "--issuer",
        &story.issuer,
        "--to",
        &story.alice,
    ];
    let trial = story.types(&[&trial[..], &["--validate-only"]].concat());
    assert!(trial.contains("it would be accepted"), "{trial}");

    let metrics = http::get(&story.world.listeners().metrics, "/metrics")
        .await
        .unwrap();
    let counted = format!(
        "paygate_payment_amount_issued_total{{currency=\"USD\",issuer=\"{}\"}} 12.5",
        story.issuer
    );
    for line in [counted.as_str(), "payment_amount_xrp_total 5"] {
        let there = metrics.body.lines().any(|l| l.starts_with(line));
        assert!(there, "{line} is not in\n{}", metrics.body);
    }
}
