//! Commands about trust lines, and about who may pay whom.
//!
//! Owns: how lines are listed for one of their ends, and sums over them. May not: change anything.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::apply::may_receive;
use super::decimal::Decimal;
use super::lines::{End, Line, LineKey};
use super::money::issued_json;
use super::node::Node;
use super::rpc::{Answer, Call, Role, RpcError};
use super::rpc_data::{Which, which_ledger};
use super::rpc_owned::account_in;
use super::shapes::object;
use super::state::Account;
use super::types::{AccountId, Hash};
use super::world::Release;

/// Lines of a page, if the request does not say.
const PAGE_LINES_DEFAULT: u64 = 200;
/// Fewest and most lines of a page for everybody but an admin.
const PAGE_LINES_PUBLIC: std::ops::RangeInclusive<u64> = 10..=400;

/// The account that a request is about, as of the ledger that it names.
struct Subject<'a> {
    address: &'a str,
    facts: Map<String, Value>,
    account: Account,
    lines: Vec<Line>,
}

fn subject<'a>(node: &mut Node, call: &Call<'a>) -> Result<Subject<'a>, RpcError> {
    let which = which_ledger(node, call)?;
    let facts = which.facts(node);
    let id = address(call, "account", &facts)?;
    let not_found = || RpcError::new("actNotFound", 19, "Account not found.").with(facts.clone());
    let account = account_in(node, &which, &id).ok_or_else(not_found)?;
    let lines = lines_in(node, &which, &account);
    let address = call.params.get("account").and_then(Value::as_str);
    Ok(Subject {
        address: address.unwrap_or_default(),
        facts,
        account,
        lines,
    })
}

fn address(call: &Call<'_>, name: &str, facts: &Map<String, Value>) -> Result<AccountId, RpcError> {
    let text = match call.params.get(name) {
        None => {
            return Err(RpcError::invalid_params_because(&format!(
                "Missing field '{name}'."
            )));
        }
        Some(Value::String(text)) => text,
        Some(_) => {
            return Err(RpcError::invalid_params_because(&format!(
                "Invalid field '{name}'."
            )));
        }
    };
    AccountId::from_address(text)
        .ok_or_else(|| RpcError::new("actMalformed", 35, "Account malformed.").with(facts.clone()))
}

/// A trust line as of that ledger.
pub(super) fn line_in(node: &mut Node, which: &Which, key: &LineKey) -> Option<Line> {
    match which {
        Which::Current => node.open_line(key),
        Which::Closed(index) => node.world.accounts.line_at(key, *index).cloned(),
    }
}

/// The account's lines in the order in which it lists what it owns.
fn lines_in(node: &mut Node, which: &Which, account: &Account) -> Vec<Line> {
    let known = node.line_keys(&account.id);
    let keys = account.directory.keys();
    let keys: Vec<LineKey> = keys
        .filter_map(|(_, key)| known.get(&key).copied())
        .collect();
    keys.iter()
        .filter_map(|key| line_in(node, which, key))
        .collect()
}

pub(super) fn account_lines(node: &mut Node, call: &Call<'_>) -> Answer {
    let subject = subject(node, call)?;
    let id = subject.account.id;
    let peer = match call.params.get("peer") {
        None => None,
        Some(_) => Some(address(call, "peer", &Map::new())?),
    };
    let limit = match call.params.get("limit") {
        None => PAGE_LINES_DEFAULT,
        Some(value) => value.as_u64().filter(|limit| *limit > 0).ok_or_else(|| {
            RpcError::invalid_params_because("Invalid field 'limit', not unsigned integer.")
        })?,
    };
    let limit = match call.role {
        Role::Admin => limit,
        Role::Public => limit.clamp(*PAGE_LINES_PUBLIC.start(), *PAGE_LINES_PUBLIC.end()),
    };
    let limit = usize::try_from(limit).map_err(|_| RpcError::invalid_params())?;
    let mut lines: Vec<&Line> = subject.lines.iter().collect();
    if let Some(marker) = call.params.get("marker") {
        let invalid = || RpcError::invalid_params_because("Invalid field 'marker'.");
        let key = marker.as_str().and_then(|text| text.split_once(','));
        let key = key.and_then(|(key, _)| Hash::from_hex(key));
        let key = key.ok_or_else(invalid)?;
        let at = lines.iter().position(|line| line.key.index() == key);
        // The marker names the last line of the page before.
        lines.drain(..=at.ok_or_else(invalid)?);
    }
    let rest = lines.len() > limit;
    let page = &lines[..lines.len().min(limit)];
    let shown = page
        .iter()
        .filter(|line| peer.is_none_or(|peer| peer == other_end(line, &id)));
    let mut result = subject.facts;
    result.insert("account".into(), json!(subject.address));
    let release = node.world.release;
    let shown: Vec<Value> = shown.map(|line| line_json(line, &id, release)).collect();
    result.insert("lines".into(), json!(shown));
    if let Some(last) = page.last().filter(|_| rest) {
        let marker = format!("{},0", last.key.index());
        result.insert("marker".into(), json!(marker));
    }
    if call.params.contains_key("limit") || rest {
        result.insert("limit".into(), json!(limit));
    }
    Ok(result)
}

fn other_end(line: &Line, id: &AccountId) -> AccountId {
    if line.key.low == *id {
        line.key.high
    } else {
        line.key.low
    }
}

fn line_json(line: &Line, id: &AccountId, release: Release) -> Value {
    let peer = other_end(line, id);
    let end = End::of(id, &peer);
    let other = end.other();
    let terms = line.terms(end);
    let mut shown = object(json!({
        "account": peer.to_string(),
        "balance": line.held_by(end).to_string(),
        "currency": line.key.currency.to_string(),
        "limit": terms.limit.to_string(),
        "limit_peer": line.terms(other).limit.to_string(),
        "quality_in": terms.quality_in,
        "quality_out": terms.quality_out,
    }));
    for (name, flag) in [
        ("authorized", end.auth()),
        ("peer_authorized", other.auth()),
        ("no_ripple", end.no_ripple()),
        ("no_ripple_peer", other.no_ripple()),
        ("freeze", end.freeze()),
        ("freeze_peer", other.freeze()),
        ("deep_freeze", end.deep_freeze()),
        ("deep_freeze_peer", other.deep_freeze()),
    ] {
        // The older release always says whether money passes.
        let always = release == Release::V2_3 && name.starts_with("no_ripple");
        if always || line.has(flag) {
            shown.insert(name.into(), json!(line.has(flag)));
        }
    }
    Value::Object(shown)
}

pub(super) fn account_currencies(node: &mut Node, call: &Call<'_>) -> Answer {
    let subject = subject(node, call)?;
    let (mut receives, mut sends) = (BTreeSet::new(), BTreeSet::new());
    for line in &subject.lines {
        let end = End::of(&subject.account.id, &other_end(line, &subject.account.id));
        let held = line.held_by(end);
        if held < line.terms(end).limit {
            receives.insert(line.key.currency.to_string());
        }
        if held.negated() < line.terms(end.other()).limit {
            sends.insert(line.key.currency.to_string());
        }
    }
    let mut result = subject.facts;
    result.insert("receive_currencies".into(), json!(receives));
    result.insert("send_currencies".into(), json!(sends));
    Ok(result)
}

pub(super) fn gateway_balances(node: &mut Node, call: &Call<'_>) -> Answer {
    let subject = subject(node, call)?;
    let id = subject.account.id;
    let invalid = || RpcError::new("invalidHotWallet", 30, "Invalid hot wallet.");
    let named = match call.params.get("hotwallet") {
        None => Vec::new(),
        Some(Value::String(text)) => vec![text.as_str()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(_) => return Err(invalid()),
    };
    let hot: Option<BTreeSet<AccountId>> = named.into_iter().map(AccountId::from_address).collect();
    let hot = hot.ok_or_else(invalid)?;
    let mut owed: BTreeMap<String, Decimal> = BTreeMap::new();
    let mut lists: BTreeMap<&str, BTreeMap<String, Vec<Value>>> = BTreeMap::new();
    for line in &subject.lines {
        let peer = other_end(line, &id);
        let end = End::of(&id, &peer);
        let held = line.held_by(end);
        let list = match held {
            held if held.is_zero() => continue,
            held if held.is_positive() => "assets",
            _ if hot.contains(&peer) => "balances",
            _ if line.has(end.freeze()) => "frozen_balances",
            _ => {
                let sum = owed.entry(line.key.currency.to_string());
                let sum = sum.or_insert(Decimal::ZERO);
                *sum = sum.plus(held.negated()).unwrap_or(*sum);
                continue;
            }
        };
        let value = if held.is_positive() {
            held
        } else {
            held.negated()
        };
        let mut entry = object(issued_json(value, &line.key.currency, &peer));
        entry.remove("issuer");
        let of_peer = lists.entry(list).or_default();
        of_peer
            .entry(peer.to_string())
            .or_default()
            .push(Value::Object(entry));
    }
    let mut result = subject.facts;
    result.insert("account".into(), json!(subject.address));
    if !owed.is_empty() {
        let owed: BTreeMap<String, String> = owed
            .into_iter()
            .map(|(currency, value)| (currency, value.to_string()))
            .collect();
        result.insert("obligations".into(), json!(owed));
    }
    for (name, list) in lists {
        result.insert(name.into(), json!(list));
    }
    Ok(result)
}

pub(super) fn deposit_authorized(node: &mut Node, call: &Call<'_>) -> Answer {
    let which = which_ledger(node, call)?;
    let facts = which.facts(node);
    let source = address(call, "source_account", &facts)?;
    let destination = address(call, "destination_account", &facts)?;
    let not_found =
        |error: &str, code, text: &str| RpcError::new(error, code, text).with(facts.clone());
    account_in(node, &which, &source)
        .ok_or_else(|| not_found("srcActNotFound", 67, "Source account not found."))?;
    let receiver = account_in(node, &which, &destination)
        .ok_or_else(|| not_found("dstActNotFound", 50, "Destination account not found."))?;
    let authorized = may_receive(&receiver, &source);
    let mut result = facts;
    result.insert("deposit_authorized".into(), json!(authorized));
    for name in ["source_account", "destination_account"] {
        if let Some(named) = call.params.get(name) {
            result.insert(name.into(), named.clone());
        }
    }
    Ok(result)
}
