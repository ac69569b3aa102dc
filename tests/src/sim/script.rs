//! Faults on demand: what the server answers instead of what it would, and what becomes of the transactions all the same.
//!
//! Owns: scripted answers to payments to one destination and to whole commands, and the transactions that were kept away
//! from the engine meanwhile. May not: be told anything over the public port, or change how an unscripted request is answered.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::blob::{Kind, Tx};
use super::codes::Ter;
use super::node::Node;
use super::rpc::{Answer, Call, Role, RpcError};
use super::shapes::object;
use super::types::AccountId;

/// In an answer: close the WebSocket instead, with this `code` and `reason`.
pub(super) const CLOSE: &str = "sim_close";
/// In an answer: say nothing.
const SILENCE: &str = "sim_silence";

/// Codes with which a transaction can be made to land.
const CLAIMS: [Ter; 14] = [
    Ter::TecDirFull,
    Ter::TecDstTagNeeded,
    Ter::TecInsufficientReserve,
    Ter::TecNoAlternativeKey,
    Ter::TecNoDst,
    Ter::TecNoDstInsufXrp,
    Ter::TecNoEntry,
    Ter::TecNoLineRedundant,
    Ter::TecNoPermission,
    Ter::TecNoTarget,
    Ter::TecPathDry,
    Ter::TecPathPartial,
    Ter::TecTooSoon,
    Ter::TecUnfundedPayment,
];

/// What the server was told to answer.
#[derive(Debug, Default)]
pub(super) struct Plans {
    submits: HashMap<AccountId, Plan>,
    commands: HashMap<String, Refusal>,
}

/// One command.
#[derive(Debug)]
struct Refusal {
    answer: Map<String, Value>,
    /// How often it was asked for meanwhile.
    asked: u32,
}

/// Payments to one destination.
#[derive(Debug, Default)]
struct Plan {
    /// None: as the engine answers.
    answer: Option<Map<String, Value>>,
    /// Different transactions that came, oldest first.
    given: Vec<Arc<Tx>>,
    /// How often one came.
    arrivals: u32,
}

/// The answer to a request of the public port, if it is scripted. `Some(None)`: nothing is ever answered.
pub(super) fn intercept(node: &mut Node, command: &str, call: &Call<'_>) -> Option<Option<Answer>> {
    if call.role != Role::Public {
        return None;
    }
    if let Some(refusal) = node.plans.commands.get_mut(command) {
        refusal.asked += 1;
        return Some(reply(refusal.answer.clone()));
    }
    let tx = call.parsed.as_ref()?.as_ref().ok()?;
    let Kind::Payment { destination, .. } = tx.kind else {
        return None;
    };
    let plan = node.plans.submits.get_mut(&destination)?;
    plan.arrivals += 1;
    if plan.given.iter().all(|known| known.hash != tx.hash) {
        plan.given.push(tx.clone());
    }
    let mut answer = plan.answer.clone()?;
    if answer.contains_key("engine_result") {
        let mut tx_json = tx.json.clone();
        tx_json.insert("hash".into(), json!(tx.hash.to_string()));
        answer.insert("tx_blob".into(), json!(hex::encode_upper(&tx.blob)));
        answer.insert("tx_json".into(), Value::Object(tx_json));
    }
    Some(reply(answer))
}

fn reply(answer: Map<String, Value>) -> Option<Answer> {
    if answer.contains_key(SILENCE) {
        None
    } else if answer.contains_key("error") || answer.contains_key(CLOSE) {
        Some(Err(RpcError { fields: answer }))
    } else {
        Some(Ok(answer))
    }
}

/// Takes an order of a test. None: it is none of these.
pub(super) fn told(node: &mut Node, call: &Call<'_>) -> Option<Answer> {
    let order = |name: &str| call.params.get(name).and_then(Value::as_object);
    if let Some(order) = order("answer_submit") {
        return Some(answer_submit(node, order));
    }
    if let Some(order) = order("answer_command") {
        return Some(answer_command(node, order));
    }
    order("land").map(|order| land(node, order, call))
}

fn destination(order: &Map<String, Value>) -> Result<AccountId, RpcError> {
    order
        .get("destination")
        .and_then(Value::as_str)
        .and_then(AccountId::from_address)
        .ok_or_else(RpcError::invalid_params)
}

/// `destination`, and `answer`: payments to it are kept away from the engine and answered so. Without `answer` the engine sees them
/// again. Tells what came so far.
fn answer_submit(node: &mut Node, order: &Map<String, Value>) -> Answer {
    let plan = node.plans.submits.entry(destination(order)?).or_default();
    if let Some(answer) = order.get("answer") {
        plan.answer = answer.as_object().cloned();
    }
    let given: Vec<String> = plan.given.iter().map(|tx| tx.hash.to_string()).collect();
    Ok(object(json!({ "given": given, "arrivals": plan.arrivals })))
}

/// `command` is answered with `answer`, whatever its parameters, until the answer is null. Tells how often it was asked for.
fn answer_command(node: &mut Node, order: &Map<String, Value>) -> Answer {
    let command = order
        .get("command")
        .and_then(Value::as_str)
        .ok_or_else(RpcError::invalid_params)?;
    let commands = &mut node.plans.commands;
    let asked = commands.get(command).map_or(0, |refusal| refusal.asked);
    match order.get("answer") {
        Some(Value::Object(answer)) => {
            let answer = answer.clone();
            commands.insert(command.to_owned(), Refusal { answer, asked: 0 });
        }
        Some(_) => {
            commands.remove(command);
        }
        None => {}
    }
    Ok(object(json!({ "asked": asked })))
}

/// The first transaction to `destination` that was kept away enters the open ledger now, as one that a server had kept:
/// nobody sends it again. With `as`, the ledger is made to claim it with that code.
fn land(node: &mut Node, order: &Map<String, Value>, call: &Call<'_>) -> Answer {
    let plan = node.plans.submits.get(&destination(order)?);
    let tx = plan
        .and_then(|plan| plan.given.first())
        .cloned()
        .ok_or_else(RpcError::invalid_params)?;
    let tx = match order.get("as").and_then(Value::as_str) {
        None => tx,
        Some(code) => {
            let claim = CLAIMS.into_iter().find(|ter| ter.name() == code);
            let claim = claim.ok_or_else(RpcError::invalid_params)?;
            Arc::new(Tx {
                kind: Kind::NoSuchObject(claim),
                ..(*tx).clone()
            })
        }
    };
    let submitted = node.submit(&tx, false, call.now);
    Ok(object(
        json!({ "engine_result": submitted.ter.name(), "hash": tx.hash.to_string() }),
    ))
}
