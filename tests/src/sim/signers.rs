//! Lists of signers, and transactions that several of them signed.
//!
//! Owns: the checks of every signature, the list as the ledger holds it, and whether signers are enough. May not: decide
//! what a transaction does otherwise.

use serde_json::{Map, Value, json};
use xrpl::core::binarycodec::encode;
use xrpl::core::keypairs::derive_classic_address;

use super::blob::{BlobError, Tx, account_field, local_check, verifies};
use super::codes::Ter;
use super::draft::Draft;
use super::entries::Entry;
use super::state::{Account, LSF_DISABLE_MASTER, View};
use super::types::{AccountId, Hash, sha512_half};
use super::world::Release;

/// Hash prefix "SMT\0" of what each of several signers signs.
const MULTI_SIGNING_PREFIX: [u8; 4] = *b"SMT\0";
/// Most signers of a list or of a transaction.
const SIGNERS_MAX: usize = 32;
/// The list counts as one owned object, whatever its length.
const LSF_ONE_OWNER_COUNT: u32 = 0x0001_0000;

/// One of several who signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MultiSigner {
    /// Who says to have signed.
    pub account: AccountId,
    /// The account of the key that did.
    pub key: AccountId,
}

/// The signers of a transaction, after a check of every signature.
pub(super) fn multi_signers(json: &Map<String, Value>) -> Result<Vec<MultiSigner>, BlobError> {
    let Some(listed) = json.get("Signers").and_then(Value::as_array) else {
        return Err(local_check("Empty SigningPubKey."));
    };
    if json.contains_key("TxnSignature") {
        return Err(local_check("Cannot both single- and multi-sign."));
    }
    if !(1..=SIGNERS_MAX).contains(&listed.len()) {
        return Err(local_check("Invalid Signers array size."));
    }
    let mut unsigned = json.clone();
    unsigned.remove("Signers");
    let body = encode(&unsigned)
        .ok()
        .and_then(|text| hex::decode(text).ok());
    let body = body.ok_or_else(|| local_check("Invalid signature."))?;
    let payer = account_field(json, "Account");
    let mut signers: Vec<MultiSigner> = Vec::new();
    for entry in listed {
        let invalid = || local_check("Invalid multisigner.");
        let fields = entry.get("Signer").and_then(Value::as_object);
        let fields = fields.ok_or_else(invalid)?;
        let account = account_field(fields, "Account").ok_or_else(invalid)?;
        if Some(account) == payer {
            return Err(invalid());
        }
        match signers.last().map(|last| last.account.cmp(&account)) {
            Some(std::cmp::Ordering::Equal) => {
                return Err(local_check("Duplicate Signers not allowed."));
            }
            Some(std::cmp::Ordering::Greater) => {
                return Err(local_check("Unsorted Signers array."));
            }
            _ => {}
        }
        let key = signed_by(fields, &account, &body);
        let key =
            key.ok_or_else(|| local_check(&format!("Invalid signature on account {account}.")))?;
        signers.push(MultiSigner { account, key });
    }
    Ok(signers)
}

/// The account of the key, if its signature is good.
fn signed_by(fields: &Map<String, Value>, account: &AccountId, body: &[u8]) -> Option<AccountId> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let (key, signature) = (text("SigningPubKey")?, text("TxnSignature")?);
    let message = [&MULTI_SIGNING_PREFIX, body, &account.0].concat();
    let is_good = verifies(
        &hex::decode(key).ok()?,
        &message,
        &hex::decode(signature).ok()?,
    );
    let address = derive_classic_address(key).ok().filter(|_| is_good)?;
    AccountId::from_address(&address)
}

/// The key of an account's list in the ledger.
pub(super) fn list_index(id: &AccountId) -> Hash {
    sha512_half(&[&[0x00, 0x53], &id.0, &[0; 4]])
}

/// Who is on a list, with weights.
fn listed(entries: &Value) -> Option<Vec<(AccountId, u64)>> {
    let entries = entries.as_array()?.iter();
    entries
        .map(|entry| {
            let fields = entry.get("SignerEntry")?.as_object()?;
            let weight = fields.get("SignerWeight")?.as_u64()?;
            Some((account_field(fields, "Account")?, weight))
        })
        .collect()
}

/// The form of a SignerListSet.
pub(super) fn preflight_signer_list(tx: &Tx) -> Result<(), Ter> {
    let quorum = tx.u32_field("SignerQuorum").ok_or(Ter::TemMalformed)?;
    let entries = tx.json.get("SignerEntries");
    let signers = match (quorum, entries) {
        (0, None) => return Ok(()),
        (0, Some(_)) | (_, None) => return Err(Ter::TemMalformed),
        (_, Some(entries)) => listed(entries).ok_or(Ter::TemMalformed)?,
    };
    if !(1..=SIGNERS_MAX).contains(&signers.len()) {
        return Err(Ter::TemMalformed);
    }
    let mut names: Vec<AccountId> = signers.iter().map(|(account, _)| *account).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < signers.len() {
        return Err(Ter::TemBadSigner);
    }
    if signers.iter().any(|(_, weight)| *weight == 0) {
        return Err(Ter::TemBadWeight);
    }
    if names.contains(&tx.account) {
        return Err(Ter::TemBadSigner);
    }
    let sum: u64 = signers.iter().map(|(_, weight)| weight).sum();
    if sum < u64::from(quorum) {
        return Err(Ter::TemBadQuorum);
    }
    Ok(())
}

/// Whether those who signed may speak for the account.
pub(super) fn check_signers(
    view: &View<'_>,
    account: &Account,
    signers: &[MultiSigner],
) -> Result<(), Ter> {
    let list = view.entry(&list_index(&account.id));
    let list = list.ok_or(Ter::TefNotMultiSigning)?;
    let entries = list.fields.get("SignerEntries").and_then(listed);
    let entries = entries.unwrap_or_default();
    let mut sum = 0;
    for signer in signers {
        let entry = entries.iter().find(|(id, _)| *id == signer.account);
        let (_, weight) = entry.ok_or(Ter::TefBadSignature)?;
        let root = view.get(&signer.account);
        if signer.key == signer.account {
            // An account that does not exist signs with the key that it would have.
            if root.is_some_and(|root| root.has(LSF_DISABLE_MASTER)) {
                return Err(Ter::TefMasterDisabled);
            }
        } else if root.and_then(|root| root.regular_key) != Some(signer.key) {
            return Err(Ter::TefBadSignature);
        }
        sum += weight;
    }
    let quorum = list.fields.get("SignerQuorum").and_then(Value::as_u64);
    if quorum.is_none_or(|quorum| sum < quorum) {
        return Err(Ter::TefBadQuorum);
    }
    Ok(())
}

/// Makes, replaces or ends the account's list.
pub(super) fn set_signer_list(
    draft: &mut Draft<'_, '_>,
    tx: &Tx,
    balance_before: u64,
) -> Result<(), Ter> {
    let key = list_index(&tx.account);
    let exists = draft.entry(&key).is_some();
    let account = draft.account(&tx.account);
    let Some(entries) = tx.json.get("SignerEntries") else {
        if account.has(LSF_DISABLE_MASTER) && account.regular_key.is_none() {
            return Err(Ter::TecNoAlternativeKey);
        }
        if exists {
            draft.remove_entry(key);
            draft.change(&tx.account, |account| {
                account.owner_count -= 1;
                account.directory.remove(&key, false);
            });
        }
        return Ok(());
    };
    let owner_count = account.owner_count + u32::from(!exists);
    if balance_before < draft.fees().reserve(owner_count) {
        return Err(Ter::TecInsufficientReserve);
    }
    draft.change(&tx.account, |account| {
        account.owner_count = owner_count;
        if !exists {
            account.directory.add(key);
        }
    });
    let page = draft.account(&tx.account).directory.page_of(&key);
    let mut sorted = listed(entries).expect("checked the form");
    sorted.sort_unstable();
    let sorted: Vec<Value> = sorted
        .into_iter()
        .map(|(account, weight)| {
            json!({ "SignerEntry": { "Account": account.to_string(), "SignerWeight": weight } })
        })
        .collect();
    let mut fields = Map::new();
    fields.insert("Flags".into(), json!(LSF_ONE_OWNER_COUNT));
    // The older release does not say whose it is.
    if draft.release() == Release::V3_3 {
        fields.insert("Owner".into(), json!(tx.account.to_string()));
    }
    fields.insert("OwnerNode".into(), json!(page));
    fields.insert("SignerEntries".into(), json!(sorted));
    fields.insert("SignerListID".into(), json!(0));
    fields.insert("SignerQuorum".into(), json!(tx.u32_field("SignerQuorum")));
    let entry = Entry {
        kind: "SignerList",
        fields,
        owners: vec![tx.account],
        origin: None,
    };
    draft.put_entry(key, entry);
    Ok(())
}
