//! Confirming: a validated ledger is taken in, in one transaction.
//!
//! Owns: which payment or slot a transaction of the ledger belongs to. May not: judge it; that is the core's. Nothing
//! here sees an engine result of `submit`, a timeout or a clock that counts.

use paygate_payments::budget::FeeBudget;
use paygate_payments::bump;
use paygate_payments::filler::{Filled, Filler};
use paygate_payments::payment::{State, StateName};
use paygate_payments::proof::{LedgerBody, Presence};
use paygate_payments::step::{Effect, Event, Step};
use paygate_payments::terms::Terms;
use rusqlite::params;
use xrpl_tx::{Hash256, Slot};

use super::amounts;
use super::announce;
use super::books;
use super::codec;
use super::dispatch;
use super::displaced;
use super::error::StoreError;
use super::fees;
use super::read;
use super::rows;
use super::timeline;
use super::types::{Freeze, Reconciled, Reconciliation, Record, SettledStats};
use super::wallet::{self, Gate};
use super::write;
use super::writer::Scope;
use crate::clock::Millis;

/// Payments that are expired unbound with one ledger. More are left to the next one, so that the writer is not held up.
const EXPIRE_BATCH_MAX: u32 = 500;

pub(super) fn reconcile(
    scope: &mut Scope<'_>,
    epoch: u64,
    ledger: &Reconciliation,
) -> Result<Reconciled, StoreError> {
    let gate = wallet::fence(scope, epoch)?;
    check(scope, ledger)?;
    let mut round = Round {
        scope,
        ledger,
        gate,
        out: Reconciled::default(),
    };
    for presence in &ledger.settled {
        round.take(presence)?;
    }
    round.open_slots()?;
    round.deadlines()?;
    round.displaced()?;
    round.books()?;
    let out = round.out;
    wallet::move_cursor(scope, ledger.ledger, ledger.balance)?;
    Ok(out)
}

fn check(scope: &Scope<'_>, ledger: &Reconciliation) -> Result<(), StoreError> {
    let proof = &ledger.proof;
    if proof.account() != scope.identity.wallet.account {
        return Err(StoreError::BadLedger(
            "the state proof is of another account",
        ));
    }
    if proof.ledger() != ledger.ledger || proof.sequence() != ledger.sequence {
        return Err(StoreError::BadLedger(
            "the state proof is of another ledger or Sequence",
        ));
    }
    if ledger
        .settled
        .iter()
        .any(|presence| presence.ledger().index > ledger.ledger.index)
    {
        return Err(StoreError::BadLedger("a transaction is in a later ledger"));
    }
    match wallet::cursor(scope.conn)?.reconciled {
        Some(known) if known.index > ledger.ledger.index => Err(StoreError::BadLedger(
            "a later ledger was reconciled already",
        )),
        Some(known) if known.index == ledger.ledger.index && known.hash != ledger.ledger.hash => {
            Err(StoreError::BadLedger(
                "the same ledger was reconciled with another hash",
            ))
        }
        _ => Ok(()),
    }
}

/// One ledger's taking in.
struct Round<'r, 's> {
    scope: &'r mut Scope<'s>,
    ledger: &'r Reconciliation,
    gate: Gate,
    out: Reconciled,
}

impl Round<'_, '_> {
    /// Takes in one transaction. The ledger tells the same story again after every reconnect: what is known is passed over.
    fn take(&mut self, presence: &Presence) -> Result<(), StoreError> {
        let tx = presence.tx();
        // Somebody else's transaction that touches the account: an inflow, which the books see in the balance.
        if tx.account != self.scope.identity.wallet.account || self.is_foreign(tx.hash)? {
            return Ok(());
        }
        let view = self.scope.view();
        let Some(row) = rows::slot_row(view, tx.slot)? else {
            return self.unslotted(presence, None);
        };
        if row.by == Some(tx.hash) {
            return Ok(());
        }
        if row.by.is_some() {
            return self.foreign(
                presence,
                "used a slot that another transaction used already",
            );
        }
        let Some(owner) = row.owner else {
            let filler = dispatch::filler(view, tx.slot, &row)?;
            return self.unslotted(presence, filler);
        };
        let before = rows::by_number(view, owner)?;
        if before.payment.state.name().is_final() {
            let owner = Some(before.payment.intent.key);
            let filler = Filler {
                slot: tx.slot,
                owner,
                versions: rows::versions(view, tx.slot)?,
            };
            return self.fill(presence, &filler);
        }
        match dispatch::decide(view, self.gate, &before, Event::Confirmed(presence.clone())) {
            Ok(step) => {
                let on_hold = matches!(step.next.state, State::OnHold(_));
                self.write(&before, step, Some(presence))?;
                if on_hold {
                    self.foreign(presence, "used the slot of a payment")
                } else {
                    Ok(())
                }
            }
            Err(StoreError::Illegal(illegal)) => {
                tracing::error!(%illegal, payment = %before.payment.intent.key, "the ledger contradicts the store");
                self.foreign(presence, "contradicts the payment of its slot")
            }
            Err(error) => Err(error),
        }
    }

    /// A transaction on a slot that no payment has: of a payment whose binding was lost, of a no-op, or foreign.
    fn unslotted(&mut self, presence: &Presence, filler: Option<Filler>) -> Result<(), StoreError> {
        if let LedgerBody::Payment {
            invoice_id: Some(invoice),
            ..
        } = &presence.tx().body
            && let Some(before) = rows::unbound_by_invoice(self.scope.view(), *invoice)?
        {
            match dispatch::decide(
                self.scope.view(),
                self.gate,
                &before,
                Event::Confirmed(presence.clone()),
            ) {
                Ok(step) => return self.write(&before, step, Some(presence)),
                Err(StoreError::Illegal(illegal)) => {
                    tracing::error!(%illegal, payment = %before.payment.intent.key, "the ledger contradicts the store");
                }
                Err(error) => return Err(error),
            }
        }
        match filler {
            Some(filler) => self.fill(presence, &filler),
            None if announce::came(self.scope, presence, self.ledger.at)? => {
                self.keep_foreign(presence, Some(self.ledger.at))
            }
            None => self.foreign(presence, "used a slot that no payment has"),
        }
    }

    /// A transaction on a slot that is to be filled.
    fn fill(&mut self, presence: &Presence, filler: &Filler) -> Result<(), StoreError> {
        let filled = filler.judge(self.scope.identity.wallet.account, presence);
        write::resolve_slot(
            self.scope,
            filler.slot,
            presence.ledger().index,
            Some(presence.tx().hash),
        )?;
        let owner = dispatch::owner_number(self.scope.view(), filler.slot)?;
        timeline::of_filled(self.scope.conn, owner, presence, filled, self.ledger.at)?;
        match filled {
            Filled::ByUs => Ok(()),
            Filled::ByOther => self.foreign(presence, "used a slot that was to stay unused"),
        }
    }

    /// Slots that no transaction of this ledger or an earlier one used, as far as anybody shows.
    fn open_slots(&mut self) -> Result<(), StoreError> {
        for (at, (slot, owner)) in read::open_slot_rows(self.scope.view())?
            .into_iter()
            .enumerate()
        {
            let proof = &self.ledger.proof;
            let before = owner
                .map(|owner| rows::by_number(self.scope.view(), owner))
                .transpose()?;
            match before {
                Some(before) if !before.payment.state.name().is_final() => {
                    if proof.is_gone(slot) {
                        self.try_step(&before, Event::SlotGone(proof.clone()))?;
                    } else if proof.is_open(slot) {
                        let next = self.next_version(&before, at == 0)?;
                        self.try_step(
                            &before,
                            Event::SlotOpen {
                                proof: proof.clone(),
                                next,
                            },
                        )?;
                    }
                }
                _ if proof.is_gone(slot) => {
                    write::resolve_slot(self.scope, slot, proof.ledger().index, None)?;
                    self.freeze(format!("{slot} is used and no server shows by what"))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Terms of the version that follows, once the ones before are dead. `None`: while frozen nothing further is to be signed, nor
    /// past the fees of the hour; absence with the deadline past it still ends the payment.
    fn next_version(&self, before: &Record, lowest: bool) -> Result<Option<Terms>, StoreError> {
        let (Some(terms), Some(versions)) = (self.ledger.terms, &before.versions) else {
            return Ok(None);
        };
        let alive = self.ledger.ledger.index < versions.highest_last_ledger();
        if self.gate.frozen || alive {
            return Ok(None);
        }
        let terms = bump::after_a_window(terms, versions, lowest, self.ledger.guards.fee_max);
        let needed = FeeBudget::needs(terms.fee, bump::highest_fee(versions));
        let mut budget = fees::budget(self.scope.view(), self.ledger.at)?;
        Ok(budget.take(needed).is_ok().then_some(terms))
    }

    /// Payments on hold that end, now that a person knows what took their slots.
    fn displaced(&mut self) -> Result<(), StoreError> {
        for (before, step) in displaced::steps(self.scope, self.gate)? {
            self.write(&before, step, None)?;
        }
        Ok(())
    }

    /// Books what moved the balance. A difference freezes: either somebody else has the key, or somebody lies.
    fn books(&mut self) -> Result<(), StoreError> {
        for difference in books::keep(self.scope, self.ledger)? {
            self.freeze(format!("the books do not balance: {difference}"))?;
            self.out.differences.push(difference);
        }
        Ok(())
    }

    /// Slots that a TicketCreate which is not ours jumped over: nothing can use them any more.
    fn jumped(&mut self, presence: &Presence) -> Result<(), StoreError> {
        let LedgerBody::TicketCreate { created } = &presence.tx().body else {
            return Ok(());
        };
        for slot in created.iter().map(|number| Slot::Sequence(*number)) {
            let Some(row) = rows::slot_row(self.scope.view(), slot)? else {
                continue;
            };
            let owner = row
                .owner
                .map(|owner| rows::by_number(self.scope.view(), owner))
                .transpose()?;
            match owner {
                _ if row.resolved => {}
                Some(before) if !before.payment.state.name().is_final() => {
                    self.try_step(&before, Event::SlotJumped(presence.clone()))?;
                }
                _ => {
                    let by = presence.tx().hash;
                    write::resolve_slot(self.scope, slot, presence.ledger().index, Some(by))?;
                }
            }
        }
        Ok(())
    }

    /// Payments that were never bound and whose deadline this ledger is or is past.
    fn deadlines(&mut self) -> Result<(), StoreError> {
        if self.gate.quarantined {
            return Ok(());
        }
        let index = self.ledger.ledger.index;
        for before in read::past_deadline(self.scope.view(), index, EXPIRE_BATCH_MAX)? {
            self.try_step(&before, Event::LedgerValidated(index))?;
        }
        Ok(())
    }

    /// Steps a payment. One that refuses keeps no other from being confirmed; the refusal is logged as the bug it is.
    fn try_step(&mut self, before: &Record, event: Event) -> Result<(), StoreError> {
        match dispatch::decide(self.scope.view(), self.gate, before, event) {
            Ok(step) => self.write(before, step, None),
            Err(error @ (StoreError::Illegal(_) | StoreError::OnLedger { .. })) => {
                tracing::error!(%error, payment = %before.payment.intent.key, "a validated ledger does not move the payment");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn write(
        &mut self,
        before: &Record,
        step: Step,
        presence: Option<&Presence>,
    ) -> Result<(), StoreError> {
        let after = write::write_step(self.scope, before, &step, self.ledger.at)?;
        if after.payment != before.payment {
            self.tell(&after, presence)?;
        }
        wallet::freeze_on(self.scope, &step, &after, self.ledger.at)?;
        self.gate.frozen |= step.effects.contains(&Effect::FreezeWallet);
        for effect in step.effects {
            self.effect(effect);
        }
        Ok(())
    }

    fn tell(&mut self, after: &Record, presence: Option<&Presence>) -> Result<(), StoreError> {
        let state: StateName = after.payment.state.name();
        let key = after.payment.intent.key.clone();
        self.out.changed.push((key.clone(), state));
        if !state.is_final() {
            return Ok(());
        }
        // The close time is known of this ledger only; of an earlier one it stays unknown.
        let ledger = presence.map_or(self.ledger.ledger, Presence::ledger);
        if let Some(closed) = self
            .ledger
            .closed_at
            .filter(|_| ledger == self.ledger.ledger)
        {
            write::write_closed(self.scope, after.number, closed)?;
        }
        self.out.settled.push(SettledStats {
            key,
            amount: after.payment.intent.gets(),
            state,
            created: after.created,
            trace_parent: after.trace_parent.clone(),
        });
        Ok(())
    }

    fn effect(&mut self, effect: Effect) {
        // Asking the signer and submitting concern one payment each, and the rows say which; once is enough to wake the shell.
        if !self.out.effects.contains(&effect) {
            self.out.effects.push(effect);
        }
    }

    fn freeze(&mut self, why: String) -> Result<(), StoreError> {
        let at = self.ledger.at;
        wallet::set_frozen(self.scope, &Freeze { why, since: at }, at)?;
        self.gate.frozen = true;
        self.effect(Effect::FreezeWallet);
        Ok(())
    }

    fn is_foreign(&self, hash: Hash256) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM foreign_transactions WHERE tx_hash = ?1";
        Ok(self
            .scope
            .conn
            .prepare_cached(sql)?
            .exists([hash.as_bytes()])?)
    }

    /// Keeps a transaction of the wallet that no row made, and freezes sending.
    fn foreign(&mut self, presence: &Presence, what: &str) -> Result<(), StoreError> {
        self.keep_foreign(presence, None)?;
        let tx = presence.tx();
        self.out.foreign.push(tx.hash);
        self.freeze(format!(
            "transaction {} in ledger {}, not ours, {what} ({})",
            tx.hash,
            presence.ledger().index,
            tx.slot
        ))?;
        self.jumped(presence)
    }

    /// Keeps a transaction of the wallet that no row made. `acknowledged`: a person knew of it before it came.
    fn keep_foreign(
        &mut self,
        presence: &Presence,
        acknowledged: Option<Millis>,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO foreign_transactions (tx_hash, slot_kind, slot_number, ledger_index, ledger_hash, \
                   invoice_id, destination, drops, result, seen_ms, asset, value, acknowledged_ms) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        let tx = presence.tx();
        let (kind, number) = codec::slot_columns(tx.slot);
        let (invoice, destination, amount) = match &tx.body {
            LedgerBody::Payment {
                destination,
                amount,
                invoice_id,
                ..
            } => (
                *invoice_id,
                Some(*destination),
                Some(amounts::amount_columns(*amount)),
            ),
            LedgerBody::NoOp | LedgerBody::TicketCreate { .. } | LedgerBody::Other => {
                (None, None, None)
            }
        };
        // As of a payment's row: of an issued currency there are no drops.
        let drops = amount.as_ref().filter(|amount| amount.asset.is_none());
        let drops = drops.map(|amount| codec::count(amount.drops)).transpose()?;
        let ledger = presence.ledger();
        self.scope.conn.prepare_cached(sql)?.execute(params![
            tx.hash.as_bytes(),
            kind,
            number,
            ledger.index.0,
            ledger.hash.as_bytes(),
            invoice.map(|invoice| *invoice.as_bytes()),
            destination.map(|destination| *destination.as_bytes()),
            drops,
            tx.result.code(),
            self.ledger.at.0,
            amount.as_ref().and_then(|amount| amount.asset),
            amount.as_ref().and_then(|amount| amount.value),
            acknowledged.map(|at| at.0),
        ])?;
        Ok(())
    }
}
