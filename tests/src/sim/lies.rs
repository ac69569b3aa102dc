//! What a server says that is not so: answers about the right chain that are distorted on their way out, and the other words of a
//! Clio server.
//!
//! Owns: the distortions. May not: be seen by an administrator, so that a story can always learn what is true; nor change what the
//! server has.

use serde_json::{Map, Value, json};

use super::faults::{Fault, Lie};
use super::node::Node;
use super::rpc::{Answer, RpcError};
use super::shapes::{ApiVersion, object, tx_unvalidated};
use super::tamper::Tampering;
use super::types::Hash;

/// Says in every answer of a Clio server what it is.
const CLIO_WARNING: &str = "This is a clio server. clio only serves validated data. If you want to talk to rippled, include 'ledger_index':'current' in your request";

/// Distorts an answer, if the server lies about such things.
pub(super) fn distort(
    node: &mut Node,
    command: &str,
    params: &Map<String, Value>,
    answer: &mut Answer,
) {
    if node.tampering.is_clio {
        speak_as_clio(node, command, params, answer);
    }
    // A server may have all ledgers and say so nevertheless: one empty ledger is enough.
    let says_not = |error: &RpcError| error.fields.get("searched_all") == Some(&json!(false));
    if command == "tx" && answer.as_ref().is_err_and(says_not) {
        let number = Lie::NeverSearchedAll.number();
        node.tampering.met.count(number);
    }
    if command == "tx" && is_dead_and_unvalidated(node, answer) {
        node.tampering.met.count(Lie::NeverValidated.number());
    }
    if node.tampering.lies.is_empty() {
        return;
    }
    let lies = node.tampering.lies.clone();
    for lie in lies {
        if tell(node, &lie, command, params, answer) {
            node.tampering.met.count(lie.number());
        }
    }
}

/// What a server was given it goes on showing as unvalidated, also when no ledger can hold it any more.
fn is_dead_and_unvalidated(node: &Node, answer: &Answer) -> bool {
    let Ok(result) = answer else { return false };
    let hash = result.get("hash").and_then(Value::as_str);
    let known = hash
        .and_then(Hash::from_hex)
        .and_then(|hash| node.cached(&hash));
    let is_past = known
        .and_then(|tx| tx.last_ledger)
        .is_some_and(|last| last < node.world.validated().index);
    is_past && result.get("validated") == Some(&json!(false))
}

/// Distorts a pushed message; true if it did.
pub(super) fn distort_pushed(tampering: &mut Tampering, message: &mut Map<String, Value>) -> bool {
    let mut did = false;
    for lie in tampering.lies.clone() {
        let told = match &lie {
            Lie::OtherHashes => replace_hashes(message),
            Lie::Failed(code) => fail(message, code),
            _ => false,
        };
        if told {
            tampering.met.count(lie.number());
        }
        did |= told;
    }
    did
}

/// True if the answer is another now.
fn tell(
    node: &Node,
    lie: &Lie,
    command: &str,
    params: &Map<String, Value>,
    answer: &mut Answer,
) -> bool {
    match (lie, command) {
        (Lie::SequenceLower(by), "account_info") => {
            change_number(answer, "Sequence", |it| it.saturating_sub(u64::from(*by)))
        }
        (Lie::SequenceHigher(by), "account_info") => {
            change_number(answer, "Sequence", |it| it.saturating_add(u64::from(*by)))
        }
        (Lie::BalanceLower(by), "account_info") => lower_balance(answer, *by),
        (Lie::Invents, "tx") => invent(node, answer),
        (Lie::Failed(code), "tx") => answer.as_mut().is_ok_and(|result| fail(result, code)),
        (Lie::Failed(code), "account_tx") => for_entries(answer, |entries| {
            let mut any = false;
            for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
                any |= fail(entry, code);
            }
            any
        }),
        (Lie::Hides, "tx") => hide(answer, params),
        (Lie::Hides, "account_tx") => for_entries(answer, |entries| {
            let any = !entries.is_empty();
            entries.clear();
            any
        }),
        (Lie::OtherHashes, _) => answer.as_mut().is_ok_and(replace_hashes),
        (Lie::SearchedAll, "tx") => searched(answer, true),
        (Lie::NeverSearchedAll, "tx") => searched(answer, false),
        (Lie::NeverValidated, "tx") => never_validated(node, answer, params),
        (Lie::ShrinkingPages, "account_tx") => params.contains_key("marker") && clamp(answer, 1, 0),
        (Lie::ClampedPages(by), "account_tx") => clamp(answer, *by, *by),
        _ => false,
    }
}

fn account_data(answer: &mut Answer) -> Option<&mut Map<String, Value>> {
    let result = answer.as_mut().ok()?;
    result.get_mut("account_data")?.as_object_mut()
}

fn change_number(answer: &mut Answer, name: &str, change: impl Fn(u64) -> u64) -> bool {
    let Some(data) = account_data(answer) else {
        return false;
    };
    let Some(number) = data.get(name).and_then(Value::as_u64) else {
        return false;
    };
    data.insert(name.into(), json!(change(number)));
    change(number) != number
}

fn lower_balance(answer: &mut Answer, by: u64) -> bool {
    let Some(data) = account_data(answer) else {
        return false;
    };
    let drops = data.get("Balance").and_then(Value::as_str);
    let Some(drops) = drops.and_then(|drops| drops.parse::<u64>().ok()) else {
        return false;
    };
    let lower = drops.saturating_sub(by).to_string();
    data.insert("Balance".into(), json!(lower));
    true
}

/// What the server was given and no validated ledger holds has succeeded in the last one.
fn invent(node: &Node, answer: &mut Answer) -> bool {
    let Ok(result) = answer else { return false };
    if result.get("validated") != Some(&json!(false)) {
        return false;
    }
    let ledger = node.world.validated();
    let fields = result.get("tx_json").cloned();
    let fields = fields.unwrap_or_else(|| json!(result));
    let delivered = fields.get("DeliverMax").or_else(|| fields.get("Amount"));
    let mut meta = object(json!({
        "AffectedNodes": [], "TransactionIndex": ledger.txs.len(), "TransactionResult": "tesSUCCESS",
    }));
    if let Some(delivered) = delivered {
        meta.insert("delivered_amount".into(), delivered.clone());
    }
    result.extend(object(json!({
        "close_time_iso": super::types::iso(ledger.close_time),
        "date": ledger.close_time,
        "inLedger": ledger.index,
        "ledger_hash": ledger.hash.to_string(),
        "ledger_index": ledger.index,
        "meta": meta,
        "validated": true,
    })));
    true
}

/// A success in an answer, an entry or a message becomes a failure.
fn fail(shown: &mut Map<String, Value>, code: &str) -> bool {
    let Some(meta) = shown.get_mut("meta").and_then(Value::as_object_mut) else {
        return false;
    };
    if meta.get("TransactionResult") != Some(&json!("tesSUCCESS")) {
        return false;
    }
    meta.insert("TransactionResult".into(), json!(code));
    meta.remove("delivered_amount");
    if shown.contains_key("engine_result") {
        shown.insert("engine_result".into(), json!(code));
    }
    true
}

fn for_entries(answer: &mut Answer, change: impl FnOnce(&mut Vec<Value>) -> bool) -> bool {
    let Ok(result) = answer else { return false };
    let entries = result.get_mut("transactions").and_then(Value::as_array_mut);
    entries.is_some_and(change)
}

fn not_found(searched_all: bool) -> RpcError {
    let searched = object(json!({ "searched_all": searched_all }));
    RpcError::new("txnNotFound", 29, "Transaction not found.").with(searched)
}

/// A transaction is nowhere, and everything was searched.
fn hide(answer: &mut Answer, params: &Map<String, Value>) -> bool {
    if answer.is_err() {
        return false;
    }
    let named = params.contains_key("min_ledger");
    *answer = Err(match named {
        true => not_found(true),
        false => RpcError::new("txnNotFound", 29, "Transaction not found."),
    });
    true
}

fn searched(answer: &mut Answer, all: bool) -> bool {
    let Err(error) = answer else { return false };
    let said = error.fields.get("searched_all");
    let differs = said.is_some_and(|said| *said != json!(all));
    if differs {
        error.fields.insert("searched_all".into(), json!(all));
    }
    differs
}

/// What the server was given itself it goes on calling unvalidated.
fn never_validated(node: &Node, answer: &mut Answer, params: &Map<String, Value>) -> bool {
    let Ok(result) = answer else { return false };
    if result.get("validated") != Some(&json!(true)) {
        return false;
    }
    let hash = result.get("hash").and_then(Value::as_str);
    let hash = hash.or_else(|| result.get("tx_json")?.get("hash")?.as_str());
    let Some(tx) = hash
        .and_then(Hash::from_hex)
        .and_then(|hash| node.cached(&hash))
    else {
        return false;
    };
    let binary = params.get("binary") == Some(&json!(true));
    let api = super::rpc::api_version(params).unwrap_or(ApiVersion::V1);
    *answer = Ok(tx_unvalidated(tx, api, binary));
    true
}

/// A page of a history that leaves out ledgers at its ends, and says so in its range.
fn clamp(answer: &mut Answer, first: u32, last: u32) -> bool {
    let Ok(result) = answer else { return false };
    let end = |name: &str| result.get(name).and_then(Value::as_u64);
    let (Some(low), Some(high)) = (end("ledger_index_min"), end("ledger_index_max")) else {
        return false;
    };
    let (low, high) = (low + u64::from(first), high.saturating_sub(u64::from(last)));
    if low > high {
        return false;
    }
    result.insert("ledger_index_min".into(), json!(low));
    result.insert("ledger_index_max".into(), json!(high));
    for_entries(answer, |entries| {
        entries.retain(|entry| {
            let index = entry.get("ledger_index");
            let index = index.or_else(|| entry.get("tx")?.get("ledger_index"));
            let index = index.and_then(Value::as_u64);
            index.is_none_or(|index| (low..=high).contains(&index))
        });
        true
    })
}

/// All hashes of ledgers are others; true if there were any.
fn replace_hashes(shown: &mut Map<String, Value>) -> bool {
    let mut any = false;
    for (name, value) in shown.iter_mut() {
        match value {
            Value::String(hash) if name == "ledger_hash" || name == "parent_hash" => {
                *hash = other_hash(hash);
                any = true;
            }
            Value::Object(inner) => {
                if name == "validated_ledger"
                    && let Some(Value::String(hash)) = inner.get_mut("hash")
                {
                    *hash = other_hash(hash);
                    any = true;
                }
                any |= replace_hashes(inner);
            }
            Value::Array(list) => {
                for inner in list.iter_mut().filter_map(Value::as_object_mut) {
                    any |= replace_hashes(inner);
                }
            }
            _ => {}
        }
    }
    any
}

/// The same for the same hash, so that the lie is consistent.
fn other_hash(hash: &str) -> String {
    hash.chars().rev().collect()
}

/// Clio has validated data only, says what it is, and forwards the rest.
fn speak_as_clio(node: &mut Node, command: &str, params: &Map<String, Value>, answer: &mut Answer) {
    node.tampering.met.count(Fault::Clio.number());
    let is_unvalidated = |result: &Map<String, Value>| {
        command == "tx" && result.get("validated") == Some(&json!(false))
    };
    if answer.as_ref().is_ok_and(is_unvalidated) {
        let number = |name: &str| params.get(name).and_then(Value::as_u64);
        *answer = Err(match (number("min_ledger"), number("max_ledger")) {
            (Some(low), Some(high)) => {
                let held = node.world.archive.searchable();
                let has_all = held.is_some_and(|held| {
                    u64::from(*held.start()) <= low && high <= u64::from(*held.end())
                });
                not_found(has_all)
            }
            _ => RpcError::new("txnNotFound", 29, "Transaction not found."),
        });
        return;
    }
    let Ok(result) = answer else { return };
    let is_forwarded = matches!(
        command,
        "submit"
            | "submit_multisigned"
            | "fee"
            | "ledger_current"
            | "ledger_closed"
            | "server_state"
    ) || params.get("ledger_index") == Some(&json!("current"));
    if is_forwarded {
        result.insert("forwarded".into(), json!(true));
    }
    if command == "server_info"
        && let Some(info) = result.get_mut("info").and_then(Value::as_object_mut)
    {
        let version = info.remove("build_version");
        info.insert("rippled_version".into(), version.unwrap_or_default());
        info.insert("clio_version".into(), json!("2.4.0"));
        for field in ["server_state", "peers", "io_latency_ms", "pubkey_node"] {
            info.remove(field);
        }
    }
    let warning = json!({ "id": 2001, "message": CLIO_WARNING });
    result.insert("warnings".into(), json!([warning]));
}
