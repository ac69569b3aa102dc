//! Values on the wire: hashes, addresses and drops, checked while they are read.
//!
//! Owns: the forms in which servers write them. May not: accept a form that no server writes.

use serde::Deserialize;
use xrpl_tx::{AccountId, Drops, Hash256};

/// A hash in hex.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct WireHash(pub(super) Hash256);

impl TryFrom<String> for WireHash {
    type Error = xrpl_tx::HashError;
    fn try_from(text: String) -> Result<WireHash, Self::Error> {
        text.parse().map(WireHash)
    }
}

/// A classic address.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct WireAccount(pub(super) AccountId);

impl TryFrom<String> for WireAccount {
    type Error = xrpl_tx::AddressError;
    fn try_from(text: String) -> Result<WireAccount, Self::Error> {
        AccountId::from_address(&text).map(WireAccount)
    }
}

/// Drops as a string of digits.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct DropsText(pub(super) Drops);

impl TryFrom<String> for DropsText {
    type Error = &'static str;
    fn try_from(text: String) -> Result<DropsText, Self::Error> {
        drops_of_digits(&text)
            .map(DropsText)
            .ok_or("not a number of drops")
    }
}

/// Drops as an integer.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct DropsNumber(pub(super) Drops);

impl TryFrom<u64> for DropsNumber {
    type Error = xrpl_tx::DropsError;
    fn try_from(drops: u64) -> Result<DropsNumber, Self::Error> {
        Drops::new(drops).map(DropsNumber)
    }
}

/// Drops of a string that holds digits and nothing else; `str::parse` alone would let a plus sign through.
pub(super) fn drops_of_digits(text: &str) -> Option<Drops> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Drops::new(text.parse().ok()?).ok()
}
