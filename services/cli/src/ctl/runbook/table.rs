//! Every runbook, as it was when this program was built, and what there is to look at for it.
//!
//! Owns: the list; a test compares it with the folder. May not: name anything that changes something.

use std::time::Duration;

use paygate_client::proto::PaymentState;
use paygate_client::proto::PaymentState::{
    Accepted, AtLarge, AwaitingApproval, Expired, Failed, OnHold, Paid,
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// States without an end.
const PENDING: &[PaymentState] = &[AwaitingApproval, Accepted, AtLarge, OnHold];

/// Those of which a transaction may be on the network.
const BOUND: &[PaymentState] = &[AtLarge, OnHold];

/// One page.
pub(crate) struct Entry {
    /// Its file's name, without `.md`; of an alert, the alert's.
    pub(crate) name: &'static str,
    page: &'static str,
    /// What is looked at, in this order.
    pub(crate) asks: &'static [Ask],
}

/// Payments to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payments {
    /// None: all.
    pub(crate) states: &'static [PaymentState],
    /// How long ago they were created at most.
    pub(crate) since: Option<Duration>,
}

/// One call, or two.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    /// What stops payments, servers, signer, capabilities.
    Status,
    /// Balance, limits, slots, key.
    Wallet,
    /// What people did lately.
    People,
    /// Payments, newest first.
    List(Payments),
    /// Everything that happened to the oldest payment of these states.
    Oldest(&'static [PaymentState]),
}

const ALL_PENDING: Ask = Ask::List(Payments {
    states: PENDING,
    since: None,
});
const ALL_BOUND: Ask = Ask::List(Payments {
    states: BOUND,
    since: None,
});
const HELD: Ask = Ask::List(Payments {
    states: &[OnHold],
    since: None,
});
const PAID_TODAY: Ask = Ask::List(Payments {
    states: &[Paid],
    since: Some(DAY),
});
const TODAY: Ask = Ask::List(Payments {
    states: &[],
    since: Some(DAY),
});
const UNPAID: Ask = Ask::List(Payments {
    states: &[Failed, Expired],
    since: Some(HOUR),
});
const UNPAID_OLDEST: Ask = Ask::Oldest(&[Failed, Expired]);
const OLDEST: Ask = Ask::Oldest(PENDING);
const OLDEST_HELD: Ask = Ask::Oldest(&[OnHold]);

const FLOW: &[Ask] = &[Ask::Status, ALL_PENDING, OLDEST];
const INCIDENT: &[Ask] = &[Ask::Status, Ask::Wallet, ALL_BOUND, Ask::People];
const KEY: &[Ask] = &[Ask::Status, Ask::Wallet, ALL_BOUND, PAID_TODAY, Ask::People];
const BALANCE: &[Ask] = &[Ask::Status, Ask::Wallet, PAID_TODAY];
const CONTINUITY: &[Ask] = &[Ask::Status, Ask::Wallet, ALL_PENDING, Ask::People];

macro_rules! entry {
    ($name:literal, $asks:expr) => {
        Entry {
            name: $name,
            page: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../runbooks/",
                $name,
                ".md"
            )),
            asks: $asks,
        }
    };
}

/// By name, alerts first.
pub(crate) const RUNBOOKS: &[Entry] = &[
    entry!("BackupTooOld", &[Ask::Status]),
    entry!("BooksDoNotBalance", KEY),
    entry!("CertificateExpiring", &[Ask::Status]),
    entry!("CriticalWalletBalance", BALANCE),
    entry!(
        "FeeAboveCap",
        &[Ask::Status, Ask::Wallet, ALL_PENDING, OLDEST]
    ),
    entry!("ForeignTransaction", KEY),
    entry!("GatewayDown", &[Ask::Status, ALL_BOUND]),
    entry!("HighErrorRate", &[Ask::Status]),
    entry!("HighLatency", &[Ask::Status]),
    entry!("LedgerHalted", &[Ask::Status, ALL_PENDING]),
    entry!("LowWalletBalance", BALANCE),
    entry!("PaidTooSlowly", FLOW),
    entry!("PaymentFailureSpike", &[Ask::Status, UNPAID, UNPAID_OLDEST]),
    entry!("PaymentNotConfirming", FLOW),
    entry!("PaymentOnHold", &[Ask::Status, HELD, OLDEST_HELD]),
    entry!(
        "PendingPaymentsStuck",
        &[Ask::Status, ALL_PENDING, OLDEST, Ask::People]
    ),
    entry!("QuarantineTooLong", CONTINUITY),
    entry!(
        "SignerDenials",
        &[Ask::Status, Ask::Wallet, ALL_PENDING, OLDEST, Ask::People]
    ),
    entry!("SignerDown", &[Ask::Status, ALL_BOUND]),
    entry!(
        "SpendLimitNearlyUsed",
        &[Ask::Status, Ask::Wallet, TODAY, Ask::People]
    ),
    entry!("StoreFailing", &[Ask::Status]),
    entry!("WalletFrozen", KEY),
    entry!("XRPLConnectionDown", &[Ask::Status, ALL_BOUND]),
    entry!("XRPLServerDown", &[Ask::Status]),
    entry!("XRPLServersDisagree", &[Ask::Status]),
    entry!(
        "failed-deployment",
        &[Ask::Status, ALL_PENDING, Ask::People]
    ),
    entry!("hot-wallet-refill", &[Ask::Status, Ask::Wallet]),
    entry!("incident-response", INCIDENT),
    entry!("key-compromise", KEY),
    entry!("key-rotation", &[Ask::Status, Ask::Wallet, ALL_PENDING]),
    entry!("ledger-halt", &[Ask::Status, ALL_PENDING]),
    entry!("restore-from-backup", CONTINUITY),
    entry!("total-loss", CONTINUITY),
    entry!("xrpl-connection-issues", &[Ask::Status]),
];

/// The runbook of this name, however its letters are written.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    let name = name.trim_end_matches(".md");
    RUNBOOKS
        .iter()
        .find(|entry| entry.name.eq_ignore_ascii_case(name))
}

impl Entry {
    /// The page's heading.
    pub(crate) fn title(&self) -> String {
        let heading = self.page.lines().find_map(|line| line.strip_prefix("# "));
        heading.unwrap_or(self.name).to_owned()
    }

    /// The text under a heading, as one line, if the page has it.
    pub(crate) fn section(&self, heading: &str) -> Option<String> {
        let mut lines = self
            .page
            .lines()
            .skip_while(|line| line.strip_prefix("## ").map(str::trim) != Some(heading));
        lines.next()?;
        let text: Vec<_> = lines
            .take_while(|line| !line.starts_with("## "))
            .filter(|line| !line.trim().is_empty())
            .collect();
        Some(text.join(" "))
    }
}

impl Ask {
    /// What a person would type for it.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Status => "paygatectl status".to_owned(),
            Self::Wallet => "paygatectl wallet".to_owned(),
            Self::People => "paygatectl audit tail".to_owned(),
            Self::List(payments) => {
                let since = match payments.since {
                    None => String::new(),
                    Some(since) => format!(" --since {}h", since.as_secs() / 3600),
                };
                let states = match payments.states {
                    [] => String::new(),
                    states => format!(" --state {}", spelt(states)),
                };
                format!("paygatectl list{states}{since}")
            }
            Self::Oldest(states) => {
                format!(
                    "paygatectl explain, of the oldest that is {}",
                    spelt(states)
                )
            }
        }
    }
}

/// As the command line has states.
fn spelt(states: &[PaymentState]) -> String {
    let spell = |state: &PaymentState| {
        let name = state.as_str_name().trim_start_matches("PAYMENT_STATE_");
        name.to_lowercase().replace('_', "-")
    };
    states.iter().map(spell).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runbook_of_the_folder_is_here_and_asks_for_something() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runbooks");
        let mut pages: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|page| page.unwrap().file_name().into_string().unwrap())
            .filter_map(|page| page.strip_suffix(".md").map(str::to_owned))
            .filter(|page| page != "README")
            .collect();
        pages.sort();
        let names: Vec<_> = RUNBOOKS.iter().map(|entry| entry.name).collect();
        assert_eq!(names, pages, "in the order of their names");
        for entry in RUNBOOKS {
            assert!(!entry.asks.is_empty(), "{}", entry.name);
            assert_ne!(entry.title(), "", "{}", entry.name);
        }
    }

    #[test]
    fn what_an_alerts_page_says_first_is_shown() {
        let entry = find("signerdown").unwrap();
        assert_eq!(entry.title(), "SignerDown");
        let trigger = entry.section("Trigger").unwrap();
        assert!(trigger.starts_with("Nothing could be signed"), "{trigger}");
        let risk = entry.section("Is money at risk?").unwrap();
        assert!(risk.starts_with("No."), "{risk}");
        assert_eq!(entry.section("No such heading"), None);
        assert!(find("no-such-runbook").is_none());
    }
}
