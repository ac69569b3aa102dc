//! What stories about payments are told with: one wallet, one payment, and what ledgers may say about them.
#![allow(dead_code, reason = "each test file uses a part of it")]

use paygate_payments::intent::{Id, Intent, PaymentKey, Wallet};
use paygate_payments::money::Money;
use paygate_payments::payment::{
    AtLarge, Payment, State, StateName, Version, VersionKind, Versions,
};
use paygate_payments::preflight::{AccountRoot, DestinationFacts, Facts, Verdict, check};
use paygate_payments::proof::{
    FinalResult, LedgerBody, LedgerTx, Presence, Quorum, Reading, SequenceReading, Source,
    StateProof, TransactionReading,
};
use paygate_payments::step::{Context, Event, IllegalEvent, Step, step};
use paygate_payments::terms::Terms;
use paygate_payments::{LedgerIndex, LedgerRef};
use xrpl_tx::{AccountId, Amount, Asset, Drops, Hash256, IssuedAmount, Memo, Memos, Signed, Slot};

pub(crate) const SLOT: Slot = Slot::Sequence(7);
pub(crate) const AMOUNT: Drops = Drops::from_const(25_000_000);

pub(crate) fn wallet() -> Wallet {
    Wallet {
        network_id: 21337,
        account: AccountId::from_bytes([1; 20]),
        source_tag: Some(99),
    }
}

pub(crate) fn key() -> PaymentKey {
    PaymentKey {
        client: Id::new("payroll").unwrap(),
        payment: Id::new("may-17").unwrap(),
    }
}

pub(crate) fn intent() -> Intent {
    Intent {
        key: key(),
        destination: AccountId::from_bytes([2; 20]),
        destination_tag: Some(0),
        amount: Amount::Xrp(AMOUNT),
        memos: Memos::new(vec![
            Memo::new(Some(b"note".to_vec()), Some(b"thanks".to_vec()), None).unwrap(),
        ])
        .unwrap(),
        retry_of: None,
    }
}

/// The same payment in an issued currency: 12.5, of which the issuer may take a share of 0.2 %.
pub(crate) fn issued_intent() -> Intent {
    Intent {
        amount: issued("USD", 9, "12.5", Some("12.525")),
        ..intent()
    }
}

pub(crate) fn asset(currency: &str, issuer: u8) -> Asset {
    Asset {
        currency: currency.parse().unwrap(),
        issuer: AccountId::from_bytes([issuer; 20]),
    }
}

pub(crate) fn issued(currency: &str, issuer: u8, value: &str, send_max: Option<&str>) -> Amount {
    Amount::Issued {
        amount: IssuedAmount::new(asset(currency, issuer), value.parse().unwrap()).unwrap(),
        send_max: send_max.map(|most| most.parse().unwrap()),
    }
}

pub(crate) fn accepted(deadline: Option<u32>) -> Payment {
    accepted_of(intent(), deadline)
}

pub(crate) fn accepted_of(intent: Intent, deadline: Option<u32>) -> Payment {
    Payment {
        intent,
        invoice_id: wallet().invoice_id(&key()),
        deadline: deadline.map(LedgerIndex),
        cancel: None,
        state: State::Accepted,
    }
}

pub(crate) fn terms(fee: u64, last_ledger: u32) -> Terms {
    Terms {
        fee: Drops::new(fee).unwrap(),
        last_ledger: LedgerIndex(last_ledger),
    }
}

pub(crate) fn ledger(index: u32) -> LedgerRef {
    LedgerRef {
        index: LedgerIndex(index),
        hash: xrpl_tx::sha256(&[&index.to_be_bytes()]),
    }
}

pub(crate) fn signed(number: u8) -> Signed {
    Signed {
        blob: vec![number; 8],
        hash: Hash256::from_bytes([number; 32]),
    }
}

pub(crate) fn own() -> Source {
    Source {
        operator: "ours".to_owned(),
        own: true,
    }
}

pub(crate) fn bound_event(last_ledger: u32) -> Event {
    Event::Bound {
        slot: SLOT,
        epoch: 1,
        since: LedgerIndex(100),
        terms: terms(10, last_ledger),
    }
}

/// Bound to slot 7 with one version up to ledger 120, signed.
pub(crate) fn at_large(deadline: Option<u32>) -> Payment {
    let bound = apply(&accepted(deadline), bound_event(120)).unwrap().next;
    apply(
        &bound,
        Event::Signed {
            number: 0,
            signed: signed(1),
        },
    )
    .unwrap()
    .next
}

pub(crate) fn apply(payment: &Payment, event: Event) -> Result<Step, IllegalEvent> {
    step(
        payment,
        event,
        Context {
            wallet: &wallet(),
            quarantined: false,
        },
    )
}

pub(crate) fn apply_quarantined(payment: &Payment, event: Event) -> Result<Step, IllegalEvent> {
    step(
        payment,
        event,
        Context {
            wallet: &wallet(),
            quarantined: true,
        },
    )
}

/// The wallet's Sequence in ledger `index`.
pub(crate) fn sequence(index: u32, sequence: u32) -> StateProof {
    let reading = SequenceReading {
        source: own(),
        validated: true,
        ledger: ledger(index),
        account: wallet().account,
        sequence,
    };
    Quorum::new(1).state_proof(&[reading]).unwrap()
}

pub(crate) fn slot_open(index: u32, next: Option<Terms>) -> Event {
    Event::SlotOpen {
        proof: sequence(index, 7),
        next,
    }
}

/// The payment's own transaction as a ledger would show it.
pub(crate) fn own_tx(result: &str, delivered: Option<Drops>) -> LedgerTx {
    tx_of(&intent(), result, delivered.map(Money::Xrp))
}

pub(crate) fn tx_of(intent: &Intent, result: &str, delivered: Option<Money>) -> LedgerTx {
    LedgerTx {
        hash: signed(1).hash,
        account: wallet().account,
        slot: SLOT,
        result: FinalResult::parse(result).unwrap(),
        fee: Drops::from_const(10),
        source_tag: wallet().source_tag,
        memos: intent.memos.as_slice().to_vec(),
        body: LedgerBody::Payment {
            destination: intent.destination,
            destination_tag: intent.destination_tag,
            amount: intent.amount,
            delivered,
            invoice_id: Some(wallet().invoice_id(&key())),
        },
    }
}

pub(crate) fn noop_tx(memo: Memo) -> LedgerTx {
    LedgerTx {
        memos: vec![memo],
        body: LedgerBody::NoOp,
        hash: signed(9).hash,
        ..own_tx("tesSUCCESS", None)
    }
}

pub(crate) fn shown(index: u32, tx: LedgerTx) -> Presence {
    let reading = TransactionReading {
        source: own(),
        validated: true,
        ledger: ledger(index),
        tx,
    };
    Quorum::new(1).presence(&[reading]).unwrap()
}

pub(crate) fn confirmed(index: u32, tx: LedgerTx) -> Event {
    Event::Confirmed(shown(index, tx))
}

/// Ledger `index` shows that the destination wants no XRP.
pub(crate) fn cannot_receive(index: u32) -> Event {
    let reading = Reading {
        source: own(),
        ledger: ledger(index),
        fact: DestinationFacts {
            account: intent().destination,
            reserve_base: Drops::ZERO,
            root: Some(AccountRoot {
                balance: Drops::ZERO,
                flags: 0x0008_0000,
                is_pseudo: false,
                wallet_preauthorised: false,
            }),
        },
    };
    let destination = Quorum::new(1).observed(&[reading]).unwrap();
    let facts = Facts {
        destination: &destination,
        issued: None,
    };
    match check(&intent(), &wallet(), facts) {
        Verdict::Refused(refusal) => Event::CannotReceive(refusal),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn state(result: &Result<Step, IllegalEvent>) -> Option<StateName> {
    result.as_ref().ok().map(|step| step.next.state.name())
}

pub(crate) fn versions(payment: &Payment) -> Versions {
    match &payment.state {
        State::AtLarge(AtLarge { versions, .. }) => versions.clone(),
        other => panic!("{} has no versions", other.name().as_str()),
    }
}

pub(crate) fn newest(payment: &Payment) -> Version {
    versions(payment).latest().1.clone()
}

pub(crate) fn is_noop(version: &Version) -> bool {
    version.kind == VersionKind::NoOp
}
