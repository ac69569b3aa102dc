//! Commands about single objects of the ledger and about what an account owns. Here these are account roots, tickets and
//! preauthorisations.
//!
//! Owns: how an object is named in a request. May not: change anything.

use serde_json::{Map, Value, json};

use super::node::Node;
use super::nodes::ticket_fields;
use super::rpc::{Answer, Call, Role, RpcError};
use super::rpc_data::{Which, account_data, which_ledger};
use super::shapes::object;
use super::state::Account;
use super::types::{AccountId, Hash};

/// Objects of a page, if the request does not say.
const PAGE_OBJECTS_DEFAULT: u64 = 200;
/// Fewest and most objects of a page for everybody but an admin.
const PAGE_OBJECTS_PUBLIC: std::ops::RangeInclusive<u64> = 10..=400;

fn account_in(node: &mut Node, which: &Which, id: &AccountId) -> Option<Account> {
    match which {
        Which::Current => node.open_account(id),
        Which::Validated(index) => node.world.accounts.get_at(id, *index).cloned(),
    }
}

fn ticket_object(owner: &Account, ticket: u32) -> Map<String, Value> {
    let mut fields = ticket_fields(owner, ticket);
    let key = owner.id.ticket_index(ticket);
    fields.insert("index".into(), json!(key.to_string()));
    fields
}

fn preauth_object(owner: &Account, other: &AccountId) -> Option<Map<String, Value>> {
    let (hash, ledger) = owner.preauthorized.get(other)?;
    Some(object(json!({
        "Account": owner.id.to_string(), "Authorize": other.to_string(), "Flags": 0,
        "LedgerEntryType": "DepositPreauth", "OwnerNode": "0", "PreviousTxnID": hash.to_string(),
        "PreviousTxnLgrSeq": ledger, "index": owner.id.preauth_index(other).to_string(),
    })))
}

pub(super) fn account_objects(node: &mut Node, call: &Call<'_>) -> Answer {
    let address = match call.params.get("account") {
        None => return Err(RpcError::invalid_params_because("Missing field 'account'.")),
        Some(Value::String(address)) => address,
        Some(_) => return Err(RpcError::invalid_params_because("Invalid field 'account'.")),
    };
    let which = which_ledger(node, call.params)?;
    let facts = which.facts(node);
    let malformed = || RpcError::new("actMalformed", 35, "Account malformed.").with(facts.clone());
    let id = AccountId::from_address(address).ok_or_else(malformed)?;
    let not_found = || RpcError::new("actNotFound", 19, "Account not found.").with(facts.clone());
    let account = account_in(node, &which, &id).ok_or_else(not_found)?;
    let wanted = match call.params.get("type") {
        None => true,
        Some(Value::String(name)) => name == "ticket",
        Some(_) => {
            return Err(RpcError::invalid_params_because(
                "Invalid field 'type', not string.",
            ));
        }
    };
    let limit = match call.params.get("limit") {
        None => PAGE_OBJECTS_DEFAULT,
        Some(value) => value.as_u64().ok_or_else(RpcError::invalid_params)?,
    };
    let limit = match call.role {
        Role::Admin => limit,
        Role::Public => limit.clamp(*PAGE_OBJECTS_PUBLIC.start(), *PAGE_OBJECTS_PUBLIC.end()),
    };
    let mut tickets: Vec<(Hash, u32)> = account
        .tickets
        .keys()
        .filter(|_| wanted)
        .map(|ticket| (id.ticket_index(*ticket), *ticket))
        .collect();
    tickets.sort_unstable();
    if let Some(marker) = call.params.get("marker") {
        let after = marker.as_str().and_then(|text| text.split_once(','));
        let after = after.and_then(|(_, key)| Hash::from_hex(key));
        let after =
            after.ok_or_else(|| RpcError::invalid_params_because("Invalid field 'marker'."))?;
        tickets.retain(|(key, _)| *key >= after);
    }
    let limit = usize::try_from(limit).map_err(|_| RpcError::invalid_params())?;
    let page: Vec<Value> = tickets
        .iter()
        .take(limit)
        .map(|(_, ticket)| Value::Object(ticket_object(&account, *ticket)))
        .collect();
    let mut result = facts;
    result.insert("account".into(), json!(address));
    result.insert("account_objects".into(), json!(page));
    if let Some((next, _)) = tickets.get(limit) {
        let marker = format!("{},{next}", id.directory_index());
        result.insert("marker".into(), json!(marker));
        result.insert("limit".into(), json!(limit));
    }
    Ok(result)
}

pub(super) fn ledger_entry(node: &mut Node, call: &Call<'_>) -> Answer {
    let which = which_ledger(node, call.params)?;
    let facts = which.facts(node);
    let malformed =
        || RpcError::new("malformedRequest", 12, "Malformed request.").with(facts.clone());
    let address = |value: Option<&Value>| {
        let text = value.and_then(Value::as_str);
        text.and_then(AccountId::from_address).ok_or_else(malformed)
    };
    let (key, fields) = if let Some(named) = call.params.get("account_root") {
        let id = address(Some(named))?;
        let account = account_in(node, &which, &id);
        (id.root_index(), account.as_ref().map(account_data))
    } else if let Some(named) = call.params.get("ticket") {
        let id = address(named.get("account"))?;
        let ticket = named.get("ticket_seq").and_then(Value::as_u64);
        let ticket = ticket.and_then(|ticket| u32::try_from(ticket).ok());
        let ticket = ticket.ok_or_else(malformed)?;
        let owner = account_in(node, &which, &id);
        let owner = owner.filter(|owner| owner.tickets.contains_key(&ticket));
        (
            id.ticket_index(ticket),
            owner.map(|owner| ticket_object(&owner, ticket)),
        )
    } else if let Some(named) = call.params.get("deposit_preauth") {
        let id = address(named.get("owner"))?;
        let other = address(named.get("authorized"))?;
        let owner = account_in(node, &which, &id);
        (
            id.preauth_index(&other),
            owner.and_then(|owner| preauth_object(&owner, &other)),
        )
    } else {
        return Err(RpcError::new("unknownOption", 51, "Unknown option.").with(facts));
    };
    let index = object(json!({ "index": key.to_string() }));
    let Some(fields) = fields else {
        return Err(
            RpcError::new("entryNotFound", 98, "Requested ledger entry not found.")
                .with(facts)
                .with(index),
        );
    };
    let mut result = facts;
    result.extend(index);
    result.insert("node".into(), Value::Object(fields));
    Ok(result)
}
