//! Why the simulated server differs where it does.
//!
//! Owns: one reason for each kind of difference, the first that fits counts. May not: name a difference that is a mistake.

/// Why differences of some steps are as they are.
pub(crate) struct Reason {
    /// How the scenario's name begins.
    pub(crate) scenario: &'static str,
    /// Part of the step's title.
    pub(crate) step: &'static str,
    /// End of the path in the answer, or a part of it; empty for all.
    pub(crate) path: &'static str,
    /// In a sentence.
    pub(crate) why: &'static str,
}

const fn reason(
    scenario: &'static str,
    step: &'static str,
    path: &'static str,
    why: &'static str,
) -> Reason {
    Reason {
        scenario,
        step,
        path,
        why,
    }
}

pub(crate) const REASONS: &[Reason] = &[reason("ZZZ", "", "", "not looked at yet")];

/// Scenarios that cannot be held again, and why.
pub(crate) const NOT_REPLAYED: &[(&str, &str)] = &[
    (
        "12_public_limits",
        "only samples of the flood were recorded, and the simulated server has no limits for load",
    ),
    (
        "16_not_synced",
        "a server that never found its network; the simulated one always has",
    ),
    (
        "19_real_consensus_one_validator",
        "real consensus: ledgers closed by the clock and not by request",
    ),
    (
        "20_two_validators",
        "two servers with real consensus; the simulated network has one",
    ),
    (
        "21_validator_lost",
        "two servers with real consensus; the simulated network has one",
    ),
    (
        "21b_validator_lost_quorum0",
        "two servers with real consensus; the simulated network has one",
    ),
    (
        "21c_executed_but_tx_says_not_validated",
        "two servers with real consensus; the simulated network has one",
    ),
    (
        "22_concurrent_same_blob",
        "only samples of what sixteen sockets sent at once were recorded",
    ),
];
