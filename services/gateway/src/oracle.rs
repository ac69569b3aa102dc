//! Oracle: the last look at a signed blob before it may be sent.
//!
//! Owns: decoding what the signer returned with xrpl-rust, an implementation that is independent of our own encoder, and
//! comparing the whole of it with what the stored intent makes. May not: repair, ignore or allow anything. A blob that
//! fails here is never sent, and somebody is paged, because the signer or one of two encoders is broken or hostile.

use serde_json::{Map, Value, json};
use xrpl::core::binarycodec;
use xrpl::core::keypairs::is_valid_message;
use xrpl_tx::{
    AccountId, Amount, Asset, Currency, Drops, Hash256, IssuedValue, Memos, PublicKey, Slot,
    sha512_half,
};

/// No transaction of ours comes near: a payment is under 400 bytes, and its memos add at most 1 KiB.
pub const BLOB_BYTES_MAX: usize = 4096;

/// Hash prefix of a signed transaction: the letters TXN and a zero.
const PREFIX_TRANSACTION: [u8; 4] = [0x54, 0x58, 0x4e, 0x00];

/// tfFullyCanonicalSig. It asks for what the network demands anyway, so it changes nothing; no other flag is allowed.
const FULLY_CANONICAL: u64 = 0x8000_0000;

/// Half the order of secp256k1's group; an S above it is the malleable twin of a signature.
const SECP256K1_HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// What the blob must say, all of it.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The wallet.
    pub account: AccountId,
    /// Its slot.
    pub slot: Slot,
    /// Fee of this version.
    pub fee: Drops,
    /// LastLedgerSequence of this version.
    pub last_ledger_sequence: u32,
    /// NetworkID field: present only on networks whose id is above 1024.
    pub network_id: Option<u32>,
    /// Configured SourceTag.
    pub source_tag: Option<u32>,
    /// Memos in order.
    pub memos: Memos,
    /// Key that must have signed.
    pub signing_key: PublicKey,
    /// What it does.
    pub body: ExpectedBody,
}

/// What the blob must do.
#[derive(Clone, Debug)]
pub enum ExpectedBody {
    /// Pay.
    Payment {
        /// Receiver.
        destination: AccountId,
        /// Tag of the receiver.
        tag: Option<u32>,
        /// Amount, with its SendMax.
        amount: Amount,
        /// InvoiceID of the payment.
        invoice_id: Hash256,
    },
    /// Use the slot up and do nothing else.
    NoOp,
}

/// Why a blob must not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OracleError {
    /// Too large to be one of ours.
    #[error("blob has {bytes} bytes, more than {BLOB_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The decoder refused it, or fell over it.
    #[error("blob cannot be decoded")]
    Undecodable,
    /// The same content has another encoding: bytes that the decoder skipped or another order of fields.
    #[error("blob is not the canonical encoding of its content")]
    NotCanonical,
    /// A field differs from what the stored intent makes.
    #[error("field {field} of the blob is {got}, the stored intent makes it {wanted}")]
    Differs {
        /// Name of the field.
        field: String,
        /// What the intent makes.
        wanted: String,
        /// What the blob holds.
        got: String,
    },
    /// The signature is missing, not canonical, or not of the wallet's key over these bytes.
    #[error("signature is not one of the signing key over this blob")]
    BadSignature,
}

/// Compares the whole of a signed blob with what the stored intent makes. Returns its hash, computed here.
pub fn check_blob(blob: &[u8], expected: &Expected) -> Result<Hash256, OracleError> {
    if blob.len() > BLOB_BYTES_MAX {
        return Err(OracleError::TooLarge { bytes: blob.len() });
    }
    let text = hex::encode_upper(blob);
    let mut fields = guarded(|| binarycodec::decode(&text).ok())?;
    let reencoded = guarded(|| binarycodec::encode(&fields).ok())?;
    if reencoded != text {
        return Err(OracleError::NotCanonical);
    }
    let payload = guarded(|| binarycodec::encode_for_signing(&fields).ok())?;
    let object = fields.as_object_mut().ok_or(OracleError::Undecodable)?;
    let signature = match object.remove("TxnSignature") {
        Some(Value::String(signature)) => signature,
        _ => return Err(OracleError::BadSignature),
    };
    if object.get("Flags").and_then(Value::as_u64) == Some(FULLY_CANONICAL) {
        object.remove("Flags");
    }
    for field in ["Amount", "SendMax"] {
        if let Some(amount) = object.get_mut(field) {
            in_our_words(amount);
        }
    }
    compare(object, &expected.fields())?;
    verify(&payload, &signature, &expected.signing_key)?;
    Ok(sha512_half(&[&PREFIX_TRANSACTION, blob]))
}

impl Expected {
    /// Every field but the signature, in the decoder's words.
    fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut set = |field: &str, value: Value| fields.insert(field.to_owned(), value);
        set("Account", json!(self.account.to_address()));
        set("Fee", json!(self.fee.get().to_string()));
        set("LastLedgerSequence", json!(self.last_ledger_sequence));
        set(
            "SigningPubKey",
            json!(hex::encode_upper(self.signing_key.as_bytes())),
        );
        match self.slot {
            Slot::Sequence(sequence) => {
                set("Sequence", json!(sequence));
            }
            Slot::Ticket(ticket) => {
                set("Sequence", json!(0));
                set("TicketSequence", json!(ticket));
            }
        }
        if let Some(network_id) = self.network_id {
            set("NetworkID", json!(network_id));
        }
        if let Some(source_tag) = self.source_tag {
            set("SourceTag", json!(source_tag));
        }
        if !self.memos.is_empty() {
            set("Memos", memos(&self.memos));
        }
        match &self.body {
            ExpectedBody::NoOp => {
                set("TransactionType", json!("AccountSet"));
            }
            ExpectedBody::Payment {
                destination,
                tag,
                amount,
                invoice_id,
            } => {
                set("TransactionType", json!("Payment"));
                set("Destination", json!(destination.to_address()));
                match amount {
                    Amount::Xrp(drops) => {
                        set("Amount", json!(drops.get().to_string()));
                    }
                    Amount::Issued { amount, send_max } => {
                        set("Amount", issued(amount.asset(), amount.value()));
                        if let Some(send_max) = send_max {
                            set("SendMax", issued(amount.asset(), *send_max));
                        }
                    }
                }
                set("InvoiceID", json!(invoice_id.to_string()));
                if let Some(tag) = tag {
                    set("DestinationTag", json!(tag));
                }
            }
        }
        fields
    }
}

fn issued(asset: Asset, value: IssuedValue) -> Value {
    json!({
        "currency": asset.currency.to_string(),
        "issuer": asset.issuer.to_address(),
        "value": value.to_string(),
    })
}

/// One number and one currency have several spellings: the decoder's become ours, if they say the same exactly. What cannot be
/// read stays as it is, and differs.
fn in_our_words(amount: &mut Value) {
    let Some(parts) = amount.as_object_mut() else {
        return;
    };
    let mut respell = |part: &str, read: fn(&str) -> Option<String>| {
        if let Some(Value::String(text)) = parts.get_mut(part)
            && let Some(ours) = read(text)
        {
            *text = ours;
        }
    };
    respell("value", |text| {
        Some(text.parse::<IssuedValue>().ok()?.to_string())
    });
    respell("currency", |text| {
        Some(text.parse::<Currency>().ok()?.to_string())
    });
}

fn memos(memos: &Memos) -> Value {
    let parts = |memo: &xrpl_tx::Memo| {
        let mut parts = Map::new();
        for (name, part) in [
            ("MemoType", &memo.memo_type),
            ("MemoData", &memo.data),
            ("MemoFormat", &memo.format),
        ] {
            if let Some(part) = part {
                parts.insert(name.to_owned(), json!(hex::encode_upper(part)));
            }
        }
        json!({ "Memo": parts })
    };
    memos.as_slice().iter().map(parts).collect()
}

/// Both ways: a field that is missing and a field that nobody asked for are differences like any other.
fn compare(got: &Map<String, Value>, wanted: &Map<String, Value>) -> Result<(), OracleError> {
    let shown = |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), Value::to_string);
    let fields = wanted
        .keys()
        .chain(got.keys().filter(|field| !wanted.contains_key(*field)));
    for field in fields {
        if got.get(field) != wanted.get(field) {
            return Err(OracleError::Differs {
                field: field.clone(),
                wanted: shown(wanted.get(field)),
                got: shown(got.get(field)),
            });
        }
    }
    Ok(())
}

fn verify(payload: &str, signature: &str, key: &PublicKey) -> Result<(), OracleError> {
    let signature_bytes = hex::decode(signature).map_err(|_| OracleError::BadSignature)?;
    let payload = hex::decode(payload).map_err(|_| OracleError::Undecodable)?;
    let valid = match key.algorithm() {
        // The key carries the ledger's prefix byte, which is not part of the curve's encoding.
        xrpl_tx::Algorithm::Ed25519 => {
            let key = &key.as_bytes()[1..];
            ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key)
                .verify(&payload, &signature_bytes)
                .is_ok()
        }
        xrpl_tx::Algorithm::Secp256k1 => {
            let key = hex::encode_upper(key.as_bytes());
            let matches =
                guarded(|| is_valid_message(&payload, signature, &key).then_some(())).is_ok();
            matches && has_low_s(&signature_bytes)
        }
    };
    if valid {
        Ok(())
    } else {
        Err(OracleError::BadSignature)
    }
}

/// Whether S of a DER signature is in the lower half: servers refuse the other one, and it would change the hash.
fn has_low_s(der: &[u8]) -> bool {
    // 0x30 length 0x02 length(R) R 0x02 length(S) S
    let [0x30, total, 0x02, r_length, rest @ ..] = der else {
        return false;
    };
    let Some((_, [0x02, s_length, s @ ..])) = rest.split_at_checked(usize::from(*r_length)) else {
        return false;
    };
    if usize::from(*total) != der.len() - 2 || usize::from(*s_length) != s.len() || s.len() > 32 {
        return false;
    }
    let mut padded = [0; 32];
    padded[32 - s.len()..].copy_from_slice(s);
    padded <= SECP256K1_HALF_ORDER
}

/// Runs a piece of the decoder. It is somebody else's code fed with bytes of another process: a panic in it means "no".
fn guarded<T>(step: impl FnOnce() -> Option<T>) -> Result<T, OracleError> {
    crate::panics::fenced(step)
        .flatten()
        .ok_or(OracleError::Undecodable)
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use xrpl_tx::{Body, IssuedAmount, Memo, NoOp, Payment, Unsigned};

    use super::*;

    struct Ed25519(Ed25519KeyPair);

    impl Ed25519 {
        fn new(seed: u8) -> Ed25519 {
            Ed25519(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
        }

        fn public(&self) -> PublicKey {
            let mut bytes = vec![0xed];
            bytes.extend_from_slice(self.0.public_key().as_ref());
            PublicKey::from_bytes(&bytes).unwrap()
        }

        fn sign(&self, unsigned: &Unsigned) -> Vec<u8> {
            let signature = self.0.sign(&unsigned.signing_payload());
            unsigned.sign_with(signature.as_ref()).unwrap().blob
        }
    }

    fn account(byte: u8) -> AccountId {
        AccountId::from_bytes([byte; 20])
    }

    fn payment(key: PublicKey) -> Unsigned {
        let memo = Memo::new(Some(b"order".to_vec()), Some(b"4711".to_vec()), None).unwrap();
        Unsigned {
            account: key.account_id(),
            slot: Slot::Sequence(7),
            fee: Drops::from_const(12),
            last_ledger_sequence: 1_020,
            network_id: Some(9_001),
            source_tag: Some(5),
            memos: Memos::new(vec![memo]).unwrap(),
            body: Body::Payment(Payment {
                destination: account(9),
                destination_tag: Some(0),
                amount: Amount::Xrp(Drops::from_const(25_000_000)),
                invoice_id: Hash256::from_bytes([3; 32]),
            }),
            signing_key: key,
        }
    }

    fn expected(unsigned: &Unsigned) -> Expected {
        let body = match &unsigned.body {
            Body::NoOp(NoOp) => ExpectedBody::NoOp,
            Body::TicketCreate(_) => unreachable!("the gateway asks for no tickets"),
            Body::Payment(payment) => ExpectedBody::Payment {
                destination: payment.destination,
                tag: payment.destination_tag,
                amount: payment.amount,
                invoice_id: payment.invoice_id,
            },
        };
        Expected {
            account: unsigned.account,
            slot: unsigned.slot,
            fee: unsigned.fee,
            last_ledger_sequence: unsigned.last_ledger_sequence,
            network_id: unsigned.network_id,
            source_tag: unsigned.source_tag,
            memos: unsigned.memos.clone(),
            signing_key: unsigned.signing_key,
            body,
        }
    }

    #[test]
    fn what_the_intent_makes_passes_and_gets_its_hash() {
        let key = Ed25519::new(1);
        for slot in [Slot::Sequence(7), Slot::Ticket(8)] {
            let unsigned = Unsigned {
                slot,
                ..payment(key.public())
            };
            let blob = key.sign(&unsigned);
            let signature = key.0.sign(&unsigned.signing_payload());
            let signed = unsigned.sign_with(signature.as_ref()).unwrap();
            assert_eq!(check_blob(&blob, &expected(&unsigned)), Ok(signed.hash));
        }
        let no_op = Unsigned {
            body: Body::NoOp(NoOp),
            ..payment(key.public())
        };
        check_blob(&key.sign(&no_op), &expected(&no_op)).unwrap();
        let bare = Unsigned {
            network_id: None,
            source_tag: None,
            memos: Memos::default(),
            ..payment(key.public())
        };
        check_blob(&key.sign(&bare), &expected(&bare)).unwrap();
    }

    /// The terms of a payment, each of which a test changes by itself.
    struct Terms<'a> {
        destination: &'a mut AccountId,
        tag: &'a mut Option<u32>,
        amount: &'a mut Amount,
        invoice_id: &'a mut Hash256,
    }

    #[test]
    fn each_single_difference_is_refused_by_name() {
        let key = Ed25519::new(1);
        let unsigned = payment(key.public());
        let blob = key.sign(&unsigned);
        let with = |change: &dyn Fn(&mut Expected)| {
            let mut wanted = expected(&unsigned);
            change(&mut wanted);
            wanted
        };
        let pay = |change: &dyn Fn(Terms<'_>)| {
            with(&|wanted| match &mut wanted.body {
                ExpectedBody::Payment {
                    destination,
                    tag,
                    amount,
                    invoice_id,
                } => change(Terms {
                    destination,
                    tag,
                    amount,
                    invoice_id,
                }),
                ExpectedBody::NoOp => unreachable!("the test pays"),
            })
        };
        for (field, wanted) in [
            ("Account", with(&|wanted| wanted.account = account(8))),
            ("Sequence", with(&|wanted| wanted.slot = Slot::Sequence(8))),
            ("Sequence", with(&|wanted| wanted.slot = Slot::Ticket(7))),
            ("Fee", with(&|wanted| wanted.fee = Drops::from_const(13))),
            (
                "LastLedgerSequence",
                with(&|wanted| wanted.last_ledger_sequence += 1),
            ),
            ("NetworkID", with(&|wanted| wanted.network_id = None)),
            ("NetworkID", with(&|wanted| wanted.network_id = Some(9_002))),
            ("SourceTag", with(&|wanted| wanted.source_tag = None)),
            ("SourceTag", with(&|wanted| wanted.source_tag = Some(6))),
            ("Memos", with(&|wanted| wanted.memos = Memos::default())),
            (
                "SigningPubKey",
                with(&|wanted| wanted.signing_key = Ed25519::new(2).public()),
            ),
            (
                "TransactionType",
                with(&|wanted| wanted.body = ExpectedBody::NoOp),
            ),
            ("Destination", pay(&|terms| *terms.destination = account(8))),
            ("DestinationTag", pay(&|terms| *terms.tag = None)),
            ("DestinationTag", pay(&|terms| *terms.tag = Some(1))),
            (
                "Amount",
                pay(&|terms| *terms.amount = Amount::Xrp(Drops::from_const(25_000_001))),
            ),
            (
                "InvoiceID",
                pay(&|terms| *terms.invoice_id = Hash256::from_bytes([4; 32])),
            ),
        ] {
            match check_blob(&blob, &wanted) {
                Err(OracleError::Differs { field: named, .. }) if field != "TransactionType" => {
                    assert_eq!(named, field);
                }
                // A payment in the place of a no-op differs in many fields; which is named first does not matter.
                Err(OracleError::Differs { .. }) => {}
                other => panic!("{field}: {other:?}"),
            }
        }
    }

    fn in_dollars(key: PublicKey, value: &str, send_max: Option<&str>) -> Unsigned {
        let Body::Payment(terms) = payment(key).body else {
            unreachable!("the test pays");
        };
        let body = Body::Payment(Payment {
            amount: dollars("USD", 4, value, send_max),
            ..terms
        });
        Unsigned {
            body,
            ..payment(key)
        }
    }

    fn dollars(currency: &str, issuer: u8, value: &str, send_max: Option<&str>) -> Amount {
        let asset = Asset {
            currency: currency.parse().unwrap(),
            issuer: account(issuer),
        };
        Amount::Issued {
            amount: IssuedAmount::new(asset, value.parse().unwrap()).unwrap(),
            send_max: send_max.map(|most| most.parse().unwrap()),
        }
    }

    /// Whatever CreatePayment lets in, the second implementation reads back; and each part of it is compared.
    #[test]
    fn issued_amounts_are_compared_to_the_digit_with_issuer_and_send_max() {
        let key = Ed25519::new(1);
        for (value, send_max) in [
            ("12.5", Some("12.525")),
            ("12.5", None),
            ("0.000001", Some("0.00000100002")),
            ("1234567890.123456", Some("1237037025.903703")),
            ("1000000000000000e-21", None),
            ("9999999999999999e-21", None),
            ("1000000000000001e13", Some("9999999999999999e13")),
            ("1e28", None),
            ("7", Some("7")),
        ] {
            let unsigned = in_dollars(key.public(), value, send_max);
            let blob = key.sign(&unsigned);
            let passed = check_blob(&blob, &expected(&unsigned));
            assert!(passed.is_ok(), "{value} {send_max:?}: {passed:?}");
            for text in [Some(value), send_max].into_iter().flatten() {
                let value: IssuedValue = text.parse().unwrap();
                value.check_second_reader().unwrap();
            }
        }
        let unsigned = in_dollars(key.public(), "12.5", Some("12.525"));
        let blob = key.sign(&unsigned);
        for (field, other) in [
            (
                "Amount",
                dollars("USD", 4, "12.50000000000001", Some("12.525")),
            ),
            ("Amount", dollars("EUR", 4, "12.5", Some("12.525"))),
            ("Amount", dollars("USD", 5, "12.5", Some("12.525"))),
            ("Amount", Amount::Xrp(Drops::from_const(12_500_000))),
            (
                "SendMax",
                dollars("USD", 4, "12.5", Some("12.52500000000001")),
            ),
            ("SendMax", dollars("USD", 4, "12.5", None)),
        ] {
            let mut wanted = expected(&unsigned);
            if let ExpectedBody::Payment { amount, .. } = &mut wanted.body {
                *amount = other;
            }
            match check_blob(&blob, &wanted) {
                Err(OracleError::Differs { field: named, .. }) => assert_eq!(named, field),
                passed => panic!("{other:?}: {passed:?}"),
            }
        }
        let plain = in_dollars(key.public(), "12.5", None);
        let added = check_blob(&blob, &expected(&plain));
        assert!(
            matches!(&added, Err(OracleError::Differs { field, .. }) if field == "SendMax"),
            "{added:?}"
        );
    }

    /// Blobs that our own encoder cannot even make, by the other implementation, signed with the right key.
    #[test]
    fn flags_and_fields_that_nobody_asked_for_are_refused() {
        let key = Ed25519::new(1);
        let unsigned = payment(key.public());
        let wanted = expected(&unsigned);
        let sign_json = |change: &dyn Fn(&mut Map<String, Value>)| {
            let mut fields = wanted.fields();
            change(&mut fields);
            let payload = binarycodec::encode_for_signing(&fields).unwrap();
            let signature = key.0.sign(&hex::decode(payload).unwrap());
            fields.insert(
                "TxnSignature".to_owned(),
                json!(hex::encode_upper(signature)),
            );
            hex::decode(binarycodec::encode(&fields).unwrap()).unwrap()
        };
        check_blob(&sign_json(&|_| {}), &wanted).unwrap();
        let canonical =
            sign_json(&|fields| drop(fields.insert("Flags".to_owned(), json!(0x8000_0000_u32))));
        check_blob(&canonical, &wanted).unwrap();
        for (field, value) in [
            ("Flags", json!(0)),
            ("Flags", json!(0x0002_0000)),
            ("Flags", json!(0x8002_0000_u32)),
            ("SendMax", json!("30000000")),
            ("DeliverMin", json!("1")),
            ("TicketSequence", json!(9)),
            ("AccountTxnID", json!("00".repeat(32))),
            (
                "Paths",
                json!([[{ "currency": "USD", "issuer": account(4).to_address() }]]),
            ),
        ] {
            let blob = sign_json(&|fields| drop(fields.insert(field.to_owned(), value.clone())));
            let refused = check_blob(&blob, &wanted);
            assert!(
                matches!(&refused, Err(OracleError::Differs { field: named, .. }) if named == field),
                "{field}: {refused:?}"
            );
        }
    }

    #[test]
    fn a_signature_by_another_key_or_over_other_bytes_is_refused() {
        let (key, other) = (Ed25519::new(1), Ed25519::new(2));
        let unsigned = payment(key.public());
        let foreign = other.0.sign(&unsigned.signing_payload());
        let blob = unsigned.sign_with(foreign.as_ref()).unwrap().blob;
        assert_eq!(
            check_blob(&blob, &expected(&unsigned)),
            Err(OracleError::BadSignature)
        );
        let longer = Unsigned {
            last_ledger_sequence: 1_021,
            ..unsigned.clone()
        };
        let stale = key.0.sign(&unsigned.signing_payload());
        let blob = longer.sign_with(stale.as_ref()).unwrap().blob;
        assert_eq!(
            check_blob(&blob, &expected(&longer)),
            Err(OracleError::BadSignature)
        );
    }

    #[test]
    fn secp256k1_signatures_pass_and_their_malleable_twins_do_not() {
        let private = "00".to_owned() + &"11".repeat(32);
        let secret = SECRET_SCALAR_PUBLIC;
        let key = PublicKey::from_bytes(&hex::decode(secret).unwrap()).unwrap();
        let unsigned = payment(key);
        let signature = xrpl::core::keypairs::sign(&unsigned.signing_payload(), &private).unwrap();
        let signature = hex::decode(signature).unwrap();
        let blob = unsigned.sign_with(&signature).unwrap().blob;
        check_blob(&blob, &expected(&unsigned)).unwrap();
        let twin = unsigned.sign_with(&high_s(&signature)).unwrap().blob;
        assert_eq!(
            check_blob(&twin, &expected(&unsigned)),
            Err(OracleError::BadSignature)
        );
    }

    /// Public key of the private key that is 0x11 thirty-two times.
    const SECRET_SCALAR_PUBLIC: &str =
        "034F355BDCB7CC0AF728EF3CCEB9615D90684BB5B2CA5F859AB0F0B704075871AA";

    /// The same signature with S replaced by the group's order minus S.
    fn high_s(der: &[u8]) -> Vec<u8> {
        let order = hex::decode("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141")
            .unwrap();
        let r_end = 4 + usize::from(der[3]);
        let s = &der[r_end + 2..];
        let mut padded = [0u8; 32];
        padded[32 - s.len()..].copy_from_slice(s);
        let mut twin = vec![0u8; 32];
        let mut borrow = 0i16;
        for at in (0..32).rev() {
            let digit = i16::from(order[at]) - i16::from(padded[at]) - borrow;
            borrow = i16::from(digit < 0);
            twin[at] = u8::try_from(digit.rem_euclid(256)).unwrap();
        }
        if twin[0] >= 0x80 {
            twin.insert(0, 0);
        }
        let mut out = der[..r_end].to_vec();
        out.extend([0x02, u8::try_from(twin.len()).unwrap()]);
        out.extend(&twin);
        out[1] = u8::try_from(out.len() - 2).unwrap();
        out
    }

    #[test]
    fn no_damage_to_a_blob_passes_and_none_panics() {
        let key = Ed25519::new(1);
        let unsigned = payment(key.public());
        let wanted = expected(&unsigned);
        let blob = key.sign(&unsigned);
        for at in 0..blob.len() {
            for bit in [0, 7] {
                let mut damaged = blob.clone();
                damaged[at] ^= 1 << bit;
                assert!(
                    check_blob(&damaged, &wanted).is_err(),
                    "byte {at} bit {bit}"
                );
            }
            assert!(check_blob(&blob[..at], &wanted).is_err(), "cut at {at}");
        }
        let longer = [blob.as_slice(), &[0x22, 0x80, 0, 0, 0]].concat();
        assert!(
            check_blob(&longer, &wanted).is_err(),
            "a field after the end"
        );
        assert_eq!(
            check_blob(&vec![0x12; BLOB_BYTES_MAX + 1], &wanted),
            Err(OracleError::TooLarge {
                bytes: BLOB_BYTES_MAX + 1
            })
        );
    }
}
