//! Rows that were lost: what the ledger shows of them, whose word is asked, and what waits meanwhile.

use paygate_payments::LedgerIndex;
use paygate_payments::continuity::{Doubt, Quarantine};
use paygate_payments::payment::StateName;
use paygate_payments::proof::LedgerBody;
use xrpl_tx::{filler_memo, noop_memo};

use super::world::*;
use crate::store::{Accept, Reconciliation};

fn known_to_signer(highest: Option<u32>, story: Reconciliation) -> Reconciliation {
    Reconciliation {
        signer_highest: highest,
        ..story
    }
}

async fn lost(name: &str) -> crate::store::Record {
    World::new().await.created(new(name)).await
}

#[tokio::test]
async fn what_the_journal_explains_is_kept_and_a_quarantine_begins() {
    let world = World::new().await;
    let record = lost("a").await;
    let story = world.story(
        101,
        41,
        vec![shown(101, payment_tx(&record, 40, 1, "tesSUCCESS"))],
    );
    let story = known_to_signer(Some(40), story);
    let told = world.store.reconcile(world.epoch, story).await.unwrap();
    assert_eq!((told.imported, told.foreign), (vec![hash(1)], vec![]));
    assert_eq!(
        told.quarantine,
        Some(Quarantine {
            why: Doubt::UnknownTransaction,
            until: LedgerIndex(121),
        })
    );
    assert!(!world.frozen().await);
    // The ledger tells it again: nothing new.
    let again = world.story(
        102,
        41,
        vec![shown(101, payment_tx(&record, 40, 1, "tesSUCCESS"))],
    );
    let told = world
        .store
        .reconcile(world.epoch, known_to_signer(Some(40), again))
        .await
        .unwrap();
    assert!(told.imported.is_empty() && told.foreign.is_empty() && told.quarantine.is_none());
    assert_eq!(
        world.store.slot_facts().await.unwrap().highest_bound,
        Some(40)
    );
}

#[tokio::test]
async fn what_neither_side_knows_freezes_and_says_what_to_do() {
    let world = World::new().await;
    let record = lost("a").await;
    let story = world.story(
        101,
        41,
        vec![shown(101, payment_tx(&record, 40, 1, "tesSUCCESS"))],
    );
    let story = known_to_signer(Some(39), story);
    let told = world.store.reconcile(world.epoch, story).await.unwrap();
    assert_eq!(told.foreign, [hash(1)]);
    let frozen = world.store.cursor().await.unwrap().frozen.unwrap();
    assert!(frozen.why.contains("both were put back"), "{}", frozen.why);
}

#[tokio::test]
async fn before_the_signer_was_asked_it_is_kept_and_judged_when_he_answers() {
    let mut world = World::new().await;
    let (record, other) = (lost("a").await, lost("b").await);
    world.epoch = world.store.begin_epoch().await.unwrap();
    let settled = vec![
        shown(101, payment_tx(&record, 40, 1, "tesSUCCESS")),
        shown(101, payment_tx(&other, 41, 2, "tesSUCCESS")),
    ];
    let story = known_to_signer(None, world.story(101, 42, settled));
    let told = world.store.reconcile(world.epoch, story).await.unwrap();
    assert_eq!(told.imported, [hash(1), hash(2)]);
    assert!(!world.frozen().await);
    let foreign = world
        .store
        .judge_imported(world.epoch, 40, NOON)
        .await
        .unwrap();
    assert_eq!(foreign, [hash(2)], "the journal does not reach slot 41");
    assert!(world.frozen().await);
    let foreign = world
        .store
        .judge_imported(world.epoch, 40, NOON)
        .await
        .unwrap();
    assert!(foreign.is_empty(), "each is judged once");
}

#[tokio::test]
async fn what_does_not_look_ours_is_foreign_whatever_the_journal_says() {
    let world = World::new().await;
    let record = lost("a").await;
    let mut tx = payment_tx(&record, 40, 1, "tesSUCCESS");
    if let LedgerBody::Payment { invoice_id, .. } = &mut tx.body {
        *invoice_id = None;
    }
    let story = known_to_signer(Some(99), world.story(101, 41, vec![shown(101, tx)]));
    let told = world.store.reconcile(world.epoch, story).await.unwrap();
    assert_eq!((told.foreign, told.quarantine), (vec![hash(1)], None));
}

#[tokio::test]
async fn a_lost_payment_whose_slot_went_to_our_noop_is_cancelled_and_one_that_failed_has_failed() {
    let world = World::new().await;
    world.created(new("waits")).await;
    let failed = lost("failed").await;
    let settled = vec![
        shown(101, noop_tx(noop_memo("shop", "waits"), 40, 1)),
        shown(101, noop_tx(noop_memo("shop", "asked-later"), 41, 2)),
        shown(
            101,
            noop_tx(filler_memo(xrpl_tx::Slot::Sequence(42)), 42, 3),
        ),
        shown(101, payment_tx(&failed, 43, 4, "tecUNFUNDED_PAYMENT")),
    ];
    let story = known_to_signer(Some(43), world.story(101, 44, settled));
    let told = world.store.reconcile(world.epoch, story).await.unwrap();
    assert_eq!(told.imported, [hash(2), hash(3), hash(4)]);
    assert!(!world.frozen().await);
    assert_eq!(world.name("waits").await, StateName::Cancelled);
    for (name, state) in [
        ("asked-later", StateName::Cancelled),
        ("failed", StateName::Failed),
    ] {
        let Accept::Created(record) = world.store.create(new(name)).await.unwrap() else {
            panic!("{name} is not told");
        };
        assert_eq!(record.payment.state.name(), state);
        assert!(state.safe_to_repay());
    }
    assert_eq!(world.store.summary(NOON).await.unwrap().pending, 0);
}

#[tokio::test]
async fn a_fresh_store_imports_the_history_once_and_part_by_part() {
    let world = World::new().await;
    let record = lost("a").await;
    world
        .store
        .want_import(world.epoch, LedgerIndex(10))
        .await
        .unwrap();
    let cursor = world.store.cursor().await.unwrap();
    assert_eq!(cursor.import_from, Some(LedgerIndex(10)));
    let mut stranger = payment_tx(&record, 30, 9, "tesSUCCESS");
    stranger.source_tag = None;
    let part = vec![
        shown(20, stranger),
        shown(21, payment_tx(&record, 31, 1, "tesSUCCESS")),
    ];
    let kept = world
        .store
        .import(world.epoch, part, Some(LedgerIndex(51)))
        .await
        .unwrap();
    assert_eq!(kept, 1, "what others did in those days is not looked at");
    assert!(!world.frozen().await);
    world
        .store
        .import(world.epoch, Vec::new(), None)
        .await
        .unwrap();
    world
        .store
        .want_import(world.epoch, LedgerIndex(10))
        .await
        .unwrap();
    assert_eq!(world.store.cursor().await.unwrap().import_from, None);
    let Accept::Created(told) = world.store.create(new("a")).await.unwrap() else {
        panic!("it is not told");
    };
    assert_eq!(told.payment.state.name(), StateName::Paid);
}

#[tokio::test]
async fn a_generation_is_raised_above_what_the_signer_has_heard_of() {
    let world = World::new().await;
    let raised = world.store.raise_epoch(world.epoch, 70).await.unwrap();
    assert_eq!(raised, 71);
    assert!(world.store.raise_epoch(world.epoch, 80).await.is_err());
    // It is held as if in quarantine until store, ledger and signer are compared.
    world.created(new("a")).await;
    let refused = world.store.judge_imported(world.epoch, 0, NOON).await;
    assert!(refused.is_err(), "the older number is fenced");
}
