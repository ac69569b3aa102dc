//! Higher bids for slots whose payments are in a hurry.
//!
//! Owns: gathering what the core needs to choose, and committing its choice before the signer hears of it. May not: choose.

use paygate_payments::bump;
use paygate_payments::step::Event;
use paygate_payments::terms::FeeFacts;
use xrpl_tx::Slot;

use super::dispatch::{Dispatcher, Turn};
use crate::clock;
use crate::store::{OpenSlot, StoreError};

impl Dispatcher {
    /// Commits a higher bid for every slot that is in a hurry. True if there is one: its version is unsigned yet.
    pub(super) async fn raise(
        &self,
        turn: &Turn,
        open: &[OpenSlot],
        facts: FeeFacts,
    ) -> Result<bool, StoreError> {
        let engine = &self.engine;
        let policy = engine.settings.terms;
        let mut raised = false;
        for slot in open {
            // After a cancel only no-ops are made, and they have no deadline.
            let (Some(record), Some(versions), false) =
                (&slot.owner, slot.live_versions(), slot.is_cancelled())
            else {
                continue;
            };
            let Some(deadline) = record.payment.deadline else {
                continue;
            };
            let validated = turn.validated.index;
            let Some(terms) = bump::in_a_hurry(versions, deadline, validated, facts, policy) else {
                continue;
            };
            let key = record.payment.intent.key.clone();
            let event = Event::FeeRaised(terms);
            let done = engine
                .store
                .advance(engine.epoch(), key.clone(), event, Vec::new(), clock::now())
                .await;
            match done {
                Ok(_) => {
                    raised = true;
                    engine.metrics.fee_bump();
                    tracing::info!(payment_id = %key.payment, slot = slot.slot.number(), fee_drops = terms.fee.get(), %deadline, "a higher fee is bid: the deadline is near");
                }
                // A ledger or a cancel was faster.
                Err(StoreError::Illegal(_) | StoreError::Frozen | StoreError::Quarantined) => {}
                Err(StoreError::FeeBudget(over)) => {
                    tracing::warn!(slot = Slot::number(slot.slot), %over, "no higher fee is bid");
                    break;
                }
                Err(err) => return Err(err),
            }
        }
        Ok(raised)
    }
}
