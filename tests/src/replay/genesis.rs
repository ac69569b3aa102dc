//! Payments of the genesis account that a recorder made without writing them down.
//!
//! Owns: the account that every new standalone ledger begins with. May not: be used outside simulated ledgers.

use secp256k1::{Message, Secp256k1, SecretKey};
use serde_json::{Map, Value, json};
use xrpl::core::binarycodec::{encode, encode_for_signing};
use xrpl_tx::sha512_half;

use crate::world::wallet::{SeedType, Wallet};

/// The well-known bytes that "masterpassphrase" stands for.
const ENTROPY: [u8; 16] = [
    0xDE, 0xDC, 0xE9, 0xCE, 0x67, 0xB4, 0x51, 0xD8, 0x52, 0xFD, 0x4E, 0x84, 0x6F, 0xCD, 0xE3, 0x1C,
];
/// The recorders paid so much that no queue ever held a funding back.
const FEE_DROPS: u64 = 5_000_000;
/// Up to the expected size of a ledger the base fee is enough.
const FILL_FEE_DROPS: u64 = 10;
/// Ledgers that they gave each of them.
const LEDGERS: u32 = 50;

/// The account that owns everything, and the next Sequence it will use.
pub(super) struct Genesis {
    wallet: Wallet,
    network_id: u32,
    sequence: u32,
}

impl Genesis {
    pub(super) fn new(network_id: u32) -> Self {
        Self {
            wallet: Wallet::from_entropy(SeedType::Secp256k1, ENTROPY),
            network_id,
            sequence: 1,
        }
    }

    /// The blob of a payment in the open ledger of this index.
    pub(super) fn pays(&mut self, to: &str, drops: u64, open_index: u32) -> String {
        self.signed(json!({
            "Amount": drops.to_string(), "Destination": to, "LastLedgerSequence": open_index + LEDGERS, "TransactionType": "Payment",
        }))
    }

    /// The blob of a payment that is only to take its place in a ledger.
    pub(super) fn fills(&mut self, to: &str) -> String {
        self.signed(json!({
            "Amount": "1", "Destination": to, "Fee": FILL_FEE_DROPS.to_string(), "TransactionType": "Payment",
        }))
    }

    fn signed(&mut self, fields: Value) -> String {
        let key = SecretKey::from_byte_array(&self.wallet.private_key)
            .expect("the genesis key is a private key");
        let curve = Secp256k1::new();
        let public = hex::encode_upper(key.public_key(&curve).serialize());
        let common = json!({
            "Account": self.wallet.address(), "Fee": FEE_DROPS.to_string(), "Sequence": self.sequence, "SigningPubKey": public,
        });
        let mut tx: Map<String, Value> = [common, fields]
            .into_iter()
            .filter_map(|fields| fields.as_object().cloned())
            .flatten()
            .collect();
        if self.network_id > 1024 {
            tx.insert("NetworkID".into(), json!(self.network_id));
        }
        let message = encode_for_signing(&tx).expect("these fields have a form");
        let message = hex::decode(message).expect("the codec gives hexadecimal digits");
        let digest = Message::from_digest(*sha512_half(&[&message]).as_bytes());
        let signature = curve.sign_ecdsa(&digest, &key).serialize_der();
        tx.insert("TxnSignature".into(), json!(hex::encode_upper(signature)));
        self.sequence += 1;
        encode(&tx).expect("these fields have a form")
    }
}
