//! Objects that the simulated ledger keeps only to say that they are there: offers, and what issuers of other kinds make.
//!
//! Owns: their fields as a server prints them. May not: act on them; nobody's offer is ever taken.

use serde_json::{Map, Value, json};

use super::blob::Tx;
use super::codes::Ter;
use super::draft::Draft;
use super::types::{AccountId, Origin, sha512_half};

/// MPTokenIssuanceCreate flags.
pub(super) const ISSUANCE_FLAGS: u32 = 0x0000_007E;

/// What a transaction makes that nothing here acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// An issuance of multi-purpose tokens.
    Issuance,
    /// A credential.
    Credential {
        /// Whom it is about.
        subject: AccountId,
    },
}

/// Such an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// `LedgerEntryType`.
    pub kind: &'static str,
    /// All other fields but those about the transaction that last changed it.
    pub fields: Map<String, Value>,
    /// Accounts that it names.
    pub owners: Vec<AccountId>,
    /// The validated transaction that last changed it.
    pub origin: Origin,
}

impl Entry {
    /// Accounts that take note of its beginning and end.
    pub(super) fn threads(&self) -> impl Iterator<Item = AccountId> {
        let named = ["Account", "Destination"].map(|name| self.fields.get(name));
        let named = named.into_iter().flatten().filter_map(Value::as_str);
        named.filter_map(AccountId::from_address)
    }

    /// The fields that metadata shows of a new one: those that are not what they would be by themselves.
    pub(super) fn new_fields(&self) -> Map<String, Value> {
        let is_default = |value: &Value| *value == json!(0) || *value == json!("0");
        let fields = self.fields.iter();
        fields
            .filter(|(_, value)| !is_default(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// Makes such an object, if the account can pay the reserve for it.
pub(super) fn create(
    draft: &mut Draft<'_, '_>,
    tx: &Tx,
    balance_before: u64,
    made: Made,
) -> Result<(), Ter> {
    let account = tx.account;
    let owner_count = draft.account(&account).owner_count + 1;
    let text = |name: &str| tx.json.get(name).cloned();
    let mut fields = Map::new();
    fields.insert("Flags".into(), json!(tx.flags & ISSUANCE_FLAGS));
    fields.insert("Issuer".into(), json!(account.to_string()));
    let (kind, key, other) = match made {
        Made::Issuance => {
            let number = tx.ticket.unwrap_or(tx.sequence);
            fields.insert("OutstandingAmount".into(), json!("0"));
            fields.insert("Sequence".into(), json!(number));
            let key = sha512_half(&[&[0x00, 0x7E], &number.to_be_bytes(), &account.0]);
            ("MPTokenIssuance", key, None)
        }
        Made::Credential { subject } => {
            draft.find(&subject).ok_or(Ter::TecNoTarget)?;
            let about = text("CredentialType").unwrap_or_default();
            let bytes = about.as_str().and_then(|about| hex::decode(about).ok());
            let bytes = bytes.unwrap_or_default();
            fields.insert("CredentialType".into(), about);
            fields.insert("Subject".into(), json!(subject.to_string()));
            let key = sha512_half(&[&[0x00, 0x44], &subject.0, &account.0, &bytes]);
            (
                "Credential",
                key,
                Some(subject).filter(|other| *other != account),
            )
        }
    };
    if draft.entry(&key).is_some() {
        return Err(Ter::TecDuplicate);
    }
    if balance_before < draft.fees().reserve(owner_count) {
        return Err(Ter::TecInsufficientReserve);
    }
    draft.change(&account, |account| {
        account.owner_count = owner_count;
        account.directory.add(key);
    });
    let page = draft.account(&account).directory.page_of(&key);
    let own_page = if other.is_some() {
        "IssuerNode"
    } else {
        "OwnerNode"
    };
    fields.insert(own_page.into(), json!(page));
    if let Some(other) = other {
        draft.change(&other, |other| other.directory.add(key));
        let page = draft.account(&other).directory.page_of(&key);
        fields.insert("SubjectNode".into(), json!(page));
    }
    let owners = std::iter::once(account).chain(other).collect();
    let entry = Entry {
        kind,
        fields,
        owners,
        origin: None,
    };
    draft.put_entry(key, entry);
    Ok(())
}
