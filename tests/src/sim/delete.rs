//! AccountDelete: an account ends, and what it holds goes to another.
//!
//! Owns: when that is allowed, and what ends with the account. May not: leave anything of the account behind.

use super::apply::may_receive;
use super::blob::Tx;
use super::codes::Ter;
use super::draft::Draft;
use super::money::Money;
use super::state::{Account, LSF_PASSWORD_SPENT, LSF_REQUIRE_DEST_TAG, View};
use super::types::AccountId;

/// An account may be deleted when the ledger's index is so far beyond its Sequence.
const DELETABLE_AFTER_LEDGERS: u32 = 255;
/// Kinds of objects that end with their owner.
const ENDS_WITH_OWNER: [&str; 3] = ["Offer", "Credential", "SignerList"];

/// What an AccountDelete needs before anything is changed.
pub(super) fn check_delete(
    view: &View<'_>,
    account: &Account,
    tx: &Tx,
    destination: &AccountId,
) -> Result<(), Ter> {
    let receiver = view.get(destination).ok_or(Ter::TecNoDst)?;
    if receiver.has(LSF_REQUIRE_DEST_TAG) && !tx.json.contains_key("DestinationTag") {
        return Err(Ter::TecDstTagNeeded);
    }
    if !may_receive(receiver, &account.id) {
        return Err(Ter::TecNoPermission);
    }
    if account.sequence.saturating_add(DELETABLE_AFTER_LEDGERS) > view.index {
        return Err(Ter::TecTooSoon);
    }
    let is_obligation = |key| {
        let is_ticket = account
            .tickets
            .keys()
            .any(|ticket| account.id.ticket_index(*ticket) == key);
        let is_permission = account
            .preauthorized
            .keys()
            .any(|other| account.id.preauth_index(other) == key);
        let ends = view
            .entry(&key)
            .is_some_and(|entry| ENDS_WITH_OWNER.contains(&entry.kind));
        !(is_ticket || is_permission || ends)
    };
    if account.directory.keys().any(|(_, key)| is_obligation(key)) {
        return Err(Ter::TecHasObligations);
    }
    Ok(())
}

/// Ends the account; gives what it left.
pub(super) fn delete(draft: &mut Draft<'_, '_>, tx: &Tx, destination: &AccountId) -> Money {
    let left = draft.account(&tx.account).balance;
    let owned: Vec<_> = draft.account(&tx.account).directory.keys().collect();
    for (_, key) in owned {
        if draft.entry(&key).is_some() {
            draft.remove_entry(key);
        }
    }
    draft.change(&tx.account, |account| {
        account.balance = 0;
        account.owner_count = 0;
        account.tickets.clear();
        account.preauthorized.clear();
    });
    draft.change(destination, |receiver| {
        receiver.balance += left;
        if left > 0 {
            receiver.flags &= !LSF_PASSWORD_SPENT;
        }
    });
    draft.remove(tx.account);
    Money::Xrp(i128::from(left))
}
