//! A list of signers, and payments that several of them sign.

use serde_json::{Map, Value, json};
use xrpl::core::binarycodec::encode;

use super::super::blob::{BlobError, Tx};
use super::super::codes::Ter;
use super::super::node::Node;
use super::{FIRST, NETWORK, Wallet, XRP, close, node, submit};

/// Alice's account, and a list of Bob, Carol and Dan of whom two must sign.
fn shared_account() -> (Node, Wallet, [Wallet; 3]) {
    let alice = Wallet::new("alice");
    let signers = ["bob", "carol", "dan"].map(Wallet::new);
    let mut node = node(&[(&alice, 100 * XRP), (&signers[0], 100 * XRP)]);
    let listed: Vec<Value> = signers
        .iter()
        .map(|signer| json!({ "SignerEntry": { "Account": signer.address(), "SignerWeight": 1 } }))
        .collect();
    let list = alice.tx(json!({
        "TransactionType": "SignerListSet", "Sequence": FIRST, "SignerQuorum": 2, "SignerEntries": listed,
    }));
    assert_eq!(submit(&mut node, &list).ter, Ter::TesSuccess);
    close(&mut node);
    (node, alice, signers)
}

/// A payment from Alice to Bob with these signers, in the order of their accounts.
fn signed(alice: &Wallet, to: &Wallet, fee: u32, signers: &[&Wallet]) -> Value {
    let fields = json!({
        "Account": alice.address(), "Amount": "5", "Destination": to.address(), "Fee": fee.to_string(), "Flags": 0,
        "NetworkID": NETWORK, "Sequence": FIRST + 1, "SigningPubKey": "", "TransactionType": "Payment",
    });
    let body = hex::decode(encode(&fields).unwrap()).unwrap();
    let mut signers = signers.to_vec();
    signers.sort_by_key(|signer| signer.id());
    let entries: Vec<Value> = signers
        .iter()
        .map(|signer| {
            let message = [b"SMT\0".as_slice(), &body, &signer.id().0].concat();
            let Wallet::Ed25519(pair) = signer else {
                panic!("only one kind of key signs here")
            };
            json!({ "Signer": {
                "Account": signer.address(), "SigningPubKey": signer.public_key(),
                "TxnSignature": hex::encode_upper(pair.sign(&message)),
            }})
        })
        .collect();
    let mut fields = fields;
    fields["Signers"] = json!(entries);
    fields
}

fn read(fields: &Value) -> Result<Tx, BlobError> {
    Tx::from_hex(&encode(fields).unwrap())
}

#[test]
fn enough_of_the_listed_signers_may_pay() {
    let (mut node, alice, [bob, carol, dan]) = shared_account();
    let stranger = Wallet::new("stranger");
    let rows: [(u32, Vec<&Wallet>, Ter); 5] = [
        (20, vec![&bob], Ter::TefBadQuorum),
        (30, vec![&bob, &stranger], Ter::TefBadSignature),
        (29, vec![&bob, &carol], Ter::TelInsufFeeP),
        (39, vec![&bob, &carol, &dan], Ter::TelInsufFeeP),
        // Carol has no account of her own and signs with the key that it would have.
        (30, vec![&bob, &carol], Ter::TesSuccess),
    ];
    for (fee, signers, expected) in rows {
        let tx = read(&signed(&alice, &bob, fee, &signers)).unwrap();
        assert_eq!(submit(&mut node, &tx.into()).ter, expected);
    }
    close(&mut node);
    let root = node.world.accounts.get(&alice.id()).unwrap();
    assert_eq!(root.balance, 100 * XRP - 10 - 30 - 5);
}

#[test]
fn without_a_list_nobody_signs_together() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let mut node = node(&[(&alice, 100 * XRP), (&bob, 100 * XRP)]);
    let mut fields = signed(&alice, &bob, 20, &[&bob]);
    fields["Sequence"] = json!(FIRST);
    assert!(
        read(&fields).is_err(),
        "the signature is for another Sequence"
    );
    let tx = alice.pays(&bob, 1, FIRST);
    assert_eq!(submit(&mut node, &tx).ter, Ter::TesSuccess);
    close(&mut node);
    let tx = read(&signed(&alice, &bob, 20, &[&bob])).unwrap();
    assert_eq!(submit(&mut node, &tx.into()).ter, Ter::TefNotMultiSigning);
}

#[test]
fn signatures_are_checked_before_anything_else() {
    let (alice, bob, carol) = (
        Wallet::new("alice"),
        Wallet::new("bob"),
        Wallet::new("carol"),
    );
    let good = signed(&alice, &bob, 30, &[&bob, &carol]);
    assert!(read(&good).is_ok());
    let refused = |change: &dyn Fn(&mut Map<String, Value>)| {
        let mut fields = good.as_object().unwrap().clone();
        change(&mut fields);
        match read(&Value::Object(fields)) {
            Err(BlobError::Invalid(text)) => text,
            other => panic!("{other:?}"),
        }
    };
    let swapped = refused(&|fields| fields["Signers"].as_array_mut().unwrap().swap(0, 1));
    assert_eq!(swapped, "fails local checks: Unsorted Signers array.");
    let doubled = refused(&|fields| {
        let signers = fields["Signers"].as_array_mut().unwrap();
        signers[1] = signers[0].clone();
    });
    assert_eq!(
        doubled,
        "fails local checks: Duplicate Signers not allowed."
    );
    let first = good["Signers"][0]["Signer"]["Account"].as_str().unwrap();
    let altered = refused(&|fields| fields["Amount"] = json!("6"));
    let named = format!("fails local checks: Invalid signature on account {first}.");
    assert_eq!(altered, named);
    let both = refused(&|fields| fields["SigningPubKey"] = json!(alice.public_key()));
    assert_eq!(
        both,
        "fails local checks: Cannot both single- and multi-sign."
    );
}

#[test]
fn lists_that_make_no_sense_are_refused() {
    let (mut node, alice, [bob, carol, _]) = shared_account();
    let entry = |wallet: &Wallet, weight: u32| json!({ "SignerEntry": { "Account": wallet.address(), "SignerWeight": weight } });
    #[rustfmt::skip]
    let rows = [
        (5, json!([entry(&bob, 1)]), Ter::TemBadQuorum),
        (1, json!([entry(&bob, 0), entry(&carol, 1)]), Ter::TemBadWeight),
        (1, json!([entry(&bob, 1), entry(&bob, 1)]), Ter::TemBadSigner),
        (1, json!([entry(&alice, 1)]), Ter::TemBadSigner),
        (1, Value::Null, Ter::TemMalformed),
        (0, json!([entry(&bob, 1)]), Ter::TemMalformed),
        (1, json!([entry(&bob, 1)]), Ter::TesSuccess),
    ];
    for (quorum, entries, expected) in rows {
        let tx = alice.tx(json!({
            "TransactionType": "SignerListSet", "Sequence": FIRST + 1, "SignerQuorum": quorum, "SignerEntries": entries,
        }));
        assert_eq!(
            submit(&mut node, &tx).ter,
            expected,
            "{quorum} of {entries}"
        );
    }
    close(&mut node);
    let root = node.world.accounts.get(&alice.id()).unwrap();
    assert_eq!(
        root.owner_count, 1,
        "a list counts once and is replaced as one"
    );
    let ends = alice.tx(
        json!({ "TransactionType": "SignerListSet", "Sequence": FIRST + 2, "SignerQuorum": 0 }),
    );
    assert_eq!(submit(&mut node, &ends).ter, Ter::TesSuccess);
    close(&mut node);
    assert_eq!(node.world.accounts.get(&alice.id()).unwrap().owner_count, 0);
}
