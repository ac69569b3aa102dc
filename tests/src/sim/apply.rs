//! The transaction engine: what one transaction does to a ledger in the making, in the order of checks of a real server.
//!
//! Owns: every result code and every change of a balance. May not: know servers, retries or networks. Types that are
//! not built (trust lines, multi-signing) answer as if nobody had ever made such an object.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::blob::{Kind, Tx};
use super::codes::Ter;
use super::nodes::{node_json, owned_nodes};
use super::preflight::{TF_PARTIAL_PAYMENT, TICKETS_MAX, preflight};
use super::state::{
    Account, LSF_DEPOSIT_AUTH, LSF_DISABLE_MASTER, LSF_DISALLOW_XRP, LSF_PASSWORD_SPENT,
    LSF_REQUIRE_DEST_TAG, View,
};
use super::types::{AccountId, Hash};

/// `SetFlag`/`ClearFlag` values and the account bits they stand for.
pub(super) const ACCOUNT_SET_FLAGS: [(u32, u32); 4] = [
    (1, LSF_REQUIRE_DEST_TAG),
    (3, LSF_DISALLOW_XRP),
    (4, LSF_DISABLE_MASTER),
    (9, LSF_DEPOSIT_AUTH),
];

/// An account may be deleted when the ledger's index is so far beyond its Sequence.
const DELETABLE_AFTER_LEDGERS: u32 = 255;

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
        let mut nodes: BTreeMap<Hash, Value> = BTreeMap::new();
        for (key, (before, after)) in &self.nodes {
            nodes.insert(*key, node_json(*key, before.as_ref(), after));
            if let Some(before) = before {
                nodes.extend(owned_nodes(before, after));
            }
        }
        let nodes: Vec<Value> = nodes.into_values().collect();
        let mut meta = Map::new();
        meta.insert("AffectedNodes".into(), json!(nodes));
        meta.insert("TransactionResult".into(), json!(ter.name()));
        if let Some(drops) = self.delivered {
            meta.insert("delivered_amount".into(), json!(drops.to_string()));
        }
        meta
    }
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
    match tx.ticket {
        None => slot_taken.sequence += 1,
        Some(ticket) => {
            slot_taken.tickets.remove(&ticket);
            slot_taken.owner_count -= 1;
        }
    }

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
        if before.as_ref().is_some_and(|before| {
            before.tickets != after.tickets || before.preauthorized != after.preauthorized
        }) {
            after.directory = Some((tx.hash, view.index));
        }
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

/// What a transaction must pay when nothing is crowded.
pub(super) fn base_fee(view: &View<'_>, tx: &Tx) -> u64 {
    let signers = tx.json.get("Signers").and_then(Value::as_array);
    let signers = signers.map_or(0, |signers| signers.len() as u64);
    let is_free = matches!(tx.kind, Kind::SetRegularKey { .. })
        && tx.signer == Some(tx.account)
        && view
            .get(&tx.account)
            .is_some_and(|account| !account.has(LSF_PASSWORD_SPENT));
    if tx.kind == Kind::AccountDelete {
        return view.fees.reserve_inc_drops;
    }
    if is_free {
        0
    } else {
        view.fees.base_drops * (1 + signers)
    }
}

fn fee_drops(tx: &Tx) -> u64 {
    tx.fee
        .and_then(|fee| u64::try_from(fee).ok())
        .expect("checked that the fee is XRP and not negative")
}

/// Everything that can be said before anything is changed. A `tec` here still takes the fee and the slot.
pub(super) fn check(view: &View<'_>, tx: &Tx, mode: Mode) -> Result<(), Ter> {
    preflight(view, tx)?;
    let account = check_slot(view, tx)?;
    if tx.last_ledger.is_some_and(|last| view.index > last) {
        return Err(Ter::TefMaxLedger);
    }
    check_key(account, tx)?;
    check_fee(view, account, tx, mode)?;
    if let Kind::NoSuchObject(ter) = tx.kind {
        return Err(ter);
    }
    if tx.kind == Kind::AccountDelete {
        let old_enough = account.sequence.saturating_add(DELETABLE_AFTER_LEDGERS) <= view.index;
        return Err(if old_enough {
            Ter::TemDisabled
        } else {
            Ter::TecTooSoon
        });
    }
    check_preauth(view, account, tx)?;
    if let Kind::TicketCreate { count } = tx.kind {
        let kept = account.tickets.len() - usize::from(tx.ticket.is_some());
        if kept + count as usize > TICKETS_MAX as usize {
            return Err(Ter::TecDirFull);
        }
    }
    check_destination(view, tx, mode)
}

fn check_slot<'v>(view: &'v View<'_>, tx: &Tx) -> Result<&'v Account, Ter> {
    let account = view.get(&tx.account).ok_or(Ter::TerNoAccount)?;
    match tx.ticket {
        Some(_) if tx.sequence != 0 => return Err(Ter::TemSeqAndTicket),
        Some(ticket) if ticket >= account.sequence => return Err(Ter::TerPreTicket),
        Some(ticket) if !account.tickets.contains_key(&ticket) => return Err(Ter::TefNoTicket),
        Some(_) => {}
        None if tx.sequence > account.sequence => return Err(Ter::TerPreSeq),
        None if tx.sequence < account.sequence => return Err(Ter::TefPastSeq),
        None => {}
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
    if mode.open && fee < base_fee(view, tx) {
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

fn check_preauth(view: &View<'_>, account: &Account, tx: &Tx) -> Result<(), Ter> {
    let Kind::DepositPreauth {
        authorize,
        unauthorize,
    } = tx.kind
    else {
        return Ok(());
    };
    if authorize.is_some_and(|other| view.get(&other).is_none()) {
        return Err(Ter::TecNoTarget);
    }
    if authorize.is_some_and(|other| account.preauthorized.contains_key(&other)) {
        return Err(Ter::TecDuplicate);
    }
    if unauthorize.is_some_and(|other| !account.preauthorized.contains_key(&other)) {
        return Err(Ter::TecNoEntry);
    }
    Ok(())
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
            let mut after = slot_taken.clone();
            after.regular_key = key;
            if base_fee(view, tx) == 0 {
                after.flags |= LSF_PASSWORD_SPENT;
            }
            Ok((vec![after], None))
        }
        Kind::TicketCreate { count } => {
            let mut after = slot_taken.clone();
            after.owner_count += count;
            if before.balance < view.fees.reserve(after.owner_count) {
                return Err(Ter::TecInsufficientReserve);
            }
            let first = after.sequence;
            after.sequence += count;
            let made_by = (tx.hash, view.index);
            after
                .tickets
                .extend((first..first + count).map(|ticket| (ticket, made_by)));
            Ok((vec![after], None))
        }
        Kind::DepositPreauth {
            authorize,
            unauthorize,
        } => {
            let mut after = slot_taken.clone();
            if let Some(other) = authorize {
                after.owner_count += 1;
                if before.balance < view.fees.reserve(after.owner_count) {
                    return Err(Ter::TecInsufficientReserve);
                }
                after.preauthorized.insert(other, (tx.hash, view.index));
            }
            if let Some(other) = unauthorize {
                after.owner_count -= 1;
                after.preauthorized.remove(&other);
            }
            Ok((vec![after], None))
        }
        Kind::AccountDelete | Kind::NoSuchObject(_) | Kind::Other => {
            unreachable!("refused before")
        }
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
    let receiver = view.get(&destination).cloned();
    let mut receiver = receiver.unwrap_or_else(|| Account::new(destination, 0, view.index));
    let sender_id = tx.account;
    let base_reserve = view.fees.reserve(0);
    if receiver.has(LSF_DEPOSIT_AUTH)
        && !receiver.preauthorized.contains_key(&sender_id)
        && (drops > base_reserve || receiver.balance > base_reserve)
    {
        return Err(Ter::TecNoPermission);
    }
    let mut sender = slot_taken.clone();
    sender.balance -= drops;
    receiver.balance += drops;
    receiver.flags &= !LSF_PASSWORD_SPENT;
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
