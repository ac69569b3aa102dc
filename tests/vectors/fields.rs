//! A vector: what a transaction means, by the names of the ledger's documentation, and the bytes that somebody made of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use xrpl_tx::{
    AccountId, Amount, Asset, Body, Drops, IssuedAmount, IssuedValue, Memo, Memos, NoOp, Payment,
    PublicKey, Slot, TicketCreate, Unsigned,
};

/// A transaction that somebody signed, with what it means.
#[derive(Deserialize, Serialize)]
pub(crate) struct Vector {
    pub(crate) seed: String,
    pub(crate) network: u32,
    #[serde(flatten)]
    pub(crate) named: Option<Named>,
    /// The fields as the ledger's documentation writes them, without key and signature.
    pub(crate) tx: Value,
    pub(crate) blob: String,
    pub(crate) hash: String,
}

/// The payment that an InvoiceID or a memo names.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Named {
    pub(crate) client: String,
    pub(crate) payment: String,
}

/// The transaction that the fields mean. Every field must have been looked at.
pub(crate) fn meant(fields: &Value, signing_key: PublicKey) -> Unsigned {
    let mut fields = fields.as_object().unwrap().clone();
    let mut take = |name: &str| fields.remove(name);
    let number = |value: Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    let text = |value: Value| value.as_str().unwrap().to_owned();
    let drops = |value: Value| Drops::new(text(value).parse().unwrap()).unwrap();
    let account = |value: Value| -> AccountId { text(value).parse().unwrap() };

    let sequence = number(take("Sequence").unwrap());
    let slot = match take("TicketSequence").map(number) {
        Some(ticket) if sequence == 0 => Slot::Ticket(ticket),
        Some(_) => panic!("a ticket besides sequence {sequence}"),
        None => Slot::Sequence(sequence),
    };
    let body = match text(take("TransactionType").unwrap()).as_str() {
        "Payment" => Body::Payment(Payment {
            destination: account(take("Destination").unwrap()),
            destination_tag: take("DestinationTag").map(number),
            amount: meant_amount(&take("Amount").unwrap(), take("SendMax")),
            invoice_id: text(take("InvoiceID").unwrap()).parse().unwrap(),
        }),
        "AccountSet" => Body::NoOp(NoOp),
        "TicketCreate" => {
            let count = number(take("TicketCount").unwrap());
            Body::TicketCreate(TicketCreate::new(count).unwrap())
        }
        other => panic!("{other} is no kind that is sent"),
    };
    let memos = take("Memos").unwrap_or_else(|| json!([]));
    let tx = Unsigned {
        account: account(take("Account").unwrap()),
        slot,
        fee: drops(take("Fee").unwrap()),
        last_ledger_sequence: number(take("LastLedgerSequence").unwrap()),
        network_id: take("NetworkID").map(number),
        source_tag: take("SourceTag").map(number),
        memos: Memos::new(memos.as_array().unwrap().iter().map(meant_memo).collect()).unwrap(),
        body,
        signing_key,
    };
    assert!(fields.is_empty(), "not looked at: {fields:?}");
    tx
}

fn meant_amount(amount: &Value, send_max: Option<Value>) -> Amount {
    let issued = |fields: &Value| -> IssuedAmount {
        let part = |name: &str| fields[name].as_str().unwrap();
        assert_eq!(fields.as_object().unwrap().len(), 3, "{fields}");
        let asset = Asset {
            currency: part("currency").parse().unwrap(),
            issuer: part("issuer").parse().unwrap(),
        };
        IssuedAmount::new(asset, part("value").parse().unwrap()).unwrap()
    };
    if let Some(drops) = amount.as_str() {
        assert!(send_max.is_none());
        return Amount::Xrp(Drops::new(drops.parse().unwrap()).unwrap());
    }
    let amount = issued(amount);
    let send_max = send_max.map(|fields| {
        let send_max = issued(&fields);
        assert_eq!(send_max.asset(), amount.asset());
        send_max.value()
    });
    Amount::issued(amount, send_max).unwrap()
}

fn meant_memo(memo: &Value) -> Memo {
    let part = |name: &str| {
        let text = memo["Memo"].get(name)?;
        Some(hex::decode(text.as_str().unwrap()).unwrap())
    };
    Memo::new(part("MemoType"), part("MemoData"), part("MemoFormat")).unwrap()
}

/// The fields of a transaction, without key and signature.
pub(crate) fn as_json(tx: &Unsigned) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.into(), value);
        }
    };
    let number = |value: u32| json!(value);
    put("Account", Some(json!(tx.account.to_address())));
    put("Fee", Some(json!(tx.fee.get().to_string())));
    put("LastLedgerSequence", Some(json!(tx.last_ledger_sequence)));
    put("NetworkID", tx.network_id.map(number));
    put("SourceTag", tx.source_tag.map(number));
    let (sequence, ticket) = match tx.slot {
        Slot::Sequence(sequence) => (sequence, None),
        Slot::Ticket(ticket) => (0, Some(ticket)),
    };
    put("Sequence", Some(json!(sequence)));
    put("TicketSequence", ticket.map(number));
    match &tx.body {
        Body::Payment(payment) => {
            put("TransactionType", Some(json!("Payment")));
            put("Destination", Some(json!(payment.destination.to_address())));
            put("DestinationTag", payment.destination_tag.map(number));
            let (amount, send_max) = amount_as_json(&payment.amount);
            put("Amount", Some(amount));
            put("SendMax", send_max);
            put("InvoiceID", Some(json!(payment.invoice_id.to_string())));
        }
        Body::NoOp(NoOp) => put("TransactionType", Some(json!("AccountSet"))),
        Body::TicketCreate(tickets) => {
            put("TransactionType", Some(json!("TicketCreate")));
            put("TicketCount", Some(json!(tickets.count())));
        }
    }
    let memos: Vec<Value> = tx.memos.as_slice().iter().map(memo_as_json).collect();
    put("Memos", Some(json!(memos)).filter(|_| !memos.is_empty()));
    Value::Object(fields)
}

/// Digits and a point, as both libraries write it: servers write an `e` where it is shorter.
fn plain(value: IssuedValue) -> String {
    let digits = value.mantissa().to_string();
    let decimals = usize::try_from(-value.exponent()).unwrap_or(0);
    let zeros = usize::try_from(value.exponent()).unwrap_or(0);
    let padded = format!("{digits:0>width$}", width = decimals + 1) + &"0".repeat(zeros);
    let (whole, rest) = padded.split_at(padded.len() - decimals);
    match rest.trim_end_matches('0') {
        "" => whole.to_owned(),
        rest => format!("{whole}.{rest}"),
    }
}

/// Amount and SendMax.
fn amount_as_json(amount: &Amount) -> (Value, Option<Value>) {
    let issued = |asset: Asset, value: IssuedValue| {
        json!({
            "currency": asset.currency.to_string(),
            "issuer": asset.issuer.to_address(),
            "value": plain(value),
        })
    };
    match amount {
        Amount::Xrp(drops) => (json!(drops.get().to_string()), None),
        Amount::Issued { amount, send_max } => (
            issued(amount.asset(), amount.value()),
            send_max.map(|send_max| issued(amount.asset(), send_max)),
        ),
    }
}

fn memo_as_json(memo: &Memo) -> Value {
    let mut parts = Map::new();
    for (name, part) in [
        ("MemoType", &memo.memo_type),
        ("MemoData", &memo.data),
        ("MemoFormat", &memo.format),
    ] {
        if let Some(bytes) = part {
            parts.insert(name.into(), json!(hex::encode_upper(bytes)));
        }
    }
    json!({ "Memo": parts })
}
