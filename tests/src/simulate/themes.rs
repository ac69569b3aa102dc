//! Themes: what some days are about, beside what goes wrong on every day.
//!
//! Owns: which seeds have a theme, and what it makes of the day's plan. Draws from a stream of its own, so that the days of all other
//! seeds are what they were. May not: carry anything out; `world/days.rs` does.

use super::plan::Plan;
use super::seed::Draws;

/// So many seeds of a thousand have a theme.
const THEMED_PERMILLE: u64 = 400;

/// What a day is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Nothing more than its plan says.
    Plain,
    /// Somebody deletes the store's lock and starts a second gateway beside the first.
    TwoGateways,
    /// A gateway stands still with a request to the signer in its hands, and wakes when another has long taken over.
    Sleeper,
    /// A copy of the store from earlier in the day is put back.
    PutBack,
    /// Somebody else uses the wallet's key.
    Intruder,
    /// The wallet runs dry in the middle of it, and is filled up again.
    Dry,
    /// All servers ask for more than a version may cost.
    Costly,
    /// Servers lose the ledgers that the gateway has not seen yet, several of them the same ones.
    Holes,
    /// Servers answer, and lose every blob that they are given.
    Unheard,
}

/// All of them but the plain one.
const THEMES: [Theme; 8] = [
    Theme::TwoGateways,
    Theme::Sleeper,
    Theme::PutBack,
    Theme::Intruder,
    Theme::Dry,
    Theme::Costly,
    Theme::Holes,
    Theme::Unheard,
];

impl Theme {
    /// What this seed's day is about.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut draws = Draws::of(seed, "theme");
        let drawn = draws.below(u64::try_from(THEMES.len()).unwrap_or(1));
        match draws.permille(THEMED_PERMILLE) {
            true => THEMES[usize::try_from(drawn).unwrap_or(0)],
            false => Self::Plain,
        }
    }

    /// As reports call such a day. `None`: as its plan.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::TwoGateways => Some("two gateways"),
            Self::Sleeper => Some("sleeper"),
            Self::PutBack => Some("store put back"),
            Self::Intruder => Some("intruder"),
            Self::Dry => Some("dry wallet"),
            Self::Costly => Some("fees beyond the cap"),
            Self::Holes => Some("holes in history"),
            Self::Unheard => Some("unheard blobs"),
        }
    }

    /// The day's plan with room for it.
    #[must_use]
    pub fn shape(self, mut plan: Plan) -> Plan {
        plan.name = self.name().unwrap_or(plan.name);
        match self {
            Self::Plain => {}
            Self::TwoGateways => plan.peace_ms = plan.peace_ms.max(180_000),
            Self::Sleeper => {
                plan.crash_permille = 0;
                plan.halt_permille = 0;
                plan.peace_ms = plan.peace_ms.max(330_000);
            }
            Self::PutBack => {
                // A copy has forgotten who cancelled before anything was bound, and no ledger tells: nobody cancels. For the same
                // reason nobody's destination changes what it takes.
                plan.cancel_permille = 0;
                plan.has_faults = false;
                plan.peace_ms = plan.peace_ms.max(210_000);
            }
            Self::Intruder => plan.peace_ms = plan.peace_ms.max(200_000),
            Self::Holes => {
                // What is missed must fill more than one page.
                plan.page_entries = plan.page_entries.map_or(Some(2), |n| Some(n.min(2)));
                plan.peace_ms = plan.peace_ms.max(200_000);
            }
            Self::Dry => {
                plan.at_large_max = plan.at_large_max.max(8);
                plan.peace_ms = plan.peace_ms.max(170_000);
            }
            Self::Costly => plan.peace_ms = plan.peace_ms.max(180_000),
            Self::Unheard => {
                plan.cancel_permille = plan.cancel_permille.max(300);
                plan.peace_ms = plan.peace_ms.max(240_000);
            }
        }
        plan
    }

    /// True if rows of payments may be lost.
    #[must_use]
    pub fn forgets(self) -> bool {
        self == Self::PutBack
    }

    /// What the wallet holds, if the day wants it otherwise.
    #[must_use]
    pub fn funds(self, seed: u64) -> Option<u64> {
        (self == Self::Dry).then(|| Draws::of(seed, "funds").between(60_000_000, 300_000_000))
    }

    /// What friends hold.
    #[must_use]
    pub fn friends_drops(self) -> u64 {
        match self {
            Self::Dry => 10_000_000_000,
            _ => 1_000_000_000,
        }
    }
}
