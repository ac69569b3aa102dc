//! Checks of what the chain does.

use super::books::{Header, invoice_of, short};
use super::{Checker, PAID_ONCE, UNPAID_IS_TRUE};
use crate::simulate::facts::{ChainLedger, Standing};

impl Checker {
    pub(super) fn see_ledger(&mut self, ledger: &ChainLedger) {
        self.books.validated = self.books.validated.max(ledger.index);
        let header = Header {
            hash: ledger.hash,
            sequence: ledger.sequence,
            balance: ledger.balance,
        };
        self.books.ledgers.insert(ledger.index, header);
        for tx in &ledger.txs {
            self.books.txs.insert(tx.hash, (ledger.index, tx.clone()));
            let Some(invoice) = invoice_of(tx) else {
                continue;
            };
            self.books
                .by_invoice
                .entry(invoice)
                .or_default()
                .push(tx.hash);
            let times = self.books.paid(&invoice).len();
            self.expect(times <= 1, PAID_ONCE, || {
                let (index, hash) = (ledger.index, short(&tx.hash));
                format!(
                    "InvoiceID {} is paid {times} times, last by {hash} in ledger {index}",
                    short(&invoice)
                )
            });
            if let Some(key) = self.books.invoices.get(&invoice).cloned() {
                self.check_unpaid(&key);
            }
        }
    }

    /// What was ever said to be unpaid, against the chain.
    pub(super) fn check_unpaid(&mut self, key: &str) {
        let Some(end) = self.books.ends.get(key).filter(|end| end.state.is_unpaid()) else {
            return;
        };
        let state = end.state;
        let mine = self.books.invoices.iter().find(|(_, of)| *of == key);
        let Some((invoice, _)) = mine else {
            return;
        };
        let hashes = self
            .books
            .by_invoice
            .get(invoice)
            .map_or(&[][..], Vec::as_slice);
        let in_chain = hashes.iter().filter_map(|hash| self.books.txs.get(hash));
        // FAILED is a transaction that took the fee; the others say that there is none at all.
        let wrong = in_chain
            .filter(|(_, tx)| tx.succeeded || state != Standing::Failed)
            .map(|(index, tx)| (*index, tx.hash))
            .next();
        if let Some((index, hash)) = wrong {
            self.violated(
                UNPAID_IS_TRUE,
                format!(
                    "{key} is {state}, and {} in ledger {index} pays it",
                    short(&hash)
                ),
            );
        }
    }
}
