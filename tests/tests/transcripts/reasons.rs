//! Why the simulated server differs where it does.
//!
//! Owns: one reason for each kind of difference, the first that fits counts. May not: name a difference that is a mistake, nor
//! one that is no more.

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

const RECORDERS_PAYMENTS: &str = "follows from payments of the recorder's that are not recorded and are made up: who paid, how much, how often, in which order";

pub(crate) const REASONS: &[Reason] = &[
    reason(
        "02",
        "trailing bytes",
        "error_exception",
        "the decoder's own words about bytes that are no transaction",
    ),
    reason(
        "04z",
        "",
        "",
        "2.3.0-b4 hangs after a fee that is not XRP: it answers no further submit",
    ),
    reason(
        "21_",
        "back, tx of the first",
        "Balance",
        RECORDERS_PAYMENTS,
    ),
    reason("21_", "pushed", "Balance", RECORDERS_PAYMENTS),
    reason("07", "queue: pushed", "Balance", RECORDERS_PAYMENTS),
    reason("07", "queue: pushed", "ctid", RECORDERS_PAYMENTS),
    reason(
        "07",
        "queue: pushed",
        "TransactionIndex",
        RECORDERS_PAYMENTS,
    ),
    reason(
        "07",
        "queue: pushed",
        "PreviousTxnLgrSeq",
        RECORDERS_PAYMENTS,
    ),
    reason("07", "queue expire", "Balance", RECORDERS_PAYMENTS),
    reason("07", "queue expire", "ctid", RECORDERS_PAYMENTS),
    reason("07", "queue expire", "TransactionIndex", RECORDERS_PAYMENTS),
    reason(
        "07",
        "queue expire",
        "PreviousTxnLgrSeq",
        RECORDERS_PAYMENTS,
    ),
    reason(
        "09",
        "account_tx does not show it",
        "Balance",
        RECORDERS_PAYMENTS,
    ),
];

/// Scenarios that cannot be held again, and why.
pub(crate) const NOT_REPLAYED: &[(&str, &str)] = &[
    (
        "12_public_limits",
        "only samples of the flood were recorded, and without the rest of it nothing is warned or cut",
    ),
    (
        "22_concurrent_same_blob",
        "only samples of what sixteen sockets sent at once were recorded",
    ),
];
