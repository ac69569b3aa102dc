//! Small values to and from columns.
//!
//! Owns: the words, numbers and encoded blobs of the schema. May not: panic on what a row holds; a column that does not decode
//! is [`StoreError::Corrupt`] and names itself.

use paygate_payments::payment::{
    AtLarge, Binding, CancelCause, CannotReceive, EndProof, Ended, HoldCause, OnHold, Seal,
    Settled, State, StateName, VersionKind, Versions,
};
use paygate_payments::preflight::RefusalReason;
use paygate_payments::{LedgerIndex, LedgerRef};
use prost::Message;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use xrpl_tx::{Drops, Hash256, Memo, Memos, Slot};

use super::amounts;
use super::error::StoreError;

const SLOT_SEQUENCE: u32 = 1;
const SLOT_TICKET: u32 = 2;
const VERSION_PAYMENT: u32 = 1;
const VERSION_NOOP: u32 = 2;
const CANCEL_REQUESTED: &str = "REQUESTED";
const CANCEL_SIGNER_DENIED: &str = "SIGNER_DENIED";
const CANCEL_FORGOTTEN: &str = "FORGOTTEN";
const CANCEL_CANNOT_RECEIVE: &str = "DESTINATION_CANNOT_RECEIVE";

/// What decided a payment, or holds it. New kinds and fields may be added, never changed.
#[derive(Clone, PartialEq, Message)]
struct Evidence {
    #[prost(enumeration = "EvidenceKind", tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "2")]
    ledger_index: u32,
    #[prost(bytes = "vec", tag = "3")]
    ledger_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    tx_hash: Vec<u8>,
    #[prost(string, tag = "5")]
    result: String,
    #[prost(uint64, tag = "6")]
    delivered: u64,
    #[prost(uint64, tag = "7")]
    fee: u64,
    #[prost(string, repeated, tag = "8")]
    servers: Vec<String>,
    #[prost(uint32, tag = "9")]
    sequence: u32,
    #[prost(uint64, tag = "10")]
    journal_height: u64,
    #[prost(bytes = "vec", tag = "11")]
    journal_hash: Vec<u8>,
    #[prost(string, tag = "12")]
    reason: String,
    /// Value, currency and issuer as the ledger writes them, 48 bytes. Empty: XRP or nothing was delivered.
    #[prost(bytes = "vec", tag = "13")]
    delivered_issued: Vec<u8>,
    #[prost(string, tag = "14")]
    refusal: String,
    #[prost(uint32, tag = "15")]
    searched_from: u32,
    #[prost(uint32, tag = "16")]
    searched_to: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum EvidenceKind {
    Unspecified = 0,
    Settled = 1,
    NeverBound = 2,
    Absence = 3,
    Filled = 4,
    Sealed = 5,
    SlotTaken = 6,
    ConsumerUnknown = 7,
    DeliveredDiffers = 8,
    CannotReceive = 9,
    JumpedOver = 10,
    Displaced = 11,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MemoRows {
    #[prost(message, repeated, tag = "1")]
    memos: Vec<MemoRow>,
}

#[derive(Clone, PartialEq, Message)]
struct MemoRow {
    #[prost(bytes = "vec", optional, tag = "1")]
    memo_type: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    data: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    format: Option<Vec<u8>>,
}

/// The columns beside the state's name from which a state is put together.
pub(super) struct StateParts {
    pub(super) slot: Option<Slot>,
    pub(super) binding: Option<Binding>,
    pub(super) cancel: Option<CancelCause>,
    pub(super) versions: Option<Versions>,
    pub(super) evidence: Option<Vec<u8>>,
}

/// A whole number from a column. SQLite's own are signed; one below zero does not decode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole(pub(super) u64);

impl FromSql for Whole {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number)
            .map(Self)
            .map_err(|_| FromSqlError::OutOfRange(number))
    }
}

/// A number that SQLite can hold. Heights and drops stay far below 2^63.
pub(super) fn count(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number)
        .map_err(|_| StoreError::corrupt(format!("number {number} is above 2^63 - 1")))
}

pub(super) fn drops(number: u64, column: &str) -> Result<Drops, StoreError> {
    Drops::new(number).map_err(|error| StoreError::corrupt(format!("{column}: {error}")))
}

pub(super) fn ledger_ref(index: u32, hash: [u8; 32]) -> LedgerRef {
    LedgerRef {
        index: LedgerIndex(index),
        hash: Hash256::from_bytes(hash),
    }
}

pub(super) fn slot_columns(slot: Slot) -> (u32, u32) {
    match slot {
        Slot::Sequence(number) => (SLOT_SEQUENCE, number),
        Slot::Ticket(number) => (SLOT_TICKET, number),
    }
}

pub(super) fn slot(kind: u32, number: u32) -> Result<Slot, StoreError> {
    match kind {
        SLOT_SEQUENCE => Ok(Slot::Sequence(number)),
        SLOT_TICKET => Ok(Slot::Ticket(number)),
        _ => Err(StoreError::corrupt(format!("slot kind {kind}"))),
    }
}

pub(super) fn version_kind_column(kind: VersionKind) -> u32 {
    match kind {
        VersionKind::Payment => VERSION_PAYMENT,
        VersionKind::NoOp => VERSION_NOOP,
    }
}

pub(super) fn version_kind(kind: u32) -> Result<VersionKind, StoreError> {
    match kind {
        VERSION_PAYMENT => Ok(VersionKind::Payment),
        VERSION_NOOP => Ok(VersionKind::NoOp),
        _ => Err(StoreError::corrupt(format!("version kind {kind}"))),
    }
}

pub(super) fn cancel_column(cause: CancelCause) -> &'static str {
    match cause {
        CancelCause::Requested => CANCEL_REQUESTED,
        CancelCause::SignerDenied => CANCEL_SIGNER_DENIED,
        CancelCause::Forgotten => CANCEL_FORGOTTEN,
        CancelCause::DestinationCannotReceive => CANCEL_CANNOT_RECEIVE,
    }
}

pub(super) fn cancel(word: &str) -> Result<CancelCause, StoreError> {
    match word {
        CANCEL_REQUESTED => Ok(CancelCause::Requested),
        CANCEL_SIGNER_DENIED => Ok(CancelCause::SignerDenied),
        CANCEL_FORGOTTEN => Ok(CancelCause::Forgotten),
        CANCEL_CANNOT_RECEIVE => Ok(CancelCause::DestinationCannotReceive),
        _ => Err(StoreError::corrupt(format!("cancel cause {word:?}"))),
    }
}

pub(super) fn state_name(word: &str) -> Result<StateName, StoreError> {
    StateName::parse(word).ok_or_else(|| StoreError::corrupt(format!("state {word:?}")))
}

/// True while the payment takes part in the rolling day's sum.
pub(super) fn counts(state: StateName) -> bool {
    !state.is_final() || state == StateName::Paid
}

pub(super) fn memos_column(memos: &Memos) -> Option<Vec<u8>> {
    if memos.is_empty() {
        return None;
    }
    Some(MemoRows::of(memos.as_slice()).encode_to_vec())
}

pub(super) fn memos(blob: Option<&[u8]>) -> Result<Memos, StoreError> {
    let Some(blob) = blob else {
        return Ok(Memos::default());
    };
    Memos::new(memo_list(blob)?).map_err(|error| StoreError::corrupt(format!("memos: {error}")))
}

/// Memos as a ledger shows them, which may be others than we would send.
pub(super) fn memo_list(blob: &[u8]) -> Result<Vec<Memo>, StoreError> {
    let rows =
        MemoRows::decode(blob).map_err(|error| StoreError::corrupt(format!("memos: {error}")))?;
    let memo = |row: MemoRow| Memo {
        memo_type: row.memo_type,
        data: row.data,
        format: row.format,
    };
    Ok(rows.memos.into_iter().map(memo).collect())
}

impl MemoRows {
    pub(super) fn of(memos: &[Memo]) -> Self {
        let row = |memo: &Memo| MemoRow {
            memo_type: memo.memo_type.clone(),
            data: memo.data.clone(),
            format: memo.format.clone(),
        };
        Self {
            memos: memos.iter().map(row).collect(),
        }
    }
}

// === states ===

pub(super) fn evidence_column(state: &State) -> Option<Vec<u8>> {
    let evidence = match state {
        State::AwaitingApproval | State::Accepted | State::AtLarge(_) => return None,
        State::OnHold(held) => of_hold(held),
        State::Paid(settled) | State::Failed(settled) => of_settled(settled),
        State::Expired(ended)
        | State::Cancelled(ended, _)
        | State::Rejected(ended)
        | State::Displaced(ended) => of_end(&ended.proof),
    };
    Some(evidence.encode_to_vec())
}

/// Puts a state together from its name and columns.
pub(super) fn state(name: StateName, parts: StateParts) -> Result<State, StoreError> {
    match name {
        StateName::AwaitingApproval => return Ok(State::AwaitingApproval),
        StateName::Accepted => return Ok(State::Accepted),
        StateName::AtLarge => {
            return Ok(State::AtLarge(AtLarge {
                binding: need(parts.binding, "binding")?,
                versions: need(parts.versions, "versions")?,
            }));
        }
        StateName::OnHold
        | StateName::Paid
        | StateName::Failed
        | StateName::Expired
        | StateName::Cancelled
        | StateName::Rejected => {}
    }
    let blob = need(parts.evidence, "evidence")?;
    let evidence = Evidence::decode(blob.as_slice())
        .map_err(|error| StoreError::corrupt(format!("evidence: {error}")))?;
    match name {
        StateName::OnHold => Ok(State::OnHold(OnHold {
            binding: need(parts.binding, "binding")?,
            versions: need(parts.versions, "versions")?,
            why: evidence.hold_cause()?,
            seen: evidence.ledger()?,
        })),
        StateName::Paid => Ok(State::Paid(evidence.settled(need(parts.slot, "slot")?)?)),
        StateName::Failed if evidence.kind() == EvidenceKind::Displaced => {
            Ok(State::Displaced(Ended {
                slot: parts.slot,
                proof: evidence.end_proof()?,
            }))
        }
        StateName::Failed => Ok(State::Failed(evidence.settled(need(parts.slot, "slot")?)?)),
        StateName::Expired => Ok(State::Expired(Ended {
            slot: parts.slot,
            proof: evidence.end_proof()?,
        })),
        StateName::Cancelled => Ok(State::Cancelled(
            Ended {
                slot: parts.slot,
                proof: evidence.end_proof()?,
            },
            need(parts.cancel, "cause of its cancel")?,
        )),
        StateName::Rejected => Ok(State::Rejected(Ended {
            slot: parts.slot,
            proof: evidence.end_proof()?,
        })),
        StateName::AwaitingApproval | StateName::Accepted | StateName::AtLarge => {
            Err(StoreError::corrupt("a live state has evidence"))
        }
    }
}

fn need<T>(part: Option<T>, what: &str) -> Result<T, StoreError> {
    part.ok_or_else(|| StoreError::corrupt(format!("a payment's {what} is missing")))
}

fn hash(bytes: &[u8], what: &str) -> Result<Hash256, StoreError> {
    let bytes = <[u8; 32]>::try_from(bytes);
    bytes
        .map(Hash256::from_bytes)
        .map_err(|_| StoreError::corrupt(format!("{what} has other than 32 bytes")))
}

fn of_ledger(kind: EvidenceKind, ledger: LedgerRef) -> Evidence {
    Evidence {
        kind: kind.into(),
        ledger_index: ledger.index.0,
        ledger_hash: ledger.hash.as_bytes().to_vec(),
        ..Evidence::default()
    }
}

fn of_settled(settled: &Settled) -> Evidence {
    let (delivered, delivered_issued) = amounts::delivered_columns(settled.delivered);
    Evidence {
        tx_hash: settled.tx_hash.as_bytes().to_vec(),
        result: settled.result.clone(),
        delivered,
        delivered_issued,
        fee: settled.fee.get(),
        servers: settled.servers.clone(),
        ..of_ledger(EvidenceKind::Settled, settled.ledger)
    }
}

fn of_hold(held: &OnHold) -> Evidence {
    match held.why {
        HoldCause::SlotTaken { by } => Evidence {
            tx_hash: by.as_bytes().to_vec(),
            ..of_ledger(EvidenceKind::SlotTaken, held.seen)
        },
        HoldCause::JumpedOver { by } => Evidence {
            tx_hash: by.as_bytes().to_vec(),
            ..of_ledger(EvidenceKind::JumpedOver, held.seen)
        },
        HoldCause::ConsumerUnknown => of_ledger(EvidenceKind::ConsumerUnknown, held.seen),
        HoldCause::DeliveredDiffers { by } => Evidence {
            tx_hash: by.as_bytes().to_vec(),
            ..of_ledger(EvidenceKind::DeliveredDiffers, held.seen)
        },
    }
}

fn of_end(proof: &EndProof) -> Evidence {
    match proof {
        EndProof::NeverBound { validated } => Evidence {
            kind: EvidenceKind::NeverBound.into(),
            ledger_index: validated.0,
            ..Evidence::default()
        },
        EndProof::Absence {
            ledger,
            sequence,
            servers,
        } => Evidence {
            sequence: *sequence,
            servers: servers.clone(),
            ..of_ledger(EvidenceKind::Absence, *ledger)
        },
        EndProof::Filled {
            ledger,
            tx_hash,
            result,
            fee,
            servers,
        } => Evidence {
            tx_hash: tx_hash.as_bytes().to_vec(),
            result: result.clone(),
            fee: fee.get(),
            servers: servers.clone(),
            ..of_ledger(EvidenceKind::Filled, *ledger)
        },
        EndProof::Displaced {
            ledger,
            by,
            searched_from,
            searched_to,
        } => Evidence {
            tx_hash: by.as_bytes().to_vec(),
            searched_from: searched_from.0,
            searched_to: searched_to.0,
            ..of_ledger(EvidenceKind::Displaced, *ledger)
        },
        EndProof::Sealed(seal) => Evidence {
            kind: EvidenceKind::Sealed.into(),
            journal_height: seal.height,
            journal_hash: seal.hash.as_bytes().to_vec(),
            reason: seal.reason.clone(),
            ..Evidence::default()
        },
        EndProof::CannotReceive(cannot) => Evidence {
            refusal: cannot.reason.as_str().to_owned(),
            reason: cannot.detail.clone(),
            servers: cannot.servers.clone(),
            ..of_ledger(EvidenceKind::CannotReceive, cannot.ledger)
        },
    }
}

impl Evidence {
    fn ledger(&self) -> Result<LedgerRef, StoreError> {
        let hash = hash(&self.ledger_hash, "a ledger's hash in evidence")?;
        Ok(LedgerRef {
            index: LedgerIndex(self.ledger_index),
            hash,
        })
    }

    fn transaction(&self) -> Result<Hash256, StoreError> {
        hash(&self.tx_hash, "a transaction's hash in evidence")
    }

    fn settled(self, slot: Slot) -> Result<Settled, StoreError> {
        if self.kind() != EvidenceKind::Settled {
            return Err(StoreError::corrupt(format!(
                "a settled payment has evidence of kind {}",
                self.kind
            )));
        }
        Ok(Settled {
            slot,
            ledger: self.ledger()?,
            tx_hash: self.transaction()?,
            delivered: amounts::delivered(self.delivered, &self.delivered_issued)?,
            fee: drops(self.fee, "fee in evidence")?,
            result: self.result,
            servers: self.servers,
        })
    }

    fn hold_cause(&self) -> Result<HoldCause, StoreError> {
        match self.kind() {
            EvidenceKind::SlotTaken => Ok(HoldCause::SlotTaken {
                by: self.transaction()?,
            }),
            EvidenceKind::JumpedOver => Ok(HoldCause::JumpedOver {
                by: self.transaction()?,
            }),
            EvidenceKind::ConsumerUnknown => Ok(HoldCause::ConsumerUnknown),
            EvidenceKind::DeliveredDiffers => Ok(HoldCause::DeliveredDiffers {
                by: self.transaction()?,
            }),
            kind => Err(StoreError::corrupt(format!(
                "a payment on hold has evidence of kind {kind:?}"
            ))),
        }
    }

    fn end_proof(self) -> Result<EndProof, StoreError> {
        match self.kind() {
            EvidenceKind::NeverBound => Ok(EndProof::NeverBound {
                validated: LedgerIndex(self.ledger_index),
            }),
            EvidenceKind::Absence => Ok(EndProof::Absence {
                ledger: self.ledger()?,
                sequence: self.sequence,
                servers: self.servers,
            }),
            EvidenceKind::Filled => Ok(EndProof::Filled {
                ledger: self.ledger()?,
                tx_hash: self.transaction()?,
                fee: drops(self.fee, "the fee in evidence")?,
                result: self.result,
                servers: self.servers,
            }),
            EvidenceKind::Displaced => Ok(EndProof::Displaced {
                ledger: self.ledger()?,
                by: self.transaction()?,
                searched_from: LedgerIndex(self.searched_from),
                searched_to: LedgerIndex(self.searched_to),
            }),
            EvidenceKind::Sealed => Ok(EndProof::Sealed(Seal {
                height: self.journal_height,
                hash: hash(&self.journal_hash, "the journal's hash in evidence")?,
                reason: self.reason,
            })),
            EvidenceKind::CannotReceive => {
                let reason = RefusalReason::parse(&self.refusal).ok_or_else(|| {
                    StoreError::corrupt(format!("refusal {:?} in evidence", self.refusal))
                })?;
                Ok(EndProof::CannotReceive(CannotReceive {
                    ledger: self.ledger()?,
                    reason,
                    detail: self.reason,
                    servers: self.servers,
                }))
            }
            kind => Err(StoreError::corrupt(format!(
                "a payment that ended unpaid has evidence of kind {kind:?}"
            ))),
        }
    }
}
