//! Owns the transactions that we send, as types that can express nothing else: no flags, so no partial payment; no
//! paths; a SendMax only in the amount's own asset; always a LastLedgerSequence and, in a payment, always an InvoiceID.

use std::fmt;

use crate::address::AccountId;
use crate::decode::{self, DecodeError};
use crate::drops::Drops;
use crate::encode;
use crate::hash::{Hash256, sha512_half};
use crate::issued::{IssuedAmount, IssuedValue};
use crate::key::{Algorithm, PublicKey};
use crate::memo::Memos;

/// Precedes the fields in what is signed: "STX" and a zero.
pub(crate) const HASH_PREFIX_SIGN: [u8; 4] = *b"STX\0";

/// Precedes the blob in what is hashed to the transaction's id: "TXN" and a zero.
const HASH_PREFIX_ID: [u8; 4] = *b"TXN\0";

/// Networks up to this id refuse a transaction with a NetworkID field, those above refuse one without.
const NETWORK_ID_WITHOUT_FIELD_MAX: u32 = 1024;

/// The most tickets that an account can have, and so the most that a transaction can make.
pub const TICKETS_MAX: u32 = 250;

/// Bytes of an ed25519 signature.
const ED25519_SIGNATURE_BYTES: usize = 64;

/// Bytes of an ECDSA signature in DER, as servers check: two integers of 1 to 33 bytes, and their framing.
const ECDSA_SIGNATURE_BYTES_MIN: usize = 8;
const ECDSA_SIGNATURE_BYTES_MAX: usize = 72;

/// What a transaction uses up, and what only one transaction can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// A sequence number of the account.
    Sequence(u32),
    /// A ticket of the account.
    Ticket(u32),
}

/// How much is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Amount {
    /// XRP.
    Xrp(Drops),
    /// An issued currency. [`Amount::issued`] makes it of parts that nobody has checked.
    Issued {
        /// What arrives.
        amount: IssuedAmount,
        /// The most that leaves, of the same asset: what the issuer's transfer fee may take on top. None: nothing on top.
        send_max: Option<IssuedValue>,
    },
}

/// Less may leave than has to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SendMax {send_max} is below the amount {amount}")]
pub struct SendMaxError {
    /// The most that may leave.
    pub send_max: IssuedValue,
    /// What has to arrive.
    pub amount: IssuedValue,
}

/// What the transaction does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// Pays.
    Payment(Payment),
    /// Uses up its slot and does nothing else.
    NoOp(NoOp),
    /// Sets sequences aside as tickets.
    TicketCreate(TicketCreate),
}

/// A direct payment that delivers its whole amount or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Payment {
    /// Who is paid.
    pub destination: AccountId,
    /// For whom within the destination. Tag 0 is a tag.
    pub destination_tag: Option<u32>,
    /// What arrives.
    pub amount: Amount,
    /// Which payment of which client this is, see [`crate::invoice_id`].
    pub invoice_id: Hash256,
}

/// An AccountSet that sets nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NoOp;

/// Makes tickets of the account's next sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TicketCreate {
    count: u32,
}

/// A number of tickets that no transaction can make.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ticket count {count} is not within 1 to {TICKETS_MAX}")]
pub struct TicketCountError {
    /// The number.
    pub count: u32,
}

/// A whole transaction but for its signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unsigned {
    /// Who sends and pays the fee.
    pub account: AccountId,
    /// What it uses up.
    pub slot: Slot,
    /// What it costs, whatever comes of it.
    pub fee: Drops,
    /// The last ledger that may contain it.
    pub last_ledger_sequence: u32,
    /// What [`network_id_field`] says for the network.
    pub network_id: Option<u32>,
    /// Which application sent it.
    pub source_tag: Option<u32>,
    /// Notes that the ledger keeps.
    pub memos: Memos,
    /// What it does.
    pub body: Body,
    /// The key that will sign: the account's master key or its regular key.
    pub signing_key: PublicKey,
}

/// A transaction that a server would take.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signed {
    /// What is submitted.
    pub blob: Vec<u8>,
    /// The transaction's id.
    pub hash: Hash256,
}

/// The signature cannot be one of the signing key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signature has {bytes} bytes, which no {algorithm:?} signature has")]
pub struct SignatureLengthError {
    /// How many bytes it has.
    pub bytes: usize,
    /// The family of the signing key.
    pub algorithm: Algorithm,
}

/// The NetworkID field of transactions for a network: required above 1024, forbidden up to it.
pub const fn network_id_field(network: u32) -> Option<u32> {
    if network > NETWORK_ID_WITHOUT_FIELD_MAX {
        Some(network)
    } else {
        None
    }
}

// === impl Slot ===

impl Slot {
    /// The number of the sequence or ticket.
    pub const fn number(self) -> u32 {
        match self {
            Slot::Sequence(number) | Slot::Ticket(number) => number,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slot::Sequence(number) => write!(f, "sequence {number}"),
            Slot::Ticket(number) => write!(f, "ticket {number}"),
        }
    }
}

// === impl Amount ===

impl Amount {
    /// An amount of an issued currency, if as much may leave as has to arrive.
    pub fn issued(
        amount: IssuedAmount,
        send_max: Option<IssuedValue>,
    ) -> Result<Amount, SendMaxError> {
        match send_max {
            Some(send_max) if send_max < amount.value() => Err(SendMaxError {
                send_max,
                amount: amount.value(),
            }),
            _ => Ok(Amount::Issued { amount, send_max }),
        }
    }
}

// === impl TicketCreate ===

impl TicketCreate {
    /// Checks the number of tickets. Whether the account has room for so many is not known here.
    pub const fn new(count: u32) -> Result<TicketCreate, TicketCountError> {
        if count == 0 || count > TICKETS_MAX {
            return Err(TicketCountError { count });
        }
        Ok(TicketCreate { count })
    }

    /// How many tickets.
    pub const fn count(self) -> u32 {
        self.count
    }
}

// === impl Unsigned ===

impl Unsigned {
    /// The bytes to sign. Ed25519 signs them as they are, secp256k1 signs their SHA-512 half.
    pub fn signing_payload(&self) -> Vec<u8> {
        encode::transaction(&HASH_PREFIX_SIGN, self, None)
    }

    /// Reads back what [`Unsigned::signing_payload`] wrote, and refuses all else.
    pub fn from_signing_payload(payload: &[u8]) -> Result<Unsigned, DecodeError> {
        decode::signing_payload(payload)
    }

    /// Reads back the blob of a [`Signed`] with its signature, and refuses all else. Whether the signature is right is
    /// not looked at; [`Unsigned::sign_with`] makes the same blob of what this returns.
    pub fn from_blob(blob: &[u8]) -> Result<(Unsigned, Vec<u8>), DecodeError> {
        decode::blob(blob)
    }

    /// Puts the signature in. Checks its length only: whoever made it answers for it.
    pub fn sign_with(&self, signature: &[u8]) -> Result<Signed, SignatureLengthError> {
        let algorithm = self.signing_key.algorithm();
        let lengths = match algorithm {
            Algorithm::Ed25519 => ED25519_SIGNATURE_BYTES..=ED25519_SIGNATURE_BYTES,
            Algorithm::Secp256k1 => ECDSA_SIGNATURE_BYTES_MIN..=ECDSA_SIGNATURE_BYTES_MAX,
        };
        if !lengths.contains(&signature.len()) {
            return Err(SignatureLengthError {
                bytes: signature.len(),
                algorithm,
            });
        }
        let blob = encode::transaction(&[], self, Some(signature));
        let hash = sha512_half(&[&HASH_PREFIX_ID, &blob]);
        Ok(Signed { blob, hash })
    }
}
