//! The transaction queue: what a transaction must pay to enter the open ledger now, and where it waits if it pays less.
//!
//! Owns: the open ledger's fee level, the expected size of ledgers, the waiting transactions and their order; all in the
//! integer arithmetic of a real server. May not: know who submitted what, nor apply anything except through `apply`.
//! Not built: paying for the transactions in front (fee averaging), and the penalties for accounts whose transactions fail.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::apply::{Applied, Mode, apply, base_fee, check};
use super::blob::{Kind, Tx};
use super::codes::Ter;
use super::preflight::preflight;
use super::shapes::object;
use super::state::{Overlay, View};
use super::types::{AccountId, Hash};

/// Fee level of a transaction that pays exactly its base fee.
pub(super) const BASE_LEVEL: u64 = 256;
/// The least that fees are multiplied by once a ledger is full: 500 base fees.
const MULTIPLIER_MIN: u64 = BASE_LEVEL * 500;
/// Ledgers of at most this size are normal whatever is expected.
const TARGET_SIZE: u64 = 256;
/// Full ledgers that are remembered.
const RECENT_LEDGERS_MAX: usize = 20;
/// A full ledger raises the expectation to so many hundredths of its size.
const INCREASE_PERCENT: u64 = 120;
/// After a slow ledger the expectation is so many hundredths of its size, and at most of what it was.
const SLOW_PERCENT: u64 = 50;
/// But never less than this.
const EXPECTED_MIN: u64 = 32;
/// The queue holds as many transactions as this many ledgers.
const LEDGERS_IN_QUEUE: u64 = 20;
/// But never fewer than this.
const QUEUE_TXS_MIN: u64 = 2000;
/// Transactions of one account that may wait.
const ACCOUNT_TXS_MAX: usize = 10;
/// A replacement must pay more than so many hundredths of what the old one pays.
const REPLACE_PERCENT: u64 = 125;
/// Ledgers beyond the open one for which a waiting transaction must be good.
const LAST_LEDGER_BUFFER: u32 = 2;
/// Tries at the head of the queue.
const RETRIES: u8 = 10;

struct Queued {
    tx: Arc<Tx>,
    level: u64,
    fee: u64,
    spend: u64,
    blocks: bool,
    retries: u8,
}

impl Queued {
    fn slot(&self) -> (bool, u32) {
        slot(&self.tx)
    }
}

/// The Sequence or ticket of a transaction; Sequences come before tickets.
fn slot(tx: &Tx) -> (bool, u32) {
    (tx.ticket.is_some(), tx.ticket.unwrap_or(tx.sequence))
}

/// How long the servers took to agree on a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// As ever.
    Normal,
    /// Too long: ledgers are taken to be too large.
    Slow,
}

/// The queue of one server.
pub(super) struct Queue {
    expected: u64,
    recent: VecDeque<u64>,
    multiplier: u64,
    has_closed: bool,
    parent: Hash,
    /// The open ledger costs so many times more.
    pub spike: u64,
    /// Nobody else gets in.
    pub takes_nobody: bool,
    /// In the order in which they enter the open ledger.
    txs: Vec<Queued>,
}

impl Queue {
    /// An empty queue of a server that expects ledgers of this size.
    pub(super) fn new(expected: u64) -> Self {
        Self {
            expected,
            recent: VecDeque::new(),
            multiplier: MULTIPLIER_MIN,
            has_closed: false,
            parent: Hash::default(),
            spike: 1,
            takes_nobody: false,
            txs: Vec::new(),
        }
    }

    /// Throws out everybody who waits.
    pub(super) fn evict(&mut self) {
        self.txs.clear();
    }

    /// Transactions that wait.
    pub(super) fn len(&self) -> usize {
        self.txs.len()
    }

    /// Transactions that a ledger may hold before fees rise.
    pub(super) fn expected(&self) -> u64 {
        self.expected
    }

    /// Transactions that may wait; None until a ledger closed, and then so many as come.
    pub(super) fn max_len(&self) -> Option<u64> {
        let most = (self.expected * LEDGERS_IN_QUEUE).max(QUEUE_TXS_MIN);
        self.has_closed.then_some(most)
    }

    /// What fees are multiplied by when a ledger is full.
    pub(super) fn multiplier(&self) -> u64 {
        self.multiplier
    }

    /// The fee level that opens a ledger with so many transactions.
    pub(super) fn required_level(&self, open_txs: usize) -> u64 {
        let open_txs = open_txs as u64;
        if open_txs <= self.expected {
            return BASE_LEVEL * self.spike;
        }
        let level = mul_div(
            self.multiplier,
            open_txs * open_txs,
            self.expected * self.expected,
        );
        level.saturating_mul(self.spike)
    }

    /// The next Sequence of the account, counting what waits.
    pub(super) fn next_sequence(&self, account: &AccountId, sequence: u32) -> u32 {
        let mut next = sequence;
        for queued in self.of(account) {
            if queued.slot() == (false, next) {
                next = following(&queued.tx);
            }
        }
        next
    }

    fn of(&self, account: &AccountId) -> impl Iterator<Item = &Queued> {
        let mut of: Vec<&Queued> = self
            .txs
            .iter()
            .filter(|queued| queued.tx.account == *account)
            .collect();
        of.sort_by_key(|queued| queued.slot());
        of.into_iter()
    }

    /// What `account_info` says of it.
    pub(super) fn account_json(&self, account: &AccountId) -> Value {
        let txs: Vec<&Queued> = self.of(account).collect();
        if txs.is_empty() {
            return json!({ "txn_count": 0 });
        }
        let sequences = || txs.iter().filter(|queued| queued.tx.ticket.is_none());
        let tickets = || txs.iter().filter(|queued| queued.tx.ticket.is_some());
        let total: u64 = txs.iter().map(|queued| queued.fee + queued.spend).sum();
        let mut data = object(json!({
            "auth_change_queued": txs.iter().any(|queued| queued.blocks),
            "max_spend_drops_total": total.to_string(),
            "transactions": txs.iter().map(|queued| queued_json(queued)).collect::<Vec<_>>(),
            "txn_count": txs.len(),
        }));
        let mut count = |name: &str, slots: Vec<u32>| {
            if let (Some(lowest), Some(highest)) = (slots.iter().min(), slots.iter().max()) {
                data.insert(format!("{name}_count"), json!(slots.len()));
                data.insert(format!("lowest_{name}"), json!(lowest));
                data.insert(format!("highest_{name}"), json!(highest));
            }
        };
        count(
            "sequence",
            sequences().map(|queued| queued.slot().1).collect(),
        );
        count("ticket", tickets().map(|queued| queued.slot().1).collect());
        Value::Object(data)
    }

    /// All that waits, in order, as `ledger` shows it with `queue`.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&Arc<Tx>, Map<String, Value>)> {
        self.txs.iter().map(|queued| {
            let mut facts = queued_json(queued);
            facts.remove("seq");
            facts.remove("ticket");
            facts.insert("retries_remaining".into(), json!(queued.retries));
            facts.insert("preflight_result".into(), json!("tesSUCCESS"));
            facts.insert("account".into(), json!(queued.tx.account.to_string()));
            (&queued.tx, facts)
        })
    }

    /// Puts a transaction into the open ledger, or into the queue, or says why neither.
    pub(super) fn place(
        &mut self,
        view: &mut View<'_>,
        open_txs: usize,
        tx: &Arc<Tx>,
        fail_hard: bool,
    ) -> Applied {
        let mode = Mode {
            fail_hard,
            ..Mode::OPEN
        };
        let not = |ter| Applied { ter, effect: None };
        if let Err(ter) = preflight(view, tx) {
            return not(ter);
        }
        let Some(account) = view.get(&tx.account).cloned() else {
            return not(Ter::TerNoAccount);
        };
        let level = paid_level(view, tx);
        let in_turn = tx.ticket.is_some() || tx.sequence == account.sequence;
        if in_turn && level >= self.required_level(open_txs) {
            let applied = apply(view, tx, mode);
            if applied.effect.is_some() {
                self.txs
                    .retain(|queued| queued.tx.account != tx.account || queued.slot() != slot(tx));
            }
            return applied;
        }
        match self.queue(view, tx, account.sequence, fail_hard) {
            Ok(()) => not(Ter::TerQueued),
            Err(ter) => not(ter),
        }
    }

    fn queue(
        &mut self,
        view: &mut View<'_>,
        tx: &Arc<Tx>,
        sequence: u32,
        fail_hard: bool,
    ) -> Result<(), Ter> {
        let account = view.get(&tx.account).ok_or(Ter::TerNoAccount)?;
        if let Some(ticket) = tx.ticket
            && !account.tickets.contains_key(&ticket)
        {
            return Err(if ticket < sequence {
                Ter::TefNoTicket
            } else {
                Ter::TerPreTicket
            });
        }
        let level = paid_level(view, tx);
        let others: Vec<&Queued> = self
            .of(&tx.account)
            .filter(|queued| queued.slot() >= (false, sequence))
            .collect();
        let first = others.first().map(|queued| (queued.slot(), queued.blocks));
        if blocks(tx) && (others.len() > 1 || first.is_some_and(|(other, _)| other != slot(tx))) {
            return Err(Ter::TelCanNotQueueBlocks);
        }
        if others.len() == 1 && first.is_some_and(|(other, blocks)| blocks && other != slot(tx)) {
            return Err(Ter::TelCanNotQueueBlocked);
        }
        let replaced = others.iter().find(|queued| queued.slot() == slot(tx));
        if replaced.is_some_and(|old| level <= mul_div(old.level, REPLACE_PERCENT, 100)) {
            return Err(Ter::TelCanNotQueueFee);
        }
        let replaces = replaced.is_some();
        let mut over = view.over.clone();
        if others.is_empty() {
            if tx.ticket.is_none() && tx.sequence != sequence {
                return Err(if tx.sequence < sequence {
                    Ter::TefPastSeq
                } else {
                    Ter::TerPreSeq
                });
            }
        } else {
            if !replaces {
                self.can_be_held(view, tx, sequence, fail_hard)?;
            }
            if tx.ticket.is_none() {
                if tx.sequence < sequence {
                    return Err(Ter::TefPastSeq);
                }
                if !replaces && tx.sequence != self.next_sequence(&tx.account, sequence) {
                    return Err(
                        if first.is_some_and(|(other, _)| other != (false, sequence)) {
                            Ter::TerPreSeq
                        } else {
                            Ter::TelCanNotQueue
                        },
                    );
                }
            }
            let before = others.iter().filter(|queued| queued.slot() != slot(tx));
            let (fees, spends) = before.fold((0_u64, 0_u64), |(fees, spends), queued| {
                (fees + queued.fee, spends.saturating_add(queued.spend))
            });
            let reserve = view.fees.reserve(0);
            let small_fees = reserve > 10 * view.fees.base_drops;
            if fees >= account.balance || (small_fees && fees >= reserve) {
                return Err(Ter::TelCanNotQueueBalance);
            }
            let spends = fees + spends.min(account.balance - account.balance.min(reserve));
            let mut later = account.clone();
            later.balance -= spends.min(account.balance);
            later.sequence = if tx.ticket.is_some() {
                sequence
            } else {
                tx.sequence
            };
            over = Overlay::with(over, later);
        }
        let has_others = !others.is_empty();
        let later = View {
            over: &mut over,
            ..*view
        };
        match check(&later, tx, Mode::OPEN) {
            Ok(()) => {}
            Err(ter) if ter.is_tec() => {}
            Err(ter) => return Err(ter),
        }
        if !has_others {
            self.can_be_held(view, tx, sequence, fail_hard)?;
        }
        let is_full = self
            .max_len()
            .is_some_and(|most| self.txs.len() as u64 >= most);
        if !replaces && self.takes_nobody {
            return Err(Ter::TelCanNotQueueFull);
        }
        if !replaces && is_full {
            let cheapest = self.txs.last().map(|queued| queued.level);
            if cheapest.is_some_and(|cheapest| level <= cheapest) {
                return Err(Ter::TelCanNotQueueFull);
            }
            self.txs.pop();
        }
        self.txs
            .retain(|queued| queued.tx.account != tx.account || queued.slot() != slot(tx));
        self.txs.push(Queued {
            level,
            fee: fee(tx),
            spend: spend(tx),
            blocks: blocks(tx),
            retries: RETRIES,
            tx: tx.clone(),
        });
        self.sort();
        Ok(())
    }

    fn can_be_held(
        &self,
        view: &View<'_>,
        tx: &Tx,
        sequence: u32,
        fail_hard: bool,
    ) -> Result<(), Ter> {
        let too_short = tx
            .last_ledger
            .is_some_and(|last| last < view.index + LAST_LEDGER_BUFFER);
        if fail_hard || too_short || tx.json.contains_key("AccountTxnID") {
            return Err(Ter::TelCanNotQueue);
        }
        if self.of(&tx.account).count() < ACCOUNT_TXS_MAX {
            return Ok(());
        }
        let next = self.next_sequence(&tx.account, sequence);
        let fills_gap = tx.ticket.is_none()
            && tx.sequence == next
            && self
                .of(&tx.account)
                .any(|queued| queued.tx.ticket.is_none() && queued.slot().1 > next);
        if fills_gap {
            Ok(())
        } else {
            Err(Ter::TelCanNotQueueFull)
        }
    }

    /// Highest fee level first; among equals an order that changes with every ledger.
    fn sort(&mut self) {
        let parent = self.parent;
        self.txs.sort_by_cached_key(|queued| {
            let mut salted = queued.tx.hash.0;
            salted
                .iter_mut()
                .zip(parent.0)
                .for_each(|(byte, salt)| *byte ^= salt);
            (std::cmp::Reverse(queued.level), salted)
        });
    }

    /// Learns from a ledger that closed: its transactions' fee levels, how long it took, and its index and hash.
    pub(super) fn ledger_closed(
        &mut self,
        mut levels: Vec<u64>,
        pace: Pace,
        index: u32,
        hash: Hash,
    ) {
        self.has_closed = true;
        levels.sort_unstable();
        let size = levels.len() as u64;
        if pace == Pace::Slow {
            self.recent.clear();
            let most = mul_div(self.expected, SLOW_PERCENT, 100).max(EXPECTED_MIN);
            self.expected = mul_div(size, SLOW_PERCENT, 100).clamp(EXPECTED_MIN, most);
        } else if size > self.expected || size > TARGET_SIZE.max(self.expected) {
            self.recent.push_back(mul_div(size, INCREASE_PERCENT, 100));
            if self.recent.len() > RECENT_LEDGERS_MAX {
                self.recent.pop_front();
            }
            let most = self.recent.iter().copied().max().unwrap_or(size);
            self.expected = if most >= self.expected {
                most
            } else {
                (self.expected * 9 + most) / 10
            };
        }
        self.multiplier = match levels.len() {
            0 => MULTIPLIER_MIN,
            count => {
                let median = (levels[count / 2] + levels[(count - 1) / 2]).div_ceil(2);
                median.max(MULTIPLIER_MIN)
            }
        };
        self.txs
            .retain(|queued| queued.tx.last_ledger.is_none_or(|last| last > index));
        self.parent = hash;
        self.sort();
    }

    /// Moves what pays enough into the open ledger; gives what was moved.
    pub(super) fn accept(&mut self, view: &mut View<'_>, mut open_txs: usize) -> Vec<Arc<Tx>> {
        let mut moved = Vec::new();
        let mut position = 0;
        while let Some(queued) = self.txs.get(position) {
            let earlier = self
                .of(&queued.tx.account)
                .next()
                .is_some_and(|first| !queued.slot().0 && queued.slot() > first.slot());
            if earlier {
                position += 1;
                continue;
            }
            if queued.level < self.required_level(open_txs) {
                break;
            }
            let tx = queued.tx.clone();
            let applied = apply(view, &tx, Mode::OPEN);
            if applied.effect.is_some() {
                self.txs.remove(position);
                open_txs += 1;
                // The account's next one may pay more than those that follow here: it was passed over before.
                let next = self.of(&tx.account).next().map(|next| next.tx.hash);
                let at =
                    next.and_then(|next| self.txs.iter().position(|queued| queued.tx.hash == next));
                position = at.map_or(position, |at| at.min(position));
                moved.push(tx);
            } else if applied.ter.is_ter() && queued.retries > 0 {
                self.txs[position].retries -= 1;
                position += 1;
            } else {
                self.txs.remove(position);
            }
        }
        moved
    }
}

/// The fee level that a transaction pays.
pub(super) fn paid_level(view: &View<'_>, tx: &Tx) -> u64 {
    let base = base_fee(view, tx);
    // A free transaction counts as one that pays the usual fee on top.
    let free = if base == 0 { view.fees.base_drops } else { 0 };
    mul_div(fee(tx).saturating_add(free), BASE_LEVEL, base + free)
}

/// `a * b / c` without overflow on the way.
pub(super) fn mul_div(a: u64, b: u64, c: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) / u128::from(c.max(1))).unwrap_or(u64::MAX)
}

pub(super) fn fee(tx: &Tx) -> u64 {
    tx.fee.and_then(|fee| u64::try_from(fee).ok()).unwrap_or(0)
}

/// XRP that it may take from the account besides its fee.
fn spend(tx: &Tx) -> u64 {
    let drops = match tx.kind {
        Kind::Payment { drops, .. } => drops,
        _ => None,
    };
    drops
        .and_then(|drops| u64::try_from(drops).ok())
        .unwrap_or(0)
}

/// True if it may change who can sign, so that nothing may wait beside it.
fn blocks(tx: &Tx) -> bool {
    match tx.kind {
        Kind::SetRegularKey { .. } | Kind::SignerListSet => true,
        Kind::AccountSet { set, clear } => [set, clear].iter().any(|flag| [2, 4, 5].contains(flag)),
        _ => false,
    }
}

/// The Sequence after this transaction.
fn following(tx: &Tx) -> u32 {
    match tx.kind {
        Kind::TicketCreate { count } => tx.sequence.saturating_add(1).saturating_add(count),
        _ => tx.sequence.saturating_add(1),
    }
}

fn queued_json(queued: &Queued) -> Map<String, Value> {
    let mut facts = object(json!({
        "auth_change": queued.blocks,
        "fee": queued.fee.to_string(),
        "fee_level": queued.level.to_string(),
        "max_spend_drops": (queued.fee + queued.spend).to_string(),
    }));
    let (is_ticket, number) = queued.slot();
    facts.insert(
        if is_ticket { "ticket" } else { "seq" }.into(),
        json!(number),
    );
    if let Some(last) = queued.tx.last_ledger {
        facts.insert("LastLedgerSequence".into(), json!(last));
    }
    facts
}
