//! Checks of what leaves the gateway: blobs to servers, words to callers; and of the end.

use super::books::short;
use super::{Checker, ENDS, RIGHT_NETWORK, ROW_FIRST, SAME_BYTES, SCHEDULE_IS_NOTHING, TOLD_TRUTH};
use crate::simulate::facts::{Sending, Standing, Telling};

impl Checker {
    pub(super) fn see_sending(&mut self, sending: &Sending) {
        let hash = short(&sending.hash);
        let stored = self.books.blobs.get(&sending.hash).cloned();
        self.expect(stored.is_some(), ROW_FIRST, || {
            format!(
                "{hash} is sent to {} and no version of any store holds it",
                sending.server
            )
        });
        if let Some(stored) = stored {
            self.expect(stored == sending.blob, SAME_BYTES, || {
                format!("{hash} is sent with other bytes than those that were stored")
            });
        }
        self.expect(sending.is_our_network, RIGHT_NETWORK, || {
            format!(
                "{hash} is sent to {}, which is of another network",
                sending.server
            )
        });
    }

    pub(super) fn see_telling(&mut self, telling: &Telling) {
        let Telling { key, state, .. } = telling;
        self.expect(
            telling.safe_to_repay == state.is_unpaid(),
            TOLD_TRUTH,
            || {
                format!(
                    "{key} is told as {state} with safe_to_repay {}",
                    telling.safe_to_repay
                )
            },
        );
        if !state.is_final() {
            return;
        }
        let committed = self.books.ends.get(key).map(|end| end.state);
        self.expect(committed == Some(*state), TOLD_TRUTH, || {
            format!("{key} is told as {state}, and the store has {committed:?}")
        });
        let before = self.books.told.insert(key.clone(), *state);
        // From a store that was put back another word for the same may come: nothing was paid, and never will be.
        let is_lost = self.books.is_lost_end(key);
        let as_good = |before: Standing| is_lost && before.is_unpaid() && state.is_unpaid();
        self.expect(
            before.is_none_or(|before| before == *state || as_good(before)),
            TOLD_TRUTH,
            || format!("{key} is told as {state}, and was told as {before:?}"),
        );
        if telling.by_watch {
            self.books.watched.insert(key.clone(), *state);
        }
    }

    pub(super) fn see_replay(&mut self, verdicts: &[(String, Standing)]) {
        for (key, state) in verdicts {
            let first = self.books.ends.get(key).map(|end| end.state);
            let agrees = !state.is_final() || first.is_none_or(|first| first == *state);
            self.expect(agrees, SCHEDULE_IS_NOTHING, || {
                format!("{key} is {first:?}, and {state} by another schedule")
            });
        }
    }

    pub(super) fn see_end(&mut self) {
        let rows: Vec<(String, Standing, Option<u32>)> = self
            .books
            .store
            .rows
            .values()
            .map(|row| (row.key.clone(), row.state, row.slot))
            .collect();
        let is_poor = self.is_poor();
        for (key, state, slot) in rows {
            // Evidence has stopped it, and only evidence or a person moves it on; or a person has not decided.
            let waits = match state {
                Standing::Accepted => is_poor,
                Standing::OnHold => slot.is_some_and(|slot| self.is_taken_by_others(slot)),
                Standing::AwaitingApproval => true,
                _ => false,
            };
            self.expect(state.is_final() || waits, ENDS, || {
                format!("{key} is still {state} on slot {slot:?}")
            });
            let told = self.books.watched.get(&key).copied();
            let complete = !self.rules.is_watched || !state.is_final() || told == Some(state);
            self.expect(complete, TOLD_TRUTH, || {
                format!("{key} is {state}, and who watches was told {told:?}")
            });
        }
    }

    /// True if the wallet cannot pay what waits: payments go in their order, and one that is too large holds up the rest.
    fn is_poor(&self) -> bool {
        let balance = self
            .books
            .ledgers
            .last_key_value()
            .map_or(0, |(_, ledger)| ledger.balance);
        let kept = self.rules.reserve.saturating_add(self.rules.fee_cap);
        let rows = self.books.store.rows.values();
        let mut waiting = rows.filter(|row| row.state == Standing::Accepted);
        waiting.any(|row| row.amount.saturating_add(kept) > balance)
    }

    /// True if somebody else's transaction used the slot.
    fn is_taken_by_others(&self, slot: u32) -> bool {
        let mut txs = self.books.txs.values();
        txs.any(|(_, tx)| tx.sequence == slot && tx.is_foreign)
    }
}
