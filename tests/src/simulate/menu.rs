//! The menu of faults as a run's report shows it: how often each of F1 to F52 was met, or why it cannot be.
//!
//! Owns: the reasons. May not: count, nor excuse a fault that could have been met.

use std::collections::BTreeMap;

use crate::sim::FAULT_NAMES;

/// So many seeds meet every fault that can be met.
pub const SEEDS_TO_MEET_ALL: u64 = 1000;

/// Faults that no simulated day can meet, by their numbers, with the reason. Whoever makes one of them possible takes it off the list.
const ABSENT: [(u8, &str); 7] = [
    (
        29,
        "no rule that the gateway uses depends on an amendment that could be switched",
    ),
    (
        34,
        "a blob of the wallet has one signature, and the signer's is canonical",
    ),
    (
        35,
        "takes somebody else with the key, who spends all but less than a fee",
    ),
    (
        38,
        "the gateway asks no server for a transaction by its hash",
    ),
    (
        39,
        "the gateway asks no server for a transaction by its hash",
    ),
    (
        46,
        "the gateway takes no stream of transactions, it asks for each ledger's",
    ),
    (
        47,
        "the gateway takes no stream of transactions, proposed ones neither",
    ),
];

/// What became of one fault of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It was met so often.
    Met(&'static str, u64),
    /// It cannot be met, for this reason.
    Absent(&'static str, &'static str),
    /// It can be met, and was not.
    Missed(&'static str),
}

/// The whole menu in its order, from counts by name.
#[must_use]
pub fn entries(faults: &BTreeMap<&'static str, u64>) -> Vec<Entry> {
    let entry = |(number, name): (u8, &&'static str)| {
        let reason = ABSENT.iter().find(|(absent, _)| *absent == number);
        match (faults.get(name), reason) {
            (Some(n), _) if *n > 0 => Entry::Met(name, *n),
            (_, Some((_, reason))) => Entry::Absent(name, reason),
            (_, None) => Entry::Missed(name),
        }
    };
    (1..).zip(&FAULT_NAMES).map(entry).collect()
}

/// True if this name is one of the menu's.
#[must_use]
pub fn holds(name: &str) -> bool {
    FAULT_NAMES.contains(&name)
}
