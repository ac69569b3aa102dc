//! Each invariant can fail: for each a history that violates it, made from one that violates none.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::simulate::facts::{
    Ask, ChainLedger, ChainTx, Commit, Content, Evidence, Hash, Meta, PaymentRow, Sending,
    Signature, Standing, StoreLife, Telling, VersionRow,
};

const RULES: Rules = Rules {
    window: 20,
    fee_cap: 100,
    reserve: 1_000,
    is_watched: true,
};
const SLOT: u32 = 5;
const TX: Hash = [0xA5; 32];

fn ledger_hash(index: u32) -> Hash {
    [u8::try_from(index % 251).unwrap(); 32]
}

fn ledger(index: u32, sequence: u32, balance: u64, txs: Vec<ChainTx>) -> Fact {
    Fact::Ledger(ChainLedger {
        index,
        hash: ledger_hash(index),
        sequence,
        balance,
        txs,
    })
}

fn invoice(of: u8) -> Hash {
    [of; 32]
}

fn paying(hash: Hash, sequence: u32, of: u8) -> ChainTx {
    ChainTx {
        hash,
        sequence,
        content: Content::Payment {
            invoice: Some(invoice(of)),
            destination: "rDest".to_owned(),
            tag: None,
            amount: 50,
        },
        succeeded: true,
        delivered: 50,
        fee: 10,
        is_foreign: false,
    }
}

fn meta(reconciled: u32, balance: u64) -> Meta {
    Meta {
        epoch: 1,
        first_ledger: Some(100),
        reconciled: Some((reconciled, ledger_hash(reconciled))),
        balance: Some(balance),
        quarantine_until: None,
        is_frozen: false,
    }
}

fn row(of: u8, state: Standing, slot: Option<u32>) -> PaymentRow {
    PaymentRow {
        key: format!("shop/p{of}"),
        invoice: invoice(of),
        destination: "rDest".to_owned(),
        tag: None,
        amount: 50,
        is_xrp: true,
        deadline: Some(140),
        is_cancelled: false,
        state,
        slot,
        digest: slot.map(|_| [9; 32]),
        evidence: None,
    }
}

fn version(slot: u32, number: u32) -> VersionRow {
    VersionRow {
        slot,
        number,
        is_payment: true,
        fee: 10,
        last_ledger: 120,
        signed: None,
    }
}

fn signed(slot: u32, number: u32) -> VersionRow {
    VersionRow {
        signed: Some((TX, vec![1, 2, 3])),
        ..version(slot, number)
    }
}

fn commit(meta: Meta, payments: Vec<PaymentRow>, versions: Vec<VersionRow>) -> Fact {
    Fact::Committed(Commit {
        by_epoch: Some(1),
        meta,
        payments,
        versions,
        ..Commit::default()
    })
}

fn ask(of: u8, slot: u32) -> Ask {
    Ask {
        epoch: 1,
        slot,
        key: Some(format!("shop/p{of}")),
        is_payment: true,
        fee: 10,
        last_ledger: 120,
    }
}

fn signature(of: u8, slot: u32) -> Signature {
    Signature {
        ask: ask(of, slot),
        hash: TX,
        blob: vec![1, 2, 3],
        replayed: false,
    }
}

fn settled() -> Evidence {
    Evidence {
        ledger: Some((101, ledger_hash(101))),
        tx: Some(TX),
        delivered: 50,
        fee: 10,
        is_absence: false,
        is_unbound: false,
        is_seal: false,
    }
}

fn ended(state: Standing, evidence: Evidence) -> PaymentRow {
    PaymentRow {
        evidence: Some(evidence),
        ..row(1, state, Some(SLOT))
    }
}

fn absent(index: u32) -> Evidence {
    Evidence {
        ledger: Some((index, ledger_hash(index))),
        tx: None,
        delivered: 0,
        fee: 0,
        is_absence: true,
        ..settled()
    }
}

fn telling(state: Standing, by_watch: bool) -> Fact {
    Fact::Told(Telling {
        key: "shop/p1".to_owned(),
        state,
        safe_to_repay: state.is_unpaid(),
        by_watch,
    })
}

fn began(generation: u64) -> Fact {
    Fact::Began(StoreLife { generation })
}

fn sent() -> Sending {
    Sending {
        server: "s1".to_owned(),
        is_our_network: true,
        hash: TX,
        blob: vec![1, 2, 3],
    }
}

/// One payment from its acceptance to its end. The steps: 0 ledger 100, 1 begin, 2 first look, 3 accepted, 4 bound, 5 asked,
/// 6 signed, 7 signature stored, 8 sent, 9 ledger 101 pays, 10 paid, 11 told, 12 end.
fn story() -> Vec<Fact> {
    vec![
        ledger(100, SLOT, 10_000, Vec::new()),
        began(1),
        commit(meta(100, 10_000), Vec::new(), Vec::new()),
        commit(
            meta(100, 10_000),
            vec![row(1, Standing::Accepted, None)],
            Vec::new(),
        ),
        commit(
            meta(100, 10_000),
            vec![row(1, Standing::AtLarge, Some(SLOT))],
            vec![version(SLOT, 0)],
        ),
        Fact::Asked(ask(1, SLOT)),
        Fact::Signed(signature(1, SLOT)),
        commit(meta(100, 10_000), Vec::new(), vec![signed(SLOT, 0)]),
        Fact::Sent(sent()),
        ledger(101, SLOT + 1, 9_940, vec![paying(TX, SLOT, 1)]),
        commit(
            meta(101, 9_940),
            vec![ended(Standing::Paid, settled())],
            Vec::new(),
        ),
        telling(Standing::Paid, true),
        Fact::Ended,
    ]
}

fn found(facts: &[Fact]) -> Vec<u8> {
    let mut checker = Checker::new(RULES);
    facts.iter().for_each(|fact| checker.see(fact));
    let mut numbers: Vec<u8> = checker.found().iter().map(|v| v.invariant.number).collect();
    numbers.dedup();
    numbers
}

/// The first steps of the story, and then these.
fn until(step: usize, then: Vec<Fact>) -> Vec<Fact> {
    let mut facts = story();
    facts.truncate(step);
    facts.extend(then);
    facts
}

/// The story with another step in the place of one.
fn with(step: usize, fact: Fact) -> Vec<Fact> {
    let mut facts = story();
    facts[step] = fact;
    facts
}

#[track_caller]
fn violates(invariant: Invariant, facts: &[Fact]) {
    let numbers = found(facts);
    assert!(
        numbers.contains(&invariant.number),
        "{} was not noticed: {numbers:?}",
        invariant.name
    );
}

#[test]
fn a_payment_that_goes_well_violates_nothing() {
    for step in 0..=story().len() {
        assert_eq!(
            found(&story()[..step]),
            Vec::<u8>::new(),
            "after {step} steps"
        );
    }
    let numbers: Vec<u8> = ALL.iter().map(|invariant| invariant.number).collect();
    assert_eq!(numbers, (1..=24).collect::<Vec<u8>>());
}

#[test]
fn what_is_asked_or_sent_before_it_is_committed_is_noticed() {
    violates(ROW_FIRST, &until(4, vec![Fact::Asked(ask(1, SLOT))]));
    let later = Ask {
        last_ledger: 121,
        ..ask(1, SLOT)
    };
    violates(ROW_FIRST, &with(5, Fact::Asked(later)));
    violates(ROW_FIRST, &until(7, vec![Fact::Sent(sent())]));
}

#[test]
fn a_version_that_lives_too_long_or_never_is_noticed() {
    for last_ledger in [0, 100, 121, u32::MAX] {
        let version = VersionRow {
            last_ledger,
            ..version(SLOT, 0)
        };
        let bound = vec![row(1, Standing::AtLarge, Some(SLOT))];
        violates(
            BOUNDED_LIFE,
            &with(4, commit(meta(100, 10_000), bound, vec![version])),
        );
    }
    let late = PaymentRow {
        deadline: Some(110),
        ..row(1, Standing::AtLarge, Some(SLOT))
    };
    violates(
        BOUNDED_LIFE,
        &with(
            4,
            commit(meta(100, 10_000), vec![late], vec![version(SLOT, 0)]),
        ),
    );
}

#[test]
fn a_slot_with_two_payments_is_noticed() {
    let second = commit(
        meta(100, 10_000),
        vec![row(2, Standing::AtLarge, Some(SLOT))],
        vec![version(SLOT, 1)],
    );
    violates(ONE_LIVE_PAYMENT, &until(5, vec![second.clone()]));
    violates(SLOT_NEVER_TWICE, &until(5, vec![second]));
    let signature = Signature {
        hash: [7; 32],
        ..signature(2, SLOT)
    };
    violates(SLOT_NEVER_TWICE, &until(8, vec![Fact::Signed(signature)]));
}

#[test]
fn a_payment_with_two_slots_is_noticed() {
    let moved = commit(
        meta(100, 10_000),
        vec![row(1, Standing::AtLarge, Some(SLOT + 1))],
        vec![version(SLOT + 1, 0)],
    );
    violates(ONE_SLOT, &until(8, vec![moved]));
    let signature = Signature {
        hash: [7; 32],
        ..signature(1, SLOT + 1)
    };
    violates(ONE_SLOT, &until(8, vec![Fact::Signed(signature)]));
}

#[test]
fn other_content_and_a_payment_after_its_cancel_are_noticed() {
    let changed = PaymentRow {
        amount: 51,
        ..row(1, Standing::AtLarge, Some(SLOT))
    };
    violates(
        SAME_CONTENT,
        &until(
            8,
            vec![commit(meta(100, 10_000), vec![changed], Vec::new())],
        ),
    );
    let cancelled = PaymentRow {
        is_cancelled: true,
        ..row(1, Standing::AtLarge, Some(SLOT))
    };
    let bumped = commit(meta(100, 10_000), vec![cancelled], vec![version(SLOT, 1)]);
    violates(SAME_CONTENT, &until(8, vec![bumped]));
}

#[test]
fn a_second_payment_in_the_chain_is_noticed() {
    let again = ledger(102, SLOT + 2, 9_880, vec![paying([7; 32], SLOT + 1, 1)]);
    violates(PAID_ONCE, &until(11, vec![again]));
}

#[test]
fn a_false_paid_is_noticed() {
    violates(
        PAID_IS_TRUE,
        &with(9, ledger(101, SLOT, 10_000, Vec::new())),
    );
    let partly = ChainTx {
        delivered: 49,
        ..paying(TX, SLOT, 1)
    };
    violates(
        PAID_IS_TRUE,
        &with(9, ledger(101, SLOT + 1, 9_940, vec![partly])),
    );
    let dearer = Evidence {
        fee: 11,
        ..settled()
    };
    let paid = commit(
        meta(101, 9_940),
        vec![ended(Standing::Paid, dearer)],
        Vec::new(),
    );
    violates(PAID_IS_TRUE, &with(10, paid));
}

#[test]
fn a_false_failure_is_noticed_now_and_later() {
    let failed = commit(
        meta(101, 9_940),
        vec![ended(Standing::Failed, settled())],
        Vec::new(),
    );
    violates(UNPAID_IS_TRUE, &with(10, failed));
    let expired = ended(Standing::Expired, absent(100));
    let early = commit(meta(100, 10_000), vec![expired], Vec::new());
    let later = ledger(101, SLOT + 1, 9_940, vec![paying(TX, SLOT, 1)]);
    violates(UNPAID_IS_TRUE, &until(9, vec![early, later]));
}

#[test]
fn a_final_state_that_changes_or_rests_on_another_chain_is_noticed() {
    let back = commit(
        meta(101, 9_940),
        vec![row(1, Standing::AtLarge, Some(SLOT))],
        Vec::new(),
    );
    violates(FINAL_STAYS, &until(11, vec![back]));
    let elsewhere = Evidence {
        ledger: Some((101, [1; 32])),
        ..settled()
    };
    let paid = commit(
        meta(101, 9_940),
        vec![ended(Standing::Paid, elsewhere)],
        Vec::new(),
    );
    violates(FINAL_STAYS, &with(10, paid));
}

#[test]
fn gaps_and_undecided_slots_below_the_sequence_are_noticed() {
    let bound = vec![row(1, Standing::AtLarge, Some(SLOT + 1))];
    violates(
        NO_GAPS,
        &with(
            4,
            commit(meta(100, 10_000), bound, vec![version(SLOT + 1, 0)]),
        ),
    );
    violates(
        NO_GAPS,
        &with(10, commit(meta(101, 9_940), Vec::new(), Vec::new())),
    );
}

#[test]
fn a_reconciled_ledger_that_is_not_the_chains_is_noticed() {
    let other = Meta {
        reconciled: Some((100, [1; 32])),
        ..meta(100, 10_000)
    };
    violates(
        RECONCILED_IS_CHAIN,
        &with(3, commit(other, Vec::new(), Vec::new())),
    );
    violates(
        RECONCILED_IS_CHAIN,
        &with(3, commit(meta(101, 10_000), Vec::new(), Vec::new())),
    );
    violates(
        RECONCILED_IS_CHAIN,
        &until(11, vec![commit(meta(100, 10_000), Vec::new(), Vec::new())]),
    );
}

#[test]
fn an_end_that_no_ledger_proves_is_noticed() {
    let expired = |index| vec![ended(Standing::Expired, absent(index))];
    let early = commit(meta(100, 10_000), expired(100), Vec::new());
    violates(PROVEN, &until(8, vec![early]));
    let not_yet = commit(meta(100, 10_000), expired(141), Vec::new());
    violates(PROVEN, &until(8, vec![not_yet]));
    let unbound = PaymentRow {
        state: Standing::Expired,
        ..row(1, Standing::Expired, None)
    };
    violates(
        PROVEN,
        &until(
            4,
            vec![commit(meta(100, 10_000), vec![unbound], Vec::new())],
        ),
    );
}

#[test]
fn signing_while_frozen_is_noticed() {
    let frozen = Meta {
        is_frozen: true,
        ..meta(100, 10_000)
    };
    let freezes = commit(frozen.clone(), Vec::new(), Vec::new());
    let binds = commit(
        frozen,
        vec![row(1, Standing::AtLarge, Some(SLOT))],
        vec![version(SLOT, 0)],
    );
    violates(
        FROZEN_SIGNS_NOTHING,
        &until(4, vec![freezes.clone(), binds]),
    );
    let later = [
        freezes.clone(),
        ledger(101, SLOT, 10_000, Vec::new()),
        ledger(102, SLOT, 10_000, Vec::new()),
        Fact::Asked(signature(1, SLOT).ask),
    ];
    violates(FROZEN_SIGNS_NOTHING, &until(5, later.to_vec()));
    let thaws = commit(meta(100, 10_000), Vec::new(), Vec::new());
    violates(
        FROZEN_SIGNS_NOTHING,
        &until(5, vec![freezes.clone(), thaws.clone()]),
    );
    let looked = until(5, vec![freezes, Fact::Unfrozen, thaws]);
    assert_eq!(found(&looked), Vec::<u8>::new());
}

#[test]
fn binding_in_quarantine_or_beside_a_forgotten_blob_is_noticed() {
    let held = Meta {
        quarantine_until: Some(120),
        ..meta(100, 10_000)
    };
    let begins = commit(held.clone(), Vec::new(), Vec::new());
    let binds = |meta| {
        commit(
            meta,
            vec![row(1, Standing::AtLarge, Some(SLOT))],
            vec![version(SLOT, 0)],
        )
    };
    violates(QUARANTINE_HOLDS, &until(4, vec![begins, binds(held)]));
    // The store is put back from before the first payment, of which a blob is on its way.
    let second = commit(
        meta(100, 10_000),
        vec![row(2, Standing::AtLarge, Some(SLOT + 1))],
        vec![version(SLOT + 1, 0)],
    );
    let restored = [
        began(2),
        commit(meta(100, 10_000), Vec::new(), Vec::new()),
        commit(
            meta(100, 10_000),
            vec![row(2, Standing::Accepted, None)],
            Vec::new(),
        ),
        second,
    ];
    violates(QUARANTINE_HOLDS, &until(9, restored.to_vec()));
}

#[test]
fn two_generations_at_work_are_noticed() {
    let Fact::Committed(bound) = story()[4].clone() else {
        panic!("the fifth step is a commit");
    };
    let old = Commit {
        by_epoch: Some(0),
        ..bound
    };
    violates(ONE_GENERATION, &with(4, Fact::Committed(old)));
    let newer = Signature {
        ask: Ask {
            epoch: 2,
            ..ask(1, SLOT)
        },
        ..signature(1, SLOT)
    };
    let older = Signature {
        hash: [7; 32],
        ask: Ask {
            fee: 11,
            ..ask(1, SLOT)
        },
        ..signature(1, SLOT)
    };
    violates(
        ONE_GENERATION,
        &until(6, vec![Fact::Signed(newer), Fact::Signed(older)]),
    );
}

#[test]
fn books_that_do_not_balance_are_noticed() {
    let paid = vec![ended(Standing::Paid, settled())];
    violates(
        BOOKS_BALANCE,
        &with(10, commit(meta(101, 9_950), paid, Vec::new())),
    );
    let unseen = [
        ledger(102, SLOT + 2, 9_880, vec![paying([7; 32], SLOT + 1, 3)]),
        commit(meta(102, 9_880), Vec::new(), Vec::new()),
    ];
    violates(BOOKS_BALANCE, &until(11, unseen.to_vec()));
}

#[test]
fn money_that_is_not_there_and_fees_above_the_cap_are_noticed() {
    let dear = VersionRow {
        fee: 101,
        ..version(SLOT, 0)
    };
    let bound = || vec![row(1, Standing::AtLarge, Some(SLOT))];
    violates(
        MONEY_IS_THERE,
        &with(4, commit(meta(100, 10_000), bound(), vec![dear])),
    );
    violates(
        MONEY_IS_THERE,
        &with(4, commit(meta(100, 1_059), bound(), vec![version(SLOT, 0)])),
    );
}

#[test]
fn a_payment_that_never_ends_is_noticed() {
    violates(ENDS, &until(9, vec![Fact::Ended]));
    violates(ENDS, &until(4, vec![Fact::Ended]));
}

#[test]
fn other_bytes_are_noticed() {
    let changed = Sending {
        blob: vec![1, 2, 4],
        ..sent()
    };
    violates(SAME_BYTES, &with(8, Fact::Sent(changed)));
    let again = Signature {
        hash: [7; 32],
        ..signature(1, SLOT)
    };
    violates(SAME_BYTES, &until(8, vec![Fact::Signed(again)]));
}

#[test]
fn another_verdict_by_another_schedule_is_noticed() {
    let same = Fact::Replayed(vec![("shop/p1".to_owned(), Standing::Paid)]);
    assert_eq!(found(&until(12, vec![same])), Vec::<u8>::new());
    let other = Fact::Replayed(vec![("shop/p1".to_owned(), Standing::Expired)]);
    violates(SCHEDULE_IS_NOTHING, &until(12, vec![other]));
}

#[test]
fn what_a_restart_loses_is_noticed() {
    let look = |payments, versions| commit(meta(100, 10_000), payments, versions);
    let all = look(
        vec![row(1, Standing::AtLarge, Some(SLOT))],
        vec![signed(SLOT, 0)],
    );
    assert_eq!(found(&until(9, vec![began(1), all])), Vec::<u8>::new());
    let no_row = look(Vec::new(), vec![signed(SLOT, 0)]);
    violates(RESTART_LOSES_NOTHING, &until(9, vec![began(1), no_row]));
    let no_version = look(vec![row(1, Standing::AtLarge, Some(SLOT))], Vec::new());
    violates(RESTART_LOSES_NOTHING, &until(9, vec![began(1), no_version]));
    violates(
        RESTART_LOSES_NOTHING,
        &until(9, vec![Fact::SignerBegan(Vec::new())]),
    );
    violates(
        RESTART_LOSES_NOTHING,
        &until(9, vec![Fact::SignerRefused("HEAD".to_owned())]),
    );
    assert_eq!(
        found(&until(9, vec![Fact::SignerBegan(vec![TX])])),
        Vec::<u8>::new()
    );
}

#[test]
fn false_words_are_noticed() {
    violates(TOLD_TRUTH, &until(9, vec![telling(Standing::Paid, false)]));
    violates(
        TOLD_TRUTH,
        &until(11, vec![telling(Standing::Failed, false)]),
    );
    let repay = Fact::Told(Telling {
        key: "shop/p1".to_owned(),
        state: Standing::AtLarge,
        safe_to_repay: true,
        by_watch: false,
    });
    violates(TOLD_TRUTH, &until(9, vec![repay]));
    violates(TOLD_TRUTH, &until(11, vec![Fact::Ended]));
}

#[test]
fn a_blob_for_another_network_is_noticed() {
    let astray = Sending {
        is_our_network: false,
        ..sent()
    };
    violates(RIGHT_NETWORK, &with(8, Fact::Sent(astray)));
}
