//! Outsider: somebody with a key who acts on the ledger without asking the gateway, an owner of a destination or, with the wallet's
//! own key, the intruder that a gateway must notice.
//!
//! Owns: that person's blobs, encoded by xrpl-rust and signed here. May not: use what the gateway or the signer is made of.

use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Map, Value, json};
use xrpl::core::binarycodec::{encode, encode_for_signing};

use crate::sim::Network;
use crate::world::wallet::Wallet;

/// Fee of an outsider's transaction, unless it says otherwise.
const FEE_DROPS: u64 = 10;

/// A person with an ed25519 key.
#[derive(Clone)]
pub struct Outsider {
    wallet: Wallet,
    network_id: u32,
}

impl Outsider {
    /// Somebody with this key.
    #[must_use]
    pub fn new(wallet: Wallet, network_id: u32) -> Self {
        Self { wallet, network_id }
    }

    /// The account.
    #[must_use]
    pub fn address(&self) -> String {
        self.wallet.address()
    }

    /// Hands a transaction to a server on the slot that comes next there; gives its hash and preliminary result.
    pub fn submit(
        &self,
        network: &Network,
        server: usize,
        fields: Value,
    ) -> Option<(String, String)> {
        let info = json!({ "method": "account_info", "params": [{ "account": self.address(), "ledger_index": "current" }] });
        let info = ask(network, server, &info)?;
        let sequence = info.pointer("/account_data/Sequence")?.clone();
        let blob = self.sign(fields, &sequence);
        let submit = json!({ "method": "submit", "params": [{ "tx_blob": blob }] });
        let answer = ask(network, server, &submit)?;
        let hash = answer.pointer("/tx_json/hash")?.as_str()?.to_owned();
        Some((hash, answer.get("engine_result")?.as_str()?.to_owned()))
    }

    fn sign(&self, fields: Value, sequence: &Value) -> String {
        let key = Ed25519KeyPair::from_seed_unchecked(&self.wallet.private_key)
            .expect("any 32 bytes are an ed25519 seed");
        let usual = json!({
            "Account": self.address(), "Fee": FEE_DROPS.to_string(), "Flags": 0, "NetworkID": self.network_id,
            "Sequence": sequence, "SigningPubKey": format!("ED{}", hex::encode_upper(key.public_key().as_ref())), "TransactionType": "Payment",
        });
        let mut tx: Map<String, Value> = Map::new();
        for part in [usual, fields] {
            tx.extend(part.as_object().cloned().unwrap_or_default());
        }
        let bytes =
            encode_for_signing(&tx).expect("outsiders write transactions that the codec knows");
        let bytes = hex::decode(bytes).expect("the codec writes hexadecimal digits");
        let signature = hex::encode_upper(key.sign(&bytes).as_ref());
        tx.insert("TxnSignature".into(), json!(signature));
        encode(&tx).expect("outsiders write transactions that the codec knows")
    }
}

/// An administrator's question: no fault keeps it from its answer.
fn ask(network: &Network, server: usize, request: &Value) -> Option<Value> {
    let (_, body) = network.server(server).http(true, &request.to_string());
    let mut answer: Value = serde_json::from_str(&body).ok()?;
    Some(answer.get_mut("result")?.take())
}
