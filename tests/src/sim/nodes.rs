//! Metadata: how a changed object of the ledger is printed, before and after.
//!
//! Owns: the `CreatedNode`, `ModifiedNode` and `DeletedNode` forms as recorded. May not: change anything.

use serde_json::{Map, Value, json};

use super::shapes::object;
use super::state::Account;
use super::types::Hash;

/// An account root that was made or changed.
pub(super) fn node_json(key: Hash, before: Option<&Account>, after: &Account) -> Value {
    let Some(before) = before else {
        let new_fields = json!({
            "Account": after.id.to_string(), "Balance": after.balance.to_string(), "Sequence": after.sequence,
        });
        return json!({ "CreatedNode": {
            "LedgerEntryType": "AccountRoot", "LedgerIndex": key.to_string(), "NewFields": new_fields,
        }});
    };
    let (old, new) = (before.fields(), after.fields());
    let previous: Map<String, Value> = old
        .into_iter()
        .filter(|(name, value)| new.get(name) != Some(value))
        .collect();
    let mut node = Map::new();
    node.insert("FinalFields".into(), Value::Object(new));
    node.insert("LedgerEntryType".into(), json!("AccountRoot"));
    node.insert("LedgerIndex".into(), json!(key.to_string()));
    if !previous.is_empty() {
        node.insert("PreviousFields".into(), Value::Object(previous));
    }
    if let Some((hash, ledger)) = before.previous {
        node.insert("PreviousTxnID".into(), json!(hash.to_string()));
        node.insert("PreviousTxnLgrSeq".into(), json!(ledger));
    }
    json!({ "ModifiedNode": node })
}

/// The tickets that came and went, and the list that names them.
pub(super) fn owned_nodes(before: &Account, after: &Account) -> Vec<(Hash, Value)> {
    let owner = after.id.to_string();
    let mut nodes = Vec::new();
    for ticket in after
        .tickets
        .keys()
        .filter(|ticket| !before.tickets.contains_key(ticket))
    {
        let key = after.id.ticket_index(*ticket);
        let new_fields = json!({ "Account": owner, "TicketSequence": ticket });
        nodes.push((key, json!({ "CreatedNode": {
            "LedgerEntryType": "Ticket", "LedgerIndex": key.to_string(), "NewFields": new_fields,
        }})));
    }
    for (ticket, _) in before
        .tickets
        .iter()
        .filter(|(ticket, _)| !after.tickets.contains_key(ticket))
    {
        let key = after.id.ticket_index(*ticket);
        let mut fields = ticket_fields(before, *ticket);
        fields.remove("LedgerEntryType");
        nodes.push((
            key,
            json!({ "DeletedNode": {
                "FinalFields": fields, "LedgerEntryType": "Ticket", "LedgerIndex": key.to_string(),
            }}),
        ));
    }
    for other in after
        .preauthorized
        .keys()
        .filter(|other| !before.preauthorized.contains_key(other))
    {
        let key = after.id.preauth_index(other);
        let new_fields = json!({ "Account": owner, "Authorize": other.to_string() });
        nodes.push((key, json!({ "CreatedNode": {
            "LedgerEntryType": "DepositPreauth", "LedgerIndex": key.to_string(), "NewFields": new_fields,
        }})));
    }
    for (other, (hash, ledger)) in before
        .preauthorized
        .iter()
        .filter(|(other, _)| !after.preauthorized.contains_key(other))
    {
        let key = after.id.preauth_index(other);
        let fields = json!({
            "Account": owner, "Authorize": other.to_string(), "Flags": 0, "OwnerNode": "0",
            "PreviousTxnID": hash.to_string(), "PreviousTxnLgrSeq": ledger,
        });
        nodes.push((key, json!({ "DeletedNode": {
            "FinalFields": fields, "LedgerEntryType": "DepositPreauth", "LedgerIndex": key.to_string(),
        }})));
    }
    let key = after.id.directory_index();
    let fields = json!({ "Owner": owner, "RootIndex": key.to_string() });
    match before.directory {
        _ if nodes.is_empty() => {}
        None => nodes.push((key, json!({ "CreatedNode": {
            "LedgerEntryType": "DirectoryNode", "LedgerIndex": key.to_string(), "NewFields": fields,
        }}))),
        Some((hash, ledger)) => nodes.push((key, json!({ "ModifiedNode": {
            "FinalFields": { "Flags": 0, "Owner": owner, "RootIndex": key.to_string() },
            "LedgerEntryType": "DirectoryNode", "LedgerIndex": key.to_string(),
            "PreviousTxnID": hash.to_string(), "PreviousTxnLgrSeq": ledger,
        }}))),
    }
    nodes
}

/// The fields of a ticket as the ledger holds it.
pub(super) fn ticket_fields(owner: &Account, ticket: u32) -> Map<String, Value> {
    let (hash, ledger) = owner.tickets.get(&ticket).copied().unwrap_or_default();
    object(json!({
        "Account": owner.id.to_string(), "Flags": 0, "LedgerEntryType": "Ticket", "OwnerNode": "0",
        "PreviousTxnID": hash.to_string(), "PreviousTxnLgrSeq": ledger, "TicketSequence": ticket,
    }))
}
