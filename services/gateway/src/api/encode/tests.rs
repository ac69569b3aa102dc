//! What each end of a payment looks like to its caller.

use paygate_payments::LedgerIndex;
use paygate_payments::intent::{Id, Intent, PaymentKey};
use paygate_payments::payment::{Binding, CannotReceive, OnHold, Seal};
use paygate_telemetry::TraceParent;
use xrpl_tx::{AccountId, Drops, Hash256, Memos, Signed};

use paygate_payments::payment::Versions;

use super::*;

const LEDGER: LedgerRef = LedgerRef {
    index: LedgerIndex(500),
    hash: Hash256::from_bytes([5; 32]),
};
const SLOT: Slot = Slot::Sequence(42);

fn record(state: State) -> Record {
    let id = |text: &str| Id::new(text).unwrap();
    let intent = Intent {
        key: PaymentKey {
            client: id("local"),
            payment: id("p"),
        },
        destination: AccountId::from_bytes([1; 20]),
        destination_tag: None,
        amount: Amount::Xrp(Drops::from_const(9)),
        memos: Memos::default(),
        retry_of: None,
    };
    let deadline = Some(LedgerIndex(490));
    let versions = state.versions().cloned();
    Record {
        payment: Payment {
            intent,
            invoice_id: Hash256::from_bytes([3; 32]),
            deadline,
            cancel: None,
            state,
        },
        created: Millis(1_500),
        updated: Millis(2_500),
        trace_parent: None,
        number: 1,
        ledger_closed: Some(Millis(7_000)),
        approve_before: None,
        versions,
    }
}

fn settled(result: &str, delivered: u64) -> Settled {
    Settled {
        slot: SLOT,
        ledger: LEDGER,
        tx_hash: Hash256::from_bytes([8; 32]),
        result: result.into(),
        delivered: Drops::new(delivered).ok().map(Money::Xrp),
        fee: Drops::from_const(10),
        servers: vec!["us".into()],
    }
}

fn versions_of(signed: Option<Signed>) -> Versions {
    let version = |last, signed| Version {
        kind: VersionKind::Payment,
        fee: Drops::from_const(10),
        last_ledger: LedgerIndex(last),
        signed,
    };
    Versions::first(version(520, signed)).with(version(510, None))
}

fn binding() -> Binding {
    Binding {
        slot: SLOT,
        digest: Hash256::from_bytes([2; 32]),
        epoch: 1,
        since: LedgerIndex(480),
    }
}

#[test]
fn only_a_proven_unpaid_end_is_safe_to_repay_and_only_an_end_has_evidence() {
    let ended = |proof| Ended {
        slot: Some(SLOT),
        proof,
    };
    let never = || {
        ended(EndProof::NeverBound {
            validated: LedgerIndex(491),
        })
    };
    let absence = ended(EndProof::Absence {
        ledger: LEDGER,
        sequence: 42,
        servers: vec![],
    });
    let filled = ended(EndProof::Filled {
        ledger: LEDGER,
        tx_hash: Hash256::from_bytes([6; 32]),
        result: "tesSUCCESS".into(),
        fee: Drops::from_const(13),
        servers: vec![],
    });
    let seal = Seal {
        height: 7,
        hash: Hash256::from_bytes([4; 32]),
        reason: "deny list".into(),
    };
    let cannot = CannotReceive {
        ledger: LEDGER,
        reason: RefusalReason::TagNeeded,
        detail: "it requires a tag".into(),
        servers: vec!["ours".into()],
    };
    let held = |why| OnHold {
        binding: binding(),
        versions: versions_of(None),
        why,
        seen: LEDGER,
    };
    let by = Hash256::from_bytes([8; 32]);
    let at_large = AtLarge {
        binding: binding(),
        versions: versions_of(None),
    };
    for (state, reason, kind, repay) in [
        (
            State::Accepted,
            PaymentReason::LedgerUnavailable,
            None,
            false,
        ),
        (
            State::AtLarge(at_large),
            PaymentReason::LedgerUnavailable,
            None,
            false,
        ),
        (
            State::OnHold(held(HoldCause::SlotTaken { by })),
            PaymentReason::SlotTaken,
            None,
            false,
        ),
        (
            State::OnHold(held(HoldCause::ConsumerUnknown)),
            PaymentReason::HistoryMissing,
            None,
            false,
        ),
        (
            State::OnHold(held(HoldCause::DeliveredDiffers { by })),
            PaymentReason::DeliveredDiffers,
            None,
            false,
        ),
        (
            State::Paid(settled("tesSUCCESS", 9)),
            PaymentReason::None,
            Some(EvidenceKind::Presence),
            false,
        ),
        (
            State::Failed(Settled {
                delivered: None,
                ..settled("tecNO_DST", 0)
            }),
            PaymentReason::TecNoDestination,
            Some(EvidenceKind::Presence),
            true,
        ),
        (
            State::Failed(settled("tecDST_TAG_NEEDED", 0)),
            PaymentReason::TecTagNeeded,
            Some(EvidenceKind::Presence),
            true,
        ),
        (
            State::Failed(settled("tecUNFUNDED_PAYMENT", 0)),
            PaymentReason::TecUnfunded,
            Some(EvidenceKind::Presence),
            true,
        ),
        (
            State::Failed(settled("tecPATH_DRY", 0)),
            PaymentReason::TecOther,
            Some(EvidenceKind::Presence),
            true,
        ),
        (
            State::Expired(never()),
            PaymentReason::DeadlinePassed,
            Some(EvidenceKind::NeverBound),
            true,
        ),
        (
            State::Expired(absence),
            PaymentReason::DeadlinePassed,
            Some(EvidenceKind::Absence),
            true,
        ),
        (
            State::Cancelled(filled, CancelCause::SignerDenied),
            PaymentReason::CancelledByGateway,
            Some(EvidenceKind::Presence),
            true,
        ),
        (
            State::Cancelled(never(), CancelCause::Requested),
            PaymentReason::CancelledByCaller,
            Some(EvidenceKind::NeverBound),
            true,
        ),
        (
            State::Cancelled(
                ended(EndProof::CannotReceive(cannot)),
                CancelCause::DestinationCannotReceive,
            ),
            PaymentReason::DestinationCannotReceive,
            Some(EvidenceKind::NeverBound),
            true,
        ),
        (
            State::Rejected(ended(EndProof::Sealed(seal))),
            PaymentReason::SignerSealed,
            Some(EvidenceKind::Seal),
            true,
        ),
    ] {
        let shown = payment(&record(state), &EngineView::default());
        let case = format!("{:?} {:?}", shown.state(), shown.reason());
        assert_eq!(shown.reason(), reason, "{case}");
        assert_eq!(
            shown.evidence.as_ref().map(v1::Evidence::kind),
            kind,
            "{case}"
        );
        assert_eq!(shown.safe_to_repay, repay, "{case}");
    }
}

#[test]
fn a_cancel_that_is_not_decided_yet_says_what_it_waits_for() {
    let mut asked = record(State::AtLarge(AtLarge {
        binding: binding(),
        versions: versions_of(None),
    }));
    asked.payment.cancel = Some(CancelCause::Requested);
    let shown = payment(&asked, &EngineView::default());
    assert_eq!(shown.reason(), PaymentReason::CancelRequested);
    assert!(shown.cancel_requested && !shown.safe_to_repay);
    let view = EngineView {
        quarantine: Some(paygate_payments::continuity::Quarantine {
            why: paygate_payments::continuity::Doubt::LongAbsence,
            until: LedgerIndex(1_020),
        }),
        ..EngineView::default()
    };
    assert_eq!(payment(&asked, &view).reason(), PaymentReason::Quarantine);
    asked.payment.state = State::Accepted;
    let shown = payment(&asked, &view);
    assert_eq!(shown.reason(), PaymentReason::Quarantine);
    assert!(shown.cancel_requested && !shown.safe_to_repay);
}

#[test]
fn only_a_paid_payment_has_delivered_something() {
    let paid = payment(
        &record(State::Paid(settled("tesSUCCESS", 9))),
        &EngineView::default(),
    )
    .evidence
    .unwrap();
    assert_eq!(paid.delivered, Some(evidence::Delivered::DeliveredDrops(9)));
    assert_eq!(
        (paid.ledger_index, paid.ledger_hash.as_str()),
        (500, "05".repeat(32).as_str())
    );
    assert_eq!(paid.ledger_close_time.unwrap().seconds, 7);
    let failed = payment(
        &record(State::Failed(Settled {
            delivered: None,
            ..settled("tecNO_DST", 0)
        })),
        &EngineView::default(),
    )
    .evidence
    .unwrap();
    assert_eq!(
        (failed.delivered, failed.engine_result.as_str()),
        (None, "tecNO_DST")
    );
}

#[test]
fn a_bound_payment_shows_all_its_versions_by_hash_only() {
    let signed = Signed {
        blob: vec![0xBE, 0xEF],
        hash: Hash256::from_bytes([8; 32]),
    };
    let at_large = AtLarge {
        binding: binding(),
        versions: versions_of(Some(signed)),
    };
    let shown = payment(&record(State::AtLarge(at_large)), &EngineView::default());
    assert_eq!(
        shown.dead_at_ledger, 520,
        "the highest of all versions, not the newest"
    );
    let hashes: Vec<_> = shown
        .versions
        .iter()
        .map(|version| version.tx_hash.clone())
        .collect();
    assert_eq!(hashes, ["08".repeat(32), String::new()]);
    assert_eq!(shown.slot.unwrap().kind, Some(slot::Kind::Sequence(42)));
}

#[test]
fn the_trace_id_is_the_stored_one() {
    let header: TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        .parse()
        .unwrap();
    let traced = Record {
        trace_parent: Some(header.to_string()),
        ..record(State::Accepted)
    };
    assert_eq!(
        payment(&traced, &EngineView::default()).trace_id,
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    assert_eq!(
        payment(&record(State::Accepted), &EngineView::default()).trace_id,
        ""
    );
}
