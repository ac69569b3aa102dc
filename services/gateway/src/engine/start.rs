//! Whether store, signer and ledger tell one story, asked once before the first binding.
//!
//! Owns: gathering the facts. May not: judge them; `payments::continuity` does.

use paygate_payments::LedgerIndex;
use paygate_payments::continuity::{self, StartFacts};
use paygate_proto::signer::v1::DescribeSignerResponse;

use super::Engine;
use crate::clock;
use crate::store::StoreError;

impl Engine {
    /// Compares store, ledger and signer, begins a quarantine if they call for one, and only then lets this generation bind
    /// and end payments.
    pub(super) async fn check_continuity(
        &self,
        validated: LedgerIndex,
        sequence: u32,
        signer: &DescribeSignerResponse,
    ) -> Result<(), StoreError> {
        let cursor = self.store.cursor().await?;
        let slots = self.store.slot_facts().await?;
        let facts = StartFacts {
            validated,
            reconciled: cursor.doubt_from,
            window: self.settings.terms.window,
            journal_height: signer.journal_head.as_ref().map_or(0, |head| head.height),
            recorded_height: cursor.journal_height,
            signer_highest: signer.highest_sequence,
            highest_bound: slots.highest_bound,
            validated_sequence: sequence,
            other_store: !signer.store_id.is_empty() && signer.store_id != self.store.store_id(),
        };
        // One that is already running keeps its end, unless the new one ends later.
        let begins = continuity::at_start(facts).filter(|new| {
            cursor
                .quarantine
                .is_none_or(|running| running.until < new.until)
        });
        if let Some(quarantine) = begins {
            tracing::warn!(reason = %quarantine.why, until_ledger = quarantine.until.0, "quarantine begins: nothing is bound");
            self.store
                .set_quarantine(self.epoch, Some(quarantine), clock::now())
                .await?;
            self.view.update(|v| v.quarantine = Some(quarantine));
        }
        self.store.pass_continuity(self.epoch, clock::now()).await
    }

    /// Ends the quarantine once everything that could have been lost is provably dead or known.
    pub(super) async fn end_quarantine(&self, reconciled: LedgerIndex) -> Result<(), StoreError> {
        let Some(quarantine) = self.view.now().quarantine else {
            return Ok(());
        };
        if quarantine.is_over(reconciled) {
            tracing::info!(ledger = reconciled.0, "quarantine ends");
            self.store
                .set_quarantine(self.epoch, None, clock::now())
                .await?;
            self.view.update(|v| v.quarantine = None);
        }
        Ok(())
    }
}
