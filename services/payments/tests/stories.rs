//! A payment's ways through its states, each as a line or a short story.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use paygate_payments::LedgerIndex;
use paygate_payments::payment::{
    CancelCause, EndProof, Ended, HoldCause, OnHold, Seal, State, StateName,
};
use paygate_payments::proof::{LedgerBody, LedgerTx};
use paygate_payments::step::{Effect, Event};
use xrpl_tx::{Amount, Drops, Hash256, Slot};

macro_rules! check {
    ($($name:ident: $payment:expr, $event:expr => $state:ident;)+) => {
        $(#[test] fn $name() { assert_eq!(state(&apply(&$payment, $event)), Some(StateName::$state)); })+
    };
}

macro_rules! refused {
    ($($name:ident: $payment:expr, $event:expr;)+) => {
        $(#[test] fn $name() { assert!(apply(&$payment, $event).is_err()); })+
    };
}

check! {
    delivered_in_a_validated_ledger_is_paid: at_large(None), confirmed(101, own_tx("tesSUCCESS", Some(AMOUNT))) => Paid;
    tec_in_a_validated_ledger_is_failed: at_large(None), confirmed(101, own_tx("tecNO_DST_INSUF_XRP", None)) => Failed;
    success_that_delivered_less_is_held: at_large(None), confirmed(101, own_tx("tesSUCCESS", Some(Drops::from_const(1)))) => OnHold;
    success_without_delivered_amount_is_held: at_large(None), confirmed(101, own_tx("tesSUCCESS", None)) => OnHold;
    foreign_content_on_the_slot_is_held: at_large(None), confirmed(101, other_amount()) => OnHold;
    other_memos_are_other_content: at_large(None), confirmed(101, LedgerTx { memos: vec![], ..own_tx("tesSUCCESS", Some(AMOUNT)) }) => OnHold;
    other_source_tag_is_other_content: at_large(None), confirmed(101, LedgerTx { source_tag: None, ..own_tx("tesSUCCESS", Some(AMOUNT)) }) => OnHold;
    other_hash_with_equal_content_is_paid: at_large(None), confirmed(101, LedgerTx { hash: Hash256::from_bytes([77; 32]), ..own_tx("tesSUCCESS", Some(AMOUNT)) }) => Paid;
    our_noop_on_the_slot_is_cancelled: at_large(None), confirmed(101, noop_tx(xrpl_tx::noop_memo("payroll", "may-17"))) => Cancelled;
    another_payments_noop_is_held: at_large(None), confirmed(101, noop_tx(xrpl_tx::noop_memo("payroll", "may-18"))) => OnHold;
    slot_jumped_over_is_held: at_large(None), Event::SlotGone(sequence(101, 8)) => OnHold;
    last_ledger_not_reached_changes_nothing: at_large(None), slot_open(119, Some(terms(10, 140))) => AtLarge;
    dead_without_deadline_gets_a_next_version: at_large(None), slot_open(120, Some(terms(10, 140))) => AtLarge;
    dead_at_its_deadline_is_expired: at_large(Some(120)), slot_open(120, Some(terms(10, 140))) => Expired;
    dead_with_deadline_left_gets_a_next_version: at_large(Some(125)), slot_open(120, Some(terms(10, 140))) => AtLarge;
    ledgers_passing_prove_nothing_of_a_bound_payment: at_large(Some(120)), Event::LedgerValidated(LedgerIndex(9_999)) => AtLarge;
    unbound_at_its_deadline_is_expired: accepted(Some(120)), Event::LedgerValidated(LedgerIndex(120)) => Expired;
    unbound_before_its_deadline_waits: accepted(Some(120)), Event::LedgerValidated(LedgerIndex(119)) => Accepted;
    unbound_without_deadline_waits: accepted(None), Event::LedgerValidated(LedgerIndex(u32::MAX)) => Accepted;
    cancel_before_binding_is_at_once: accepted(None), cancel() => Cancelled;
    cancel_after_binding_waits_for_the_ledger: at_large(None), cancel() => AtLarge;
    found_on_the_ledger_though_never_bound_is_paid: accepted(None), confirmed(101, own_tx("tesSUCCESS", Some(AMOUNT))) => Paid;
    sealed_before_any_signature_is_rejected: unsigned(), Event::Sealed(seal()) => Rejected;
    held_payment_is_paid_by_evidence: held(), confirmed(101, own_tx("tesSUCCESS", Some(AMOUNT))) => Paid;
}

refused! {
    sealed_after_a_signature_is_impossible: at_large(None), Event::Sealed(seal());
    transaction_on_another_slot_says_nothing: at_large(None), confirmed(101, LedgerTx { slot: Slot::Sequence(8), ..own_tx("tesSUCCESS", Some(AMOUNT)) });
    proof_that_the_slot_is_gone_is_not_absence: at_large(None), Event::SlotOpen { proof: sequence(120, 8), next: None };
    open_slot_is_not_gone: at_large(None), Event::SlotGone(sequence(120, 7));
    second_binding_is_impossible: at_large(None), bound_event(140);
    version_past_the_deadline_is_not_bound: accepted(Some(110)), bound_event(120);
    noop_without_cancel_is_not_made: at_large(None), Event::NoOpAdded(terms(10, 140));
    other_signature_for_a_signed_version_is_refused: at_large(None), Event::Signed { number: 0, signed: signed(2) };
    signature_for_no_version_is_refused: at_large(None), Event::Signed { number: 5, signed: signed(2) };
    found_with_our_invoice_but_other_amount_is_no_payment: accepted(None), confirmed(101, other_amount());
}

fn other_amount() -> LedgerTx {
    let mut tx = own_tx("tesSUCCESS", Some(AMOUNT));
    if let LedgerBody::Payment { amount, .. } = &mut tx.body {
        *amount = Amount::Xrp(Drops::from_const(1));
    }
    tx
}

fn cancel() -> Event {
    Event::CancelAsked {
        cause: CancelCause::Requested,
        validated: LedgerIndex(100),
    }
}

fn seal() -> Seal {
    Seal {
        height: 3,
        hash: Hash256::from_bytes([3; 32]),
        reason: "destination denied".to_owned(),
    }
}

fn unsigned() -> paygate_payments::payment::Payment {
    apply(&accepted(None), bound_event(120)).unwrap().next
}

fn held() -> paygate_payments::payment::Payment {
    apply(&at_large(None), Event::SlotGone(sequence(101, 8)))
        .unwrap()
        .next
}

#[test]
fn the_next_version_keeps_slot_and_digest_and_ends_at_the_deadline() {
    let before = at_large(Some(125));
    let after = apply(&before, slot_open(120, Some(terms(12, 140)))).unwrap();
    assert_eq!(after.effects, [Effect::AskSigner]);
    let (State::AtLarge(old), State::AtLarge(new)) = (&before.state, &after.next.state) else {
        panic!()
    };
    assert_eq!(old.binding, new.binding);
    assert_eq!(newest(&after.next).last_ledger, LedgerIndex(125));
    assert_eq!(
        versions(&after.next).highest_last_ledger(),
        LedgerIndex(125)
    );
}

#[test]
fn absence_needs_the_highest_last_ledger_of_all_versions_signed_or_not() {
    let second = apply(&at_large(None), slot_open(120, Some(terms(12, 140))))
        .unwrap()
        .next;
    assert!(newest(&second).signed.is_none());
    let too_early = apply(&second, slot_open(139, Some(terms(12, 160)))).unwrap();
    assert!(too_early.facts.is_empty());
    let third = apply(&second, slot_open(140, Some(terms(12, 160))))
        .unwrap()
        .next;
    assert_eq!(versions(&third).as_slice().len(), 3);
}

#[test]
fn after_a_cancel_only_noops_are_made_and_the_payment_may_still_win() {
    let cancelled = apply(&at_large(None), cancel()).unwrap().next;
    let with_noop = apply(&cancelled, Event::NoOpAdded(terms(10, 125)))
        .unwrap()
        .next;
    assert!(is_noop(&newest(&with_noop)));
    let later = apply(&with_noop, slot_open(125, Some(terms(10, 145))))
        .unwrap()
        .next;
    assert!(is_noop(&newest(&later)));
    let paid = apply(&later, confirmed(126, own_tx("tesSUCCESS", Some(AMOUNT))));
    assert_eq!(state(&paid), Some(StateName::Paid));
    let filled = apply(
        &later,
        confirmed(126, noop_tx(xrpl_tx::noop_memo("payroll", "may-17"))),
    )
    .unwrap();
    let State::Cancelled(
        Ended {
            slot: Some(SLOT),
            proof: EndProof::Filled { .. },
        },
        CancelCause::Requested,
    ) = filled.next.state
    else {
        panic!()
    };
}

#[test]
fn who_cancelled_it_is_told_by_what_was_committed_first() {
    let event = |cause| Event::CancelAsked {
        cause,
        validated: LedgerIndex(100),
    };
    let given_up = apply(&at_large(None), event(CancelCause::SignerDenied))
        .unwrap()
        .next;
    let asked_later = apply(&given_up, cancel()).unwrap();
    assert!(
        asked_later.facts.is_empty(),
        "it is to be cancelled already"
    );
    let noop = || confirmed(126, noop_tx(xrpl_tx::noop_memo("payroll", "may-17")));
    let cause = |payment: &_| match apply(payment, noop()).unwrap().next.state {
        State::Cancelled(_, cause) => cause,
        other => panic!("{}", other.name().as_str()),
    };
    assert_eq!(cause(&given_up), CancelCause::SignerDenied);
    let never_asked = at_large(None);
    assert_eq!(
        cause(&never_asked),
        CancelCause::Forgotten,
        "nobody knows who asked for the no-op"
    );
    // Evidence that does not decide does not make the cancel forgotten.
    let held = apply(&given_up, Event::SlotGone(sequence(126, 8)))
        .unwrap()
        .next;
    assert_eq!(cause(&held), CancelCause::SignerDenied);
    assert!(
        apply(&held, cancel()).is_err(),
        "its slot is used: no no-op can compete for it"
    );
}

#[test]
fn a_cancel_in_quarantine_waits_and_the_payment_is_bound_no_more() {
    let stored = apply_quarantined(&accepted(None), cancel()).unwrap().next;
    assert_eq!(
        (stored.state.name(), stored.cancel),
        (StateName::Accepted, Some(CancelCause::Requested))
    );
    let again = apply_quarantined(&stored, cancel()).unwrap();
    assert!(again.facts.is_empty());
    assert!(apply(&stored, bound_event(120)).is_err());
    let found = apply_quarantined(&stored, confirmed(101, own_tx("tesSUCCESS", Some(AMOUNT))));
    assert_eq!(
        state(&found),
        Some(StateName::Paid),
        "the ledger knows more"
    );
    assert_eq!(
        state(&apply(&stored, cancel())),
        Some(StateName::Cancelled),
        "the quarantine is over"
    );
}

#[test]
fn a_noop_outbids_what_may_be_queued_up_to_the_cap() {
    let outbid = |asked, queued, cap| {
        let drops = |n| Drops::new(n).unwrap();
        terms(asked, 120)
            .outbidding(drops(queued), drops(cap))
            .fee
            .get()
    };
    // Recorded from a real server: 12 does not replace 10, 13 does.
    assert_eq!(outbid(10, 10, 2_000), 13);
    assert_eq!(outbid(10, 11, 2_000), 14);
    assert_eq!(outbid(500, 10, 2_000), 500);
    assert_eq!(outbid(10, 1_900, 2_000), 2_000);
    assert_eq!(outbid(10, Drops::MAX.get(), 2_000), 2_000);
}

#[test]
fn an_ended_payments_slot_is_filled() {
    let expired = apply(&at_large(Some(120)), slot_open(120, None)).unwrap();
    assert_eq!(expired.effects, [Effect::FillSlot(SLOT)]);
    let rejected = apply(&unsigned(), Event::Sealed(seal())).unwrap();
    assert_eq!(rejected.effects, [Effect::FillSlot(SLOT)]);
}

#[test]
fn what_nobody_knows_freezes_the_wallet() {
    for event in [
        Event::SlotGone(sequence(101, 8)),
        confirmed(101, other_amount()),
    ] {
        assert_eq!(
            apply(&at_large(None), event).unwrap().effects,
            [Effect::FreezeWallet]
        );
    }
    let State::OnHold(OnHold {
        why: HoldCause::ConsumerUnknown,
        ..
    }) = held().state
    else {
        panic!()
    };
}

#[test]
fn in_quarantine_nothing_is_bound_and_nothing_ends_unpaid() {
    assert!(apply_quarantined(&accepted(None), bound_event(120)).is_err());
    assert!(apply_quarantined(&unsigned(), Event::Sealed(seal())).is_err());
    let waiting = apply_quarantined(
        &accepted(Some(120)),
        Event::LedgerValidated(LedgerIndex(500)),
    );
    assert_eq!(state(&waiting), Some(StateName::Accepted));
    let at_large_still =
        apply_quarantined(&at_large(Some(120)), slot_open(500, Some(terms(10, 520))));
    assert_eq!(state(&at_large_still), Some(StateName::AtLarge));
    let paid = apply_quarantined(
        &at_large(None),
        confirmed(101, own_tx("tesSUCCESS", Some(AMOUNT))),
    );
    assert_eq!(state(&paid), Some(StateName::Paid));
}

#[test]
fn the_same_news_again_changes_nothing() {
    let paid = apply(
        &at_large(None),
        confirmed(101, own_tx("tesSUCCESS", Some(AMOUNT))),
    )
    .unwrap()
    .next;
    let again = apply(&paid, confirmed(101, own_tx("tesSUCCESS", Some(AMOUNT)))).unwrap();
    assert!(again.facts.is_empty() && again.effects.is_empty());
    let signed_again = apply(
        &at_large(None),
        Event::Signed {
            number: 0,
            signed: signed(1),
        },
    )
    .unwrap();
    assert!(signed_again.facts.is_empty());
}
