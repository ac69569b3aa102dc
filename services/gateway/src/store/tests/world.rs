//! What the stories share: a store in a folder of its own, and a ledger that says what a test wants.

use paygate_payments::intent::{Id, Intent, PaymentKey, Wallet};
use paygate_payments::limits::Limits;
use paygate_payments::payment::{State, StateName};
use paygate_payments::proof::{
    FinalResult, LedgerBody, LedgerTx, Presence, Quorum, SequenceReading, Source, StateProof,
    TransactionReading,
};
use paygate_payments::terms::Terms;
use paygate_payments::{LedgerIndex, LedgerRef};
use tempfile::TempDir;
use xrpl_tx::{AccountId, Amount, Drops, Hash256, Memo, Memos, Signed, Slot};

use crate::clock::Millis;
use crate::store::{
    Accept, Actor, Bind, NewPayment, Reconciled, Reconciliation, Record, Store, StoreError,
    StoreOptions,
};

pub(super) const NOON: Millis = Millis(1_795_435_200_000);
pub(super) const XRP: u64 = 1_000_000;

pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) store: Store,
    pub(super) epoch: u64,
}

pub(super) fn wallet() -> Wallet {
    Wallet {
        network_id: 0,
        account: AccountId::from_bytes([7; 20]),
        source_tag: Some(55),
    }
}

pub(super) fn limits() -> Limits {
    Limits {
        payment_min: Drops::from_const(1000),
        payment_max: Drops::from_const(100 * XRP),
        day_max: Drops::from_const(1000 * XRP),
        pending_max: 50,
        assets: Vec::new(),
        approval_threshold: None,
        approval_window: paygate_payments::limits::APPROVAL_WINDOW_DEFAULT,
        clients: Vec::new(),
        stage: None,
    }
}

pub(super) fn options(folder: &TempDir, limits: Limits) -> StoreOptions {
    StoreOptions {
        path: folder.path().join("paygate.db"),
        wallet: wallet(),
        limits,
    }
}

pub(super) fn drops(n: u64) -> Drops {
    Drops::new(n).unwrap()
}

pub(super) fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

/// A person on duty.
pub(super) fn ops() -> Actor {
    Actor::of(id("ops"))
}

pub(super) fn key(payment: &str) -> PaymentKey {
    PaymentKey {
        client: id("shop"),
        payment: id(payment),
    }
}

pub(super) fn hash(byte: u8) -> Hash256 {
    Hash256::from_bytes([byte; 32])
}

pub(super) fn ledger(index: u32) -> LedgerRef {
    let mut bytes = [9; 32];
    bytes[..4].copy_from_slice(&index.to_be_bytes());
    LedgerRef {
        index: LedgerIndex(index),
        hash: Hash256::from_bytes(bytes),
    }
}

pub(super) fn terms(last_ledger: u32) -> Terms {
    Terms {
        fee: Drops::from_const(10),
        last_ledger: LedgerIndex(last_ledger),
    }
}

pub(super) fn intent(payment: &str) -> Intent {
    let memo = Memo::new(Some(b"note".to_vec()), Some(b"invoice 17".to_vec()), None).unwrap();
    Intent {
        key: key(payment),
        destination: AccountId::from_bytes([3; 20]),
        destination_tag: Some(0),
        amount: Amount::Xrp(drops(25 * XRP)),
        memos: Memos::new(vec![memo]).unwrap(),
        retry_of: None,
    }
}

pub(super) fn new(payment: &str) -> NewPayment {
    NewPayment {
        intent: intent(payment),
        deadline: None,
        trace_parent: Some("00-aa-bb-01".to_owned()),
        at: NOON,
    }
}

pub(super) fn signed(byte: u8) -> Signed {
    Signed {
        blob: vec![byte; 5],
        hash: hash(byte),
    }
}

fn source() -> Source {
    Source {
        operator: "ripple".to_owned(),
        own: true,
    }
}

pub(super) fn state_proof(index: u32, sequence: u32) -> StateProof {
    let reading = SequenceReading {
        source: source(),
        validated: true,
        ledger: ledger(index),
        account: wallet().account,
        sequence,
    };
    Quorum::new(1).state_proof(&[reading]).unwrap()
}

pub(super) fn shown(index: u32, tx: LedgerTx) -> Presence {
    let reading = TransactionReading {
        source: source(),
        validated: true,
        ledger: ledger(index),
        tx,
    };
    Quorum::new(1).presence(&[reading]).unwrap()
}

/// The payment as the ledger would hold it.
pub(super) fn payment_tx(record: &Record, slot: u32, byte: u8, code: &str) -> LedgerTx {
    let intent = &record.payment.intent;
    let result = FinalResult::parse(code).unwrap();
    let delivered = (result == FinalResult::Success).then(|| intent.gets());
    LedgerTx {
        hash: hash(byte),
        account: wallet().account,
        slot: Slot::Sequence(slot),
        result,
        fee: drops(10),
        source_tag: wallet().source_tag,
        memos: intent.memos.as_slice().to_vec(),
        body: LedgerBody::Payment {
            destination: intent.destination,
            destination_tag: intent.destination_tag,
            amount: intent.amount,
            delivered,
            invoice_id: Some(record.payment.invoice_id),
        },
    }
}

pub(super) fn noop_tx(memo: Memo, slot: u32, byte: u8) -> LedgerTx {
    LedgerTx {
        hash: hash(byte),
        account: wallet().account,
        slot: Slot::Sequence(slot),
        result: FinalResult::Success,
        fee: drops(10),
        source_tag: wallet().source_tag,
        memos: vec![memo],
        body: LedgerBody::NoOp,
    }
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(limits()).await
    }

    pub(super) async fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(options(&folder, limits)).unwrap();
        let epoch = store.begin_epoch().await.unwrap();
        store.start_at(ledger(100)).await.unwrap();
        store.pass_continuity(epoch, NOON).await.unwrap();
        Self {
            folder,
            store,
            epoch,
        }
    }

    pub(super) async fn created(&self, new: NewPayment) -> Record {
        match self.store.create(new).await.unwrap() {
            Accept::Created(record) => record,
            other => panic!("not created: {other:?}"),
        }
    }

    pub(super) async fn bound(&self, payment: &str, slot: u32, last_ledger: u32) -> Record {
        let bind = Bind {
            key: key(payment),
            slot: Slot::Sequence(slot),
            since: LedgerIndex(100),
            terms: terms(last_ledger),
        };
        self.store
            .bind(self.epoch, vec![bind], NOON)
            .await
            .unwrap()
            .remove(0)
    }

    pub(super) async fn validated(
        &self,
        index: u32,
        sequence: u32,
        settled: Vec<Presence>,
    ) -> Result<Reconciled, StoreError> {
        self.store
            .reconcile(self.epoch, self.story(index, sequence, settled))
            .await
    }

    pub(super) fn story(
        &self,
        index: u32,
        sequence: u32,
        settled: Vec<Presence>,
    ) -> Reconciliation {
        Reconciliation {
            ledger: ledger(index),
            closed_at: Some(NOON),
            sequence,
            balance: drops(500 * XRP),
            settled,
            proof: state_proof(index, sequence),
            terms: Some(terms(index + 20)),
            guards: crate::store::Guards::default(),
            signer_highest: Some(0),
            window: 20,
            at: NOON,
        }
    }

    pub(super) async fn state(&self, payment: &str) -> State {
        self.store
            .get(&key(payment))
            .await
            .unwrap()
            .unwrap()
            .payment
            .state
    }

    pub(super) async fn name(&self, payment: &str) -> StateName {
        self.state(payment).await.name()
    }

    pub(super) async fn frozen(&self) -> bool {
        self.store.cursor().await.unwrap().frozen.is_some()
    }
}
