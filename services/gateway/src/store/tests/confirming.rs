//! From a slot to the end, as the ledger tells it.

use paygate_payments::LedgerIndex;
use paygate_payments::continuity::{Doubt, Quarantine};
use paygate_payments::money::Money;
use paygate_payments::payment::{EndProof, State, StateName, VersionKind};
use paygate_payments::step::{Effect, Event};
use paygate_proto::v1::TimelineStage;
use xrpl_tx::{Hash256, Slot, filler_memo, noop_memo};

use super::world::{
    NOON, World, XRP, drops, hash, key, ledger, new, noop_tx, ops, payment_tx, shown, signed,
    terms, wallet,
};
use crate::store::{Accept, Bind, NewPayment, Note, StoreError, Unfrozen};

#[tokio::test]
async fn a_payment_is_bound_signed_and_paid() {
    let world = World::new().await;
    world.created(new("a")).await;
    let bound = world.bound("a", 40, 120).await;
    let note = Note {
        stage: TimelineStage::SignRequested,
        summary: "Asked the signer.".to_owned(),
        details: vec![("slot", "sequence 40".to_owned())],
        span_id: Some("00f067aa0ba902b7".to_owned()),
    };
    let event = Event::Signed {
        number: 0,
        signed: signed(1),
    };
    let advanced = world
        .store
        .advance(world.epoch, key("a"), event.clone(), vec![note], NOON)
        .await
        .unwrap();
    assert_eq!(advanced.effects, [Effect::Submit]);
    let again = world
        .store
        .advance(world.epoch, key("a"), event, Vec::new(), NOON)
        .await
        .unwrap();
    assert!(!again.changed);
    let open = world.store.open_slots().await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].owner.as_ref(), Some(&again.record));
    assert_eq!(open[0].filler, None);

    let seen = shown(101, payment_tx(&bound, 40, 1, "tesSUCCESS"));
    let told = world.validated(101, 41, vec![seen.clone()]).await.unwrap();
    assert_eq!(told.changed, [(key("a"), StateName::Paid)]);
    assert_eq!((told.settled.len(), told.foreign.len()), (1, 0));
    let record = world.store.get(&key("a")).await.unwrap().unwrap();
    assert!(
        matches!(&record.payment.state, State::Paid(s) if s.delivered == Some(Money::Xrp(drops(25 * XRP))) && s.tx_hash == hash(1))
    );
    assert_eq!(record.ledger_closed, Some(NOON));
    assert!(world.store.open_slots().await.unwrap().is_empty());
    assert_eq!(
        world.store.slot_facts().await.unwrap().highest_bound,
        Some(40)
    );
    assert_eq!(
        world.store.cursor().await.unwrap().reconciled,
        Some(ledger(101))
    );

    // The same story again changes nothing.
    let again = world.validated(101, 41, vec![seen]).await.unwrap();
    assert_eq!(again, crate::store::Reconciled::default());
    let lines = world.store.timeline(&key("a")).await.unwrap();
    let stages: Vec<_> = lines.iter().map(|line| line.event.stage()).collect();
    use TimelineStage::{Accepted, Bound, Confirmed, SignRequested, Signed};
    assert_eq!(stages, [Accepted, Bound, SignRequested, Signed, Confirmed]);
    assert!(
        lines
            .windows(2)
            .all(|pair| pair[0].sequence < pair[1].sequence)
    );
    assert_eq!(lines[2].event.span_id, "00f067aa0ba902b7");
    assert!(
        lines[4]
            .event
            .summary
            .starts_with("PAID: 25 XRP delivered in validated ledger 101"),
        "{:?}",
        lines[4]
    );
}

#[tokio::test]
async fn a_validated_tec_fails_the_payment_and_frees_the_day() {
    let world = World::new().await;
    world.created(new("a")).await;
    let bound = world.bound("a", 40, 120).await;
    world
        .validated(
            101,
            41,
            vec![shown(101, payment_tx(&bound, 40, 1, "tecNO_DST"))],
        )
        .await
        .unwrap();
    assert_eq!(world.name("a").await, StateName::Failed);
    assert_eq!(world.store.summary(NOON).await.unwrap().day_used, drops(0));
    assert!(!world.frozen().await);
}

#[tokio::test]
async fn proven_absence_ends_it_at_the_deadline_and_a_noop_fills_its_slot() {
    let world = World::new().await;
    world
        .created(NewPayment {
            deadline: Some(LedgerIndex(130)),
            ..new("a")
        })
        .await;
    world.bound("a", 40, 120).await;
    world.validated(119, 40, Vec::new()).await.unwrap();
    let told = world.validated(120, 40, Vec::new()).await.unwrap();
    assert_eq!(told.effects, [Effect::AskSigner]);
    let State::AtLarge(at_large) = world.state("a").await else {
        panic!("ended too early")
    };
    // The wish was 140; the deadline wins.
    assert_eq!(at_large.versions.as_slice().len(), 2);
    assert_eq!(at_large.versions.highest_last_ledger(), LedgerIndex(130));

    let told = world.validated(130, 40, Vec::new()).await.unwrap();
    assert_eq!(told.effects, [Effect::FillSlot(Slot::Sequence(40))]);
    let State::Expired(ended) = world.state("a").await else {
        panic!("not expired")
    };
    assert!(matches!(
        ended.proof,
        EndProof::Absence { sequence: 40, .. }
    ));

    let slot = Slot::Sequence(40);
    let open = world.store.open_slots().await.unwrap();
    let filler = open[0].filler.clone().unwrap();
    assert_eq!(filler.owner, Some(key("a")));
    let number = world
        .store
        .add_filler(world.epoch, slot, filler.owner.clone(), terms(150), NOON)
        .await
        .unwrap();
    assert_eq!(number, 2);
    world
        .store
        .filler_signed(world.epoch, slot, number, signed(8))
        .await
        .unwrap();
    world
        .store
        .filler_signed(world.epoch, slot, number, signed(8))
        .await
        .unwrap();
    let other = world
        .store
        .filler_signed(world.epoch, slot, number, signed(9))
        .await;
    assert!(
        matches!(other, Err(StoreError::NoFiller { .. })),
        "{other:?}"
    );
    let versions = world
        .store
        .open_slots()
        .await
        .unwrap()
        .remove(0)
        .filler
        .unwrap()
        .versions
        .unwrap();
    assert_eq!(versions.latest().1.kind, VersionKind::NoOp);
    assert_eq!(versions.latest().1.signed, Some(signed(8)));

    let told = world
        .validated(
            131,
            41,
            vec![shown(131, noop_tx(noop_memo("shop", "a"), 40, 8))],
        )
        .await
        .unwrap();
    assert!(told.foreign.is_empty());
    assert!(world.store.open_slots().await.unwrap().is_empty());
    assert_eq!(world.name("a").await, StateName::Expired);
    assert!(!world.frozen().await);
}

#[tokio::test]
async fn a_slot_that_no_payment_has_is_filled() {
    let world = World::new().await;
    let slot = Slot::Sequence(44);
    world
        .store
        .add_filler(world.epoch, slot, None, terms(150), NOON)
        .await
        .unwrap();
    assert_eq!(world.store.slot_facts().await.unwrap().open_sorted, [44]);
    world
        .validated(101, 45, vec![shown(101, noop_tx(filler_memo(slot), 44, 8))])
        .await
        .unwrap();
    assert!(
        world
            .store
            .slot_facts()
            .await
            .unwrap()
            .open_sorted
            .is_empty()
    );
    assert!(!world.frozen().await);
}

#[tokio::test]
async fn a_foreign_transaction_is_reported_once_and_freezes() {
    let world = World::new().await;
    let mine = world.created(new("a")).await;
    let mut tx = payment_tx(&mine, 40, 66, "tesSUCCESS");
    tx.source_tag = None;
    let seen = shown(101, tx);
    let told = world.validated(101, 41, vec![seen.clone()]).await.unwrap();
    assert_eq!(
        (told.foreign, told.effects),
        (vec![hash(66)], vec![Effect::FreezeWallet])
    );
    assert!(world.frozen().await);
    let again = world.validated(102, 41, vec![seen]).await.unwrap();
    assert!(again.foreign.is_empty());
    // It carries the payment's InvoiceID: the payment is neither bound nor ended while that is not explained.
    let bind = Bind {
        key: key("a"),
        slot: Slot::Sequence(41),
        since: LedgerIndex(102),
        terms: terms(120),
    };
    assert_eq!(
        world
            .store
            .bind(world.epoch, vec![bind.clone()], NOON)
            .await,
        Err(StoreError::Frozen)
    );
    // Only a person who knows of it lets sending go on.
    let thaw = |named: &[Hash256]| {
        let named = named.iter().copied().collect();
        world
            .store
            .unfreeze(ops(), "it was the treasury".to_owned(), named, NOON)
    };
    assert_eq!(thaw(&[]).await, Ok(Unfrozen::Unnamed(vec![hash(66)])));
    assert!(world.frozen().await);
    assert_eq!(thaw(&[hash(66)]).await, Ok(Unfrozen::Now));
    assert_eq!(thaw(&[]).await, Ok(Unfrozen::WasNotFrozen));
    let refused = world.store.bind(world.epoch, vec![bind], NOON).await;
    assert_eq!(
        refused,
        Err(StoreError::OnLedger {
            key: key("a"),
            tx_hash: hash(66)
        })
    );
    assert_eq!(world.name("a").await, StateName::Accepted);
}

#[tokio::test]
async fn other_content_on_a_bound_slot_holds_the_payment() {
    let world = World::new().await;
    world.created(new("a")).await;
    world.bound("a", 40, 120).await;
    let told = world
        .validated(
            101,
            41,
            vec![shown(101, noop_tx(noop_memo("shop", "b"), 40, 66))],
        )
        .await
        .unwrap();
    assert_eq!(told.foreign, [hash(66)]);
    assert_eq!(world.name("a").await, StateName::OnHold);
    assert!(world.frozen().await);
    assert!(world.store.open_slots().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_slot_that_is_gone_holds_the_payment_until_its_user_is_shown() {
    let world = World::new().await;
    world.created(new("a")).await;
    let bound = world.bound("a", 40, 120).await;
    world.validated(101, 41, Vec::new()).await.unwrap();
    assert_eq!(world.name("a").await, StateName::OnHold);
    world
        .validated(
            102,
            41,
            vec![shown(101, payment_tx(&bound, 40, 1, "tesSUCCESS"))],
        )
        .await
        .unwrap();
    assert_eq!(world.name("a").await, StateName::Paid);
}

#[tokio::test]
async fn a_payment_whose_binding_was_lost_is_found_by_its_invoice_id() {
    let world = World::new().await;
    let record = world.created(new("a")).await;
    world
        .validated(
            101,
            41,
            vec![shown(101, payment_tx(&record, 40, 1, "tesSUCCESS"))],
        )
        .await
        .unwrap();
    assert_eq!(world.name("a").await, StateName::Paid);
    assert_eq!(
        world.store.slot_facts().await.unwrap().highest_bound,
        Some(40)
    );
}

#[tokio::test]
async fn a_payment_that_only_the_ledger_knows_is_told_from_it_and_never_made_again() {
    let world = World::new().await;
    let other = World::new().await;
    let record = other.created(new("a")).await;
    world
        .validated(
            101,
            41,
            vec![shown(101, payment_tx(&record, 40, 1, "tesSUCCESS"))],
        )
        .await
        .unwrap();
    // Under its id, but for somebody else: nobody says what became of it, and nothing is stored.
    let mut dearer = new("a");
    dearer.intent.destination = wallet().account;
    let accept = world.store.create(dearer).await.unwrap();
    assert_eq!(accept, Accept::OnLedger { tx_hash: hash(1) });
    assert_eq!(world.store.get(&key("a")).await.unwrap(), None);
    let Accept::Created(again) = world.store.create(new("a")).await.unwrap() else {
        panic!("it is not told");
    };
    assert_eq!(again.payment.state.name(), StateName::Paid);
    assert_eq!(again.payment.state.slot(), Some(Slot::Sequence(40)));
    let Accept::Existed(known) = world.store.create(new("a")).await.unwrap() else {
        panic!("it was stored");
    };
    assert_eq!(known.payment, again.payment);
    assert_eq!(world.name("a").await, StateName::Paid);
}

#[tokio::test]
async fn an_older_generation_is_refused_and_a_slot_has_one_owner() {
    let world = World::new().await;
    world.created(new("a")).await;
    world.created(new("b")).await;
    world.bound("a", 40, 120).await;
    let bind = |payment: &str, slot| Bind {
        key: key(payment),
        slot: Slot::Sequence(slot),
        since: LedgerIndex(100),
        terms: terms(120),
    };
    let taken = world
        .store
        .bind(world.epoch, vec![bind("b", 40)], NOON)
        .await;
    assert_eq!(taken, Err(StoreError::SlotTaken(Slot::Sequence(40))));
    // All or none: the first of these is free.
    world.created(new("c")).await;
    let both = world
        .store
        .bind(world.epoch, vec![bind("b", 41), bind("c", 40)], NOON)
        .await;
    assert!(both.is_err());
    assert_eq!(world.name("b").await, StateName::Accepted);

    let newer = world.store.begin_epoch().await.unwrap();
    world.store.pass_continuity(newer, NOON).await.unwrap();
    let fenced = Err(StoreError::Fenced {
        store: newer,
        caller: world.epoch,
    });
    assert_eq!(
        world
            .store
            .bind(world.epoch, vec![bind("b", 41)], NOON)
            .await,
        fenced
    );
    let event = Event::Signed {
        number: 0,
        signed: signed(1),
    };
    let late = world
        .store
        .advance(world.epoch, key("a"), event, Vec::new(), NOON)
        .await;
    assert_eq!(
        late.map(drop),
        Err(StoreError::Fenced {
            store: newer,
            caller: world.epoch
        })
    );
    assert_eq!(
        world
            .store
            .bind(newer, vec![bind("b", 41)], NOON)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn in_quarantine_nothing_is_bound_and_nothing_ends_unpaid() {
    let world = World::new().await;
    world
        .created(NewPayment {
            deadline: Some(LedgerIndex(101)),
            ..new("a")
        })
        .await;
    let quarantine = Quarantine {
        why: Doubt::LongAbsence,
        until: LedgerIndex(120),
    };
    world
        .store
        .set_quarantine(world.epoch, Some(quarantine), NOON)
        .await
        .unwrap();
    assert_eq!(
        world.store.cursor().await.unwrap().quarantine,
        Some(quarantine)
    );
    let bind = Bind {
        key: key("a"),
        slot: Slot::Sequence(40),
        since: LedgerIndex(100),
        terms: terms(101),
    };
    assert_eq!(
        world.store.bind(world.epoch, vec![bind], NOON).await,
        Err(StoreError::Quarantined)
    );
    world.validated(102, 40, Vec::new()).await.unwrap();
    assert_eq!(world.name("a").await, StateName::Accepted);
    world
        .store
        .set_quarantine(world.epoch, None, NOON)
        .await
        .unwrap();
    world.validated(103, 40, Vec::new()).await.unwrap();
    assert_eq!(world.name("a").await, StateName::Expired);
}

#[tokio::test]
async fn a_ledger_that_contradicts_the_cursor_is_refused() {
    let world = World::new().await;
    world.validated(110, 40, Vec::new()).await.unwrap();
    assert!(matches!(
        world.validated(109, 40, Vec::new()).await,
        Err(StoreError::BadLedger(_))
    ));
    let mut other = world.story(110, 40, Vec::new());
    other.sequence = 41;
    assert!(matches!(
        world.store.reconcile(world.epoch, other).await,
        Err(StoreError::BadLedger(_))
    ));
}
