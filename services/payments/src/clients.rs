//! What a single client may do, beside the limits of the wallet.
//!
//! Owns: the arithmetic of clients' limits, and how clients share the places for payments that are not final. May not: know of
//! credentials or of rates. Amounts are of XRP; issued currencies have limits of their own, for all clients together.

#![expect(
    clippy::result_large_err,
    reason = "a refusal names amounts with their assets; it is rare, and copied once"
)]

use std::fmt;

use xrpl_tx::{AccountId, Amount, Drops};

use crate::intent::{Id, Intent};
use crate::limits::{Limits, OverLimit};

/// The limits of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Who.
    pub client: Id,
    /// Largest amount of one payment in XRP. `None`: the wallet's.
    pub payment_max: Option<Drops>,
    /// Largest sum of payments in XRP accepted within any 24 hours and not ended unpaid. `None`: the wallet's.
    pub day_max: Option<Drops>,
    /// Most payments that are not final. `None`: what the share leaves.
    pub pending_max: Option<u64>,
    /// Whom the client may pay, whatever the tag. Empty: anybody.
    pub destinations: Vec<AccountId>,
}

/// What the clients of [`Limits::clients`] use, in that order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientUse {
    /// Drops of payments in XRP accepted within the last 24 hours and not ended unpaid.
    pub day: Vec<u64>,
    /// Payments that are not final.
    pub pending: Vec<u64>,
}

/// Why a payment of this client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverClientLimit {
    /// The client may not pay this account.
    Destination {
        /// Whom.
        destination: AccountId,
    },
    /// The amount is too large for this client.
    Payment {
        /// The amount.
        amount: Drops,
        /// At most so much.
        max: Drops,
    },
    /// The client's sum of the day would be passed.
    Day {
        /// The amount.
        amount: Drops,
        /// What the day has used.
        used: Drops,
        /// At most so much.
        max: Drops,
    },
    /// Too many of the client's payments are waiting.
    Pending {
        /// At most so many.
        max: u64,
    },
    /// The places that are left are kept for other clients.
    Share {
        /// So many are kept for each client.
        share: u64,
    },
}

impl Limits {
    /// Where this client's limits are. `None`: it has none of its own.
    #[must_use]
    pub fn client(&self, client: &Id) -> Option<usize> {
        self.clients
            .iter()
            .position(|limits| limits.client == *client)
    }

    /// Places for payments that are not final kept for each client of [`Self::clients`]: half of all places in equal parts. The other
    /// half is for whoever comes first.
    #[must_use]
    pub fn share(&self) -> u64 {
        let clients = u64::try_from(self.clients.len()).unwrap_or(u64::MAX);
        (self.pending_max / 2).checked_div(clients).unwrap_or(0)
    }

    /// Lets a payment of the client at `at` in, or names the limit. `None`: a client without limits of its own, who takes no place that
    /// is kept for others. The wallet's own limits are looked at apart.
    pub fn admit_client(
        &self,
        at: Option<usize>,
        intent: &Intent,
        used: &ClientUse,
        pending: u64,
    ) -> Result<(), OverLimit> {
        let own = at.map_or(0, |at| pending_of(used, at));
        if let Some(limits) = at.and_then(|at| self.clients.get(at)) {
            let day = at.and_then(|at| used.day.get(at)).copied().unwrap_or(0);
            limits.admit(intent, day, own).map_err(OverLimit::Client)?;
        }
        let share = self.share();
        let within_share = at.is_some() && own < share;
        let kept = self.kept_for_others(at, used, share);
        if within_share || pending.saturating_add(kept) < self.pending_max {
            Ok(())
        } else {
            Err(OverLimit::Client(OverClientLimit::Share { share }))
        }
    }

    /// Places that others have not taken of their shares.
    fn kept_for_others(&self, at: Option<usize>, used: &ClientUse, share: u64) -> u64 {
        (0..self.clients.len())
            .filter(|other| Some(*other) != at)
            .map(|other| share.saturating_sub(pending_of(used, other)))
            .sum()
    }
}

fn pending_of(used: &ClientUse, at: usize) -> u64 {
    used.pending.get(at).copied().unwrap_or(0)
}

impl ClientLimits {
    fn admit(&self, intent: &Intent, day: u64, pending: u64) -> Result<(), OverClientLimit> {
        let destination = intent.destination;
        if !self.destinations.is_empty() && !self.destinations.contains(&destination) {
            return Err(OverClientLimit::Destination { destination });
        }
        if let Amount::Xrp(amount) = intent.amount {
            if let Some(max) = self.payment_max.filter(|max| amount > *max) {
                return Err(OverClientLimit::Payment { amount, max });
            }
            let sum = day.saturating_add(amount.get());
            if let Some(max) = self.day_max.filter(|max| sum > max.get()) {
                let used = Drops::new(day).unwrap_or(Drops::MAX);
                return Err(OverClientLimit::Day { amount, used, max });
            }
        }
        match self.pending_max.filter(|max| pending >= *max) {
            Some(max) => Err(OverClientLimit::Pending { max }),
            None => Ok(()),
        }
    }
}

impl OverClientLimit {
    /// The key of the configuration that names the limit.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Destination { .. } => "clients.destinations",
            Self::Payment { .. } => "clients.max_payment_xrp",
            Self::Day { .. } => "clients.daily_limit_xrp",
            Self::Pending { .. } => "clients.max_pending_payments",
            Self::Share { .. } => "limits.max_pending_payments",
        }
    }
}

impl fmt::Display for OverClientLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key();
        match self {
            Self::Destination { destination } => {
                write!(
                    f,
                    "destination {destination} is none of this client's {key}"
                )
            }
            Self::Payment { amount, max } => {
                write!(f, "amount {amount} is above this client's {key} {max}")
            }
            Self::Day { amount, used, max } => write!(
                f,
                "amount {amount} with {used} of the last 24 hours is above this client's {key} {max}"
            ),
            Self::Pending { max } => {
                write!(f, "this client's {key} {max} payments are not final yet")
            }
            Self::Share { share } => write!(
                f,
                "the places that {key} leaves are kept for other clients, {share} for each"
            ),
        }
    }
}

impl std::error::Error for OverClientLimit {}
