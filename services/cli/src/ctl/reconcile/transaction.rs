//! A transaction of the wallet, as servers show it in version 2 of their API.
//!
//! Owns: what its metadata says was delivered and taken. May not: read an amount out of what a transaction only asked for, or leave
//! out one that it cannot read: then there is no history.

use serde_json::Value;

use super::super::decimal::Decimal;

/// An amount of any asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    /// `XRP`, or currency and issuer.
    pub(super) asset: String,
    pub(super) value: Decimal,
}

/// A validated transaction that the wallet signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transaction {
    pub(super) hash: String,
    pub(super) ledger_index: u32,
    pub(super) ledger_hash: String,
    pub(super) kind: String,
    pub(super) result: String,
    pub(super) destination: String,
    pub(super) destination_tag: Option<u32>,
    /// Empty: none.
    pub(super) invoice_id: String,
    /// What the ledger took, which is less than what was offered if the wallet held less.
    pub(super) fee_drops: u64,
    /// What arrived. `None`: nothing.
    pub(super) delivered: Option<Amount>,
    /// Types of its memos.
    pub(super) memo_types: Vec<String>,
    /// It is an AccountSet that sets nothing.
    pub(super) is_no_op: bool,
}

/// The transaction, and whether the wallet signed it. `None`: it cannot be read, or is not validated.
pub(super) fn read(entry: &Value, wallet: &str) -> Option<(bool, Transaction)> {
    if entry["validated"] != true {
        return None;
    }
    let (tx, meta) = (&entry["tx_json"], &entry["meta"]);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let optional = |value: &Value| text(value).unwrap_or_default();
    let offered = number(&tx["Fee"])?;
    let result = text(&meta["TransactionResult"])?;
    let kind = text(&tx["TransactionType"])?;
    let delivered =
        (result == "tesSUCCESS" && kind == "Payment").then(|| amount(&meta["delivered_amount"]));
    let delivered = delivered.flatten();
    let memos = tx["Memos"].as_array().into_iter().flatten();
    let read = Transaction {
        hash: text(&entry["hash"])?,
        ledger_index: u32::try_from(number(&entry["ledger_index"])?).ok()?,
        ledger_hash: optional(&entry["ledger_hash"]),
        destination: optional(&tx["Destination"]),
        destination_tag: match &tx["DestinationTag"] {
            Value::Null => None,
            tag => Some(u32::try_from(tag.as_u64()?).ok()?),
        },
        invoice_id: optional(&tx["InvoiceID"]),
        fee_drops: charged(meta, wallet, delivered.as_ref())
            .unwrap_or(offered)
            .min(offered),
        delivered,
        memo_types: memos
            .filter_map(|memo| unhex(memo["Memo"]["MemoType"].as_str()?))
            .collect(),
        is_no_op: kind == "AccountSet" && sets_nothing(tx),
        kind,
        result,
    };
    Some((tx["Account"] == wallet, read))
}

/// What left the wallet's balance beyond what arrived elsewhere. `None`: the metadata does not say.
fn charged(meta: &Value, wallet: &str, delivered: Option<&Amount>) -> Option<u64> {
    let nodes = meta["AffectedNodes"].as_array()?;
    let root = nodes.iter().find_map(|node| {
        let node = &node["ModifiedNode"];
        let is_wallet =
            node["LedgerEntryType"] == "AccountRoot" && node["FinalFields"]["Account"] == wallet;
        is_wallet.then_some(node)
    })?;
    let before = number(&root["PreviousFields"]["Balance"])?;
    let spent = before.checked_sub(number(&root["FinalFields"]["Balance"])?)?;
    match delivered {
        Some(amount) if amount.asset == "XRP" => {
            let arrived = number(&meta["delivered_amount"])?;
            spent.checked_sub(arrived)
        }
        _ => Some(spent),
    }
}

/// Drops in text, or an issued currency. What is neither arrives as an asset that equals none.
fn amount(value: &Value) -> Option<Amount> {
    match value {
        Value::Null => None,
        Value::String(drops) => Some(Amount {
            asset: "XRP".to_owned(),
            value: Decimal::of_drops(drops.parse().ok()?),
        }),
        other => {
            let text = |name: &str| other[name].as_str();
            let issued = text("currency").zip(text("issuer")).zip(text("value"));
            let issued = issued.and_then(|((currency, issuer), value)| {
                Some(Amount {
                    asset: format!("{currency} {issuer}"),
                    value: Decimal::read(value)?,
                })
            });
            Some(issued.unwrap_or_else(|| Amount {
                asset: other.to_string(),
                value: Decimal::default(),
            }))
        }
    }
}

/// Nothing but what every transaction has.
fn sets_nothing(tx: &Value) -> bool {
    const COMMON: [&str; 15] = [
        "Account",
        "Fee",
        "Flags",
        "LastLedgerSequence",
        "Memos",
        "NetworkID",
        "Sequence",
        "SigningPubKey",
        "SourceTag",
        "TicketSequence",
        "TransactionType",
        "TxnSignature",
        "date",
        "ledger_index",
        "ctid",
    ];
    let names = tx
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str());
    names.into_iter().all(|name| COMMON.contains(&name))
}

fn unhex(text: &str) -> Option<String> {
    let bytes = text.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

/// Numbers come as numbers or as text.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WALLET: &str = "rWALLET";

    fn entry() -> Value {
        json!({
            "validated": true, "hash": "AB", "ledger_index": 7, "ledger_hash": "CD",
            "tx_json": { "Account": WALLET, "TransactionType": "Payment", "Fee": "12", "Destination": "rTO", "DestinationTag": 0, "InvoiceID": "EF" },
            "meta": {
                "TransactionResult": "tesSUCCESS", "delivered_amount": "5000000",
                "AffectedNodes": [{ "ModifiedNode": {
                    "LedgerEntryType": "AccountRoot", "FinalFields": { "Account": WALLET, "Balance": "93999990" }, "PreviousFields": { "Balance": "99000000" },
                } }],
            },
        })
    }

    #[test]
    fn what_the_ledger_took_and_delivered_is_read_from_its_metadata() {
        let (own, tx) = read(&entry(), WALLET).unwrap();
        assert!(own);
        assert_eq!(
            (tx.fee_drops, tx.destination_tag),
            (10, Some(0)),
            "two drops less than offered"
        );
        assert_eq!(tx.delivered.unwrap().value.to_string(), "5");
        let mut failed = entry();
        failed["meta"]["TransactionResult"] = json!("tecUNFUNDED_PAYMENT");
        assert_eq!(
            read(&failed, WALLET).unwrap().1.delivered,
            None,
            "whatever else its metadata says"
        );
        let mut open = entry();
        open["validated"] = json!(false);
        assert_eq!(read(&open, WALLET), None);
    }

    #[test]
    fn a_no_op_sets_nothing() {
        let usual = json!({ "Account": WALLET, "Fee": "10", "Sequence": 1, "TransactionType": "AccountSet", "Memos": [] });
        assert!(sets_nothing(&usual));
        let mut sets = usual;
        sets["SetFlag"] = json!(4);
        assert!(!sets_nothing(&sets));
    }
}
