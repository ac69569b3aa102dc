//! Every result code of the ledger, and every refusal of its servers, classified once.
//!
//! Owns: what a preliminary code advises and what a validated one means. May not: decide a payment; only
//! [`crate::proof`] makes evidence. [`Advice`] and [`Verdict`] do not convert into each other.
//!
//! # Layout
//! - `table`: one line a result code
//! - [`errors`]: one line an error token, with which a server refuses a request
//! - [`guide`]: what the gateway does next, and what a person should do

pub mod errors;
pub mod guide;
mod table;

use table::TABLE;

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
    /// What it says, in a sentence for a person.
    pub meaning: &'static str,
}

/// Who can do something about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Nobody in particular.
    Nobody,
    /// Who is to be paid.
    Destination,
    /// Who fills the wallet.
    Funds,
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

impl Concern {
    /// Whom a code concerns, provisional or validated.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "tecNO_DST" | "tecNO_DST_INSUF_XRP" | "tecDST_TAG_NEEDED" | "tecNO_PERMISSION" => {
                Self::Destination
            }
            "tecUNFUNDED_PAYMENT"
            | "tecUNFUNDED"
            | "tecINSUFF_FEE"
            | "tecINSUFFICIENT_RESERVE"
            | "tecFAILED_PROCESSING"
            | "terINSUF_FEE_B"
            | "telCAN_NOT_QUEUE_BALANCE" => Self::Funds,
            _ => Self::Nobody,
        }
    }
}

impl Advice {
    /// What an answer to `submit` advises. An unknown code advises to stop and page.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Code::by_name(name).map_or(Self::PauseWallet, |code| code.advice)
    }

    /// Whether an answer so stops all sending until a person looked.
    #[must_use]
    pub fn freezes(self) -> bool {
        matches!(self, Self::PauseWallet | Self::StopAndHold | Self::Bug)
    }
}

impl Verdict {
    /// What a code in a validated ledger means. An unknown one there took the fee, as all of its class do, and pages.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match Code::by_name(name) {
            Some(code) => code.verdict,
            None if name.starts_with("tec") => Self::FailedPause,
            None => Self::NotInLedger,
        }
    }

    /// Whether a payment that ended so stops all sending until a person looked.
    #[must_use]
    pub fn freezes(self) -> bool {
        match self {
            Self::FailedPause | Self::Bug | Self::NotInLedger => true,
            Self::Delivered | Self::Failed | Self::FailedRefill => false,
        }
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
        assert!(Advice::of("tecBRAND_NEW").freezes());
        assert_eq!(Verdict::of("tecBRAND_NEW"), Verdict::FailedPause);
        assert!(Verdict::of("tecBRAND_NEW").freezes());
        assert_eq!(Verdict::of("temBRAND_NEW"), Verdict::NotInLedger);
    }

    #[test]
    fn every_code_says_what_it_means_in_a_sentence() {
        for code in Code::all() {
            assert!(
                code.meaning.ends_with('.') && code.meaning.len() > 10,
                "{}",
                code.name
            );
        }
    }
}
