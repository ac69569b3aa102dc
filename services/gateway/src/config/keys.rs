//! Keys: the reference of the configuration, one line a key. Documentation is generated from it.
//!
//! Owns: names, defaults as text, units and meanings. May not: differ from the structs; a test compares both.

use super::VARIABLE_PREFIX;

/// Documentation of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDoc {
    /// Path in the file, for example `limits.max_payment_xrp`.
    pub key: &'static str,
    /// Default as it would be written in the file, or `required`, or `unset`.
    pub default: &'static str,
    /// Unit or form of the value.
    pub unit: &'static str,
    /// What it means, in a sentence.
    pub meaning: &'static str,
    /// Variable that overrides it.
    pub variable: String,
}

/// How a variable's text becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is: an address of digits must not become a number.
    Text,
    /// An integer, a boolean, or a list or table in the file's inline form.
    Parsed,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) path: &'static str,
    pub(super) form: Form,
    default: &'static str,
    unit: &'static str,
    meaning: &'static str,
    /// A valid value, which stands in for a wrong one while the rest is being checked.
    pub(super) example: &'static str,
}

const fn text(
    path: &'static str,
    default: &'static str,
    unit: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        path,
        form: Form::Text,
        default,
        unit,
        meaning,
        example,
    }
}

const fn parsed(
    path: &'static str,
    default: &'static str,
    unit: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        path,
        form: Form::Parsed,
        default,
        unit,
        meaning,
        example,
    }
}

const ADDRESS: &str = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh";
const ISSUER: &str = "rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De";
const ASSETS: &str = "[{currency=\"USD\",issuer=\"rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De\",min_payment=\"1\",max_payment=\"1\",daily_limit=\"1\"}]";
const HASH: &str = "0000000000000000000000000000000000000000000000000000000000000001";
/// Lists of tables. Their entries have no variables of their own, the whole list is set at once.
const LISTS: [&str; 3] = ["xrpl.servers", "assets", "clients"];

const CLIENTS: &str = "[{client_id=\"shop\",scopes=[\"pay\"]}]";

const SERVERS: &str = "[{url=\"ws://127.0.0.1:6006\",operator=\"us\",own=true}]";

#[rustfmt::skip]
pub(super) const KEYS: [Key; 75] = [
    text("profile", "dev", "dev or production", "dev", "production turns the refusals on that protect real money"),
    text("role", "all", "all", "all", "all accepts payments and sends them; accept comes with a store for several gateways"),
    text("listen", "127.0.0.1:50051", "address:port", "127.0.0.1:0", "where the gRPC API listens; other than loopback only with tls.cert_file and authentication"),
    text("health.listen", "127.0.0.1:50052", "address:port", "127.0.0.1:0", "where grpc.health.v1 alone listens, for orchestrators"),
    text("monitoring.metrics_listen", "127.0.0.1:9090", "address:port", "127.0.0.1:0", "where /metrics, /health, /livez and /readyz are"),
    text("monitoring.log_level", "info", "error, warn, info, debug or trace", "info", "the least important lines that are logged; production refuses debug and trace"),
    parsed("monitoring.latency_threshold_ms", "5000", "milliseconds", "1", "slower answers of ledger servers make the check xrpl degraded"),
    text("monitoring.otlp_endpoint", "unset", "URL", "http://127.0.0.1:4317", "collector for spans, http://host:4317 or unix:///path; unset, none are exported"),
    text("store.path", "/var/lib/paygate/paygate.db", "path", "/x", "the database file; its directory must exist"),
    text("backup.dir", "unset", "path", "/x", "where paygate backup puts copies of the database, best on another disk; the age of the newest one there is a metric"),
    text("signer.socket_path", "/run/paygate-signer/signer.sock", "path", "/x", "the signer's Unix socket"),
    parsed("signer.allowed_uids", "[]", "list of user ids", "[1]", "users that the process behind the socket may run as; empty is the gateway's own user, in profile dev only"),
    text("wallet.address", "required", "classic address", ADDRESS, "the hot wallet"),
    parsed("wallet.network_id", "required", "number", "0", "network: 0 mainnet, 1 testnet, 2 devnet, others as configured on the servers"),
    parsed("wallet.anchor.index", "required", "ledger index", "1", "index of a ledger that this network is known to contain"),
    text("wallet.anchor.hash", "required", "64 hex digits", HASH, "its hash; a server that has another is on another network and is not used"),
    parsed("wallet.source_tag", "unset", "number", "0", "SourceTag of every transaction that is sent"),
    parsed("xrpl.servers", "required", "list of { url, operator, own }", SERVERS, "ledger servers, 1 to 8, those preferred for sending first; of xrpl.agreement operators, unless one is our own"),
    text("xrpl.servers.url", "required", "ws:// or wss:// URL", "ws://127.0.0.1:6006", "WebSocket of the server; production refuses test networks, and ws:// to other hosts"),
    text("xrpl.servers.operator", "required", "name", "us", "who runs it; agreement counts operators; also its name in metrics (a second server of the same one is NAME-2)"),
    parsed("xrpl.servers.own", "false", "true or false", "true", "whether it is ours, so that its word alone decides"),
    parsed("xrpl.agreement", "2", "servers", "1", "how many operators' servers must return a deciding fact, unless the server is our own"),
    parsed("xrpl.connect_timeout_ms", "30000", "milliseconds", "1", "limit for connecting, and for proving the network, each"),
    parsed("xrpl.request_timeout_ms", "30000", "milliseconds", "1", "limit for one request to a ledger server"),
    parsed("xrpl.health_check_interval_ms", "30000", "milliseconds", "1", "one ping in each; silence for two ends the connection"),
    parsed("xrpl.halted_after_ms", "60000", "milliseconds", "60000", "without a new validated ledger for so long the network counts as halted: nothing is bound"),
    parsed("xrpl.last_ledger_window", "20", "ledgers", "20", "how far LastLedgerSequence lies ahead of the validated index"),
    parsed("xrpl.submit_rate_per_second", "8", "requests per second", "8", "submits to each server that is not our own"),
    parsed("xrpl.max_at_large", "50", "payments", "1", "payments that may be on the network at the same time"),
    parsed("fees.max_drops", "2000", "drops", "10", "highest fee of one transaction"),
    text("fees.max_xrp_per_hour", "1", "XRP, decimal in quotes", "1", "the most that may go to fees within any hour; past it nothing is bound and no fee is raised"),
    text("limits.max_payment_xrp", "100", "XRP, decimal in quotes", "1", "highest amount of one payment; over 10000 warns"),
    text("limits.min_payment_xrp", "0.001", "XRP, decimal in quotes", "1", "lowest amount of one payment"),
    text("limits.daily_limit_xrp", "1000", "XRP, decimal in quotes", "1", "highest sum of payments in a rolling day"),
    parsed("limits.max_pending_payments", "50", "payments", "1", "payments that are not final; past it new ones are refused with a delay"),
    text("limits.approval_threshold_xrp", "unset", "XRP, decimal in quotes", "1", "payments above it wait until another identity than their client approves; unset, none does"),
    parsed("limits.approval_window_ms", "3600000", "milliseconds", "60000", "how long a payment waits for approval before it expires"),
    text("rollout.stages_path", "unset", "path", "/x", "the file of stages of a roll-out (deploy/rollout); of its limits and the configured ones the smaller hold; unset, there is no roll-out"),
    parsed("assets", "[]", "list of tables, [[assets]]", ASSETS, "issued currencies that may be paid, each with its own limits; any other is refused by name"),
    text("assets.currency", "required", "3 characters or 40 hex digits", "USD", "the currency; RLUSD is 524C555344000000000000000000000000000000"),
    text("assets.issuer", "required", "classic address", ISSUER, "who issues it; RLUSD on mainnet is issued by rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De"),
    text("assets.min_payment", "required", "decimal in quotes", "1", "lowest value of one payment"),
    text("assets.max_payment", "required", "decimal in quotes", "1", "the most that one payment may take, the issuer's transfer fee included"),
    text("assets.daily_limit", "required", "decimal in quotes", "1", "the most that the payments of a rolling day may take together, transfer fees included"),
    parsed("assets.max_transfer_fee_ppm", "0", "millionths of the value", "0", "what the issuer may take of a transfer at most: becomes the payment's SendMax; RLUSD takes nothing"),
    parsed("security.require_authentication", "true", "true or false", "false", "whether callers must prove who they are; false serves only loopback, as the client local with every scope"),
    text("security.tokens_file", "unset", "path", "/x", "the tokens' hashes with their clients, as paygatectl token new prints them; read again when it changes"),
    parsed("security.allowed_ips", "[]", "list of networks", "[\"127.0.0.0/8\"]", "networks from which calls are answered, like 10.1.0.0/16; empty is all; behind a trusted proxy its caller's address counts"),
    parsed("security.trusted_proxies", "[]", "list of uri:, dns: or cn: names", "[]", "certificates of proxies whose x-forwarded-client-cert and x-forwarded-for are believed; from anybody else such calls are refused"),
    text("assets.approval_threshold", "unset", "decimal in quotes", "1", "payments that may take more than it wait until another identity than their client approves; unset, none does"),
    parsed("security.max_request_bytes", "10240", "bytes", "10240", "largest request; BatchCreatePayments takes 128 KiB whatever this says"),
    parsed("security.reflection", "true", "true or false", "true", "whether gRPC server reflection is offered, for tools like grpcurl"),
    parsed("security.rate_limit_per_minute", "30", "payments", "1", "payments that one client may create within a minute; past it a create is refused with a delay, and one that is stored already is answered"),
    parsed("security.rate_limit_per_hour", "500", "payments", "1", "the same within an hour"),
    parsed("security.read_limit_per_minute", "6000", "calls", "1", "calls of one client within a minute that create nothing, cancels and repeated creates included; those of scope approve and operate are not counted"),
    text("tls.cert_file", "unset", "path", "/x", "the gateway's certificate, PEM, with what leads to its CA; unset, there is no TLS"),
    text("tls.key_file", "unset", "path", "/x", "its key, PEM; refused unless the gateway's user alone can read it"),
    text("tls.client_ca_file", "unset", "path", "/x", "CAs of callers' certificates, PEM, those in between included; unset, none is asked for"),
    text("tls.client_certificates", "optional", "optional or required", "optional", "required takes no connection without a certificate; optional lets tokens do"),
    text("tls.crl_file", "unset", "path", "/x", "revoked certificates of these CAs, PEM; with it, each CA that issued a caller's certificate needs its list there"),
    parsed("tls.handshake_timeout_ms", "5000", "milliseconds", "5000", "time for a handshake, and then for the first bytes"),
    parsed("tls.max_handshakes", "256", "handshakes", "256", "handshakes at the same time; further connections wait in the kernel"),
    parsed("tls.reload_interval_ms", "10000", "milliseconds", "10000", "how often these files and security.tokens_file are looked at; SIGHUP reads them at once, and a bad one leaves the old in force"),
    parsed("clients", "[]", "list of tables, [[clients]]", CLIENTS, "who may call; whoever is not here is refused"),
    text("clients.client_id", "required", "1 to 64 of A-Z a-z 0-9 . _ : -", "shop", "its name for ever: payments, limits and audit go by it"),
    parsed("clients.credentials", "[]", "list of uri:, dns: or cn: names", "[]", "names in its certificates, like uri:spiffe://example.org/shop; one credential is one client"),
    parsed("clients.scopes", "required", "list of pay, read, approve, operate", "[\"pay\"]", "what it may do; no scope holds another"),
    parsed("clients.allowed_ips", "[]", "list of networks", "[]", "where it may call from, beside security.allowed_ips; empty is anywhere"),
    text("clients.max_payment_xrp", "unset", "XRP, decimal in quotes", "1", "highest amount of one of its payments in XRP; unset, limits.max_payment_xrp alone"),
    text("clients.daily_limit_xrp", "unset", "XRP, decimal in quotes", "1", "highest sum of its payments in XRP in a rolling day; unset, limits.daily_limit_xrp alone"),
    parsed("clients.max_pending_payments", "unset", "payments", "1", "its payments that are not final; half of limits.max_pending_payments is kept for all clients in equal parts, whatever others do"),
    parsed("clients.destinations", "[]", "list of classic addresses", "[]", "whom it may pay, whatever the tag; empty is anybody"),
    parsed("clients.rate_limit_per_minute", "unset", "payments", "1", "payments that it may create within a minute; unset, security.rate_limit_per_minute"),
    parsed("clients.rate_limit_per_hour", "unset", "payments", "1", "payments that it may create within an hour; unset, security.rate_limit_per_hour"),
    parsed("shutdown.timeout_ms", "30000", "milliseconds", "1", "time for work in hand after a signal"),
];

/// Every key of the configuration, in the order of the file.
pub fn reference() -> Vec<KeyDoc> {
    all()
        .map(|key| KeyDoc {
            key: key.path,
            default: key.default,
            unit: key.unit,
            meaning: key.meaning,
            variable: variable(list_of(key.path).unwrap_or(key.path)),
        })
        .collect()
}

/// The list of tables to which a path belongs, be it the list itself or a key of its entries.
pub(super) fn list_of(path: &str) -> Option<&'static str> {
    LISTS.into_iter().find(|list| {
        path.strip_prefix(list)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// True for a key of the entries of a list.
pub(super) fn is_in_list(path: &str) -> bool {
    list_of(path).is_some_and(|list| list != path)
}

pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    KEYS.iter()
}

fn variable(path: &str) -> String {
    format!(
        "{VARIABLE_PREFIX}{}",
        path.to_ascii_uppercase().replace('.', "__")
    )
}
