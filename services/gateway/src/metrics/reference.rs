//! Reference: every metric that a scrape shows, with what it means.
//!
//! Owns: the words of the scrape's HELP lines and of `deploy/metrics.md`, which is generated from here. May not: list a metric
//! that is not served, or leave one out; a test compares this list with a real scrape, both ways.

use paygate_payments::preflight::RefusalReason;

/// One metric, by the name that the classic text shows.
#[derive(Clone, Copy, Debug)]
pub struct MetricDoc {
    /// With `_total` or `_info`.
    pub name: &'static str,
    /// What it counts in.
    pub kind: Kind,
    /// Base unit, or what is counted.
    pub unit: &'static str,
    /// All its labels.
    pub labels: &'static [Label],
    /// What it says. Also the HELP line, there with a final point.
    pub meaning: &'static str,
    /// When a person should look.
    pub worry: &'static str,
}

/// Type of a metric in the classic format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, and starts anew with the process.
    Counter,
    /// The value now.
    Gauge,
    /// Durations in buckets.
    Histogram,
}

/// A label and what it can be.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

/// What a label can be. Never a caller's own text: that would let callers fill the memory of every scraper.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// One of these.
    Words(&'static [&'static str]),
    /// One of a list that is bounded elsewhere: where.
    From(&'static str),
}

/// States that a payment comes into, as `payments_total` counts them.
pub(super) const STATUSES: [&str; 9] = [
    "AWAITING_APPROVAL",
    "ACCEPTED",
    "AT_LARGE",
    "ON_HOLD",
    "PAID",
    "FAILED",
    "EXPIRED",
    "CANCELLED",
    "REJECTED",
];

/// What a pause can stop.
pub(super) const PAUSE_SCOPES: [&str; 3] = ["wallet", "client", "destination"];

/// Clients are those of the configuration; without authentication there is the one client `local`.
const CLIENT_LABELS: [Label; 1] = [Label {
    name: "client",
    values: Values::From("clients of the configuration, or local"),
}];

/// Status codes of gRPC.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

pub(super) const CAPABILITIES: [&str; 7] = [
    "accept", "submit", "confirm", "sign", "ledger", "store", "wallet",
];

const REFUSALS: [&str; RefusalReason::ALL.len()] = {
    let mut words = [""; RefusalReason::ALL.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = RefusalReason::ALL[at].as_str();
        at += 1;
    }
    words
};

/// Entries of the wallet's books.
pub(super) const BOOK_ENTRIES: [&str; 9] = [
    "opening",
    "balance",
    "paid",
    "fees",
    "inflows",
    "outside_in",
    "outside_out",
    "found",
    "lost",
];

/// What single payments wait for, as the dispatcher tells it.
const HELD_BACK: [&str; 4] = [
    "LEDGER_UNAVAILABLE",
    "ASSET_UNAVAILABLE",
    "INSUFFICIENT_FUNDS",
    "HEADROOM",
];

/// What can be in the way of the next payment, as the contract names it.
pub(super) const BLOCKED: [&str; 12] = [
    "ASSET_UNAVAILABLE",
    "FEE_ABOVE_CAP",
    "HEADROOM",
    "INSUFFICIENT_FUNDS",
    "LEDGER_UNAVAILABLE",
    "NETWORK_HALTED",
    "PAUSED",
    "QUARANTINE",
    "QUEUED",
    "SIGNER_DENIED",
    "SIGNER_UNAVAILABLE",
    "WALLET_FROZEN",
];

/// Why a call was refused.
pub(super) const DENIALS: [&str; 15] = [
    "not_loopback",
    "no_credential",
    "token_invalid",
    "token_expired",
    "token_revoked",
    "certificate_expired",
    "certificate_revoked",
    "certificate_invalid",
    "proxy_header",
    "proxy_header_malformed",
    "unmapped",
    "disagree",
    "address",
    "scope",
    "method",
];

/// How a handshake ended.
pub(super) const HANDSHAKES: [&str; 8] = [
    "ok",
    "no_certificate",
    "expired",
    "revoked",
    "unverified",
    "timed_out",
    "too_many",
    "failed",
];

const ASSET_LABELS: [Label; 2] = [
    Label {
        name: "currency",
        values: Values::From("assets of the configuration, or unknown"),
    },
    Label {
        name: "issuer",
        values: Values::From("assets of the configuration, or unknown"),
    },
];

const METHOD_LABELS: [Label; 2] = [
    Label {
        name: "service",
        values: Values::From("services of the contract, or unknown"),
    },
    Label {
        name: "method",
        values: Values::From("methods of the contract, or unknown"),
    },
];

const CALL_LABELS: [Label; 3] = [METHOD_LABELS[0], METHOD_LABELS[1], words("code", &CODES)];

const fn words(name: &'static str, values: &'static [&'static str]) -> Label {
    Label {
        name,
        values: Values::Words(values),
    }
}

const fn metric(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    labels: &'static [Label],
    meaning: &'static str,
    worry: &'static str,
) -> MetricDoc {
    MetricDoc {
        name,
        kind,
        unit,
        labels,
        meaning,
        worry,
    }
}

/// Every metric, in the order of the page.
pub const METRICS: [MetricDoc; 61] = [
    metric(
        "payments_total",
        Kind::Counter,
        "payments",
        &[words("status", &STATUSES)],
        "Payments by the state that they came into",
        "FAILED and EXPIRED together above 0.1/s for 5 minutes; any ON_HOLD",
    ),
    metric(
        "payment_amount_xrp_total",
        Kind::Counter,
        "XRP",
        &[],
        "XRP paid, in validated ledgers; issued currencies are counted apart",
        "it does not grow while payments are pending",
    ),
    metric(
        "paygate_payment_amount_issued_total",
        Kind::Counter,
        "the asset's own",
        &ASSET_LABELS,
        "Issued currency paid, in validated ledgers and in its own units, for each configured asset",
        "it does not grow while payments in it are pending; anything under unknown: an asset was taken out of the configuration with payments in it open",
    ),
    metric(
        "pending_payments",
        Kind::Gauge,
        "payments",
        &[],
        "Payments that are not final",
        "above 10 and not falling for 10 minutes",
    ),
    metric(
        "paygate_oldest_pending_age_seconds",
        Kind::Gauge,
        "seconds",
        &[],
        "Age of the oldest payment that is not final",
        "above 300",
    ),
    metric(
        "paygate_pending_headroom_payments",
        Kind::Gauge,
        "payments",
        &[],
        "Payments that may still become pending before limits.max_pending_payments refuses new ones",
        "0 for a minute",
    ),
    metric(
        "paygate_pending_max_payments",
        Kind::Gauge,
        "payments",
        &[],
        "What limits.max_pending_payments allows in all; pending_payments is used of it",
        "it changes without a reviewed configuration",
    ),
    metric(
        "paygate_client_daily_headroom_xrp",
        Kind::Gauge,
        "XRP",
        &CLIENT_LABELS,
        "What a client's day still allows: the lesser of its own daily_limit_xrp and the wallet's, less what is used",
        "below a tenth of paygate_client_daily_limit_xrp",
    ),
    metric(
        "paygate_client_daily_limit_xrp",
        Kind::Gauge,
        "XRP",
        &CLIENT_LABELS,
        "What a client's day allows in all: the lesser of its own daily_limit_xrp and the wallet's",
        "it changes without a reviewed configuration",
    ),
    metric(
        "paygate_client_pending_payments",
        Kind::Gauge,
        "payments",
        &CLIENT_LABELS,
        "A client's payments that are not final",
        "at paygate_client_pending_max_payments for a minute",
    ),
    metric(
        "paygate_client_pending_max_payments",
        Kind::Gauge,
        "payments",
        &CLIENT_LABELS,
        "How many of a client's payments may be pending: the lesser of its own max_pending_payments and the wallet's",
        "it changes without a reviewed configuration",
    ),
    metric(
        "paygate_payments_on_hold",
        Kind::Gauge,
        "payments",
        &[],
        "Payments whose evidence does not decide and that wait for a person",
        "above 0",
    ),
    metric(
        "paygate_preflight_refusals_total",
        Kind::Counter,
        "payments",
        &[words("reason", &REFUSALS)],
        "Payments given up before they were bound, because their destination cannot receive them",
        "many of one reason: a payee or an issuer changed something, or callers pay wrong addresses",
    ),
    metric(
        "paygate_held_back_payments",
        Kind::Gauge,
        "payments",
        &[words("reason", &HELD_BACK)],
        "Accepted payments that wait for something of their own, while others go on",
        "above 0 for 10 minutes; GetPayment says what each waits for",
    ),
    metric(
        "wallet_balance_xrp",
        Kind::Gauge,
        "XRP",
        &[words("wallet_type", &["hot"])],
        "Balance in the newest reconciled ledger",
        "below 100 soon, below 20 now; below 10 the capability wallet does not serve",
    ),
    metric(
        "paygate_wallet_spendable_xrp",
        Kind::Gauge,
        "XRP",
        &[],
        "Balance less reserve less everything at large",
        "near 0 while payments are pending",
    ),
    metric(
        "paygate_limit_headroom_xrp",
        Kind::Gauge,
        "XRP",
        &[words("limit", &["daily", "fees_hour", "signer_day"])],
        "What a limit still allows: limits.daily_limit_xrp and fees.max_xrp_per_hour of the gateway, policy.max_day_xrp of the signer",
        "below a tenth of the limit",
    ),
    metric(
        "paygate_limit_xrp",
        Kind::Gauge,
        "XRP",
        &[words("limit", &["daily", "fees_hour", "signer_day"])],
        "What a limit allows in all, as configured",
        "it changes without a reviewed configuration",
    ),
    metric(
        "paygate_sending_blocked",
        Kind::Gauge,
        "0 or 1",
        &[words("reason", &BLOCKED)],
        "1 for what is in the way of the next accepted payment",
        "1 for 5 minutes, but for QUEUED; GetPayment says more",
    ),
    metric(
        "paygate_books_xrp",
        Kind::Gauge,
        "XRP",
        &[words("entry", &BOOK_ENTRIES)],
        "The wallet's books since they were opened: opening + inflows + outside_in + found = balance + paid + fees + outside_out + lost",
        "found or lost above 0: something moved the balance that nothing explains",
    ),
    metric(
        "paygate_books_differences_total",
        Kind::Counter,
        "differences",
        &[],
        "Differences between the books and a validated ledger; each has frozen sending",
        "any, at once: money may be at risk",
    ),
    metric(
        "paygate_foreign_transactions_total",
        Kind::Counter,
        "transactions",
        &[],
        "Validated transactions of the wallet that were not made here and that nobody announced; each has frozen sending",
        "any, at once: the key may be in other hands",
    ),
    metric(
        "paygate_announced_transactions",
        Kind::Gauge,
        "transactions",
        &[],
        "Transactions made outside that were announced and are awaited; meanwhile nothing is bound",
        "above 0 for longer than the planned work",
    ),
    metric(
        "paygate_fee_bumps_total",
        Kind::Counter,
        "versions",
        &[],
        "Versions with a higher fee, made because the payment's deadline was near",
        "rising: deadlines are too short for the state of the network",
    ),
    metric(
        "paygate_wallet_frozen",
        Kind::Gauge,
        "0 or 1",
        &[],
        "1 if sending is stopped until a person looked",
        "1, at once: money may be at risk",
    ),
    metric(
        "paygate_quarantine",
        Kind::Gauge,
        "0 or 1",
        &[],
        "1 while continuity of store, ledger and signer is in doubt",
        "1 for longer than the window of ledgers that GetStatus names",
    ),
    metric(
        "paygate_paused",
        Kind::Gauge,
        "pauses",
        &[words("scope", &PAUSE_SCOPES)],
        "Pauses in force, by what they stop: the wallet as a whole, single clients, single destinations",
        "above 0 for longer than the planned work",
    ),
    metric(
        "paygate_awaiting_approval",
        Kind::Gauge,
        "payments",
        &[],
        "Payments above the approval threshold that wait for another identity",
        "above 0 for longer than approvers need: they expire after limits.approval_window_ms",
    ),
    metric(
        "paygate_rollout_stage",
        Kind::Gauge,
        "number",
        &[],
        "Number of the roll-out's stage in force, in the order of the file of stages, from 1; 0 without a roll-out",
        "it changes and nobody said so",
    ),
    metric(
        "paygate_capability_serving",
        Kind::Gauge,
        "0 or 1",
        &[words("capability", &CAPABILITIES)],
        "What the health service says of a capability",
        "0 for a minute; /health says why",
    ),
    metric(
        "xrpl_connection_status",
        Kind::Gauge,
        "0 or 1",
        &[Label {
            name: "server",
            values: Values::From("operators in xrpl.servers"),
        }],
        "1 if the connection to the ledger server is usable",
        "0 for a minute",
    ),
    metric(
        "paygate_xrpl_server_in_doubt",
        Kind::Gauge,
        "0 or 1",
        &[Label {
            name: "server",
            values: Values::From("operators in xrpl.servers"),
        }],
        "1 if there is a reason not to use the ledger server gladly; /health says which",
        "1 for ten minutes",
    ),
    metric(
        "paygate_xrpl_server_lag_ledgers",
        Kind::Gauge,
        "ledgers",
        &[Label {
            name: "server",
            values: Values::From("operators in xrpl.servers"),
        }],
        "Ledgers that the server is behind what enough servers tell",
        "above 4: the server lags",
    ),
    metric(
        "paygate_xrpl_disagreements_total",
        Kind::Counter,
        "answers",
        &[Label {
            name: "server",
            values: Values::From("operators in xrpl.servers"),
        }],
        "Answers of the ledger server that contradict what enough others say",
        "any: the server is wrong or lies, and is set aside; find out which",
    ),
    metric(
        "xrpl_request_duration_seconds",
        Kind::Histogram,
        "seconds",
        &[Label {
            name: "command",
            values: Values::From("commands that the gateway uses"),
        }],
        "Duration of requests to ledger servers, unanswered ones included",
        "95th percentile above 5",
    ),
    metric(
        "paygate_validated_ledger_index",
        Kind::Gauge,
        "ledger index",
        &[],
        "Index of the newest validated ledger",
        "it does not grow",
    ),
    metric(
        "paygate_ledger_lag_seconds",
        Kind::Gauge,
        "seconds",
        &[],
        "Time since the validated index last grew",
        "above 20: the network or the server has halted",
    ),
    metric(
        "paygate_ledger_lag_ledgers",
        Kind::Gauge,
        "ledgers",
        &[],
        "Validated ledgers that enough servers announced and that are not reconciled here",
        "above 5: payments are not confirmed",
    ),
    metric(
        "grpc_requests_total",
        Kind::Counter,
        "requests",
        &CALL_LABELS,
        "gRPC requests by status",
        "UNKNOWN, INTERNAL, UNAVAILABLE, DEADLINE_EXCEEDED and DATA_LOSS together above 5 % for 5 minutes",
    ),
    metric(
        "grpc_request_duration_seconds",
        Kind::Histogram,
        "seconds",
        &METHOD_LABELS,
        "Duration of gRPC requests; of streams, their whole life. OpenMetrics has the trace of a recent one in each bucket",
        "99th percentile of CreatePayment above 1",
    ),
    metric(
        "paygate_access_denied_total",
        Kind::Counter,
        "calls",
        &[words("reason", &DENIALS)],
        "Calls refused before anything looked at them, by why",
        "proxy_header, certificate_revoked or token_revoked above 0: somebody tries; others growing: a caller is misconfigured",
    ),
    metric(
        "paygate_rate_limited_total",
        Kind::Counter,
        "calls",
        &[words("kind", &["create", "read"])],
        "Calls refused because their client called too often: creates of payments, and all that create nothing",
        "growing: a caller repeats without waiting, or has outgrown security.rate_limit_per_minute or _per_hour",
    ),
    metric(
        "paygate_tls_handshakes_total",
        Kind::Counter,
        "handshakes",
        &[words("result", &HANDSHAKES)],
        "TLS handshakes of the gRPC listener, by how they ended",
        "all but ok above the usual; revoked above 0: somebody tries",
    ),
    metric(
        "paygate_certificate_expiry_timestamp_seconds",
        Kind::Gauge,
        "seconds since 1970",
        &[words("file", &["cert_file", "client_ca_file", "crl_file"])],
        "When the first certificate of a file ends, or a revocation list should have been replaced",
        "less than 14 days ahead of time()",
    ),
    metric(
        "paygate_backup_last_success_timestamp_seconds",
        Kind::Gauge,
        "seconds since 1970",
        &[],
        "When the newest whole backup in backup.dir was made; 0: there is none; absent: backup.dir is not set",
        "more than 26 hours behind time()",
    ),
    metric(
        "paygate_access_reloads_total",
        Kind::Counter,
        "reloads",
        &[
            Label {
                name: "files",
                values: Values::Words(&["tls", "tokens", "config"]),
            },
            Label {
                name: "result",
                values: Values::Words(&["ok", "failed"]),
            },
        ],
        "Times that changed files of TLS or of tokens were read again, or the configuration after SIGHUP",
        "failed growing: the old files are in force, and what was changed is not",
    ),
    metric(
        "paygate_open_watches",
        Kind::Gauge,
        "streams",
        &[],
        "Open WatchPayments streams",
        "64: further watchers are refused",
    ),
    metric(
        "paygate_stage_duration_seconds",
        Kind::Histogram,
        "seconds",
        &[words(
            "stage",
            &["accept", "queue", "sign", "submit", "confirm"],
        )],
        "Duration of the parts of a payment's life; confirm is the whole, from the stored row. OpenMetrics has the trace of a recent one in each bucket",
        "95th percentile of queue above 20 or of confirm above 60",
    ),
    metric(
        "paygate_signer_requests_total",
        Kind::Counter,
        "requests",
        &[words("result", &["approved", "denied", "failed"])],
        "Requests to the signer by result, as the gateway sees them",
        "any denied; failed for a minute",
    ),
    metric(
        "paygate_build_info",
        Kind::Gauge,
        "1",
        &[
            Label {
                name: "version",
                values: Values::From("one a build"),
            },
            Label {
                name: "revision",
                values: Values::From("one a build"),
            },
        ],
        "What is running",
        "two versions for longer than a roll-out takes",
    ),
    metric(
        "paygate_start_time_seconds",
        Kind::Gauge,
        "seconds since 1970",
        &[],
        "When the process started",
        "it changes without a roll-out",
    ),
    metric(
        "paygate_signer_decisions_total",
        Kind::Counter,
        "requests",
        &[
            words(
                "method",
                &[
                    "SignPayment",
                    "SignNoOp",
                    "SignTicketCreate",
                    "DescribeSigner",
                    "Pull",
                ],
            ),
            words("result", &["approved", "replayed", "denied", "failed"]),
            Label {
                name: "reason",
                values: Values::From("reasons of denial in the contract, or empty"),
            },
        ],
        "Requests by what the signer decided, as it counts them",
        "any denied",
    ),
    metric(
        "paygate_signer_canary_failures_total",
        Kind::Counter,
        "signatures",
        &[],
        "Canary signatures that failed in the signer",
        "above 0: the key or its memory is damaged",
    ),
    metric(
        "paygate_signer_spans_dropped_total",
        Kind::Counter,
        "spans",
        &[],
        "Spans lost because the signer's ring was full",
        "it grows: nobody pulls",
    ),
    metric(
        "paygate_signer_journal_height",
        Kind::Gauge,
        "entries",
        &[],
        "Entries in the signer's journal",
        "it falls: an old journal was restored",
    ),
    metric(
        "paygate_signer_highest_sequence",
        Kind::Gauge,
        "Sequence",
        &[],
        "Highest Sequence that the signer signed for",
        "it falls",
    ),
    metric(
        "paygate_signer_day_used_drops",
        Kind::Gauge,
        "drops",
        &[],
        "Drops signed for in the signer's rolling day",
        "near paygate_signer_day_limit_drops",
    ),
    metric(
        "paygate_signer_day_limit_drops",
        Kind::Gauge,
        "drops",
        &[],
        "Drops that the signer signs for in a rolling day",
        "it changes without a reviewed policy",
    ),
    metric(
        "paygate_signer_estimated_ledger_index",
        Kind::Gauge,
        "ledger index",
        &[],
        "The signer's own estimate of the ledger index, which bounds LastLedgerSequence",
        "it is below paygate_validated_ledger_index: signing will be denied",
    ),
    metric(
        "paygate_signer_estimate_lead_ledgers",
        Kind::Gauge,
        "ledgers",
        &[],
        "How far the signer's estimate is ahead of the validated ledger; it runs ahead as its anchor ages",
        "below 0, or above 200000 (about a week of ledgers): renew policy.anchor_ledger_index and policy.anchor_time",
    ),
    metric(
        "paygate_signer_anchor_age_seconds",
        Kind::Gauge,
        "seconds",
        &[],
        "Age of the anchor from which the signer estimates the ledger index",
        "above 2592000 (30 days)",
    ),
];

/// What the metric of this name says. The encoder's name is also found, without the suffix that the classic text adds.
pub(super) fn meaning(name: &str) -> &'static str {
    let is_it = |doc: &&MetricDoc| {
        doc.name
            .strip_prefix(name)
            .is_some_and(|rest| matches!(rest, "" | "_total" | "_info"))
    };
    METRICS
        .iter()
        .find(is_it)
        .expect("a metric that is served is in the reference; a test compares them")
        .meaning
}
