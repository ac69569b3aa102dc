//! Check: limits of single keys, orders between keys, and what a profile refuses.
//!
//! Owns: every reason not to start. May not: stop at the first.

mod access;
mod assets;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use paygate_telemetry::LogLevel;
use xrpl_tx::Drops;

use super::{Config, Problem, Profile, Role, Server};

/// A payment above this deserves a second look at the configuration.
const MAX_PAYMENT_WARNS_ABOVE: Drops = Drops::from_const(10_000_000_000);

/// Timeouts: nothing useful happens in no time, and nobody waits longer than ten minutes.
const MILLISECONDS: RangeInclusive<u64> = 1..=600_000;

/// People need a second to read, and what nobody looked at for a month is not wanted any more.
const APPROVAL_WINDOW_MS: RangeInclusive<u64> = 1_000..=2_678_400_000;

/// A server queues a blob only two ledgers or more before its LastLedgerSequence; a long window is a long uncertainty.
const WINDOW_LEDGERS: RangeInclusive<u64> = 4..=200;

/// One network fee is 10 drops; a fee of a whole XRP is a mistake in any units.
const FEE_DROPS: RangeInclusive<u64> = 10..=1_000_000;

/// A request with every field at its longest has about 2 KiB; a batch has a limit of its own.
const REQUEST_BYTES: RangeInclusive<u64> = 4_096..=1_048_576;

/// Counts of payments and requests.
pub(super) const COUNT: RangeInclusive<u64> = 1..=1_000_000;

/// Path of a Unix socket, as the kernel limits it.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Name of an operator: it becomes a label of metrics.
const OPERATOR_CHARS_MAX: usize = 32;

/// Each server is one connection that is asked once a second; more add nothing to what they agree on.
const SERVERS_MAX: usize = 8;

/// Parts of host names by which public test networks are known.
const TEST_NETWORK_MARKS: [&str; 4] = ["altnet", "testnet", "devnet", "rippletest"];

/// Users that never are the signer: root sees everything anyway, and `nobody` is shared.
const SHARED_UIDS: [u32; 2] = [0, 65_534];

struct Checker<'a> {
    config: &'a Config,
    replaced: &'a BTreeSet<String>,
    problems: &'a mut Vec<Problem>,
}

/// Adds what is wrong with values that could be read. Nothing is said about keys with stand-ins.
pub(super) fn check(config: &Config, replaced: &BTreeSet<String>, problems: &mut Vec<Problem>) {
    let mut checker = Checker {
        config,
        replaced,
        problems,
    };
    checker.what_is_not_built();
    checker.listeners();
    checker.paths();
    checker.access();
    checker.servers();
    checker.ranges();
    checker.amounts();
    checker.assets();
    checker.production();
}

pub(super) fn warnings(config: &Config) -> Vec<Problem> {
    let mut warnings = Vec::new();
    let mut warn = |key: &str, value: &dyn Display, reason: &str| {
        warnings.push(Problem {
            key: key.to_owned(),
            value: value.to_string(),
            reason: reason.to_owned(),
        });
    };
    let max = config.limits.max_payment_xrp.0;
    if max > MAX_PAYMENT_WARNS_ABOVE {
        warn(
            "limits.max_payment_xrp",
            &max,
            "one payment may exceed 10000 XRP",
        );
    }
    if config.profile == Profile::Dev && config.wallet.network_id == 0 {
        warn(
            "profile",
            &"dev",
            "network 0 is mainnet: real money without the refusals of production",
        );
    }
    if config.xrpl.agreement == 1 && config.xrpl.servers.iter().any(|server| !server.own) {
        warn(
            "xrpl.agreement",
            &config.xrpl.agreement,
            "one server that is not our own decides alone",
        );
    }
    if !config.security.require_authentication && !config.clients.is_empty() {
        warn(
            "clients",
            &config.clients.len(),
            "without effect: security.require_authentication is false, and every caller of this host may do everything",
        );
    }
    if !config.security.require_authentication
        && let Some(threshold) = config.limits.approval_threshold_xrp
    {
        warn(
            "limits.approval_threshold_xrp",
            &threshold.0,
            "without authentication there is one client, which cannot approve its own payments: all above it expire",
        );
    }
    let own = config.xrpl.servers.iter().any(|server| server.own);
    if !own
        && distinct_operators(config) == u64::from(config.xrpl.agreement)
        && config.xrpl.agreement > 1
    {
        warn(
            "xrpl.servers",
            &config.xrpl.servers.len(),
            "with no operator to spare, nothing is decided while one of them is away",
        );
    }
    warnings
}

impl Checker<'_> {
    /// Adds a problem with the first of the keys, unless one of them has a stand-in.
    fn refuse(&mut self, keys: &[&str], value: impl Display, reason: impl Display) {
        if keys.iter().any(|key| self.replaced.contains(*key)) {
            return;
        }
        self.problems.push(Problem {
            key: keys[0].to_owned(),
            value: value.to_string(),
            reason: reason.to_string(),
        });
    }

    fn what_is_not_built(&mut self) {
        if self.config.role == Role::Accept {
            let why = "this version runs one gateway, which sends too: use role = \"all\"";
            self.refuse(&["role"], "accept", why);
        }
    }

    fn listeners(&mut self) {
        let config = self.config;
        let admin = config.monitoring.metrics_listen;
        if !admin.ip().is_loopback() {
            let why = "this listener has neither TLS nor authentication: only loopback is served, like 127.0.0.1";
            self.refuse(&["monitoring.metrics_listen"], admin, why);
        }
        let all = [
            ("listen", config.listen),
            ("health.listen", config.health.listen),
            (
                "monitoring.metrics_listen",
                config.monitoring.metrics_listen,
            ),
        ];
        for (at, (key, address)) in all.iter().enumerate() {
            for (other, taken) in &all[..at] {
                if address == taken && address.port() != 0 {
                    self.refuse(
                        &[key, other],
                        address,
                        format_args!("{other} listens there already"),
                    );
                }
            }
        }
        if let Some(endpoint) = &config.monitoring.otlp_endpoint
            && !endpoint.starts_with("http://")
            && !endpoint.starts_with("unix:///")
        {
            let why = "not like http://host:4317 or unix:///path";
            self.refuse(&["monitoring.otlp_endpoint"], endpoint, why);
        }
    }

    fn paths(&mut self) {
        let config = self.config;
        if config.store.path.as_os_str().is_empty() {
            self.refuse(&["store.path"], "\"\"", "a path is needed");
        }
        let socket = &config.signer.socket_path;
        let bytes = socket.as_os_str().len();
        if !socket.is_absolute() || bytes > SOCKET_PATH_BYTES_MAX {
            let why = format!(
                "an absolute path of at most {SOCKET_PATH_BYTES_MAX} bytes is needed, this has {bytes}"
            );
            self.refuse(&["signer.socket_path"], socket.display(), why);
        }
    }

    fn servers(&mut self) {
        let config = self.config;
        let servers = &config.xrpl.servers;
        if servers.is_empty() || servers.len() > SERVERS_MAX {
            let why = format!("1 to {SERVERS_MAX} ledger servers are needed");
            self.refuse(
                &["xrpl.servers"],
                format_args!("{} servers", servers.len()),
                why,
            );
        }
        for (at, server) in servers.iter().enumerate() {
            self.server(server);
            if servers[..at].iter().any(|other| other.url == server.url) {
                let why = "named twice: one server is one word";
                self.refuse(&["xrpl.servers"], &server.url, why);
            }
        }
        let agreement = u64::from(config.xrpl.agreement);
        if agreement == 0 {
            self.refuse(&["xrpl.agreement"], 0, "at least one server must say so");
        }
        let operators = distinct_operators(config);
        if !servers.iter().any(|server| server.own) && operators < agreement {
            let why = format!(
                "agreement of {agreement} operators needs as many, and {operators} is named: add servers of other operators, \
                 declare one own = true if it is yours, or set agreement = {} in profile dev",
                operators.max(1)
            );
            let named: Vec<&str> = servers.iter().map(|server| server.url.as_str()).collect();
            self.refuse(&["xrpl.servers", "xrpl.agreement"], named.join(", "), why);
        }
    }

    fn server(&mut self, server: &Server) {
        let key = &["xrpl.servers"];
        if server.operator.is_empty()
            || server.operator.chars().count() > OPERATOR_CHARS_MAX
            || server.operator.chars().any(char::is_control)
        {
            let why = format!("an operator has 1 to {OPERATOR_CHARS_MAX} printable characters");
            self.refuse(key, format_args!("{:?}", server.operator), why);
        }
        let uri = server.url.parse::<http::Uri>().ok();
        let Some((scheme, authority)) = uri
            .as_ref()
            .and_then(|uri| Some((uri.scheme_str()?, uri.authority()?)))
        else {
            return self.refuse(key, &server.url, "not like ws://host:6006 or wss://host");
        };
        if authority.as_str().contains('@') {
            return self.refuse(key, "(hidden)", "a URL must not carry credentials");
        }
        if !matches!(scheme, "ws" | "wss") {
            return self.refuse(key, &server.url, "not ws:// or wss://");
        }
        if self.config.profile == Profile::Production {
            let host = authority.host().to_ascii_lowercase();
            if TEST_NETWORK_MARKS.iter().any(|mark| host.contains(mark)) {
                self.refuse(
                    key,
                    &server.url,
                    "production refuses servers of test networks",
                );
            }
            if scheme == "ws" && !is_loopback(&host) {
                self.refuse(
                    key,
                    &server.url,
                    "production refuses ws:// to other hosts: use wss://",
                );
            }
        }
    }

    fn ranges(&mut self) {
        let config = self.config;
        let xrpl = &config.xrpl;
        for (key, value, allowed) in [
            (
                "monitoring.latency_threshold_ms",
                config.monitoring.latency_threshold_ms,
                MILLISECONDS,
            ),
            (
                "xrpl.connect_timeout_ms",
                xrpl.connect_timeout_ms,
                MILLISECONDS,
            ),
            (
                "xrpl.request_timeout_ms",
                xrpl.request_timeout_ms,
                MILLISECONDS,
            ),
            (
                "xrpl.health_check_interval_ms",
                xrpl.health_check_interval_ms,
                MILLISECONDS,
            ),
            ("xrpl.halted_after_ms", xrpl.halted_after_ms, MILLISECONDS),
            (
                "tls.handshake_timeout_ms",
                config.tls.handshake_timeout_ms,
                MILLISECONDS,
            ),
            (
                "tls.reload_interval_ms",
                config.tls.reload_interval_ms,
                MILLISECONDS,
            ),
            (
                "tls.max_handshakes",
                u64::from(config.tls.max_handshakes),
                1..=65_536,
            ),
            (
                "limits.approval_window_ms",
                config.limits.approval_window_ms,
                APPROVAL_WINDOW_MS,
            ),
            (
                "shutdown.timeout_ms",
                config.shutdown.timeout_ms,
                MILLISECONDS,
            ),
            (
                "xrpl.last_ledger_window",
                u64::from(xrpl.last_ledger_window),
                WINDOW_LEDGERS,
            ),
            (
                "xrpl.submit_rate_per_second",
                u64::from(xrpl.submit_rate_per_second),
                COUNT,
            ),
            ("xrpl.max_at_large", u64::from(xrpl.max_at_large), COUNT),
            (
                "limits.max_pending_payments",
                u64::from(config.limits.max_pending_payments),
                COUNT,
            ),
            ("fees.max_drops", config.fees.max_drops, FEE_DROPS),
            (
                "security.rate_limit_per_minute",
                u64::from(config.security.rate_limit_per_minute),
                COUNT,
            ),
            (
                "security.rate_limit_per_hour",
                u64::from(config.security.rate_limit_per_hour),
                COUNT,
            ),
            (
                "security.read_limit_per_minute",
                u64::from(config.security.read_limit_per_minute),
                COUNT,
            ),
            (
                "security.max_request_bytes",
                u64::from(config.security.max_request_bytes),
                REQUEST_BYTES,
            ),
            (
                "wallet.anchor.index",
                u64::from(config.wallet.anchor.index),
                1..=u64::from(u32::MAX),
            ),
        ] {
            if !allowed.contains(&value) {
                let why = format!("allowed is {} to {}", allowed.start(), allowed.end());
                self.refuse(&[key], value, why);
            }
        }
    }

    fn amounts(&mut self) {
        let fees = &self.config.fees;
        let hour = fees.max_xrp_per_hour.0;
        if hour.get() < fees.max_drops {
            self.refuse(
                &["fees.max_drops", "fees.max_xrp_per_hour"],
                hour,
                format_args!(
                    "one fee of fees.max_drops, {} drops, would pass it",
                    fees.max_drops
                ),
            );
        }
        let limits = &self.config.limits;
        let (min, max, daily) = (
            limits.min_payment_xrp.0,
            limits.max_payment_xrp.0,
            limits.daily_limit_xrp.0,
        );
        if min == Drops::ZERO {
            self.refuse(
                &["limits.min_payment_xrp"],
                min,
                "a payment of nothing cannot be sent",
            );
        }
        if min > max {
            let keys = ["limits.min_payment_xrp", "limits.max_payment_xrp"];
            self.refuse(
                &keys,
                min,
                format_args!("above limits.max_payment_xrp, {max}"),
            );
        }
        if max > daily {
            let keys = ["limits.max_payment_xrp", "limits.daily_limit_xrp"];
            self.refuse(
                &keys,
                max,
                format_args!("above limits.daily_limit_xrp, {daily}"),
            );
        }
    }

    fn production(&mut self) {
        let config = self.config;
        if config.profile != Profile::Production {
            return;
        }
        let level = config.monitoring.log_level;
        if matches!(level, LogLevel::Debug | LogLevel::Trace) {
            self.refuse(
                &["monitoring.log_level"],
                level,
                "production refuses debug and trace",
            );
        }
        let uids = &config.signer.allowed_uids;
        if uids.is_empty() {
            let why = "production needs the signer's user named";
            self.refuse(&["signer.allowed_uids"], "[]", why);
        }
        for uid in uids.iter().filter(|uid| SHARED_UIDS.contains(uid)) {
            self.refuse(
                &["signer.allowed_uids"],
                uid,
                "production refuses 0 and 65534",
            );
        }
        if config.xrpl.servers.iter().any(|server| !server.own) && config.xrpl.agreement < 2 {
            let why = "production needs 2 operators to agree, or a server of its own";
            self.refuse(&["xrpl.agreement"], config.xrpl.agreement, why);
        }
    }
}

fn distinct_operators(config: &Config) -> u64 {
    let names: BTreeSet<&str> = config
        .xrpl
        .servers
        .iter()
        .map(|server| server.operator.as_str())
        .collect();
    u64::try_from(names.len()).unwrap_or(u64::MAX)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
