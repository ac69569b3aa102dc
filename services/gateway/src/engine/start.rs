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
    /// Begins a quarantine if continuity is in doubt. `before` is what the store had reconciled when this process began.
    pub(super) async fn check_continuity(
        &self,
        before: Option<LedgerIndex>,
        validated: LedgerIndex,
        sequence: u32,
        signer: &DescribeSignerResponse,
    ) -> Result<(), StoreError> {
        let cursor = self.store.cursor().await?;
        let slots = self.store.slot_facts().await?;
        let facts = StartFacts {
            validated,
            reconciled: before,
            window: self.settings.terms.window,
            journal_height: signer.journal_head.as_ref().map_or(0, |head| head.height),
            recorded_height: cursor.journal_height,
            signer_highest: signer.highest_sequence,
            highest_bound: slots.highest_bound,
            validated_sequence: sequence,
            other_store: !signer.store_id.is_empty() && signer.store_id != self.store.store_id(),
        };
        let Some(quarantine) = continuity::at_start(facts) else {
            return Ok(());
        };
        // One that is already running keeps its end, unless the new one ends later.
        if cursor
            .quarantine
            .is_some_and(|running| running.until >= quarantine.until)
        {
            return Ok(());
        }
        tracing::warn!(reason = %quarantine.why, until_ledger = quarantine.until.0, "quarantine begins: nothing is bound");
        self.store
            .set_quarantine(self.epoch, Some(quarantine), clock::now())
            .await?;
        self.view.update(|v| v.quarantine = Some(quarantine));
        Ok(())
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
