//! The connections to XRP Ledger servers: one WebSocket each, typed calls, the streams of validated ledgers.
//!
//! Owns: the sockets, their reconnects, the proof that the server is on our network, and the translation of answers into
//! our own facts. May not: decide anything about a payment. What `submit` answers is a hint and nothing here calls it
//! an outcome; only [`LedgerTransaction`]s marked validated are evidence, and the core judges them.
//!
//! # Layout
//! - `link`: the handle, its settings, states and errors
//! - `fleet`: all servers together: who is of use, and what enough of them hold validated
//! - `dial`: how a server is reached
//! - `driver`: the task that owns the socket
//! - `identity`: which network a server is on, proven before anything else is asked of it
//! - `calls`: one typed method for each command
//! - `lookups`: the calls about accounts that are not the wallet, for pre-flight
//! - `signer_list`: who else may sign for the wallet
//! - `history`: long histories, part by part
//! - `facts`: what the calls return
//! - `wire`, `wire_tx`, `wire_values`: the shapes of the server's JSON, and their checked translation into facts
//! - `backoff`, `progress`: pure arithmetic on monotonic time

mod backoff;
mod calls;
mod dial;
mod driver;
mod facts;
mod fleet;
mod history;
mod identity;
mod link;
mod lookups;
mod progress;
mod signer_list;
mod wire;
mod wire_tx;
mod wire_values;

#[cfg(test)]
pub(crate) mod tests;

pub use calls::{AccountTxError, At};
pub use dial::{Dial, Dialing, Messages, Tcp, Wire, WireError};
pub use driver::Driver;
pub use facts::{
    AccountFacts, AccountHistory, BalanceChange, Fees, LedgerEvent, LedgerHeader,
    LedgerTransaction, MemoFacts, PaymentAmount, ServerInfo, SubmitAnswer, TxLookup,
};
pub use fleet::{Crew, Fleet, FleetSettings, Heard, Member, Picture, ServerPicture, gather};
pub use link::{
    CallError, ConnectionState, DisconnectReason, Link, LinkSettings, NotSent, Proof, WrongNetwork,
};
pub use lookups::OtherAccount;
pub use progress::Progress;
pub use signer_list::SignerList;
