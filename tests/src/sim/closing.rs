//! How a server closes a ledger: what it proposes, what it builds, what it opens next, and what it learns when the ledger
//! is validated.
//!
//! Owns: the order of these steps. May not: know other servers; who agrees with whom is `network`.

use std::sync::Arc;

use super::apply::{Mode, apply};
use super::blob::Tx;
use super::node::{Node, Open, RELAY_MS};
use super::queue::{Pace, paid_level};
use super::state::Overlay;
use super::store::StoreError;
use super::types::Millis;
use super::world::{Built, Leftover};

impl Node {
    /// Closes the open ledger and validates it, as standalone servers do.
    pub(super) fn close(&mut self, now: Millis) -> Result<(), StoreError> {
        if self.stopped {
            return Ok(());
        }
        let proposed = self.propose(now);
        let room = self.capacity.unwrap_or(usize::MAX).min(proposed.len());
        let (candidates, overflow) = proposed.split_at(room);
        self.build(candidates, overflow, Pace::Normal, now)?;
        self.validate(self.world.closed().index, now);
        self.report_fees();
        Ok(())
    }

    /// The open ledger's transactions as this server would close it: held ones get a last try before.
    pub(super) fn propose(&mut self, now: Millis) -> Vec<Arc<Tx>> {
        for (_, tx) in std::mem::take(&mut self.held) {
            self.retry_held(tx, now);
        }
        self.open.txs.clone()
    }

    /// Builds the next ledger of these transactions and makes it durable; the others go into the next open ledger with
    /// what is left.
    pub(super) fn build(
        &mut self,
        candidates: &[Arc<Tx>],
        others: &[Arc<Tx>],
        pace: Pace,
        now: Millis,
    ) -> Result<(), StoreError> {
        let (built, leftover) = self.world.build(candidates, now.ledger_time());
        let next = leftover.into_iter().chain(others.iter().cloned()).collect();
        self.adopt(built, next, pace, now)
    }

    /// Makes a ledger the last closed one and makes it durable; `next` is tried in the next open ledger.
    pub(super) fn adopt(
        &mut self,
        built: Built,
        next: Leftover,
        pace: Pace,
        now: Millis,
    ) -> Result<(), StoreError> {
        if let Some(store) = &mut self.store {
            store.append(&built.ledger)?;
        }
        if let Some(queue) = &mut self.queue {
            let mut over = Overlay::default();
            let view = self.world.view(&mut over);
            let ledger = &built.ledger;
            let levels = ledger
                .txs
                .iter()
                .map(|included| paid_level(&view, &included.tx));
            queue.ledger_closed(levels.collect(), pace, ledger.index, ledger.hash);
        }
        self.world.append(built, now);
        self.reopen(next, now);
        Ok(())
    }

    /// All closed ledgers up to this one are validated: tells who listens, and stops trying what is decided.
    pub(super) fn validate(&mut self, index: u32, now: Millis) {
        for published in self.world.archive.validate(index, now) {
            self.world.archive.publish(published);
            self.hub.publish_ledger(&self.world, published);
        }
        let world = &self.world;
        self.locals.retain(|local| {
            let account = world.accounts.get_at(&local.tx.account, index);
            let passed = account.is_some_and(|account| match local.tx.ticket {
                None => account.sequence > local.tx.sequence,
                Some(ticket) => account.sequence > ticket && !account.tickets.contains_key(&ticket),
            });
            let included = world.included_in(local.tx.hash);
            let is_in = included.is_some_and(|(ledger, _)| ledger.index <= index);
            local.expires >= index && !passed && !is_in
        });
    }

    pub(super) fn reopen(&mut self, next: Leftover, now: Millis) {
        self.open = Open::default();
        let mut locals: Vec<Arc<Tx>> = self.locals.iter().map(|local| local.tx.clone()).collect();
        locals.sort_by_key(|tx| (tx.account, tx.slot_order()));
        // Nobody is told: the first message about a transaction that enters here is the validated one.
        for tx in &next {
            self.re_enter(tx, now);
        }
        if let Some(queue) = &mut self.queue {
            let mut view = self.world.view(&mut self.open.over);
            let moved = queue.accept(&mut view, self.open.txs.len());
            self.open.txs.extend(moved);
        }
        for tx in &locals {
            self.re_enter(tx, now);
        }
        self.bad_until.retain(|_, until| now < *until);
        self.relayed_at.retain(|_, at| now.0 < at.0 + RELAY_MS);
    }

    fn re_enter(&mut self, tx: &Arc<Tx>, now: Millis) {
        if self.world.included_in(tx.hash).is_some()
            || self.open.txs.iter().any(|open| open.hash == tx.hash)
        {
            return;
        }
        let mut view = self.world.view(&mut self.open.over);
        let applied = match &mut self.queue {
            None => apply(&mut view, tx, Mode::OPEN),
            Some(queue) => queue.place(&mut view, self.open.txs.len(), tx, false),
        };
        if applied.effect.is_some() {
            self.open.txs.push(tx.clone());
            self.relay(tx, now);
        }
    }
}
