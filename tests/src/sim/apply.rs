//! The transaction engine: what one transaction does to a ledger in the making, in the order of checks of a real server.
//!
//! Owns: the order of all checks, what is taken for a transaction, and payments of XRP. May not: know servers, retries or
//! networks. Types that are not built answer as if nobody had ever made such an object.

use serde_json::{Value, json};

use super::blob::{Kind, Tx};
use super::clawback::{check_clawback, claw_back};
use super::codes::Ter;
use super::delete::{check_delete, delete};
use super::draft::Draft;
use super::effect::{Delivered, DraftEnd, Effect};
use super::entries::create;
use super::money::Money;
use super::offers::{check_offer, offer_create};
use super::preflight::{TF_PARTIAL_PAYMENT, TICKETS_MAX, preflight};
use super::settings::{account_set, check_account_set};
use super::signers::{check_signers, list_index, set_signer_list};
use super::state::{
    Account, LSF_DEPOSIT_AUTH, LSF_DISABLE_MASTER, LSF_PASSWORD_SPENT, LSF_REQUIRE_DEST_TAG, View,
};
use super::tokens::pay_tokens;
use super::trust::{check_trust_set, trust_set};
use super::types::AccountId;

/// Most ways that a payment may name.
const PATHS_MAX: usize = 6;
/// Most stops of each.
const PATH_STOPS_MAX: usize = 8;

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

/// Applies a transaction to the view, or says why not.
pub(super) fn apply(view: &mut View<'_>, tx: &Tx, mode: Mode) -> Applied {
    let not = |ter| Applied { ter, effect: None };
    let checked = match check(view, tx, mode) {
        Ok(()) => Ok(()),
        Err(ter) if ter.is_tec() && !mode.retry => Err(ter),
        Err(ter) => return not(ter),
    };
    let payer = view
        .get(&tx.account)
        .expect("checked that the account exists");
    // The fee may exceed the balance only in a ledger that is being closed; then it is what there is.
    let fee = fee_drops(tx).min(payer.balance);
    let balance_before = payer.balance;
    let slot_taken = take_slot(payer, tx, fee);
    let mut draft = Draft::new(view);
    draft.put(slot_taken.clone());
    let (ter, delivered) = match checked.and_then(|()| do_apply(&mut draft, tx, balance_before)) {
        Ok(delivered) => (Ter::TesSuccess, delivered),
        Err(ter) => {
            draft = Draft::new(view);
            draft.put(slot_taken);
            (ter, None)
        }
    };
    if !ter.is_in_ledger() || (ter.is_tec() && (mode.retry || mode.fail_hard)) {
        return not(ter);
    }
    let end = DraftEnd::from(draft);
    let effect = Effect::new(view, end, (tx.hash, mode.open), delivered, fee);
    effect.assert_conserved();
    view.put_all(effect.changed());
    Applied {
        ter,
        effect: Some(effect),
    }
}

/// The account after its fee and its Sequence or ticket are taken.
fn take_slot(payer: &Account, tx: &Tx, fee: u64) -> Account {
    let mut after = payer.clone();
    after.balance -= fee;
    match tx.ticket {
        None => after.sequence += 1,
        Some(ticket) => {
            after.tickets.remove(&ticket);
            after.owner_count -= 1;
            let key = after.id.ticket_index(ticket);
            after.directory.remove(&key, true);
        }
    }
    if let Some(id) = after.settings.get_mut("AccountTxnID") {
        *id = json!(tx.hash.to_string());
    }
    after
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
    if matches!(tx.kind, Kind::AccountDelete { .. }) {
        return view.fees.reserve_inc_drops;
    }
    if is_free {
        0
    } else {
        // A batch pays for itself, for being one, and for what is in it.
        let inner = tx.json.get("RawTransactions").and_then(Value::as_array);
        let inner = inner.map_or(0, |inner| inner.len() as u64 + 1);
        view.fees.base_drops * (1 + signers + inner)
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
    check_key(view, account, tx)?;
    check_fee(view, account, tx, mode)?;
    if let Kind::NoSuchObject(ter) = tx.kind {
        return Err(ter);
    }
    match &tx.kind {
        Kind::AccountDelete { destination } => check_delete(view, account, tx, destination)?,
        Kind::AccountSet { set, .. } => check_account_set(account, *set)?,
        Kind::OfferCreate => check_offer(view, account, tx)?,
        _ => {}
    }
    check_trust_set(view, account, tx)?;
    check_clawback(view, account, tx)?;
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
    let prior = tx.json.get("AccountTxnID");
    if prior.is_some_and(|prior| account.settings.get("AccountTxnID") != Some(prior)) {
        return Err(Ter::TefWrongPrior);
    }
    Ok(account)
}

fn check_key(view: &View<'_>, account: &Account, tx: &Tx) -> Result<(), Ter> {
    match tx.signer {
        None => check_signers(view, account, &tx.signers),
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
    let paths = tx.json.get("Paths").and_then(Value::as_array);
    let is_too_long = |path: &Value| {
        path.as_array()
            .is_some_and(|path| path.len() > PATH_STOPS_MAX)
    };
    let too_many =
        paths.is_some_and(|paths| paths.len() > PATHS_MAX || paths.iter().any(is_too_long));
    if mode.open && too_many {
        return Err(Ter::TelBadPathCount);
    }
    Ok(())
}

fn do_apply(
    draft: &mut Draft<'_, '_>,
    tx: &Tx,
    balance_before: u64,
) -> Result<Option<Delivered>, Ter> {
    match tx.kind {
        Kind::Payment { destination, .. } => {
            return pay(draft, tx, balance_before, destination).map(Some);
        }
        Kind::AccountDelete { destination } => {
            let money = delete(draft, tx, &destination);
            return Ok(Some(Delivered {
                money,
                in_metadata: true,
            }));
        }
        Kind::TrustSet => trust_set(draft, tx, balance_before)?,
        Kind::Clawback => claw_back(draft, tx)?,
        Kind::OfferCreate => offer_create(draft, tx, balance_before)?,
        Kind::Creates(made) => create(draft, tx, balance_before, made)?,
        Kind::AccountSet { set, clear } => {
            let has_list = draft.entry(&list_index(&tx.account)).is_some();
            let after = account_set(tx, draft.account(&tx.account), has_list, (set, clear))?;
            draft.put(after);
        }
        Kind::SetRegularKey { key } => set_regular_key(draft, tx, key)?,
        Kind::SignerListSet => set_signer_list(draft, tx, balance_before)?,
        Kind::TicketCreate { count } => create_tickets(draft, tx, balance_before, count)?,
        Kind::DepositPreauth {
            authorize,
            unauthorize,
        } => preauthorize(draft, tx, balance_before, (authorize, unauthorize))?,
        Kind::NoSuchObject(_) | Kind::Other => unreachable!("refused before"),
    }
    Ok(None)
}

fn set_regular_key(draft: &mut Draft<'_, '_>, tx: &Tx, key: Option<AccountId>) -> Result<(), Ter> {
    let account = draft.account(&tx.account);
    let has_list = draft.entry(&list_index(&tx.account)).is_some();
    if key.is_none() && account.has(LSF_DISABLE_MASTER) && !has_list {
        return Err(Ter::TecNoAlternativeKey);
    }
    let is_free = tx.signer == Some(tx.account) && !account.has(LSF_PASSWORD_SPENT);
    draft.change(&tx.account, |account| {
        account.regular_key = key;
        if is_free {
            account.flags |= LSF_PASSWORD_SPENT;
        }
    });
    Ok(())
}

fn create_tickets(
    draft: &mut Draft<'_, '_>,
    tx: &Tx,
    balance_before: u64,
    count: u32,
) -> Result<(), Ter> {
    let owner_count = draft.account(&tx.account).owner_count + count;
    if balance_before < draft.fees().reserve(owner_count) {
        return Err(Ter::TecInsufficientReserve);
    }
    let made_by = (tx.hash, draft.index());
    draft.change(&tx.account, |account| {
        account.owner_count = owner_count;
        let first = account.sequence;
        account.sequence += count;
        for ticket in first..account.sequence {
            account.tickets.insert(ticket, made_by);
            account.directory.add(account.id.ticket_index(ticket));
        }
    });
    Ok(())
}

fn preauthorize(
    draft: &mut Draft<'_, '_>,
    tx: &Tx,
    balance_before: u64,
    (authorize, unauthorize): (Option<AccountId>, Option<AccountId>),
) -> Result<(), Ter> {
    let owner_count = draft.account(&tx.account).owner_count + 1;
    if authorize.is_some() && balance_before < draft.fees().reserve(owner_count) {
        return Err(Ter::TecInsufficientReserve);
    }
    let made_by = (tx.hash, draft.index());
    draft.change(&tx.account, |account| {
        if let Some(other) = authorize {
            account.owner_count += 1;
            account.preauthorized.insert(other, made_by);
            account.directory.add(account.id.preauth_index(&other));
        }
        if let Some(other) = unauthorize {
            account.owner_count -= 1;
            account.preauthorized.remove(&other);
            let key = account.id.preauth_index(&other);
            account.directory.remove(&key, false);
        }
    });
    Ok(())
}

/// True if the receiver lets this account pay in.
pub(super) fn may_receive(receiver: &Account, sender: &AccountId) -> bool {
    !receiver.has(LSF_DEPOSIT_AUTH)
        || receiver.id == *sender
        || receiver.preauthorized.contains_key(sender)
}

fn pay(
    draft: &mut Draft<'_, '_>,
    tx: &Tx,
    balance_before: u64,
    destination: AccountId,
) -> Result<Delivered, Ter> {
    let amount = tx.money("Amount").ok_or(Ter::TemBadAmount)?;
    let needs_a_way = tx.json.contains_key("SendMax") || tx.json.contains_key("Paths");
    let drops = match amount {
        Money::Xrp(drops) if !needs_a_way => {
            u64::try_from(drops).expect("checked that the amount is positive and at most all XRP")
        }
        _ => {
            if !may_receive(draft.account(&destination), &tx.account) {
                return Err(Ter::TecNoPermission);
            }
            let money = pay_tokens(draft, tx, destination)?;
            return Ok(Delivered {
                money,
                in_metadata: money != amount,
            });
        }
    };
    let owner_count = draft.account(&tx.account).owner_count;
    let keep = draft.fees().reserve(owner_count).max(fee_drops(tx));
    let needed = drops.checked_add(keep);
    if needed.is_none_or(|needed| balance_before < needed) {
        return Err(Ter::TecUnfundedPayment);
    }
    let index = draft.index();
    let receiver = draft.find(&destination).cloned();
    let mut receiver = receiver.unwrap_or_else(|| Account::new(destination, 0, index));
    let base_reserve = draft.fees().reserve(0);
    let is_small = drops <= base_reserve && receiver.balance <= base_reserve;
    if !may_receive(&receiver, &tx.account) && !is_small {
        return Err(Ter::TecNoPermission);
    }
    draft.change(&tx.account, |sender| sender.balance -= drops);
    receiver.balance += drops;
    receiver.flags &= !LSF_PASSWORD_SPENT;
    draft.put(receiver);
    Ok(Delivered {
        money: amount,
        in_metadata: false,
    })
}
