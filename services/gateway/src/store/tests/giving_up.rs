//! Payments that their destinations cannot receive: given up before they were bound, and never after.

use paygate_payments::LedgerIndex;
use paygate_payments::continuity::{Doubt, Quarantine};
use paygate_payments::payment::{CancelCause, EndProof, State, StateName};
use paygate_payments::preflight::{
    AccountRoot, DestinationFacts, Facts, Refusal, RefusalReason, Verdict, check,
};
use paygate_payments::proof::{Quorum, Reading, Source};
use paygate_proto::v1::TimelineStage;

use super::world::{NOON, World, drops, intent, key, ledger, limits, new, options, wallet};
use crate::store::{Store, StoreError};

/// lsfDisallowXRP.
const WANTS_NO_XRP: u32 = 0x0008_0000;

fn refusal(payment: &str) -> Refusal {
    let intent = intent(payment);
    let fact = DestinationFacts {
        account: intent.destination,
        reserve_base: drops(1),
        root: Some(AccountRoot {
            balance: drops(1),
            flags: WANTS_NO_XRP,
            is_pseudo: false,
            wallet_preauthorised: false,
        }),
    };
    let source = Source {
        operator: "ours".to_owned(),
        own: true,
    };
    let reading = Reading {
        source,
        ledger: ledger(100),
        fact,
    };
    let destination = Quorum::new(1).observed(&[reading]).unwrap();
    let facts = Facts {
        destination: &destination,
        issued: None,
    };
    match check(&intent, &wallet(), facts) {
        Verdict::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_is_cancelled_with_its_reason_and_its_amount_is_free_again() {
    let world = World::new().await;
    world.created(new("a")).await;
    let given_up = world
        .store
        .refuse(world.epoch, vec![refusal("a")], NOON)
        .await
        .unwrap();
    let [record] = given_up.as_slice() else {
        panic!("{given_up:?}")
    };
    let State::Cancelled(ended, CancelCause::DestinationCannotReceive) = &record.payment.state
    else {
        panic!("{:?}", record.payment.state)
    };
    let EndProof::CannotReceive(cannot) = &ended.proof else {
        panic!("{ended:?}")
    };
    assert_eq!(
        (cannot.ledger, cannot.reason),
        (ledger(100), RefusalReason::XrpUnwanted)
    );
    assert_eq!(world.store.summary(NOON).await.unwrap().day_used, drops(0));
    let lines = world.store.timeline(&key("a")).await.unwrap();
    let last = &lines.last().unwrap().event;
    assert_eq!(last.stage(), TimelineStage::Cancelled);
    assert!(last.summary.contains("DisallowXRP"), "{}", last.summary);
    assert_eq!(last.details["reason"], "xrp_unwanted");

    let again = world.store.refuse(world.epoch, vec![refusal("a")], NOON);
    assert_eq!(again.await.unwrap(), [], "an end is an end");
    let record = record.clone();
    let folder = world.folder;
    world.store.close().await;
    let store = Store::open(options(&folder, limits())).unwrap();
    assert_eq!(store.get(&key("a")).await.unwrap(), Some(record));
}

#[tokio::test]
async fn one_that_is_bound_goes_on_and_the_others_of_the_same_commit_are_given_up() {
    let world = World::new().await;
    for id in ["a", "b"] {
        world.created(new(id)).await;
    }
    world.bound("a", 40, 120).await;
    let refusals = vec![refusal("a"), refusal("b")];
    let given_up = world.store.refuse(world.epoch, refusals, NOON).await;
    let given_up = given_up.unwrap();
    assert_eq!(given_up.len(), 1);
    assert_eq!(given_up[0].payment.intent.key, key("b"));
    assert_eq!(world.name("a").await, StateName::AtLarge);
}

#[tokio::test]
async fn in_quarantine_and_by_an_older_generation_nothing_is_given_up() {
    let world = World::new().await;
    world.created(new("a")).await;
    let quarantine = Quarantine {
        why: Doubt::LongAbsence,
        until: LedgerIndex(120),
    };
    world
        .store
        .set_quarantine(world.epoch, Some(quarantine), NOON)
        .await
        .unwrap();
    let given_up = world.store.refuse(world.epoch, vec![refusal("a")], NOON);
    assert_eq!(given_up.await.unwrap(), []);
    assert_eq!(world.name("a").await, StateName::Accepted);

    world.store.begin_epoch().await.unwrap();
    let late = world.store.refuse(world.epoch, vec![refusal("a")], NOON);
    assert!(matches!(late.await, Err(StoreError::Fenced { .. })));
    assert_eq!(world.name("a").await, StateName::Accepted);
}
