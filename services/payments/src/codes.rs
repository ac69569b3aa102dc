//! Every result code of the ledger, classified once.
//!
//! Owns: what a preliminary code advises and what a validated one means. May not: decide a payment; only
//! [`crate::proof`] makes evidence. [`Advice`] and [`Verdict`] do not convert into each other.

use crate::codes_table::TABLE;

/// A result code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Its name, for example `tecPATH_DRY`.
    pub name: &'static str,
    /// Its number.
    pub number: i32,
    /// What it advises in an answer to `submit`, where it is always provisional.
    pub advice: Advice,
    /// What it means in the metadata of a validated transaction.
    pub verdict: Verdict,
}

/// What a provisional result advises. It paces sending and raises alarms, and decides nothing about the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing: the ledger will tell.
    WaitForValidation,
    /// Send the same blob again with the next validated ledger.
    Resubmit,
    /// The fee is too low now; the same slot may carry a higher bid.
    RaiseFee,
    /// The slot may be used: read the validated ledger.
    LookAtLedger,
    /// The wallet needs money.
    Refill,
    /// Something is wrong with key, network or account: send nothing more and page.
    PauseWallet,
    /// The ledger will never take this content: send it no more, page, and wait for the proof.
    StopAndHold,
    /// We should never cause it: page.
    Bug,
}

/// What a code in a validated ledger means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `tesSUCCESS`.
    Delivered,
    /// Nothing was delivered; fee and slot are gone.
    Failed,
    /// The same, and the wallet needs money.
    FailedRefill,
    /// The same, and something is wrong with key or account.
    FailedPause,
    /// The same, and we should never cause it.
    Bug,
    /// No ledger holds this code. A server that says so is lying.
    NotInLedger,
}

impl Code {
    /// Looks a code up by its name. `None`: unknown, so hold and page.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        TABLE
            .binary_search_by(|code| code.name.cmp(name))
            .ok()
            .map(|at| &TABLE[at])
    }

    /// All codes, sorted by name.
    #[must_use]
    pub fn all() -> &'static [Self] {
        TABLE
    }
}

impl Advice {
    /// What an answer to `submit` advises. An unknown code advises to stop and page.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Code::by_name(name).map_or(Self::PauseWallet, |code| code.advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_published_list_and_every_code_is_found() {
        let list = include_str!("../data/result-codes.csv");
        let mut lines = 0;
        for line in list.lines().skip(1) {
            let mut fields = line.splitn(3, ',');
            let number: i32 = fields.next().unwrap().parse().unwrap();
            let name = fields.next().unwrap();
            let code = Code::by_name(name).unwrap_or_else(|| panic!("{name} is not in the table"));
            assert_eq!(code.number, number, "{name}");
            let in_ledgers = name.starts_with("tes") || name.starts_with("tec");
            assert_eq!(code.verdict != Verdict::NotInLedger, in_ledgers, "{name}");
            lines += 1;
        }
        assert_eq!(lines, Code::all().len());
        assert_eq!(lines, 195);
    }

    #[test]
    fn an_unknown_code_stops_and_pages() {
        assert_eq!(Advice::of("tecBRAND_NEW"), Advice::PauseWallet);
    }
}
