//! Several simulated servers of one network, without sockets and clocks: who hears what from whom, who closes which
//! ledger with whom, and who is lost and comes back.
//!
//! Owns: relay between servers, and the closing of one ledger by all that take part. May not: answer anything, nor decide
//! when something happens. What consensus and the wires do by chance is told to it, as a schedule; what the servers then
//! know and say follows from their own rules.

use std::collections::HashSet;
use std::sync::Arc;

use super::archive::Archive;
use super::blob::Tx;
use super::conduct::Conduct;
use super::direct::Direct;
use super::net::Shared;
use super::queue::Pace;
use super::standing::{Claims, ServerMode, Standing};
use super::store::Store;
use super::tamper::Met;
use super::types::{AccountId, Hash, Millis};
use super::world::{GenesisError, World};
use super::{Options, StoreError};

/// How often a server looks whether it still has peers enough.
const HEARTBEAT_MS: u64 = 1000;

/// How a network stood when a story began.
#[derive(Clone, Copy, Debug)]
pub struct Beginning {
    /// Number of servers.
    pub servers: usize,
    /// Lists of validators in each one's configuration.
    pub validator_lists: usize,
    /// A server with fewer peers gives the network up.
    pub peers_min: usize,
    /// The first ledger that the servers counted as validated; None if they never heard of one.
    pub first_validated: Option<u32>,
    /// The last one that they did.
    pub validated: u32,
    /// The last one that they closed.
    pub closed: u32,
    /// How far the servers had come.
    pub mode: ServerMode,
}

/// A ledger that the servers are about to agree on.
struct Round {
    txs: Vec<Arc<Tx>>,
    proposers: usize,
}

/// The servers of one network; the first has number 1.
pub struct Network {
    options: Options,
    peers_min: usize,
    validator_lists: usize,
    servers: Vec<Direct>,
    /// Servers that the others can reach.
    linked: Vec<bool>,
    /// Servers that have the network's ledgers.
    joined: Vec<bool>,
    /// When a server was last lost or found.
    counted_at: Millis,
    round: Option<Round>,
    conducts: Vec<Conduct>,
    /// Faults of the network as a whole that were met.
    pub(super) met: Met,
    store: Option<Store>,
}

impl Network {
    /// One standalone server. What it has before the first ledger that it saves it can only show.
    pub fn standalone(
        options: Options,
        first_saved: u32,
        now: Millis,
    ) -> Result<Self, GenesisError> {
        let server = Direct::new(options.clone(), now)?;
        server.shared().lock().world.begin_at(first_saved);
        Ok(Self {
            servers: vec![server],
            peers_min: 0,
            validator_lists: 0,
            linked: vec![true],
            joined: vec![true],
            counted_at: now,
            round: None,
            conducts: vec![Conduct::default()],
            met: Met::default(),
            store: None,
            options,
        })
    }

    /// Servers that validate, all connected, with empty ledgers behind them.
    pub fn new(options: Options, beginning: Beginning, now: Millis) -> Result<Self, GenesisError> {
        let count = beginning.servers;
        let mut network = Self {
            servers: Vec::new(),
            peers_min: beginning.peers_min,
            validator_lists: beginning.validator_lists,
            linked: vec![true; count],
            joined: vec![true; count],
            counted_at: now,
            round: None,
            conducts: vec![Conduct::default(); count],
            met: Met::default(),
            store: None,
            options,
        };
        for _ in 0..count {
            let server = network.start(now)?;
            let node = server.shared();
            let mut node = node.lock();
            while node.world.closed().index < beginning.closed {
                let proposed = node.propose(now);
                node.build(&proposed, &[], Pace::Normal, now)
                    .expect("nothing is kept in a file");
            }
            node.world.archive = match beginning.first_validated {
                None => Archive::joining(beginning.closed),
                Some(first) => {
                    let mut history = Archive::joining(first);
                    for index in first..=beginning.closed {
                        history.closed(index, now);
                    }
                    for index in first..=beginning.validated {
                        history
                            .validate(index, now)
                            .for_each(|index| history.publish(index));
                    }
                    history
                }
            };
            node.standing.mode = beginning.mode;
            node.standing.validates = beginning.mode == ServerMode::Full;
            node.standing.proposers = count - 1;
            drop(node);
            network.servers.push(server);
        }
        network.count_peers();
        Ok(network)
    }

    fn start(&self, now: Millis) -> Result<Direct, GenesisError> {
        let server = Direct::new(self.options.clone(), now)?;
        server.shared().lock().standing = Standing {
            standalone: false,
            mode: ServerMode::Disconnected,
            peers: 0,
            peers_min: self.peers_min,
            validator_lists: self.validator_lists,
            validates: true,
            proposers: 0,
            claims: Claims::Nothing,
        };
        Ok(server)
    }

    /// Servers that have a validated chain in common, from which they go on; the files that hold it, if any do.
    pub(super) fn serving(
        options: Options,
        servers: usize,
        (store, chain): (Option<Store>, World),
        now: Millis,
    ) -> Result<Self, GenesisError> {
        let closed = options.start_index;
        let beginning = Beginning {
            servers,
            validator_lists: 1,
            peers_min: 0,
            first_validated: Some(closed),
            validated: closed,
            closed,
            mode: ServerMode::Full,
        };
        let mut network = Self::new(options, beginning, now)?;
        network.store = store;
        for server in &network.servers {
            let node = server.shared();
            let mut node = node.lock();
            let release = node.world.release;
            let young = node.world.without_amendments;
            node.join(chain.acquired());
            node.world.release = release;
            node.world.without_amendments = young;
            let (first, last) = (chain.genesis.start_index, chain.closed().index);
            node.world.archive = Archive::whole_until(first, last, now);
            node.takes_orders = true;
        }
        Ok(network)
    }

    /// Ends it: its file is free for the next one.
    pub(super) fn stop(&mut self) {
        self.store = None;
        self.linked.fill(false);
    }

    /// How many servers there are.
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// True if there are none, which never is so.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    pub(super) fn conduct(&self, number: usize) -> Conduct {
        self.conducts[number - 1]
    }

    pub(super) fn conduct_mut(&mut self, number: usize) -> &mut Conduct {
        &mut self.conducts[number - 1]
    }

    /// True if the others reach the server and it has the network's ledgers.
    pub(super) fn is_in_touch(&self, number: usize) -> bool {
        self.linked[number - 1] && self.joined[number - 1]
    }

    /// The server is in touch with the others.
    pub(super) fn come_in_touch(&mut self, number: usize) {
        self.linked[number - 1] = true;
        self.joined[number - 1] = true;
        self.count_peers();
    }

    /// A server other than this one that has the chain everybody agrees on.
    pub(super) fn main(&self, other_than: usize) -> Option<Shared> {
        let mut takers = self.taking_part().into_iter();
        let main = takers.find(|taker| taker + 1 != other_than)?;
        Some(self.servers[main].shared())
    }

    /// Nothing gets into the next ledger.
    pub(super) fn leave_out_all(&mut self) {
        if let Some(round) = &mut self.round {
            round.txs.clear();
        }
    }

    /// Puts other versions of the same slots into the next ledger, of these that somebody once had; true if there was one.
    pub(super) fn replace_versions(&mut self, heard: &[Arc<Tx>]) -> bool {
        let Some(round) = &mut self.round else {
            return false;
        };
        let mut any = false;
        for tx in &mut round.txs {
            let same_slot = |other: &&Arc<Tx>| {
                (other.account, other.slot()) == (tx.account, tx.slot()) && other.hash != tx.hash
            };
            if let Some(other) = heard.iter().filter(same_slot).max_by_key(|tx| tx.hash) {
                *tx = other.clone();
                any = true;
            }
        }
        let mut seen: HashSet<(AccountId, (bool, u32))> = HashSet::new();
        round.txs.retain(|tx| seen.insert((tx.account, tx.slot())));
        any
    }

    /// A server by its number.
    pub fn server(&self, number: usize) -> &Direct {
        &self.servers[number - 1]
    }

    /// Lets time pass for all.
    pub fn pass(&mut self, milliseconds: u64) {
        for server in &mut self.servers {
            server.pass(milliseconds);
        }
    }

    /// Moves the time of all to this instant, never back; whoever then has too few peers notices.
    pub fn pass_to(&mut self, now: Millis) {
        for server in &mut self.servers {
            let behind = now.0.saturating_sub(server.now().0);
            server.pass(behind);
        }
        if now.0 < self.counted_at.0 + HEARTBEAT_MS {
            return;
        }
        for server in &self.servers {
            let node = server.shared();
            let mut node = node.lock();
            let standing = &node.standing;
            if standing.peers < standing.peers_min && standing.mode > ServerMode::Disconnected {
                node.enter(ServerMode::Disconnected);
            }
        }
    }

    /// What servers have for each other goes out; it is looked at by [`Self::receive`].
    pub fn relay(&mut self) {
        for from in 0..self.servers.len() {
            let sent = std::mem::take(&mut self.servers[from].shared().lock().outbox);
            if !self.conducts[from].is_heard() {
                continue;
            }
            for to in (0..self.servers.len()).filter(|to| *to != from) {
                let hears = self.conducts[to].hears();
                if self.linked[from] && self.linked[to] && self.joined[to] && hears {
                    let node = self.servers[to].shared();
                    node.lock().inbox.extend(sent.iter().cloned());
                }
            }
        }
    }

    /// All servers look at what they were sent.
    pub fn receive(&mut self) {
        for server in &self.servers {
            let now = server.now();
            server.shared().lock().receive(now);
        }
    }

    fn taking_part(&self) -> Vec<usize> {
        let does = |number: &usize| {
            self.linked[*number] && self.joined[*number] && self.conducts[*number].takes_part()
        };
        (0..self.servers.len()).filter(does).collect()
    }

    /// The servers close their open ledgers and begin to agree on what is in the next one: what any of them has.
    pub fn propose(&mut self) {
        let mut seen: HashSet<Hash> = HashSet::new();
        let mut txs = Vec::new();
        let takers = self.taking_part();
        for taker in &takers {
            let server = &self.servers[*taker];
            let proposed = server.shared().lock().propose(server.now());
            if !self.conducts[*taker].is_heard() {
                continue;
            }
            txs.extend(proposed.into_iter().filter(|tx| seen.insert(tx.hash)));
        }
        let proposers = takers.len().saturating_sub(1);
        self.round = Some(Round { txs, proposers });
    }

    /// They have agreed: all that are there build the ledger, and what came since waits for the next one.
    pub fn accept(&mut self, is_slow: bool) -> Result<(), StoreError> {
        let round = self
            .round
            .take()
            .expect("a ledger is proposed before it is accepted");
        let pace = if is_slow { Pace::Slow } else { Pace::Normal };
        let takers = self.taking_part();
        let Some(first) = takers.first() else {
            return Ok(());
        };
        // They agree, so one of them may build for all.
        let builder = &self.servers[*first];
        let close_time = builder.now().ledger_time();
        let (built, leftover) = builder.shared().lock().world.build(&round.txs, close_time);
        if let Some(store) = &mut self.store {
            store.append(&built.ledger)?;
        }
        for taker in takers {
            let server = &self.servers[taker];
            let node = server.shared();
            let mut node = node.lock();
            let is_new = |tx: &&Arc<Tx>| round.txs.iter().all(|proposed| proposed.hash != tx.hash);
            let others = node.open_txs().iter().filter(is_new).cloned();
            let next = leftover.iter().cloned().chain(others).collect();
            node.adopt(built.clone(), next, pace, server.now())?;
            node.standing.proposers = round.proposers;
            node.report_fees();
        }
        self.relay();
        Ok(())
    }

    /// A server learns that its closed ledgers are validated up to this one.
    pub fn validate(&mut self, number: usize, index: u32) {
        let server = &self.servers[number - 1];
        server.shared().lock().validate(index, server.now());
    }

    /// A server's mode changes.
    pub fn enter(&mut self, number: usize, mode: ServerMode) {
        self.servers[number - 1].shared().lock().enter(mode);
    }

    /// A server is gone.
    pub fn lose(&mut self, number: usize) {
        self.linked[number - 1] = false;
        self.joined[number - 1] = false;
        self.count_peers();
    }

    /// A lost server is started again. It remembers nothing and has no peers and no ledger yet.
    pub fn restart(&mut self, number: usize) -> Result<(), GenesisError> {
        let now = self.servers[number - 1].now();
        let fresh = self.start(now)?;
        self.servers[number - 1]
            .shared()
            .lock()
            .start_again(fresh.into_node());
        Ok(())
    }

    /// The others find a server.
    pub fn link(&mut self, number: usize) {
        self.linked[number - 1] = true;
        self.count_peers();
    }

    /// A server that was started again has fetched the last closed ledger and takes part from here on.
    pub fn join(&mut self, number: usize) {
        let from =
            (0..self.servers.len()).find(|server| self.joined[*server] && self.linked[*server]);
        let from = from.expect("somebody has the network's ledgers");
        let acquired = self.servers[from].shared().lock().world.acquired();
        let node = self.servers[number - 1].shared();
        let mut node = node.lock();
        node.join(acquired);
        node.enter(ServerMode::Full);
        drop(node);
        self.joined[number - 1] = true;
    }

    fn count_peers(&mut self) {
        self.counted_at = self.servers.first().map_or(self.counted_at, Direct::now);
        let linked = self.linked.iter().filter(|linked| **linked).count();
        for (server, is_linked) in self.servers.iter().zip(&self.linked) {
            let peers = if *is_linked { linked - 1 } else { 0 };
            server.shared().lock().standing.peers = peers;
        }
    }
}
