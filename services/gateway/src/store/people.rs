//! What people do with the gateway, in words: who, pauses, approvals, and the log of it all.
//!
//! Owns: the words of that part of the store's interface. May not: know of SQL, or of credentials but as text.

use std::fmt;

use paygate_payments::intent::{Id, Intent, PaymentKey};
use paygate_payments::payment::StateName;
use xrpl_tx::{AccountId, Amount, Hash256};

use super::types::Record;
use crate::clock::Millis;

/// Who does something that is audited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The client.
    pub client: Id,
    /// By which credential it is known, for example `token:ops1`. Never a secret.
    pub credential: String,
    /// W3C trace id of the call, or empty.
    pub trace_id: String,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Order of commits, from 1, without gaps.
    pub sequence: u64,
    /// When.
    pub at: Millis,
    /// Who.
    pub client: String,
    /// With which credential.
    pub credential: String,
    /// Full name of the RPC.
    pub method: String,
    /// What it was done to.
    pub subject: String,
    /// Why, as it was given.
    pub reason: String,
    /// The gRPC status code that it ended with.
    pub code: i32,
    /// W3C trace id, or empty.
    pub trace_id: String,
    /// Hash of the entry before.
    pub previous: Hash256,
    /// The chain's hash at this entry.
    pub hash: Hash256,
}

/// The newest entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// Its sequence.
    pub sequence: u64,
    /// Its hash.
    pub hash: Hash256,
}

/// Which entries to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// At most so many; capped at [`super::PAGE_MAX`]. 0: [`super::PAGE_DEFAULT`].
    pub limit: usize,
    /// `next` of the page before.
    pub token: Option<String>,
    /// Only by this client.
    pub client: Option<Id>,
}

/// A page of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// Token of the next page. `None`: this was the last one.
    pub next: Option<String>,
    /// The newest entry as it is kept beside the entries.
    pub head: Option<AuditHead>,
}

/// What is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PauseScope {
    /// Everything.
    Wallet,
    /// Payments of one client.
    Client(Id),
    /// Payments to one account, whatever the tag.
    Destination(AccountId),
}

/// A pause in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Of what.
    pub scope: PauseScope,
    /// As the person gave it.
    pub reason: String,
    /// Which client that was.
    pub by: String,
    /// Since when.
    pub since: Millis,
}

/// What became of a person's wish to pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paused {
    /// It is in force, now or since before; the first reason stays.
    InForce(Pause),
    /// So many are in force already.
    TooMany(usize),
}

/// What an approver decides about a payment.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Who decides.
    pub by: Actor,
    /// About which payment.
    pub key: PaymentKey,
    /// What.
    pub verdict: Verdict,
    /// What the approver said.
    pub comment: String,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on, if it is what the approver saw.
    Approve {
        /// Whom it pays.
        destination: AccountId,
        /// How much, without the issuer's fee.
        amount: Amount,
    },
    /// It ends.
    Reject,
}

/// What became of an approver's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Carried out now.
    Now(Record),
    /// The same approver had decided the same before.
    Again(Record),
    /// The approver is the payment's own client. Nothing was changed.
    Creator,
    /// The payment is not what the approver saw, in this field. Nothing was changed.
    Differs(&'static str),
    /// It does not wait for approval any more. Nothing was changed.
    NotWaiting {
        /// What it is.
        state: StateName,
        /// Who decided, if somebody did.
        by: Option<String>,
    },
    /// Its time was over. It has expired, or does so once a quarantine is over.
    Over,
    /// A cancel is stored for it, or continuity is in doubt, in which nothing ends unpaid. Nothing was changed.
    Barred(&'static str),
}

/// A page of payments that wait for approval, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalPage {
    /// Oldest first.
    pub records: Vec<Record>,
    /// Token of the next page. `None`: this was the last one.
    pub next: Option<String>,
}

impl Actor {
    /// A client without more to say of it.
    #[must_use]
    pub fn of(client: Id) -> Self {
        Self {
            client,
            credential: String::new(),
            trace_id: String::new(),
        }
    }
}

impl Pause {
    /// Whether a payment of this content waits for it.
    #[must_use]
    pub fn covers(&self, intent: &Intent) -> bool {
        match &self.scope {
            PauseScope::Wallet => true,
            PauseScope::Client(client) => *client == intent.key.client,
            PauseScope::Destination(account) => *account == intent.destination,
        }
    }
}

impl fmt::Display for PauseScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wallet => f.write_str("wallet"),
            Self::Client(client) => write!(f, "client {client}"),
            Self::Destination(account) => write!(f, "destination {account}"),
        }
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            PauseScope::Wallet => write!(f, "paused by {}: {}", self.by, self.reason),
            scope => write!(f, "{scope} is paused by {}: {}", self.by, self.reason),
        }
    }
}
