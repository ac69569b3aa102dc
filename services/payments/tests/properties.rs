//! What holds for every history of a payment, drawn at random.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use paygate_payments::LedgerIndex;
use paygate_payments::continuity::{self, Doubt, Quarantine, StartFacts};
use paygate_payments::intent::Intent;
use paygate_payments::limits::{DayUnits, Limits, OverLimit, Usage};
use paygate_payments::payment::{CancelCause, Payment, Seal, State};
use paygate_payments::proof::{NoProof, Quorum, SequenceReading, Source};
use paygate_payments::slots::{self, SlotDoubt, SlotFacts};
use paygate_payments::step::Event;
use paygate_payments::terms::{self, FeeFacts, NoTerms, TermsPolicy};
use proptest::prelude::*;
use xrpl_tx::{Amount, Drops, Hash256, Slot};

/// What may happen to the payment of `intent`.
fn any_event(intent: Intent) -> impl Strategy<Value = Event> {
    let at = 100u32..200;
    prop_oneof![
        (101u32..180).prop_map(bound_event),
        (0usize..4, 1u8..4).prop_map(|(number, s)| Event::Signed {
            number,
            signed: signed(s)
        }),
        Just(Event::Sealed(Seal {
            height: 1,
            hash: Hash256::from_bytes([1; 32]),
            reason: String::new()
        })),
        at.clone().prop_map(|v| Event::CancelAsked {
            cause: CancelCause::Requested,
            validated: LedgerIndex(v)
        }),
        (10u64..20, at.clone()).prop_map(|(fee, l)| Event::NoOpAdded(terms(fee, l))),
        (10u64..40, at.clone()).prop_map(|(fee, l)| Event::FeeRaised(terms(fee, l))),
        (at.clone(), 10u64..20, at.clone(), any::<bool>())
            .prop_map(|(l, fee, last, some)| slot_open(l, some.then(|| terms(fee, last)))),
        at.clone().prop_map(|l| Event::SlotGone(sequence(l, 8))),
        at.clone()
            .prop_map(|l| Event::LedgerValidated(LedgerIndex(l))),
        at.clone().prop_map(cannot_receive),
        (at.clone(), any::<bool>()).prop_map(move |(l, ok)| {
            confirmed(
                l,
                if ok {
                    tx_of(&intent, "tesSUCCESS", Some(intent.gets()))
                } else {
                    tx_of(&intent, "tecUNFUNDED_PAYMENT", None)
                },
            )
        }),
        at.prop_map(|l| confirmed(l, noop_tx(xrpl_tx::noop_memo("payroll", "may-17")))),
    ]
}

/// A payment in XRP or in an issued currency, and what happens to it.
fn any_history() -> impl Strategy<Value = (Intent, Vec<Event>)> {
    prop_oneof![Just(intent()), Just(issued_intent())].prop_flat_map(|intent| {
        let events = prop::collection::vec(any_event(intent.clone()), 1..24);
        (Just(intent), events)
    })
}

/// What may never happen in one step, whatever the event.
fn judge_step(before: &Payment, after: &Payment) -> Result<(), TestCaseError> {
    prop_assert_eq!(&before.intent, &after.intent);
    prop_assert_eq!(before.deadline, after.deadline);
    if before.state.name().is_final() {
        prop_assert_eq!(before, after);
    }
    if let (Some(old), Some(new)) = (before.state.slot(), after.state.slot()) {
        prop_assert_eq!(old, new, "a payment keeps its slot for life");
    }
    if let (State::AtLarge(old), State::AtLarge(new)) = (&before.state, &after.state) {
        let (old, new) = (old.versions.as_slice(), new.versions.as_slice());
        prop_assert!(new.len() >= old.len(), "no version is forgotten");
        for (old, new) in old.iter().zip(new) {
            prop_assert_eq!(
                (old.kind, old.fee, old.last_ledger),
                (new.kind, new.fee, new.last_ledger)
            );
            prop_assert!(
                old.signed.is_none() || old.signed == new.signed,
                "no signature is forgotten"
            );
        }
        let added = &new[old.len()..];
        prop_assert!(
            before.cancel.is_none() || added.iter().all(is_noop),
            "after a cancel only no-ops are made"
        );
    }
    if let (State::AtLarge(old), State::AtLarge(new)) = (&before.state, &after.state) {
        prop_assert_eq!(old.binding, new.binding, "all versions carry one content");
    }
    if let (Some(deadline), State::AtLarge(now)) = (after.deadline, &after.state) {
        for version in now.versions.as_slice().iter().filter(|v| !is_noop(v)) {
            prop_assert!(
                version.last_ledger <= deadline,
                "no version outlives the deadline"
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_promises(deadline in prop::option::of(100u32..200), (intent, events) in any_history()) {
        let mut payment = accepted_of(intent, deadline);
        for event in events {
            let evidence = matches!(event, Event::Confirmed(_) | Event::SlotOpen { .. } | Event::Sealed(_));
            let Ok(step) = apply(&payment, event) else { continue };
            judge_step(&payment, &step.next)?;
            let was_bound = matches!(payment.state, State::AtLarge(_) | State::OnHold(_));
            if was_bound && step.next.state.name().is_final() {
                prop_assert!(evidence, "a bound payment ends by evidence only");
            }
            payment = step.next;
        }
    }

    #[test]
    fn the_fee_never_passes_the_cap_and_the_life_never_the_window(
        base in 1u64..1_000, minimum in 1u64..1_000_000, load in 0u64..1_000_000, cap in 1u64..5_000,
        window in 1u32..100, validated in 1u32..4_000_000_000, deadline in prop::option::of(1u32..u32::MAX),
    ) {
        let fees = FeeFacts { base: drops(base), minimum: drops(minimum), load_256ths: load, open_ledger: drops(minimum) };
        let policy = TermsPolicy { fee_max: drops(cap), window };
        let now = LedgerIndex(validated);
        match terms::choose(fees, policy, now, LedgerIndex(0), deadline.map(LedgerIndex)) {
            Ok(terms) => {
                prop_assert!(terms.fee <= policy.fee_max);
                prop_assert!(terms.fee >= fees.base && terms.fee >= fees.minimum);
                prop_assert!(terms.last_ledger > now && terms.last_ledger <= now.plus(window));
                prop_assert!(deadline.is_none_or(|d| terms.last_ledger <= LedgerIndex(d)));
            }
            Err(NoTerms::FeeAboveCap { asked, .. }) => prop_assert!(asked > policy.fee_max),
            Err(NoTerms::DeadlinePassed { deadline }) => prop_assert!(deadline <= now),
        }
    }

    #[test]
    fn limits_hold_to_the_drop(amount in 1u64..2_000, used in 0u64..2_000, pending in 0u64..4) {
        let limits = Limits { payment_min: drops(10), payment_max: drops(1_000), day_max: drops(1_500), pending_max: 3, assets: vec![], approval_threshold: None, approval_window: paygate_payments::limits::APPROVAL_WINDOW_DEFAULT, clients: vec![], stage: None };
        let admitted = limits.admit(Amount::Xrp(drops(amount)), Usage { day: DayUnits::of_drops(drops(used)), pending });
        let fits = (10..=1_000).contains(&amount) && amount + used <= 1_500 && pending < 3;
        prop_assert_eq!(admitted.is_ok(), fits);
        if amount < 10 { prop_assert!(matches!(admitted, Err(OverLimit::BelowMinimum { .. })), "the amount is named first"); }
    }
}

fn drops(n: u64) -> Drops {
    Drops::new(n).unwrap()
}

fn reading(operator: &str, own: bool, sequence: u32) -> SequenceReading {
    SequenceReading {
        source: Source {
            operator: operator.to_owned(),
            own,
        },
        validated: true,
        ledger: ledger(5),
        account: wallet().account,
        sequence,
    }
}

#[test]
fn two_servers_of_one_operator_are_one_word() {
    let quorum = Quorum::new(2);
    let same = [reading("acme", false, 7), reading("acme", false, 7)];
    assert_eq!(
        quorum.state_proof(&same),
        Err(NoProof::TooFew { have: 1, need: 2 })
    );
    let two = [reading("acme", false, 7), reading("zeta", false, 7)];
    assert_eq!(
        quorum.state_proof(&two).unwrap().servers(),
        ["acme", "zeta"]
    );
    assert!(quorum.state_proof(&[reading("ours", true, 7)]).is_ok());
}

#[test]
fn one_contradiction_spoils_the_proof_and_so_does_a_ledger_that_is_not_validated() {
    let quorum = Quorum::new(1);
    let liar = [reading("ours", true, 7), reading("acme", false, 8)];
    assert_eq!(quorum.state_proof(&liar), Err(NoProof::Contradiction));
    let open = SequenceReading {
        validated: false,
        ..reading("ours", true, 7)
    };
    assert_eq!(quorum.state_proof(&[open]), Err(NoProof::NotValidated));
    assert_eq!(quorum.state_proof(&[]), Err(NoProof::NotValidated));
}

#[test]
fn the_next_slot_follows_from_ledger_rows_and_signer() {
    let facts = |validated_sequence, highest_bound, signer_highest| SlotFacts {
        validated_sequence,
        highest_bound,
        signer_highest,
    };
    assert_eq!(slots::next(facts(7, None, 0)), Ok(Slot::Sequence(7)));
    assert_eq!(slots::next(facts(7, Some(9), 9)), Ok(Slot::Sequence(10)));
    assert_eq!(slots::next(facts(12, Some(9), 9)), Ok(Slot::Sequence(12)));
    assert_eq!(
        slots::next(facts(7, Some(9), 11)),
        Err(SlotDoubt::SignerAhead {
            signer: 11,
            known: 9
        })
    );
    assert_eq!(
        slots::gaps(7, &[8, 10], 10),
        [Slot::Sequence(7), Slot::Sequence(9)]
    );
    assert!(slots::gaps(7, &[], 6).is_empty());
    assert_eq!(
        slots::gaps(7, &[8], 9),
        [Slot::Sequence(7), Slot::Sequence(9)],
        "what the signer signed for and no row has is filled as well"
    );
}

#[test]
fn doubts_at_start_begin_a_quarantine_of_one_window() {
    let calm = StartFacts {
        validated: LedgerIndex(500),
        reconciled: Some(LedgerIndex(490)),
        window: 20,
        journal_height: 9,
        recorded_height: 9,
        journal_differs: false,
        journal_recovered: false,
        signer_highest: 30,
        highest_bound: Some(30),
        signer_last_ledger: LedgerIndex(505),
        committed_last_ledger: LedgerIndex(505),
        validated_sequence: 31,
        other_store: false,
        epoch: 7,
        signer_epoch: 6,
    };
    assert_eq!(continuity::at_start(calm), None);
    assert_eq!(continuity::while_running(calm), None);
    let doubts = [
        (
            StartFacts {
                reconciled: Some(LedgerIndex(479)),
                ..calm
            },
            Doubt::LongAbsence,
        ),
        (
            StartFacts {
                signer_highest: 31,
                ..calm
            },
            Doubt::SignerAhead,
        ),
        (
            StartFacts {
                journal_height: 8,
                ..calm
            },
            Doubt::SignerBehind,
        ),
        (
            StartFacts {
                journal_differs: true,
                ..calm
            },
            Doubt::SignerBehind,
        ),
        (
            StartFacts {
                signer_last_ledger: LedgerIndex(506),
                ..calm
            },
            Doubt::SignerAhead,
        ),
        (
            StartFacts {
                signer_epoch: 7,
                ..calm
            },
            Doubt::SignerAhead,
        ),
        (
            StartFacts {
                journal_recovered: true,
                journal_height: 1,
                ..calm
            },
            Doubt::JournalRecovered,
        ),
        (
            StartFacts {
                other_store: true,
                ..calm
            },
            Doubt::OtherStore,
        ),
        (
            StartFacts {
                reconciled: None,
                highest_bound: None,
                recorded_height: 0,
                ..calm
            },
            Doubt::FreshStoreUsedJournal,
        ),
    ];
    for (facts, why) in doubts {
        let quarantine = continuity::at_start(facts).unwrap();
        assert_eq!((quarantine.why, quarantine.until), (why, LedgerIndex(520)));
        assert!(!quarantine.is_over(LedgerIndex(519)) && quarantine.is_over(LedgerIndex(520)));
    }
    let fresh = StartFacts {
        reconciled: None,
        journal_height: 0,
        recorded_height: 0,
        signer_highest: 0,
        highest_bound: None,
        signer_last_ledger: LedgerIndex(0),
        committed_last_ledger: LedgerIndex(0),
        epoch: 1,
        signer_epoch: 0,
        ..calm
    };
    assert_eq!(
        continuity::at_start(fresh),
        None,
        "a fresh store with a fresh journal needs none"
    );
    let alive = StartFacts {
        signer_last_ledger: LedgerIndex(533),
        ..calm
    };
    let quarantine = continuity::at_start(alive).unwrap();
    assert_eq!(
        quarantine.until,
        LedgerIndex(533),
        "the last ledger of whatever was signed is waited for"
    );
}

#[test]
fn a_quarantine_ends_when_what_may_live_is_dead_and_never_while_two_sides_contradict_each_other() {
    let calm = StartFacts {
        validated: LedgerIndex(520),
        reconciled: Some(LedgerIndex(490)),
        window: 20,
        journal_height: 9,
        recorded_height: 9,
        journal_differs: false,
        journal_recovered: false,
        signer_highest: 30,
        highest_bound: Some(25),
        signer_last_ledger: LedgerIndex(510),
        committed_last_ledger: LedgerIndex(490),
        validated_sequence: 31,
        other_store: false,
        epoch: 7,
        signer_epoch: 6,
    };
    let running = Quarantine {
        why: Doubt::SignerAhead,
        until: LedgerIndex(520),
    };
    assert_eq!(running.review(LedgerIndex(519), calm), Some(running));
    assert_eq!(running.review(LedgerIndex(520), calm), None);
    // Somebody else is served meanwhile: what he was given is waited for as well.
    let served = StartFacts {
        signer_last_ledger: LedgerIndex(538),
        ..calm
    };
    let longer = running.review(LedgerIndex(520), served).unwrap();
    assert_eq!(longer.until, LedgerIndex(538));
    for (stands, why) in [
        (
            StartFacts {
                journal_height: 8,
                ..calm
            },
            Doubt::SignerBehind,
        ),
        (
            StartFacts {
                other_store: true,
                ..calm
            },
            Doubt::OtherStore,
        ),
        (
            StartFacts {
                signer_epoch: 8,
                ..calm
            },
            Doubt::TakenOver,
        ),
    ] {
        let goes_on = running.review(LedgerIndex(520), stands).unwrap();
        assert_eq!((goes_on.why, goes_on.until), (why, LedgerIndex(540)));
        assert!(!why.ends_by_waiting() && why.remedy().is_some());
        // Put right, it is waited out like everything else.
        let put_right = goes_on.review(LedgerIndex(539), calm).unwrap();
        assert!(put_right.why.ends_by_waiting());
        assert_eq!(goes_on.review(LedgerIndex(540), calm), None);
    }
}

#[test]
fn the_digest_changes_with_every_field_and_the_slot() {
    let base = intent();
    let digest = base.digest(&wallet(), SLOT);
    let mut seen = vec![digest];
    let changed = [
        paygate_payments::intent::Intent {
            destination_tag: None,
            ..base.clone()
        },
        paygate_payments::intent::Intent {
            destination: wallet().account,
            ..base.clone()
        },
        paygate_payments::intent::Intent {
            amount: xrpl_tx::Amount::Xrp(Drops::from_const(1)),
            ..base.clone()
        },
        paygate_payments::intent::Intent {
            memos: xrpl_tx::Memos::default(),
            ..base.clone()
        },
    ];
    seen.extend(changed.iter().map(|i| i.digest(&wallet(), SLOT)));
    for amount in [
        issued("USD", 9, "12.5", None),
        issued("EUR", 9, "12.5", None),
        issued("USD", 8, "12.5", None),
        issued("USD", 9, "12.4", None),
        issued("USD", 9, "12.5", Some("12.5")),
        issued("USD", 9, "12.5", Some("12.6")),
    ] {
        let intent = Intent {
            amount,
            ..base.clone()
        };
        seen.push(intent.digest(&wallet(), SLOT));
    }
    seen.push(base.digest(&wallet(), Slot::Sequence(8)));
    seen.push(base.digest(&wallet(), Slot::Ticket(7)));
    seen.push(base.digest(
        &paygate_payments::intent::Wallet {
            source_tag: None,
            ..wallet()
        },
        SLOT,
    ));
    seen.push(base.digest(
        &paygate_payments::intent::Wallet {
            network_id: 1,
            ..wallet()
        },
        SLOT,
    ));
    let unique: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(unique.len(), seen.len());
    assert_eq!(base.digest(&wallet(), SLOT), digest);
}
