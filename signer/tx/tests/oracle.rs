//! Our encoder against xrpl-rust, which shares no code with it: for any transaction that our types can express, both
//! make the same bytes, and xrpl-rust reads ours back as exactly the fields that were meant.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Map, Value, json};
use xrpl::core::{addresscodec, binarycodec, keypairs};
use xrpl_tx::{
    ACCOUNT_ONE, ACCOUNT_ZERO, AccountId, Algorithm, Amount, Asset, Body, Currency, Destination,
    Drops, Hash256, IssuedAmount, IssuedValue, Memo, Memos, NoOp, Payment, PublicKey, Slot,
    TICKETS_MAX, TicketCreate, Unsigned, XNetwork, to_x_address,
};

/// Transactions that each property is tried with.
const CASES: u32 = 400;

/// A fixed seed: a run that fails fails again.
fn same_cases_each_run() -> ProptestConfig {
    ProptestConfig {
        cases: CASES,
        rng_seed: RngSeed::Fixed(0x5EED),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// The transaction as the JSON of the ledger's documentation.
fn as_json(tx: &Unsigned, signature: Option<&[u8]>) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| assert!(fields.insert(name.into(), value).is_none());
    put("Account", json!(tx.account.to_address()));
    put("Fee", json!(tx.fee.get().to_string()));
    put("LastLedgerSequence", json!(tx.last_ledger_sequence));
    put(
        "SigningPubKey",
        json!(hex::encode_upper(tx.signing_key.as_bytes())),
    );
    match tx.slot {
        Slot::Sequence(number) => put("Sequence", json!(number)),
        Slot::Ticket(number) => {
            put("Sequence", json!(0));
            put("TicketSequence", json!(number));
        }
    }
    if let Some(network_id) = tx.network_id {
        put("NetworkID", json!(network_id));
    }
    if let Some(tag) = tx.source_tag {
        put("SourceTag", json!(tag));
    }
    if !tx.memos.is_empty() {
        put(
            "Memos",
            tx.memos.as_slice().iter().map(memo_as_json).collect(),
        );
    }
    match &tx.body {
        Body::NoOp(NoOp) => put("TransactionType", json!("AccountSet")),
        Body::TicketCreate(tickets) => {
            put("TransactionType", json!("TicketCreate"));
            put("TicketCount", json!(tickets.count()));
        }
        Body::Payment(payment) => {
            put("TransactionType", json!("Payment"));
            match payment.amount {
                Amount::Xrp(drops) => put("Amount", json!(drops.get().to_string())),
                Amount::Issued { amount, send_max } => {
                    put("Amount", issued_as_json(amount.asset(), amount.value()));
                    if let Some(send_max) = send_max {
                        put("SendMax", issued_as_json(amount.asset(), send_max));
                    }
                }
            }
            put("Destination", json!(payment.destination.to_address()));
            put("InvoiceID", json!(payment.invoice_id.to_string()));
            if let Some(tag) = payment.destination_tag {
                put("DestinationTag", json!(tag));
            }
        }
    }
    if let Some(signature) = signature {
        put("TxnSignature", json!(hex::encode_upper(signature)));
    }
    Value::Object(fields)
}

fn issued_as_json(asset: Asset, value: IssuedValue) -> Value {
    json!({
        "currency": asset.currency.to_string(),
        "issuer": asset.issuer.to_address(),
        "value": value.to_string(),
    })
}

/// What xrpl-rust read, with its issued amounts written as we write them: it writes digits and an `E` in other places, and
/// a standard code of other characters than A to Z and 0 to 9 as hex. Neither is another amount.
fn as_we_write(mut read: Value) -> Value {
    for field in ["Amount", "SendMax"] {
        let Some(amount) = read.get_mut(field).and_then(Value::as_object_mut) else {
            continue;
        };
        let text = |name: &str| amount[name].as_str().unwrap().to_owned();
        let value: IssuedValue = text("value").parse().unwrap();
        let currency: Currency = text("currency").parse().unwrap();
        amount["value"] = json!(value.to_string());
        amount["currency"] = json!(currency.to_string());
    }
    read
}

fn memo_as_json(memo: &Memo) -> Value {
    let parts = [
        ("MemoType", &memo.memo_type),
        ("MemoData", &memo.data),
        ("MemoFormat", &memo.format),
    ];
    let present = parts.into_iter().filter_map(|(name, part)| {
        part.as_ref()
            .map(|bytes| (name.to_owned(), json!(hex::encode_upper(bytes))))
    });
    json!({ "Memo": Map::from_iter(present) })
}

// === Any transaction ===

fn drops() -> impl Strategy<Value = Drops> {
    prop_oneof![
        Just(Drops::ZERO),
        Just(Drops::from_const(1)),
        Just(Drops::from_const(u32::MAX as u64 + 1)),
        Just(Drops::MAX),
        (0..=Drops::MAX.get()).prop_map(|drops| Drops::new(drops).unwrap()),
    ]
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(1), Just(u32::MAX), any::<u32>()]
}

fn account() -> impl Strategy<Value = AccountId> {
    prop_oneof![
        1 => Just(ACCOUNT_ZERO),
        1 => Just(ACCOUNT_ONE),
        1 => Just(AccountId::from_bytes([0xFF; 20])),
        6 => any::<[u8; 20]>().prop_map(AccountId::from_bytes),
    ]
}

fn key() -> impl Strategy<Value = PublicKey> {
    (prop_oneof![Just(0xED), Just(2), Just(3)], any::<[u8; 32]>())
        .prop_map(|(prefix, rest)| PublicKey::from_bytes(&[&[prefix], &rest[..]].concat()).unwrap())
}

fn memos() -> impl Strategy<Value = Memos> {
    let url = || option::of("[a-zA-Z0-9/.:%~-]{0,40}".prop_map(String::into_bytes));
    // Up to 300 bytes: both forms of a length prefix.
    let memo = (url(), option::of(vec(any::<u8>(), 0..300)), url())
        .prop_filter_map("empty", |(kind, data, format)| {
            Memo::new(kind, data, format).ok()
        });
    vec(memo, 0..3).prop_filter_map("too long", |memos| Memos::new(memos).ok())
}

fn asset() -> impl Strategy<Value = Asset> {
    let currency = prop_oneof![
        "[A-Z0-9]{3}".prop_filter_map("XRP", |code| code.parse().ok()),
        any::<[u8; 20]>().prop_filter_map("reserved", |bytes| Currency::from_bytes(bytes).ok()),
    ];
    let currency = currency.prop_filter("unreadable", |currency: &Currency| {
        currency.check_second_reader().is_ok()
    });
    (currency, account()).prop_map(|(currency, issuer)| Asset { currency, issuer })
}

/// What both sides read: the whole range is `the_range_that_the_other_reads_back_is_the_one_that_is_checked`'s.
fn issued_value() -> impl Strategy<Value = IssuedValue> {
    let digits = prop_oneof![1..10u64, 1..1_000_000u64, 10u64.pow(15)..10u64.pow(16),];
    (digits, -21..=13i32).prop_map(|(digits, exponent)| {
        let shift = 15 - digits.ilog10();
        IssuedValue::new(digits * 10u64.pow(shift), exponent).unwrap()
    })
}

fn issued() -> impl Strategy<Value = Amount> {
    (asset(), issued_value(), option::of(issued_value())).prop_map(|(asset, one, other)| {
        let value = other.map_or(one, |other| one.min(other));
        let amount = IssuedAmount::new(asset, value).unwrap();
        Amount::issued(amount, other.map(|other| one.max(other))).unwrap()
    })
}

fn body() -> impl Strategy<Value = Body> {
    let amount = prop_oneof![drops().prop_map(Amount::Xrp), issued()];
    let payment = (account(), option::of(number()), amount, any::<[u8; 32]>()).prop_map(
        |(destination, destination_tag, amount, invoice)| {
            Body::Payment(Payment {
                destination,
                destination_tag,
                amount,
                invoice_id: Hash256::from_bytes(invoice),
            })
        },
    );
    let tickets = (1..=TICKETS_MAX).prop_map(|count| TicketCreate::new(count).unwrap());
    prop_oneof![
        3 => payment,
        1 => Just(Body::NoOp(NoOp)),
        1 => tickets.prop_map(Body::TicketCreate),
    ]
}

prop_compose! {
    fn unsigned()(
        account in account(),
        slot in prop_oneof![number().prop_map(Slot::Sequence), number().prop_map(Slot::Ticket)],
        fee in drops(),
        last_ledger_sequence in number(),
        network_id in option::of(number()),
        source_tag in option::of(number()),
        memos in memos(),
        body in body(),
        signing_key in key(),
    ) -> Unsigned {
        Unsigned {
            account, slot, fee, last_ledger_sequence, network_id, source_tag, memos, body, signing_key,
        }
    }
}

prop_compose! {
    fn signed()(tx in unsigned(), der in 8usize..=72)(
        signature in match tx.signing_key.algorithm() {
            Algorithm::Ed25519 => vec(any::<u8>(), 64),
            Algorithm::Secp256k1 => vec(any::<u8>(), der),
        },
        tx in Just(tx),
    ) -> (Unsigned, Vec<u8>) {
        (tx, signature)
    }
}

proptest! {
    #![proptest_config(same_cases_each_run())]

    #[test]
    fn both_encoders_make_the_same_blob_and_the_other_reads_ours((tx, signature) in signed()) {
        let ours = hex::encode_upper(tx.sign_with(&signature).unwrap().blob);
        let meant = as_json(&tx, Some(&signature));
        prop_assert_eq!(&ours, &binarycodec::encode(&meant).unwrap());
        prop_assert_eq!(as_we_write(binarycodec::decode(&ours).unwrap()), meant);
    }

    #[test]
    fn what_is_written_is_read_back((tx, signature) in signed()) {
        let blob = tx.sign_with(&signature).unwrap().blob;
        prop_assert_eq!(Unsigned::from_signing_payload(&tx.signing_payload()), Ok(tx.clone()));
        prop_assert_eq!(Unsigned::from_blob(&blob), Ok((tx, signature)));
    }

    #[test]
    fn both_encoders_have_the_same_bytes_signed(tx in unsigned()) {
        let ours = hex::encode_upper(tx.signing_payload());
        prop_assert_eq!(ours, binarycodec::encode_for_signing(&as_json(&tx, None)).unwrap());
    }

    #[test]
    fn any_difference_of_fields_is_a_difference_of_bytes(one in unsigned(), other in unsigned(), field in 0..9) {
        let mut changed = one.clone();
        match field {
            0 => changed.account = other.account,
            1 => changed.slot = other.slot,
            2 => changed.fee = other.fee,
            3 => changed.last_ledger_sequence = other.last_ledger_sequence,
            4 => changed.network_id = other.network_id,
            5 => changed.source_tag = other.source_tag,
            6 => changed.memos = other.memos,
            7 => changed.body = other.body,
            _ => changed.signing_key = other.signing_key,
        }
        prop_assert_eq!(one == changed, one.signing_payload() == changed.signing_payload());
    }

    #[test]
    fn addresses_are_the_same(account in account(), tag in option::of(number()), main in any::<bool>()) {
        let address = account.to_address();
        prop_assert_eq!(&address, &addresscodec::encode_classic_address(account.as_bytes()).unwrap());
        prop_assert_eq!(AccountId::from_address(&address), Ok(account));

        let network = if main { XNetwork::Main } else { XNetwork::Test };
        let x_address = to_x_address(account, tag, network);
        let theirs = addresscodec::classic_address_to_xaddress(&address, tag.map(u64::from), !main);
        prop_assert_eq!(&x_address, &theirs.unwrap());
        let destination = Destination { account, tag, network: Some(network) };
        prop_assert_eq!(Destination::parse(&x_address), Ok(destination));
    }

    #[test]
    fn one_wrong_character_is_noticed(account in account(), at in any::<prop::sample::Index>(), wrong in "[1-9A-Za-z]") {
        for text in [account.to_address(), to_x_address(account, Some(7), XNetwork::Main)] {
            let at = at.index(text.len());
            let mistyped = format!("{}{wrong}{}", &text[..at], &text[at + 1..]);
            prop_assert_eq!(Destination::parse(&mistyped).is_ok(), mistyped == text);
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,70}|[rXT][1-9A-Za-z]{20,50}") {
        let _ = Destination::parse(&text);
    }
}

fn issued_payment(amount: Amount) -> Unsigned {
    Unsigned {
        account: ACCOUNT_ONE,
        slot: Slot::Sequence(7),
        fee: Drops::from_const(12),
        last_ledger_sequence: 90_000_000,
        network_id: None,
        source_tag: None,
        memos: Memos::default(),
        body: Body::Payment(Payment {
            destination: ACCOUNT_ZERO,
            destination_tag: None,
            amount,
            invoice_id: Hash256::from_bytes([7; 32]),
        }),
        signing_key: PublicKey::from_bytes(&[0xED; 33]).unwrap(),
    }
}

/// Whether xrpl-rust reads our bytes as this amount and writes the same bytes of it.
fn survives(amount: Amount) -> bool {
    let tx = issued_payment(amount);
    let ours = hex::encode_upper(tx.sign_with(&[0; 64]).unwrap().blob);
    let Ok(read) = binarycodec::decode(&ours) else {
        return false;
    };
    binarycodec::encode(&read).is_ok_and(|again| again == ours)
        && as_we_write(read) == as_json(&tx, Some(&[0; 64]))
}

/// 16 digits of which the last so many are zero.
fn mantissa(digits: u64, zeros: u32) -> u64 {
    let cut = 10u64.pow(zeros);
    digits / cut * cut
}

#[test]
fn the_range_that_the_other_reads_back_is_the_one_that_is_checked() {
    let asset = Asset {
        currency: "USD".parse().unwrap(),
        issuer: ACCOUNT_ONE,
    };
    // Which values beyond the range are read depends on their digits: what counts is that not all are, right from its ends.
    let all = |exponent: i32| {
        (0..16).all(|zeros| {
            [5_555_555_555_555_555, 9_000_000_000_000_009]
                .into_iter()
                .all(|digits| {
                    let value = IssuedValue::new(mantissa(digits, zeros), exponent).unwrap();
                    let survives = survives(Amount::Issued {
                        amount: IssuedAmount::new(asset, value).unwrap(),
                        send_max: Some(value),
                    });
                    assert!(survives || value.check_second_reader().is_err(), "{value}");
                    survives
                })
        })
    };
    for exponent in -22..=14 {
        let value = IssuedValue::new(1, exponent + 15).unwrap();
        assert_eq!(
            value.check_second_reader().is_ok(),
            all(exponent),
            "exponent {exponent}"
        );
    }
    for exponent in [-96, 80] {
        assert!(!all(exponent));
    }
}

#[test]
fn a_currency_with_a_code_in_its_middle_is_misread_and_refused_for_that() {
    let payment = |currency: &str| {
        let asset = Asset {
            currency: currency.parse().unwrap(),
            issuer: ACCOUNT_ONE,
        };
        let amount = IssuedAmount::new(asset, "1".parse().unwrap()).unwrap();
        let checked = amount.check_second_reader().is_ok();
        let amount = Amount::issued(amount, None).unwrap();
        assert_eq!(survives(amount), checked, "{currency}");
        checked
    };
    assert!(payment("USD"));
    assert!(payment("usd"));
    assert!(payment("<3>"));
    assert!(payment("524C555344000000000000000000000000000000"));
    assert!(payment("5200000000000000000000007573640000000000"));
    assert!(payment("52000000000000000000000058525000000000FF"));
    assert!(!payment("5200000000000000000000005553440000000000"));
    assert!(!payment("01000000000000000000000030394100000000FF"));
}

#[test]
fn real_signatures_of_both_families_verify_after_the_round() {
    for (seed, address) in [
        (
            "snoPBrXtMeMyMHUVTgbuqAfg1SUTb",
            "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh",
        ),
        (
            "sEdSKaCy2JT7JaM7v95H9SxkhP9wS2r",
            "rLUEXYuLiQptky37CqLcm9USQpPiz5rkpD",
        ),
    ] {
        let (public, private) = keypairs::derive_keypair(seed, false).unwrap();
        let signing_key = PublicKey::from_bytes(&hex::decode(&public).unwrap()).unwrap();
        assert_eq!(signing_key.account_id().to_address(), address);

        let tx = Unsigned {
            account: signing_key.account_id(),
            slot: Slot::Sequence(7),
            fee: Drops::from_const(12),
            last_ledger_sequence: 90_000_000,
            network_id: None,
            source_tag: Some(1),
            memos: Memos::new(vec![xrpl_tx::noop_memo("shop", "order-17")]).unwrap(),
            body: Body::NoOp(NoOp),
            signing_key,
        };
        let signature = keypairs::sign(&tx.signing_payload(), &private).unwrap();
        let signed = tx.sign_with(&hex::decode(&signature).unwrap()).unwrap();

        // As a server does it: read the blob, rebuild what was signed, verify.
        let read = binarycodec::decode(&hex::encode_upper(&signed.blob)).unwrap();
        let payload = hex::decode(binarycodec::encode_for_signing(&read).unwrap()).unwrap();
        assert!(keypairs::is_valid_message(&payload, &signature, &public));
        assert_eq!(payload, tx.signing_payload());
    }
}
