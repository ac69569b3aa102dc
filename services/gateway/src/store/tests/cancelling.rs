//! A caller changes his mind: before binding, after it, in doubt, too late.

use paygate_payments::LedgerIndex;
use paygate_payments::continuity::{Doubt, Quarantine};
use paygate_payments::payment::{CancelCause, EndProof, State, StateName, VersionKind};
use paygate_payments::step::Event;
use paygate_proto::v1::TimelineStage;
use xrpl_tx::{Slot, noop_memo};

use super::world::{
    NOON, World, drops, key, ledger, limits, new, noop_tx, options, payment_tx, shown, terms,
};
use crate::store::{Advanced, Bind, Store, StoreError};

async fn cancel(world: &World, comment: &str) -> Result<Advanced, StoreError> {
    world.store.cancel(key("a"), comment.to_owned(), NOON).await
}

async fn stages(world: &World) -> Vec<TimelineStage> {
    let lines = world.store.timeline(&key("a")).await.unwrap();
    lines.iter().map(|line| line.event.stage()).collect()
}

#[tokio::test]
async fn before_binding_it_is_cancelled_at_once_and_its_amount_is_free_again() {
    let world = World::new().await;
    world.created(new("a")).await;
    let told = cancel(&world, "wrong month").await.unwrap();
    assert!(told.changed);
    let State::Cancelled(ended, CancelCause::Requested) = &told.record.payment.state else {
        panic!("{:?}", told.record.payment.state)
    };
    assert_eq!(
        ended.proof,
        EndProof::NeverBound {
            validated: LedgerIndex(100)
        }
    );
    assert_eq!(world.store.summary(NOON).await.unwrap().day_used, drops(0));

    let again = cancel(&world, "once more").await.unwrap();
    assert!(!again.changed);
    assert_eq!(again.record, told.record);
    use TimelineStage::{Accepted, CancelRequested, Cancelled};
    assert_eq!(stages(&world).await, [Accepted, CancelRequested, Cancelled]);
    let lines = world.store.timeline(&key("a")).await.unwrap();
    assert!(lines[1].event.summary.contains("wrong month"));
    assert!(
        lines[2]
            .event
            .summary
            .starts_with("CANCELLED by its caller"),
        "{}",
        lines[2].event.summary
    );

    let folder = world.folder;
    world.store.close().await;
    let store = Store::open(options(&folder, limits())).unwrap();
    assert_eq!(store.get(&key("a")).await.unwrap(), Some(told.record));
}

#[tokio::test]
async fn after_binding_the_cancel_is_committed_and_the_noop_decides() {
    let world = World::new().await;
    world.created(new("a")).await;
    world.bound("a", 40, 120).await;
    let told = cancel(&world, "").await.unwrap();
    assert_eq!(told.record.payment.state.name(), StateName::AtLarge);
    assert_eq!(told.record.payment.cancel, Some(CancelCause::Requested));
    assert!(!cancel(&world, "").await.unwrap().changed);

    let noop = Event::NoOpAdded(terms(125));
    let added = world
        .store
        .advance(world.epoch, key("a"), noop, Vec::new(), NOON)
        .await
        .unwrap();
    let versions = added.record.versions.unwrap();
    assert_eq!(versions.latest().1.kind, VersionKind::NoOp);
    world
        .validated(
            101,
            41,
            vec![shown(101, noop_tx(noop_memo("shop", "a"), 40, 8))],
        )
        .await
        .unwrap();
    let record = world.store.get(&key("a")).await.unwrap().unwrap();
    assert!(
        matches!(&record.payment.state, State::Cancelled(ended, CancelCause::Requested) if ended.slot == Some(Slot::Sequence(40)))
    );
    assert!(!world.frozen().await);
    let told = cancel(&world, "").await.unwrap();
    assert_eq!((told.changed, told.record), (false, record));
}

#[tokio::test]
async fn the_payment_may_win_and_then_the_cancel_changes_nothing() {
    let world = World::new().await;
    world.created(new("a")).await;
    let bound = world.bound("a", 40, 120).await;
    cancel(&world, "").await.unwrap();
    world
        .validated(
            101,
            41,
            vec![shown(101, payment_tx(&bound, 40, 1, "tesSUCCESS"))],
        )
        .await
        .unwrap();
    let told = cancel(&world, "too late").await.unwrap();
    assert_eq!(
        (told.changed, told.record.payment.state.name()),
        (false, StateName::Paid)
    );
    assert!(
        told.record.payment.cancel.is_some(),
        "that it was asked for stays known"
    );
}

#[tokio::test]
async fn in_quarantine_a_cancel_is_stored_and_carried_out_with_its_end() {
    let world = World::new().await;
    world.created(new("a")).await;
    world.created(new("b")).await;
    let quarantine = Quarantine {
        why: Doubt::LongAbsence,
        until: LedgerIndex(120),
    };
    world
        .store
        .set_quarantine(world.epoch, Some(quarantine), NOON)
        .await
        .unwrap();
    let told = cancel(&world, "").await.unwrap();
    assert_eq!(
        (told.changed, told.record.payment.state.name()),
        (true, StateName::Accepted)
    );
    assert!(!cancel(&world, "").await.unwrap().changed);
    let waiting = world.store.waiting(10).await.unwrap();
    assert_eq!(waiting.len(), 1, "it is not in the line any more");
    assert_eq!(waiting[0].payment.intent.key, key("b"));

    world
        .store
        .set_quarantine(world.epoch, None, NOON)
        .await
        .unwrap();
    assert_eq!(world.name("a").await, StateName::Cancelled);
    assert_eq!(world.name("b").await, StateName::Accepted);
    use TimelineStage::{Accepted, CancelRequested, Cancelled};
    assert_eq!(stages(&world).await, [Accepted, CancelRequested, Cancelled]);
}

#[tokio::test]
async fn before_store_ledger_and_signer_were_compared_nothing_ends_unpaid() {
    let world = World::new().await;
    world.created(new("a")).await;
    // A restart. The rows may be of a backup: what they call unbound may be on the network.
    let next = world.store.begin_epoch().await.unwrap();
    let told = cancel(&world, "").await.unwrap();
    assert_eq!(told.record.payment.state.name(), StateName::Accepted);
    let bind = Bind {
        key: key("a"),
        slot: Slot::Sequence(40),
        since: LedgerIndex(100),
        terms: terms(120),
    };
    let refused = world.store.bind(next, vec![bind], NOON).await;
    assert_eq!(refused, Err(StoreError::Quarantined));
    world.store.pass_continuity(next, NOON).await.unwrap();
    assert_eq!(world.name("a").await, StateName::Cancelled);
}

#[tokio::test]
async fn the_doubt_reaches_back_over_a_crash_before_the_comparison() {
    let world = World::new().await;
    let first = world.store.begin_epoch().await.unwrap();
    let doubt = world.store.cursor().await.unwrap().doubt_from;
    assert_eq!(doubt, Some(LedgerIndex(100)));
    // It reads the ledger, and ends before it has compared.
    let at = World {
        epoch: first,
        ..world
    };
    at.validated(150, 40, vec![]).await.unwrap();
    let second = at.store.begin_epoch().await.unwrap();
    let doubt = at.store.cursor().await.unwrap().doubt_from;
    assert_eq!(doubt, Some(LedgerIndex(100)));
    at.store.pass_continuity(second, NOON).await.unwrap();
    at.store.begin_epoch().await.unwrap();
    let doubt = at.store.cursor().await.unwrap().doubt_from;
    assert_eq!(doubt, Some(LedgerIndex(150)));
}

#[tokio::test]
async fn in_quarantine_a_payment_whose_binding_was_lost_is_paid_though_cancelled() {
    let world = World::new().await;
    let lost = world.created(new("a")).await;
    let quarantine = Quarantine {
        why: Doubt::SignerAhead,
        until: LedgerIndex(120),
    };
    world
        .store
        .set_quarantine(world.epoch, Some(quarantine), NOON)
        .await
        .unwrap();
    cancel(&world, "").await.unwrap();
    world
        .validated(
            101,
            41,
            vec![shown(101, payment_tx(&lost, 40, 1, "tesSUCCESS"))],
        )
        .await
        .unwrap();
    assert_eq!(world.name("a").await, StateName::Paid);
    world
        .store
        .set_quarantine(world.epoch, None, NOON)
        .await
        .unwrap();
    assert_eq!(world.name("a").await, StateName::Paid);
}

#[tokio::test]
async fn what_is_unknown_or_on_hold_is_not_cancelled() {
    let world = World::new().await;
    assert_eq!(
        cancel(&world, "").await.unwrap_err(),
        StoreError::UnknownPayment(key("a"))
    );
    world.created(new("a")).await;
    world.bound("a", 40, 120).await;
    world.validated(101, 41, Vec::new()).await.unwrap();
    assert_eq!(world.name("a").await, StateName::OnHold);
    let refused = cancel(&world, "").await.unwrap_err();
    assert!(matches!(refused, StoreError::Illegal(_)), "{refused:?}");
}

#[tokio::test]
async fn a_cancelled_payment_is_never_bound() {
    let world = World::new().await;
    world.created(new("a")).await;
    let stale = world.store.waiting(1).await.unwrap();
    cancel(&world, "").await.unwrap();
    let bind = Bind {
        key: stale[0].payment.intent.key.clone(),
        slot: Slot::Sequence(40),
        since: ledger(100).index,
        terms: terms(120),
    };
    let refused = world.store.bind(world.epoch, vec![bind], NOON).await;
    assert!(
        matches!(refused, Err(StoreError::Illegal(_))),
        "{refused:?}"
    );
    assert!(world.store.open_slots().await.unwrap().is_empty());
}
