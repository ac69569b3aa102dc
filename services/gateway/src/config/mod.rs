//! Configuration: one TOML file, overridden by `PAYGATE__SECTION__KEY`, checked as a whole before anything starts.
//!
//! Owns: every key, its default and its limits. May not: read the process environment by itself, or accept a key that
//! nothing uses: a setting that is silently without effect is worse than a refusal.
//!
//! # Layout
//! - here: the structs, which are what the rest of the gateway sees
//! - `keys`: the reference of all keys, from which documentation is generated
//! - `load`: file and variables into structs, collecting every problem
//! - `clients`: who may call, and the scopes
//! - `diff`: what differs between two configurations, and what of it may change while the gateway runs
//! - `check`: limits, orders and what the production profile refuses
//! - `stages`: the file of stages, which is another file
//! - `tls`, `cidr`: certificates of both sides, and networks
//! - `values`: addresses, hashes and amounts, checked while they are read
//! - `print`: the effective configuration as TOML

mod check;
mod cidr;
mod clients;
mod diff;
mod keys;
mod load;
mod print;
mod stages;
mod tls;
mod values;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use paygate_telemetry::LogLevel;
use serde::{Deserialize, Serialize};
use xrpl_tx::Drops;

pub use cidr::{Cidr, CidrError};
pub use clients::{Client, Scope};
pub use diff::{Changed, changes, limits_text, limits_told};
pub use keys::{KeyDoc, reference};
pub use load::{ConfigError, ConfigSource, Problem};
pub use stages::{StagesError, StagesFile};
pub use tls::{ClientCertificates, Tls};
pub use values::{Address, CurrencyCode, Hash, Value, Xrp};

/// What starts every variable that overrides a key.
pub const VARIABLE_PREFIX: &str = "PAYGATE__";

/// The whole configuration of a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which refusals are on.
    #[serde(default)]
    pub profile: Profile,
    /// What this gateway does.
    #[serde(default)]
    pub role: Role,
    /// Where the gRPC API listens.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Health over gRPC, for orchestrators.
    #[serde(default)]
    pub health: Health,
    /// Logs, metrics and traces.
    #[serde(default)]
    pub monitoring: Monitoring,
    /// The store.
    #[serde(default)]
    pub store: Store,
    /// Copies of the store.
    #[serde(default)]
    pub backup: Backup,
    /// The signer's socket.
    #[serde(default)]
    pub signer: Signer,
    /// The hot wallet.
    pub wallet: Wallet,
    /// The ledger servers.
    pub xrpl: Xrpl,
    /// What may be spent on fees.
    #[serde(default)]
    pub fees: Fees,
    /// What may be paid.
    #[serde(default)]
    pub limits: Limits,
    /// In which stages limits grow.
    #[serde(default)]
    pub rollout: Rollout,
    /// Issued currencies that may be paid. All others are refused.
    #[serde(default)]
    pub assets: Vec<Asset>,
    /// How callers know the gateway, and it them.
    #[serde(default)]
    pub tls: Tls,
    /// Who may ask.
    #[serde(default)]
    pub security: Security,
    /// Who may do what.
    #[serde(default)]
    pub clients: Vec<Client>,
    /// How the gateway stops.
    #[serde(default)]
    pub shutdown: Shutdown,
}

/// Which refusals are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// For a laptop and for tests.
    #[default]
    Dev,
    /// For money.
    Production,
}

/// What a gateway does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Accepts payments and sends them.
    #[default]
    All,
    /// Only accepts them. Refused until a store for several gateways exists.
    Accept,
}

/// Section `health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// Where `grpc.health.v1` listens on its own.
    pub listen: SocketAddr,
}

/// Section `monitoring`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Monitoring {
    /// Where `/metrics`, `/health`, `/livez` and `/readyz` are.
    pub metrics_listen: SocketAddr,
    /// The least important lines that are logged.
    pub log_level: LogLevel,
    /// Answers of ledger servers slower than this make the health check `xrpl` degraded.
    pub latency_threshold_ms: u64,
    /// Collector for spans, `http://host:4317` or `unix:///path`. Absent: spans are not exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
}

/// Section `store`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// The database file.
    pub path: PathBuf,
}

/// Section `backup`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backup {
    /// Where `paygate backup` puts copies, and where their age is looked up. Absent: the age is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
}

/// Section `signer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Signer {
    /// The signer's Unix socket.
    pub socket_path: PathBuf,
    /// Users that the process behind the socket may run as. Empty: the gateway's own user, in the dev profile only.
    pub allowed_uids: Vec<u32>,
}

/// Section `wallet`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wallet {
    /// Classic address of the hot wallet.
    pub address: Address,
    /// Network: 0 is mainnet.
    pub network_id: u32,
    /// A ledger that this network contains: its hash is what tells networks apart.
    pub anchor: Anchor,
    /// SourceTag of every transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_tag: Option<u32>,
}

/// Section `wallet.anchor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Index of the ledger.
    pub index: u32,
    /// Its hash.
    pub hash: Hash,
}

/// Section `xrpl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Xrpl {
    /// Ledger servers.
    pub servers: Vec<Server>,
    /// How many servers of different operators must return a deciding fact.
    #[serde(default = "default_agreement")]
    pub agreement: u32,
    /// Limit for connecting, and for proving the network, each.
    #[serde(default = "default_request_ms")]
    pub connect_timeout_ms: u64,
    /// Limit for one request.
    #[serde(default = "default_request_ms")]
    pub request_timeout_ms: u64,
    /// One ping in each; silence for two ends the connection.
    #[serde(default = "default_request_ms")]
    pub health_check_interval_ms: u64,
    /// A validated ledger that does not move for so long is a halted network.
    #[serde(default = "default_halted_ms")]
    pub halted_after_ms: u64,
    /// How far LastLedgerSequence lies ahead of the validated index.
    #[serde(default = "default_window")]
    pub last_ledger_window: u32,
    /// Submits per second to a server that is not our own.
    #[serde(default = "default_submit_rate")]
    pub submit_rate_per_second: u32,
    /// Payments bound to a slot and not final, at the same time.
    #[serde(default = "default_max_at_large")]
    pub max_at_large: u32,
}

/// One entry of `xrpl.servers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// WebSocket URL.
    pub url: String,
    /// Who runs it: agreement counts operators, not servers.
    pub operator: String,
    /// Whether it is ours, so that its word alone suffices.
    #[serde(default)]
    pub own: bool,
}

/// Section `fees`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fees {
    /// Highest fee of one transaction.
    pub max_drops: u64,
    /// The most that may go to fees within an hour.
    pub max_xrp_per_hour: Xrp,
}

/// Section `limits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Highest amount of one payment.
    pub max_payment_xrp: Xrp,
    /// Lowest amount of one payment.
    pub min_payment_xrp: Xrp,
    /// Highest sum of a rolling day.
    pub daily_limit_xrp: Xrp,
    /// Payments that are not final; past it new ones are refused with a delay.
    pub max_pending_payments: u32,
    /// Payments above so much wait for another identity's approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_threshold_xrp: Option<Xrp>,
    /// How long they wait before they expire.
    pub approval_window_ms: u64,
}

/// Section `rollout`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rollout {
    /// The file of stages. Absent: the configured limits hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages_path: Option<PathBuf>,
}

/// One entry of `assets`. Its values are decimals in quotes, in the currency itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// The currency.
    pub currency: CurrencyCode,
    /// Who issues it: the same currency of another issuer is another asset.
    pub issuer: Address,
    /// Lowest value of one payment.
    pub min_payment: Value,
    /// The most that one payment may take.
    pub max_payment: Value,
    /// The most that the payments of a rolling day may take together.
    pub daily_limit: Value,
    /// What the issuer may take of a transfer at most.
    #[serde(default)]
    pub max_transfer_fee_ppm: u32,
    /// Payments that may take more than this wait for another identity's approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_threshold: Option<Value>,
}

/// Section `security`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Security {
    /// Whether callers must prove who they are.
    pub require_authentication: bool,
    /// Largest request.
    pub max_request_bytes: u32,
    /// Whether server reflection is offered.
    pub reflection: bool,
    /// Networks from which calls are answered. Empty: all.
    pub allowed_ips: Vec<Cidr>,
    /// Names in certificates of proxies that hand on who called them.
    pub trusted_proxies: Vec<String>,
    /// Hashes of the tokens that callers may show, each with its client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_file: Option<PathBuf>,
    /// Payments that a client may create within a minute.
    pub rate_limit_per_minute: u32,
    /// And within an hour.
    pub rate_limit_per_hour: u32,
    /// Calls of a client within a minute that create nothing.
    pub read_limit_per_minute: u32,
}

/// Section `shutdown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// Time for work in hand after a signal.
    pub timeout_ms: u64,
}

impl Xrpl {
    /// `connect_timeout_ms` as a duration.
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// `request_timeout_ms` as a duration.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// `halted_after_ms` as a duration.
    pub fn halted_after(&self) -> Duration {
        Duration::from_millis(self.halted_after_ms)
    }

    /// `health_check_interval_ms` as a duration.
    pub fn health_check_interval(&self) -> Duration {
        Duration::from_millis(self.health_check_interval_ms)
    }
}

impl Asset {
    /// Currency and issuer.
    pub fn id(&self) -> xrpl_tx::Asset {
        xrpl_tx::Asset {
            currency: self.currency.0,
            issuer: self.issuer.0,
        }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 50051))
}

const fn default_agreement() -> u32 {
    2
}

const fn default_request_ms() -> u64 {
    30_000
}

/// A validated ledger comes every 3 to 5 seconds; after so many of the longest, the network has a problem with a name.
const fn default_halted_ms() -> u64 {
    60_000
}

const fn default_window() -> u32 {
    20
}

const fn default_submit_rate() -> u32 {
    8
}

const fn default_max_at_large() -> u32 {
    50
}

impl Default for Health {
    fn default() -> Health {
        Health {
            listen: SocketAddr::from(([127, 0, 0, 1], 50052)),
        }
    }
}

impl Default for Monitoring {
    fn default() -> Monitoring {
        Monitoring {
            metrics_listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
            log_level: LogLevel::Info,
            latency_threshold_ms: 5_000,
            otlp_endpoint: None,
        }
    }
}

impl Default for Store {
    fn default() -> Store {
        Store {
            path: PathBuf::from("/var/lib/paygate/paygate.db"),
        }
    }
}

impl Default for Signer {
    fn default() -> Signer {
        Signer {
            socket_path: PathBuf::from("/run/paygate-signer/signer.sock"),
            allowed_uids: Vec::new(),
        }
    }
}

impl Default for Fees {
    fn default() -> Fees {
        Fees {
            max_drops: 2_000,
            max_xrp_per_hour: Xrp(Drops::from_const(1_000_000)),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_payment_xrp: Xrp(Drops::from_const(100_000_000)),
            min_payment_xrp: Xrp(Drops::from_const(1_000)),
            daily_limit_xrp: Xrp(Drops::from_const(1_000_000_000)),
            max_pending_payments: 50,
            approval_threshold_xrp: None,
            approval_window_ms: 3_600_000,
        }
    }
}

impl Default for Security {
    fn default() -> Security {
        Security {
            require_authentication: true,
            max_request_bytes: 10_240,
            reflection: true,
            allowed_ips: Vec::new(),
            trusted_proxies: Vec::new(),
            tokens_file: None,
            rate_limit_per_minute: 30,
            rate_limit_per_hour: 500,
            read_limit_per_minute: 6_000,
        }
    }
}

impl Default for Shutdown {
    fn default() -> Shutdown {
        Shutdown { timeout_ms: 30_000 }
    }
}
