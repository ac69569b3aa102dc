//! Stories about the simulated ledger, and the people in them: wallets that sign with xrpl-rust's encoding.
#![allow(clippy::unwrap_used)]

mod crowd;
mod engine;
mod faults;
mod limits;
mod lines;
mod network;
mod server;
mod several;
mod signers;
mod wire;

use std::sync::Arc;

use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Map, Value, json};
use xrpl::core::binarycodec::{encode, encode_for_signing};
use xrpl::core::keypairs::derive_classic_address;

use super::blob::Tx;
use super::codes::Ter;
use super::node::{Node, Submitted};
use super::state::Fees;
use super::types::{AccountId, Millis, sha512_half};
use super::world::{Genesis, World};

/// 2026-11-23 04:35:00 UTC.
const START: Millis = Millis(1_795_408_500_000);
/// First ledger of the networks in these stories.
const FIRST: u32 = 1000;
/// Their id: every transaction must name it.
const NETWORK: u32 = 21_337;
const XRP: u64 = 1_000_000;

/// A key and its account.
enum Wallet {
    Ed25519(Box<Ed25519KeyPair>),
    Secp256k1(secp256k1::SecretKey),
}

impl Wallet {
    fn new(name: &str) -> Self {
        let seed = sha512_half(&[name.as_bytes()]).0;
        Self::Ed25519(Box::new(
            Ed25519KeyPair::from_seed_unchecked(&seed).unwrap(),
        ))
    }

    fn secp(name: &str) -> Self {
        Self::Secp256k1(
            secp256k1::SecretKey::from_slice(&sha512_half(&[name.as_bytes()]).0).unwrap(),
        )
    }

    fn public_key(&self) -> String {
        match self {
            Self::Ed25519(pair) => format!("ED{}", hex::encode_upper(pair.public_key())),
            Self::Secp256k1(key) => {
                hex::encode_upper(key.public_key(&secp256k1::Secp256k1::new()).serialize())
            }
        }
    }

    fn address(&self) -> String {
        derive_classic_address(&self.public_key()).unwrap()
    }

    fn id(&self) -> AccountId {
        AccountId::from_address(&self.address()).unwrap()
    }

    /// The signed blob of these fields; null takes a usual field away.
    fn sign(&self, fields: Value) -> String {
        let usual = json!({
            "Account": self.address(), "Fee": "10", "Flags": 0, "NetworkID": NETWORK,
            "SigningPubKey": self.public_key(), "TransactionType": "Payment",
        });
        let mut tx: Map<String, Value> = [usual, fields]
            .into_iter()
            .flat_map(|value| value.as_object().unwrap().clone())
            .collect();
        tx.retain(|_, value| !value.is_null());
        let message = hex::decode(encode_for_signing(&tx).unwrap()).unwrap();
        let signature = match self {
            Self::Ed25519(pair) => pair.sign(&message).as_ref().to_vec(),
            Self::Secp256k1(key) => {
                let digest = secp256k1::Message::from_digest(sha512_half(&[&message]).0);
                secp256k1::Secp256k1::new()
                    .sign_ecdsa(&digest, key)
                    .serialize_der()
                    .to_vec()
            }
        };
        tx.insert("TxnSignature".into(), json!(hex::encode_upper(signature)));
        encode(&tx).unwrap()
    }

    fn tx(&self, fields: Value) -> Arc<Tx> {
        Arc::new(Tx::from_hex(&self.sign(fields)).unwrap())
    }

    fn pays(&self, to: &Self, drops: u64, sequence: u32) -> Arc<Tx> {
        self.tx(json!({ "Destination": to.address(), "Amount": drops.to_string(), "Sequence": sequence }))
    }
}

fn genesis(funded: &[(&Wallet, u64)]) -> Genesis {
    Genesis {
        network_id: NETWORK,
        start_index: FIRST,
        fees: Fees {
            base_drops: 10,
            reserve_base_drops: XRP,
            reserve_inc_drops: 200_000,
        },
        funded: funded
            .iter()
            .map(|(wallet, drops)| (wallet.address(), *drops))
            .collect(),
        close_time: START.ledger_time(),
    }
}

fn node(funded: &[(&Wallet, u64)]) -> Node {
    Node::new(World::new(genesis(funded)).unwrap(), None, None)
}

fn submit(node: &mut Node, tx: &Arc<Tx>) -> Submitted {
    node.submit(tx, false, START)
}

fn close(node: &mut Node) {
    node.close(START).unwrap();
    node.world.assert_conserved();
}

/// The result in the validated ledger; None if no ledger holds it.
fn validated(node: &Node, tx: &Tx) -> Option<Ter> {
    let (ledger, position) = node.world.find(tx.hash)?;
    Some(ledger.txs[position].ter)
}

fn balance(node: &Node, wallet: &Wallet) -> Option<u64> {
    node.world
        .accounts
        .get(&wallet.id())
        .map(|account| account.balance)
}
