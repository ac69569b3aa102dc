//! Imports what the ledger shows of a store that was lost: the wallet's history before the first ledger of a fresh store.
//!
//! Owns: how far it has come, durably. May not: decide whose a transaction is.

use paygate_payments::LedgerIndex;

use super::Engine;
use super::confirm::Delay;

/// Parts walked before the newest ledgers get their turn.
const PARTS_PER_TURN_MAX: usize = 8;

impl Engine {
    /// Walks a few parts, if there is anything to import.
    pub(super) async fn import_history(&self) -> Result<(), Delay> {
        for _ in 0..PARTS_PER_TURN_MAX {
            let cursor = self.store.cursor().await.map_err(Delay::Store)?;
            let (Some(from), Some(first)) = (cursor.import_from, cursor.first_ledger) else {
                return Ok(());
            };
            let walked = self.import_part(from, first).await;
            let stuck = match &walked {
                Err(delay @ Delay::History(_)) => format!("ledgers {from} to {first}: {delay}"),
                _ => String::new(),
            };
            self.view.update(|v| v.import_stuck = stuck);
            walked?;
        }
        Ok(())
    }

    async fn import_part(&self, from: LedgerIndex, first: LedgerIndex) -> Result<(), Delay> {
        let (to, shown) = self.witness_history(from, first).await?;
        let next = (to < first).then(|| to.plus(1));
        let _same_generation = self.generation.read().await;
        let kept = self
            .store
            .import(self.epoch(), shown, next)
            .await
            .map_err(Delay::Store)?;
        tracing::info!(
            from_ledger = from.0,
            to_ledger = to.0,
            kept,
            done = next.is_none(),
            "imported history of the wallet"
        );
        Ok(())
    }
}
