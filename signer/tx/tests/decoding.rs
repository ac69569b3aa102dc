//! What the reader of transactions refuses, field by field. That it reads all that is written is a property in
//! `oracle.rs`, that it never panics is tried in `src/fuzz.rs`.
#![allow(clippy::unwrap_used)]

use xrpl_tx::{
    AccountId, Amount, Body, DecodeError, Drops, DropsError, Hash256, Memo, MemoError, Memos, NoOp,
    Payment, PublicKey, PublicKeyError, Slot, TICKETS_MAX, TicketCountError, TicketCreate,
    Unsigned,
};

const SIGNATURE: [u8; 64] = [0x51; 64];

fn payment() -> Unsigned {
    Unsigned {
        account: AccountId::from_bytes([0xA1; 20]),
        slot: Slot::Ticket(7),
        fee: Drops::from_const(12),
        last_ledger_sequence: 0x0101_0101,
        network_id: Some(1025),
        source_tag: Some(0),
        memos: Memos::new(vec![
            Memo::new(None, Some(b"hi".to_vec()), Some(b"text/plain".to_vec())).unwrap(),
        ])
        .unwrap(),
        body: Body::Payment(Payment {
            destination: AccountId::from_bytes([0xA2; 20]),
            destination_tag: Some(u32::MAX),
            amount: Amount::Xrp(Drops::from_const(25_000_000)),
            invoice_id: Hash256::from_bytes([0xB1; 32]),
        }),
        signing_key: PublicKey::from_bytes(&[0xED; 33]).unwrap(),
    }
}

fn no_op() -> Unsigned {
    Unsigned {
        slot: Slot::Sequence(7),
        network_id: None,
        source_tag: None,
        memos: Memos::default(),
        body: Body::NoOp(NoOp),
        ..payment()
    }
}

/// Reads the blob of a transaction after one place in its hex was changed.
fn read_changed(tx: &Unsigned, from: &str, to: &str) -> Result<Unsigned, DecodeError> {
    let blob = hex::encode_upper(tx.sign_with(&SIGNATURE).unwrap().blob);
    assert_eq!(blob.matches(from).count(), 1, "{from} in {blob}");
    let changed = hex::decode(blob.replacen(from, to, 1)).unwrap();
    Unsigned::from_blob(&changed).map(|(tx, _)| tx)
}

/// Which field the reader missed in its place.
fn missing(read: Result<Unsigned, DecodeError>) -> &'static str {
    match read {
        Err(DecodeError::Missing { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_written_is_read_and_every_shorter_or_longer_text_is_refused() {
    for tx in [payment(), no_op()] {
        let blob = tx.sign_with(&SIGNATURE).unwrap().blob;
        let read = Unsigned::from_blob(&blob).unwrap();
        assert_eq!(read, (tx.clone(), SIGNATURE.to_vec()));
        let payload = tx.signing_payload();
        assert_eq!(Unsigned::from_signing_payload(&payload), Ok(tx.clone()));

        // Only before the memos' own header may a text end and still be a transaction, of the same payment without memos.
        let whole = |length: usize| {
            Unsigned::from_blob(&blob[..length]).is_ok_and(|(shorter, _)| {
                assert!(shorter.memos.is_empty());
                true
            })
        };
        let shorter: Vec<usize> = (0..blob.len()).filter(|length| whole(*length)).collect();
        assert_eq!(shorter.len(), usize::from(!tx.memos.is_empty()));
        for length in 0..payload.len() {
            let read = Unsigned::from_signing_payload(&payload[..length]);
            assert!(read.is_err() || length == shorter[0] + 4 - 66, "{length}");
        }
        for more in [0x00, 0x12, 0xE1, 0xF1, 0xFF] {
            let longer = [&blob[..], &[more]].concat();
            assert_eq!(
                Unsigned::from_blob(&longer),
                Err(DecodeError::Unexpected { at: blob.len() })
            );
        }
    }
}

#[test]
fn what_is_signed_and_what_is_sent_are_not_taken_for_each_other() {
    let tx = payment();
    let blob = tx.sign_with(&SIGNATURE).unwrap().blob;
    assert_eq!(
        Unsigned::from_signing_payload(&blob),
        Err(DecodeError::Prefix)
    );
    assert!(Unsigned::from_signing_payload(&[b"STX\0", &blob[..]].concat()).is_err());
    assert!(
        Unsigned::from_signing_payload(&[b"SMT\0", &tx.signing_payload()[4..]].concat()).is_err()
    );
    assert!(Unsigned::from_blob(&tx.signing_payload()).is_err());
    let unsigned = Unsigned::from_blob(&tx.signing_payload()[4..]);
    assert_eq!(missing(unsigned.map(|(tx, _)| tx)), "TxnSignature");
    assert_eq!(
        Unsigned::from_blob(b""),
        Err(DecodeError::Missing {
            field: "TransactionType",
            at: 0
        })
    );
}

#[test]
fn fields_and_kinds_that_are_never_sent_are_refused() {
    // Flags, even of value zero; a partial payment is the reason.
    for flags in ["2200000000", "2200020000", "2280000000"] {
        let read = read_changed(&no_op(), "2400000007", &format!("{flags}2400000007"));
        assert_eq!(missing(read), "Sequence");
    }
    // SendMax, DeliverMin and Paths.
    let fee = "68400000000000000C";
    for field in ["69400000000017D784", "6A400000000017D784"] {
        let read = read_changed(&payment(), fee, &format!("{fee}{field}"));
        assert_eq!(missing(read), "SigningPubKey");
    }
    let read = read_changed(&payment(), "F9EA7D", "0112F9EA7D");
    assert!(matches!(read, Err(DecodeError::Unexpected { .. })));
    // A trust line, an offer, a regular key, an escrow.
    for (hex, number) in [("0014", 20), ("0007", 7), ("0005", 5), ("0001", 1)] {
        let read = read_changed(&no_op(), "120003", &format!("12{hex}"));
        assert_eq!(read, Err(DecodeError::TransactionType { number }));
    }
    // A payment's fields in a no-op, and a no-op's absence of them in a payment.
    assert_eq!(
        missing(read_changed(&payment(), "120000", "120003")),
        "LastLedgerSequence"
    );
    assert_eq!(
        missing(read_changed(&no_op(), "120003", "120000")),
        "InvoiceID"
    );
}

#[test]
fn a_ticket_create_makes_between_one_and_all_tickets_that_an_account_can_have() {
    let mut tx = no_op();
    tx.body = Body::TicketCreate(TicketCreate::new(TICKETS_MAX).unwrap());
    let blob = tx.sign_with(&SIGNATURE).unwrap().blob;
    assert_eq!(
        Unsigned::from_blob(&blob),
        Ok((tx.clone(), SIGNATURE.to_vec()))
    );
    for (hex, count) in [("00000000", 0), ("000000FB", 251), ("FFFFFFFF", u32::MAX)] {
        let error = TicketCountError { count };
        assert_eq!(TicketCreate::new(count), Err(error.clone()));
        assert_eq!(
            read_changed(&tx, "2028000000FA", &format!("2028{hex}")),
            Err(error.into())
        );
    }
    assert_eq!(
        missing(read_changed(&tx, "2028000000FA", "")),
        "TicketCount"
    );
    assert_eq!(
        missing(read_changed(
            &no_op(),
            "68400000000000000C",
            "2028000000FA68400000000000000C"
        )),
        "Fee"
    );
}

#[test]
fn fields_out_of_order_or_twice_are_refused() {
    let (network, tag) = ("2100000401", "2300000000");
    let [once, swapped] = [format!("{network}{tag}"), format!("{tag}{network}")];
    assert_eq!(
        missing(read_changed(&payment(), &once, &swapped)),
        "Sequence"
    );
    assert_eq!(
        missing(read_changed(&payment(), network, &network.repeat(2))),
        "Sequence"
    );
}

#[test]
fn fees_are_xrp_and_no_amount_is_more_than_there_is() {
    let with = |field: &str, old: &str, new: &str| {
        let tx = payment();
        read_changed(&tx, &format!("{field}{old}"), &format!("{field}{new}")).unwrap_err()
    };
    for (field, name, old) in [
        ("61", "Amount", "40000000017D7840"),
        ("68", "Fee", "400000000000000C"),
    ] {
        // Less than nothing.
        let error = with(field, old, "0000000000000001");
        assert_eq!(error, DecodeError::NotXrp { field: name });
        // The bit of issued currencies, which a fee never is; an amount then has the form of one.
        for other in ["C000000000000001", "8000000000000000"] {
            match (name, with(field, old, other)) {
                ("Fee", error) => assert_eq!(error, DecodeError::NotXrp { field: name }),
                (
                    _,
                    DecodeError::IssuedValue { field, .. } | DecodeError::ZeroValue { field, .. },
                ) => {
                    assert_eq!(field, name);
                }
                (_, error) => panic!("{other}: {error}"),
            }
        }
        // One drop above the supply, and the bit that marks a multi-purpose token.
        for (hex, drops) in [
            ("416345785D8A0001", Drops::MAX.get() + 1),
            ("6000000000000001", 0x2000_0000_0000_0001),
        ] {
            let error = with(field, old, hex);
            let source = DropsError::AboveSupply { drops };
            let field = name;
            assert_eq!(error, DecodeError::Drops { field, source });
        }
    }
}

#[test]
fn keys_accounts_and_signatures_have_their_lengths() {
    let key = format!("7321{}", "ED".repeat(33));
    let prefix = format!("732104{}", "ED".repeat(32));
    assert_eq!(
        read_changed(&no_op(), &key, &prefix),
        Err(PublicKeyError::Prefix { prefix: 4 }.into())
    );
    let short = format!("7320{}", "ED".repeat(32));
    assert_eq!(
        read_changed(&no_op(), &key, &short),
        Err(PublicKeyError::Length { bytes: 32 }.into())
    );
    // A multi-signed transaction has no key here.
    assert_eq!(
        read_changed(&no_op(), &key, "7300"),
        Err(PublicKeyError::Length { bytes: 0 }.into())
    );
    let account = format!("8114{}", "A1".repeat(20));
    let longer = format!("8115{}", "A1".repeat(21));
    assert_eq!(
        read_changed(&no_op(), &account, &longer),
        Err(DecodeError::Length { field: "Account" })
    );
    let signature = format!("7440{}", "51".repeat(64));
    let shorter = format!("743F{}", "51".repeat(63));
    assert!(matches!(
        read_changed(&no_op(), &signature, &shorter),
        Err(DecodeError::Signature(error)) if error.bytes == 63
    ));
    // 0xF1 announces a third byte of length, 0xFF nothing.
    for length in ["F10000", "F1FFFF", "FFFFFF"] {
        assert_eq!(
            read_changed(&no_op(), &account, &format!("81{length}")),
            Err(DecodeError::Length { field: "Account" })
        );
    }
    assert_eq!(
        read_changed(&no_op(), &account, "8115"),
        Err(DecodeError::Truncated { field: "Account" })
    );
}

#[test]
fn a_meaning_has_one_form() {
    let form = Err(DecodeError::NotCanonical);
    // A sequence besides a ticket: servers refuse it too.
    assert_eq!(
        read_changed(&payment(), "2400000000", "2400000001"),
        form.clone()
    );
    let memos = "F9EA7D0268697E0A746578742F706C61696EE1F1";
    for other in [
        "F9F1",                                         // an array of nothing
        "F9EA7D0268697E00E1F1",                         // a part of nothing
        "F9EA7C007D0268697E0A746578742F706C61696EE1F1", // another
    ] {
        assert_eq!(
            read_changed(&payment(), memos, other),
            form.clone(),
            "{other}"
        );
    }
}

#[test]
fn memos_are_held_to_the_limits_of_servers_and_to_their_frame() {
    let memos = "F9EA7D0268697E0A746578742F706C61696EE1F1";
    let read = |other: &str| read_changed(&payment(), memos, other).unwrap_err();
    assert_eq!(read("F9EAE1F1"), MemoError::Empty.into());
    assert_eq!(
        read("F9EA7C0120E1F1"),
        MemoError::TypeCharacter { byte: b' ' }.into()
    );
    let long = format!("F9EA7DC43B{}E1F1", "07".repeat(1020));
    assert_eq!(read(&long), MemoError::TooLong { bytes: 1025 }.into());
    for (frame, field) in [
        ("F9EA7D026869", "end of an object"),
        ("F9EA7D026869E1", "Memo"),
        ("F9", "Memo"),
        ("F97D026869F1", "Memo"),
        ("F9EA7E016D7D026869E1F1", "end of an object"),
        ("F9EAEA7D026869E1E1F1", "end of an object"),
    ] {
        let error = read(frame);
        assert!(
            matches!(error, DecodeError::Missing { field: missed, .. } if missed == field),
            "{frame}: {error}"
        );
    }
    assert_eq!(
        read("F9EA7D03"),
        DecodeError::Truncated { field: "MemoData" }
    );
}
