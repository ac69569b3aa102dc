//! Somebody else on the ledger, with a key of his own: who asks for tags, bars his door, or trusts an issuer.
//!
//! Owns: transactions that have nothing to do with the gateway, encoded and signed without any code of ours. May not: touch the
//! paying wallet.

use ring::signature::Ed25519KeyPair;
use serde_json::{Map, Value, json};
use xrpl::core::binarycodec::{encode, encode_for_signing};
use xrpl_tx::sha256;

use super::NETWORK_ID;
use super::ledger::{Ledger, LedgerError};
use super::wallet::{SeedType, Wallet};

/// Fee of everything that he does, in drops. Far above what an idle ledger asks for.
const FEE_DROPS: &str = "100";

/// `SetFlag` of an AccountSet: take nothing without a destination tag.
pub const ASF_REQUIRE_DEST: u32 = 1;
/// `SetFlag` of an AccountSet: send me no XRP.
pub const ASF_DISALLOW_XRP: u32 = 3;
/// `SetFlag` of an AccountSet: only those whom I preauthorise may pay in.
pub const ASF_DEPOSIT_AUTH: u32 = 9;

/// An account and its key.
#[derive(Clone)]
pub struct Person {
    wallet: Wallet,
}

impl Person {
    /// The person of this name: the same in every story.
    pub fn named(name: &str) -> Person {
        let digest = sha256(&[b"person ", name.as_bytes()]);
        let mut entropy = [0; 16];
        entropy.copy_from_slice(&digest.as_bytes()[..16]);
        Person {
            wallet: Wallet::from_entropy(SeedType::Ed25519, entropy),
        }
    }

    /// The classic address.
    pub fn address(&self) -> String {
        self.wallet.address()
    }

    /// Sends a transaction of these fields into the open ledger and answers its preliminary result and its hash.
    pub async fn sends(
        &self,
        ledger: &Ledger,
        fields: Value,
    ) -> Result<(String, String), LedgerError> {
        let params = json!({ "account": self.address(), "ledger_index": "current" });
        let root = ledger.ask("account_info", params).await?;
        let blob = self.signed(&root["account_data"]["Sequence"], fields);
        let answer = ledger.ask("submit", json!({ "tx_blob": blob })).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok((
            text(&answer["engine_result"]),
            text(&answer["tx_json"]["hash"]),
        ))
    }

    /// Sets one flag of his account.
    pub async fn sets(&self, ledger: &Ledger, flag: u32) -> Result<(String, String), LedgerError> {
        let fields = json!({ "TransactionType": "AccountSet", "SetFlag": flag });
        self.sends(ledger, fields).await
    }

    fn signed(&self, sequence: &Value, fields: Value) -> String {
        let pair = Ed25519KeyPair::from_seed_unchecked(&self.wallet.private_key)
            .expect("any 32 bytes are an ed25519 seed");
        let public = ring::signature::KeyPair::public_key(&pair);
        let usual = json!({
            "Account": self.address(), "Fee": FEE_DROPS, "Flags": 0, "NetworkID": NETWORK_ID, "Sequence": sequence,
            "SigningPubKey": format!("ED{}", hex::encode_upper(public)),
        });
        let mut tx: Map<String, Value> = [usual, fields]
            .into_iter()
            .flat_map(|value| value.as_object().cloned().unwrap_or_default())
            .collect();
        let message = encode_for_signing(&tx).expect("a story names fields that there are");
        let message = hex::decode(message).expect("an encoder writes hex");
        let signature = hex::encode_upper(pair.sign(&message));
        tx.insert("TxnSignature".into(), json!(signature));
        encode(&tx).expect("it was encoded for signing just now")
    }
}
