//! How one server stands to its network: its mode, its peers, and what it refuses to answer because of them.
//!
//! Owns: the conditions of commands and the errors for them, in both versions of the API. May not: change mode by
//! itself except for want of peers; what else happens to a network is told to it.

use serde_json::{Map, Value, json};

use super::faults::BlockedBy;
use super::rpc::{Role, RpcError};
use super::shapes::{ApiVersion, object};
use super::types::Millis;
use super::world::World;

/// A validated ledger older than this is no news of the network.
const VALIDATED_AGE_MAX_MS: u64 = 120_000;
/// So many ledgers the open one may be behind the validated one.
const BEHIND_MAX: u32 = 10;
/// Worker threads of a standalone server, and of the recorded ones with peers.
const THREADS: (u32, u32) = (1, 4);
/// What a server without an end says of when its list of validators ends.
const NEVER: u32 = u32::MAX;

/// How far a server has come to its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerMode {
    /// It has too few peers.
    Disconnected,
    /// It has peers.
    Connected,
    /// It fetches the network's ledger.
    Syncing,
    /// It has that ledger and watches.
    Tracking,
    /// It takes part.
    Full,
}

impl ServerMode {
    fn name(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Connected => "connected",
            Self::Syncing => "syncing",
            Self::Tracking => "tracking",
            Self::Full => "full",
        }
    }
}

/// What a server must know to answer a command at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    Network,
}

fn need(command: &str) -> Need {
    match command {
        "fee" | "ledger_accept" | "ledger_closed" | "ledger_current" | "submit"
        | "submit_multisigned" | "tx" => Need::Network,
        _ => Need::Nothing,
    }
}

/// The standing of one server.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// It closes ledgers by itself, without anybody else.
    pub standalone: bool,
    /// How far it has come.
    pub mode: ServerMode,
    /// Servers that it is connected to.
    pub peers: usize,
    /// With fewer peers it gives the network up.
    pub peers_min: usize,
    /// Lists of validators in its configuration.
    pub validator_lists: usize,
    /// It has a validator's key.
    pub validates: bool,
    /// Other validators that took part in its last closed ledger.
    pub proposers: usize,
    /// What it says of itself besides.
    pub claims: Claims,
}

/// What a server says of itself that does not follow from its ledgers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Claims {
    /// Nothing.
    #[default]
    Nothing,
    /// That its last ledger was validated just now.
    Fresh,
    /// That it cannot follow its network any more.
    Blocked(BlockedBy),
}

impl Default for Standing {
    /// A standalone server, which always has all there is.
    fn default() -> Self {
        Self {
            standalone: true,
            mode: ServerMode::Full,
            peers: 0,
            peers_min: 0,
            validator_lists: 0,
            validates: false,
            proposers: 0,
            claims: Claims::Nothing,
        }
    }
}

impl Standing {
    /// The mode as this client is told.
    pub(super) fn mode_name(&self, role: Role) -> &'static str {
        if self.mode == ServerMode::Full && self.validates && role == Role::Admin {
            return "proposing";
        }
        self.mode.name()
    }

    /// An error if the server cannot answer this command as it stands.
    pub(super) fn check(
        &self,
        world: &World,
        command: &str,
        api: ApiVersion,
        now: Millis,
    ) -> Result<(), RpcError> {
        let is_blocked = matches!(self.claims, Claims::Blocked(_));
        if need(command) == Need::Nothing || (self.standalone && !is_blocked) {
            return Ok(());
        }
        match self.claims {
            Claims::Nothing => {}
            Claims::Fresh => return Ok(()),
            Claims::Blocked(BlockedBy::Amendment) => {
                return Err(RpcError::new(
                    "amendmentBlocked",
                    14,
                    "Amendment blocked, need upgrade.",
                ));
            }
            Claims::Blocked(BlockedBy::Unl) => {
                return Err(RpcError::new("unlBlocked", 95, "UNL blocked."));
            }
        }
        let not_synced = || RpcError::new("notSynced", 18, "Not synced to the network.");
        if self.mode < ServerMode::Syncing {
            return Err(match api {
                ApiVersion::V1 => RpcError::new("noNetwork", 17, "Not synced to the network."),
                ApiVersion::V2 => not_synced(),
            });
        }
        let validated = world.archive.validated();
        let is_behind =
            validated.is_some_and(|validated| world.closed().index + 1 + BEHIND_MAX < validated);
        if is_validated_old(world, now) || is_behind {
            return Err(match api {
                ApiVersion::V1 => RpcError::new("noCurrent", 16, "Current ledger is unavailable."),
                ApiVersion::V2 => not_synced(),
            });
        }
        Ok(())
    }

    /// An error if the server has no idea which ledger the network is at.
    pub(super) fn check_shortcut(
        &self,
        world: &World,
        api: ApiVersion,
        now: Millis,
    ) -> Result<(), RpcError> {
        if self.standalone || self.claims == Claims::Fresh || !is_validated_old(world, now) {
            return Ok(());
        }
        Err(match api {
            ApiVersion::V1 => RpcError::new("noNetwork", 17, "InsufficientNetworkMode"),
            ApiVersion::V2 => RpcError::new("notSynced", 18, "notSynced"),
        })
    }

    /// What `server_info` and `server_state` say of it to an administrator.
    pub(super) fn admin_facts(&self, human: bool) -> Map<String, Value> {
        let threads = if self.standalone {
            THREADS.0
        } else {
            THREADS.1
        };
        let key = if self.validates {
            "n9KnrcCmL5psyKtk2KWP6jy14Hj4EXuZDg7XMdQJ9cSDoFSp53hu"
        } else {
            "none"
        };
        let mut facts = object(json!({
            "load": { "job_types": [], "threads": threads },
            "node_size": "small",
            "pubkey_validator": key,
        }));
        if human {
            let count = self.validator_lists;
            let list = if count == 0 {
                json!({ "count": 0, "expiration": "unknown", "status": "unknown" })
            } else {
                json!({ "count": count, "expiration": "never", "status": "active" })
            };
            facts.insert("validator_list".into(), list);
        } else {
            let expires = if self.validator_lists == 0 { 0 } else { NEVER };
            facts.insert("validator_list_expires".into(), json!(expires));
        }
        facts
    }
}

fn is_validated_old(world: &World, now: Millis) -> bool {
    let age = world.archive.age_ms(now);
    age.is_none_or(|age| age > VALIDATED_AGE_MAX_MS)
}
