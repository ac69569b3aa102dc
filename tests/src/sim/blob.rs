//! Transactions as the network receives them: bytes, decoded and checked by xrpl-rust.
//!
//! Owns: the local checks of a submitted blob (form, memos, signature, hash). May not: use the project's own
//! encoder, so that an error of that encoder shows here, nor look at any ledger.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::panic::catch_unwind;
use std::sync::Arc;

use ring::signature::{ED25519, UnparsedPublicKey};
use secp256k1::ecdsa::Signature;
use secp256k1::{Message, PublicKey, Secp256k1};
use serde_json::{Map, Value};
use xrpl::core::binarycodec::{decode, encode};
use xrpl::core::keypairs::derive_classic_address;

use super::codes::Ter;
use super::decimal::Decimal;
use super::entries::Made;
use super::money::Money;
use super::signers::{MultiSigner, multi_signers};
use super::state::TOTAL_DROPS;
use super::types::{AccountId, Hash, sha512_half};

/// Shortest blob that a server looks at.
const BLOB_BYTES_MIN: usize = 32;
/// Longest blob that is decoded. No supported transaction comes near it, and the decoder has no depth limit.
const BLOB_BYTES_MAX: usize = 10_240;
/// Transactions that a thread remembers to be right: several servers are given the same one within a moment.
const FOUND_MAX: usize = 64;
/// Serialized memos may not exceed this.
const MEMOS_BYTES_MAX: usize = 1024;
/// Hash prefix "TXN\0".
const TRANSACTION_ID_PREFIX: [u8; 4] = *b"TXN\0";

/// Hash prefix "STX\0" of what is signed.
const SIGNING_PREFIX: [u8; 4] = *b"STX\0";
/// Type and name of the field TxnSignature.
const TXN_SIGNATURE_FIELD: u8 = 0x74;

/// Type and name of the field Amount.
const AMOUNT_FIELD: u8 = 0x61;
/// Type and name of the field Fee.
const FEE_FIELD: u8 = 0x68;
/// Says in an amount's first byte that it is not negative.
const POSITIVE_BIT: u8 = 0x40;

/// Fields of a stop on a path, and the bits of its type that stand for them.
const STOP_FIELDS: [(&str, u64); 3] = [("account", 0x01), ("currency", 0x10), ("issuer", 0x20)];

/// Why a blob is not even looked at by the transaction engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BlobError {
    /// Not hexadecimal, or empty.
    #[error("invalid parameters")]
    NotHex,
    /// Form, local checks or signature; the text goes out as `error_exception`.
    #[error("{0}")]
    Invalid(String),
}

/// A decoded transaction whose signature and hash are right.
#[derive(Debug, Clone)]
pub(super) struct Tx {
    /// Identifies it.
    pub hash: Hash,
    /// Its exact bytes.
    pub blob: Vec<u8>,
    /// All its fields, without `hash`.
    pub json: Map<String, Value>,
    /// Who pays.
    pub account: AccountId,
    /// The account of the key that signed; None if it is multi-signed.
    pub signer: Option<AccountId>,
    /// Those who signed, if it is multi-signed.
    pub signers: Vec<MultiSigner>,
    /// 0 with a ticket.
    pub sequence: u32,
    /// Slot outside the Sequence.
    pub ticket: Option<u32>,
    /// Last ledger that may hold it.
    pub last_ledger: Option<u32>,
    /// Flag bits.
    pub flags: u32,
    /// Named network.
    pub network_id: Option<u32>,
    /// Drops; None if it is not XRP.
    pub fee: Option<i128>,
    /// What it wants to do.
    pub kind: Kind,
}

/// The transaction types with effects here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A payment of XRP or of an issued currency.
    Payment {
        /// Who receives.
        destination: AccountId,
        /// Drops; None for an issued currency.
        drops: Option<i128>,
    },
    /// Flags of the account, or nothing at all.
    AccountSet {
        /// `SetFlag`, 0 for none.
        set: u32,
        /// `ClearFlag`, 0 for none.
        clear: u32,
    },
    /// Sets or removes the regular key.
    SetRegularKey {
        /// None removes it.
        key: Option<AccountId>,
    },
    /// Makes, replaces or ends the list of those who may sign together.
    SignerListSet,
    /// Sets Sequences aside.
    TicketCreate {
        /// How many.
        count: u32,
    },
    /// Lets another account pay in, or no longer.
    DepositPreauth {
        /// Who may.
        authorize: Option<AccountId>,
        /// Who may no longer.
        unauthorize: Option<AccountId>,
    },
    /// Begins, changes or ends a trust line.
    TrustSet,
    /// Takes back issued money.
    Clawback,
    /// Offers to trade.
    OfferCreate,
    /// Makes an object of a kind that nothing here acts on.
    Creates(Made),
    /// Ends the account.
    AccountDelete {
        /// Who gets what it holds.
        destination: AccountId,
    },
    /// Uses an object that nobody can have made here; the result is what servers say of one that does not exist.
    NoSuchObject(Ter),
    /// Not built here: answered like a feature that the network has not enabled.
    Other,
}

impl Tx {
    /// Decodes and checks a submitted hexadecimal blob.
    pub(super) fn from_hex(text: &str) -> Result<Self, BlobError> {
        let blob = hex::decode(text)
            .ok()
            .filter(|blob| !blob.is_empty())
            .ok_or(BlobError::NotHex)?;
        Self::from_bytes(blob)
    }

    /// The hash that identifies a transaction of these bytes.
    pub(super) fn hash_of(blob: &[u8]) -> Hash {
        sha512_half(&[&TRANSACTION_ID_PREFIX, blob])
    }

    /// Decodes and checks the bytes of a transaction.
    pub(super) fn from_bytes(blob: Vec<u8>) -> Result<Self, BlobError> {
        let mut json = decode_exactly(&blob)?;
        check_memos(&json)?;
        let signers = check_signatures(&blob, &json)?;
        print_as_servers_do(&mut json);
        Self::from_parts(blob, json, signers)
    }

    /// The same, and what another server in this thread has found right before is not looked at again: it is the same for all.
    pub(super) fn of_bytes(blob: Vec<u8>) -> Result<Arc<Self>, BlobError> {
        thread_local! {
            static FOUND: RefCell<VecDeque<Arc<Tx>>> = const { RefCell::new(VecDeque::new()) };
        }
        let found = |tx: &&Arc<Self>| tx.blob == blob;
        if let Some(tx) = FOUND.with_borrow(|known| known.iter().rev().find(found).cloned()) {
            return Ok(tx);
        }
        let tx = Arc::new(Self::from_bytes(blob)?);
        FOUND.with_borrow_mut(|known| {
            if known.len() >= FOUND_MAX {
                known.pop_front();
            }
            known.push_back(Arc::clone(&tx));
        });
        Ok(tx)
    }

    /// True if the account holds it by its Sequence or ticket before the other, in canonical order.
    pub(super) fn slot_order(&self) -> (bool, u32, Hash) {
        let (is_ticket, number) = self.slot();
        (is_ticket, number, self.hash)
    }

    /// Its Sequence, or its ticket and that it is one.
    pub(super) fn slot(&self) -> (bool, u32) {
        (self.ticket.is_some(), self.ticket.unwrap_or(self.sequence))
    }

    /// An amount that it names.
    pub(super) fn money(&self, name: &str) -> Option<Money> {
        Money::from_json(self.json.get(name)?)
    }

    /// Everybody it names: in a field of its own, or as the issuer of an amount.
    pub(super) fn mentioned(&self) -> Vec<AccountId> {
        let issuer = |value: &'_ Value| {
            value
                .get("issuer")
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let named = self.json.values().filter_map(|value| match value {
            Value::String(text) if text.starts_with('r') => Some(text.clone()),
            Value::Object(_) => issuer(value),
            _ => None,
        });
        let ids: BTreeSet<AccountId> = named
            .filter_map(|text| AccountId::from_address(&text))
            .collect();
        ids.into_iter().collect()
    }

    /// A number that it names.
    pub(super) fn u32_field(&self, name: &str) -> Option<u32> {
        u32_field(&self.json, name)
    }

    fn from_parts(
        blob: Vec<u8>,
        json: Map<String, Value>,
        (signer, signers): (Option<AccountId>, Vec<MultiSigner>),
    ) -> Result<Self, BlobError> {
        let account =
            account_field(&json, "Account").ok_or_else(|| invalid("missing field Account"))?;
        let kind = match json.get("TransactionType").and_then(Value::as_str) {
            Some("Payment") => Kind::Payment {
                destination: account_field(&json, "Destination")
                    .ok_or_else(|| invalid("missing field Destination"))?,
                drops: drops_field(&json, "Amount"),
            },
            Some("AccountSet") => Kind::AccountSet {
                set: u32_field(&json, "SetFlag").unwrap_or(0),
                clear: u32_field(&json, "ClearFlag").unwrap_or(0),
            },
            Some("SetRegularKey") => Kind::SetRegularKey {
                key: account_field(&json, "RegularKey"),
            },
            Some("TicketCreate") => Kind::TicketCreate {
                count: u32_field(&json, "TicketCount").unwrap_or(0),
            },
            Some("DepositPreauth") => Kind::DepositPreauth {
                authorize: account_field(&json, "Authorize"),
                unauthorize: account_field(&json, "Unauthorize"),
            },
            Some("AccountDelete") => Kind::AccountDelete {
                destination: account_field(&json, "Destination")
                    .ok_or_else(|| invalid("missing field Destination"))?,
            },
            Some("SignerListSet") => Kind::SignerListSet,
            Some("TrustSet") => Kind::TrustSet,
            Some("MPTokenIssuanceCreate") => Kind::Creates(Made::Issuance),
            Some("CredentialCreate") => Kind::Creates(Made::Credential {
                subject: account_field(&json, "Subject")
                    .ok_or_else(|| invalid("missing field Subject"))?,
            }),
            Some("Clawback") => Kind::Clawback,
            Some("OfferCreate") => Kind::OfferCreate,
            Some("EscrowFinish" | "EscrowCancel") => Kind::NoSuchObject(Ter::TecNoTarget),
            Some("CheckCash" | "CheckCancel" | "LoanBrokerSet") => {
                Kind::NoSuchObject(Ter::TecNoEntry)
            }
            Some("AMMDelete") => Kind::NoSuchObject(Ter::TerNoAmm),
            Some("OracleSet") if is_empty_list(&json, "PriceDataSeries") => {
                Kind::NoSuchObject(Ter::TemArrayEmpty)
            }
            Some("EnableAmendment" | "SetFee" | "UNLModify") => {
                return Err(local_check("Cannot submit pseudo transactions."));
            }
            _ => Kind::Other,
        };
        Ok(Self {
            hash: Self::hash_of(&blob),
            account,
            signer,
            signers,
            sequence: u32_field(&json, "Sequence")
                .ok_or_else(|| invalid("missing field Sequence"))?,
            ticket: u32_field(&json, "TicketSequence"),
            last_ledger: u32_field(&json, "LastLedgerSequence"),
            flags: u32_field(&json, "Flags").unwrap_or(0),
            network_id: u32_field(&json, "NetworkID"),
            fee: drops_field(&json, "Fee"),
            kind,
            blob,
            json,
        })
    }
}

fn invalid(text: &str) -> BlobError {
    BlobError::Invalid(text.to_owned())
}

pub(super) fn local_check(text: &str) -> BlobError {
    BlobError::Invalid(format!("fails local checks: {text}"))
}

/// Decodes, and encodes again: bytes that are not the canonical form of what they say are refused.
fn decode_exactly(blob: &[u8]) -> Result<Map<String, Value>, BlobError> {
    if !(BLOB_BYTES_MIN..=BLOB_BYTES_MAX).contains(&blob.len()) {
        return Err(invalid("Transaction length invalid"));
    }
    let text = hex::encode_upper(blob);
    // The decoder panics on truncated and on some altered blobs.
    let decoded =
        catch_unwind(|| decode(&text)).map_err(|_| invalid("invalid SerialIter getRaw"))?;
    let Ok(Value::Object(json)) = decoded else {
        return Err(invalid("invalid SerialIter getRaw"));
    };
    match catch_unwind(|| encode(&json)) {
        Ok(Ok(again)) if again.eq_ignore_ascii_case(&text) => Ok(json),
        Ok(Ok(again)) => with_lost_signs(blob, &again, json),
        // The encoder refuses amounts that nobody can have, which servers look at and refuse by a result code.
        _ if has_impossible_xrp(&json) => Ok(json),
        _ => Err(invalid("fields are not in canonical form")),
    }
}

/// Where servers print more than the decoder: the types of a path's stops, and short forms of very small and large values.
fn print_as_servers_do(json: &mut Map<String, Value>) {
    json.values_mut().for_each(print_values);
    let paths = json.get_mut("Paths").and_then(Value::as_array_mut);
    let stops = paths.into_iter().flatten().filter_map(Value::as_array_mut);
    for stop in stops.flatten().filter_map(Value::as_object_mut) {
        let kinds = STOP_FIELDS
            .iter()
            .filter(|(name, _)| stop.contains_key(*name));
        let kinds: u64 = kinds.map(|(_, kind)| kind).sum();
        stop.insert("type".into(), Value::from(kinds));
    }
}

fn print_values(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(print_values),
        Value::Object(fields) => {
            let number = fields.get("value").and_then(Value::as_str);
            let number = number.filter(|_| fields.contains_key("issuer"));
            if let Some(number) = number.and_then(Decimal::parse) {
                fields.insert("value".into(), Value::from(number.to_string()));
            }
            fields.values_mut().for_each(print_values);
        }
        _ => {}
    }
}

/// The decoder loses the sign of negative XRP. They show as the only bits that come back otherwise.
fn with_lost_signs(
    blob: &[u8],
    again: &str,
    mut json: Map<String, Value>,
) -> Result<Map<String, Value>, BlobError> {
    let not_canonical = || invalid("fields are not in canonical form");
    let again = hex::decode(again).map_err(|_| not_canonical())?;
    if again.len() != blob.len() {
        return Err(not_canonical());
    }
    let differing = (1..blob.len()).filter(|at| blob[*at] != again[*at]);
    for at in differing {
        let name = match blob[at - 1] {
            AMOUNT_FIELD => "Amount",
            FEE_FIELD => "Fee",
            _ => return Err(not_canonical()),
        };
        let drops = drops_field(&json, name).filter(|_| again[at] == blob[at] | POSITIVE_BIT);
        let drops = drops.ok_or_else(not_canonical)?;
        json.insert(name.into(), Value::from((-drops).to_string()));
    }
    Ok(json)
}

fn has_impossible_xrp(json: &Map<String, Value>) -> bool {
    let drops = |name: &&str| drops_field(json, name);
    ["Amount", "Fee"]
        .iter()
        .filter_map(drops)
        .any(|drops| !(0..=i128::from(TOTAL_DROPS)).contains(&drops))
}

fn check_memos(json: &Map<String, Value>) -> Result<(), BlobError> {
    let Some(memos) = json.get("Memos").and_then(Value::as_array) else {
        return Ok(());
    };
    let mut size: usize = 0;
    for memo in memos {
        // One byte opens the object and one ends it.
        size += 2;
        for (name, value) in memo
            .get("Memo")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let bytes = value
                .as_str()
                .and_then(|text| hex::decode(text).ok())
                .unwrap_or_default();
            size += 1 + if bytes.len() > 192 { 2 } else { 1 } + bytes.len();
            if name != "MemoData" && !bytes.iter().all(|byte| is_url_byte(*byte)) {
                return Err(local_check(
                    "The MemoType and MemoFormat fields may only contain characters that are allowed in URLs under RFC 3986.",
                ));
            }
        }
    }
    if size > MEMOS_BYTES_MAX {
        return Err(local_check("The memo exceeds the maximum allowed size."));
    }
    Ok(())
}

fn is_url_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

/// The account of the one signing key, or those who signed together.
fn check_signatures(
    blob: &[u8],
    json: &Map<String, Value>,
) -> Result<(Option<AccountId>, Vec<MultiSigner>), BlobError> {
    let key = json
        .get("SigningPubKey")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if key.is_empty() {
        return Ok((None, multi_signers(json)?));
    }
    if json.contains_key("Signers") {
        return Err(local_check("Cannot both single- and multi-sign."));
    }
    let key_bytes = hex::decode(key).map_err(|_| local_check("Invalid signature."))?;
    let signature = json
        .get("TxnSignature")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let signature = hex::decode(signature).map_err(|_| local_check("Invalid signature."))?;
    if signature.is_empty() {
        return Err(local_check("Invalid signature."));
    }
    let signed =
        signed_bytes(blob, &signature).ok_or_else(|| invalid("cannot serialize for signing"))?;
    if !verifies(&key_bytes, &signed, &signature) {
        return Err(local_check("Invalid signature."));
    }
    let address = derive_classic_address(key).map_err(|_| local_check("Invalid signature."))?;
    Ok((AccountId::from_address(&address), Vec::new()))
}

/// What a single signature covers: the blob, without the field that holds the signature itself.
fn signed_bytes(blob: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    // Longer ones have a longer length field, and no kind of key makes them.
    let length = u8::try_from(signature.len())
        .ok()
        .filter(|length| *length <= 192)?;
    let field = [&[TXN_SIGNATURE_FIELD, length], signature].concat();
    let at = blob
        .windows(field.len())
        .position(|window| window == field)?;
    Some([&SIGNING_PREFIX, &blob[..at], &blob[at + field.len()..]].concat())
}

pub(super) fn verifies(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    match key {
        [0xED, rest @ ..] if rest.len() == 32 => UnparsedPublicKey::new(&ED25519, rest)
            .verify(message, signature)
            .is_ok(),
        [0x02 | 0x03, ..] if key.len() == 33 => {
            let (Ok(key), Ok(parsed)) =
                (PublicKey::from_slice(key), Signature::from_der(signature))
            else {
                return false;
            };
            // Only the fully canonical form counts: strict DER and the lower of the two values of S.
            let mut low = parsed;
            low.normalize_s();
            let digest = Message::from_digest(sha512_half(&[message]).0);
            low == parsed
                && parsed.serialize_der().as_ref() == signature
                && Secp256k1::verification_only()
                    .verify_ecdsa(&digest, &parsed, &key)
                    .is_ok()
        }
        _ => false,
    }
}

fn u32_field(json: &Map<String, Value>, name: &str) -> Option<u32> {
    u32::try_from(json.get(name)?.as_u64()?).ok()
}

fn drops_field(json: &Map<String, Value>, name: &str) -> Option<i128> {
    json.get(name)?.as_str()?.parse().ok()
}

fn is_empty_list(json: &Map<String, Value>, name: &str) -> bool {
    json.get(name)
        .and_then(Value::as_array)
        .is_some_and(Vec::is_empty)
}

pub(super) fn account_field(json: &Map<String, Value>, name: &str) -> Option<AccountId> {
    AccountId::from_address(json.get(name)?.as_str()?)
}
