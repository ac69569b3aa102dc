//! Fee and LastLedgerSequence of a version.
//!
//! Owns: what a version may cost and how long it may live. May not: follow a server's wish past our own cap.

use std::fmt;

use xrpl_tx::Drops;

use crate::LedgerIndex;

/// What distinguishes one version from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The fee.
    pub fee: Drops,
    /// The last ledger that may hold it.
    pub last_ledger: LedgerIndex,
}

/// What servers say about fees. Where there are several servers, the median of each number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeFacts {
    /// Fee of a reference transaction.
    pub base: Drops,
    /// The least fee that gets into the queue.
    pub minimum: Drops,
    /// Load of the server, times 256.
    pub load_256ths: u64,
}

/// Our own bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermsPolicy {
    /// The most that any version may cost.
    pub fee_max: Drops,
    /// How many ledgers past the validated one a version lives.
    pub window: u32,
}

/// Why there are no terms now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTerms {
    /// The network asks for more than our cap. Patience is nearly free: wait.
    FeeAboveCap {
        /// What it asks for.
        asked: Drops,
        /// What we pay at most.
        cap: Drops,
    },
    /// No ledger is left before the deadline.
    DeadlinePassed {
        /// The deadline.
        deadline: LedgerIndex,
    },
}

/// One in 256: the unit in which servers tell their load.
const LOAD_NORMAL_256THS: u64 = 256;

impl Terms {
    /// The same with a fee that replaces a queued transaction of this slot, as far as `cap` allows. A server takes the
    /// place of a queued one only if the new fee is more than a quarter above it. Past the cap it still competes: once the
    /// older one is dropped, or where it never was.
    #[must_use]
    pub fn outbidding(self, queued: Drops, cap: Drops) -> Self {
        let needed = (u128::from(queued.get()) * 5 / 4).saturating_add(1);
        let needed = u64::try_from(needed)
            .ok()
            .and_then(|n| Drops::new(n).ok())
            .unwrap_or(Drops::MAX);
        Self {
            fee: self.fee.max(needed.min(cap)),
            ..self
        }
    }
}

impl FeeFacts {
    /// What to pay now: the base fee times the load, and enough for the queue. Chasing the open ledger's fee costs
    /// thousands of times more than waiting a few ledgers, so nobody does it here.
    #[must_use]
    pub fn asked(self) -> Drops {
        let load = u128::from(self.load_256ths.max(LOAD_NORMAL_256THS));
        let scaled = (u128::from(self.base.get()) * load).div_ceil(u128::from(LOAD_NORMAL_256THS));
        let scaled = u64::try_from(scaled)
            .ok()
            .and_then(|n| Drops::new(n).ok())
            .unwrap_or(Drops::MAX);
        scaled.max(self.minimum)
    }
}

/// Terms of a version made now. `not_before` is the LastLedgerSequence of the head of the line: a follower that dies before
/// the head is pointless. The deadline wins over both.
pub fn choose(
    fees: FeeFacts,
    policy: TermsPolicy,
    validated: LedgerIndex,
    not_before: LedgerIndex,
    deadline: Option<LedgerIndex>,
) -> Result<Terms, NoTerms> {
    let asked = fees.asked();
    if asked > policy.fee_max && !xrpl_tx::mutant!("fee-cap-ignored") {
        return Err(NoTerms::FeeAboveCap {
            asked,
            cap: policy.fee_max,
        });
    }
    let wanted = validated.plus(policy.window).max(not_before);
    let last_ledger = match deadline {
        Some(deadline) if deadline <= validated => {
            return Err(NoTerms::DeadlinePassed { deadline });
        }
        Some(deadline) => wanted.min(deadline),
        None => wanted,
    };
    Ok(Terms {
        fee: asked,
        last_ledger,
    })
}

impl fmt::Display for NoTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FeeAboveCap { asked, cap } => {
                write!(
                    f,
                    "the ledger asks for a fee of {} drops, above fees.max_drops {}",
                    asked.get(),
                    cap.get()
                )
            }
            Self::DeadlinePassed { deadline } => {
                write!(f, "ledger {deadline}, the deadline, is validated already")
            }
        }
    }
}

impl std::error::Error for NoTerms {}
