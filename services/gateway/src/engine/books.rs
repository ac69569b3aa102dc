//! What validated transactions did to the wallet's balance, read from their metadata.
//!
//! Owns: the reading, and telling of a difference. May not: judge; the store has the core do that, in the transaction that takes
//! the ledger in.

use paygate_payments::LedgerIndex;
use xrpl_tx::{AccountId, Drops};

use super::Engine;
use crate::store::{Guards, Moved, OwnMove, Reconciled};
use crate::xrpl::{AccountHistory, LedgerTransaction};

impl Engine {
    /// What books and fees need of a range of the wallet's history.
    pub(super) fn guards(&self, history: &AccountHistory) -> Guards {
        Guards {
            moved: moved(history, self.settings.wallet.account),
            fee_max: self.settings.terms.fee_max,
        }
    }

    /// Counts and logs what a ledger brought that nobody here made.
    pub(super) fn tell_guards(&self, reconciled: &Reconciled) {
        for difference in &reconciled.differences {
            tracing::error!(%difference, "the books do not balance");
            self.metrics.books_difference();
        }
        for tx_hash in &reconciled.foreign {
            tracing::error!(%tx_hash, "a transaction of the wallet was not made here and nobody announced it");
            self.metrics.foreign_transaction();
        }
    }
}

/// Every movement of the balance, in the order in which the ledgers applied them.
fn moved(history: &AccountHistory, wallet: AccountId) -> Vec<Moved> {
    let mut order: Vec<&LedgerTransaction> = history.transactions.iter().collect();
    order.sort_by_key(|tx| (tx.ledger_index, tx.transaction_index));
    let one = |tx: &LedgerTransaction| {
        let change = tx.balance_change?;
        Some(Moved {
            tx: tx.hash,
            ledger: LedgerIndex(tx.ledger_index),
            before: change.before,
            after: change.after,
            own: (tx.account == wallet).then(|| OwnMove {
                delivered: delivered(tx, wallet),
                fee: tx.fee_charged,
            }),
        })
    };
    order.into_iter().filter_map(one).collect()
}

/// Drops that a transaction of the wallet brought to somebody else.
fn delivered(tx: &LedgerTransaction, wallet: AccountId) -> Drops {
    if tx.result == "tesSUCCESS" && tx.destination != Some(wallet) {
        tx.delivered.drops().unwrap_or(Drops::ZERO)
    } else {
        Drops::ZERO
    }
}
