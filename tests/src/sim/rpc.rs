//! Commands: a request in, a result or an error out, the same for both transports.
//!
//! Owns: the list of commands, their parameters and errors, submit and subscriptions. May not: know how requests
//! arrive (`net`); accounts and ledgers are in `rpc_data`, searches in `rpc_history`, the server itself in `rpc_server`.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::blob::{BlobError, Tx};
use super::faults::Order;
use super::hub::{SocketId, Stream, Wanted, ledger_facts};
use super::node::Node;
use super::refusals::{check_known, message, refused};
use super::rpc_data;
use super::rpc_history;
use super::rpc_lines;
use super::rpc_owned;
use super::rpc_server::{PUBKEY_NODE, REFERENCE_LEVEL, fee, server};
use super::rpc_sign::{sign_and_submit, submit_multisigned};
use super::script;
use super::shapes::{ApiVersion, ctid, object};
use super::types::{AccountId, Hash, Millis};
use super::world::Release;

/// What a server says to who asks it to sign.
const DEPRECATED: &str = "Signing support in the 'submit' command has been deprecated and will be removed in a future version of the server. Please migrate to a standalone signing tool.";

/// The commands that this server knows and a real one does too.
pub const COMMANDS: [&str; 21] = [
    "account_currencies",
    "account_info",
    "account_lines",
    "account_objects",
    "account_tx",
    "deposit_authorized",
    "fee",
    "gateway_balances",
    "ledger",
    "ledger_accept",
    "ledger_closed",
    "ledger_current",
    "ledger_entry",
    "ping",
    "server_info",
    "server_state",
    "submit",
    "submit_multisigned",
    "subscribe",
    "tx",
    "unsubscribe",
];

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The JSON-RPC port: also `ledger_accept` and `sim_script`.
    Admin,
    /// The WebSocket port.
    Public,
}

/// What a command needs to know besides its parameters.
pub(super) struct Call<'a> {
    /// Parameters, for WebSocket the whole message.
    pub params: &'a Map<String, Value>,
    /// Version asked for.
    pub api: ApiVersion,
    /// Who asks.
    pub role: Role,
    /// The WebSocket it came by.
    pub socket: Option<SocketId>,
    /// The blob of a `submit`, already decoded and checked outside any lock.
    pub parsed: Option<Result<Arc<Tx>, BlobError>>,
    /// The time.
    pub now: Millis,
}

/// An error as it goes out: `error`, and for most `error_code` and `error_message`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RpcError {
    /// All its fields, without `request` and `status`.
    pub fields: Map<String, Value>,
}

impl RpcError {
    /// An error with number and text.
    pub(super) fn new(error: &str, code: u32, message: &str) -> Self {
        Self {
            fields: object(json!({ "error": error, "error_code": code, "error_message": message })),
        }
    }

    /// An error of which servers say only the name.
    pub(super) fn bare(error: &str) -> Self {
        Self {
            fields: object(json!({ "error": error })),
        }
    }

    /// The error for parameters that make no sense.
    pub(super) fn invalid_params() -> Self {
        Self::new("invalidParams", 31, "Invalid parameters.")
    }

    /// The same with a text of its own.
    pub(super) fn invalid_params_because(message: &str) -> Self {
        Self::new("invalidParams", 31, message)
    }

    /// With further fields.
    pub(super) fn with(mut self, fields: Map<String, Value>) -> Self {
        self.fields.extend(fields);
        self
    }
}

/// What a command answers.
pub(super) type Answer = Result<Map<String, Value>, RpcError>;

/// The version a request asks for; None if there is no such version.
pub(super) fn api_version(params: &Map<String, Value>) -> Option<ApiVersion> {
    match params.get("api_version") {
        None => Some(ApiVersion::V1),
        Some(Value::Number(number)) if number.as_u64() == Some(1) => Some(ApiVersion::V1),
        Some(Value::Number(number)) if number.as_u64() == Some(2) => Some(ApiVersion::V2),
        Some(_) => None,
    }
}

/// Decodes the blob of a `submit` before the server is locked, unless the server knows it already; None for any other
/// request.
pub(super) fn parse_submit(
    command: &str,
    params: &Map<String, Value>,
    known: impl FnOnce(Hash) -> Option<Arc<Tx>>,
) -> Option<Result<Arc<Tx>, BlobError>> {
    let blob = params.get("tx_blob").filter(|_| command == "submit")?;
    let bytes = blob
        .as_str()
        .and_then(|text| hex::decode(text).ok())
        .filter(|bytes| !bytes.is_empty());
    Some(match bytes {
        None => Err(BlobError::NotHex),
        Some(bytes) => match known(Tx::hash_of(&bytes)) {
            Some(tx) => Ok(tx),
            None => Tx::of_bytes(bytes),
        },
    })
}

/// Runs a command.
pub(super) fn dispatch(node: &mut Node, command: &str, call: &Call<'_>) -> Answer {
    if call.role == Role::Public && matches!(command, "ledger_accept" | "sim_script") {
        return Err(RpcError::new("forbidden", 3, "Bad credentials."));
    }
    node.standing
        .check(&node.world, command, call.api, call.now)?;
    match command {
        "ping" => Ok(ping(call)),
        "server_info" => Ok(object(json!({ "info": server(node, call, true) }))),
        "server_state" => Ok(object(json!({ "state": server(node, call, false) }))),
        "fee" => Ok(fee(node)),
        "submit" => submit(node, call),
        "submit_multisigned" => submit_multisigned(node, call),
        "tx" => rpc_history::tx(node, call),
        "account_info" => rpc_data::account_info(node, call),
        "account_currencies" => rpc_lines::account_currencies(node, call),
        "account_lines" => rpc_lines::account_lines(node, call),
        "deposit_authorized" => rpc_lines::deposit_authorized(node, call),
        "gateway_balances" => rpc_lines::gateway_balances(node, call),
        "account_objects" => rpc_owned::account_objects(node, call),
        "ledger_entry" => rpc_owned::ledger_entry(node, call),
        "account_tx" => rpc_history::account_tx(node, call),
        "ledger" => rpc_data::ledger(node, call),
        "ledger_current" => Ok(object(json!({ "ledger_current_index": node.open_index() }))),
        "ledger_closed" => {
            let closed = node.world.closed();
            Ok(object(
                json!({ "ledger_hash": closed.hash.to_string(), "ledger_index": closed.index }),
            ))
        }
        "subscribe" => subscribe(node, call),
        "unsubscribe" => unsubscribe(node, call),
        "ledger_accept" if node.takes_orders => {
            node.orders.push(Order::Close);
            let open = node.open_index() + 1;
            Ok(object(json!({ "ledger_current_index": open })))
        }
        "ledger_accept" => {
            node.close(call.now)
                .expect("the state directory takes the closed ledger");
            Ok(object(json!({ "ledger_current_index": node.open_index() })))
        }
        "sim_script" => sim_script(node, call),
        _ => Err(RpcError::new("unknownCmd", 32, "Unknown method.")),
    }
}

fn ping(call: &Call<'_>) -> Map<String, Value> {
    match call.role {
        Role::Admin if call.socket.is_some() => {
            object(json!({ "role": "admin", "unlimited": true }))
        }
        Role::Admin => object(json!({ "role": "admin" })),
        Role::Public => Map::new(),
    }
}

/// Tests only, and not on a real server: what is to go wrong next.
fn sim_script(node: &mut Node, call: &Call<'_>) -> Answer {
    if let Some(answer) = script::told(node, call) {
        return answer;
    }
    if let Some(order) = call.params.get("fault") {
        let fault = serde_json::from_value(order.clone())
            .map_err(|error| RpcError::invalid_params_because(&error.to_string()))?;
        if node.takes_orders {
            node.orders.push(Order::Fault(fault));
        } else {
            node.suffer(&fault);
        }
        return Ok(Map::new());
    }
    if call.params.contains_key("heal") {
        if node.takes_orders {
            node.orders.push(Order::Heal);
        } else {
            node.recover();
        }
        return Ok(Map::new());
    }
    let count = |name: &str| match call.params.get(name) {
        None => Ok(None),
        Some(value) => {
            let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
            count.map(Some).ok_or_else(RpcError::invalid_params)
        }
    };
    if let Some(answers) = count("drop_submit_answers")? {
        node.script.drop_submit_answers = answers;
    }
    if let Some(requests) = count("drop_submit_requests")? {
        node.script.drop_submit_requests = requests;
    }
    Ok(object(json!({
        "drop_submit_answers": node.script.drop_submit_answers, "drop_submit_requests": node.script.drop_submit_requests,
    })))
}

fn submit(node: &mut Node, call: &Call<'_>) -> Answer {
    let parsed = match &call.parsed {
        Some(parsed) => parsed,
        None if call.role == Role::Admin && call.params.contains_key("secret") => {
            let deprecated = object(json!({ "deprecated": DEPRECATED }));
            return sign_and_submit(node, call).map(|mut result| {
                result.extend(deprecated);
                result
            });
        }
        None if call.role == Role::Public => {
            return Err(RpcError::new(
                "notSupported",
                75,
                "Signing is not supported by this server.",
            ));
        }
        None => {
            let deprecated = object(json!({ "deprecated": DEPRECATED }));
            let error = RpcError::invalid_params_because("Missing field 'secret'.");
            return Err(error.with(deprecated));
        }
    };
    let fail_hard = match call.params.get("fail_hard") {
        None => false,
        // The old release takes anything, and a text that is not empty for yes.
        Some(value) if node.world.release == Release::V2_3 => {
            value.as_bool().unwrap_or(value.as_str() != Some(""))
        }
        Some(value) => value.as_bool().ok_or_else(|| {
            RpcError::invalid_params_because("Invalid field 'fail_hard', not boolean.")
        })?,
    };
    let tx = match parsed {
        Ok(tx) => tx,
        Err(error) => return Err(refused(node, error, call.params.get("tx_blob"))),
    };
    check_known(tx, node.world.release)?;
    let submitted = node.submit(tx, fail_hard, call.now);
    let mut tx_json = tx.json.clone();
    tx_json.insert("hash".into(), json!(tx.hash.to_string()));
    if let Some((ledger, position)) = node.world.find(tx.hash) {
        if node.world.release == Release::V3_3
            && let Some(ctid) = ctid(node.world.genesis.network_id, ledger.index, position)
        {
            tx_json.insert("ctid".into(), json!(ctid));
        }
        tx_json.insert("inLedger".into(), json!(ledger.index));
        tx_json.insert("ledger_index".into(), json!(ledger.index));
    }
    let mut result = object(json!({
        "accepted": submitted.applied || submitted.queued || submitted.broadcast || submitted.kept,
        "applied": submitted.applied,
        "broadcast": submitted.broadcast,
        "engine_result": submitted.ter.name(),
        "engine_result_code": submitted.ter.code(),
        "engine_result_message": message(submitted.ter, node.world.release),
        "kept": submitted.kept,
        "queued": submitted.queued,
        "tx_blob": hex::encode_upper(&tx.blob),
        "tx_json": tx_json,
    }));
    if let Some(sequence) = submitted.account_sequence {
        result.extend(object(json!({
            "account_sequence_available": submitted.sequence_available,
            "account_sequence_next": sequence,
            "open_ledger_cost": submitted.open_ledger_cost.to_string(),
        })));
        if let Some(validated) = node.world.archive.validated() {
            result.insert("validated_ledger_index".into(), json!(validated));
        }
    }
    Ok(result)
}

fn subscribe(node: &mut Node, call: &Call<'_>) -> Answer {
    let wanted = wanted(call)?;
    let socket = call.socket.ok_or_else(RpcError::invalid_params)?;
    let shows_ledger = wanted.streams.contains(&Stream::Ledger);
    let shows_server = wanted.streams.contains(&Stream::Server);
    node.hub.subscribe(socket, call.api, wanted);
    let mut result = Map::new();
    if shows_ledger && let Some(validated) = node.world.last_validated() {
        result = ledger_facts(&node.world, validated);
    }
    if shows_server {
        result.extend(object(json!({
            "load_base": REFERENCE_LEVEL,
            "load_factor": REFERENCE_LEVEL,
            "pubkey_node": PUBKEY_NODE,
            "random": node.world.validated().hash.to_string(),
            "server_status": node.standing.mode_name(call.role),
        })));
        if node.standing.standalone {
            result.insert("stand_alone".into(), json!(true));
        }
        if call.role == Role::Admin {
            result.insert("hostid".into(), json!("vm"));
        }
    }
    Ok(result)
}

fn unsubscribe(node: &mut Node, call: &Call<'_>) -> Answer {
    let wanted = wanted(call)?;
    let socket = call.socket.ok_or_else(RpcError::invalid_params)?;
    node.hub.unsubscribe(socket, &wanted);
    Ok(Map::new())
}

fn wanted(call: &Call<'_>) -> Result<Wanted, RpcError> {
    let malformed_stream = || RpcError::new("malformedStream", 71, "Stream malformed.");
    let list = |name: &str| match call.params.get(name) {
        None => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list)),
        Some(_) => Err(RpcError::invalid_params()),
    };
    let mut wanted = Wanted::default();
    for name in list("streams")?.into_iter().flatten() {
        let stream = name
            .as_str()
            .and_then(Stream::from_name)
            .ok_or_else(malformed_stream)?;
        wanted.streams.push(stream);
    }
    let accounts = |name: &str| -> Result<Vec<AccountId>, RpcError> {
        let malformed = || RpcError::new("actMalformed", 35, "Account malformed.");
        let Some(list) = list(name)? else {
            return Ok(Vec::new());
        };
        let ids = list
            .iter()
            .map(|text| AccountId::from_address(text.as_str()?))
            .collect::<Option<Vec<_>>>();
        ids.filter(|ids| !ids.is_empty()).ok_or_else(malformed)
    };
    wanted.accounts_proposed = accounts("accounts_proposed")?;
    wanted.accounts = accounts("accounts")?;
    Ok(wanted)
}
