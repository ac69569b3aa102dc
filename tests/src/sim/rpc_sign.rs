//! Transactions that arrive as JSON: signed by several, or to be signed by the server for its administrator.
//!
//! Owns: `submit_multisigned`, and `submit` with a secret. May not: keep a secret, nor sign for anybody on a public port.

use std::panic::catch_unwind;
use std::sync::Arc;

use ring::signature::Ed25519KeyPair;
use secp256k1::{Message, Secp256k1, SecretKey};
use serde_json::{Map, Value, json};
use xrpl::core::binarycodec::{encode, encode_for_signing};

use super::blob::Tx;
use super::node::{Node, Submitted};
use super::refusals::message;
use super::rpc::{Answer, Call, RpcError};
use super::shapes::{ApiVersion, object, tx_fields};
use super::types::{AccountId, sha512_half};
use super::world::Release;
use crate::world::wallet::Wallet;

/// How the written form of an ed25519 seed begins.
const ED25519_SEED: &str = "sEd";

/// The older release asks for a form of signature that every server has long insisted on.
const TF_FULLY_CANONICAL: u32 = 0x8000_0000;

fn encoded(fields: &Map<String, Value>) -> Option<Vec<u8>> {
    let text = catch_unwind(|| encode(fields).ok()).ok()??;
    hex::decode(text).ok()
}

/// What is answered of a transaction that arrived as JSON; servers say less of it than of a blob.
fn answer(node: &Node, tx: &Tx, submitted: &Submitted) -> Map<String, Value> {
    let mut fields = tx_fields(tx, ApiVersion::V1);
    fields.insert("hash".into(), json!(tx.hash.to_string()));
    object(json!({
        "engine_result": submitted.ter.name(),
        "engine_result_code": submitted.ter.code(),
        "engine_result_message": message(submitted.ter, node.world.release),
        "tx_blob": hex::encode_upper(&tx.blob),
        "tx_json": fields,
    }))
}

pub(super) fn submit_multisigned(node: &mut Node, call: &Call<'_>) -> Answer {
    let fields = call.params.get("tx_json").and_then(Value::as_object);
    let fields =
        fields.ok_or_else(|| RpcError::invalid_params_because("Missing field 'tx_json'."))?;
    for name in ["Sequence", "SigningPubKey", "Signers"] {
        if !fields.contains_key(name) {
            let text = format!("Missing field 'tx_json.{name}'.");
            return Err(RpcError::invalid_params_because(&text));
        }
    }
    if fields.get("SigningPubKey").and_then(Value::as_str) != Some("") {
        let text = "When multi-signing 'tx_json.SigningPubKey' must be empty.";
        return Err(RpcError::invalid_params_because(text));
    }
    let blob = encoded(fields).ok_or_else(RpcError::invalid_params)?;
    let tx = Tx::from_bytes(blob).map(Arc::new);
    let tx = tx.map_err(|_| RpcError::new("internal", 73, "Invalid signature."))?;
    let submitted = node.submit(&tx, false, call.now);
    Ok(answer(node, &tx, &submitted))
}

/// Fills in what is missing, signs with the secret that the request brought, and submits.
pub(super) fn sign_and_submit(node: &mut Node, call: &Call<'_>) -> Answer {
    let fields = call.params.get("tx_json").and_then(Value::as_object);
    let fields =
        fields.ok_or_else(|| RpcError::invalid_params_because("Missing field 'tx_json'."))?;
    let secret = call.params.get("secret").and_then(Value::as_str);
    let wallet = secret.and_then(|secret| Wallet::from_seed(secret).ok());
    let wallet =
        wallet.ok_or_else(|| RpcError::new("badSecret", 41, "Secret does not match account."))?;
    let account = fields.get("Account").and_then(Value::as_str);
    let account = account.and_then(AccountId::from_address);
    let account = account
        .ok_or_else(|| RpcError::new("srcActMalformed", 65, "Source account is malformed."))?;
    let root = node.open_account(&account);
    let root =
        root.ok_or_else(|| RpcError::new("srcActNotFound", 67, "Source account not found."))?;
    let mut fields = fields.clone();
    let base = node.world.genesis.fees.base_drops;
    for (name, value) in [
        ("Fee", json!(base.to_string())),
        ("Sequence", json!(root.sequence)),
    ] {
        fields.entry(name).or_insert(value);
    }
    if node.world.release == Release::V2_3 {
        fields.entry("Flags").or_insert(json!(TF_FULLY_CANONICAL));
    }
    let blob = signed(fields, &wallet).ok_or_else(RpcError::invalid_params)?;
    let tx = Tx::from_bytes(blob).map(Arc::new);
    let tx = tx.map_err(|_| RpcError::invalid_params())?;
    let submitted = node.submit(&tx, false, call.now);
    Ok(answer(node, &tx, &submitted))
}

fn signed(mut fields: Map<String, Value>, wallet: &Wallet) -> Option<Vec<u8>> {
    let pair = wallet.seed.starts_with(ED25519_SEED).then(|| {
        Ed25519KeyPair::from_seed_unchecked(&wallet.private_key)
            .expect("any 32 bytes are an ed25519 seed")
    });
    let (curve, key) = (
        Secp256k1::new(),
        SecretKey::from_byte_array(&wallet.private_key).ok(),
    );
    let public = match &pair {
        Some(pair) => {
            use ring::signature::KeyPair;
            [&[0xED], pair.public_key().as_ref()].concat()
        }
        None => key?.public_key(&curve).serialize().to_vec(),
    };
    fields.insert("SigningPubKey".into(), json!(hex::encode_upper(public)));
    let bytes = catch_unwind(|| encode_for_signing(&fields).ok()).ok()??;
    let bytes = hex::decode(bytes).ok()?;
    let signature = match &pair {
        Some(pair) => pair.sign(&bytes).as_ref().to_vec(),
        None => {
            let digest = Message::from_digest(sha512_half(&[&bytes]).0);
            curve.sign_ecdsa(&digest, &key?).serialize_der().to_vec()
        }
    };
    fields.insert("TxnSignature".into(), json!(hex::encode_upper(signature)));
    encoded(&fields)
}
