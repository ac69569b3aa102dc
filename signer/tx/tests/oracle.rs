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
    ACCOUNT_ONE, ACCOUNT_ZERO, AccountId, Algorithm, Amount, Body, Destination, Drops, Hash256,
    Memo, Memos, NoOp, Payment, PublicKey, Slot, TICKETS_MAX, TicketCreate, Unsigned, XNetwork,
    to_x_address,
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
            let Amount::Xrp(drops) = payment.amount;
            put("TransactionType", json!("Payment"));
            put("Amount", json!(drops.get().to_string()));
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

fn body() -> impl Strategy<Value = Body> {
    let payment = (account(), option::of(number()), drops(), any::<[u8; 32]>()).prop_map(
        |(destination, destination_tag, drops, invoice)| {
            Body::Payment(Payment {
                destination,
                destination_tag,
                amount: Amount::Xrp(drops),
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
        prop_assert_eq!(binarycodec::decode(&ours).unwrap(), meant);
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
