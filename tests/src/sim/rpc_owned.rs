//! Commands about single objects of the ledger and about what an account owns.
//!
//! Owns: how an object is named in a request. May not: change anything.

use serde_json::{Map, Value, json};

use super::directory::Directory;
use super::entries::Entry;
use super::lines::LineKey;
use super::money::Currency;
use super::node::Node;
use super::nodes::{insert_origin, preauth_fields, ticket_fields};
use super::rpc::{Answer, Call, Role, RpcError};
use super::rpc_data::{Which, account_data, which_ledger};
use super::rpc_lines::line_in;
use super::shapes::object;
use super::signers::list_index;
use super::state::Account;
use super::types::{AccountId, Hash};

/// Objects of a page, if the request does not say.
const PAGE_OBJECTS_DEFAULT: u64 = 200;
/// Fewest and most objects of a page for everybody but an admin.
const PAGE_OBJECTS_PUBLIC: std::ops::RangeInclusive<u64> = 10..=400;
/// Kinds of objects as requests name them.
const KINDS: [(&str, &str); 7] = [
    ("credential", "Credential"),
    ("deposit_preauth", "DepositPreauth"),
    ("mpt_issuance", "MPTokenIssuance"),
    ("offer", "Offer"),
    ("signer_list", "SignerList"),
    ("state", "RippleState"),
    ("ticket", "Ticket"),
];

/// An account as of that ledger.
pub(super) fn account_in(node: &mut Node, which: &Which, id: &AccountId) -> Option<Account> {
    match which {
        Which::Current => node.open_account(id),
        Which::Closed(index) => node.world.accounts.get_at(id, *index).cloned(),
    }
}

fn entry_in(node: &mut Node, which: &Which, key: &Hash) -> Option<Entry> {
    match which {
        Which::Current => node.open_entry(key),
        Which::Closed(index) => node.world.accounts.entry_at(key, *index).cloned(),
    }
}

fn line_object(node: &mut Node, which: &Which, key: &LineKey) -> Option<Map<String, Value>> {
    let line = line_in(node, which, key)?;
    let mut page = |id: &AccountId| {
        let owner = account_in(node, which, id);
        owner.map_or_else(String::new, |owner| owner.directory.page_of(&key.index()))
    };
    let pages = (page(&key.low), page(&key.high));
    let mut fields = line.fields(pages);
    fields.insert("LedgerEntryType".into(), json!("RippleState"));
    insert_origin(&mut fields, line.origin);
    Some(fields)
}

/// An object that the account's list names.
fn owned_object(
    node: &mut Node,
    which: &Which,
    owner: &Account,
    key: &Hash,
) -> Option<Map<String, Value>> {
    let ticket = owner
        .tickets
        .keys()
        .find(|ticket| owner.id.ticket_index(**ticket) == *key);
    let permission = owner
        .preauthorized
        .keys()
        .find(|other| owner.id.preauth_index(other) == *key);
    let mut fields = if let Some(ticket) = ticket {
        ticket_fields(owner, *ticket)
    } else if let Some(other) = permission {
        preauth_fields(owner, other)
    } else if let Some(entry) = entry_in(node, which, key) {
        let mut fields = entry.fields;
        fields.insert("LedgerEntryType".into(), json!(entry.kind));
        insert_origin(&mut fields, entry.origin);
        fields
    } else {
        let line = node.line_keys(&owner.id).get(key).copied()?;
        line_object(node, which, &line)?
    };
    fields.insert("index".into(), json!(key.to_string()));
    Some(fields)
}

/// The list of those who may sign for the account, if there is one.
pub(super) fn signer_lists(node: &mut Node, which: &Which, owner: &Account) -> Value {
    let list = owned_object(node, which, owner, &list_index(&owner.id));
    Value::Array(list.map(Value::Object).into_iter().collect())
}

pub(super) fn account_objects(node: &mut Node, call: &Call<'_>) -> Answer {
    let address = match call.params.get("account") {
        None => return Err(RpcError::invalid_params_because("Missing field 'account'.")),
        Some(Value::String(address)) => address,
        Some(_) => return Err(RpcError::invalid_params_because("Invalid field 'account'.")),
    };
    let which = which_ledger(node, call)?;
    let facts = which.facts(node);
    let malformed = || RpcError::new("actMalformed", 35, "Account malformed.").with(facts.clone());
    let id = AccountId::from_address(address).ok_or_else(malformed)?;
    let not_found = || RpcError::new("actNotFound", 19, "Account not found.").with(facts.clone());
    let account = account_in(node, &which, &id).ok_or_else(not_found)?;
    let kind = match call.params.get("type") {
        None => None,
        Some(Value::String(name)) => Some(KINDS.iter().find(|(short, _)| short == name)),
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
    let limit = usize::try_from(limit).map_err(|_| RpcError::invalid_params())?;
    let mut keys: Vec<(u64, Hash)> = account.directory.keys().collect();
    if let Some(marker) = call.params.get("marker") {
        let invalid = || RpcError::invalid_params_because("Invalid field 'marker'.");
        let from = marker.as_str().and_then(|text| text.split_once(','));
        let from = from.and_then(|(_, key)| Hash::from_hex(key));
        let from = from.ok_or_else(invalid)?;
        let at = keys.iter().position(|(_, key)| *key == from);
        keys.drain(..at.ok_or_else(invalid)?);
    }
    let mut page = Vec::new();
    let mut rest = keys.into_iter();
    let next = loop {
        let Some((number, key)) = rest.next() else {
            break None;
        };
        if page.len() >= limit {
            break Some((number, key));
        }
        let Some(fields) = owned_object(node, &which, &account, &key) else {
            continue;
        };
        let is_wanted = kind.is_none_or(|kind| {
            kind.is_some_and(|(_, name)| fields.get("LedgerEntryType") == Some(&json!(name)))
        });
        if is_wanted {
            page.push(Value::Object(fields));
        }
    };
    let mut result = facts;
    result.insert("account".into(), json!(address));
    result.insert("account_objects".into(), json!(page));
    if let Some((number, key)) = next {
        let marker = format!("{},{key}", Directory::page_key(&id, number));
        result.insert("marker".into(), json!(marker));
        result.insert("limit".into(), json!(limit));
    }
    Ok(result)
}

/// The object that a request names: its key, and its fields if it exists.
type Named = (Hash, Option<Map<String, Value>>);

pub(super) fn ledger_entry(node: &mut Node, call: &Call<'_>) -> Answer {
    let which = which_ledger(node, call)?;
    let facts = which.facts(node);
    let malformed = || RpcError::new("malformedRequest", 12, "Malformed request.");
    let named = named_entry(node, &which, call.params);
    let (key, fields) = match named {
        Some(Some(named)) => named,
        Some(None) => return Err(malformed().with(facts)),
        None => return Err(RpcError::new("unknownOption", 51, "Unknown option.").with(facts)),
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

/// None if the request names no kind of object that is known, Some(None) if it names one wrongly.
fn named_entry(
    node: &mut Node,
    which: &Which,
    params: &Map<String, Value>,
) -> Option<Option<Named>> {
    if let Some(named) = params.get("account_root") {
        return Some(address(named).map(|id| {
            let account = account_in(node, which, &id);
            (id.root_index(), account.as_ref().map(account_data))
        }));
    }
    if let Some(named) = params.get("ticket") {
        return Some(named_ticket(node, which, named));
    }
    if let Some(named) = params.get("ripple_state") {
        return Some(named_line(node, which, named));
    }
    let named = params.get("deposit_preauth")?;
    Some(named_permission(node, which, named))
}

fn named_permission(node: &mut Node, which: &Which, named: &Value) -> Option<Named> {
    let owner = address(named.get("owner")?)?;
    let key = owner.preauth_index(&address(named.get("authorized")?)?);
    let account = account_in(node, which, &owner);
    let fields = account.and_then(|account| owned_object(node, which, &account, &key));
    Some((key, fields))
}

fn address(value: &Value) -> Option<AccountId> {
    AccountId::from_address(value.as_str()?)
}

fn named_ticket(node: &mut Node, which: &Which, named: &Value) -> Option<Named> {
    let id = address(named.get("account")?)?;
    let ticket = u32::try_from(named.get("ticket_seq")?.as_u64()?).ok()?;
    let key = id.ticket_index(ticket);
    let owner = account_in(node, which, &id);
    let fields = owner.and_then(|owner| owned_object(node, which, &owner, &key));
    Some((key, fields))
}

fn named_line(node: &mut Node, which: &Which, named: &Value) -> Option<Named> {
    let [one, other] = named.get("accounts")?.as_array()?.as_slice() else {
        return None;
    };
    let (one, other) = (address(one)?, address(other)?);
    let currency = Currency::parse(named.get("currency")?.as_str()?)?;
    if one == other {
        return None;
    }
    let key = LineKey::new(one, other, currency);
    let mut fields = line_object(node, which, &key);
    if let Some(fields) = &mut fields {
        fields.insert("index".into(), json!(key.index().to_string()));
    }
    Some((key.index(), fields))
}
