//! Clients: who may call, told apart by what they prove, and what each may do.
//!
//! Owns: the entries of `clients` and the four scopes. May not: check them; `check/clients.rs` does.

use serde::{Deserialize, Serialize};

use super::{Address, Cidr, Xrp};

/// What a caller may do. There is no scope that holds another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Creates and cancels payments, and sees his own.
    Pay,
    /// Sees his own payments, and the wallet.
    Read,
    /// Decides about payments of others that wait for it.
    Approve,
    /// Sees everything, pauses, unfreezes, announces.
    Operate,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 4] = [Scope::Pay, Scope::Read, Scope::Approve, Scope::Operate];

    /// As it is written in the configuration and in errors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scope::Pay => "pay",
            Scope::Read => "read",
            Scope::Approve => "approve",
            Scope::Operate => "operate",
        }
    }
}

/// One entry of `clients`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its name for ever: payments, limits and audit go by it.
    pub client_id: String,
    /// Names in certificates that are this client: `uri:…`, `dns:…` or `cn:…`. Tokens name their client themselves.
    #[serde(default)]
    pub credentials: Vec<String>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Where it may call from. Empty: from anywhere that `security.allowed_ips` lets in.
    #[serde(default)]
    pub allowed_ips: Vec<Cidr>,
    /// Its largest payment in XRP, below the wallet's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_payment_xrp: Option<Xrp>,
    /// Its largest sum of payments in XRP in a rolling day, below the wallet's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_limit_xrp: Option<Xrp>,
    /// Its payments that are not final, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pending_payments: Option<u32>,
    /// Whom it may pay. Empty: anybody.
    #[serde(default)]
    pub destinations: Vec<Address>,
    /// Payments that it may create within a minute, if other than `security.rate_limit_per_minute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_per_minute: Option<u32>,
    /// And within an hour, if other than `security.rate_limit_per_hour`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_per_hour: Option<u32>,
}
