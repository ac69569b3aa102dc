//! Reads back what the encoder writes, and nothing else: no field that we never send, no other order, no second way to
//! write the same. Total: any bytes give a transaction or an error.
//!
//! A reader that is stricter than the ledger is on purpose. What it returns has no part that was skipped, so whoever
//! decides on the returned transaction has decided on every byte.

use crate::address::AccountId;
use crate::asset::{Asset, Currency, CurrencyError};
use crate::drops::{Drops, DropsError};
use crate::fields::{
    ACCOUNT, AMOUNT, ARRAY_END, DESTINATION, DESTINATION_TAG, FEE, Field, INVOICE_ID,
    LAST_LEDGER_SEQUENCE, MEMO, MEMO_DATA, MEMO_FORMAT, MEMO_TYPE, MEMOS, NETWORK_ID, OBJECT_END,
    ONE_BYTE_LENGTH_MAX, SEND_MAX, SEQUENCE, SIGNING_PUB_KEY, SOURCE_TAG, TICKET_COUNT,
    TICKET_SEQUENCE, TRANSACTION_TYPE, TWO_BYTE_LENGTH_MAX, TXN_SIGNATURE, TYPE_ACCOUNT_SET,
    TYPE_PAYMENT, TYPE_TICKET_CREATE, XRP_POSITIVE,
};
use crate::hash::Hash256;
use crate::issued::{IssuedAmount, IssuedValue, IssuedValueError, ZeroValueError};
use crate::key::{PublicKey, PublicKeyError};
use crate::memo::{Memo, MemoError, Memos};
use crate::tx::{
    Amount, Body, HASH_PREFIX_SIGN, NoOp, Payment, SendMaxError, SignatureLengthError, Slot,
    TicketCountError, TicketCreate, Unsigned,
};

/// The two bits above an amount of XRP: whether it is another currency, and whether it is positive.
const XRP_FLAGS: u64 = 0xC000_0000_0000_0000;

/// In the first byte of an amount: it is of an issued currency.
const NOT_XRP: u8 = 0x80;

/// Why bytes are not a transaction that this crate writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// What is signed begins with "STX" and a zero.
    #[error("bytes to sign do not begin with the prefix of a transaction")]
    Prefix,
    /// The bytes end too early.
    #[error("transaction ends within {field}")]
    Truncated {
        /// Where.
        field: &'static str,
    },
    /// A field that we always send is not in its place.
    #[error("{field} is missing at byte {at}")]
    Missing {
        /// Which.
        field: &'static str,
        /// Where it should begin.
        at: usize,
    },
    /// Something follows that we never send there.
    #[error("byte {at} begins no field that is sent there")]
    Unexpected {
        /// Where it begins.
        at: usize,
    },
    /// A kind of transaction that we never send.
    #[error("TransactionType {number} is none that is sent")]
    TransactionType {
        /// Its number.
        number: u16,
    },
    /// A negative amount, or another asset where only XRP can be.
    #[error("{field} is not a positive amount of XRP")]
    NotXrp {
        /// Which amount.
        field: &'static str,
    },
    /// More XRP than there is.
    #[error("{field}: {source}")]
    Drops {
        /// Which amount.
        field: &'static str,
        /// What is wrong with it.
        source: DropsError,
    },
    /// A value of an issued currency in another form than the ledger's one.
    #[error("{field}: {source}")]
    IssuedValue {
        /// Which amount.
        field: &'static str,
        /// What is wrong with it.
        source: IssuedValueError,
    },
    /// A payment of nothing.
    #[error("{field}: {source}")]
    ZeroValue {
        /// Which amount.
        field: &'static str,
        /// What is wrong with it.
        source: ZeroValueError,
    },
    /// An amount of no currency that somebody issues.
    #[error("{field}: {source}")]
    Currency {
        /// Which amount.
        field: &'static str,
        /// What is wrong with it.
        source: CurrencyError,
    },
    /// What leaves is of another asset than what arrives.
    #[error("SendMax is of {send_max}, the amount of {amount}")]
    SendMaxAsset {
        /// What leaves.
        send_max: Asset,
        /// What arrives.
        amount: Asset,
    },
    /// Less may leave than has to arrive.
    #[error(transparent)]
    SendMax(#[from] SendMaxError),
    /// A byte string of a length that it never has.
    #[error("{field} has a length that it never has")]
    Length {
        /// Which.
        field: &'static str,
    },
    /// The signing key is none.
    #[error(transparent)]
    PublicKey(#[from] PublicKeyError),
    /// More tickets than an account can have, or none.
    #[error(transparent)]
    TicketCount(#[from] TicketCountError),
    /// A memo that servers refuse.
    #[error(transparent)]
    Memo(#[from] MemoError),
    /// The signature is none of the signing key.
    #[error(transparent)]
    Signature(#[from] SignatureLengthError),
    /// It has a meaning, but is not how we write that: an empty memo, a ticket with a sequence.
    #[error("transaction is not in the one form in which it is sent")]
    NotCanonical,
}

/// Reads what [`Unsigned::signing_payload`] wrote.
pub(crate) fn signing_payload(payload: &[u8]) -> Result<Unsigned, DecodeError> {
    if !payload.starts_with(&HASH_PREFIX_SIGN) {
        return Err(DecodeError::Prefix);
    }
    let mut reader = Reader {
        bytes: payload,
        at: HASH_PREFIX_SIGN.len(),
    };
    let tx = transaction(&mut reader, |_| Ok(()))?.0;
    if tx.signing_payload() != payload {
        return Err(DecodeError::NotCanonical);
    }
    Ok(tx)
}

/// Reads a signed transaction: the transaction and its signature.
pub(crate) fn blob(blob: &[u8]) -> Result<(Unsigned, Vec<u8>), DecodeError> {
    let mut reader = Reader { bytes: blob, at: 0 };
    let (tx, signature) = transaction(&mut reader, |reader| reader.byte_string(TXN_SIGNATURE))?;
    if tx.sign_with(signature)?.blob != blob {
        return Err(DecodeError::NotCanonical);
    }
    Ok((tx, signature.to_vec()))
}

/// The fields in their order, to the end of the bytes. `signature` reads what stands after the signing key.
fn transaction<'a, S>(
    reader: &mut Reader<'a>,
    signature: impl FnOnce(&mut Reader<'a>) -> Result<S, DecodeError>,
) -> Result<(Unsigned, S), DecodeError> {
    let (pays, makes_tickets) = match u16::from_be_bytes(reader.value(TRANSACTION_TYPE)?) {
        TYPE_PAYMENT => (true, false),
        TYPE_ACCOUNT_SET => (false, false),
        TYPE_TICKET_CREATE => (false, true),
        number => return Err(DecodeError::TransactionType { number }),
    };
    let network_id = reader.optional_u32(NETWORK_ID)?;
    let source_tag = reader.optional_u32(SOURCE_TAG)?;
    let sequence = u32::from_be_bytes(reader.value(SEQUENCE)?);
    let destination_tag = match pays {
        true => reader.optional_u32(DESTINATION_TAG)?,
        false => None,
    };
    let last_ledger_sequence = u32::from_be_bytes(reader.value(LAST_LEDGER_SEQUENCE)?);
    let tickets = match makes_tickets {
        true => Some(TicketCreate::new(u32::from_be_bytes(
            reader.value(TICKET_COUNT)?,
        ))?),
        false => None,
    };
    let ticket = reader.optional_u32(TICKET_SEQUENCE)?;
    let invoice_and_amount = match pays {
        true => Some((
            Hash256::from_bytes(reader.value(INVOICE_ID)?),
            reader.amount()?,
        )),
        false => None,
    };
    let fee = reader.xrp(FEE)?;
    let invoice_and_amount = match invoice_and_amount {
        Some((invoice_id, amount)) => Some((invoice_id, reader.with_send_max(amount)?)),
        None => None,
    };
    let signing_key = PublicKey::from_bytes(reader.byte_string(SIGNING_PUB_KEY)?)?;
    let signature = signature(reader)?;
    let account = reader.account(ACCOUNT)?;
    let body = match (invoice_and_amount, tickets) {
        (Some((invoice_id, amount)), _) => Body::Payment(Payment {
            destination: reader.account(DESTINATION)?,
            destination_tag,
            amount,
            invoice_id,
        }),
        (None, Some(tickets)) => Body::TicketCreate(tickets),
        (None, None) => Body::NoOp(NoOp),
    };
    let memos = reader.memos()?;
    reader.end()?;
    let tx = Unsigned {
        account,
        // A sequence besides the ticket is lost here and missed when the bytes are compared.
        slot: ticket.map_or(Slot::Sequence(sequence), Slot::Ticket),
        fee,
        last_ledger_sequence,
        network_id,
        source_tag,
        memos,
        body,
        signing_key,
    };
    Ok((tx, signature))
}

/// Bytes, and how far they are read.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Whether the field comes next. If so, its header is read.
    fn begins(&mut self, field: Field) -> bool {
        let begins = self.rest().starts_with(field.header);
        if begins {
            self.at += field.header.len();
        }
        begins
    }

    fn expect(&mut self, field: Field) -> Result<(), DecodeError> {
        let at = self.at;
        match self.begins(field) {
            true => Ok(()),
            false => Err(DecodeError::Missing {
                field: field.name,
                at,
            }),
        }
    }

    /// The bytes of a value whose header is read.
    fn take(&mut self, field: Field, length: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self
            .rest()
            .get(..length)
            .ok_or(DecodeError::Truncated { field: field.name })?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: Field) -> Result<[u8; N], DecodeError> {
        self.take(field, N)?
            .try_into()
            .map_err(|_| DecodeError::Truncated { field: field.name })
    }

    /// A field that is always there, of a fixed length.
    fn value<const N: usize>(&mut self, field: Field) -> Result<[u8; N], DecodeError> {
        self.expect(field)?;
        self.array(field)
    }

    fn optional_u32(&mut self, field: Field) -> Result<Option<u32>, DecodeError> {
        match self.begins(field) {
            true => Ok(Some(u32::from_be_bytes(self.array(field)?))),
            false => Ok(None),
        }
    }

    /// What arrives. What may leave is written further on.
    fn amount(&mut self) -> Result<Amount, DecodeError> {
        self.expect(AMOUNT)?;
        if self.rest().first().is_none_or(|byte| byte & NOT_XRP == 0) {
            return self.xrp_value(AMOUNT).map(Amount::Xrp);
        }
        let (asset, value) = self.issued_value(AMOUNT)?;
        let amount = IssuedAmount::new(asset, value).map_err(|source| DecodeError::ZeroValue {
            field: AMOUNT.name,
            source,
        })?;
        Ok(Amount::Issued {
            amount,
            send_max: None,
        })
    }

    /// The amount with its SendMax, if one follows. None ever belongs to XRP.
    fn with_send_max(&mut self, amount: Amount) -> Result<Amount, DecodeError> {
        let Amount::Issued { amount: issued, .. } = amount else {
            return Ok(amount);
        };
        if !self.begins(SEND_MAX) {
            return Ok(amount);
        }
        let (asset, send_max) = self.issued_value(SEND_MAX)?;
        if asset != issued.asset() {
            return Err(DecodeError::SendMaxAsset {
                send_max: asset,
                amount: issued.asset(),
            });
        }
        Ok(Amount::issued(issued, Some(send_max))?)
    }

    /// Value, currency and issuer of an amount whose header is read.
    fn issued_value(&mut self, field: Field) -> Result<(Asset, IssuedValue), DecodeError> {
        let value = IssuedValue::from_bytes(self.array(field)?).map_err(|source| {
            DecodeError::IssuedValue {
                field: field.name,
                source,
            }
        })?;
        let currency =
            Currency::from_bytes(self.array(field)?).map_err(|source| DecodeError::Currency {
                field: field.name,
                source,
            })?;
        let issuer = AccountId::from_bytes(self.array(field)?);
        Ok((Asset { currency, issuer }, value))
    }

    fn xrp(&mut self, field: Field) -> Result<Drops, DecodeError> {
        self.expect(field)?;
        self.xrp_value(field)
    }

    /// An amount of XRP whose header is read.
    fn xrp_value(&mut self, field: Field) -> Result<Drops, DecodeError> {
        let written = u64::from_be_bytes(self.array(field)?);
        if written & XRP_FLAGS != XRP_POSITIVE {
            return Err(DecodeError::NotXrp { field: field.name });
        }
        Drops::new(written & !XRP_FLAGS).map_err(|source| DecodeError::Drops {
            field: field.name,
            source,
        })
    }

    fn account(&mut self, field: Field) -> Result<AccountId, DecodeError> {
        let bytes = self.byte_string(field)?;
        let account = bytes
            .try_into()
            .map_err(|_| DecodeError::Length { field: field.name })?;
        Ok(AccountId::from_bytes(account))
    }

    /// A field that is always there, after its length.
    fn byte_string(&mut self, field: Field) -> Result<&'a [u8], DecodeError> {
        self.expect(field)?;
        self.byte_string_value(field)
    }

    fn byte_string_value(&mut self, field: Field) -> Result<&'a [u8], DecodeError> {
        let [first] = self.array(field)?;
        let first = usize::from(first);
        let length = if first <= ONE_BYTE_LENGTH_MAX {
            first
        } else {
            let [second] = self.array(field)?;
            let units = first - ONE_BYTE_LENGTH_MAX - 1;
            ONE_BYTE_LENGTH_MAX + 1 + units * 256 + usize::from(second)
        };
        // Above it, a third byte would follow: that is no length that we write.
        if length > TWO_BYTE_LENGTH_MAX {
            return Err(DecodeError::Length { field: field.name });
        }
        self.take(field, length)
    }

    fn memos(&mut self) -> Result<Memos, DecodeError> {
        let mut memos = Vec::new();
        if !self.begins(MEMOS) {
            return Ok(Memos::default());
        }
        while !self.begins(ARRAY_END) {
            self.expect(MEMO)?;
            let [memo_type, data, format] =
                [MEMO_TYPE, MEMO_DATA, MEMO_FORMAT].map(|field| match self.begins(field) {
                    true => self
                        .byte_string_value(field)
                        .map(|bytes| Some(bytes.to_vec())),
                    false => Ok(None),
                });
            memos.push(Memo {
                memo_type: memo_type?,
                data: data?,
                format: format?,
            });
            self.expect(OBJECT_END)?;
        }
        Ok(Memos::new(memos)?)
    }

    fn end(&self) -> Result<(), DecodeError> {
        match self.rest() {
            [] => Ok(()),
            _ => Err(DecodeError::Unexpected { at: self.at }),
        }
    }
}
