//! Owns the canonical binary form: fields in the order of (type, field), each after its header, written straight
//! into one buffer. The order stands written out in [`transaction`]; the tests hold it against another implementation.

use crate::address::AccountId;
use crate::asset::Asset;
use crate::drops::Drops;
use crate::fields::{
    ACCOUNT, AMOUNT, ARRAY_END, DESTINATION, DESTINATION_TAG, FEE, Field, INVOICE_ID,
    LAST_LEDGER_SEQUENCE, MEMO, MEMO_DATA, MEMO_FORMAT, MEMO_TYPE, MEMOS, NETWORK_ID, OBJECT_END,
    ONE_BYTE_LENGTH_MAX, SEND_MAX, SEQUENCE, SIGNING_PUB_KEY, SOURCE_TAG, TICKET_COUNT,
    TICKET_SEQUENCE, TRANSACTION_TYPE, TWO_BYTE_LENGTH_MAX, TXN_SIGNATURE, TYPE_ACCOUNT_SET,
    TYPE_PAYMENT, TYPE_TICKET_CREATE, XRP_POSITIVE,
};
use crate::issued::IssuedValue;
use crate::memo::{Memo, Memos};
use crate::tx::{Amount, Body, NoOp, Slot, Unsigned};

/// Enough for a payment with every field and a short memo, so that the buffer rarely grows.
const TRANSACTION_BYTES_USUAL: usize = 512;

/// The transaction after `prefix`, with its signature if there is one.
pub(crate) fn transaction(prefix: &[u8], tx: &Unsigned, signature: Option<&[u8]>) -> Vec<u8> {
    let (payment, ticket_count) = match &tx.body {
        Body::Payment(payment) => (Some(payment), None),
        Body::NoOp(NoOp) => (None, None),
        Body::TicketCreate(tickets) => (None, Some(tickets.count())),
    };
    let (sequence, ticket) = match tx.slot {
        Slot::Sequence(number) => (number, None),
        Slot::Ticket(number) => (0, Some(number)),
    };

    let mut out = Vec::with_capacity(TRANSACTION_BYTES_USUAL);
    out.extend_from_slice(prefix);
    put(
        &mut out,
        TRANSACTION_TYPE,
        &transaction_type(&tx.body).to_be_bytes(),
    );
    put_u32(&mut out, NETWORK_ID, tx.network_id);
    put_u32(&mut out, SOURCE_TAG, tx.source_tag);
    put_u32(&mut out, SEQUENCE, Some(sequence));
    put_u32(
        &mut out,
        DESTINATION_TAG,
        payment.and_then(|payment| payment.destination_tag),
    );
    put_u32(
        &mut out,
        LAST_LEDGER_SEQUENCE,
        Some(tx.last_ledger_sequence),
    );
    put_u32(&mut out, TICKET_COUNT, ticket_count);
    put_u32(&mut out, TICKET_SEQUENCE, ticket);
    if let Some(payment) = payment {
        put(&mut out, INVOICE_ID, payment.invoice_id.as_bytes());
        match payment.amount {
            Amount::Xrp(drops) => put_xrp(&mut out, AMOUNT, drops),
            Amount::Issued { amount, .. } => {
                put_issued(&mut out, AMOUNT, amount.asset(), amount.value());
            }
        }
    }
    put_xrp(&mut out, FEE, tx.fee);
    if let Some(Amount::Issued {
        amount,
        send_max: Some(send_max),
    }) = payment.map(|payment| payment.amount)
    {
        put_issued(&mut out, SEND_MAX, amount.asset(), send_max);
    }
    put_bytes(&mut out, SIGNING_PUB_KEY, tx.signing_key.as_bytes());
    if let Some(signature) = signature {
        put_bytes(&mut out, TXN_SIGNATURE, signature);
    }
    put_account(&mut out, ACCOUNT, &tx.account);
    if let Some(payment) = payment {
        put_account(&mut out, DESTINATION, &payment.destination);
    }
    put_memos(&mut out, &tx.memos);
    out
}

/// Bytes that a memo takes within the array, its own header and end marker included: what servers count.
pub(crate) fn memo_bytes(memo: &Memo) -> usize {
    let part = |part: &Option<Vec<u8>>| match part {
        Some(bytes) => MEMO_DATA.header.len() + length_prefix_bytes(bytes.len()) + bytes.len(),
        None => 0,
    };
    MEMO.header.len()
        + part(&memo.memo_type)
        + part(&memo.data)
        + part(&memo.format)
        + OBJECT_END.header.len()
}

// === Writers, one for each kind of field. An absent field takes no byte. ===

fn transaction_type(body: &Body) -> u16 {
    match body {
        Body::Payment(_) => TYPE_PAYMENT,
        Body::NoOp(NoOp) => TYPE_ACCOUNT_SET,
        Body::TicketCreate(_) => TYPE_TICKET_CREATE,
    }
}

#[inline]
fn put(out: &mut Vec<u8>, field: Field, value: &[u8]) {
    out.extend_from_slice(field.header);
    out.extend_from_slice(value);
}

#[inline]
fn put_u32(out: &mut Vec<u8>, field: Field, value: Option<u32>) {
    if let Some(value) = value {
        put(out, field, &value.to_be_bytes());
    }
}

#[inline]
fn put_xrp(out: &mut Vec<u8>, field: Field, drops: Drops) {
    put(out, field, &(XRP_POSITIVE | drops.get()).to_be_bytes());
}

#[inline]
fn put_issued(out: &mut Vec<u8>, field: Field, asset: Asset, value: IssuedValue) {
    put(out, field, &value.to_bytes());
    out.extend_from_slice(asset.currency.as_bytes());
    out.extend_from_slice(asset.issuer.as_bytes());
}

#[inline]
fn put_account(out: &mut Vec<u8>, field: Field, account: &AccountId) {
    put_bytes(out, field, account.as_bytes());
}

/// A byte string after its length.
#[inline]
fn put_bytes(out: &mut Vec<u8>, field: Field, value: &[u8]) {
    out.extend_from_slice(field.header);
    put_length(out, value.len());
    out.extend_from_slice(value);
}

fn put_memos(out: &mut Vec<u8>, memos: &Memos) {
    if memos.is_empty() {
        return;
    }
    out.extend_from_slice(MEMOS.header);
    for memo in memos.as_slice() {
        out.extend_from_slice(MEMO.header);
        for (field, part) in [
            (MEMO_TYPE, &memo.memo_type),
            (MEMO_DATA, &memo.data),
            (MEMO_FORMAT, &memo.format),
        ] {
            if let Some(bytes) = part {
                put_bytes(out, field, bytes);
            }
        }
        out.extend_from_slice(OBJECT_END.header);
    }
    out.extend_from_slice(ARRAY_END.header);
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    assert!(
        length <= TWO_BYTE_LENGTH_MAX,
        "keys, signatures, accounts and checked memos are short"
    );
    if length <= ONE_BYTE_LENGTH_MAX {
        out.push(length as u8);
    } else {
        let rest = length - ONE_BYTE_LENGTH_MAX - 1;
        out.extend_from_slice(&[193 + (rest >> 8) as u8, rest as u8]);
    }
}

/// Bytes that [`put_length`] writes.
fn length_prefix_bytes(length: usize) -> usize {
    if length <= ONE_BYTE_LENGTH_MAX { 1 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_the_documented_prefixes() {
        for (length, prefix) in [
            (0, &[0][..]),
            (20, &[20]),
            (192, &[192]),
            (193, &[193, 0]),
            (194, &[193, 1]),
            (448, &[193, 255]),
            (449, &[194, 0]),
            (1024, &[196, 63]),
            (12_480, &[240, 255]),
        ] {
            let mut out = Vec::new();
            put_length(&mut out, length);
            assert_eq!(out, prefix, "{length}");
            assert_eq!(length_prefix_bytes(length), prefix.len(), "{length}");
        }
    }
}
