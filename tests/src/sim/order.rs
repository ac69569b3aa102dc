//! What makes a ledger the same everywhere: the order of its transactions, its close time, its hashes.
//!
//! Owns: these rules. May not: apply a transaction.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::json;

use super::blob::Tx;
use super::state::Overlay;
use super::types::{Hash, sha512_half};
use super::world::{Included, Ledger};

/// Close times are multiples of this, in seconds, unless ledgers close faster.
const CLOSE_TIME_RESOLUTION_S: u32 = 10;
/// Hash prefix "LWR\0" of a ledger header.
const LEDGER_PREFIX: [u8; 4] = *b"LWR\0";
/// Hash prefix "MIN\0" of a branch of a tree.
const BRANCH_PREFIX: [u8; 4] = *b"MIN\0";

/// By account in an order that depends on the set, then by slot, then by hash.
pub(super) fn canonical_order(candidates: &[Arc<Tx>]) -> Vec<Arc<Tx>> {
    let salt = transaction_set_hash(candidates);
    let mut seen = HashSet::new();
    let mut order: Vec<Arc<Tx>> = candidates
        .iter()
        .filter(|tx| seen.insert(tx.hash))
        .cloned()
        .collect();
    order.sort_by_cached_key(|tx| {
        let mut salted = salt.0;
        salted
            .iter_mut()
            .zip(tx.account.0)
            .for_each(|(byte, account)| *byte ^= account);
        (salted, tx.slot_order())
    });
    order
}

/// The root of the tree that servers agree on: its leaves are the transactions' hashes, its branches their digits.
fn transaction_set_hash(txs: &[Arc<Tx>]) -> Hash {
    let mut hashes: Vec<Hash> = txs.iter().map(|tx| tx.hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    if hashes.is_empty() {
        return Hash::default();
    }
    branch_hash(&hashes, 0)
}

fn branch_hash(sorted: &[Hash], depth: usize) -> Hash {
    let digit =
        |hash: &Hash| (hash.0[depth / 2] >> if depth.is_multiple_of(2) { 4 } else { 0 }) & 0x0F;
    let children: Vec<Hash> = (0..16)
        .map(|child| {
            let below: Vec<Hash> = sorted
                .iter()
                .filter(|hash| digit(hash) == child)
                .copied()
                .collect();
            match below.as_slice() {
                [] => Hash::default(),
                [leaf] => *leaf,
                several => branch_hash(several, depth + 1),
            }
        })
        .collect();
    let parts: Vec<&[u8]> = std::iter::once(BRANCH_PREFIX.as_slice())
        .chain(children.iter().map(|child| child.0.as_slice()))
        .collect();
    sha512_half(&parts)
}

pub(super) fn next_close_time(parent: u32, now: u32) -> u32 {
    let rounded = now.saturating_add(CLOSE_TIME_RESOLUTION_S / 2) / CLOSE_TIME_RESOLUTION_S
        * CLOSE_TIME_RESOLUTION_S;
    rounded.max(parent.saturating_add(1))
}

pub(super) fn header_hash(ledger: &Ledger) -> Hash {
    sha512_half(&[&LEDGER_PREFIX, &header_bytes(ledger)])
}

/// A ledger's header as its hash covers it.
pub(super) fn header_bytes(ledger: &Ledger) -> Vec<u8> {
    let resolution = u8::try_from(CLOSE_TIME_RESOLUTION_S).expect("10 fits a byte");
    [
        ledger.index.to_be_bytes().as_slice(),
        &ledger.total_drops.to_be_bytes(),
        &ledger.parent_hash.0,
        &ledger.transaction_hash.0,
        &ledger.account_hash.0,
        &ledger.parent_close_time.to_be_bytes(),
        &ledger.close_time.to_be_bytes(),
        &[resolution, 0],
    ]
    .concat()
}

pub(super) fn account_hash(parent: Hash, changed: &Overlay) -> Hash {
    if changed.is_empty() {
        return parent;
    }
    sha512_half(&[format!("{parent}{changed:?}").as_bytes()])
}

pub(super) fn transaction_hash(txs: &[Included]) -> Hash {
    if txs.is_empty() {
        return Hash::default();
    }
    let lines: String = txs
        .iter()
        .map(|included| format!("{} {}\n", included.tx.hash, json!(included.meta)))
        .collect();
    sha512_half(&[lines.as_bytes()])
}
