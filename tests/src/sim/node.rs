//! One server of the network: its open ledger, what it holds and retries, and what it answers to `submit`.
//!
//! Owns: everything that a restart loses. May not: read clocks or sockets; time comes in with every call. What it has for
//! other servers it leaves in its outbox, and it closes ledgers when it is told to (`closing`).

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::apply::{Applied, Mode, apply, base_fee};
use super::blob::Tx;
use super::codes::Ter;
use super::entries::Entry;
use super::faults::Order;
use super::hub::Hub;
use super::lines::{Line, LineKey};
use super::load::Load;
use super::queue::{BASE_LEVEL, Queue, fee, mul_div};
use super::rpc_server::server_status;
use super::script::Plans;
use super::standing::{ServerMode, Standing};
use super::state::{Account, Overlay};
use super::store::Store;
use super::tamper::Tampering;
use super::types::{AccountId, Hash, Millis};
use super::world::World;

/// Ledgers for which a server goes on trying what it was given itself.
const LOCAL_LEDGERS: u32 = 5;
/// Held successors that are tried after a success.
const POPPED_MAX: usize = 10;
/// A transaction is not relayed again for this long.
pub(super) const RELAY_MS: u64 = 30_000;
/// How long a malformed transaction is remembered.
const BAD_MS: u64 = 300_000;
/// A held transaction whose end is this near is held again.
const HELD_NEAR_END_LEDGERS: u32 = 5;
/// Transactions that a server remembers; the oldest go first.
const CACHE_TXS_MAX: usize = 65_536;

/// What `submit` found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Submitted {
    /// Preliminary result.
    pub ter: Ter,
    /// In the open ledger now.
    pub applied: bool,
    /// Waits for the open ledger's fee to drop.
    pub queued: bool,
    /// Sent to peers now.
    pub broadcast: bool,
    /// Will be tried again by this server.
    pub kept: bool,
    /// Sequence of the account in the open ledger; None if the blob was known to be bad and not looked at.
    pub account_sequence: Option<u32>,
    /// The same, counting what waits in the queue.
    pub sequence_available: u32,
    /// What this transaction must pay to enter the open ledger, in drops.
    pub open_ledger_cost: u64,
}

/// A blob as it arrived, for who checks a gateway from above.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    /// Which transaction.
    pub tx: Arc<Tx>,
    /// What was answered.
    pub ter: Ter,
    /// When.
    pub at: Millis,
}

/// What tests make go wrong next.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Script {
    /// So many answers to `submit` are never sent; the transaction is processed all the same.
    pub drop_submit_answers: u32,
    /// So many `submit` requests are not even processed, and never answered.
    pub drop_submit_requests: u32,
    /// After so many successes the successors that were held get their turn only with what the server is given next, as
    /// happens to releases that leave it to another thread.
    pub late_successors: u32,
}

/// Who gave a server a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Giver {
    /// A client; the server goes on trying what it was given.
    Client,
    /// Another server, which does so itself.
    Peer,
}

pub(super) struct Local {
    pub(super) tx: Arc<Tx>,
    pub(super) expires: u32,
}

#[derive(Default)]
pub(super) struct Open {
    pub(super) over: Overlay,
    pub(super) txs: Vec<Arc<Tx>>,
}

/// The server.
pub(super) struct Node {
    /// The chain that it knows.
    pub world: World,
    /// Who listens.
    pub hub: Hub,
    /// How it stands to its network.
    pub standing: Standing,
    /// What it has for its peers.
    pub outbox: Vec<Arc<Tx>>,
    /// What peers have sent and it has not looked at yet.
    pub inbox: VecDeque<Arc<Tx>>,
    /// Orders for the network, in the order in which they came.
    pub orders: Vec<Order>,
    /// Its network takes orders from it; otherwise it carries them out itself.
    pub takes_orders: bool,
    /// Nobody listens at its addresses.
    pub is_gone: bool,
    /// What is wrong with what it says.
    pub tampering: Tampering,
    /// What the public port's clients ask for; None: they may ask for anything.
    pub load: Option<Load>,
    /// Faults to come.
    pub script: Script,
    /// Answers that are scripted.
    pub plans: Plans,
    /// What waits for the open ledger's fee to drop; None if every ledger is large enough.
    pub queue: Option<Queue>,
    /// Pages of a history hold at most so many entries.
    pub page_entries: Option<u64>,
    /// Blobs whose signature was found bad.
    pub bad_signatures: HashSet<Hash>,
    /// Every blob that arrived and passed the local checks.
    pub arrivals: Vec<Arrival>,
    /// The fee level that subscribers were told last.
    told_level: Option<u64>,
    pub(super) store: Option<Store>,
    pub(super) stopped: bool,
    pub(super) capacity: Option<usize>,
    pub(super) open: Open,
    pub(super) held: BTreeMap<(AccountId, u32, Hash), Arc<Tx>>,
    held_before: HashSet<Hash>,
    later: Vec<Arc<Tx>>,
    pub(super) locals: Vec<Local>,
    cache: HashMap<Hash, Arc<Tx>>,
    cache_order: VecDeque<Hash>,
    pub(super) bad_until: HashMap<Hash, Millis>,
    pub(super) relayed_at: HashMap<Hash, Millis>,
}

impl Node {
    /// A server that has just started on this chain.
    pub(super) fn new(world: World, store: Option<Store>, capacity: Option<usize>) -> Self {
        Self {
            world,
            hub: Hub::default(),
            standing: Standing::default(),
            outbox: Vec::new(),
            inbox: VecDeque::new(),
            orders: Vec::new(),
            takes_orders: false,
            is_gone: false,
            tampering: Tampering::default(),
            load: None,
            script: Script::default(),
            plans: Plans::default(),
            queue: None,
            page_entries: None,
            bad_signatures: HashSet::new(),
            arrivals: Vec::new(),
            told_level: None,
            store,
            stopped: false,
            capacity,
            open: Open::default(),
            held: BTreeMap::new(),
            held_before: HashSet::new(),
            later: Vec::new(),
            locals: Vec::new(),
            cache: HashMap::new(),
            cache_order: VecDeque::new(),
            bad_until: HashMap::new(),
            relayed_at: HashMap::new(),
        }
    }

    /// Index of the open ledger.
    pub(super) fn open_index(&self) -> u32 {
        self.world.closed().index + 1
    }

    /// The transactions in the open ledger, in the order in which they were applied.
    pub(super) fn open_txs(&self) -> &[Arc<Tx>] {
        &self.open.txs
    }

    /// An account in the open ledger.
    pub(super) fn open_account(&mut self, id: &AccountId) -> Option<Account> {
        self.world.view(&mut self.open.over).get(id).cloned()
    }

    /// A trust line in the open ledger.
    pub(super) fn open_line(&mut self, key: &LineKey) -> Option<Line> {
        self.world.view(&mut self.open.over).line(key).cloned()
    }

    /// Another object in the open ledger.
    pub(super) fn open_entry(&mut self, key: &Hash) -> Option<Entry> {
        self.world.view(&mut self.open.over).entry(key).cloned()
    }

    /// Names of all lines that the account ever had, by their keys in the ledger.
    pub(super) fn line_keys(&self, id: &AccountId) -> HashMap<Hash, LineKey> {
        let validated = self.world.accounts.line_keys();
        let keys = validated.chain(self.open.over.lines.keys());
        keys.filter(|key| [key.low, key.high].contains(id))
            .map(|key| (key.index(), *key))
            .collect()
    }

    /// A transaction that this server was given since it started.
    pub(super) fn cached(&self, hash: &Hash) -> Option<&Arc<Tx>> {
        self.cache.get(hash)
    }

    /// Takes a transaction from a client. If a peer's copy of it waits to be looked at, the answer tells what came of that.
    pub(super) fn submit(&mut self, tx: &Arc<Tx>, fail_hard: bool, now: Millis) -> Submitted {
        if self.inbox.iter().any(|waiting| waiting.hash == tx.hash) {
            self.inbox.retain(|waiting| waiting.hash != tx.hash);
            return self.take(tx, fail_hard, Giver::Peer, now);
        }
        self.take(tx, fail_hard, Giver::Client, now)
    }

    /// Its mode changes, and who listens hears of it.
    pub(super) fn enter(&mut self, mode: ServerMode) {
        self.standing.mode = mode;
        self.publish_status();
    }

    /// Tells who listens if the fees are not what they were told last.
    pub(super) fn report_fees(&mut self) {
        if self.told_level != Some(self.required_level()) {
            self.publish_status();
        }
    }

    fn publish_status(&mut self) {
        if self.hub.has_server_stream() {
            self.told_level = Some(self.required_level());
            self.hub.publish_status(&server_status(self));
        }
    }

    /// Its process ended and was started as this fresh one. Who was connected is not any more; what befalls it stays.
    pub(super) fn start_again(&mut self, fresh: Node) {
        let old = std::mem::replace(self, fresh);
        self.hub = Hub::after(&old.hub);
        self.arrivals = old.arrivals;
        self.script = old.script;
        self.plans = old.plans;
        self.tampering = old.tampering;
        self.orders = old.orders;
        self.takes_orders = old.takes_orders;
    }

    /// It has fetched the network's ledgers and begins with them.
    pub(super) fn join(&mut self, world: World) {
        self.world = world;
        self.open = Open::default();
    }

    /// Looks at what peers have sent.
    pub(super) fn receive(&mut self, now: Millis) {
        while let Some(tx) = self.inbox.pop_front() {
            self.take(&tx, false, Giver::Peer, now);
        }
    }

    fn take(&mut self, tx: &Arc<Tx>, fail_hard: bool, giver: Giver, now: Millis) -> Submitted {
        self.remember(tx);
        for successor in std::mem::take(&mut self.later) {
            self.retry_held(successor, now);
        }
        if self
            .bad_until
            .get(&tx.hash)
            .is_some_and(|until| now < *until)
        {
            self.mark_bad(tx.hash, now);
            let ter = Ter::TemBadSignature;
            self.arrivals.push(Arrival {
                tx: tx.clone(),
                ter,
                at: now,
            });
            return Submitted {
                ter,
                applied: false,
                queued: false,
                broadcast: false,
                kept: false,
                account_sequence: None,
                sequence_available: 0,
                open_ledger_cost: 0,
            };
        }
        let (ter, applied) = self.try_open(tx, fail_hard, now);
        self.arrivals.push(Arrival {
            tx: tx.clone(),
            ter,
            at: now,
        });
        let kept = giver == Giver::Client && (!fail_hard || ter == Ter::TesSuccess);
        if kept {
            let last = self.open_index() + LOCAL_LEDGERS;
            let expires = tx
                .last_ledger
                .map_or(last, |end| end.saturating_add(1).min(last));
            self.locals.push(Local {
                tx: tx.clone(),
                expires,
            });
        }
        if !fail_hard && holds(ter) {
            self.hold(tx.clone());
        }
        let queued = ter == Ter::TerQueued;
        // A server that is not sure of itself lets others judge.
        let asks_others =
            giver == Giver::Client && !fail_hard && self.standing.mode != ServerMode::Full;
        let broadcast = (applied || queued || asks_others) && self.relay(tx, now);
        // The successors come after the answer: as recorded, it does not count them.
        let account_sequence = self
            .open_account(&tx.account)
            .map_or(0, |account| account.sequence);
        let sequence_available = self.queue.as_ref().map_or(account_sequence, |queue| {
            queue.next_sequence(&tx.account, account_sequence)
        });
        let open_ledger_cost = self.open_ledger_cost(tx);
        if ter == Ter::TesSuccess {
            self.pop_successors(tx, now);
        }
        if applied {
            self.report_fees();
        }
        Submitted {
            ter,
            applied,
            queued,
            broadcast,
            kept,
            account_sequence: Some(account_sequence),
            sequence_available,
            open_ledger_cost,
        }
    }

    /// The fee level that opens the open ledger now.
    pub(super) fn required_level(&self) -> u64 {
        let open_txs = self.open.txs.len();
        let queue = self.queue.as_ref();
        queue.map_or(BASE_LEVEL, |queue| queue.required_level(open_txs))
    }

    fn open_ledger_cost(&mut self, tx: &Tx) -> u64 {
        let level = self.required_level();
        let base = base_fee(&self.world.view(&mut self.open.over), tx);
        mul_div(level, base, BASE_LEVEL)
    }

    fn remember(&mut self, tx: &Arc<Tx>) {
        if self.cache.insert(tx.hash, tx.clone()).is_none() {
            self.cache_order.push_back(tx.hash);
        }
        if self.cache_order.len() > CACHE_TXS_MAX
            && let Some(oldest) = self.cache_order.pop_front()
        {
            self.cache.remove(&oldest);
        }
    }

    fn mark_bad(&mut self, hash: Hash, now: Millis) {
        self.bad_until.insert(hash, Millis(now.0 + BAD_MS));
    }

    /// True if it goes out to peers: not if it did a moment ago.
    pub(super) fn relay(&mut self, tx: &Arc<Tx>, now: Millis) -> bool {
        let recently = self
            .relayed_at
            .get(&tx.hash)
            .is_some_and(|at| now.0 < at.0 + RELAY_MS);
        if !recently {
            self.relayed_at.insert(tx.hash, now);
            if self.standing.peers > 0 {
                self.outbox.push(tx.clone());
            }
        }
        !recently
    }

    /// How many times more than the network this server demands.
    pub(super) fn load_factor(&self) -> u64 {
        self.tampering.load_factor.max(1)
    }

    /// Tries the open ledger, and tells the subscribers if it changed.
    fn try_open(&mut self, tx: &Arc<Tx>, fail_hard: bool, now: Millis) -> (Ter, bool) {
        let mut view = self.world.view(&mut self.open.over);
        let mode = Mode {
            fail_hard,
            ..Mode::OPEN
        };
        let factor = self.tampering.load_factor.max(1);
        let demanded = base_fee(&view, tx).saturating_mul(factor);
        let applied = match &mut self.queue {
            _ if factor > 1 && fee(tx) < demanded => Applied {
                ter: Ter::TelInsufFeeP,
                effect: None,
            },
            None => apply(&mut view, tx, mode),
            Some(queue) => queue.place(&mut view, self.open.txs.len(), tx, fail_hard),
        };
        if applied.ter.is_tem() {
            self.mark_bad(tx.hash, now);
        }
        if applied.effect.is_none() {
            return (applied.ter, false);
        }
        self.open.txs.push(tx.clone());
        // Who is named hears of it now; who is affected is known when a ledger holds it.
        let affected = tx.mentioned();
        let open_index = self.open_index();
        self.hub
            .publish_proposed(tx, applied.ter, &affected, open_index);
        (applied.ter, true)
    }

    fn hold(&mut self, tx: Arc<Tx>) {
        self.held
            .insert((tx.account, tx.ticket.unwrap_or(tx.sequence), tx.hash), tx);
    }

    /// After a success the next ones of that account that were held get their turn.
    fn pop_successors(&mut self, tx: &Tx, now: Millis) {
        let mut successors = Vec::new();
        let mut next = tx.sequence.saturating_add(1);
        while successors.len() < POPPED_MAX {
            // Another version of the one before stands in front, and a real server does not look past it.
            let before = next.saturating_sub(1);
            let stale =
                (tx.account, before, Hash([0; 32]))..=(tx.account, before, Hash([0xFF; 32]));
            if self.held.range(stale).next().is_some() {
                break;
            }
            let range = (tx.account, next, Hash([0; 32]))..=(tx.account, next, Hash([0xFF; 32]));
            let Some(key) = self.held.range(range).next().map(|(key, _)| *key) else {
                break;
            };
            successors.extend(self.held.remove(&key));
            next = next.saturating_add(1);
        }
        if let Some(left) = self.script.late_successors.checked_sub(1) {
            self.script.late_successors = left;
            self.later.extend(successors);
            return;
        }
        for successor in successors {
            self.retry_held(successor, now);
        }
    }

    pub(super) fn retry_held(&mut self, tx: Arc<Tx>, now: Millis) {
        let (ter, applied) = self.try_open(&tx, false, now);
        if applied {
            self.relay(&tx, now);
        } else if holds(ter) {
            // A passed end wraps around to a distance that is not near.
            let distance = tx
                .last_ledger
                .map(|end| end.wrapping_sub(self.open_index()));
            let near_end = distance.is_some_and(|ledgers| ledgers <= HELD_NEAR_END_LEDGERS);
            if near_end || self.held_before.insert(tx.hash) {
                self.hold(tx);
            }
        }
    }

    /// Ends it: no ledger closes any more, and its file is free for the next server.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.store = None;
    }
}

/// Results after which a server keeps a transaction to try it when the ledger closes.
fn holds(ter: Ter) -> bool {
    !ter.is_in_ledger() && !ter.is_tem() && ter != Ter::TefPastSeq
}
