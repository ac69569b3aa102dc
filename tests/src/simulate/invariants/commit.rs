//! Checks of what the store commits.

use std::collections::BTreeSet;

use super::books::{Begin, End, Stored, short};
use super::{
    BOOKS_BALANCE, BOUNDED_LIFE, Checker, FINAL_STAYS, FROZEN_SIGNS_NOTHING, MONEY_IS_THERE,
    NO_GAPS, ONE_GENERATION, ONE_LIVE_PAYMENT, ONE_SLOT, PAID_IS_TRUE, PROVEN, QUARANTINE_HOLDS,
    RECONCILED_IS_CHAIN, RESTART_LOSES_NOTHING, SAME_BYTES, SAME_CONTENT, SLOT_NEVER_TWICE,
};
use crate::simulate::facts::{
    ChainTx, Commit, Content, Evidence, Hash, PaymentRow, Standing, VersionRow,
};

impl Checker {
    pub(super) fn see_commit(&mut self, commit: &Commit) {
        let before = self.begin_life(commit);
        let reconciled_before = before.meta.reconciled;
        self.check_generation(commit, &before);
        self.check_cursor(commit, &before);
        self.books.store.meta = commit.meta.clone();
        self.freeze(commit);
        self.books
            .store
            .resolved
            .extend(commit.resolved.iter().copied());
        self.books
            .store
            .foreign
            .extend(commit.foreign.iter().copied());
        let is_first = self.books.begins.take().is_some();
        let mut bound = Vec::new();
        for row in &commit.payments {
            self.books.invoices.insert(row.invoice, row.key.clone());
            if let (Some(slot), false) = (row.slot, is_first)
                && before
                    .rows
                    .get(&row.key)
                    .is_none_or(|old| old.slot.is_none())
                && !row.state.is_final()
            {
                bound.push(slot);
            }
            self.check_row(row, before.rows.get(&row.key));
            self.check_deadline(row, before.rows.get(&row.key));
            self.books.store.rows.insert(row.key.clone(), row.clone());
        }
        for version in &commit.versions {
            let known = before.versions.get(&(version.slot, version.number));
            self.check_version(version, known, is_first);
            self.books
                .store
                .versions
                .insert((version.slot, version.number), version.clone());
        }
        // What a row says of its end is judged with the versions that the same commit brought.
        for row in &commit.payments {
            self.check_end(row);
        }
        if !is_first {
            self.check_new(commit, &before, &bound);
        }
        if commit.meta.reconciled != reconciled_before {
            self.check_reconciled();
        }
    }

    /// The store before the commit, as far as the commit touches it. In the first commit of a life, all that the life began with.
    fn begin_life(&mut self, commit: &Commit) -> Stored {
        match self.books.begins {
            None => self.books.store.touched_by(commit),
            Some(Begin::Other) => {
                self.books.store = Stored::default();
                Stored::default()
            }
            Some(Begin::Same) => {
                let before = self.books.store.clone();
                let rows: BTreeSet<&String> = commit.payments.iter().map(|row| &row.key).collect();
                let lost_row = before.rows.keys().find(|key| !rows.contains(key)).cloned();
                let versions: BTreeSet<(u32, u32)> = commit
                    .versions
                    .iter()
                    .map(|version| (version.slot, version.number))
                    .collect();
                let lost_version = before
                    .versions
                    .keys()
                    .find(|id| !versions.contains(id))
                    .copied();
                self.expect(lost_row.is_none(), RESTART_LOSES_NOTHING, || {
                    format!("the row of {lost_row:?} is gone")
                });
                self.expect(lost_version.is_none(), RESTART_LOSES_NOTHING, || {
                    format!("version {lost_version:?} (slot, number) is gone")
                });
                before
            }
        }
    }

    fn check_generation(&mut self, commit: &Commit, before: &Stored) {
        let epoch = commit.meta.epoch;
        self.expect(epoch >= before.meta.epoch, ONE_GENERATION, || {
            format!(
                "the store's generation falls from {} to {epoch}",
                before.meta.epoch
            )
        });
    }

    fn check_cursor(&mut self, commit: &Commit, before: &Stored) {
        let old = before.meta.reconciled.map_or(0, |(index, _)| index);
        let Some((index, hash)) = commit.meta.reconciled else {
            self.expect(old == 0, RECONCILED_IS_CHAIN, || {
                "the reconciled ledger is gone".to_owned()
            });
            return;
        };
        self.expect(index >= old, RECONCILED_IS_CHAIN, || {
            format!("the reconciled ledger falls from {old} to {index}")
        });
        let known = self.books.ledgers.get(&index).map(|header| header.hash);
        self.expect(known == Some(hash), RECONCILED_IS_CHAIN, || {
            format!(
                "ledger {index} {} is reconciled, the chain has {:?}",
                short(&hash),
                known.as_ref().map(short)
            )
        });
    }

    fn freeze(&mut self, commit: &Commit) {
        let (now, since) = (commit.meta.is_frozen, self.books.frozen_at);
        match (now, since) {
            (true, None) => self.books.frozen_at = Some(self.books.validated),
            (false, Some(at)) => {
                let by_person = self.books.has_looked || self.books.begins == Some(Begin::Other);
                self.books.frozen_at = None;
                self.books.has_looked = false;
                self.expect(by_person, FROZEN_SIGNS_NOTHING, || {
                    format!("the wallet was frozen at ledger {at}, and is not any more, and nobody has looked")
                });
            }
            _ => {}
        }
    }

    // --- payments ---

    fn check_row(&mut self, row: &PaymentRow, old: Option<&PaymentRow>) {
        let key = &row.key;
        if let Some(old) = old {
            let kept = old.slot.is_none() || old.slot == row.slot;
            self.expect(kept, ONE_SLOT, || {
                format!("{key} moves from slot {:?} to {:?}", old.slot, row.slot)
            });
            let same = (&old.destination, old.tag, old.amount)
                == (&row.destination, row.tag, row.amount)
                && (old.digest.is_none() || old.digest == row.digest);
            self.expect(same, SAME_CONTENT, || format!("{key} changes what it pays"));
        }
        let Some(slot) = row.slot else { return };
        let owner = self
            .books
            .store
            .owners
            .entry(slot)
            .or_insert(key.clone())
            .clone();
        let signed = self.books.signed_slots.get(&slot).cloned();
        let live = |of: &String| {
            let row = self.books.store.rows.get(of);
            row.is_some_and(|row| !row.state.is_final())
        };
        let two_live = owner != *key && !row.state.is_final() && live(&owner);
        self.expect(!two_live, ONE_LIVE_PAYMENT, || {
            format!("slot {slot} has {owner} and {key}, both undecided")
        });
        self.expect(owner == *key, SLOT_NEVER_TWICE, || {
            format!("slot {slot} is given to {key}, and was given to {owner}")
        });
        self.expect(
            signed.as_ref().is_none_or(|of| of == key),
            SLOT_NEVER_TWICE,
            || format!("slot {slot} is given to {key}, and was signed for {signed:?}"),
        );
        // What a lost store had bound elsewhere never comes any more, and the signer signs the payment nowhere else.
        let elsewhere = self.books.signed_payments.get(key).copied();
        let elsewhere = elsewhere.filter(|_| !self.books.is_forgotten_and_dead(key));
        self.expect(elsewhere.is_none_or(|of| of == slot), ONE_SLOT, || {
            format!("{key} is given slot {slot}, and was signed on {elsewhere:?}")
        });
    }

    fn check_end(&mut self, row: &PaymentRow) {
        let key = &row.key;
        let known = self.books.ends.get(key).cloned();
        if !row.state.is_final() {
            let stands = known.is_none() || self.books.is_lost_end(key);
            self.expect(stands, FINAL_STAYS, || {
                format!("{key} was {known:?} and is {}", row.state)
            });
            return;
        }
        let end = End {
            state: row.state,
            evidence: row.evidence.clone(),
        };
        if let Some(known) = &known {
            // A store that was put back may find another proof of the same: that nothing was paid, and never will be.
            let as_good =
                self.books.is_lost_end(key) && known.state.is_unpaid() && end.state.is_unpaid();
            let same = known.state == end.state
                && (known.evidence == end.evidence || self.books.is_other_store());
            let same = same || as_good;
            self.expect(same, FINAL_STAYS, || {
                format!("{key} was {known:?} and is {end:?}")
            });
        }
        if let Some((index, hash)) = row.evidence.as_ref().and_then(|evidence| evidence.ledger) {
            let in_chain = self.books.ledgers.get(&index).map(|header| header.hash);
            self.expect(in_chain == Some(hash), FINAL_STAYS, || {
                format!(
                    "{key} rests on ledger {index} {}, the chain has {:?}",
                    short(&hash),
                    in_chain.as_ref().map(short)
                )
            });
        }
        let is_new = known.as_ref() != Some(&end);
        self.books.ends.insert(key.clone(), end);
        if row.state == Standing::Paid {
            self.check_paid(row);
        }
        self.check_unpaid(key);
        if is_new {
            self.check_proof(row);
        }
    }

    fn check_paid(&mut self, row: &PaymentRow) {
        let key = &row.key;
        let Some(evidence) = &row.evidence else {
            return self.violated(PAID_IS_TRUE, format!("{key} is PAID without evidence"));
        };
        let paid = self.books.paid(&row.invoice);
        let problem = match paid.as_slice() {
            [] => Some("the chain has no transaction that pays it".to_owned()),
            [(index, tx)] => differs(row, evidence, *index, tx),
            more => Some(format!("the chain pays it {} times", more.len())),
        };
        if let Some(problem) = problem {
            self.violated(PAID_IS_TRUE, format!("{key} is PAID: {problem}"));
        }
    }

    /// Whether the end was proven when it was committed.
    fn check_proof(&mut self, row: &PaymentRow) {
        let (key, Some(evidence)) = (&row.key, &row.evidence) else {
            return;
        };
        let reconciled = self
            .books
            .store
            .meta
            .reconciled
            .map_or(0, |(index, _)| index);
        if let Some((index, _)) = evidence.ledger {
            let validated = self.books.validated;
            let seen = index <= validated && index <= reconciled;
            self.expect(seen, PROVEN, || {
                format!(
                    "{key} ends by ledger {index}, and {validated} is validated, {reconciled} reconciled"
                )
            });
        }
        let in_chain = evidence
            .tx
            .is_none_or(|hash| self.books.txs.contains_key(&hash));
        self.expect(in_chain, PROVEN, || {
            format!(
                "{key} ends by transaction {:?}, which the chain does not hold",
                evidence.tx.as_ref().map(short)
            )
        });
        if !row.state.is_unpaid() || row.state == Standing::Failed {
            return;
        }
        // Nothing of it may ever come any more: of all versions of any store, and of all signatures.
        if let (true, Some((index, _))) = (evidence.is_absence, evidence.ledger) {
            let slot = row.slot.unwrap_or(0);
            let of_slot = self
                .books
                .store
                .versions
                .range((slot, 0)..=(slot, u32::MAX));
            let latest = of_slot
                .map(|(_, version)| version.last_ledger)
                .max()
                .unwrap_or(0);
            self.expect(index >= latest, PROVEN, || {
                format!(
                    "{key} is {} by ledger {index}, and a version lives until {latest}",
                    row.state
                )
            });
            let open = self
                .books
                .ledgers
                .get(&index)
                .map(|header| header.sequence <= slot);
            self.expect(open == Some(true), PROVEN, || {
                format!(
                    "{key} is {} because slot {slot} is unused in ledger {index}, where it is gone",
                    row.state
                )
            });
        }
        let may_come = self
            .books
            .signatures
            .values()
            .find(|signature| {
                signature.ask.is_payment
                    && signature.ask.key.as_ref() == Some(key)
                    && self.books.lives(signature)
            })
            .map(|signature| signature.ask.last_ledger);
        self.expect(may_come.is_none(), PROVEN, || {
            format!(
                "{key} is {}, and a signature of it lives until ledger {may_come:?}",
                row.state
            )
        });
    }

    /// A payment that was never bound expires with its deadline's ledger, and with no clock.
    fn check_deadline(&mut self, row: &PaymentRow, old: Option<&PaymentRow>) {
        let was_accepted = old.is_some_and(|old| old.state == Standing::Accepted);
        if row.state != Standing::Expired || row.slot.is_some() || !was_accepted {
            return;
        }
        let reconciled = self
            .books
            .store
            .meta
            .reconciled
            .map_or(0, |(index, _)| index);
        self.expect(
            row.deadline.is_some_and(|deadline| deadline <= reconciled),
            PROVEN,
            || {
                format!(
                    "{} is EXPIRED at ledger {reconciled}, its deadline is {:?}",
                    row.key, row.deadline
                )
            },
        );
    }

    // --- versions ---

    fn check_version(&mut self, version: &VersionRow, known: Option<&VersionRow>, is_first: bool) {
        let VersionRow { slot, number, .. } = version;
        let id = format!("version {number} of slot {slot}");
        if let Some((hash, blob)) = &version.signed {
            self.books.blobs.insert(*hash, blob.clone());
        }
        if let Some(known) = known {
            let same = (known.is_payment, known.fee, known.last_ledger)
                == (version.is_payment, version.fee, version.last_ledger);
            let kept = known.signed.is_none() || known.signed == version.signed;
            self.expect(same && kept, SAME_BYTES, || format!("{id} changes"));
            return;
        }
        let cap = self.rules.fee_cap;
        self.expect(version.fee <= cap, MONEY_IS_THERE, || {
            format!(
                "{id} costs {} drops, more than the cap of {cap}",
                version.fee
            )
        });
        if is_first {
            return;
        }
        let validated = self.books.validated;
        let reconciled = self
            .books
            .store
            .meta
            .reconciled
            .map_or(0, |(index, _)| index);
        let latest = validated.saturating_add(self.rules.window);
        let last = version.last_ledger;
        self.expect(reconciled < last && last <= latest, BOUNDED_LIFE, || {
            format!("{id} lives until ledger {last}, and {reconciled} is reconciled, {validated} validated")
        });
        if !version.is_payment {
            return;
        }
        let owner = self.books.store.owners.get(slot);
        let row = owner
            .and_then(|key| self.books.store.rows.get(key))
            .cloned();
        let Some(row) = row else {
            return self.violated(
                SAME_CONTENT,
                format!("{id} pays, and the slot has no payment"),
            );
        };
        self.expect(
            row.deadline.is_none_or(|deadline| last <= deadline),
            BOUNDED_LIFE,
            || {
                format!(
                    "{id} lives until ledger {last}, past the deadline {:?} of {}",
                    row.deadline, row.key
                )
            },
        );
        let of_slot = self
            .books
            .store
            .versions
            .range((*slot, 0)..=(*slot, u32::MAX));
        let filled = of_slot.into_iter().any(|(_, earlier)| !earlier.is_payment);
        self.expect(!filled && !row.is_cancelled, SAME_CONTENT, || {
            format!("{id} pays {}, which is to be cancelled", row.key)
        });
    }

    /// Whether anything could be bound, or a version added, at this moment.
    fn check_new(&mut self, commit: &Commit, before: &Stored, bound: &[u32]) {
        let is_new = |version: &&VersionRow| {
            !before
                .versions
                .contains_key(&(version.slot, version.number))
        };
        let added = commit.versions.iter().filter(is_new).count();
        if added == 0 && bound.is_empty() {
            return;
        }
        let what = format!("slots {bound:?} are bound and {added} versions added");
        let epoch = commit.meta.epoch;
        self.expect(
            commit.by_epoch.is_none_or(|by| by == epoch),
            ONE_GENERATION,
            || {
                format!(
                    "{what} by generation {:?} of a store of generation {epoch}",
                    commit.by_epoch
                )
            },
        );
        self.expect(!before.meta.is_frozen, FROZEN_SIGNS_NOTHING, || {
            format!("{what} while the wallet is frozen")
        });
        let held = before
            .meta
            .quarantine_until
            .filter(|_| commit.meta.quarantine_until.is_some());
        self.expect(held.is_none(), QUARANTINE_HOLDS, || {
            format!("{what} in quarantine until ledger {held:?}")
        });
        self.check_forgotten(&what);
        self.check_gaps(commit);
        if !bound.is_empty() {
            self.check_money(&what);
        }
    }

    fn check_gaps(&mut self, commit: &Commit) {
        let at = commit
            .meta
            .reconciled
            .and_then(|(index, _)| self.books.ledgers.get(&index));
        let Some(first) = at.map(|header| header.sequence) else {
            return;
        };
        let highest = commit.versions.iter().map(|version| version.slot).max();
        let gap = (first..=highest.unwrap_or(0)).find(|slot| !self.books.knows_slot(*slot));
        self.expect(gap.is_none(), NO_GAPS, || {
            format!("slot {highest:?} is used, and slot {gap:?} is given to nothing")
        });
    }

    /// What is at large, with what was just bound, against the balance that the store has reconciled.
    fn check_money(&mut self, what: &str) {
        let store = &self.books.store;
        let Some(balance) = store.meta.balance else {
            return;
        };
        let mut at_large: u64 = 0;
        let slots: BTreeSet<u32> = store.versions.keys().map(|(slot, _)| *slot).collect();
        for slot in slots {
            let row = store.owners.get(&slot).and_then(|key| store.rows.get(key));
            let decided = row.is_some_and(|row| {
                matches!(
                    row.state,
                    Standing::Paid | Standing::Failed | Standing::OnHold
                )
            });
            if store.resolved.contains_key(&slot) || decided {
                continue;
            }
            let of_slot = store.versions.range((slot, 0)..=(slot, u32::MAX));
            let fee = of_slot.map(|(_, version)| version.fee).max().unwrap_or(0);
            let amount = row
                .filter(|row| !row.state.is_final())
                .map_or(0, |row| row.amount);
            at_large = at_large.saturating_add(fee).saturating_add(amount);
        }
        let reserve = self.rules.reserve;
        self.expect(at_large.saturating_add(reserve) <= balance, MONEY_IS_THERE, || {
            format!("{what}: {at_large} drops are at large, the balance is {balance}, the reserve {reserve}")
        });
    }

    // --- the ledger as the store has it ---

    fn check_reconciled(&mut self) {
        let meta = self.books.store.meta.clone();
        let (Some((index, _)), Some(first)) = (meta.reconciled, meta.first_ledger) else {
            return;
        };
        let Some(header) = self.books.ledgers.get(&index).copied() else {
            return;
        };
        self.expect(
            meta.balance.is_none_or(|balance| balance == header.balance),
            BOOKS_BALANCE,
            || {
                format!(
                    "the balance in ledger {index} is {}, the store has {:?}",
                    header.balance, meta.balance
                )
            },
        );
        let store = &self.books.store;
        let undecided = store
            .rows
            .values()
            .find(|row| {
                row.state == Standing::AtLarge
                    && row.slot.is_some_and(|slot| slot < header.sequence)
            })
            .map(|row| row.key.clone());
        self.expect(undecided.is_none(), NO_GAPS, || {
            format!(
                "{undecided:?} is at large, and its slot is below Sequence {} of ledger {index}",
                header.sequence
            )
        });
        let known: BTreeSet<Hash> = self.known_transactions();
        let unknown = self
            .books
            .txs
            .values()
            .find(|(at, tx)| first < *at && *at <= index && !known.contains(&tx.hash))
            .map(|(at, tx)| (short(&tx.hash), *at));
        self.expect(unknown.is_none(), BOOKS_BALANCE, || {
            format!("ledgers up to {index} are reconciled, and transaction {unknown:?} (hash, ledger) is in no book")
        });
    }

    /// Transactions that the store accounts for.
    fn known_transactions(&self) -> BTreeSet<Hash> {
        let store = &self.books.store;
        let by_rows = store
            .rows
            .values()
            .filter_map(|row| row.evidence.as_ref()?.tx);
        by_rows
            .chain(store.resolved.values().flatten().copied())
            .chain(store.foreign.iter().copied())
            .collect()
    }
}

/// What of a paid payment is not as the chain has it.
fn differs(row: &PaymentRow, evidence: &Evidence, index: u32, tx: &ChainTx) -> Option<String> {
    let Content::Payment {
        destination,
        tag,
        amount,
        ..
    } = &tx.content
    else {
        return Some("its transaction is no payment".to_owned());
    };
    let place = (Some(tx.hash), Some(index));
    if (evidence.tx, evidence.ledger.map(|(index, _)| index)) != place {
        return Some(format!(
            "it is in ledger {index}, the evidence names another place"
        ));
    }
    if (destination, *tag) != (&row.destination, row.tag) {
        return Some(format!("it went to {destination}, tag {tag:?}"));
    }
    if row.is_xrp && (*amount != row.amount || tx.delivered != row.amount) {
        return Some(format!(
            "it delivered {} of {} drops",
            tx.delivered, row.amount
        ));
    }
    (evidence.fee != tx.fee).then(|| {
        format!(
            "it cost {} drops, the evidence says {}",
            tx.fee, evidence.fee
        )
    })
}
