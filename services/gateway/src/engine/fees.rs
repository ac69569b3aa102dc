//! What the ledger asks for now.
//!
//! Owns: reading it. May not: choose; the core does, under our own cap.

use paygate_payments::LedgerIndex;
use paygate_payments::terms::{self, FeeFacts, Terms};

use super::Engine;
use crate::xrpl::CallError;

impl Engine {
    /// What the server asks for at this moment.
    pub(super) async fn fee_facts(&self) -> Result<FeeFacts, CallError> {
        let (fee, info) = tokio::try_join!(self.link.fee(), self.link.server_info())?;
        // Rounded up: a fee a drop too low waits a ledger for nothing.
        let load = u128::from(info.load_factor_server) * 256;
        let load = load.div_ceil(u128::from(info.load_base.max(1)));
        Ok(FeeFacts {
            base: fee.base,
            minimum: fee.minimum,
            load_256ths: u64::try_from(load).unwrap_or(u64::MAX),
            open_ledger: fee.open_ledger,
        })
    }

    /// Terms of a version made now for a payment without a deadline. `None`: the server does not tell, or asks for more than
    /// our cap; the next ledger is another chance.
    pub(super) async fn terms_now(&self, validated: LedgerIndex) -> Option<Terms> {
        let facts = self.fee_facts().await.ok()?;
        terms::choose(
            facts,
            self.settings.terms,
            validated,
            LedgerIndex::default(),
            None,
        )
        .ok()
    }
}
