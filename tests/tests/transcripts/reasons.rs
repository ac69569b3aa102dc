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

const NO_MULTISIGNING: &str =
    "signer lists and multi-signing are not built, and the Sequence that they used stays free";
const RECORDERS_PAYMENTS: &str = "follows from payments of the recorder's that are not recorded and were made up: who paid, how often, in which order";
const NO_SERVER_STATUS: &str = "messages about the server's load are not built";
const HELD_LATER: &str = "2.3.0-b4 takes a held successor a moment after the answer, in these recordings too late for the ledger; 3.3.0-b0 and the simulated server take it at once";
const OLD_TEXT: &str = "2.3.0-b4 has another text for the same result";
const OWN_WORDS: &str = "the words in which a body is refused that cannot be read";

pub(crate) const REASONS: &[Reason] = &[
    reason(
        "01",
        "\"ledger_index\": 1",
        "",
        "the simulated chain has no ledger before the first one that it keeps",
    ),
    reason("01", "\"binary\": true", "", RECORDERS_PAYMENTS),
    reason(
        "01",
        "\"secret\"",
        "",
        "the simulated server signs for nobody, not even for its administrator",
    ),
    reason("01", "raw body", "__not_json__", OWN_WORDS),
    reason("01", "raw text", "", OWN_WORDS),
    reason("01", "GET", "__not_json__", OWN_WORDS),
    reason(
        "",
        "server_info",
        "load_factor",
        "the simulated server prints six decimals",
    ),
    reason(
        "",
        "server_info",
        "load_factor_fee_escalation",
        "the simulated server prints six decimals",
    ),
    reason(
        "02",
        "trailing bytes",
        "error_exception",
        "the decoder's own words about bytes that are no transaction",
    ),
    reason("06_", "", "", NO_MULTISIGNING),
    reason("04_errors", "SignerList", "", NO_MULTISIGNING),
    reason(
        "04z",
        "",
        "",
        "2.3.0-b4 hangs after a fee that is not XRP: it answers no further submit",
    ),
    reason(
        "04_errors",
        "account_info current after the filler",
        "",
        HELD_LATER,
    ),
    reason("04_errors", "held tx one ledger later", "", HELD_LATER),
    reason(
        "04_errors",
        "LLS = current open ledger",
        "PreviousTxnLgrSeq",
        HELD_LATER,
    ),
    reason(
        "04_errors",
        "temBAD_AMOUNT",
        "engine_result_message",
        OLD_TEXT,
    ),
    reason(
        "04_errors",
        "above 100bn",
        "engine_result_message",
        OLD_TEXT,
    ),
    reason(
        "04_errors",
        "",
        "error_exception",
        "the decoder's own words about bytes that are no transaction",
    ),
    reason(
        "04_errors",
        "Paths on XRP",
        "type",
        "the decoder leaves out a field of the JSON form that the binary form has",
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
        "07",
        "fee idle",
        "max_queue_size",
        "a real server says it from its first closed ledger on",
    ),
    reason("07", "queue: pushed", "", NO_SERVER_STATUS),
    reason("03", "pushed after submit", "", NO_SERVER_STATUS),
    reason("09", "gap filled after 1 closes", "inLedger", HELD_LATER),
    reason(
        "09",
        "gap filled after 1 closes",
        "ledger_index",
        HELD_LATER,
    ),
    reason("09", "gap filled after 1 closes", "ctid", HELD_LATER),
    reason(
        "09",
        "gap filled after 1 closes",
        "TransactionIndex",
        HELD_LATER,
    ),
    reason("09", "account_tx does not show it", "", RECORDERS_PAYMENTS),
];

/// Scenarios that cannot be held again, and why.
pub(crate) const NOT_REPLAYED: &[(&str, &str)] = &[
    (
        "12_public_limits",
        "only samples of the flood were recorded, and the simulated server has no limits for load",
    ),
    (
        "22_concurrent_same_blob",
        "only samples of what sixteen sockets sent at once were recorded",
    ),
];
