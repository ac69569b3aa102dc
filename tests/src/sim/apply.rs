//! The transaction engine: what one transaction does to a ledger in the making, in the order of checks of a real server.
//!
//! Owns: every result code and every change of a balance. May not: know servers, retries or networks. Types that are
//! not built (tickets, trust lines, multi-signing) answer as if nobody had ever made such an object.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::blob::{Kind, Tx};
use super::codes::Ter;
use super::preflight::{TF_PARTIAL_PAYMENT, preflight};
use super::state::{
    Account, LSF_DEPOSIT_AUTH, LSF_DISABLE_MASTER, LSF_DISALLOW_XRP, LSF_REQUIRE_DEST_TAG, View,
};
use super::types::{AccountId, Hash};

/// `SetFlag`/`ClearFlag` values and the account bits they stand for.
pub(super) const ACCOUNT_SET_FLAGS: [(u32, u32); 4] = [
    (1, LSF_REQUIRE_DEST_TAG),
    (3, LSF_DISALLOW_XRP),
    (4, LSF_DISABLE_MASTER),
    (9, LSF_DEPOSIT_AUTH),
];

/// How a transaction is applied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    /// To an open ledger, by a server's own rules; otherwise while a ledger is built.
    pub open: bool,
    /// A `tec` now may be a success later in the same ledger: leave it.
    pub retry: bool,
    /// Only success counts.
    pub fail_hard: bool,
}

impl Mode {
    /// An ordinary submit.
    pub(super) const OPEN: Self = Self {
        open: true,
        retry: false,
        fail_hard: false,
    };
    /// The last pass over a ledger that is being built.
    pub(super) const CLOSING: Self = Self {
        open: false,
        retry: false,
        fail_hard: false,
    };
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Applied {
    /// The result.
    pub ter: Ter,
    /// What it did; None if it is not in the ledger.
    pub effect: Option<Effect>,
}

/// The changes that a transaction made.
#[derive(Debug)]
pub(super) struct Effect {
    /// Account before and after, in the order of the ledger's keys.
    pub nodes: BTreeMap<Hash, (Option<Account>, Account)>,
    /// XRP that reached the destination.
    pub delivered: Option<u64>,
    /// XRP burned.
    pub fee: u64,
}

impl Effect {
    /// The metadata as a server prints it, without `TransactionIndex`.
    pub(super) fn meta(&self, ter: Ter) -> Map<String, Value> {
        let nodes: Vec<Value> = self
            .nodes
            .iter()
            .map(|(key, (before, after))| node_json(*key, before.as_ref(), after))
            .collect();
        let mut meta = Map::new();
        meta.insert("AffectedNodes".into(), json!(nodes));
        meta.insert("TransactionResult".into(), json!(ter.name()));
        if let Some(drops) = self.delivered {
            meta.insert("delivered_amount".into(), json!(drops.to_string()));
        }
        meta
    }
}

fn node_json(key: Hash, before: Option<&Account>, after: &Account) -> Value {
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

/// Applies a transaction to the view, or says why not.
pub(super) fn apply(view: &mut View<'_>, tx: &Tx, mode: Mode) -> Applied {
    let ter = match check(view, tx, mode) {
        Ok(()) => Ter::TesSuccess,
        Err(ter) if ter.is_tec() && !mode.retry => ter,
        Err(ter) => return Applied { ter, effect: None },
    };
    let payer = view
        .get(&tx.account)
        .expect("checked that the account exists")
        .clone();
    // The fee may exceed the balance only in a ledger that is being closed; then it is what there is.
    let fee = fee_drops(tx).min(payer.balance);
    let mut slot_taken = payer.clone();
    slot_taken.balance -= fee;
    slot_taken.sequence += 1;

    let done = if ter == Ter::TesSuccess {
        do_apply(view, tx, &payer, &slot_taken)
    } else {
        Err(ter)
    };
    let (ter, changed, delivered) = match done {
        Ok((changed, delivered)) => (Ter::TesSuccess, changed, delivered),
        Err(claimed) => (claimed, vec![slot_taken], None),
    };
    if ter.is_tec() && (mode.retry || mode.fail_hard) {
        return Applied { ter, effect: None };
    }
    let mut nodes = BTreeMap::new();
    for mut after in changed {
        let before = view.get(&after.id).cloned();
        if !mode.open {
            after.previous = Some((tx.hash, view.index));
        }
        nodes.insert(after.id.root_index(), (before, after));
    }
    let effect = Effect {
        nodes,
        delivered,
        fee,
    };
    assert_conserved(&effect);
    for (_, after) in effect.nodes.values() {
        view.put(after.clone());
    }
    Applied {
        ter,
        effect: Some(effect),
    }
}

/// XRP is moved or burned, never made.
fn assert_conserved(effect: &Effect) {
    let sum = |drops: &mut dyn Iterator<Item = u64>| drops.map(u128::from).sum::<u128>();
    let before = sum(&mut effect
        .nodes
        .values()
        .filter_map(|(before, _)| before.as_ref())
        .map(|account| account.balance));
    let after = sum(&mut effect.nodes.values().map(|(_, after)| after.balance));
    assert_eq!(
        before,
        after + u128::from(effect.fee),
        "a transaction made or lost XRP"
    );
}

fn fee_drops(tx: &Tx) -> u64 {
    tx.fee
        .and_then(|fee| u64::try_from(fee).ok())
        .expect("checked that the fee is XRP and not negative")
}

/// Everything that can be said before anything is changed. A `tec` here still takes the fee and the slot.
fn check(view: &View<'_>, tx: &Tx, mode: Mode) -> Result<(), Ter> {
    preflight(view, tx)?;
    let account = check_slot(view, tx)?;
    if tx.last_ledger.is_some_and(|last| view.index > last) {
        return Err(Ter::TefMaxLedger);
    }
    check_key(account, tx)?;
    check_fee(view, account, tx, mode)?;
    check_destination(view, tx, mode)
}

fn check_slot<'v>(view: &'v View<'_>, tx: &Tx) -> Result<&'v Account, Ter> {
    let account = view.get(&tx.account).ok_or(Ter::TerNoAccount)?;
    match tx.ticket {
        Some(_) if tx.sequence != 0 => return Err(Ter::TemSeqAndTicket),
        Some(ticket) if ticket >= account.sequence => return Err(Ter::TerPreTicket),
        Some(_) => return Err(Ter::TefNoTicket),
        None => {}
    }
    if tx.sequence > account.sequence {
        return Err(Ter::TerPreSeq);
    }
    if tx.sequence < account.sequence {
        return Err(Ter::TefPastSeq);
    }
    if tx.json.contains_key("AccountTxnID") {
        return Err(Ter::TefWrongPrior);
    }
    Ok(account)
}

fn check_key(account: &Account, tx: &Tx) -> Result<(), Ter> {
    match tx.signer {
        None => Err(Ter::TefNotMultiSigning),
        Some(signer) if account.regular_key == Some(signer) => Ok(()),
        Some(signer) if signer != account.id => Err(Ter::TefBadAuth),
        Some(_) if account.has(LSF_DISABLE_MASTER) => Err(Ter::TefMasterDisabled),
        Some(_) => Ok(()),
    }
}

fn check_fee(view: &View<'_>, account: &Account, tx: &Tx, mode: Mode) -> Result<(), Ter> {
    let fee = fee_drops(tx);
    if mode.open && fee < view.fees.base_drops {
        return Err(Ter::TelInsufFeeP);
    }
    if account.balance >= fee {
        return Ok(());
    }
    Err(if !mode.open && account.balance > 0 {
        Ter::TecInsuffFee
    } else {
        Ter::TerInsufFeeB
    })
}

fn check_destination(view: &View<'_>, tx: &Tx, mode: Mode) -> Result<(), Ter> {
    let Kind::Payment { destination, drops } = tx.kind else {
        return Ok(());
    };
    let Some(receiver) = view.get(&destination) else {
        return match drops {
            None => Err(Ter::TecNoDst),
            Some(_) if mode.open && tx.flags & TF_PARTIAL_PAYMENT != 0 => Err(Ter::TelNoDstPartial),
            Some(drops) if drops < i128::from(view.fees.reserve(0)) => Err(Ter::TecNoDstInsufXrp),
            Some(_) => Ok(()),
        };
    };
    if receiver.has(LSF_REQUIRE_DEST_TAG) && !tx.json.contains_key("DestinationTag") {
        return Err(Ter::TecDstTagNeeded);
    }
    Ok(())
}

/// The accounts as they are afterwards, the payer first, and what was delivered.
type Done = (Vec<Account>, Option<u64>);

fn do_apply(view: &View<'_>, tx: &Tx, before: &Account, slot_taken: &Account) -> Result<Done, Ter> {
    match tx.kind {
        // Nobody holds a trust line here, so no issued currency and no conversion has a path.
        Kind::Payment { drops: None, .. } => Err(Ter::TecPathDry),
        Kind::Payment { .. } if tx.json.contains_key("SendMax") => Err(Ter::TecPathDry),
        Kind::Payment {
            destination,
            drops: Some(drops),
        } => {
            let drops = u64::try_from(drops)
                .expect("checked that the amount is positive and at most all XRP");
            pay(view, tx, before, slot_taken, (destination, drops))
        }
        Kind::AccountSet { set, clear } => {
            account_set(tx, slot_taken, set, clear).map(|after| (vec![after], None))
        }
        Kind::SetRegularKey { key } => {
            if key.is_none() && slot_taken.has(LSF_DISABLE_MASTER) {
                return Err(Ter::TecNoAlternativeKey);
            }
            let after = Account {
                regular_key: key,
                ..slot_taken.clone()
            };
            Ok((vec![after], None))
        }
        Kind::Other => unreachable!("refused by preflight"),
    }
}

fn pay(
    view: &View<'_>,
    tx: &Tx,
    before: &Account,
    slot_taken: &Account,
    to: (AccountId, u64),
) -> Result<Done, Ter> {
    let (destination, drops) = to;
    let keep = view.fees.reserve(slot_taken.owner_count).max(fee_drops(tx));
    if drops
        .checked_add(keep)
        .is_none_or(|needed| before.balance < needed)
    {
        return Err(Ter::TecUnfundedPayment);
    }
    let mut receiver = view.get(&destination).cloned().unwrap_or(Account {
        id: destination,
        balance: 0,
        sequence: view.index,
        owner_count: 0,
        flags: 0,
        regular_key: None,
        previous: None,
    });
    let base_reserve = view.fees.reserve(0);
    if receiver.has(LSF_DEPOSIT_AUTH) && (drops > base_reserve || receiver.balance > base_reserve) {
        return Err(Ter::TecNoPermission);
    }
    let mut sender = slot_taken.clone();
    sender.balance -= drops;
    receiver.balance += drops;
    Ok((vec![sender, receiver], Some(drops)))
}

fn account_set(tx: &Tx, slot_taken: &Account, set: u32, clear: u32) -> Result<Account, Ter> {
    let bit = |flag: u32| {
        ACCOUNT_SET_FLAGS
            .iter()
            .find(|(known, _)| *known == flag)
            .map_or(0, |(_, bit)| *bit)
    };
    if bit(set) == LSF_DISABLE_MASTER && !slot_taken.has(LSF_DISABLE_MASTER) {
        if tx.signer != Some(tx.account) {
            return Err(Ter::TecNeedMasterKey);
        }
        if slot_taken.regular_key.is_none() {
            return Err(Ter::TecNoAlternativeKey);
        }
    }
    Ok(Account {
        flags: (slot_taken.flags | bit(set)) & !bit(clear),
        ..slot_taken.clone()
    })
}
