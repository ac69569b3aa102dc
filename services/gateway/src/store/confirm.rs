//! Confirming: a validated ledger is taken in, in one transaction.
//!
//! Owns: which payment or slot a transaction of the ledger belongs to. May not: judge it; that is the core's. Nothing
//! here sees an engine result of `submit`, a timeout or a clock that counts.

use paygate_payments::LedgerIndex;
use paygate_payments::budget::FeeBudget;
use paygate_payments::bump;
use paygate_payments::continuity::{Doubt, Quarantine};
use paygate_payments::filler::{Filled, Filler};
use paygate_payments::payment::{State, StateName};
use paygate_payments::proof::{LedgerBody, Presence};
use paygate_payments::step::{Effect, Event, Step};
use paygate_payments::terms::Terms;
use xrpl_tx::{Hash256, Slot};

use super::announce;
use super::books;
use super::dispatch;
use super::displaced;
use super::error::StoreError;
use super::fees;
use super::foreign;
use super::imported;
use super::read;
use super::rows;
use super::timeline;
use super::types::{Freeze, Reconciled, Reconciliation, Record, SettledStats};
use super::wallet::{self, Gate};
use super::write;
use super::writer::Scope;
use crate::clock::Millis;

/// What is wrong with a transaction that looks ours and that neither side knows.
const BEYOND_JOURNAL: &str = "looks like a payment of this gateway and neither the store nor the signer's journal knows it: both were put \
     back from a backup, or the key is in other hands; follow runbooks/restore-from-backup.md";

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
        checked: wallet::is_checked(scope)?,
        epoch,
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

/// Takes in a part of the history before the first ledger that this store reconciled. What a person did with the key in those days is
/// none of our business: only what looks ours is kept.
pub(super) fn import(
    scope: &mut Scope<'_>,
    epoch: u64,
    history: &[Presence],
    next: Option<LedgerIndex>,
) -> Result<usize, StoreError> {
    wallet::fence(scope, epoch)?;
    let mut kept = 0;
    for presence in history {
        let tx = presence.tx();
        let known = rows::slot_row(scope.view(), tx.slot)?.is_some();
        if !known && imported::looks_ours(scope.view(), tx) {
            imported::keep(scope, presence, true)?;
            kept += 1;
        }
    }
    wallet::imported_up_to(scope, next)?;
    Ok(kept)
}

/// Judges what was kept while the signer could not be asked how far its journal reaches: what lies beyond it is foreign. Answers
/// those.
pub(super) fn judge_imported(
    scope: &Scope<'_>,
    epoch: u64,
    signer_highest: u32,
    at: Millis,
) -> Result<Vec<Hash256>, StoreError> {
    wallet::fence(scope, epoch)?;
    let mut beyond = Vec::new();
    for presence in imported::take_unjudged(scope)? {
        if presence.tx().slot.number() > signer_highest {
            foreign::keep_and_freeze(scope, &presence, BEYOND_JOURNAL, at)?;
            beyond.push(presence.tx().hash);
        }
    }
    Ok(beyond)
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
    /// Store, ledger and signer were compared by this generation.
    checked: bool,
    epoch: u64,
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
        if tx.account != self.scope.identity.wallet.account
            || foreign::is_known(self.scope, tx.hash)?
            || imported::is_known(self.scope, tx.hash)?
        {
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
        if let Some(before) = imported::unbound(self.scope.view(), presence.tx())? {
            match dispatch::decide(
                self.scope.view(),
                self.gate,
                &before,
                Event::Confirmed(presence.clone()),
            ) {
                Ok(step) => {
                    self.doubt()?;
                    return self.write(&before, step, Some(presence));
                }
                Err(StoreError::Illegal(illegal)) => {
                    tracing::error!(%illegal, payment = %before.payment.intent.key, "the ledger contradicts the store");
                    if filler.is_none() {
                        return self
                            .foreign(presence, "carries a payment's InvoiceID but other content");
                    }
                }
                Err(error) => return Err(error),
            }
        }
        match filler {
            Some(filler) => self.fill(presence, &filler),
            None if announce::came(self.scope, presence, self.ledger.at)? => {
                foreign::keep(self.scope, presence, self.ledger.at, Some(self.ledger.at))
            }
            None => self.unknown(presence),
        }
    }

    /// A transaction that no row knows: of a lost row, if it looks ours and the signer's journal reaches so far.
    fn unknown(&mut self, presence: &Presence) -> Result<(), StoreError> {
        let tx = presence.tx();
        if !imported::looks_ours(self.scope.view(), tx) {
            return self.foreign(presence, "used a slot that no payment has");
        }
        self.doubt()?;
        // Before the signer was asked nothing is signed either; it is judged when the signer answers.
        let known_to_signer = self
            .ledger
            .signer_highest
            .filter(|_| self.checked)
            .map(|highest| tx.slot.number() <= highest);
        imported::keep(self.scope, presence, known_to_signer.is_some())?;
        match known_to_signer {
            Some(false) => self.foreign(presence, BEYOND_JOURNAL),
            Some(true) | None => {
                self.out.imported.push(tx.hash);
                Ok(())
            }
        }
    }

    /// Rows were lost, whoever says otherwise: more of them may be on the network.
    fn doubt(&mut self) -> Result<(), StoreError> {
        // Before store, ledger and signer were compared the gate is shut as well, and opens without this.
        if wallet::cursor(self.scope.conn)?.quarantine.is_some() {
            return Ok(());
        }
        let quarantine = Quarantine {
            why: Doubt::UnknownTransaction,
            until: self.ledger.ledger.index.plus(self.ledger.window),
        };
        wallet::set_quarantine(self.scope, self.epoch, Some(quarantine), self.ledger.at)?;
        self.gate.quarantined = true;
        self.out.quarantine = Some(quarantine);
        Ok(())
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
        let index = match xrpl_tx::mutant!("deadline-by-clock") {
            true => self.by_clock(),
            false => self.ledger.ledger.index,
        };
        for before in read::past_deadline(self.scope.view(), index, EXPIRE_BATCH_MAX)? {
            self.try_step(&before, Event::LedgerValidated(index))?;
        }
        Ok(())
    }

    /// The ledger that should be validated by now if each takes five seconds, for a deliberate defect alone.
    fn by_clock(&self) -> paygate_payments::LedgerIndex {
        let closed = self.ledger.closed_at.unwrap_or(self.ledger.at);
        let ledgers = self.ledger.at.since(closed).as_secs() / 5;
        let ledgers = u32::try_from(ledgers).unwrap_or(u32::MAX);
        self.ledger.ledger.index.plus(ledgers)
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

    /// Keeps a transaction of the wallet that no row made, and freezes sending.
    fn foreign(&mut self, presence: &Presence, what: &str) -> Result<(), StoreError> {
        foreign::keep_and_freeze(self.scope, presence, what, self.ledger.at)?;
        self.out.foreign.push(presence.tx().hash);
        self.gate.frozen = true;
        self.effect(Effect::FreezeWallet);
        self.jumped(presence)
    }
}
