//! The configuration: one TOML file, overridden by `PAYGATE_SIGNER__SECTION__KEY`, checked into types that remember it.
//!
//! Owns what a key means and what a bad one is called. May not open anything but the file itself. The list of keys for
//! people is `config/reference.rs`.

mod policy;
pub mod reference;
mod time;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use figment::value::Value;
use paygate_telemetry::LogLevel;
use serde::{Deserialize, Serialize};
use xrpl_tx::AccountId;

use crate::hardening::Protection;
use crate::policy::{Policy, TransactionType};

/// Begins the names of the variables that override keys.
pub const VARIABLE_PREFIX: &str = "PAYGATE_SIGNER__";

/// The kernel's stand-in for a user that it cannot name; nobody may be let in by that.
const UID_NOBODY: u32 = 65534;

/// Shortest and longest `ledger_min_close_ms`: a development ledger may close ten times a second, and the main network
/// has never averaged above ten seconds.
const CLOSE_MS_RANGE: std::ops::RangeInclusive<u64> = 100..=10_000;

/// Longest `last_ledger_window`: a blob lives as long as that, and every quarantine waits it out.
const LAST_LEDGER_WINDOW_MAX: u32 = 1_000;

/// What the process is run for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// A laptop.
    #[default]
    Dev,
    /// Real money: turns the refusals on.
    Production,
}

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the process is run for.
    pub profile: Profile,
    /// Where it listens.
    pub socket_path: PathBuf,
    /// Who may connect.
    pub allowed_uids: BTreeSet<u32>,
    /// Where the key is.
    pub key: KeyPlace,
    /// The wallet, if it is not the key's own account.
    pub wallet: Option<AccountId>,
    /// The network that it signs for.
    pub network_id: u32,
    /// What it allows.
    pub policy: Policy,
    /// Where the journal is.
    pub journal_directory: PathBuf,
    /// Protections that may be missing.
    pub waive: Vec<Protection>,
    /// Least important lines that are logged.
    pub log_level: LogLevel,
}

/// Where the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In a file as a written seed.
    Seed(PathBuf),
    /// In a keystore, which a passphrase opens.
    Keystore {
        /// The keystore.
        file: PathBuf,
        /// A file with the passphrase.
        passphrase: PathBuf,
    },
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, or a key is unknown or of another type.
    #[error("{0}")]
    Unreadable(Box<figment::Error>),
    /// The file is not there.
    #[error("configuration file {0} does not exist")]
    NoFile(PathBuf),
    /// A variable overrides nothing.
    #[error("variable {0} overrides no key")]
    UnknownVariable(String),
    /// A required key is missing.
    #[error("{0} is required")]
    Missing(&'static str),
    /// A value makes no sense.
    #[error("{key} {problem}")]
    Invalid {
        /// Which key.
        key: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
    /// The production profile refuses it.
    #[error("{key} {problem}, which profile \"production\" refuses")]
    NotForProduction {
        /// Which key.
        key: &'static str,
        /// What is wrong with its value.
        problem: &'static str,
    },
}

/// The file as it is written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    profile: Profile,
    listen: ListenSection,
    wallet: WalletSection,
    policy: PolicySection,
    journal: JournalSection,
    hardening: HardeningSection,
    log: LogSection,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListenSection {
    socket_path: PathBuf,
    allowed_uids: Vec<u32>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WalletSection {
    seed_file: Option<PathBuf>,
    keystore_file: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
    address: Option<String>,
    network_id: Option<u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicySection {
    max_payment_xrp: String,
    max_day_xrp: String,
    max_fee_drops: u64,
    last_ledger_window: u32,
    anchor_ledger_index: Option<u32>,
    anchor_time: Option<TimeValue>,
    ledger_min_close_ms: u64,
    denied_destinations: Vec<String>,
    allowed_types: Vec<String>,
    assets: Vec<AssetSection>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AssetSection {
    currency: String,
    issuer: String,
    max_payment: String,
    max_day: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalSection {
    directory: PathBuf,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HardeningSection {
    waive: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogSection {
    level: LogLevel,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum TimeValue {
    UnixSeconds(u64),
    Rfc3339(String),
}

impl Default for ListenSection {
    fn default() -> ListenSection {
        ListenSection {
            socket_path: "/run/paygate-signer/signer.sock".into(),
            allowed_uids: Vec::new(),
        }
    }
}

impl Default for PolicySection {
    fn default() -> PolicySection {
        PolicySection {
            max_payment_xrp: "100".into(),
            max_day_xrp: "1000".into(),
            max_fee_drops: 2000,
            // The gateway's window is 20; a few more let its view of the ledger be ahead of the anchor's clock.
            last_ledger_window: 30,
            anchor_ledger_index: None,
            anchor_time: None,
            ledger_min_close_ms: 3000,
            denied_destinations: Vec::new(),
            allowed_types: ["payment", "no_op"].map(str::to_owned).to_vec(),
            assets: Vec::new(),
        }
    }
}

impl Default for JournalSection {
    fn default() -> JournalSection {
        JournalSection {
            directory: "/var/lib/paygate-signer/journal".into(),
        }
    }
}

// === impl Config ===

impl Config {
    /// Reads the file, applies the variables, checks everything.
    pub fn load(
        path: &Path,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Config, ConfigError> {
        if !path.is_file() {
            return Err(ConfigError::NoFile(path.to_path_buf()));
        }
        let figment = Figment::from(Serialized::defaults(ConfigFile::default()))
            .merge(Toml::file_exact(path));
        Config::from_figment(override_keys(figment, variables)?)
    }

    fn from_figment(figment: Figment) -> Result<Config, ConfigError> {
        let file: ConfigFile = figment
            .extract()
            .map_err(|error| ConfigError::Unreadable(Box::new(error)))?;
        let config = Config {
            profile: file.profile,
            socket_path: absolute("listen.socket_path", file.listen.socket_path)?,
            allowed_uids: allowed_uids(file.profile, file.listen.allowed_uids),
            key: key_place(&file.wallet)?,
            wallet: file
                .wallet
                .address
                .map(|text| address("wallet.address", &text))
                .transpose()?,
            network_id: required("wallet.network_id", file.wallet.network_id)?,
            policy: policy::policy(file.policy)?,
            journal_directory: absolute("journal.directory", file.journal.directory)?,
            waive: waived(&file.hardening.waive)?,
            log_level: file.log.level,
        };
        if config.profile == Profile::Production {
            config.refuse_for_production()?;
        }
        Ok(config)
    }

    fn refuse_for_production(&self) -> Result<(), ConfigError> {
        let refuse = |key, problem| Err(ConfigError::NotForProduction { key, problem });
        let own = rustix::process::geteuid().as_raw();
        if self.allowed_uids.is_empty() {
            return refuse("listen.allowed_uids", "is empty");
        }
        if self.allowed_uids.contains(&0) || self.allowed_uids.contains(&UID_NOBODY) {
            return refuse("listen.allowed_uids", "contains 0 or 65534");
        }
        if self.allowed_uids.contains(&own) {
            return refuse("listen.allowed_uids", "contains the signer's own uid");
        }
        if matches!(self.log_level, LogLevel::Debug | LogLevel::Trace) {
            return refuse("log.level", "is debug or trace");
        }
        Ok(())
    }
}

impl fmt::Display for Config {
    /// The effective configuration. It holds paths of secrets, never a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = &self.policy;
        let denied: Vec<_> = policy
            .denied_destinations
            .iter()
            .map(AccountId::to_address)
            .collect();
        let waive: Vec<_> = self.waive.iter().map(Protection::to_string).collect();
        let uids: Vec<_> = self.allowed_uids.iter().collect();
        let profile = format!("{:?}", self.profile).to_lowercase();
        let wallet = self.wallet.map_or_else(
            || "# the key's own account".into(),
            |account| format!("{:?}", account.to_address()),
        );
        writeln!(f, "profile = {profile:?}")?;
        writeln!(
            f,
            "\n[listen]\nsocket_path = {:?}\nallowed_uids = {uids:?}",
            self.socket_path
        )?;
        writeln!(f, "\n[wallet]")?;
        match &self.key {
            KeyPlace::Seed(file) => writeln!(f, "seed_file = {file:?}")?,
            KeyPlace::Keystore { file, passphrase } => {
                writeln!(
                    f,
                    "keystore_file = {file:?}\npassphrase_file = {passphrase:?}"
                )?;
            }
        }
        writeln!(f, "network_id = {}", self.network_id)?;
        match self.wallet {
            Some(_) => writeln!(f, "address = {wallet}")?,
            None => writeln!(f, "{wallet}")?,
        }
        writeln!(
            f,
            "\n[policy]\nmax_payment_xrp = {:?}",
            policy.max_payment.to_xrp_string()
        )?;
        writeln!(
            f,
            "max_day_xrp = {:?}\nmax_fee_drops = {}",
            policy.max_day.to_xrp_string(),
            policy.max_fee.get()
        )?;
        writeln!(f, "last_ledger_window = {}", policy.last_ledger_window)?;
        writeln!(
            f,
            "anchor_ledger_index = {}\nanchor_time = {}",
            policy.anchor_ledger_index,
            policy.anchor_time_ms / 1000
        )?;
        writeln!(
            f,
            "ledger_min_close_ms = {}\ndenied_destinations = {denied:?}",
            policy.ledger_min_close_ms
        )?;
        let types = policy.allowed_types.iter();
        let types: Vec<_> = types.map(TransactionType::to_string).collect();
        writeln!(f, "allowed_types = {types:?}")?;
        for (asset, limits) in &policy.assets {
            writeln!(
                f,
                "\n[[policy.assets]]\ncurrency = {:?}\nissuer = {:?}\nmax_payment = {:?}\nmax_day = {:?}",
                asset.currency.to_string(),
                asset.issuer.to_address(),
                limits.max_payment.to_string(),
                limits.max_day.to_string()
            )?;
        }
        writeln!(f, "\n[journal]\ndirectory = {:?}", self.journal_directory)?;
        writeln!(f, "\n[hardening]\nwaive = {waive:?}")?;
        writeln!(
            f,
            "\n[log]\nlevel = {:?}",
            format!("{:?}", self.log_level).to_lowercase()
        )
    }
}

// === the checks ===

/// A variable that matches no key is refused: a misspelt limit must not be silently without effect.
fn override_keys(
    mut figment: Figment,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Figment, ConfigError> {
    for (name, text) in variables.filter(|(name, _)| name.starts_with(VARIABLE_PREFIX)) {
        let Some(key) = reference::reference()
            .iter()
            .find(|key| key.variable == name)
        else {
            return Err(ConfigError::UnknownVariable(name));
        };
        // Text stays text: read as a number, "0.1" would become a float on its way to an amount.
        let value = if key.is_text() {
            Value::from(text)
        } else {
            text.parse::<Value>().map_err(|_| ConfigError::Invalid {
                key: key.key,
                problem: "cannot be read".into(),
            })?
        };
        figment = figment.merge(Serialized::default(key.key, value));
    }
    Ok(figment)
}

/// A seed file, or a keystore with its passphrase; never both, so that nobody wonders which one counts.
fn key_place(section: &WalletSection) -> Result<KeyPlace, ConfigError> {
    let both = || {
        invalid(
            "wallet.keystore_file",
            "stands beside wallet.seed_file: give one of them",
        )
    };
    let alone = || {
        invalid(
            "wallet.passphrase_file",
            "is given without wallet.keystore_file",
        )
    };
    match (
        &section.seed_file,
        &section.keystore_file,
        &section.passphrase_file,
    ) {
        (Some(_), Some(_), _) => Err(both()),
        (_, None, Some(_)) => Err(alone()),
        (seed, None, None) => required("wallet.seed_file or wallet.keystore_file", seed.clone())
            .and_then(|path| absolute("wallet.seed_file", path))
            .map(KeyPlace::Seed),
        (None, Some(file), passphrase) => Ok(KeyPlace::Keystore {
            file: absolute("wallet.keystore_file", file.clone())?,
            passphrase: required("wallet.passphrase_file", passphrase.clone())
                .and_then(|path| absolute("wallet.passphrase_file", path))?,
        }),
    }
}

fn required<T>(key: &'static str, value: Option<T>) -> Result<T, ConfigError> {
    value.ok_or(ConfigError::Missing(key))
}

fn invalid(key: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Invalid {
        key,
        problem: problem.into(),
    }
}

/// Relative paths depend on where the process was started, and none can be resolved after it has confined itself.
fn absolute(key: &'static str, path: PathBuf) -> Result<PathBuf, ConfigError> {
    if !path.is_absolute() {
        return Err(invalid(key, format!("{path:?} is no absolute path")));
    }
    Ok(path)
}

fn address(key: &'static str, text: &str) -> Result<AccountId, ConfigError> {
    AccountId::from_address(text)
        .map_err(|error| invalid(key, format!("{text:?} is no classic address: {error}")))
}

fn allowed_uids(profile: Profile, configured: Vec<u32>) -> BTreeSet<u32> {
    if configured.is_empty() && profile == Profile::Dev {
        return BTreeSet::from([0, rustix::process::geteuid().as_raw()]);
    }
    configured.into_iter().collect()
}

fn waived(names: &[String]) -> Result<Vec<Protection>, ConfigError> {
    let parse = |name: &String| {
        name.parse()
            .map_err(|error| invalid("hardening.waive", format!("{name:?} {error}")))
    };
    names.iter().map(parse).collect()
}

#[cfg(test)]
mod tests;
