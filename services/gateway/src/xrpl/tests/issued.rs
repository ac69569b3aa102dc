//! Issued amounts as servers write them, in transactions and in metadata.

use paygate_payments::money::Money;
use serde_json::{Value, json};
use xrpl_tx::{AccountId, Amount, Asset, Drops};

use crate::xrpl::facts::*;
use crate::xrpl::wire_tx::Entry;

const WALLET: &str = "rhJ328HDvpd2mFYCRSGDhAF8maBcQogfms";
const ISSUER: &str = "rJnU1DD1n1boFo1eyLFpdAf4HfT4ALjHgG";

fn usd(value: &str) -> Value {
    json!({ "currency": "USD", "issuer": ISSUER, "value": value })
}

fn asset() -> Asset {
    Asset {
        currency: "USD".parse().unwrap(),
        issuer: AccountId::from_address(ISSUER).unwrap(),
    }
}

/// A payment of 10 USD through a transfer fee of 2 %, in the shape of a recorded one.
fn paid() -> Value {
    let balance = |value: &str| json!({ "currency": "USD", "issuer": "rrrrrrrrrrrrrrrrrrrrBZbvji", "value": value });
    json!({
        "hash": "8C".repeat(32), "ledger_index": 401, "ledger_hash": "01".repeat(32), "validated": true,
        "tx_json": {
            "Account": WALLET, "TransactionType": "Payment", "Sequence": 391, "Fee": "10", "Flags": 0,
            "Destination": "rGx4WRo2eq2wuZ7H4js11TxGJ4R4mPnSHS", "DeliverMax": usd("10"), "SendMax": usd("10.5"),
            "LastLedgerSequence": 421,
        },
        "meta": {
            "TransactionResult": "tesSUCCESS", "TransactionIndex": 0, "delivered_amount": usd("10"),
            "AffectedNodes": [
                { "ModifiedNode": { "LedgerEntryType": "AccountRoot",
                    "FinalFields": { "Account": WALLET, "Balance": "999999930" }, "PreviousFields": { "Balance": "999999940" } } },
                { "ModifiedNode": { "LedgerEntryType": "RippleState",
                    "FinalFields": { "Balance": balance("-479.8") }, "PreviousFields": { "Balance": balance("-490") } } },
            ],
        },
    })
}

fn facts(entry: Value) -> LedgerTransaction {
    let entry: Entry = serde_json::from_value(entry).unwrap();
    let wallet = AccountId::from_address(WALLET).unwrap();
    entry.into_facts("tx", wallet).unwrap()
}

#[test]
fn a_payment_in_an_issued_currency_is_read_with_send_max_and_delivery() {
    let read = facts(paid());
    let Some(Amount::Issued { amount, send_max }) = read.plain_amount() else {
        panic!("{read:?}");
    };
    assert_eq!(
        (amount.asset(), amount.value()),
        (asset(), "10".parse().unwrap())
    );
    assert_eq!(send_max, Some("10.5".parse().unwrap()));
    assert_eq!(
        read.delivered.money(),
        Some(Money::Issued {
            asset: asset(),
            value: "10".parse().unwrap()
        })
    );
    // The fee is what left in XRP; the balance of a trust line has nothing to do with it.
    assert_eq!(read.fee_charged, Drops::from_const(10));
    let mut tiny = paid();
    tiny["meta"]["delivered_amount"] = usd("1000000000000000e-96");
    let smallest = xrpl_tx::IssuedValue::MIN;
    assert_eq!(
        facts(tiny).delivered,
        PaymentAmount::Issued(asset(), smallest)
    );
}

#[test]
fn what_is_in_two_assets_or_in_none_of_ours_is_no_plain_payment() {
    let other = json!({ "currency": "EUR", "issuer": ISSUER, "value": "10.5" });
    let token = json!({ "mpt_issuance_id": "00".repeat(24), "value": "10" });
    for (field, value) in [
        ("SendMax", other.clone()),
        ("SendMax", json!("10500000")),
        ("DeliverMax", json!("10")),
        ("DeliverMax", other),
        ("DeliverMax", token.clone()),
        ("DeliverMax", usd("-10")),
        ("DeliverMax", usd("0")),
        ("DeliverMax", json!({ "currency": "USD", "value": "10" })),
    ] {
        let mut entry = paid();
        entry["tx_json"][field] = value;
        assert_eq!(facts(entry.clone()).plain_amount(), None, "{entry}");
    }
    for unreadable in [token, json!("unavailable"), usd("-1"), usd("ten")] {
        let mut entry = paid();
        entry["meta"]["delivered_amount"] = unreadable;
        assert_eq!(facts(entry).delivered.money(), None);
    }
}
