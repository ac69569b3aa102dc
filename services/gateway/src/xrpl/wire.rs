//! Wire: the shapes of the server's JSON (API version 2) and their checked translation into facts.
//!
//! Owns: every assumption about a server's bytes. May not: panic, allocate beyond the message's own size, or let an
//! unchecked string through where a hash, an address or an amount is meant. Numbers of drops come as strings or as
//! integers; a fraction anywhere makes the answer malformed.

use std::time::Instant;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value, json};
use xrpl_tx::AccountId;

use super::driver::short;
use paygate_payments::{LedgerIndex, LedgerRef};

use super::facts::{AccountFacts, Fees, LedgerEvent, LedgerHeader, ServerInfo, SubmitAnswer};
use super::link::CallError;
use super::wire_values::{DropsNumber, DropsText, WireAccount, WireHash};

/// The version whose shapes are read here. A request without it would be answered in version 1's.
const API_VERSION: u32 = 2;

/// A message of the server, sorted.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The answer to a request.
    Answer { id: u64, load_warning: bool },
    /// A validated ledger.
    LedgerClosed(LedgerClosed),
    /// Something that we did not ask for.
    Other { kind: String },
    /// Not JSON, or not of a shape that any server sends.
    Unreadable,
}

#[derive(Deserialize)]
struct Envelope {
    id: Option<u64>,
    #[serde(rename = "type")]
    kind: Option<String>,
    warning: Option<String>,
}

/// Tells what a message is without reading its content.
pub(super) fn sort(text: &str) -> Incoming {
    let Ok(envelope) = serde_json::from_str::<Envelope>(text) else {
        return Incoming::Unreadable;
    };
    match (envelope.id, envelope.kind.as_deref()) {
        (None, Some("ledgerClosed")) => {
            serde_json::from_str(text).map_or(Incoming::Unreadable, Incoming::LedgerClosed)
        }
        (Some(id), _) => Incoming::Answer {
            id,
            load_warning: envelope.warning.as_deref() == Some("load"),
        },
        (None, kind) => Incoming::Other {
            kind: short(&kind.unwrap_or("untyped")),
        },
    }
}

/// One request as text.
pub(super) fn write_request(id: u64, command: &str, mut params: Map<String, Value>) -> String {
    params.insert("id".to_owned(), json!(id));
    params.insert("command".to_owned(), json!(command));
    params.insert("api_version".to_owned(), json!(API_VERSION));
    Value::Object(params).to_string()
}

#[derive(Deserialize)]
struct Head {
    status: Option<String>,
    error: Option<String>,
    error_code: Option<i64>,
    error_message: Option<String>,
    error_exception: Option<String>,
}

#[derive(Deserialize)]
struct Body<T> {
    result: T,
}

/// Reads the answer to a request: the server's refusal, or the result in the wanted shape.
pub(super) fn read_answer<T: DeserializeOwned>(
    command: &'static str,
    text: &str,
) -> Result<T, CallError> {
    let head: Head = parse(command, text)?;
    if let Some(error) = head.error {
        let message = head
            .error_message
            .or(head.error_exception)
            .unwrap_or_default();
        return Err(CallError::Server {
            command,
            error: short(&error),
            code: head.error_code,
            message: short(&message),
        });
    }
    if head.status.as_deref() != Some("success") {
        return Err(malformed(command, "status is not success"));
    }
    parse::<Body<T>>(command, text).map(|body| body.result)
}

fn parse<T: DeserializeOwned>(command: &'static str, text: &str) -> Result<T, CallError> {
    serde_json::from_str(text).map_err(|err| malformed(command, &err))
}

pub(super) fn malformed(
    command: &'static str,
    detail: &(impl std::fmt::Display + ?Sized),
) -> CallError {
    CallError::Malformed {
        command,
        detail: short(&detail),
    }
}

/// Result of `server_state`.
#[derive(Debug, Deserialize)]
pub(super) struct ServerState {
    state: State,
}

#[derive(Debug, Deserialize)]
struct State {
    server_state: String,
    complete_ledgers: Option<String>,
    network_id: Option<u32>,
    #[serde(default)]
    amendment_blocked: bool,
    load_base: u64,
    load_factor: u64,
    load_factor_server: Option<u64>,
    validated_ledger: Option<StateLedger>,
}

#[derive(Debug, Deserialize)]
struct StateLedger {
    seq: u32,
    hash: WireHash,
    base_fee: DropsNumber,
    reserve_base: DropsNumber,
    reserve_inc: DropsNumber,
}

impl ServerState {
    pub(super) fn into_facts(self) -> Result<ServerInfo, CallError> {
        let state = self.state;
        if state.load_base == 0 {
            return Err(malformed("server_state", "load_base is 0"));
        }
        let ledger = state.validated_ledger;
        Ok(ServerInfo {
            server_state: short(&state.server_state),
            validated: ledger.as_ref().map(|l| LedgerRef {
                index: LedgerIndex(l.seq),
                hash: l.hash.0,
            }),
            complete_ledgers: state.complete_ledgers.unwrap_or_default(),
            network_id: state.network_id,
            amendment_blocked: state.amendment_blocked,
            load_factor: state.load_factor,
            load_factor_server: state.load_factor_server.unwrap_or(state.load_factor),
            load_base: state.load_base,
            base_fee: ledger.as_ref().map(|l| l.base_fee.0),
            reserve_base: ledger.as_ref().map(|l| l.reserve_base.0),
            reserve_inc: ledger.as_ref().map(|l| l.reserve_inc.0),
        })
    }
}

/// Result of `fee`.
#[derive(Debug, Deserialize)]
pub(super) struct FeeAnswer {
    drops: FeeDrops,
    ledger_current_index: u32,
    current_queue_size: String,
    max_queue_size: Option<String>,
}

#[derive(Debug, Deserialize)]
struct FeeDrops {
    base_fee: DropsText,
    median_fee: DropsText,
    minimum_fee: DropsText,
    open_ledger_fee: DropsText,
}

impl FeeAnswer {
    pub(super) fn into_facts(self) -> Result<Fees, CallError> {
        let count = |text: &str| {
            text.parse::<u64>()
                .map_err(|_| malformed("fee", "a queue size is not a number"))
        };
        Ok(Fees {
            base: self.drops.base_fee.0,
            minimum: self.drops.minimum_fee.0,
            open_ledger: self.drops.open_ledger_fee.0,
            median: self.drops.median_fee.0,
            current_index: self.ledger_current_index,
            queue_size: count(&self.current_queue_size)?,
            queue_max: self.max_queue_size.as_deref().map(count).transpose()?,
        })
    }
}

/// Result of `submit`. `accepted` is not read: it is true for almost everything.
#[derive(Debug, Deserialize)]
pub(super) struct SubmitResult {
    engine_result: String,
    engine_result_code: i32,
    #[serde(default)]
    engine_result_message: String,
    #[serde(default)]
    applied: bool,
    #[serde(default)]
    queued: bool,
    #[serde(default)]
    kept: bool,
    #[serde(default)]
    broadcast: bool,
    tx_json: Option<SubmittedJson>,
}

#[derive(Debug, Deserialize)]
struct SubmittedJson {
    hash: Option<WireHash>,
}

impl SubmitResult {
    pub(super) fn into_facts(self) -> SubmitAnswer {
        SubmitAnswer {
            engine_result: short(&self.engine_result),
            code: self.engine_result_code,
            applied: self.applied,
            queued: self.queued,
            kept: self.kept,
            broadcast: self.broadcast,
            message: short(&self.engine_result_message),
            tx_hash: self.tx_json.and_then(|json| json.hash).map(|hash| hash.0),
        }
    }
}

/// Result of `account_info` in a closed ledger.
#[derive(Debug, Deserialize)]
pub(super) struct AccountInfo {
    account_data: AccountRoot,
    ledger_hash: WireHash,
    ledger_index: u32,
    #[serde(default)]
    validated: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AccountRoot {
    account: WireAccount,
    balance: DropsText,
    flags: u32,
    owner_count: u32,
    sequence: u32,
    regular_key: Option<WireAccount>,
}

impl AccountInfo {
    pub(super) fn into_facts(self, asked: AccountId) -> Result<AccountFacts, CallError> {
        let root = self.account_data;
        if root.account.0 != asked {
            return Err(malformed("account_info", "it is about another account"));
        }
        Ok(AccountFacts {
            sequence: root.sequence,
            balance: root.balance.0,
            owner_count: root.owner_count,
            flags: root.flags,
            ledger_index: self.ledger_index,
            ledger_hash: self.ledger_hash.0,
            validated: self.validated,
            regular_key: root.regular_key.map(|key| key.0),
        })
    }
}

/// Result of `ledger` without transactions.
#[derive(Debug, Deserialize)]
pub(super) struct LedgerAnswer {
    ledger: Header,
    ledger_hash: WireHash,
    ledger_index: u32,
    #[serde(default)]
    validated: bool,
}

#[derive(Debug, Deserialize)]
struct Header {
    ledger_hash: WireHash,
    parent_hash: WireHash,
    close_time: u32,
}

impl LedgerAnswer {
    pub(super) fn into_facts(self) -> Result<LedgerHeader, CallError> {
        if self.ledger_hash.0 != self.ledger.ledger_hash.0 {
            return Err(malformed("ledger", "it names two hashes"));
        }
        Ok(LedgerHeader {
            index: self.ledger_index,
            hash: self.ledger_hash.0,
            parent_hash: self.ledger.parent_hash.0,
            close_time: self.ledger.close_time,
            validated: self.validated,
        })
    }
}

/// A message of the `ledger` stream.
#[derive(Debug, Deserialize)]
pub(super) struct LedgerClosed {
    ledger_index: u32,
    ledger_hash: WireHash,
    ledger_time: u32,
    fee_base: DropsNumber,
    reserve_base: DropsNumber,
    reserve_inc: DropsNumber,
}

impl LedgerClosed {
    pub(super) fn seen_at(self, seen: Instant) -> LedgerEvent {
        LedgerEvent {
            index: self.ledger_index,
            hash: self.ledger_hash.0,
            fee_base: self.fee_base.0,
            reserve_base: self.reserve_base.0,
            reserve_inc: self.reserve_inc.0,
            close_time: self.ledger_time,
            seen,
        }
    }
}

/// Result of subscribing to `ledger`: the validated ledger, or nothing on a server that has none.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Subscribed {
    Ledger(LedgerClosed),
    Nothing(IgnoredAny),
}

impl Subscribed {
    pub(super) fn into_ledger(self) -> Option<LedgerClosed> {
        match self {
            Subscribed::Ledger(ledger) => Some(ledger),
            Subscribed::Nothing(IgnoredAny) => None,
        }
    }
}
