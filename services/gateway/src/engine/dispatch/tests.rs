//! What a cancel changes of what is signed and sent.

use paygate_payments::intent::{Id, Intent, PaymentKey};
use paygate_payments::payment::State;
use paygate_payments::payment::{AtLarge, Binding, CancelCause, Payment, Version};
use xrpl_tx::{AccountId, Amount, Drops, Hash256, Memos, Signed, Slot};

use super::*;
use crate::clock::Millis;
use crate::store::Record;

const SLOT: Slot = Slot::Sequence(7);
const NOW: LedgerIndex = LedgerIndex(100);

fn version(kind: VersionKind, fee: u64, signed: Option<u8>) -> Version {
    Version {
        kind,
        fee: Drops::new(fee).unwrap(),
        last_ledger: LedgerIndex(120),
        signed: signed.map(|byte| Signed {
            blob: vec![byte],
            hash: Hash256::from_bytes([byte; 32]),
        }),
    }
}

fn slot(versions: Vec<Version>, cancel: Option<CancelCause>) -> OpenSlot {
    let versions = Versions::restore(versions).unwrap();
    let id = |text: &str| Id::new(text).unwrap();
    let payment = Payment {
        intent: Intent {
            key: PaymentKey {
                client: id("shop"),
                payment: id("a"),
            },
            destination: AccountId::from_bytes([3; 20]),
            destination_tag: None,
            amount: Amount::Xrp(Drops::from_const(1)),
            memos: Memos::default(),
            retry_of: None,
        },
        invoice_id: Hash256::from_bytes([1; 32]),
        deadline: None,
        cancel,
        state: State::AtLarge(AtLarge {
            binding: Binding {
                slot: SLOT,
                digest: Hash256::from_bytes([2; 32]),
                epoch: 1,
                since: NOW,
            },
            versions: versions.clone(),
        }),
    };
    OpenSlot {
        slot: SLOT,
        owner: Some(Record {
            payment,
            created: Millis(0),
            updated: Millis(0),
            trace_parent: None,
            number: 1,
            ledger_closed: None,
            approve_before: None,
            versions: Some(versions),
        }),
        filler: None,
    }
}

fn sent(slot: &OpenSlot) -> Option<Vec<u8>> {
    sendable(slot, NOW).map(|sendable| sendable.signed.blob)
}

#[test]
fn a_cancelled_payment_is_neither_signed_nor_sent_any_more_and_its_noop_is() {
    use VersionKind::{NoOp, Payment};
    let asked = Some(CancelCause::Requested);
    let signed = version(Payment, 10, Some(1));
    assert_eq!(sent(&slot(vec![signed.clone()], None)), Some(vec![1]));
    let cancelled = slot(vec![signed.clone()], asked);
    assert!(cancelled.wants_noop());
    assert_eq!(sent(&cancelled), None);

    // Bound, and cancelled before the signer was asked: it never is.
    let unasked = vec![version(Payment, 10, None)];
    assert_eq!(unsigned(&[slot(unasked.clone(), None)]).len(), 1);
    assert!(unsigned(&[slot(unasked, asked)]).is_empty());

    let waiting = slot(vec![signed.clone(), version(NoOp, 13, None)], asked);
    assert!(!waiting.wants_noop());
    let work = unsigned(std::slice::from_ref(&waiting));
    assert_eq!((work.len(), work[0].version.kind), (1, NoOp));
    assert_eq!(sent(&waiting), None, "the no-op has no blob yet");
    let competing = slot(vec![signed, version(NoOp, 13, Some(2))], asked);
    assert_eq!(sent(&competing), Some(vec![2]));
}
