//! What a frame says: a version of a payment, a no-op or a TicketCreate, or a seal. Owns the encoding of a record, byte for byte.
//!
//! A record refers to the frame before it of the same slot, so that all versions of a slot are found without an index
//! of them.

use xrpl_tx::{
    AccountId, Amount, Asset, Currency, Drops, IssuedAmount, IssuedValue, Slot, TicketCreate,
};

use crate::intent::{ID_CHARACTERS_MAX, PaymentKey};

/// Bodies are multiples of this, so that a frame's offset fits 32 bits for a journal of 32 GiB.
pub const ALIGNMENT_BYTES: usize = 8;

/// Longest body. A payment with 1,024 bytes of memos takes about 1,800.
pub const BODY_BYTES_MAX: usize = 4096;

/// Longest signed transaction that a record takes: 1,024 bytes of memos and every other field take about 1,450.
const BLOB_BYTES_MAX: usize = 2048;

const KIND_PAYMENT: u8 = 1;
const KIND_NO_OP: u8 = 2;
const KIND_SEAL: u8 = 3;
const KIND_ISSUED_PAYMENT: u8 = 4;
const KIND_TICKET_CREATE: u8 = 5;
const KIND_ADOPTION: u8 = 6;
const KIND_RECOVERY: u8 = 7;

/// In the place of a payment's key: two empty ids.
const NO_KEY: [u8; 2] = [0, 0];

/// In the place of a digest.
const NO_DIGEST: [u8; 32] = [0; 32];

const SLOT_SEQUENCE: u8 = 1;
const SLOT_TICKET: u8 = 2;

/// The slot of frames that are about none: no account has a Sequence 0.
pub const NO_SLOT: Slot = Slot::Sequence(0);

/// One approval, seal, or word of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The store that asked for it. All records have the same, until a person has the signer adopt another.
    pub store_id: [u8; 16],
    /// The store's generation. Never falls from record to record of a store.
    pub epoch: u64,
    /// When it was recorded, milliseconds since 1970. Never falls from record to record.
    pub recorded_at_ms: u64,
    /// The wallet. All records have the same.
    pub account: AccountId,
    /// The slot that it is about.
    pub slot: Slot,
    /// Where the frame before this one of the same slot begins; 0: this is the slot's first.
    pub previous_offset: u64,
    /// What was approved or sealed.
    pub entry: Entry,
}

/// What was approved or sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A version of a payment was signed.
    Payment {
        /// Which payment.
        key: PaymentKey,
        /// The intent digest: equal in all versions of a slot.
        digest: [u8; 32],
        /// What it pays.
        amount: Amount,
        /// The signed version.
        transaction: SignedTransaction,
    },
    /// A version of a no-op was signed: from here the slot takes only no-ops.
    NoOp {
        /// The payment that the slot was bound to.
        key: Option<PaymentKey>,
        /// The no-op's digest.
        digest: [u8; 32],
        /// The signed version.
        transaction: SignedTransaction,
    },
    /// A version of a TicketCreate was signed: the sequences after its own become tickets.
    TicketCreate {
        /// The TicketCreate's digest: equal in all versions of a slot.
        digest: [u8; 32],
        /// How many sequences it sets aside.
        tickets: TicketCreate,
        /// The signed version.
        transaction: SignedTransaction,
    },
    /// The payment is never signed, and the slot takes only no-ops.
    Seal {
        /// Which payment.
        key: PaymentKey,
        /// The intent digest of what was denied.
        digest: [u8; 32],
        /// The `DenialReason` of the contract.
        reason: u8,
    },
    /// A person said: from here on the journal belongs to the store of this record.
    Adoption,
    /// A person said that the journal was lost or put back, and is to be used again once the lost signatures are dead.
    Recovery {
        /// A validated ledger, from the person.
        validated_ledger: u32,
        /// Every signature that was lost is dead once this ledger is validated.
        until: u32,
        /// It was validated: the journal is in use again.
        done: bool,
    },
}

/// The signed bytes and what distinguishes them from other versions of the same content.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// Fee in drops.
    pub fee_drops: u64,
    /// The last ledger that may hold it.
    pub last_ledger_sequence: u32,
    /// The transaction's hash.
    pub hash: [u8; 32],
    /// The whole transaction.
    pub blob: Vec<u8>,
}

/// The bytes are not a record of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record is not one that this program writes: {0}")]
pub struct DecodeError(&'static str);

// === impl Record ===

impl Record {
    /// The signed transaction, if it is no seal.
    pub fn transaction(&self) -> Option<&SignedTransaction> {
        match &self.entry {
            Entry::Payment { transaction, .. }
            | Entry::NoOp { transaction, .. }
            | Entry::TicketCreate { transaction, .. } => Some(transaction),
            Entry::Seal { .. } | Entry::Adoption | Entry::Recovery { .. } => None,
        }
    }

    /// Whether it is a person's word about the journal, and about no slot.
    pub fn is_of_person(&self) -> bool {
        matches!(self.entry, Entry::Adoption | Entry::Recovery { .. })
    }

    /// The payment that it names.
    pub fn key(&self) -> Option<&PaymentKey> {
        match &self.entry {
            Entry::Payment { key, .. } | Entry::Seal { key, .. } => Some(key),
            Entry::NoOp { key, .. } => key.as_ref(),
            Entry::TicketCreate { .. } | Entry::Adoption | Entry::Recovery { .. } => None,
        }
    }

    /// The XRP that it can take from the wallet at most: amount and fee, in drops.
    pub fn charge_drops(&self) -> u64 {
        match &self.entry {
            Entry::Payment {
                amount: Amount::Xrp(amount),
                transaction,
                ..
            } => amount.get().saturating_add(transaction.fee_drops),
            Entry::Payment { transaction, .. }
            | Entry::NoOp { transaction, .. }
            | Entry::TicketCreate { transaction, .. } => transaction.fee_drops,
            Entry::Seal { .. } | Entry::Adoption | Entry::Recovery { .. } => 0,
        }
    }

    /// What it can take from the wallet of an issued currency at most.
    pub fn charge_issued(&self) -> Option<(Asset, IssuedValue)> {
        match &self.entry {
            Entry::Payment {
                amount: Amount::Issued { amount, send_max },
                ..
            } => Some((amount.asset(), send_max.unwrap_or(amount.value()))),
            _ => None,
        }
    }

    /// The body of its frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(640);
        out.push(match self.entry {
            Entry::Payment {
                amount: Amount::Xrp(_),
                ..
            } => KIND_PAYMENT,
            Entry::Payment {
                amount: Amount::Issued { .. },
                ..
            } => KIND_ISSUED_PAYMENT,
            Entry::TicketCreate { .. } => KIND_TICKET_CREATE,
            Entry::NoOp { .. } => KIND_NO_OP,
            Entry::Seal { .. } => KIND_SEAL,
            Entry::Adoption => KIND_ADOPTION,
            Entry::Recovery { .. } => KIND_RECOVERY,
        });
        out.extend_from_slice(&self.store_id);
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.recorded_at_ms.to_be_bytes());
        out.extend_from_slice(self.account.as_bytes());
        out.push(match self.slot {
            Slot::Sequence(_) => SLOT_SEQUENCE,
            Slot::Ticket(_) => SLOT_TICKET,
        });
        out.extend_from_slice(&self.slot.number().to_be_bytes());
        out.extend_from_slice(&self.previous_offset.to_be_bytes());
        match &self.entry {
            Entry::Payment {
                key,
                digest,
                amount,
                transaction,
            } => {
                out.extend_from_slice(digest);
                put_key(&mut out, key);
                put_amount(&mut out, amount);
                put_transaction(&mut out, transaction);
            }
            Entry::TicketCreate {
                digest,
                tickets,
                transaction,
            } => {
                out.extend_from_slice(digest);
                out.extend_from_slice(&NO_KEY);
                out.extend_from_slice(&tickets.count().to_be_bytes());
                put_transaction(&mut out, transaction);
            }
            Entry::NoOp {
                key,
                digest,
                transaction,
            } => {
                out.extend_from_slice(digest);
                match key {
                    Some(key) => put_key(&mut out, key),
                    None => out.extend_from_slice(&NO_KEY),
                }
                put_transaction(&mut out, transaction);
            }
            Entry::Seal {
                key,
                digest,
                reason,
            } => {
                out.extend_from_slice(digest);
                put_key(&mut out, key);
                out.push(*reason);
            }
            Entry::Adoption => {
                out.extend_from_slice(&NO_DIGEST);
                out.extend_from_slice(&NO_KEY);
            }
            Entry::Recovery {
                validated_ledger,
                until,
                done,
            } => {
                out.extend_from_slice(&NO_DIGEST);
                out.extend_from_slice(&NO_KEY);
                out.extend_from_slice(&validated_ledger.to_be_bytes());
                out.extend_from_slice(&until.to_be_bytes());
                out.push(u8::from(*done));
            }
        }
        out.resize(out.len().next_multiple_of(ALIGNMENT_BYTES), 0);
        out
    }

    /// Reads a body. Every byte counts: what `encode` would not write is refused.
    pub fn decode(body: &[u8]) -> Result<Record, DecodeError> {
        let mut reader = Reader { rest: body };
        let kind = reader.u8()?;
        let store_id = reader.array()?;
        let epoch = u64::from_be_bytes(reader.array()?);
        let recorded_at_ms = u64::from_be_bytes(reader.array()?);
        let account = AccountId::from_bytes(reader.array()?);
        let slot_kind = reader.u8()?;
        let number = u32::from_be_bytes(reader.array()?);
        let slot = match slot_kind {
            SLOT_SEQUENCE => Slot::Sequence(number),
            SLOT_TICKET => Slot::Ticket(number),
            _ => return Err(DecodeError("unknown kind of slot")),
        };
        let previous_offset = u64::from_be_bytes(reader.array()?);
        let digest = reader.array()?;
        let key = reader.key()?;
        let entry = match (kind, key) {
            (KIND_PAYMENT, Some(key)) => {
                let drops = Drops::new(u64::from_be_bytes(reader.array()?))
                    .map_err(|_| DecodeError("amount is above the supply of XRP"))?;
                Entry::Payment {
                    key,
                    digest,
                    amount: Amount::Xrp(drops),
                    transaction: reader.transaction()?,
                }
            }
            (KIND_ISSUED_PAYMENT, Some(key)) => Entry::Payment {
                key,
                digest,
                amount: reader.issued()?,
                transaction: reader.transaction()?,
            },
            (KIND_TICKET_CREATE, None) => Entry::TicketCreate {
                digest,
                tickets: TicketCreate::new(u32::from_be_bytes(reader.array()?))
                    .map_err(|_| DecodeError("number of tickets is none that can be made"))?,
                transaction: reader.transaction()?,
            },
            (KIND_NO_OP, key) => Entry::NoOp {
                key,
                digest,
                transaction: reader.transaction()?,
            },
            (KIND_SEAL, Some(key)) => Entry::Seal {
                key,
                digest,
                reason: reader.u8()?,
            },
            (KIND_ADOPTION | KIND_RECOVERY, None)
                if digest != NO_DIGEST || slot != NO_SLOT || previous_offset != 0 =>
            {
                return Err(DecodeError("a person's word has a slot or a digest"));
            }
            (KIND_ADOPTION, None) => Entry::Adoption,
            (KIND_RECOVERY, None) => Entry::Recovery {
                validated_ledger: u32::from_be_bytes(reader.array()?),
                until: u32::from_be_bytes(reader.array()?),
                done: match reader.u8()? {
                    0 => false,
                    1 => true,
                    _ => return Err(DecodeError("a recovery is neither done nor under way")),
                },
            },
            (KIND_PAYMENT | KIND_ISSUED_PAYMENT | KIND_SEAL, None) => {
                return Err(DecodeError("payment key is missing"));
            }
            (KIND_TICKET_CREATE | KIND_ADOPTION | KIND_RECOVERY, Some(_)) => {
                return Err(DecodeError("payment key is where none belongs"));
            }
            _ => return Err(DecodeError("unknown kind: a newer program wrote it")),
        };
        reader.end()?;
        Ok(Record {
            store_id,
            epoch,
            recorded_at_ms,
            account,
            slot,
            previous_offset,
            entry,
        })
    }
}

fn put_key(out: &mut Vec<u8>, key: &PaymentKey) {
    for id in [key.client_id(), key.payment_id()] {
        let length = u8::try_from(id.len()).expect("ids are checked to have at most 64 characters");
        out.push(length);
        out.extend_from_slice(id.as_bytes());
    }
}

/// Drops; or value, currency and issuer, and the SendMax after a byte that says whether there is one.
fn put_amount(out: &mut Vec<u8>, amount: &Amount) {
    let (amount, send_max) = match amount {
        Amount::Xrp(drops) => {
            out.extend_from_slice(&drops.get().to_be_bytes());
            return;
        }
        Amount::Issued { amount, send_max } => (amount, send_max),
    };
    out.extend_from_slice(&amount.value().to_bytes());
    out.extend_from_slice(amount.asset().currency.as_bytes());
    out.extend_from_slice(amount.asset().issuer.as_bytes());
    match send_max {
        Some(send_max) => {
            out.push(1);
            out.extend_from_slice(&send_max.to_bytes());
        }
        None => out.push(0),
    }
}

fn put_transaction(out: &mut Vec<u8>, transaction: &SignedTransaction) {
    out.extend_from_slice(&transaction.fee_drops.to_be_bytes());
    out.extend_from_slice(&transaction.last_ledger_sequence.to_be_bytes());
    out.extend_from_slice(&transaction.hash);
    assert!(
        transaction.blob.len() <= BLOB_BYTES_MAX,
        "a typed intent's blob is short; a longer one could not be read again"
    );
    let length = u16::try_from(transaction.blob.len())
        .expect("blobs of typed intents stay far below 64 KiB");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&transaction.blob);
}

// === impl SignedTransaction ===

impl std::fmt::Debug for SignedTransaction {
    // Not the blob: what is printed ends up in logs, and whoever has the blob can submit it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedTransaction")
            .field("fee_drops", &self.fee_drops)
            .field("last_ledger_sequence", &self.last_ledger_sequence)
            .field("hash", &hex::encode_upper(self.hash))
            .finish_non_exhaustive()
    }
}

// === impl Reader ===

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    fn key(&mut self) -> Result<Option<PaymentKey>, DecodeError> {
        let client_id = self.id()?;
        let payment_id = self.id()?;
        if client_id.is_empty() && payment_id.is_empty() {
            return Ok(None);
        }
        PaymentKey::new(client_id, payment_id)
            .map(Some)
            .map_err(|_| DecodeError("payment key has a bad id"))
    }

    fn id(&mut self) -> Result<&'a str, DecodeError> {
        let length = usize::from(self.u8()?);
        if length > ID_CHARACTERS_MAX {
            return Err(DecodeError("payment key is too long"));
        }
        std::str::from_utf8(self.take(length)?).map_err(|_| DecodeError("payment key is not text"))
    }

    fn issued(&mut self) -> Result<Amount, DecodeError> {
        let value = self.issued_value()?;
        let currency = Currency::from_bytes(self.array()?)
            .map_err(|_| DecodeError("currency of the amount is none"))?;
        let issuer = AccountId::from_bytes(self.array()?);
        let amount = IssuedAmount::new(Asset { currency, issuer }, value)
            .map_err(|_| DecodeError("issued amount is 0"))?;
        let send_max = match self.u8()? {
            0 => None,
            1 => Some(self.issued_value()?),
            _ => return Err(DecodeError("SendMax is neither there nor absent")),
        };
        Amount::issued(amount, send_max).map_err(|_| DecodeError("SendMax is below the amount"))
    }

    fn issued_value(&mut self) -> Result<IssuedValue, DecodeError> {
        IssuedValue::from_bytes(self.array()?).map_err(|_| DecodeError("issued value is none"))
    }

    fn transaction(&mut self) -> Result<SignedTransaction, DecodeError> {
        let fee_drops = u64::from_be_bytes(self.array()?);
        let last_ledger_sequence = u32::from_be_bytes(self.array()?);
        let hash = self.array()?;
        let length = usize::from(u16::from_be_bytes(self.array()?));
        if length > BLOB_BYTES_MAX {
            return Err(DecodeError("signed transaction is too long"));
        }
        let blob = self.take(length)?.to_vec();
        Ok(SignedTransaction {
            fee_drops,
            last_ledger_sequence,
            hash,
            blob,
        })
    }

    fn end(self) -> Result<(), DecodeError> {
        if self.rest.len() >= ALIGNMENT_BYTES || self.rest.iter().any(|byte| *byte != 0) {
            return Err(DecodeError("bytes follow its end"));
        }
        Ok(())
    }
}
