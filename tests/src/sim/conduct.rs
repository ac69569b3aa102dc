//! How single servers of a network go wrong, and how they come to themselves again.
//!
//! Owns: what a server in trouble does while the others close ledgers: it lags, stands still, builds a chain of its own, keeps what
//! it is given to itself, is gone. May not: change what servers answer otherwise (`tamper`), nor decide when trouble comes.

use std::sync::Arc;

use super::StoreError;
use super::blob::Tx;
use super::direct::{Direct, DirectSocket};
use super::faults::{DialHow, Fault, Order};
use super::network::Network;
use super::node::Node;
use super::queue::{Pace, Queue};
use super::rpc_server::EXPECTED_SIZE;
use super::standing::{Claims, ServerMode};
use super::state::Fees;
use super::tamper::Met;
use super::types::Millis;
use super::world::{Release, World};

/// A chain of one's own has other close times, and so other hashes even when it has the same transactions.
const OTHER_CLOSE_TIME_MS: u64 = 10_000;

/// What one server of a network does differently.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Conduct {
    /// Ledgers by which it learns late what is validated.
    lag: u32,
    /// It closes no ledger and learns of none.
    is_frozen: bool,
    /// It builds a chain of its own.
    side: Option<Side>,
    /// Nobody hears of what it is given.
    is_mute: bool,
}

/// What a server says of the chain that only it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// That it is closed.
    Closed,
    /// That everybody agreed on it.
    Validated,
}

impl Conduct {
    /// True if it builds ledgers with the others.
    pub(super) fn takes_part(&self) -> bool {
        !self.is_frozen && self.side.is_none()
    }

    /// True if the others hear of what it is given.
    pub(super) fn is_heard(&self) -> bool {
        !self.is_mute && self.side.is_none()
    }

    /// True if it hears of what others are given.
    pub(super) fn hears(&self) -> bool {
        self.takes_part()
    }
}

/// How the servers come to their next ledger.
#[derive(Clone, Copy, Debug, Default)]
pub struct Agreement {
    /// It took them long, so they expect less of a ledger.
    pub is_slow: bool,
    /// Nothing reached enough of them in time; it waits for the next one.
    pub is_empty: bool,
    /// They have several versions of one slot, and take the one with the highest hash, or one that its sender has replaced.
    pub prefers_other_versions: bool,
}

impl Network {
    /// The servers close one ledger, all that are well learn that it is validated, and those in trouble do what they do.
    pub fn agree(&mut self, how: Agreement, now: Millis) -> Result<(), StoreError> {
        self.pass_to(now);
        self.relay();
        self.receive();
        self.propose();
        self.shape(how);
        self.accept(how.is_slow)?;
        self.build_sides(now)?;
        self.receive();
        for number in 1..=self.len() {
            let closed = self.server(number).shared().lock().world.closed().index;
            self.learn(number, closed);
        }
        Ok(())
    }

    /// Changes what the servers have proposed before they accept it.
    pub fn shape(&mut self, how: Agreement) {
        for (is_so, number) in [(how.is_slow, 24), (how.is_empty, 25)] {
            if is_so {
                self.met.count(number);
            }
        }
        if how.prefers_other_versions {
            self.prefer_other_versions();
        }
        if how.is_empty {
            self.leave_out_all();
        }
    }

    /// Servers with chains of their own close the next ledger of them.
    pub fn build_sides(&mut self, now: Millis) -> Result<(), StoreError> {
        for number in 1..=self.len() {
            self.build_alone(number, now)?;
        }
        Ok(())
    }

    fn build_alone(&mut self, number: usize, now: Millis) -> Result<(), StoreError> {
        let Some(side) = self.conduct(number).side else {
            return Ok(());
        };
        let node = self.server(number).shared();
        let mut node = node.lock();
        let proposed = node.propose(now);
        let late = Millis(now.0 + OTHER_CLOSE_TIME_MS);
        node.build(&proposed, &[], Pace::Normal, late)?;
        if side == Side::Validated {
            let closed = node.world.closed().index;
            node.validate(closed, now);
        }
        Ok(())
    }

    /// A server hears that everything up to this ledger is validated, if it hears anything of the others, and believes it as late as
    /// it does.
    pub fn learn(&mut self, number: usize, index: u32) {
        if !self.is_in_touch(number) || !self.conduct(number).takes_part() {
            return;
        }
        let lag = self.conduct(number).lag;
        self.validate(number, index.saturating_sub(lag));
    }

    /// What servers left for the network while they answered: orders, and transactions for each other.
    pub(super) fn settle(&mut self, now: Millis) -> Result<(), StoreError> {
        self.pass_to(now);
        for number in 1..=self.len() {
            let orders = std::mem::take(&mut self.server(number).shared().lock().orders);
            for order in orders {
                match order {
                    Order::Close => self.agree(Agreement::default(), now)?,
                    Order::Fault(fault) => self.trouble(number, &fault, now),
                    Order::Heal => self.heal(number, now),
                }
            }
        }
        self.relay();
        self.receive();
        Ok(())
    }

    /// A server gets into trouble.
    pub fn trouble(&mut self, number: usize, fault: &Fault, now: Millis) {
        self.count(number, fault);
        let conduct = self.conduct_mut(number);
        match fault {
            Fault::Lag { ledgers } => conduct.lag = *ledgers,
            Fault::Frozen => {
                conduct.is_frozen = true;
                self.claim(number, Claims::Fresh);
            }
            Fault::Fork { validated } => {
                conduct.side = Some(if *validated {
                    Side::Validated
                } else {
                    Side::Closed
                });
            }
            Fault::RelayLoss => conduct.is_mute = true,
            Fault::Gone => self.go(number),
            Fault::Restart { behind } => self.come_back(number, *behind, now),
            Fault::Mode(mode) => self.enter(number, *mode),
            Fault::Reset { network_id } => self.reset(number, *network_id, now),
            other => self.server(number).shared().lock().suffer(other),
        }
    }

    /// What is met one by one is counted when it is met, all else here.
    fn count(&self, number: usize, fault: &Fault) {
        let is_met_later = matches!(
            fault,
            Fault::Wire(_) | Fault::Push(_) | Fault::Dial(_) | Fault::Lie(_)
        );
        if !is_met_later {
            let node = self.server(number).shared();
            node.lock().tampering.met.count(fault.number());
        }
    }

    /// How often each fault was met by now, by all servers together.
    pub fn met(&self) -> Met {
        let mut sum = self.met;
        for number in 1..=self.len() {
            sum.add(&self.server(number).shared().lock().tampering.met);
        }
        sum
    }

    /// From the next ledger on the network charges and keeps back this.
    pub fn change_fees(&mut self, fees: Fees) {
        self.met.count(28);
        self.restore_fees(fees);
    }

    /// The same as what it did before.
    pub fn restore_fees(&mut self, fees: Fees) {
        for number in 1..=self.len() {
            let node = self.server(number).shared();
            node.lock().world.genesis.fees = fees;
        }
    }

    /// A new connection to a server as its clients get one: to it, or elsewhere, or none. Gives the number of the server reached.
    pub fn connect(&self, number: usize) -> Option<(usize, DirectSocket)> {
        let node = self.server(number).shared();
        let mut node = node.lock();
        if node.is_gone {
            return None;
        }
        let reached = match node.tampering.dial() {
            None => number,
            Some(DialHow::Refuse | DialHow::Page) => return None,
            Some(DialHow::Elsewhere(other)) if (1..=self.len()).contains(&other) => other,
            Some(DialHow::Elsewhere(_)) => number,
        };
        drop(node);
        let server = self.server(reached);
        let socket = match reached == number {
            true => server.connect(false),
            false => server.connect_astray(),
        };
        Some((reached, socket))
    }

    /// True if somebody who means another server hears this one, or would on the next connection: its word then counts as two.
    pub fn speaks_for_others(&self, number: usize) -> bool {
        let others = (1..=self.len()).filter(|other| *other != number);
        let mut others = others.map(|other| self.server(other).shared());
        let node = self.server(number).shared();
        let is_heard = node.lock().hub.has_astray();
        is_heard || others.any(|other| other.lock().tampering.leads_to(number))
    }

    /// A server comes to itself: it has the network's chain again with all its history, and all its connections stay as they are.
    pub fn heal(&mut self, number: usize, now: Millis) {
        let was_away = !self.is_in_touch(number) || !self.conduct(number).takes_part();
        *self.conduct_mut(number) = Conduct::default();
        let node = self.server(number).shared();
        node.lock().recover();
        let Some(main) = self.main(number) else {
            return;
        };
        self.come_in_touch(number);
        let validated = self.validated();
        let (main, mut node) = (main.lock(), node.lock());
        if was_away || node.world.closed().hash != main.world.closed().hash {
            node.rejoin(&main.world, now);
        }
        node.validate(validated, now);
        let first = node.world.genesis.start_index;
        node.world.archive.backfill(first);
        if node.standing.mode != ServerMode::Full {
            node.enter(ServerMode::Full);
        }
    }

    /// The last ledger that any server of the right chain counts as validated.
    pub fn validated(&self) -> u32 {
        let known = (1..=self.len())
            .filter(|number| self.is_in_touch(*number) && self.conduct(*number).takes_part())
            .filter_map(|number| {
                let node = self.server(number).shared();
                let node = node.lock();
                node.world.archive.validated()
            });
        known.max().unwrap_or(0)
    }

    fn claim(&mut self, number: usize, claims: Claims) {
        self.server(number).shared().lock().standing.claims = claims;
    }

    /// The process is gone, and nobody listens at its address.
    fn go(&mut self, number: usize) {
        self.lose(number);
        let node = self.server(number).shared();
        let mut node = node.lock();
        node.is_gone = true;
        node.hub.cut_all();
    }

    /// The process was started again, with the ledgers that it had so many ledgers ago, and stands there until it is healed.
    fn come_back(&mut self, number: usize, behind: u32, now: Millis) {
        let Some(main) = self.main(number) else {
            return;
        };
        let world = main.lock().world.acquired();
        if self.restart(number).is_err() {
            return;
        }
        let known = world.closed().index.saturating_sub(behind);
        let known = known.max(world.genesis.start_index);
        self.come_in_touch(number);
        self.conduct_mut(number).is_frozen = behind > 0;
        let node = self.server(number).shared();
        let mut node = node.lock();
        node.join(world);
        node.world.truncate(known);
        node.standing.mode = ServerMode::Full;
        node.validate(known, now);
        if behind == 0 {
            return;
        }
        node.standing.claims = Claims::Fresh;
    }

    /// The server has another network's ledgers, or those of this one after it was begun anew.
    fn reset(&mut self, number: usize, network_id: Option<u32>, now: Millis) {
        self.conduct_mut(number).is_frozen = true;
        let node = self.server(number).shared();
        let mut node = node.lock();
        let mut genesis = node.world.genesis.clone();
        genesis.network_id = network_id.unwrap_or(genesis.network_id);
        genesis.close_time = now.ledger_time();
        let other = World::new(genesis).expect("a network with these accounts exists");
        let release = node.world.release;
        node.join(other);
        node.world.release = release;
        node.standing.claims = Claims::Fresh;
        node.hub.cut_all();
    }

    /// The lowest version of a slot wins by its place in the order; here the highest one does, alone.
    fn prefer_other_versions(&mut self) {
        let heard: Vec<Arc<Tx>> = (1..=self.len())
            .flat_map(|number| self.server(number).shared().lock().versions())
            .collect();
        if self.replace_versions(&heard) {
            self.met.count(27);
        }
    }
}

impl Direct {
    /// A fault of a server that is alone.
    pub fn suffer(&self, fault: &Fault) {
        self.shared().lock().suffer(fault);
    }

    /// The end of all its faults.
    pub fn recover(&self) {
        self.shared().lock().recover();
    }
}

impl Node {
    /// The transactions that arrived and may still enter a ledger by their own end, newest first.
    fn versions(&self) -> Vec<Arc<Tx>> {
        let next = self.world.closed().index + 1;
        let alive = self.arrivals.iter().rev().filter(|arrival| {
            let ends = arrival.tx.last_ledger;
            ends.is_none_or(|end| end >= next) && self.world.included_in(arrival.tx.hash).is_none()
        });
        alive.map(|arrival| arrival.tx.clone()).collect()
    }

    /// It takes over the network's chain from the last ledger that both have.
    fn rejoin(&mut self, main: &World, now: Millis) {
        let open = self.open_txs().to_vec();
        match self.world.common(main) {
            Some(common) => {
                let mine = self.world.after(common);
                self.world.truncate(common);
                for built in main.after(common) {
                    self.world.append(built, now);
                }
                // What only the side chain held is not lost: the server tries it on the right one.
                let returned = mine.iter().flat_map(|built| built.ledger.txs.iter());
                let returned = returned.map(|included| included.tx.clone());
                let next = returned.chain(open).collect();
                self.reopen(next, now);
            }
            None => {
                // Nobody changes networks while clients are connected.
                self.hub.cut_all();
                let release = self.world.release;
                self.join(main.acquired());
                self.world.release = release;
            }
        }
    }

    /// A fault that one server has by itself.
    pub(super) fn suffer(&mut self, fault: &Fault) {
        match fault {
            Fault::Blocked(by) => self.standing.claims = Claims::Blocked(*by),
            Fault::Old => {
                let real = std::mem::replace(&mut self.world.release, Release::V2_3);
                self.tampering.real_release.get_or_insert(real);
            }
            Fault::Mode(mode) => self.enter(*mode),
            Fault::FeeSpike { times } => self.some_queue().spike = (*times).max(1),
            Fault::QueueFull => {
                let queue = self.some_queue();
                queue.takes_nobody = true;
                queue.spike = queue.spike.max(2);
            }
            Fault::Evict => self.some_queue().evict(),
            Fault::MissingHistory { from_back, ledgers } => {
                let last = self.world.validated().index.saturating_sub(*from_back);
                let first = (last + 1).saturating_sub(*ledgers);
                self.world.archive.forget(first..=last);
            }
            Fault::SaveDelay { ledgers } => self.world.archive.save_late(*ledgers),
            other => self.tampering.begin(other),
        }
        self.report_fees();
    }

    /// A server whose ledgers are always large enough has a queue all the same, and nobody ever noticed.
    fn some_queue(&mut self) -> &mut Queue {
        self.queue.get_or_insert_with(|| Queue::new(EXPECTED_SIZE))
    }

    /// All its faults end, except that what it has lost or believes stays so.
    pub(super) fn recover(&mut self) {
        self.is_gone = false;
        self.standing.claims = Claims::Nothing;
        if let Some(release) = self.tampering.real_release {
            self.world.release = release;
        }
        if let Some(queue) = &mut self.queue {
            queue.spike = 1;
            queue.takes_nobody = false;
        }
        self.world.archive.save_late(0);
        self.tampering.end();
        self.report_fees();
    }
}
