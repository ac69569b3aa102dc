//! The wallet's books: where each drop of its balance came from and went to, by the metadata of validated transactions.
//!
//! Owns: whether the ledger's balance is what our payments, our fees and the booked inflows make of it, and the words for a
//! difference. May not: stop anything by itself; whoever keeps the books freezes on a [`Difference`]. An inflow never is one.

use std::fmt;

use xrpl_tx::{Drops, Hash256};

use crate::LedgerIndex;

/// What one validated transaction did to the wallet's balance, as its metadata says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The transaction.
    pub tx: Hash256,
    /// The ledger that holds it.
    pub ledger: LedgerIndex,
    /// The balance before it.
    pub before: Drops,
    /// The balance after it.
    pub after: Drops,
    /// Whose doing it is.
    pub by: Mover,
}

/// Whose doing a movement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mover {
    /// A transaction that we made: it takes what it delivered and its fee, no more and no less.
    Ours {
        /// Drops that arrived; zero for a failure, a no-op and an issued currency.
        delivered: Drops,
        /// What the ledger charged.
        fee: Drops,
    },
    /// A transaction of the wallet that was made outside. If nobody announced it, sending is frozen for its sake already.
    Outside,
    /// Somebody else's transaction. It may bring, and may not take.
    Others,
}

/// The books since they were opened. `opening + inflows + outside_in + found = balance + paid + fees + outside_out + lost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Book {
    /// The ledger at which they were opened.
    pub opened: LedgerIndex,
    /// The balance in that ledger.
    pub opening: Drops,
    /// The balance in the last ledger that was booked.
    pub balance: Drops,
    /// Drops that our payments delivered.
    pub paid: Drops,
    /// Fees of our transactions.
    pub fees: Drops,
    /// What others brought.
    pub inflows: Drops,
    /// What transactions of the wallet made outside brought.
    pub outside_in: Drops,
    /// What they took, fees included.
    pub outside_out: Drops,
    /// Increases that nothing explains.
    pub found: Drops,
    /// Decreases that nothing explains.
    pub lost: Drops,
}

/// The ledger and the books say different things. Sending stops until a person looked; the books go on with the ledger's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Somebody else's transaction took from the wallet.
    Taken {
        /// The transaction.
        tx: Hash256,
        /// The ledger that holds it.
        ledger: LedgerIndex,
        /// How much.
        drops: Drops,
    },
    /// One of our transactions moved another amount than it delivered and cost.
    OurOwn {
        /// The transaction.
        tx: Hash256,
        /// The ledger that holds it.
        ledger: LedgerIndex,
        /// What it delivered, and its fee.
        expected: Drops,
        /// The balance before it.
        before: Drops,
        /// The balance after it.
        after: Drops,
    },
    /// Before this transaction the balance was not what the one before it left.
    Gap {
        /// The transaction.
        tx: Hash256,
        /// The ledger that holds it.
        ledger: LedgerIndex,
        /// The balance of the books.
        book: Drops,
        /// The balance before the transaction.
        before: Drops,
    },
    /// The ledger's balance is not what its transactions make of the last one.
    Balance {
        /// The ledger.
        ledger: LedgerIndex,
        /// The balance of the books.
        book: Drops,
        /// The balance in the ledger.
        balance: Drops,
    },
}

// === impl Book ===

impl Book {
    /// Opens the books at a ledger with the balance that it holds.
    #[must_use]
    pub fn open(ledger: LedgerIndex, balance: Drops) -> Self {
        Self {
            opened: ledger,
            opening: balance,
            balance,
            paid: Drops::ZERO,
            fees: Drops::ZERO,
            inflows: Drops::ZERO,
            outside_in: Drops::ZERO,
            outside_out: Drops::ZERO,
            found: Drops::ZERO,
            lost: Drops::ZERO,
        }
    }

    /// Books one movement. They come in the ledger's order. Total: what does not fit is booked as found or lost, and said.
    pub fn take(&mut self, movement: &Movement) -> Vec<Difference> {
        let Movement {
            tx,
            ledger,
            before,
            after,
            by,
        } = *movement;
        let mut differences = Vec::new();
        if before != self.balance {
            differences.push(Difference::Gap {
                tx,
                ledger,
                book: self.balance,
                before,
            });
            self.unexplained(self.balance, before);
        }
        self.balance = after;
        let came = after.saturating_sub(before);
        let went = before.saturating_sub(after);
        match by {
            Mover::Ours { delivered, fee } => {
                add(&mut self.paid, delivered);
                add(&mut self.fees, fee);
                let expected = delivered.checked_add(fee).unwrap_or(Drops::MAX);
                if came != Drops::ZERO || went != expected {
                    differences.push(Difference::OurOwn {
                        tx,
                        ledger,
                        expected,
                        before,
                        after,
                    });
                    // What should be there after it, against what is.
                    add(&mut self.found, came);
                    add(&mut self.found, expected.saturating_sub(went));
                    add(&mut self.lost, went.saturating_sub(expected));
                }
            }
            Mover::Outside => {
                add(&mut self.outside_in, came);
                add(&mut self.outside_out, went);
            }
            Mover::Others => {
                add(&mut self.inflows, came);
                if went != Drops::ZERO {
                    add(&mut self.lost, went);
                    differences.push(Difference::Taken {
                        tx,
                        ledger,
                        drops: went,
                    });
                }
            }
        }
        differences
    }

    /// Compares with the balance that the ledger holds, once everything up to it was booked.
    pub fn close(&mut self, ledger: LedgerIndex, balance: Drops) -> Option<Difference> {
        if self.balance == balance {
            return None;
        }
        let difference = Difference::Balance {
            ledger,
            book: self.balance,
            balance,
        };
        self.unexplained(self.balance, balance);
        self.balance = balance;
        Some(difference)
    }

    /// True while every drop that was ever booked is accounted for. Sums are of the order of all XRP there is, far below 2^64.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let sum = |drops: [Drops; 4]| drops.iter().map(|d| u128::from(d.get())).sum::<u128>();
        let came = sum([self.opening, self.inflows, self.outside_in, self.found]);
        let went = sum([self.paid, self.fees, self.outside_out, self.lost]);
        came == went + u128::from(self.balance.get())
    }

    fn unexplained(&mut self, from: Drops, to: Drops) {
        add(&mut self.found, to.saturating_sub(from));
        add(&mut self.lost, from.saturating_sub(to));
    }
}

/// A sum that would pass all XRP there is stops there: it is shown, and nothing rests on it.
fn add(sum: &mut Drops, drops: Drops) {
    *sum = sum.checked_add(drops).unwrap_or(Drops::MAX);
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { tx, ledger, drops } => write!(
                f,
                "transaction {tx} of somebody else took {drops} from the wallet in ledger {ledger}"
            ),
            Self::OurOwn {
                tx,
                ledger,
                expected,
                before,
                after,
            } => write!(
                f,
                "our transaction {tx} in ledger {ledger} delivered and cost {expected}, and moved the balance from {before} to {after}"
            ),
            Self::Gap {
                tx,
                ledger,
                book,
                before,
            } => write!(
                f,
                "before transaction {tx} in ledger {ledger} the balance was {before}, and the books have {book}"
            ),
            Self::Balance {
                ledger,
                book,
                balance,
            } => write!(
                f,
                "ledger {ledger} holds a balance of {balance}, and its transactions make {book} of the last one"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drops(n: u64) -> Drops {
        Drops::new(n).unwrap()
    }

    fn movement(before: u64, after: u64, by: Mover) -> Movement {
        Movement {
            tx: Hash256::from_bytes([7; 32]),
            ledger: LedgerIndex(101),
            before: drops(before),
            after: drops(after),
            by,
        }
    }

    fn ours(delivered: u64, fee: u64) -> Mover {
        Mover::Ours {
            delivered: drops(delivered),
            fee: drops(fee),
        }
    }

    #[test]
    fn payments_fees_and_inflows_explain_the_balance() {
        let mut book = Book::open(LedgerIndex(100), drops(1_000));
        assert!(book.take(&movement(1_000, 690, ours(300, 10))).is_empty());
        assert!(book.take(&movement(690, 680, ours(0, 10))).is_empty());
        assert!(book.take(&movement(680, 5_680, Mover::Others)).is_empty());
        assert!(
            book.take(&movement(5_680, 5_600, Mover::Outside))
                .is_empty()
        );
        assert_eq!(book.close(LedgerIndex(101), drops(5_600)), None);
        assert_eq!(
            (book.paid, book.fees, book.inflows, book.outside_out),
            (drops(300), drops(20), drops(5_000), drops(80))
        );
        assert!(book.adds_up());
    }

    #[test]
    fn what_does_not_fit_is_named_once_and_booked() {
        let rows: [(Movement, &str); 4] = [
            (movement(1_000, 900, Mover::Others), "took 0.0001 XRP"),
            (movement(1_000, 600, ours(300, 10)), "moved the balance"),
            (movement(1_000, 1_400, ours(300, 10)), "moved the balance"),
            (movement(950, 640, ours(300, 10)), "the books have"),
        ];
        for (movement, words) in rows {
            let mut book = Book::open(LedgerIndex(100), drops(1_000));
            let said = book.take(&movement);
            assert_eq!(said.len(), 1, "{movement:?}");
            assert!(said[0].to_string().contains(words), "{}", said[0]);
            assert!(book.adds_up(), "{book:?}");
            // The next ledger starts from the ledger's word: one difference is told once.
            assert_eq!(book.close(LedgerIndex(101), movement.after), None);
        }
    }

    #[test]
    fn a_balance_that_no_transaction_explains_is_a_difference_once() {
        let mut book = Book::open(LedgerIndex(100), drops(1_000));
        let said = book.close(LedgerIndex(101), drops(400)).unwrap();
        assert!(said.to_string().contains("ledger 101 holds"), "{said}");
        assert_eq!(book.close(LedgerIndex(102), drops(400)), None);
        assert_eq!(book.lost, drops(600));
        assert!(book.adds_up());
    }

    fn any_mover() -> impl Strategy<Value = Mover> {
        prop_oneof![
            (0u64..500, 0u64..50).prop_map(|(delivered, fee)| ours(delivered, fee)),
            Just(Mover::Outside),
            Just(Mover::Others),
        ]
    }

    proptest! {
        #[test]
        fn every_drop_is_accounted_for_whatever_is_booked(
            opening in 0u64..10_000,
            steps in prop::collection::vec((0u64..10_000, 0u64..10_000, any_mover(), any::<bool>()), 0..40),
            closing in 0u64..10_000,
        ) {
            let mut book = Book::open(LedgerIndex(1), drops(opening));
            for (before, after, by, chained) in steps {
                let before = if chained { book.balance.get() } else { before };
                let inflow = by == Mover::Others && before == book.balance.get() && after >= before;
                let said = book.take(&movement(before, after, by));
                prop_assert!(!inflow || said.is_empty(), "an inflow never freezes");
                prop_assert!(book.adds_up());
            }
            let fits = book.balance.get() == closing;
            prop_assert_eq!(book.close(LedgerIndex(2), drops(closing)).is_none(), fits);
            prop_assert!(book.adds_up());
        }
    }
}
