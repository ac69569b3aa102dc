//! Metadata: how a changed object of the ledger is printed, before and after.
//!
//! Owns: the `CreatedNode`, `ModifiedNode` and `DeletedNode` forms as recorded. May not: change anything.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::directory::Directory;
use super::effect::Change;
use super::entries::Entry;
use super::lines::{Line, LineKey};
use super::shapes::object;
use super::state::Account;
use super::types::{AccountId, Hash, Origin};

/// The nodes of one transaction, in order of their keys.
#[derive(Default)]
pub(super) struct Nodes {
    nodes: BTreeMap<Hash, Value>,
}

impl Nodes {
    /// The list as metadata has it.
    pub(super) fn into_sorted(self) -> Vec<Value> {
        self.nodes.into_values().collect()
    }

    /// An account root and what the account owns. A threaded one takes note of the transaction and nothing else.
    pub(super) fn account(&mut self, id: &AccountId, change: &Change<Account>, is_threaded: bool) {
        let key = id.root_index();
        let kind = "AccountRoot";
        match (&change.before, &change.after) {
            (None, None) => return,
            (None, Some(after)) => self.created(key, kind, new_account_fields(after)),
            (Some(before), Some(after)) if before.has_same_root(after) => {
                if is_threaded {
                    let mut node = Map::new();
                    finish(&mut node, key, kind);
                    insert_origin(&mut node, before.previous);
                    self.nodes.insert(key, json!({ "ModifiedNode": node }));
                }
            }
            (Some(before), Some(after)) => {
                self.modified(
                    key,
                    kind,
                    (before.fields(), after.fields()),
                    before.previous,
                );
            }
            (Some(before), None) => {
                let last = change.last.as_ref().unwrap_or(before);
                self.deleted(key, kind, (before.fields(), last.fields()), before.previous);
            }
        }
        self.owned(id, change.before.as_ref(), change.after.as_ref());
    }

    fn owned(&mut self, id: &AccountId, before: Option<&Account>, after: Option<&Account>) {
        let nobody = Account::new(*id, 0, 0);
        let (before, after) = (before.unwrap_or(&nobody), after.unwrap_or(&nobody));
        let owner = id.to_string();
        for ticket in after
            .tickets
            .keys()
            .filter(|ticket| !before.tickets.contains_key(ticket))
        {
            let mut fields = object(json!({ "Account": owner, "TicketSequence": ticket }));
            let key = id.ticket_index(*ticket);
            insert_page(&mut fields, "OwnerNode", after.directory.page_of(&key));
            self.created(key, "Ticket", fields);
        }
        for ticket in before
            .tickets
            .keys()
            .filter(|ticket| !after.tickets.contains_key(ticket))
        {
            let mut fields = ticket_fields(before, *ticket);
            fields.remove("LedgerEntryType");
            let key = id.ticket_index(*ticket);
            self.deleted(key, "Ticket", (fields.clone(), fields), None);
        }
        let comes = |other: &&AccountId| !before.preauthorized.contains_key(other);
        for other in after.preauthorized.keys().filter(comes) {
            let mut fields = object(json!({ "Account": owner, "Authorize": other.to_string() }));
            let key = id.preauth_index(other);
            insert_page(&mut fields, "OwnerNode", after.directory.page_of(&key));
            self.created(key, "DepositPreauth", fields);
        }
        let goes = |other: &&AccountId| !after.preauthorized.contains_key(other);
        for other in before.preauthorized.keys().filter(goes) {
            let mut fields = preauth_fields(before, other);
            fields.remove("LedgerEntryType");
            let key = id.preauth_index(other);
            self.deleted(key, "DepositPreauth", (fields.clone(), fields), None);
        }
        self.directory(id, &before.directory, &after.directory);
    }

    fn directory(&mut self, id: &AccountId, before: &Directory, after: &Directory) {
        let kind = "DirectoryNode";
        for number in before.differing(after) {
            let key = Directory::page_key(id, number);
            match (before.page(number), after.page(number)) {
                (None, Some(page)) => {
                    let mut fields = page.fields(id);
                    fields.remove("Flags");
                    self.created(key, kind, fields);
                }
                (Some(old), Some(new)) => {
                    self.modified(key, kind, (old.fields(id), new.fields(id)), old.origin);
                }
                (Some(old), None) => {
                    self.deleted(key, kind, (old.fields(id), old.fields(id)), old.origin);
                }
                (None, None) => {}
            }
        }
    }

    /// A trust line.
    pub(super) fn line(
        &mut self,
        key: &LineKey,
        change: &Change<Line>,
        fields: impl Fn(&Line) -> Map<String, Value>,
    ) {
        let (index, kind) = (key.index(), "RippleState");
        match (&change.before, &change.after) {
            (None, None) => {}
            (None, Some(after)) => {
                let mut new = after.new_fields();
                for (name, page) in fields(after) {
                    if let Value::String(page) = page
                        && name.ends_with("Node")
                    {
                        insert_page(&mut new, &name, page);
                    }
                }
                self.created(index, kind, new);
            }
            (Some(before), Some(after)) => {
                self.modified(index, kind, (fields(before), fields(after)), before.origin);
            }
            (Some(before), None) => {
                let last = change.last.as_ref().unwrap_or(before);
                self.deleted(index, kind, (fields(before), fields(last)), before.origin);
            }
        }
    }

    /// Any other object.
    pub(super) fn entry(&mut self, key: Hash, change: &Change<Entry>) {
        match (&change.before, &change.after) {
            (None, None) => {}
            (None, Some(after)) => self.created(key, after.kind, after.new_fields()),
            (Some(before), Some(after)) => {
                let fields = (before.fields.clone(), after.fields.clone());
                self.modified(key, before.kind, fields, before.origin);
            }
            (Some(before), None) => {
                let fields = (before.fields.clone(), before.fields.clone());
                self.deleted(key, before.kind, fields, before.origin);
            }
        }
    }

    fn created(&mut self, key: Hash, kind: &str, fields: Map<String, Value>) {
        let mut node = Map::new();
        finish(&mut node, key, kind);
        node.insert("NewFields".into(), Value::Object(fields));
        self.nodes.insert(key, json!({ "CreatedNode": node }));
    }

    fn modified(
        &mut self,
        key: Hash,
        kind: &str,
        (old, new): (Map<String, Value>, Map<String, Value>),
        origin: Origin,
    ) {
        let mut node = Map::new();
        // A field that was not there has no previous value, but there was another one: none.
        let has_more = new.keys().any(|name| !old.contains_key(name));
        let previous = differing(old, &new);
        finish(&mut node, key, kind);
        node.insert("FinalFields".into(), Value::Object(new));
        if has_more || !previous.is_empty() {
            node.insert("PreviousFields".into(), Value::Object(previous));
        }
        insert_origin(&mut node, origin);
        self.nodes.insert(key, json!({ "ModifiedNode": node }));
    }

    fn deleted(
        &mut self,
        key: Hash,
        kind: &str,
        (old, mut last): (Map<String, Value>, Map<String, Value>),
        origin: Origin,
    ) {
        let mut node = Map::new();
        let previous = differing(old, &last);
        finish(&mut node, key, kind);
        insert_origin(&mut last, origin);
        node.insert("FinalFields".into(), Value::Object(last));
        if !previous.is_empty() {
            node.insert("PreviousFields".into(), Value::Object(previous));
        }
        self.nodes.insert(key, json!({ "DeletedNode": node }));
    }
}

/// New objects name their page unless it is the first.
fn insert_page(fields: &mut Map<String, Value>, name: &str, page: String) {
    if page != "0" {
        fields.insert(name.to_owned(), Value::String(page));
    }
}

fn finish(node: &mut Map<String, Value>, key: Hash, kind: &str) {
    node.insert("LedgerEntryType".into(), json!(kind));
    node.insert("LedgerIndex".into(), json!(key.to_string()));
}

fn differing(old: Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    old.into_iter()
        .filter(|(name, value)| new.get(name) != Some(value))
        .collect()
}

/// Says which validated transaction last changed an object.
pub(super) fn insert_origin(fields: &mut Map<String, Value>, origin: Origin) {
    if let Some((hash, ledger)) = origin {
        fields.insert("PreviousTxnID".into(), json!(hash.to_string()));
        fields.insert("PreviousTxnLgrSeq".into(), json!(ledger));
    }
}

fn new_account_fields(account: &Account) -> Map<String, Value> {
    object(json!({
        "Account": account.id.to_string(), "Balance": account.balance.to_string(), "Sequence": account.sequence,
    }))
}

/// The fields of a line, with the pages on which both its accounts name it.
pub(super) fn line_fields<'a>(
    line: &Line,
    change: impl Fn(&AccountId) -> Option<&'a Change<Account>>,
) -> Map<String, Value> {
    let page = |id: &AccountId| {
        let account =
            change(id).and_then(|change| change.after.as_ref().or(change.before.as_ref()));
        account.map_or_else(
            || "0".to_owned(),
            |account| account.directory.page_of(&line.key.index()),
        )
    };
    line.fields((page(&line.key.low), page(&line.key.high)))
}

/// The fields of a ticket as the ledger holds it.
pub(super) fn ticket_fields(owner: &Account, ticket: u32) -> Map<String, Value> {
    let (hash, ledger) = owner.tickets.get(&ticket).copied().unwrap_or_default();
    let page = owner.directory.page_of(&owner.id.ticket_index(ticket));
    object(json!({
        "Account": owner.id.to_string(), "Flags": 0, "LedgerEntryType": "Ticket", "OwnerNode": page,
        "PreviousTxnID": hash.to_string(), "PreviousTxnLgrSeq": ledger, "TicketSequence": ticket,
    }))
}

/// The fields of a permission to pay in as the ledger holds it.
pub(super) fn preauth_fields(owner: &Account, other: &AccountId) -> Map<String, Value> {
    let (hash, ledger) = owner.preauthorized.get(other).copied().unwrap_or_default();
    let page = owner.directory.page_of(&owner.id.preauth_index(other));
    object(json!({
        "Account": owner.id.to_string(), "Authorize": other.to_string(), "Flags": 0,
        "LedgerEntryType": "DepositPreauth", "OwnerNode": page, "PreviousTxnID": hash.to_string(),
        "PreviousTxnLgrSeq": ledger,
    }))
}
