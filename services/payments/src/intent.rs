//! What a caller asked for: identity, content, and the digests that bind both to a slot.
//!
//! Owns: the rules of ids, the fingerprint that tells a repeated request from a changed one, the intent digest. May not:
//! know of fees or LastLedgerSequence, which belong to a version.

use std::fmt;

use xrpl_tx::{AccountId, Amount, Drops, Hash256, Memos, Slot};

use crate::money::Money;

/// Longest id, in bytes. InvoiceIDs hash it, so this only bounds storage and logs.
pub const ID_BYTES_MAX: usize = 64;

/// An id of a caller or a payment: 1 to 64 characters of `[A-Za-z0-9._:-]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdError {
    /// It is empty.
    Empty,
    /// It has so many bytes.
    TooLong(usize),
    /// The character at this byte is not allowed.
    Character(usize),
}

/// A payment's name: whose it is, and what the caller calls it. Unique for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentKey {
    /// The caller's identity.
    pub client: Id,
    /// The caller's own id.
    pub payment: Id,
}

/// The hot wallet as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// Number of the network.
    pub network_id: u32,
    /// The wallet's account.
    pub account: AccountId,
    /// SourceTag that every transaction carries.
    pub source_tag: Option<u32>,
}

/// What is to be paid. Fixed for ever once stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Name of the payment.
    pub key: PaymentKey,
    /// Who is paid.
    pub destination: AccountId,
    /// The tag at the destination; 0 is a tag.
    pub destination_tag: Option<u32>,
    /// How much the destination gets.
    pub amount: Amount,
    /// Notes for everybody to read.
    pub memos: Memos,
    /// The client's own earlier payment that this one stands in for.
    pub retry_of: Option<Id>,
}

/// A field in which two requests of one id differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentField {
    /// XRP or issued, or the number of drops.
    Amount,
    /// Currency of an issued amount.
    Currency,
    /// Issuer of an issued amount.
    Issuer,
    /// Number of an issued amount.
    Value,
    /// Destination.
    Destination,
    /// Destination tag.
    DestinationTag,
    /// Memos.
    Memos,
    /// Predecessor.
    RetryOf,
}

// === impl Id ===

impl Id {
    /// Checks `text`.
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        if text.len() > ID_BYTES_MAX {
            return Err(IdError::TooLong(text.len()));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
        match text.bytes().position(|b| !allowed(b)) {
            Some(at) => Err(IdError::Character(at)),
            None => Ok(Self(text)),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "is empty, must have 1 to {ID_BYTES_MAX} characters"),
            Self::TooLong(n) => write!(f, "has {n} bytes, must have 1 to {ID_BYTES_MAX}"),
            Self::Character(at) => {
                write!(
                    f,
                    "has a character at byte {at} that is none of [A-Za-z0-9._:-]"
                )
            }
        }
    }
}

impl std::error::Error for IdError {}

impl fmt::Display for PaymentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.client, self.payment)
    }
}

// === impl Wallet ===

impl Wallet {
    /// The InvoiceID under which the ledger itself remembers the payment.
    #[must_use]
    pub fn invoice_id(&self, key: &PaymentKey) -> Hash256 {
        xrpl_tx::invoice_id(
            self.network_id,
            self.account,
            key.client.as_str(),
            key.payment.as_str(),
        )
    }
}

// === impl Intent ===

impl IntentField {
    /// The field's name in the contract.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Amount => "amount",
            Self::Currency => "issued.currency",
            Self::Issuer => "issued.issuer",
            Self::Value => "issued.value",
            Self::Destination => "destination",
            Self::DestinationTag => "destination_tag",
            Self::Memos => "memos",
            Self::RetryOf => "retry_of",
        }
    }
}

impl Intent {
    /// The first field in which `other`, a request with the same id, asks for something else. `None`: the same payment. The
    /// SendMax is not asked for: it comes from the configuration, which may have changed between the two.
    #[must_use]
    pub fn differs_from(&self, other: &Self) -> Option<IntentField> {
        if let Some(field) = amounts_differ(self.amount, other.amount) {
            Some(field)
        } else if self.destination != other.destination {
            Some(IntentField::Destination)
        } else if self.destination_tag != other.destination_tag {
            Some(IntentField::DestinationTag)
        } else if self.memos != other.memos {
            Some(IntentField::Memos)
        } else if self.retry_of != other.retry_of {
            Some(IntentField::RetryOf)
        } else {
            None
        }
    }

    /// What the destination gets.
    #[must_use]
    pub fn gets(&self) -> Money {
        Money::delivered_by(self.amount)
    }

    /// The most that the payment takes out of the wallet, without the ledger's fee.
    #[must_use]
    pub fn takes(&self) -> Money {
        Money::taken_by(self.amount)
    }

    /// Drops that the payment takes out of the wallet, without the fee: none if it pays an issued currency.
    #[must_use]
    pub fn drops(&self) -> Drops {
        self.takes().drops().unwrap_or(Drops::ZERO)
    }

    /// What ties this content to `slot` of `wallet`. The signer computes it on its own and denies a request that differs.
    #[must_use]
    pub fn digest(&self, wallet: &Wallet, slot: Slot) -> Hash256 {
        let mut text = Vec::with_capacity(256);
        text.extend_from_slice(b"paygate/intent/v1\0");
        frame(&mut text, self.key.client.as_str().as_bytes());
        frame(&mut text, self.key.payment.as_str().as_bytes());
        text.extend_from_slice(wallet.account.as_bytes());
        match slot {
            Slot::Sequence(n) => {
                text.push(1);
                text.extend_from_slice(&n.to_be_bytes());
            }
            Slot::Ticket(n) => {
                text.push(2);
                text.extend_from_slice(&n.to_be_bytes());
            }
        }
        text.extend_from_slice(self.destination.as_bytes());
        optional_u32(&mut text, self.destination_tag);
        optional_u32(&mut text, wallet.source_tag);
        match self.amount {
            Amount::Xrp(drops) => {
                text.push(0);
                text.extend_from_slice(&drops.get().to_be_bytes());
                text.push(0); // no SendMax
            }
            Amount::Issued { amount, send_max } => {
                text.push(1);
                text.extend_from_slice(amount.asset().currency.as_bytes());
                text.extend_from_slice(amount.asset().issuer.as_bytes());
                text.extend_from_slice(&amount.value().to_bytes());
                match send_max {
                    None => text.push(0),
                    Some(send_max) => {
                        text.push(1);
                        text.extend_from_slice(&send_max.to_bytes());
                    }
                }
            }
        }
        let memos = self.memos.as_slice();
        text.extend_from_slice(&length(memos.len()));
        for memo in memos {
            optional_frame(&mut text, memo.memo_type.as_deref());
            optional_frame(&mut text, memo.data.as_deref());
            optional_frame(&mut text, memo.format.as_deref());
        }
        text.extend_from_slice(wallet.invoice_id(&self.key).as_bytes());
        xrpl_tx::sha256(&[&text])
    }
}

fn amounts_differ(one: Amount, other: Amount) -> Option<IntentField> {
    match (one, other) {
        (Amount::Xrp(one), Amount::Xrp(other)) => (one != other).then_some(IntentField::Amount),
        (Amount::Issued { amount: one, .. }, Amount::Issued { amount: other, .. }) => {
            if one.asset().currency != other.asset().currency {
                Some(IntentField::Currency)
            } else if one.asset().issuer != other.asset().issuer {
                Some(IntentField::Issuer)
            } else {
                (one.value() != other.value()).then_some(IntentField::Value)
            }
        }
        (Amount::Xrp(_), Amount::Issued { .. }) | (Amount::Issued { .. }, Amount::Xrp(_)) => {
            Some(IntentField::Amount)
        }
    }
}

/// Every length here is bounded by a request's size, far under 4 GiB.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes)
        .expect("a request is far smaller than 4 GiB")
        .to_be_bytes()
}

fn frame(text: &mut Vec<u8>, bytes: &[u8]) {
    text.extend_from_slice(&length(bytes.len()));
    text.extend_from_slice(bytes);
}

fn optional_u32(text: &mut Vec<u8>, value: Option<u32>) {
    match value {
        None => text.push(0),
        Some(value) => {
            text.push(1);
            text.extend_from_slice(&value.to_be_bytes());
        }
    }
}

fn optional_frame(text: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => text.push(0),
        Some(bytes) => {
            text.push(1);
            frame(text, bytes);
        }
    }
}
