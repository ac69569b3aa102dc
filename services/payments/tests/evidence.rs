//! No way leads from an engine result, a timeout, a count or a clock to a final state of a bound payment: every event in every state.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use paygate_payments::LedgerIndex;
use paygate_payments::codes::{Advice, Code, guide};
use paygate_payments::displaced::{Displaced, History, StaysOnHold};
use paygate_payments::payment::{
    CancelCause, EndProof, HoldCause, Payment, Seal, State, StateName,
};
use paygate_payments::proof::{LedgerBody, LedgerTx};
use paygate_payments::step::Event;
use xrpl_tx::{Hash256, Slot};

/// What an event brings with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Brings {
    /// Readings of validated ledgers, which only `proof::Quorum` turns into evidence.
    Ledger,
    /// A seal in the signer's journal.
    Seal,
    /// The wish of a person, or what we chose or were told. No evidence.
    Nothing,
}

/// Exhaustive: whoever adds an event has to say here what it brings.
fn brings(event: &Event) -> Brings {
    match event {
        Event::Confirmed(_)
        | Event::SlotOpen { .. }
        | Event::SlotGone(_)
        | Event::SlotJumped(_)
        | Event::Displaced(_) => Brings::Ledger,
        Event::Sealed(_) => Brings::Seal,
        Event::Approved
        | Event::Refused(_)
        | Event::ApprovalWindowOver(_)
        | Event::Bound { .. }
        | Event::Signed { .. }
        | Event::CancelAsked { .. }
        | Event::NoOpAdded(_)
        | Event::FeeRaised(_)
        | Event::LedgerValidated(_)
        | Event::CannotReceive(_) => Brings::Nothing,
    }
}

fn seal() -> Event {
    Event::Sealed(Seal {
        height: 1,
        hash: Hash256::from_bytes([1; 32]),
        reason: "never".to_owned(),
    })
}

fn cancel(cause: CancelCause) -> Event {
    Event::CancelAsked {
        cause,
        validated: LedgerIndex(200),
    }
}

fn thief() -> LedgerTx {
    LedgerTx {
        hash: signed(8).hash,
        body: LedgerBody::Other,
        ..own_tx("tesSUCCESS", None)
    }
}

fn jump() -> LedgerTx {
    LedgerTx {
        slot: Slot::Sequence(6),
        body: LedgerBody::TicketCreate {
            created: vec![7, 8],
        },
        ..thief()
    }
}

fn known(payment: &Payment) -> Result<Displaced, StaysOnHold> {
    Displaced::of(
        payment,
        History {
            from: LedgerIndex(101),
            to: LedgerIndex(300),
            invoice_seen: false,
            acknowledged: Some(thief().hash),
        },
    )
}

fn on_hold(deadline: Option<u32>) -> Payment {
    apply(&at_large(deadline), confirmed(110, thief()))
        .unwrap()
        .next
}

/// One of each, at moments when every ledger, deadline and version is long past.
fn events() -> Vec<Event> {
    let displaced = known(&on_hold(None)).unwrap();
    vec![
        Event::Approved,
        Event::Refused(LedgerIndex(200)),
        Event::ApprovalWindowOver(LedgerIndex(200)),
        bound_event(250),
        Event::Signed {
            number: 0,
            signed: signed(1),
        },
        Event::Signed {
            number: 0,
            signed: signed(2),
        },
        seal(),
        cancel(CancelCause::Requested),
        cancel(CancelCause::SignerDenied),
        cancel(CancelCause::Forgotten),
        cancel(CancelCause::DestinationCannotReceive),
        Event::NoOpAdded(terms(20, 250)),
        Event::FeeRaised(terms(20, 120)),
        Event::LedgerValidated(LedgerIndex(u32::MAX)),
        cannot_receive(200),
        confirmed(200, own_tx("tesSUCCESS", Some(AMOUNT))),
        confirmed(200, own_tx("tecNO_DST", None)),
        confirmed(200, noop_tx(xrpl_tx::noop_memo("payroll", "may-17"))),
        confirmed(200, thief()),
        slot_open(200, None),
        slot_open(200, Some(terms(10, 220))),
        Event::SlotGone(sequence(200, 8)),
        Event::SlotJumped(shown(200, jump())),
        Event::Displaced(displaced),
    ]
}

/// Bound payments of every kind: unsigned, signed, with a deadline, cancelled, and on hold for each cause.
fn bound_payments() -> Vec<Payment> {
    let mut all = Vec::new();
    for deadline in [None, Some(120), Some(150)] {
        let unsigned = apply(&accepted(deadline), bound_event(120)).unwrap().next;
        let signed = at_large(deadline);
        let on_hold = on_hold(deadline);
        let gone = apply(&signed, Event::SlotGone(sequence(130, 8)))
            .unwrap()
            .next;
        let jumped = apply(&signed, Event::SlotJumped(shown(130, jump())))
            .unwrap()
            .next;
        let less = own_tx("tesSUCCESS", Some(xrpl_tx::Drops::from_const(1)));
        let less = apply(&signed, confirmed(130, less)).unwrap().next;
        for payment in [unsigned, signed] {
            let cancelled = apply(&payment, cancel(CancelCause::Requested))
                .unwrap()
                .next;
            let with_noop = apply(&cancelled, Event::NoOpAdded(terms(20, 130)))
                .unwrap()
                .next;
            all.extend([payment, cancelled, with_noop]);
        }
        all.extend([on_hold, gone, jumped, less]);
    }
    all
}

#[test]
fn only_what_brings_evidence_ends_a_bound_payment() {
    let mut ended = [0; 2];
    for payment in bound_payments() {
        assert!(payment.state.slot().is_some());
        for event in events() {
            for (quarantined, outcome) in [
                (false, apply(&payment, event.clone())),
                (true, apply_quarantined(&payment, event.clone())),
            ] {
                let Ok(step) = outcome else { continue };
                let next = step.next.state.name();
                if !next.is_final() {
                    continue;
                }
                let story = format!("{} by {}", payment.state.name().as_str(), event.name());
                match brings(&event) {
                    Brings::Ledger => ended[0] += 1,
                    Brings::Seal => {
                        ended[1] += 1;
                        let versions = payment.state.versions().unwrap();
                        assert!(!versions.ever_signed(), "{story}");
                    }
                    Brings::Nothing => panic!("{story}: no evidence, and it is {}", next.as_str()),
                }
                if next == StateName::Paid {
                    assert!(matches!(event, Event::Confirmed(_)), "{story}");
                }
                let unpaid_in_doubt =
                    quarantined && !matches!(next, StateName::Paid | StateName::Failed);
                let filled = matches!(event, Event::Confirmed(_));
                assert!(!unpaid_in_doubt || filled, "{story}, in quarantine");
            }
        }
    }
    assert!(ended[0] > 20 && ended[1] > 0, "{ended:?}: both ways exist");
}

#[test]
fn a_final_state_stands_whatever_is_said_later() {
    let ends: Vec<Payment> = bound_payments()
        .iter()
        .flat_map(|payment| events().into_iter().filter_map(|e| apply(payment, e).ok()))
        .map(|step| step.next)
        .filter(|payment| payment.state.name().is_final())
        .collect();
    assert!(!ends.is_empty());
    for payment in ends {
        for event in events() {
            if let Ok(step) = apply(&payment, event.clone()) {
                assert_eq!(step.next, payment, "{}", event.name());
                assert!(step.facts.is_empty() && step.effects.is_empty());
            }
        }
    }
}

#[test]
fn all_195_codes_and_any_other_advise_and_none_of_them_decides() {
    // What a code becomes outside of a ledger is an advice and three sentences: neither is an event, nor makes one.
    let mut codes: Vec<&str> = Code::all().iter().map(|code| code.name).collect();
    assert_eq!(codes.len(), 195);
    codes.extend(["tecBRAND_NEW", "tesBRAND_NEW", ""]);
    let payment = at_large(Some(150));
    for code in codes {
        let _: Advice = Advice::of(code);
        let guide = guide::provisional(code);
        assert!(guide.person.contains("Do not pay elsewhere"), "{code}");
        // The one shape in which a code reaches the core is the metadata of a validated transaction.
        let Some(result) = paygate_payments::proof::FinalResult::parse(code) else {
            continue;
        };
        let tx = LedgerTx {
            result,
            ..own_tx("tecNO_DST", None)
        };
        let ended = apply(&payment, confirmed(110, tx)).unwrap().next.state;
        let name = ended.name();
        let delivered = code == "tesSUCCESS";
        let expected = if delivered {
            // It says success and shows no delivery: a person looks.
            StateName::OnHold
        } else {
            StateName::Failed
        };
        assert_eq!(name, expected, "{code}");
    }
}

#[test]
fn a_lost_slot_ends_a_payment_only_with_all_of_its_evidence() {
    let held = on_hold(None);
    let all = History {
        from: LedgerIndex(101),
        to: LedgerIndex(110),
        invoice_seen: false,
        acknowledged: Some(thief().hash),
    };
    let rows = [
        (
            History {
                from: LedgerIndex(102),
                ..all
            },
            StaysOnHold::HistoryMissing,
        ),
        (
            History {
                to: LedgerIndex(109),
                ..all
            },
            StaysOnHold::HistoryMissing,
        ),
        (
            History {
                invoice_seen: true,
                ..all
            },
            StaysOnHold::InvoiceSeen,
        ),
        (
            History {
                acknowledged: None,
                ..all
            },
            StaysOnHold::NotAcknowledged,
        ),
        (
            History {
                acknowledged: Some(signed(3).hash),
                ..all
            },
            StaysOnHold::NotAcknowledged,
        ),
    ];
    for (history, why) in rows {
        assert_eq!(Displaced::of(&held, history), Err(why));
    }
    assert_eq!(
        Displaced::of(&at_large(None), all),
        Err(StaysOnHold::OtherCause)
    );
    let gone = apply(&at_large(None), Event::SlotGone(sequence(105, 8)))
        .unwrap()
        .next;
    assert_eq!(Displaced::of(&gone, all), Err(StaysOnHold::OtherCause));

    let proof = Displaced::of(&held, all).unwrap();
    assert!(apply_quarantined(&held, Event::Displaced(proof.clone())).is_err());
    let ended = apply(&held, Event::Displaced(proof)).unwrap().next;
    assert_eq!(ended.state.name(), StateName::Failed);
    assert!(ended.state.name().safe_to_repay());
    let State::Displaced(end) = ended.state else {
        panic!("another end")
    };
    assert!(matches!(end.proof, EndProof::Displaced { by, .. } if by == thief().hash));
}

#[test]
fn a_jump_is_believed_only_for_the_slots_that_became_tickets() {
    let payment = at_large(None);
    let held = apply(&payment, Event::SlotJumped(shown(110, jump())))
        .unwrap()
        .next;
    let State::OnHold(held) = held.state else {
        panic!("not held")
    };
    assert_eq!(held.why, HoldCause::JumpedOver { by: thief().hash });
    let elsewhere = LedgerTx {
        body: LedgerBody::TicketCreate {
            created: vec![8, 9],
        },
        ..jump()
    };
    for tx in [elsewhere, thief()] {
        assert!(apply(&payment, Event::SlotJumped(shown(110, tx))).is_err());
    }
}

#[test]
fn a_higher_bid_carries_the_same_content_and_stays_within_the_deadline() {
    let payment = at_large(Some(120));
    for (fee, last) in [(20, 121), (10, 120), (9, 120)] {
        let raised = apply(&payment, Event::FeeRaised(terms(fee, last)));
        assert!(raised.is_err(), "{fee} until {last}");
    }
    let raised = apply(&payment, Event::FeeRaised(terms(13, 120)))
        .unwrap()
        .next;
    let State::AtLarge(now) = &raised.state else {
        panic!("it ended")
    };
    let State::AtLarge(before) = &payment.state else {
        panic!("it was at large")
    };
    assert_eq!(
        now.binding, before.binding,
        "digest and slot are those of the binding"
    );
    assert_eq!(newest(&raised).fee, xrpl_tx::Drops::from_const(13));
    let cancelled = apply(&raised, cancel(CancelCause::Requested)).unwrap().next;
    assert!(apply(&cancelled, Event::FeeRaised(terms(30, 120))).is_err());
}
