//! The small values everything else is made of: account ids, hashes, times.
//!
//! Owns: how they are printed and read. May not: know a ledger, a transaction or a server.

use std::fmt;
use std::panic::catch_unwind;

use ring::digest::{SHA512, digest};
use xrpl::core::addresscodec::{decode_classic_address, encode_classic_address};

/// Seconds between the Unix epoch and the ledger's own, 2000-01-01.
const LEDGER_EPOCH_UNIX_S: u64 = 946_684_800;

/// A classic address is never longer than this many characters.
const ADDRESS_CHARS_MAX: usize = 36;

/// An account: the 20 bytes behind a classic address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct AccountId(pub [u8; 20]);

impl AccountId {
    /// Reads a classic address; None if it is anything else, X-addresses included.
    pub(super) fn from_address(address: &str) -> Option<Self> {
        if address.len() > ADDRESS_CHARS_MAX {
            return None;
        }
        // The codec panics on some short strings with a valid checksum.
        let bytes = catch_unwind(|| decode_classic_address(address).ok()).ok()??;
        let id = Self(bytes.try_into().ok()?);
        (id.to_string() == address).then_some(id)
    }

    /// The key of its account root in the ledger.
    pub(super) fn root_index(&self) -> Hash {
        sha512_half(&[&[0x00, 0x61], &self.0])
    }

    /// The key of a ticket of it in the ledger.
    pub(super) fn ticket_index(&self, ticket: u32) -> Hash {
        sha512_half(&[&[0x00, 0x54], &self.0, &ticket.to_be_bytes()])
    }

    /// The key of its permission for another account to pay in.
    pub(super) fn preauth_index(&self, other: &Self) -> Hash {
        sha512_half(&[&[0x00, 0x70], &self.0, &other.0])
    }

    /// The key of the list of what it owns.
    pub(super) fn directory_index(&self) -> Hash {
        sha512_half(&[&[0x00, 0x4F], &self.0])
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_classic_address(&self.0).expect("20 bytes always have an address"))
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first half of a SHA-512: the ledger's hash of everything.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Reads 64 hexadecimal digits of either case.
    pub fn from_hex(text: &str) -> Option<Self> {
        Some(Self(hex::decode(text).ok()?.try_into().ok()?))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first half of the SHA-512 of the parts, one after the other.
pub(super) fn sha512_half(parts: &[&[u8]]) -> Hash {
    let mut half = [0; 32];
    half.copy_from_slice(&digest(&SHA512, &parts.concat()).as_ref()[..32]);
    Hash(half)
}

/// The validated transaction that last changed an object, and its ledger; None since genesis or while unvalidated.
pub(super) type Origin = Option<(Hash, u32)>;

/// Wall-clock time in milliseconds since the Unix epoch. Read in `net` only and handed down from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    /// The same instant in ledger seconds.
    pub fn ledger_time(self) -> u32 {
        u32::try_from((self.0 / 1000).saturating_sub(LEDGER_EPOCH_UNIX_S)).unwrap_or(u32::MAX)
    }
}

/// A ledger time as `2026-11-23T04:35:08Z`.
pub(super) fn iso(ledger_time: u32) -> String {
    let (year, month, day, rest) = civil(ledger_time);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// A ledger time as `2026-Nov-23 04:35:08.000000000 UTC`.
pub(super) fn human(ledger_time: u32) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (year, month, day, rest) = civil(ledger_time);
    let month = MONTHS[usize::from(month) - 1];
    format!(
        "{year:04}-{month}-{day:02} {:02}:{:02}:{:02}.000000000 UTC",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Year, month 1 to 12, day 1 to 31, and second of the day.
fn civil(ledger_time: u32) -> (u32, u8, u8, u32) {
    let mut days = ledger_time / 86_400;
    let mut year = 2000;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let day = u8::try_from(days + 1).expect("a month has at most 31 days");
    (year, month, day, ledger_time % 86_400)
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn recorded_close_time_prints_as_recorded() {
        assert_eq!(iso(848_723_708), "2026-11-23T04:35:08Z");
        assert_eq!(human(848_723_708), "2026-Nov-23 04:35:08.000000000 UTC");
    }

    #[test]
    fn recorded_account_root_has_the_recorded_index() {
        let id = AccountId::from_address("rUwbzXqYSgNcfvDs9cvCBFh2DE7vvN7uuY").unwrap();
        assert_eq!(
            id.root_index().to_string(),
            "92268BB58B8384FC08E095C32A386996EB79D15B047CB3A89D5EB1D8C32847FE"
        );
    }

    #[test]
    fn only_classic_addresses_are_accounts() {
        for text in [
            "",
            "rBAD",
            "XVLhHMPHU98es4dbozjVtdWzVrDjtV5AoHxkDS8Q7uGPzrd",
            "rUwbzXqYSgNcfvDs9cvCBFh2DE7vvN7uuZ",
        ] {
            assert_eq!(AccountId::from_address(text), None, "{text}");
        }
    }
}
