//! Issued currencies in rows: exact, counted by asset, judged by content, and readable by who has an older file.

use std::time::Duration;

use paygate_payments::LedgerIndex;
use paygate_payments::intent::{Intent, IntentField};
use paygate_payments::limits::{AssetLimits, Limits, OverLimit};
use paygate_payments::money::Money;
use paygate_payments::payment::{CancelCause, HoldCause, State, StateName};
use paygate_payments::proof::{LedgerBody, LedgerTx};
use paygate_payments::step::Event;
use tokio::task::JoinSet;
use xrpl_tx::{AccountId, Amount, Asset, IssuedAmount, IssuedValue};

use super::world::{NOON, World, XRP, drops, intent, key, limits, new, options, payment_tx, shown};
use crate::store::schema::{APPLICATION_ID, MIGRATIONS};
use crate::store::{Accept, NewPayment, Store};

fn asset(currency: &str, issuer: u8) -> Asset {
    Asset {
        currency: currency.parse().unwrap(),
        issuer: AccountId::from_bytes([issuer; 20]),
    }
}

fn value(text: &str) -> IssuedValue {
    text.parse().unwrap()
}

fn amount(asset: Asset, number: &str, send_max: Option<&str>) -> Amount {
    Amount::Issued {
        amount: IssuedAmount::new(asset, value(number)).unwrap(),
        send_max: send_max.map(value),
    }
}

fn usd() -> Asset {
    asset("USD", 9)
}

fn rlusd() -> Asset {
    asset("524C555344000000000000000000000000000000", 10)
}

fn with_assets() -> Limits {
    let of = |asset| AssetLimits {
        asset,
        payment_min: value("0.01"),
        payment_max: value("100"),
        day_max: value("250"),
        transfer_fee_max_ppm: 2_000,
        approval_threshold: None,
    };
    Limits {
        pending_max: 64,
        assets: vec![usd(), rlusd()].into_iter().map(of).collect(),
        ..limits()
    }
}

fn asked(payment: &str, amount: Amount) -> NewPayment {
    NewPayment {
        intent: Intent {
            amount,
            ..intent(payment)
        },
        ..new(payment)
    }
}

fn with_amount(mut tx: LedgerTx, other: Amount) -> LedgerTx {
    if let LedgerBody::Payment { amount, .. } = &mut tx.body {
        *amount = other;
    }
    tx
}

#[tokio::test]
async fn an_amount_comes_back_to_the_digit_and_so_does_what_arrived() {
    let world = World::with(with_assets()).await;
    for (payment, sent) in [
        ("least", amount(usd(), "0.01", None)),
        (
            "digits",
            amount(rlusd(), "12.34567890123456", Some("12.37037036903703")),
        ),
        ("whole", amount(usd(), "99", Some("99.198"))),
    ] {
        let record = world.created(asked(payment, sent)).await;
        let stored = world.store.get(&key(payment)).await.unwrap().unwrap();
        assert_eq!(stored, record);
        assert_eq!(stored.payment.intent.amount, sent);
    }
    let record = world.bound("digits", 40, 120).await;
    let tx = payment_tx(&record, 40, 1, "tesSUCCESS");
    let done = world
        .validated(101, 41, vec![shown(101, tx)])
        .await
        .unwrap();
    let delivered = Money::Issued {
        asset: rlusd(),
        value: value("12.34567890123456"),
    };
    assert_eq!(done.settled[0].amount, delivered);
    let State::Paid(settled) = world.state("digits").await else {
        panic!("not paid");
    };
    assert_eq!(settled.delivered, Some(delivered));
    let lines = world.store.timeline(&key("digits")).await.unwrap();
    let told: Vec<_> = lines.iter().map(|row| row.event.summary.as_str()).collect();
    assert!(told[0].contains("12.34567890123456 524C5553"), "{told:?}");
    assert!(told[0].contains("at most 12.37037036903703"), "{told:?}");
    assert!(
        told.last().unwrap().contains("12.34567890123456 524C5553"),
        "{told:?}"
    );
}

#[tokio::test]
async fn another_issuer_is_another_payment_and_another_cap_is_not() {
    let world = World::with(with_assets()).await;
    world
        .created(asked("a", amount(usd(), "5", Some("5.01"))))
        .await;
    let again = world
        .store
        .create(asked("a", amount(usd(), "5.0", None)))
        .await;
    assert!(
        matches!(again, Ok(Accept::Existed(record)) if record.payment.intent.takes().number() == "5.01")
    );
    for (other, named) in [
        (amount(asset("USD", 10), "5", None), IntentField::Issuer),
        (amount(rlusd(), "5", None), IntentField::Currency),
        (amount(usd(), "5.1", None), IntentField::Value),
        (Amount::Xrp(drops(5 * XRP)), IntentField::Amount),
    ] {
        match world.store.create(asked("a", other)).await.unwrap() {
            Accept::Conflict { field, .. } => assert_eq!(field, named),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_asset_has_a_day_of_its_own_that_counts_send_max() {
    let world = World::with(with_assets()).await;
    let mut calls = JoinSet::new();
    for n in 0..20 {
        let store = world.store.clone();
        let new = asked(&format!("u{n}"), amount(usd(), "24.9", Some("25")));
        calls.spawn(async move { store.create(new).await.unwrap() });
    }
    let mut created = 0;
    while let Some(accept) = calls.join_next().await {
        match accept.unwrap() {
            Accept::Created(_) => created += 1,
            Accept::OverLimit(OverLimit::Day { used, max, .. }) => {
                let of = |number| Money::Issued {
                    asset: usd(),
                    value: value(number),
                };
                assert_eq!((used, max), (of("250"), of("250")));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        created, 10,
        "ten times 25 are 250; of the values alone it would be 10.04"
    );
    // Neither the other currency nor XRP has anything to do with it.
    world.created(asked("r", amount(rlusd(), "1", None))).await;
    world.created(new("x")).await;
    let summary = world.store.summary(NOON).await.unwrap();
    assert_eq!(summary.day_used, drops(25 * XRP));
    let told: Vec<_> = summary
        .assets
        .iter()
        .map(|of| (of.asset, of.day_used, of.accepted))
        .collect();
    assert_eq!(
        told,
        [
            (usd(), value("250"), value("250")),
            (rlusd(), value("1"), value("1"))
        ]
    );
    let preview = world
        .store
        .preview(asked("p", amount(usd(), "1", None)))
        .await;
    assert!(matches!(
        preview,
        Ok(Accept::OverLimit(OverLimit::Day { .. }))
    ));

    // What ends unpaid is given back, and a day later all of it.
    let event = Event::CancelAsked {
        cause: CancelCause::Requested,
        validated: LedgerIndex(100),
    };
    let accepted = world.store.waiting(100).await.unwrap();
    let one = accepted
        .iter()
        .find(|record| record.payment.intent.takes().asset() == Some(usd()));
    let first = one.unwrap().payment.intent.key.clone();
    world
        .store
        .advance(world.epoch, first, event, Vec::new(), NOON)
        .await
        .unwrap();
    world
        .created(asked("again", amount(usd(), "24.9", Some("25"))))
        .await;
    let refused = world
        .store
        .create(asked("more", amount(usd(), "0.01", None)))
        .await;
    assert!(matches!(
        refused,
        Ok(Accept::OverLimit(OverLimit::Day { .. }))
    ));
    let tomorrow = NewPayment {
        at: NOON.plus(Duration::from_secs(24 * 60 * 60 + 1)),
        ..asked("tomorrow", amount(usd(), "99", None))
    };
    world.created(tomorrow).await;
}

#[tokio::test]
async fn what_the_ledger_shows_is_compared_with_asset_value_and_send_max() {
    let sent = amount(usd(), "12.5", Some("12.525"));
    for (other, delivered, held) in [
        (amount(usd(), "12.5", None), "12.5", true),
        (
            amount(asset("USD", 10), "12.5", Some("12.525")),
            "12.5",
            true,
        ),
        (Amount::Xrp(drops(XRP)), "12.5", true),
        (sent, "12.4", true),
        (sent, "12.5", false),
    ] {
        let world = World::with(with_assets()).await;
        world.created(asked("a", sent)).await;
        let record = world.bound("a", 40, 120).await;
        let mut tx = with_amount(payment_tx(&record, 40, 1, "tesSUCCESS"), other);
        if let LedgerBody::Payment {
            delivered: arrived, ..
        } = &mut tx.body
        {
            *arrived = Some(Money::Issued {
                asset: usd(),
                value: value(delivered),
            });
        }
        world
            .validated(101, 41, vec![shown(101, tx)])
            .await
            .unwrap();
        assert_eq!(world.frozen().await, held, "{other:?}");
        match world.state("a").await {
            State::OnHold(held) if other == sent => {
                assert!(matches!(held.why, HoldCause::DeliveredDiffers { .. }));
            }
            State::OnHold(held) => assert!(matches!(held.why, HoldCause::SlotTaken { .. })),
            State::Paid(_) => assert!(!held),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_lost_payment_is_found_on_the_ledger_by_invoice_and_content() {
    // Stored anew after its row was lost: with the cap of today, while it was sent with another one.
    let today = amount(usd(), "12.5", Some("12.525"));
    let sent = amount(usd(), "12.5", Some("12.6"));
    let world = World::with(with_assets()).await;
    let record = world.created(asked("a", today)).await;
    let tx = with_amount(payment_tx(&record, 40, 1, "tesSUCCESS"), sent);
    world
        .validated(101, 41, vec![shown(101, tx)])
        .await
        .unwrap();
    assert_eq!(world.name("a").await, StateName::Paid);

    // First the ledger, then the request: whoever asks is told that it is paid.
    let record = world.created(asked("b", today)).await;
    let world = World::with(with_assets()).await;
    let tx = payment_tx(&record, 40, 1, "tesSUCCESS");
    world
        .validated(101, 41, vec![shown(101, tx)])
        .await
        .unwrap();
    let told = world.store.create(asked("b", today)).await.unwrap();
    let Accept::Created(told) = told else {
        panic!("{told:?}");
    };
    assert_eq!(told.payment.state.name(), StateName::Paid);
}

#[tokio::test]
async fn a_file_from_before_issued_currencies_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = options(&folder, limits()).path;
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch(MIGRATIONS[0]).unwrap();
    conn.pragma_update(None, "application_id", APPLICATION_ID)
        .unwrap();
    conn.pragma_update(None, "user_version", 1).unwrap();
    let row = "INSERT INTO payments (client_id, payment_id, invoice_id, destination, drops, created_ms, updated_ms, state, \
               live, counts) VALUES ('shop', 'old', zeroblob(32), zeroblob(20), 7000000, ?1, ?1, 'ACCEPTED', 1, 1)";
    conn.execute(row, [NOON.0]).unwrap();
    drop(conn);
    let store = Store::open(options(&folder, with_assets())).unwrap();
    let old = store.get(&key("old")).await.unwrap().unwrap();
    assert_eq!(old.payment.intent.amount, Amount::Xrp(drops(7 * XRP)));
    let new = store
        .create(asked("new", amount(usd(), "1", None)))
        .await
        .unwrap();
    assert!(matches!(new, Accept::Created(_)), "{new:?}");
    assert_eq!(store.summary(NOON).await.unwrap().day_used, drops(7 * XRP));
}
