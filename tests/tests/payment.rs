//! Stories of single payments: what a caller sends, what he hears, and what the ledger shows.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::time::Duration;

use paygate_proto::v1::{
    CreatePaymentRequest, EvidenceKind, Memo, PaymentReason, PaymentState, PreflightRefusal,
    SlotInFlight, evidence,
};
use paygate_tests::world::client::{DROPS_PER_XRP, payment};
use paygate_tests::world::wallet::{SeedType, Wallet, payee};
use paygate_tests::world::{Setup, World};
use tonic::Code;
use tonic_types::StatusExt;
use xrpl::core::keypairs::derive_keypair;
use xrpl_tx::{AccountId, XNetwork, to_x_address};

/// More than any payment of these stories takes on a busy machine.
const FINAL_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_paid_and_the_ledger_says_the_same() {
    let world = World::start(Setup::default()).await.unwrap();
    let (client, ledger) = (world.client(), world.ledger());
    let mut request = payment("invoice-7", &payee("alice"), 25 * DROPS_PER_XRP);
    request.destination_tag = Some(0);
    request.memos = vec![Memo {
        r#type: "text/plain".into(),
        data: b"thank you".to_vec(),
        format: String::new(),
    }];

    let stored = client.create(request).await.unwrap();
    assert!(
        !stored.safe_to_repay,
        "a live payment is never safe to repay"
    );
    assert_eq!(stored.client_id, "local");

    let paid = client.until_final("invoice-7", FINAL_WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
    assert!(!paid.safe_to_repay);
    assert_eq!(paid.destination_tag, Some(0), "tag 0 is a tag");
    let evidence = paid.evidence.clone().unwrap();
    assert_eq!(evidence.kind(), EvidenceKind::Presence);
    assert_eq!(evidence.engine_result, "tesSUCCESS");
    assert_eq!(
        evidence.delivered,
        Some(evidence::Delivered::DeliveredDrops(25 * DROPS_PER_XRP))
    );
    assert!(!evidence.servers.is_empty(), "evidence names who said so");
    assert_eq!(evidence.ledger_hash.len(), 64);

    let history = ledger.history(&world.wallet().address()).await.unwrap();
    let made: Vec<_> = history
        .iter()
        .filter(|entry| entry.account == world.wallet().address())
        .collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(made[0].hash, evidence.tx_hash);
    assert_eq!(
        made[0].invoice_id.as_deref(),
        Some(paid.invoice_id.as_str())
    );
    assert_eq!(made[0].delivered_drops, 25 * DROPS_PER_XRP);
    assert_eq!(made[0].fee_drops, evidence.fee_drops);

    let wallet = world
        .client()
        .wallet()
        .get_wallet(tonic::Request::new(Default::default()))
        .await
        .unwrap()
        .into_inner();
    let (balance, _) = ledger
        .account(&world.wallet().address())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        wallet.balance_drops, balance,
        "the gateway's books are the ledger's"
    );
    assert_eq!(
        wallet.slots,
        Vec::<SlotInFlight>::new(),
        "nothing is in flight"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_is_the_same_payment_and_nothing_else() {
    let world = World::start(Setup::default()).await.unwrap();
    let client = world.client();
    let asked = payment("rent-november", &payee("alice"), 5 * DROPS_PER_XRP);
    let first = client.create(asked.clone()).await.unwrap();
    let again = client.create(asked.clone()).await.unwrap();
    assert_eq!(
        (again.invoice_id, again.create_time),
        (first.invoice_id, first.create_time)
    );

    let x_address = to_x_address(
        AccountId::from_address(&payee("alice")).unwrap(),
        None,
        XNetwork::Test,
    );
    let other_form = CreatePaymentRequest {
        destination: x_address,
        ..asked.clone()
    };
    client
        .create(other_form)
        .await
        .expect("another way to write the same address is the same content");

    let tag = CreatePaymentRequest {
        destination_tag: Some(1),
        ..asked.clone()
    };
    let destination = CreatePaymentRequest {
        destination: payee("bob"),
        ..asked.clone()
    };
    let amount = payment("rent-november", &payee("alice"), 6 * DROPS_PER_XRP);
    let memos = vec![Memo {
        r#type: String::new(),
        data: b"x".to_vec(),
        format: String::new(),
    }];
    let memo = CreatePaymentRequest {
        memos,
        ..asked.clone()
    };
    for (other, field) in [
        (amount, "amount"),
        (destination, "destination"),
        (tag, "destination_tag"),
        (memo, "memos"),
    ] {
        let refused = client.create(other).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused:?}");
        let info = refused.get_details_error_info().unwrap();
        assert_eq!(info.reason, "PAYMENT_ID_REUSED");
        assert!(
            info.metadata["field"].contains(field),
            "{field}: {:?}",
            info.metadata
        );
    }

    let paid = client
        .until_final("rent-november", FINAL_WITHIN)
        .await
        .unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
    let repeated = client.create(asked).await.unwrap();
    assert_eq!(
        repeated.state(),
        PaymentState::Paid,
        "a repeated call hears what became of it"
    );
    let invoices = world
        .ledger()
        .paid_invoices(&world.wallet().address())
        .await
        .unwrap();
    assert_eq!(
        invoices.into_iter().collect::<Vec<_>>(),
        [(paid.invoice_id, 1)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_of_the_older_family_pays() {
    assert_pays(Wallet::random(SeedType::Secp256k1)).await;
}

/// xrpl-rust refuses about one seed in sixteen of this family: it strips leading zeros of numbers.
#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_xrpl_rust_refuses_pays() {
    let refused = (0u128..)
        .map(|number| Wallet::from_entropy(SeedType::Secp256k1, number.to_be_bytes()))
        .find(|wallet| derive_keypair(&wallet.seed, false).is_err())
        .unwrap();
    assert_pays(refused).await;
}

async fn assert_pays(wallet: Wallet) {
    let world = World::start(Setup {
        wallet,
        ..Setup::default()
    })
    .await
    .unwrap();
    world
        .client()
        .create(payment("family", &payee("alice"), DROPS_PER_XRP))
        .await
        .unwrap();
    let paid = world
        .client()
        .until_final("family", FINAL_WITHIN)
        .await
        .unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_for_an_account_that_does_not_exist_is_cancelled_before_it_is_sent() {
    let world = World::start(Setup::default()).await.unwrap();
    let client = world.client();
    // The reserve is 1 XRP.
    client
        .create(payment(
            "too-little",
            &payee("nobody yet"),
            DROPS_PER_XRP - 1,
        ))
        .await
        .unwrap();
    let cancelled = client
        .until_final("too-little", FINAL_WITHIN)
        .await
        .unwrap();
    assert_eq!(cancelled.state(), PaymentState::Cancelled);
    assert_eq!(
        cancelled.reason(),
        PaymentReason::DestinationCannotReceive,
        "{}",
        cancelled.reason_detail
    );
    assert!(
        cancelled.safe_to_repay,
        "the signer never saw it, so nothing of it exists"
    );
    assert_eq!(cancelled.slot, None);
    let evidence = cancelled.evidence.unwrap();
    assert_eq!(evidence.kind(), EvidenceKind::NeverBound);
    assert_eq!(evidence.refusal(), PreflightRefusal::NotFunded);
    let address = world.wallet().address();
    assert_eq!(
        world.ledger().history(&address).await.unwrap().len(),
        0,
        "no slot and no fee went into it"
    );

    let again = CreatePaymentRequest {
        retry_of: "too-little".into(),
        ..payment("enough", &payee("nobody yet"), DROPS_PER_XRP)
    };
    client.create(again.clone()).await.unwrap();
    let paid = client.until_final("enough", FINAL_WITHIN).await.unwrap();
    assert_eq!(
        paid.state(),
        PaymentState::Paid,
        "the successor creates the account"
    );
    let third = CreatePaymentRequest {
        payment_id: "once-more".into(),
        ..again
    };
    let refused = client.create(third).await.unwrap_err();
    assert_eq!(
        refused.code(),
        Code::FailedPrecondition,
        "a payment has one successor: {refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daily_limit_holds_across_a_restart() {
    let mut world = World::start(Setup {
        daily_limit_xrp: "150".into(),
        ..Setup::default()
    })
    .await
    .unwrap();
    world
        .client()
        .create(payment("first", &payee("alice"), 100 * DROPS_PER_XRP))
        .await
        .unwrap();
    world.kill_gateway();
    world.start_gateway().await.unwrap();
    let refused = world
        .client()
        .create(payment("second", &payee("alice"), 51 * DROPS_PER_XRP))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert_eq!(
        refused.get_details_error_info().unwrap().reason,
        "LIMIT_DAILY"
    );
    assert!(
        refused.get_details_retry_info().is_some(),
        "it says when to ask again"
    );
    let paid = world
        .client()
        .until_final("first", FINAL_WITHIN)
        .await
        .unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
}
