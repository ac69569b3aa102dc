//! What the engine answers to one transaction, and what a closed ledger makes of it.

use serde_json::{Value, json};

use super::super::blob::{BlobError, Tx};
use super::{FIRST, NETWORK, Wallet, XRP, balance, close, node, submit, validated};

/// Alice holds 100 XRP, Bob 50, and both start at the index of the first ledger.
#[test]
fn preliminary_result_of_one_transaction() {
    let (alice, bob, nobody) = (
        Wallet::new("alice"),
        Wallet::new("bob"),
        Wallet::new("nobody"),
    );
    let to_bob = |extra: Value| {
        let mut fields =
            json!({ "Destination": bob.address(), "Amount": "1000", "Sequence": FIRST });
        fields
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        fields
    };
    let account_set = |extra: Value| {
        let mut fields = json!({ "TransactionType": "AccountSet", "Sequence": FIRST });
        fields
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        fields
    };
    let zero = "rrrrrrrrrrrrrrrrrrrrrhoLvTp";
    let issued = json!({ "currency": "USD", "issuer": bob.address(), "value": "1" });
    #[rustfmt::skip]
    let rows = [
        ("a plain payment", to_bob(json!({})), "tesSUCCESS"),
        ("all but reserve, the fee from the reserve", to_bob(json!({ "Amount": "99000000" })), "tesSUCCESS"),
        ("one drop more", to_bob(json!({ "Amount": "99000001" })), "tecUNFUNDED_PAYMENT"),
        ("the fee does not fit above the reserve", to_bob(json!({ "Amount": "98000000", "Fee": "2000001" })), "tecUNFUNDED_PAYMENT"),
        ("a fee over the balance", to_bob(json!({ "Fee": "100000001" })), "terINSUF_FEE_B"),
        ("a fee that eats the reserve", account_set(json!({ "Fee": "99500000" })), "tesSUCCESS"),
        ("to a new account, the base reserve", to_bob(json!({ "Destination": nobody.address(), "Amount": "1000000" })), "tesSUCCESS"),
        ("to a new account, a drop less", to_bob(json!({ "Destination": nobody.address(), "Amount": "999999" })), "tecNO_DST_INSUF_XRP"),
        ("tokens to a new account", to_bob(json!({ "Destination": nobody.address(), "Amount": issued })), "tecNO_DST"),
        ("tokens nobody holds", to_bob(json!({ "Amount": issued })), "tecPATH_DRY"),
        ("to itself", to_bob(json!({ "Destination": alice.address() })), "temREDUNDANT"),
        ("nothing", to_bob(json!({ "Amount": "0" })), "temBAD_AMOUNT"),
        ("to nobody at all", to_bob(json!({ "Destination": zero })), "temDST_NEEDED"),
        ("a partial payment of XRP", to_bob(json!({ "Flags": 0x0002_0000 })), "temBAD_SEND_XRP_PARTIAL"),
        ("a limited quality", to_bob(json!({ "Flags": 0x0004_0000 })), "temBAD_SEND_XRP_LIMIT"),
        ("no direct path", to_bob(json!({ "Flags": 0x0001_0000 })), "temBAD_SEND_XRP_NO_DIRECT"),
        ("a SendMax of XRP", to_bob(json!({ "SendMax": "1000" })), "temBAD_SEND_XRP_MAX"),
        ("an unknown flag", to_bob(json!({ "Flags": 1 })), "temINVALID_FLAG"),
        ("no fee", to_bob(json!({ "Fee": "0" })), "telINSUF_FEE_P"),
        ("a fee below the base", to_bob(json!({ "Fee": "9" })), "telINSUF_FEE_P"),
        ("a later Sequence", to_bob(json!({ "Sequence": FIRST + 1 })), "terPRE_SEQ"),
        ("a used Sequence", to_bob(json!({ "Sequence": FIRST - 1 })), "tefPAST_SEQ"),
        ("no Sequence and no ticket", to_bob(json!({ "Sequence": 0 })), "tefPAST_SEQ"),
        ("a ticket to come", to_bob(json!({ "Sequence": 0, "TicketSequence": FIRST })), "terPRE_TICKET"),
        ("a ticket never made", to_bob(json!({ "Sequence": 0, "TicketSequence": FIRST - 1 })), "tefNO_TICKET"),
        ("a Sequence and a ticket", to_bob(json!({ "TicketSequence": 5 })), "temSEQ_AND_TICKET"),
        ("ending with the open ledger", to_bob(json!({ "LastLedgerSequence": FIRST + 1 })), "tesSUCCESS"),
        ("ended before the open ledger", to_bob(json!({ "LastLedgerSequence": FIRST })), "tefMAX_LEDGER"),
        ("ended and used: the Sequence is looked at first", to_bob(json!({ "Sequence": 1, "LastLedgerSequence": 1 })), "tefPAST_SEQ"),
        ("ended and malformed: the form is looked at first", to_bob(json!({ "Amount": "0", "LastLedgerSequence": 1 })), "temBAD_AMOUNT"),
        ("no network named", to_bob(json!({ "NetworkID": null })), "telREQUIRES_NETWORK_ID"),
        ("another network named", to_bob(json!({ "NetworkID": NETWORK + 1 })), "telWRONG_NETWORK"),
        ("a no-op", account_set(json!({})), "tesSUCCESS"),
        ("a flag set and cleared", account_set(json!({ "SetFlag": 1, "ClearFlag": 1 })), "temINVALID_FLAG"),
        ("the last key disabled", account_set(json!({ "SetFlag": 4 })), "tecNO_ALTERNATIVE_KEY"),
        ("its own key as regular key", account_set(json!({ "TransactionType": "SetRegularKey", "RegularKey": alice.address() })), "temBAD_REGKEY"),
        ("a type not built", json!({ "TransactionType": "CheckCreate", "Destination": bob.address(), "SendMax": "1", "Sequence": FIRST }), "temDISABLED"),
        ("tickets", json!({ "TransactionType": "TicketCreate", "TicketCount": 3, "Sequence": FIRST }), "tesSUCCESS"),
        ("no tickets at all", json!({ "TransactionType": "TicketCreate", "TicketCount": 0, "Sequence": FIRST }), "temINVALID_COUNT"),
        ("too many tickets", json!({ "TransactionType": "TicketCreate", "TicketCount": 251, "Sequence": FIRST }), "temINVALID_COUNT"),
    ];
    for (name, fields, expected) in rows {
        let mut node = node(&[(&alice, 100 * XRP), (&bob, 50 * XRP)]);
        let answer = submit(&mut node, &alice.tx(fields));
        assert_eq!(answer.ter.name(), expected, "{name}");
        assert_eq!(answer.applied, answer.ter.is_in_ledger(), "{name}");
        close(&mut node);
    }
}

#[test]
fn stranger_and_unknown_account_may_not_pay() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let mut node = node(&[(&alice, 100 * XRP), (&bob, 50 * XRP)]);
    let forged = bob.tx(json!({ "Account": alice.address(), "Destination": bob.address(), "Amount": "1", "Sequence": FIRST }));
    assert_eq!(submit(&mut node, &forged).ter.name(), "tefBAD_AUTH");
    let unknown = Wallet::new("carol").pays(&bob, 1, FIRST);
    let answer = submit(&mut node, &unknown);
    assert_eq!(
        (answer.ter.name(), answer.account_sequence),
        ("terNO_ACCOUNT", Some(0))
    );
}

#[test]
fn regular_key_signs_until_removed_and_master_can_be_disabled() {
    let (alice, spare, bob) = (
        Wallet::new("alice"),
        Wallet::secp("spare"),
        Wallet::new("bob"),
    );
    let mut node = node(&[(&alice, 100 * XRP), (&bob, 50 * XRP)]);
    let as_alice = |wallet: &Wallet, fields: Value| {
        let mut all = json!({ "Account": alice.address() });
        all.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        wallet.tx(all)
    };
    let set_key = as_alice(
        &alice,
        json!({ "TransactionType": "SetRegularKey", "RegularKey": spare.address(), "Sequence": FIRST }),
    );
    let pay =
        |sequence| json!({ "Destination": bob.address(), "Amount": "1", "Sequence": sequence });
    let set_flag = |flag, sequence| json!({ "TransactionType": "AccountSet", "SetFlag": flag, "Sequence": sequence });
    let steps = [
        (set_key, "tesSUCCESS"),
        (as_alice(&spare, pay(FIRST + 1)), "tesSUCCESS"),
        (
            as_alice(&spare, set_flag(4, FIRST + 2)),
            "tecNEED_MASTER_KEY",
        ),
        (as_alice(&alice, set_flag(4, FIRST + 3)), "tesSUCCESS"),
        (as_alice(&alice, pay(FIRST + 4)), "tefMASTER_DISABLED"),
        (as_alice(&spare, pay(FIRST + 4)), "tesSUCCESS"),
        (
            as_alice(
                &spare,
                json!({ "TransactionType": "SetRegularKey", "Sequence": FIRST + 5 }),
            ),
            "tecNO_ALTERNATIVE_KEY",
        ),
    ];
    for (tx, expected) in steps {
        assert_eq!(
            submit(&mut node, &tx).ter.name(),
            expected,
            "Sequence {}",
            tx.sequence
        );
    }
    close(&mut node);
    assert!(node.world.accounts.get(&alice.id()).unwrap().regular_key == Some(spare.id()));
}

#[test]
fn destination_decides_with_its_flags() {
    let (alice, shop, poor) = (
        Wallet::new("alice"),
        Wallet::new("shop"),
        Wallet::new("poor"),
    );
    let mut node = node(&[(&alice, 100 * XRP), (&shop, 50 * XRP), (&poor, XRP)]);
    let set = |wallet: &Wallet, flag: u32, sequence: u32| {
        wallet.tx(json!({ "TransactionType": "AccountSet", "SetFlag": flag, "Sequence": sequence }))
    };
    let pay = |to: &Wallet, drops: u64, tag: Value, sequence: u32| {
        let fields = json!({ "Destination": to.address(), "Amount": drops.to_string(), "DestinationTag": tag, "Sequence": sequence });
        alice.tx(fields)
    };
    let steps = [
        (set(&shop, 3, FIRST), "tesSUCCESS"),
        (pay(&shop, 1, Value::Null, FIRST), "tesSUCCESS"), // DisallowXRP is advice
        (set(&shop, 1, FIRST + 1), "tesSUCCESS"),
        (pay(&shop, 1, Value::Null, FIRST + 1), "tecDST_TAG_NEEDED"),
        (pay(&shop, 1, json!(0), FIRST + 2), "tesSUCCESS"),
        (set(&shop, 9, FIRST + 2), "tesSUCCESS"),
        (pay(&shop, 1, json!(0), FIRST + 3), "tecNO_PERMISSION"),
        (set(&poor, 9, FIRST), "tesSUCCESS"),
        (pay(&poor, XRP, Value::Null, FIRST + 4), "tesSUCCESS"), // it would be locked out otherwise
        (pay(&poor, XRP, Value::Null, FIRST + 5), "tecNO_PERMISSION"),
    ];
    for (number, (tx, expected)) in steps.into_iter().enumerate() {
        assert_eq!(submit(&mut node, &tx).ter.name(), expected, "step {number}");
    }
    close(&mut node);
}

#[test]
fn payment_moves_xrp_burns_fee_and_is_told_in_metadata() {
    let (alice, carol) = (Wallet::new("alice"), Wallet::new("carol"));
    let mut node = node(&[(&alice, 100 * XRP)]);
    let invoice = "AB".repeat(32);
    let tx = alice.tx(json!({
        "Destination": carol.address(), "Amount": "25000000", "Sequence": FIRST, "InvoiceID": invoice, "Fee": "12",
    }));
    submit(&mut node, &tx);
    close(&mut node);
    assert_eq!(balance(&node, &alice), Some(75 * XRP - 12));
    assert_eq!(balance(&node, &carol), Some(25 * XRP));
    assert_eq!(
        node.world.accounts.get(&carol.id()).unwrap().sequence,
        FIRST + 1,
        "an account starts at its ledger's index"
    );
    assert_eq!(node.world.accounts.get_at(&carol.id(), FIRST), None);
    let (ledger, position) = node.world.find(tx.hash).unwrap();
    let meta = &ledger.txs[position].meta;
    assert_eq!(meta["delivered_amount"], "25000000");
    let node_of = |kind: &str| {
        meta["AffectedNodes"]
            .as_array()
            .unwrap()
            .iter()
            .find_map(|node| node.get(kind))
            .unwrap()
            .clone()
    };
    assert_eq!(node_of("CreatedNode")["NewFields"]["Balance"], "25000000");
    assert_eq!(
        node_of("ModifiedNode")["PreviousFields"],
        json!({ "Balance": "100000000", "Sequence": FIRST })
    );
    let seen = node.world.payments_by_invoice(&invoice);
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].result, seen[0].delivered),
        ("tesSUCCESS", Some(25 * XRP))
    );
    assert_eq!(
        node.world.slot_consumer(&alice.id(), FIRST),
        Some((tx.hash, FIRST + 1))
    );
}

#[test]
fn claimed_payment_takes_fee_and_slot_and_delivers_nothing() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let mut node = node(&[(&alice, 10 * XRP), (&bob, 10 * XRP)]);
    let tx = alice.pays(&bob, 10 * XRP, FIRST);
    submit(&mut node, &tx);
    close(&mut node);
    assert_eq!(
        validated(&node, &tx).map(|ter| ter.name()),
        Some("tecUNFUNDED_PAYMENT")
    );
    assert_eq!(
        (balance(&node, &alice), balance(&node, &bob)),
        (Some(10 * XRP - 10), Some(10 * XRP))
    );
    let (ledger, position) = node.world.find(tx.hash).unwrap();
    assert!(!ledger.txs[position].meta.contains_key("delivered_amount"));
    assert_eq!(
        node.world.slot_consumer(&alice.id(), FIRST),
        Some((tx.hash, FIRST + 1))
    );
}

#[test]
fn blob_that_is_not_a_signed_transaction_is_refused_before_the_engine() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::secp("bob"));
    let good = bob.sign(json!({ "Destination": alice.address(), "Amount": "1", "Sequence": 1 }));
    let parsed = Tx::from_hex(&good).unwrap();
    assert_eq!(parsed.signer, Some(bob.id()));
    assert_eq!(
        Tx::from_hex(&good.to_lowercase()).unwrap().hash,
        parsed.hash
    );
    assert_eq!(Tx::from_hex("zz").unwrap_err(), BlobError::NotHex);
    assert_eq!(Tx::from_hex("").unwrap_err(), BlobError::NotHex);
    let other_amount = good.replacen("6140000000000000016840", "6140000000000000026840", 1);
    assert_ne!(other_amount, good);
    let refused = [
        ("DEADBEEF".to_owned(), "Transaction length invalid"),
        (other_amount, "fails local checks: Invalid signature."),
        (
            alice.sign(
                json!({ "Destination": bob.address(), "Amount": "1", "Sequence": 1, "Memos": [
            { "Memo": { "MemoData": "AA".repeat(1020) } } ] }),
            ),
            "fails local checks: The memo exceeds the maximum allowed size.",
        ),
    ];
    for (blob, text) in refused {
        assert_eq!(
            Tx::from_hex(&blob).unwrap_err(),
            BlobError::Invalid(text.to_owned())
        );
    }
    for cut in [2, 40, (good.len() / 2) & !1] {
        assert!(
            Tx::from_hex(&good[..good.len() - cut]).is_err(),
            "{cut} digits missing"
        );
    }
    assert!(
        Tx::from_hex(&format!("{good}00")).is_err(),
        "a byte too much"
    );
}

/// Recorded: servers decode such a blob, and refuse it by a result code.
#[test]
fn negative_amounts_are_decoded() {
    let blob = "12000022000000002400000024201B0000005861000000000000000168400000000000000A7321EDAEA209D1E8A86E5888319FAEFF3BD3C2AF2B24E468B624482C211BD5A59AF9E07440465141958B561EF11AE27399AF7C57816532F668148C03652A54678720B6E28785483CEE67571833258141B00DAFFCC783B3F750F9099EB2742084DCB0DFBB05811457A8DEE0231374F093980EF2DF9434233ADB5D9A8314F0C0EEE25939E8DAB4B64532E2D0793C8E88D25A";
    let tx = Tx::from_hex(blob).unwrap();
    assert_eq!(tx.json["Amount"], "-1");
}
