//! Our bytes against those of xrpl.js and xrpl-py: transactions that they signed, and seeds whose addresses they know.
//!
//! The data in `tests/vectors/data` was made by xrpl.js and agreed to by xrpl-py. The other direction, fresh
//! transactions of ours that they check, is `tests/vectors/cross-check`, for which the last test writes them.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]
#![allow(clippy::print_stderr, reason = "the seed is the bug report")]

#[path = "../vectors/fields.rs"]
mod fields;
#[path = "../vectors/fresh.rs"]
mod fresh;
#[path = "../vectors/vault.rs"]
mod vault;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use paygate_tests::world::wallet::{SeedType, Wallet};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;
use xrpl_tx::{
    Algorithm, Amount, Asset, Body, Drops, IssuedAmount, IssuedValue, Memo, NoOp, Slot,
    TICKETS_MAX, TicketCreate, Unsigned, network_id_field,
};

use fields::{Vector, as_json, meant};
use fresh::{Draws, KINDS, Owner};
use vault::{Signer, key};

/// Fresh transactions of each kind and, of each family, seeds, for other libraries to check.
const FRESH_TRANSACTIONS: usize = 1000;
const FRESH_SEEDS: usize = 4000;

/// The same when nobody checks them, so that the writing itself does not rot.
const FEW_TRANSACTIONS: usize = 20;
const FEW_SEEDS: usize = 50;

/// Wallets that share the fresh transactions.
const WALLETS: usize = 20;

// === stories ===

#[test]
fn transactions_of_other_libraries_are_written_and_read_byte_for_byte() {
    for vector in transactions() {
        let tx = meant(&vector.tx, key(&vector.seed).public());
        assert_eq!(tx.network_id, network_id_field(vector.network));
        let blob = hex::decode(&vector.blob).unwrap();
        let (read, signature) = Unsigned::from_blob(&blob).unwrap();
        assert_eq!(read, tx);
        let signed = tx.sign_with(&signature).unwrap();
        assert_eq!(signed.blob, blob);
        assert_eq!(signed.hash.to_string(), vector.hash);
        // The names of the fields are ours to get wrong as well: the fresh transactions are written with them.
        assert_eq!(as_json(&tx), vector.tx);
    }
}

#[test]
fn the_vault_signs_the_very_bytes_that_other_libraries_sign() {
    let mut wallets: BTreeMap<String, Vec<(Unsigned, Vector)>> = BTreeMap::new();
    for vector in transactions() {
        let tx = meant(&vector.tx, key(&vector.seed).public());
        // Tickets are made by sequences only.
        if !matches!(
            (&tx.body, tx.slot),
            (Body::TicketCreate(_), Slot::Ticket(_))
        ) {
            let of_wallet = wallets.entry(vector.seed.clone()).or_default();
            of_wallet.push((tx, vector));
        }
    }
    let mut signed = 0;
    for (seed, mut of_wallet) in wallets {
        // In the order of the ledger: tickets are made in front of all that was signed for.
        of_wallet.sort_by_key(|(tx, _)| tx.slot);
        let assets: Vec<Asset> = of_wallet.iter().filter_map(|(tx, _)| asset(tx)).collect();
        let mut signer = Signer::new(&seed, of_wallet[0].1.network, &assets);
        for (tx, vector) in &of_wallet {
            let blob = signer.sign(tx, vector.named.as_ref());
            assert_eq!(hex::encode_upper(blob), vector.blob);
            signed += 1;
        }
    }
    assert!(signed > 500, "only {signed} were signed");
}

fn asset(tx: &Unsigned) -> Option<Asset> {
    issued(tx).map(|(amount, _)| amount.asset())
}

fn issued(tx: &Unsigned) -> Option<(IssuedAmount, Option<IssuedValue>)> {
    match &tx.body {
        Body::Payment(payment) => match payment.amount {
            Amount::Issued { amount, send_max } => Some((amount, send_max)),
            Amount::Xrp(_) => None,
        },
        _ => None,
    }
}

#[test]
fn the_vectors_hold_every_kind_and_every_end_of_a_range() {
    let all: Vec<Unsigned> = transactions()
        .map(|vector| meant(&vector.tx, key(&vector.seed).public()))
        .collect();
    let some = |what: &str, is: &dyn Fn(&Unsigned) -> bool| {
        assert!(all.iter().any(is), "no transaction {what}");
    };
    let tags = |tx: &Unsigned| match &tx.body {
        Body::Payment(payment) => payment.destination_tag,
        _ => None,
    };
    let drops = |tx: &Unsigned| match &tx.body {
        Body::Payment(payment) => match payment.amount {
            Amount::Xrp(drops) => drops.get(),
            Amount::Issued { .. } => 0,
        },
        _ => 0,
    };
    let memos = |tx: &Unsigned| -> usize { tx.memos.as_slice().iter().map(memo_data).sum() };
    for algorithm in [Algorithm::Ed25519, Algorithm::Secp256k1] {
        let of = |tx: &Unsigned| tx.signing_key.algorithm() == algorithm;
        some("without memos", &|tx| of(tx) && tx.memos.is_empty());
        some("with a kilobyte of memos", &|tx| {
            of(tx) && memos(tx) == 1019
        });
        some("with three memos", &|tx| {
            of(tx) && tx.memos.as_slice().len() == 3
        });
        some("for a ticket", &|tx| {
            of(tx) && matches!(tx.slot, Slot::Ticket(_))
        });
        some("that does nothing", &|tx| {
            of(tx) && tx.body == Body::NoOp(NoOp)
        });
        for tag in [None, Some(0), Some(u32::MAX)] {
            some("to a tag", &|tx| of(tx) && drops(tx) > 0 && tags(tx) == tag);
            some("of a tag", &|tx| of(tx) && tx.source_tag == tag);
        }
        for network in [None, Some(1025), Some(u32::MAX)] {
            some("for a network", &|tx| of(tx) && tx.network_id == network);
        }
        let values =
            |tx: &Unsigned| issued(tx).map(|(amount, send_max)| (amount.value(), send_max));
        for end in [IssuedValue::MIN, IssuedValue::MAX] {
            some("of an end of the issued range", &|tx| {
                of(tx) && values(tx).is_some_and(|(value, _)| value == end)
            });
        }
        some("without SendMax", &|tx| {
            of(tx) && values(tx).is_some_and(|(_, send_max)| send_max.is_none())
        });
        some("of a SendMax above the amount", &|tx| {
            of(tx) && values(tx).is_some_and(|(value, send_max)| send_max > Some(value))
        });
        for standard in [true, false] {
            some("of a currency", &|tx| {
                of(tx) && asset(tx).is_some_and(|asset| asset.currency.code().is_some() == standard)
            });
        }
        for amount in [1, 0xFFFF_FFFF, 0x1_0000_0000, Drops::MAX.get()] {
            some("of an amount", &|tx| of(tx) && drops(tx) == amount);
        }
    }
    for count in [1, TICKETS_MAX] {
        let body = Body::TicketCreate(TicketCreate::new(count).unwrap());
        some("that makes tickets", &|tx| tx.body == body);
    }
    some("that pays an issuer", &|tx| match &tx.body {
        Body::Payment(payment) => {
            asset(tx).is_some_and(|asset| asset.issuer == payment.destination)
        }
        _ => false,
    });
    some("of the first sequence", &|tx| tx.slot == Slot::Sequence(1));
    some("of the last sequence", &|tx| {
        tx.slot == Slot::Sequence(u32::MAX)
    });
    some("of the highest fee", &|tx| tx.fee == Drops::MAX);
}

#[test]
fn seeds_have_the_addresses_that_other_libraries_derive() {
    let mut families = BTreeSet::new();
    for line in lines("seeds.jsonl") {
        let (seed, address): (String, String) = serde_json::from_str(&line).unwrap();
        let public = key(&seed).public();
        assert_eq!(public.account_id().to_address(), address, "{seed}");
        families.insert(public.as_bytes()[0]);
    }
    assert_eq!(families, BTreeSet::from([0x02, 0x03, 0xED]));
}

/// Writes to the directory in `PAYGATE_VECTORS_OUT`; without it, only that what it writes can be read is checked.
#[test]
fn fresh_transactions_are_written_for_other_libraries() {
    let wanted = std::env::var_os("PAYGATE_VECTORS_OUT").map(PathBuf::from);
    let (transactions, seeds) = match wanted {
        Some(_) => (FRESH_TRANSACTIONS, FRESH_SEEDS),
        None => (FEW_TRANSACTIONS, FEW_SEEDS),
    };
    let seed = seed();
    eprintln!("fresh transactions of PAYGATE_SEED={seed}");
    let mut draws = Draws(seed);

    let families = [SeedType::Ed25519, SeedType::Secp256k1];
    let mut owners: Vec<Owner> = (0..WALLETS)
        .map(|number| Owner::draw(&mut draws, families[number % 2]))
        .collect();
    let mut counts = BTreeMap::new();
    let lines: Vec<String> = (0..transactions * KINDS.len())
        .map(|number| {
            // Of each wallet every kind in turn.
            let kind = KINDS[number / WALLETS % KINDS.len()];
            *counts.entry(format!("{kind:?}")).or_insert(0) += 1;
            let vector = owners[number % WALLETS].transaction(&mut draws, number, kind);
            let blob = hex::decode(&vector.blob).unwrap();
            let (read, signature) = Unsigned::from_blob(&blob).unwrap();
            assert_eq!(as_json(&read), vector.tx);
            assert_eq!(read.sign_with(&signature).unwrap().blob, blob);
            serde_json::to_string(&vector).unwrap()
        })
        .collect();
    let addresses: Vec<String> = families
        .into_iter()
        .flat_map(|family| std::iter::repeat_n(family, seeds))
        .map(|family| {
            let wallet = Wallet::from_entropy(family, draws.array());
            let address = key(&wallet.seed).public().account_id().to_address();
            json!([wallet.seed, address]).to_string()
        })
        .collect();
    eprintln!("signed by the vault: {counts:?}");
    assert!(counts.len() == KINDS.len() && counts.values().all(|count| *count == transactions));
    if let Some(directory) = wanted {
        fs::create_dir_all(&directory).unwrap();
        fs::write(
            directory.join("transactions.jsonl"),
            lines.join("\n") + "\n",
        )
        .unwrap();
        fs::write(directory.join("seeds.jsonl"), addresses.join("\n") + "\n").unwrap();
    }
}

// === the data ===

fn lines(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/data");
    let text = fs::read_to_string(path.join(name)).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn transactions() -> impl Iterator<Item = Vector> {
    [
        "transactions.jsonl",
        "issued-payments.jsonl",
        "ticket-creates.jsonl",
    ]
    .into_iter()
    .flat_map(lines)
    .map(|line| serde_json::from_str(&line).unwrap())
}

fn memo_data(memo: &Memo) -> usize {
    memo.data.as_ref().map_or(0, Vec::len)
}

fn seed() -> u64 {
    match std::env::var("PAYGATE_SEED") {
        Ok(text) => text.parse().expect("PAYGATE_SEED is a number"),
        Err(_) => {
            let mut bytes = [0; 4];
            SystemRandom::new().fill(&mut bytes).unwrap();
            u64::from(u32::from_be_bytes(bytes))
        }
    }
}
