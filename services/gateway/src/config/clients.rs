//! Clients: who may call, told apart by what they prove, and what each may do.
//!
//! Owns: the entries of `clients` and the four scopes. May not: check them; `check/clients.rs` does.

use serde::{Deserialize, Serialize};

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
