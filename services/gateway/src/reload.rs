//! Reloading: the configuration file read anew while the gateway runs, and what of it comes into force; and what a start finds changed.
//!
//! Owns: the order: read, check, compare, keep on record, act. May not: put a part into force: a configuration with a problem changes
//! nothing. What was stored under the old limits stays as it is.

use paygate_payments::intent::Id;

use crate::api::LOCAL_CLIENT;
use crate::api::access::{Access, AccessError, Prepared};
use crate::app;
use crate::clock;
use crate::config::{
    Changed, Config, ConfigError, ConfigSource, changes, limits_text, limits_told,
};
use crate::metrics::Metrics;
use crate::store::{Actor, Store, StoreError};

/// With what a person shows that he may: he runs as a user who can signal this process.
const CREDENTIAL: &str = "signal:SIGHUP";

/// The same of a start: whoever can write the file and start the process.
const CREDENTIAL_AT_START: &str = "start of the gateway";

/// Keeps on record which limits this start puts into force, and what of them was changed since they were in force last.
pub(crate) async fn keep_limits(store: &Store, config: &Config) -> Result<(), StoreError> {
    let by = actor(CREDENTIAL_AT_START);
    let text = limits_text(config);
    store
        .limits_at_start(by, text, limits_told, clock::now())
        .await
}

/// Reads the configuration anew, one time after the other.
#[derive(Debug)]
pub(crate) struct Reloader {
    source: ConfigSource,
    /// What is in force.
    config: Config,
    store: Store,
    access: Access,
    metrics: Metrics,
}

/// A configuration that does not come into force.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("the change could not be put on record: {0}")]
    Store(#[from] StoreError),
}

/// What was read, checked and compared.
struct Read {
    next: Config,
    /// What comes into force.
    changes: Vec<Changed>,
    /// What needs a restart.
    others: Vec<Changed>,
    access: Prepared,
}

impl Reloader {
    pub(crate) fn new(
        source: ConfigSource,
        config: Config,
        store: Store,
        access: Access,
        metrics: Metrics,
    ) -> Reloader {
        Reloader {
            source,
            config,
            store,
            access,
            metrics,
        }
    }

    /// Reads it, and puts into force what may change.
    pub(crate) async fn reload(&mut self) {
        let (source, config) = (self.source.clone(), self.config.clone());
        let access = self.access.clone();
        let read = tokio::task::spawn_blocking(move || read(&source, &config, &access)).await;
        let Ok(read) = read else {
            // It has panicked, which ends the process by itself.
            return;
        };
        let done = match read {
            Ok(read) => self.put(read).await,
            Err(error) => Err(error),
        };
        self.metrics.files_reloaded("config", done.is_ok());
        if let Err(error) = done {
            complain(&error);
        }
    }

    async fn put(&mut self, read: Read) -> Result<(), ReloadError> {
        for other in &read.others {
            let (key, old, new) = (&other.key, &other.old, &other.new);
            tracing::warn!(%key, %old, %new, "this key needs a restart: the old value stays in force");
        }
        if read.changes.is_empty() {
            tracing::info!(
                "the configuration was read anew: nothing that can change now has changed"
            );
            return Ok(());
        }
        let by = actor(CREDENTIAL);
        let limits = app::limits(&read.next);
        let (summary, text) = (Changed::all(&read.changes), limits_text(&read.next));
        self.store
            .set_limits(by, limits, summary, text, clock::now())
            .await?;
        self.access.put(read.access);
        self.config = read.next;
        for Changed { key, old, new } in &read.changes {
            tracing::info!(%key, %old, %new, "the configuration was read anew: in force");
        }
        for warning in self.config.warnings() {
            tracing::warn!(key = %warning.key, value = %warning.value, reason = %warning.reason, "configuration");
        }
        Ok(())
    }
}

fn read(source: &ConfigSource, config: &Config, access: &Access) -> Result<Read, ReloadError> {
    let new = source.load()?;
    let next = config.with_reloadable(&new);
    // Old and new together must be good as well: a client's certificate needs the CA that only a restart would read.
    let next = Config::parse(&next.to_string(), [], "in force, with what can change now")?;
    Ok(Read {
        changes: changes(config, &next),
        others: changes(&next, &new),
        access: access.prepare(&next)?,
        next,
    })
}

fn actor(credential: &str) -> Actor {
    Actor {
        client: Id::new(LOCAL_CLIENT).expect("five letters are an id"),
        credential: credential.to_owned(),
        trace_id: String::new(),
    }
}

/// One line for each problem, with the field, its value and the limit.
fn complain(error: &ReloadError) {
    let said = "the configuration that was read anew is not used: the old one stays in force";
    match error {
        ReloadError::Config(ConfigError::Problems(problems)) => {
            for problem in problems {
                tracing::error!(key = %problem.key, value = %problem.value, reason = %problem.reason, "{said}");
            }
        }
        error => tracing::error!(%error, "{said}"),
    }
}
