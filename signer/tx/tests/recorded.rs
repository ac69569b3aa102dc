//! Transactions that real servers (rippled 2.3.0-b4) applied, rebuilt from their fields: what we encode is what the
//! ledger took, and our hash is the one it answered.
//!
//! The recorded transactions were made by another library, which writes `Flags` 0 where we write no flags, and have
//! mostly no InvoiceID where we always write one; so those two fields are cut out of both before they are compared.
#![allow(clippy::unwrap_used)]

use xrpl_tx::{
    AccountId, Amount, Body, Drops, Hash256, Memo, Memos, NoOp, Payment, PublicKey, Slot, Unsigned,
    network_id_field, sha512_half,
};

const INVOICE: [u8; 32] = [0xAB; 32];
const FLAGS_ZERO: &str = "2200000000";

struct Recorded {
    tx: Unsigned,
    signature: &'static str,
    blob: &'static str,
    hash: &'static str,
}

fn account(address: &str) -> AccountId {
    address.parse().unwrap()
}

fn pay(to: &str, drops: u64) -> Body {
    Body::Payment(Payment {
        destination: account(to),
        destination_tag: None,
        amount: Amount::Xrp(Drops::new(drops).unwrap()),
        invoice_id: Hash256::from_bytes(INVOICE),
    })
}

fn unsigned(from: &str, key: &str, slot: Slot, last_ledger_sequence: u32, body: Body) -> Unsigned {
    Unsigned {
        account: account(from),
        slot,
        fee: Drops::from_const(10),
        last_ledger_sequence,
        network_id: None,
        source_tag: None,
        memos: Memos::default(),
        body,
        signing_key: PublicKey::from_bytes(&hex::decode(key).unwrap()).unwrap(),
    }
}

/// `hex` without `part`, which must be in it at most once.
fn cut(hex: &str, part: &str) -> String {
    assert!(
        hex.matches(part).count() <= 1,
        "{part} is not unique in {hex}"
    );
    hex.replacen(part, "", 1)
}

fn check(recorded: &Recorded) {
    let signed = recorded
        .tx
        .sign_with(&hex::decode(recorded.signature).unwrap())
        .unwrap();
    let ours = hex::encode_upper(&signed.blob);
    let invoice = format!("5011{}", hex::encode_upper(INVOICE));
    let comparable = |blob: &str| cut(&cut(blob, FLAGS_ZERO), &invoice);
    assert_eq!(comparable(&ours), comparable(recorded.blob));
    assert!(!ours.contains(FLAGS_ZERO));

    let blob = hex::decode(recorded.blob).unwrap();
    assert_eq!(sha512_half(&[b"TXN\0", &blob]).to_string(), recorded.hash);
    assert_eq!(signed.hash, sha512_half(&[b"TXN\0", &signed.blob]));

    // What is signed is the blob without the signature, after the prefix.
    let field = signature_field(recorded.signature);
    assert_eq!(
        hex::encode_upper(recorded.tx.signing_payload()),
        format!("53545800{}", cut(&ours, &field))
    );
}

fn signature_field(signature: &str) -> String {
    format!("74{:02X}{signature}", signature.len() / 2)
}

#[test]
fn payment_with_tag_invoice_and_memo_signed_by_ed25519() {
    let mut tx = unsigned(
        "r4MCcuGdTVTiHg4DuaQNcEFfFgHiC8V8L6",
        "ED1DF0706C6DEA5373535CE426B775120125197B79CAE8200F87577DC9D00712A5",
        Slot::Sequence(9),
        32,
        Body::Payment(Payment {
            destination: account("rV1cgvA3tMfWeET5tZrakwtBE8bnhxkQq"),
            destination_tag: Some(77),
            amount: Amount::Xrp(Drops::from_const(25_000_000)),
            invoice_id: Hash256::from_bytes(INVOICE),
        }),
    );
    tx.memos = Memos::new(vec![Memo::new(None, Some(vec![0xCA, 0xFE]), None).unwrap()]).unwrap();
    check(&Recorded {
        tx,
        signature: "3770FB5A370FF38ED4B5CB510AB3AF0F36E6F2D4DBC39BC179A39B0D4ED33856180FAF084AA06ADA0D47D381A666D65D97613F602FE17A57F364D14E184B9601",
        blob: "120000220000000024000000092E0000004D201B000000205011ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB6140000000017D784068400000000000000A7321ED1DF0706C6DEA5373535CE426B775120125197B79CAE8200F87577DC9D00712A574403770FB5A370FF38ED4B5CB510AB3AF0F36E6F2D4DBC39BC179A39B0D4ED33856180FAF084AA06ADA0D47D381A666D65D97613F602FE17A57F364D14E184B96018114EA4332BD51F562B97988637DFBB3E3F2D5FAF3DF83140575E6021E596D9C2CEE8D064FEBFB2C5686FF03F9EA7D02CAFEE1F1",
        hash: "F632E8D24EBDBF7B1B8E5F3ACC6F6119AE2779287E9631CB03FD85F886DD977B",
    });
}

#[test]
fn payment_signed_by_secp256k1() {
    check(&Recorded {
        tx: unsigned(
            "rEUaLjvmY5XCq28KFo9QprGcJDjoLjLByK",
            "036AE66A7B048322A5BAA0B2C0402AFCC86C809D010401588A9FA76180F61D7730",
            Slot::Sequence(3),
            80,
            pay("rER7eyQE9FbmnxUZAoCHMNKFLxsAxorAgL", 32),
        ),
        signature: "3044022007EDEA0AA4EC8B630F0CCF1455CED4A7CFF655905B6C49818986C300CFE925D102201F5BDEF90E25D226C33547B8DD0D7F51D8EABB3B0139B082A5FAE1CA417B7515",
        blob: "12000022000000002400000003201B0000005061400000000000002068400000000000000A7321036AE66A7B048322A5BAA0B2C0402AFCC86C809D010401588A9FA76180F61D773074463044022007EDEA0AA4EC8B630F0CCF1455CED4A7CFF655905B6C49818986C300CFE925D102201F5BDEF90E25D226C33547B8DD0D7F51D8EABB3B0139B082A5FAE1CA417B751581149BAACB610DDB34A55847FF843B2E6A4599AF391983149E32D43B984B0BAE0A9BE0325366AFFDD44264FA",
        hash: "5DDA8C9273483A93D6B997B4341097191B5C03D43EB9A64DB76E8706D99AE538",
    });
}

#[test]
fn payment_on_a_ticket() {
    check(&Recorded {
        tx: unsigned(
            "rpWqQjxut6xgVf6v19vBFsJtwtvmDsZbD6",
            "EDE661D2543AC107DCF1B29987EDBF4C2DA187C9C04AEEE274AB67A421B415B66B",
            Slot::Ticket(160),
            113,
            pay("r4HgKgXwTYxU7btRn8PXqKKfQAXsXo6Vzq", 1),
        ),
        signature: "BB5224C96C2D66A16833C153D9A76E001EBDE4A591E0F9531829CBD24AEE98D6BFFABA64A117D2CBF1B92B95E5851870F5B59DE51F9553323FB3DF1850CF6709",
        blob: "1200002400000000201B000000712029000000A061400000000000000168400000000000000A7321EDE661D2543AC107DCF1B29987EDBF4C2DA187C9C04AEEE274AB67A421B415B66B7440BB5224C96C2D66A16833C153D9A76E001EBDE4A591E0F9531829CBD24AEE98D6BFFABA64A117D2CBF1B92B95E5851870F5B59DE51F9553323FB3DF1850CF67098114109C9947467739847FE7B535416DF6C23B63A7568314E9821F0C12B18D6D708A388C9A1997302DD1A922",
        hash: "4F4565C1C42957F51F0CB4DBD960BDA5B8FDC20FA262103319173DEE339EDD92",
    });
}

#[test]
fn payment_on_a_network_that_wants_its_id() {
    let mut tx = unsigned(
        "r3JSQEoBjy2hSteRComPuVsTaYa7KSVjpC",
        "EDFC1B282C2FD02947AF9800A8BBC55F340A86A8407689E9DBCD85B05100867B82",
        Slot::Sequence(3),
        26,
        pay("rNgLsR8KmNJgJmK2TGk9oVNwtKuEmoFEAA", 1),
    );
    tx.network_id = network_id_field(9001);
    check(&Recorded {
        tx,
        signature: "A4DD8B405863CCC606A3DC130E87C290BE430726FC2CD3DD8E12BA62C65D185C27CFE1119256804D21DCF54ECCB5B0C2D428D66ECA6D6846DB7A41727BBB4606",
        blob: "120000210000232922000000002400000003201B0000001A61400000000000000168400000000000000A7321EDFC1B282C2FD02947AF9800A8BBC55F340A86A8407689E9DBCD85B05100867B827440A4DD8B405863CCC606A3DC130E87C290BE430726FC2CD3DD8E12BA62C65D185C27CFE1119256804D21DCF54ECCB5B0C2D428D66ECA6D6846DB7A41727BBB46068114501527CDAF0EB5D6DE296F031913049CFF62283F83149609C0C6DB1DB546A820303590DC1FA0E9C33A5E",
        hash: "1008A56A240C3190CC5982E87F3971B3176233B2C5AA454DC46858BBAF1DBD4F",
    });
}

#[test]
fn no_op() {
    let mut tx = unsigned(
        "rXxfhxSUuEHq5z1Gcm9VwzedWywBSSfKw",
        "EDAD9DC44C7EF0C9500E5ACF31ECA415EB8211D8114CA4C1E6DB8A7EC160F99430",
        Slot::Sequence(46),
        70,
        Body::NoOp(NoOp),
    );
    tx.fee = Drops::from_const(9_900_000);
    assert_eq!(tx.signing_key.account_id(), tx.account);
    check(&Recorded {
        tx,
        signature: "DD84F3D183B7250BF8BF46DEEF7CF68B66BD03397C05FD4F745A71DB1FA6246121121036C80DE2F6E67D46F45D2F73ECB7098242A5FD787565D822757399060C",
        blob: "1200032200000000240000002E201B00000046684000000000970FE07321EDAD9DC44C7EF0C9500E5ACF31ECA415EB8211D8114CA4C1E6DB8A7EC160F994307440DD84F3D183B7250BF8BF46DEEF7CF68B66BD03397C05FD4F745A71DB1FA6246121121036C80DE2F6E67D46F45D2F73ECB7098242A5FD787565D822757399060C811405DA7A562D4B813060CDD31750BD3B948A1E76DC",
        hash: "A30878C75743C3937D536ACE943471742538657E95C3CDF43098DCB4B215C6C3",
    });
}

#[test]
fn network_id_is_written_only_above_1024() {
    for (network, field) in [
        (0, None),
        (1, None),
        (1024, None),
        (1025, Some(1025)),
        (u32::MAX, Some(u32::MAX)),
    ] {
        assert_eq!(network_id_field(network), field);
    }
}

#[test]
fn a_signature_of_impossible_length_is_refused() {
    let genesis = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh";
    for (key, good, bad) in [
        (
            "ED9434799226374926EDA3B54B1B461B4ABF7237962EAE18528FEA67595397FA32",
            &[64][..],
            &[0, 63, 65, 72][..],
        ),
        (
            "0330E7FC9D56BB25D6893BA3F317AE5BCF33B3291BD63DB32654A313222F7FD020",
            &[8, 70, 71, 72],
            &[0, 7, 73, 193],
        ),
    ] {
        let tx = unsigned(genesis, key, Slot::Sequence(1), 2, Body::NoOp(NoOp));
        for bytes in good {
            assert!(tx.sign_with(&vec![1; *bytes]).is_ok(), "{bytes}");
        }
        for bytes in bad {
            assert_eq!(tx.sign_with(&vec![1; *bytes]).unwrap_err().bytes, *bytes);
        }
    }
}
