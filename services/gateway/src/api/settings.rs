//! The configuration as the surface sees it.
//!
//! Owns: which keys matter here. May not: know defaults or limits of keys; `config` has checked them.

use xrpl_tx::AccountId;

use crate::config::{Config, Profile, Role};

/// The part of the configuration that the surface uses.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `dev` or `production`.
    pub profile: &'static str,
    /// `all` or `accept`.
    pub role: &'static str,
    /// The configured servers.
    pub servers: Vec<LedgerServerSettings>,
    /// How many servers must return the same fact.
    pub agreement: u32,
    /// Further addresses, each with its configured type. This version configures none.
    pub watched: Vec<(AccountId, String)>,
    /// Largest request.
    pub request_bytes_max: usize,
    /// Whether server reflection is offered.
    pub reflection: bool,
}

/// A ledger server as configured.
#[derive(Clone, Debug)]
pub struct LedgerServerSettings {
    /// Its WebSocket.
    pub url: String,
    /// Who runs it.
    pub operator: String,
    /// It is our own.
    pub own: bool,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let server = |server: &crate::config::Server| LedgerServerSettings {
            url: server.url.clone(),
            operator: server.operator.clone(),
            own: server.own,
        };
        Self {
            profile: match config.profile {
                Profile::Dev => "dev",
                Profile::Production => "production",
            },
            role: match config.role {
                Role::All => "all",
                Role::Accept => "accept",
            },
            servers: config.xrpl.servers.iter().map(server).collect(),
            agreement: config.xrpl.agreement,
            watched: Vec::new(),
            request_bytes_max: usize::try_from(config.security.max_request_bytes)
                .unwrap_or(usize::MAX),
            reflection: config.security.reflection,
        }
    }
}
