//! Books, fees of the hour, announced transactions, and slots that went to something else.

use std::collections::BTreeSet;

use paygate_payments::LedgerIndex;
use paygate_payments::books::Difference;
use paygate_payments::payment::{EndProof, HoldCause, State, StateName};
use paygate_payments::proof::{FinalResult, LedgerBody, LedgerTx, Presence};
use paygate_payments::step::Event;
use paygate_payments::terms::Terms;
use xrpl_tx::{Drops, Slot};

use super::world::{
    NOON, World, XRP, drops, hash, key, ledger, new, ops, payment_tx, shown, signed, terms, wallet,
};
use crate::clock::Millis;
use crate::store::{
    Announced, Announcement, Bind, Guards, Moved, OwnMove, Reconciled, StoreError, Unfrozen,
};

const HOUR_MS: i64 = 3_600_000;

/// A transaction of the wallet that nobody here made.
fn outside(slot: u32, byte: u8, body: LedgerBody) -> LedgerTx {
    LedgerTx {
        hash: hash(byte),
        account: wallet().account,
        slot: Slot::Sequence(slot),
        result: FinalResult::Success,
        fee: drops(12),
        source_tag: None,
        memos: Vec::new(),
        body,
    }
}

fn moved(byte: u8, index: u32, before: u64, after: u64, own: Option<(u64, u64)>) -> Moved {
    Moved {
        tx: hash(byte),
        ledger: LedgerIndex(index),
        before: drops(before),
        after: drops(after),
        own: own.map(|(delivered, fee)| OwnMove {
            delivered: drops(delivered),
            fee: drops(fee),
        }),
    }
}

impl World {
    /// A ledger with this balance, and what moved it.
    async fn booked(
        &self,
        index: u32,
        sequence: u32,
        settled: Vec<Presence>,
        balance: u64,
        moved: Vec<Moved>,
    ) -> Reconciled {
        let mut story = self.story(index, sequence, settled);
        story.balance = drops(balance);
        story.guards = Guards {
            moved,
            fee_max: drops(2_000),
        };
        self.store.reconcile(self.epoch, story).await.unwrap()
    }

    async fn unfrozen(&self, known: &[u8]) -> Unfrozen {
        let known: BTreeSet<_> = known.iter().map(|byte| hash(*byte)).collect();
        self.store
            .unfreeze(ops(), "looked at".to_owned(), known, NOON)
            .await
            .unwrap()
    }

    async fn announced(&self, byte: u8, last: u32) -> Announced {
        let announcement = Announcement {
            tx_hash: hash(byte),
            last_ledger: LedgerIndex(last),
            reason: "keys are changed".to_owned(),
            client: "ops".to_owned(),
        };
        self.store
            .announce(ops(), announcement, NOON)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn the_books_explain_payments_fees_and_inflows_and_nothing_freezes() {
    let world = World::new().await;
    world
        .store
        .open_books(ledger(100), drops(500 * XRP))
        .await
        .unwrap();
    world.created(new("a")).await;
    let bound = world.bound("a", 40, 120).await;
    let paid = shown(101, payment_tx(&bound, 40, 1, "tesSUCCESS"));
    let after = 475 * XRP - 10;
    let told = world
        .booked(
            101,
            41,
            vec![paid.clone()],
            after + 7 * XRP,
            vec![
                moved(1, 101, 500 * XRP, after, Some((25 * XRP, 10))),
                moved(2, 101, after, after + 7 * XRP, None),
            ],
        )
        .await;
    assert_eq!(told.differences, []);
    assert!(!world.frozen().await);
    let book = world.store.summary(NOON).await.unwrap().book.unwrap();
    assert_eq!(
        (book.paid, book.fees, book.inflows),
        (drops(25 * XRP), drops(10), drops(7 * XRP))
    );
    assert!(book.adds_up());
    // The same ledger again books nothing twice.
    let mut again = world.story(101, 41, vec![paid]);
    again.balance = drops(after + 7 * XRP);
    again.guards.moved = vec![moved(2, 101, after, after + 7 * XRP, None)];
    world.store.reconcile(world.epoch, again).await.unwrap();
    let unchanged = world.store.summary(NOON).await.unwrap().book.unwrap();
    assert_eq!(unchanged, book);
}

#[tokio::test]
async fn a_decrease_that_nothing_explains_freezes_in_its_own_ledger_and_says_so() {
    let rows: [(Vec<Moved>, u64, &str); 3] = [
        (
            vec![moved(9, 101, 500 * XRP, 499 * XRP, None)],
            499 * XRP,
            "somebody else took 1 XRP",
        ),
        (Vec::new(), 493 * XRP, "ledger 101 holds a balance of 493"),
        (
            vec![moved(9, 101, 498 * XRP, 500 * XRP, None)],
            500 * XRP,
            "the books have 500",
        ),
    ];
    for (moved, balance, words) in rows {
        let world = World::new().await;
        world
            .store
            .open_books(ledger(100), drops(500 * XRP))
            .await
            .unwrap();
        let told = world.booked(101, 40, Vec::new(), balance, moved).await;
        assert_eq!(told.differences.len(), 1, "{words}");
        let why = world.store.cursor().await.unwrap().frozen.unwrap().why;
        assert!(
            why.starts_with("the books do not balance: ") && why.contains(words),
            "{why}"
        );
        // Once a person knows, the books go on from what the ledger says.
        assert_eq!(world.unfrozen(&[]).await, Unfrozen::Now);
        let told = world.booked(102, 40, Vec::new(), balance, Vec::new()).await;
        assert_eq!(told.differences, []);
        assert!(!world.frozen().await);
    }
}

#[tokio::test]
async fn a_payment_that_took_more_than_it_delivered_freezes() {
    let world = World::new().await;
    world
        .store
        .open_books(ledger(100), drops(500 * XRP))
        .await
        .unwrap();
    world.created(new("a")).await;
    let bound = world.bound("a", 40, 120).await;
    let paid = shown(101, payment_tx(&bound, 40, 1, "tesSUCCESS"));
    let less = 474 * XRP;
    let entry = moved(1, 101, 500 * XRP, less, Some((25 * XRP, 10)));
    let told = world.booked(101, 41, vec![paid], less, vec![entry]).await;
    assert!(matches!(told.differences[..], [Difference::OurOwn { .. }]));
    assert_eq!(world.name("a").await, StateName::Paid);
    assert!(world.frozen().await);
}

#[tokio::test]
async fn past_the_fees_of_the_hour_nothing_is_bound_and_no_version_is_made() {
    let world = World::new().await;
    world.store.limit_fees(drops(25));
    for name in ["a", "b", "c"] {
        world.created(new(name)).await;
    }
    world.bound("a", 40, 120).await;
    world.bound("b", 41, 120).await;
    let bind = |at| {
        let bind = Bind {
            key: key("c"),
            slot: Slot::Sequence(42),
            since: LedgerIndex(100),
            terms: terms(120),
        };
        world.store.bind(world.epoch, vec![bind], at)
    };
    let refused = bind(NOON).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::FeeBudget(over) if over.to_string().starts_with("FEE_BUDGET")),
        "{refused}"
    );
    // A higher bid adds what is more; past the budget none is made, and the payment stays what it is.
    let raise = |fee, at| {
        let event = Event::FeeRaised(Terms {
            fee: drops(fee),
            last_ledger: LedgerIndex(120),
        });
        world
            .store
            .advance(world.epoch, key("a"), event, Vec::new(), at)
    };
    raise(15, NOON).await.unwrap();
    assert_eq!(world.store.fee_budget(NOON).await.unwrap().used, drops(25));
    assert!(matches!(
        raise(19, NOON).await,
        Err(StoreError::FeeBudget(_))
    ));
    // Proven dead, it gets no next version as long as there is no room for a dearer one.
    world.validated(120, 40, Vec::new()).await.unwrap();
    let State::AtLarge(at_large) = world.state("a").await else {
        panic!("it ended")
    };
    assert_eq!(
        at_large.versions.as_slice().len(),
        3,
        "the same fee is no more"
    );

    // A clock that goes back gains nothing; an hour later there is room.
    let earlier = Millis(NOON.0 - 5 * HOUR_MS);
    assert!(matches!(bind(earlier).await, Err(StoreError::FeeBudget(_))));
    let almost = Millis(NOON.0 + HOUR_MS - 60_000);
    assert!(matches!(bind(almost).await, Err(StoreError::FeeBudget(_))));
    let later = Millis(NOON.0 + HOUR_MS + 2 * 60_000);
    bind(later).await.unwrap();
    assert_eq!(world.store.fee_budget(later).await.unwrap().used, drops(10));
}

#[tokio::test]
async fn a_higher_bid_is_equal_in_content_and_never_comes_after_a_cancel() {
    let world = World::new().await;
    world.created(new("a")).await;
    world.bound("a", 40, 120).await;
    let raise = |fee, last| {
        let event = Event::FeeRaised(Terms {
            fee: drops(fee),
            last_ledger: LedgerIndex(last),
        });
        world
            .store
            .advance(world.epoch, key("a"), event, Vec::new(), NOON)
    };
    raise(13, 118).await.unwrap();
    assert!(matches!(raise(13, 118).await, Err(StoreError::Illegal(_))));
    world
        .store
        .cancel(key("a"), String::new(), NOON)
        .await
        .unwrap();
    assert!(matches!(raise(20, 118).await, Err(StoreError::Illegal(_))));
    let State::AtLarge(at_large) = world.state("a").await else {
        panic!("it ended")
    };
    let fees: Vec<_> = at_large.versions.as_slice().iter().map(|v| v.fee).collect();
    assert_eq!(fees, [drops(10), drops(13)]);
    assert_eq!(at_large.binding.slot, Slot::Sequence(40));
}

#[tokio::test]
async fn the_lowest_slot_bids_more_after_a_whole_window_and_the_others_do_not() {
    let world = World::new().await;
    for (name, slot) in [("a", 40), ("b", 41)] {
        world.created(new(name)).await;
        world.bound(name, slot, 120).await;
        let event = Event::Signed {
            number: 0,
            signed: signed(u8::try_from(slot).unwrap()),
        };
        world
            .store
            .advance(world.epoch, key(name), event, Vec::new(), NOON)
            .await
            .unwrap();
    }
    world
        .booked(120, 40, Vec::new(), 500 * XRP, Vec::new())
        .await;
    for (name, fee) in [("a", 13), ("b", 10)] {
        let State::AtLarge(at_large) = world.state(name).await else {
            panic!("{name} ended")
        };
        assert_eq!(at_large.versions.latest().1.fee, drops(fee), "{name}");
    }
}

#[tokio::test]
async fn an_announced_transaction_comes_without_a_freeze_and_nothing_is_bound_meanwhile() {
    let world = World::new().await;
    world.created(new("a")).await;
    world.bound("a", 40, 120).await;
    assert_eq!(world.announced(9, 150).await, Announced::AtLarge(1));
    let record = world.store.get(&key("a")).await.unwrap().unwrap();
    let paid = shown(101, payment_tx(&record, 40, 1, "tesSUCCESS"));
    world.validated(101, 41, vec![paid]).await.unwrap();

    let range = Announced::OutOfRange {
        first: LedgerIndex(102),
        last: LedgerIndex(1101),
    };
    assert_eq!(world.announced(9, 101).await, range);
    assert_eq!(world.announced(9, 1102).await, range);
    assert_eq!(world.announced(9, 110).await, Announced::Now);
    assert_eq!(world.announced(9, 110).await, Announced::Now);
    assert_eq!(
        world.announced(9, 111).await,
        Announced::OtherLastLedger(LedgerIndex(110))
    );

    world.created(new("b")).await;
    let bind = |slot| {
        let bind = Bind {
            key: key("b"),
            slot: Slot::Sequence(slot),
            since: LedgerIndex(101),
            terms: terms(125),
        };
        world.store.bind(world.epoch, vec![bind], NOON)
    };
    assert_eq!(
        bind(41).await.unwrap_err(),
        StoreError::Awaited(hash(9)),
        "what is announced has the slot"
    );
    let came = shown(103, outside(41, 9, LedgerBody::Other));
    let told = world.validated(103, 42, vec![came]).await.unwrap();
    assert_eq!(told.foreign, []);
    assert!(!world.frozen().await);
    assert_eq!(world.store.awaited().await.unwrap(), []);
    bind(42).await.unwrap();

    // The next one was not announced.
    let other = shown(104, outside(43, 8, LedgerBody::Other));
    let told = world.validated(104, 42, vec![other]).await.unwrap();
    assert_eq!(told.foreign, [hash(8)]);
    assert!(world.frozen().await);
}

#[tokio::test]
async fn an_announcement_is_over_with_its_last_ledger() {
    let world = World::new().await;
    assert_eq!(world.announced(9, 105).await, Announced::Now);
    world.validated(105, 40, Vec::new()).await.unwrap();
    assert_eq!(world.store.awaited().await.unwrap(), []);
    world.created(new("a")).await;
    world.bound("a", 40, 130).await;
    let late = shown(106, outside(41, 9, LedgerBody::Other));
    let told = world.validated(106, 40, vec![late]).await.unwrap();
    assert_eq!(told.foreign, [hash(9)], "too late is not announced");
    assert!(world.frozen().await);
}

#[tokio::test]
async fn a_payment_whose_slot_was_taken_ends_once_a_person_knows_by_what() {
    let world = World::new().await;
    world.created(new("a")).await;
    world.bound("a", 40, 120).await;
    let thief = shown(101, outside(40, 9, LedgerBody::Other));
    world.validated(101, 41, vec![thief]).await.unwrap();
    assert_eq!(world.name("a").await, StateName::OnHold);
    // Ledgers pass, and nothing ends while it is frozen.
    world.validated(150, 41, Vec::new()).await.unwrap();
    assert_eq!(world.name("a").await, StateName::OnHold);
    assert_eq!(world.unfrozen(&[]).await, Unfrozen::Unnamed(vec![hash(9)]));
    assert_eq!(world.unfrozen(&[9]).await, Unfrozen::Now);
    assert_eq!(world.name("a").await, StateName::OnHold, "evidence ends it");
    let told = world.validated(151, 41, Vec::new()).await.unwrap();
    assert_eq!(told.changed, [(key("a"), StateName::Failed)]);
    let State::Displaced(ended) = world.state("a").await else {
        panic!("not displaced")
    };
    assert_eq!(
        ended.proof,
        EndProof::Displaced {
            ledger: ledger(101),
            by: hash(9),
            searched_from: LedgerIndex(101),
            searched_to: LedgerIndex(150),
        }
    );
    // A successor may be paid now.
    let mut again = new("a2");
    again.intent.retry_of = Some(key("a").payment);
    world.created(again).await;
}

#[tokio::test]
async fn a_payment_whose_invoice_was_seen_elsewhere_stays_on_hold() {
    let world = World::new().await;
    let record = world.created(new("a")).await;
    world.bound("a", 40, 120).await;
    // Rows were lost: another slot carries its InvoiceID, and a third transaction has its slot.
    let twin = shown(101, payment_tx(&record, 41, 8, "tesSUCCESS"));
    let thief = shown(101, outside(40, 9, LedgerBody::Other));
    world.validated(101, 42, vec![thief, twin]).await.unwrap();
    assert_eq!(world.unfrozen(&[8, 9]).await, Unfrozen::Now);
    world.validated(102, 42, Vec::new()).await.unwrap();
    assert_eq!(world.name("a").await, StateName::OnHold);
}

#[tokio::test]
async fn a_displaced_payment_that_a_lost_row_may_have_paid_stays_on_hold() {
    let world = World::new().await;
    world.created(new("a")).await;
    let record = world.bound("a", 40, 120).await;
    // Another slot of a row that was lost paid it: the signer's journal reaches so far, so that one is kept as ours.
    let twin = shown(101, payment_tx(&record, 41, 8, "tesSUCCESS"));
    let thief = shown(101, outside(40, 9, LedgerBody::Other));
    let story = crate::store::Reconciliation {
        signer_highest: Some(41),
        ..world.story(101, 42, vec![thief, twin])
    };
    let told = world.store.reconcile(world.epoch, story).await.unwrap();
    assert_eq!(
        (told.imported, told.foreign),
        (vec![hash(8)], vec![hash(9)])
    );
    assert_eq!(world.unfrozen(&[9]).await, Unfrozen::Now);
    let over = world.store.set_quarantine(world.epoch, None, NOON);
    over.await.unwrap();
    world.validated(122, 42, Vec::new()).await.unwrap();
    assert_eq!(world.name("a").await, StateName::OnHold);
}

#[tokio::test]
async fn a_jump_over_bound_slots_is_told_by_the_ticket_create_and_ends_them_once_it_is_known() {
    let world = World::new().await;
    for (name, slot) in [("a", 40), ("b", 41), ("c", 43)] {
        world.created(new(name)).await;
        world.bound(name, slot, 120).await;
    }
    let created = vec![41, 42];
    let jump = shown(101, outside(40, 9, LedgerBody::TicketCreate { created }));
    world.validated(101, 43, vec![jump]).await.unwrap();
    let State::OnHold(held) = world.state("b").await else {
        panic!("not on hold")
    };
    assert_eq!(held.why, HoldCause::JumpedOver { by: hash(9) });
    assert_eq!(world.name("a").await, StateName::OnHold);
    assert_eq!(world.name("c").await, StateName::AtLarge);
    assert_eq!(world.unfrozen(&[9]).await, Unfrozen::Now);
    world.validated(102, 43, Vec::new()).await.unwrap();
    for name in ["a", "b"] {
        assert_eq!(world.name(name).await, StateName::Failed, "{name}");
    }
    assert_eq!(world.name("c").await, StateName::AtLarge);
}

#[tokio::test]
async fn books_of_a_store_from_before_begin_with_the_balance_that_it_knew() {
    let world = World::new().await;
    world
        .booked(101, 40, Vec::new(), 77 * XRP, Vec::new())
        .await;
    let book = world.store.summary(NOON).await.unwrap().book.unwrap();
    assert_eq!(
        (book.opened, book.opening),
        (LedgerIndex(101), drops(77 * XRP))
    );
    assert_eq!(book.lost, Drops::ZERO);
}
