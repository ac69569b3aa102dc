//! Every key of the configuration, for people: default, unit, meaning, variable. A page for operators is made from it,
//! and a test keeps it equal to what the program reads.

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyDoc {
    /// `section.key` in the file.
    pub key: &'static str,
    /// Its default as it is written in the file; `required` if there is none.
    pub default: &'static str,
    /// What its value counts or is.
    pub unit: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// The variable that overrides it.
    pub variable: &'static str,
}

impl KeyDoc {
    /// Whether a variable's value is taken as text, whatever it looks like.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.unit, "XRP" | "path" | "address" | "name")
    }
}

/// All keys, in the order of the file.
pub fn reference() -> &'static [KeyDoc] {
    KEYS
}

const KEYS: &[KeyDoc] = &[
    KeyDoc {
        key: "profile",
        default: "\"dev\"",
        unit: "name",
        meaning: "\"dev\" or \"production\"; production refuses an empty or careless allow-list and debug logs",
        variable: "PAYGATE_SIGNER__PROFILE",
    },
    KeyDoc {
        key: "listen.socket_path",
        default: "\"/run/paygate-signer/signer.sock\"",
        unit: "path",
        meaning: "Unix socket to listen on; its directory must be the signer's own, with mode 0750 or less",
        variable: "PAYGATE_SIGNER__LISTEN__SOCKET_PATH",
    },
    KeyDoc {
        key: "listen.allowed_uids",
        default: "[]",
        unit: "list of uids",
        meaning: "users who may connect; empty means root and the signer's own user in profile dev, and is refused in production",
        variable: "PAYGATE_SIGNER__LISTEN__ALLOWED_UIDS",
    },
    KeyDoc {
        key: "wallet.seed_file",
        default: "unset",
        unit: "path",
        meaning: "file with the seed (s... or sEd...), owned by the signer's user, mode 0400 or 0600; this or wallet.keystore_file is required",
        variable: "PAYGATE_SIGNER__WALLET__SEED_FILE",
    },
    KeyDoc {
        key: "wallet.keystore_file",
        default: "unset",
        unit: "path",
        meaning: "file that paygate-signer init or import wrote: the seed, sealed with a passphrase; same owner and modes",
        variable: "PAYGATE_SIGNER__WALLET__KEYSTORE_FILE",
    },
    KeyDoc {
        key: "wallet.passphrase_file",
        default: "unset",
        unit: "path",
        meaning: "file with the keystore's passphrase, best from the orchestrator's secrets or systemd's LoadCredential; same owner and modes",
        variable: "PAYGATE_SIGNER__WALLET__PASSPHRASE_FILE",
    },
    KeyDoc {
        key: "wallet.address",
        default: "the key's own account",
        unit: "address",
        meaning: "the wallet, if the key is its regular key",
        variable: "PAYGATE_SIGNER__WALLET__ADDRESS",
    },
    KeyDoc {
        key: "wallet.network_id",
        default: "required",
        unit: "number",
        meaning: "the network that the journal is pinned to: 0 main, 1 testnet, 2 devnet; above 1024 it is in every transaction",
        variable: "PAYGATE_SIGNER__WALLET__NETWORK_ID",
    },
    KeyDoc {
        key: "policy.max_payment_xrp",
        default: "\"100\"",
        unit: "XRP",
        meaning: "largest amount of one payment",
        variable: "PAYGATE_SIGNER__POLICY__MAX_PAYMENT_XRP",
    },
    KeyDoc {
        key: "policy.max_day_xrp",
        default: "\"1000\"",
        unit: "XRP",
        meaning: "largest sum of amounts and fees signed within any 24 hours, each slot counted once",
        variable: "PAYGATE_SIGNER__POLICY__MAX_DAY_XRP",
    },
    KeyDoc {
        key: "policy.max_fee_drops",
        default: "2000",
        unit: "drops",
        meaning: "largest fee of one transaction",
        variable: "PAYGATE_SIGNER__POLICY__MAX_FEE_DROPS",
    },
    KeyDoc {
        key: "policy.last_ledger_window",
        default: "30",
        unit: "ledgers",
        meaning: "how far LastLedgerSequence may lie past the signer's own estimate of the ledger index",
        variable: "PAYGATE_SIGNER__POLICY__LAST_LEDGER_WINDOW",
    },
    KeyDoc {
        key: "policy.anchor_ledger_index",
        default: "required",
        unit: "ledger index",
        meaning: "a ledger index that was validated at policy.anchor_time; renew it from time to time, since the estimate runs ahead",
        variable: "PAYGATE_SIGNER__POLICY__ANCHOR_LEDGER_INDEX",
    },
    KeyDoc {
        key: "policy.anchor_time",
        default: "required",
        unit: "time (\"2026-01-31T12:00:00Z\") or seconds since 1970",
        meaning: "when policy.anchor_ledger_index was validated",
        variable: "PAYGATE_SIGNER__POLICY__ANCHOR_TIME",
    },
    KeyDoc {
        key: "policy.ledger_min_close_ms",
        default: "3000",
        unit: "milliseconds",
        meaning: "shortest average time between ledgers, from which the estimate grows",
        variable: "PAYGATE_SIGNER__POLICY__LEDGER_MIN_CLOSE_MS",
    },
    KeyDoc {
        key: "policy.denied_destinations",
        default: "[]",
        unit: "list of addresses",
        meaning: "accounts that are never paid; such a payment is sealed",
        variable: "PAYGATE_SIGNER__POLICY__DENIED_DESTINATIONS",
    },
    KeyDoc {
        key: "policy.allowed_types",
        default: "[\"payment\", \"no_op\"]",
        unit: "list of payment, no_op, ticket_create",
        meaning: "types of transactions that are signed; without no_op a slot that got stuck cannot be filled",
        variable: "PAYGATE_SIGNER__POLICY__ALLOWED_TYPES",
    },
    KeyDoc {
        key: "policy.assets",
        default: "[]",
        unit: "list of { currency, issuer, max_payment, max_day }",
        meaning: "issued currencies that are paid, each with the largest payment and the largest sum within any 24 hours, as decimal \
                  text; what counts is the SendMax; a payment in any other is sealed",
        variable: "PAYGATE_SIGNER__POLICY__ASSETS",
    },
    KeyDoc {
        key: "journal.directory",
        default: "\"/var/lib/paygate-signer/journal\"",
        unit: "path",
        meaning: "directory of the journal, the signer's own, mode 0700, on a local disk that is backed up with nothing older",
        variable: "PAYGATE_SIGNER__JOURNAL__DIRECTORY",
    },
    KeyDoc {
        key: "hardening.waive",
        default: "[]",
        unit: "list of landlock, seccomp, no_new_privs, not_dumpable, key_memory",
        meaning: "protections without which the signer starts all the same",
        variable: "PAYGATE_SIGNER__HARDENING__WAIVE",
    },
    KeyDoc {
        key: "log.level",
        default: "\"info\"",
        unit: "name",
        meaning: "error, warn, info, debug or trace",
        variable: "PAYGATE_SIGNER__LOG__LEVEL",
    },
];
