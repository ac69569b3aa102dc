//! Evidence: what validated ledgers prove, if enough servers say so.
//!
//! Owns: the only makers of [`Presence`], [`StateProof`] and [`Observed`]: [`Quorum::presence`], [`Quorum::state_proof`] and
//! [`Quorum::observed`]. May not: be given an engine result, a timeout, a count or a clock; there is no way from them to a proof.

use std::collections::BTreeSet;

use xrpl_tx::{AccountId, Amount, Drops, Hash256, Memo, Slot};

use crate::LedgerRef;
use crate::money::Money;

/// How many operators must say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    operators: usize,
}

/// Whose word it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Who runs the server.
    pub operator: String,
    /// It is our own: its word suffices.
    pub own: bool,
}

/// The wallet's Sequence as one server read it from a ledger.
#[derive(Clone, Debug)]
pub struct SequenceReading {
    /// Whose word it is.
    pub source: Source,
    /// The server said `validated: true`.
    pub validated: bool,
    /// The ledger that it read.
    pub ledger: LedgerRef,
    /// The account that it read.
    pub account: AccountId,
    /// The account's Sequence there.
    pub sequence: u32,
}

/// A transaction of the wallet as one server showed it.
#[derive(Clone, Debug)]
pub struct TransactionReading {
    /// Whose word it is.
    pub source: Source,
    /// The server said `validated: true` and gave metadata.
    pub validated: bool,
    /// The ledger that holds it.
    pub ledger: LedgerRef,
    /// The transaction.
    pub tx: LedgerTx,
}

/// A transaction with the result that its metadata gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerTx {
    /// Its hash.
    pub hash: Hash256,
    /// The account that sent it.
    pub account: AccountId,
    /// The slot that it used.
    pub slot: Slot,
    /// `meta.TransactionResult`.
    pub result: FinalResult,
    /// The fee that was charged, from metadata.
    pub fee: Drops,
    /// The SourceTag.
    pub source_tag: Option<u32>,
    /// Its memos.
    pub memos: Vec<Memo>,
    /// What it does.
    pub body: LedgerBody,
}

/// What a transaction does, as far as a payment gateway tells transactions apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerBody {
    /// A Payment in one asset on both sides, with no path, and no flag that lets it deliver less.
    Payment {
        /// Who is paid.
        destination: AccountId,
        /// Tag at the destination.
        destination_tag: Option<u32>,
        /// The amount asked for, with its SendMax.
        amount: Amount,
        /// `meta.delivered_amount`; absent for a `tec`, or if it cannot be read.
        delivered: Option<Money>,
        /// Its InvoiceID.
        invoice_id: Option<Hash256>,
    },
    /// An AccountSet that changes nothing.
    NoOp,
    /// It made Tickets: the account's Sequence jumped over their numbers.
    TicketCreate {
        /// The numbers, from metadata.
        created: Vec<u32>,
    },
    /// Anything else.
    Other,
}

/// The result of a transaction in a ledger. Ledgers hold nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinalResult {
    /// `tesSUCCESS`.
    Success,
    /// A `tec` code: fee and slot are gone, nothing else happened.
    Claimed(String),
}

/// A transaction stands in a validated ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    ledger: LedgerRef,
    tx: LedgerTx,
    servers: Vec<String>,
}

/// The wallet's Sequence in one validated ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateProof {
    ledger: LedgerRef,
    account: AccountId,
    sequence: u32,
    servers: Vec<String>,
}

/// Anything else that one server read from a ledger. It says nothing about the fate of a transaction.
#[derive(Clone, Debug)]
pub struct Reading<T> {
    /// Whose word it is.
    pub source: Source,
    /// The ledger that it read, which enough servers hold validated; the server was asked for this very one.
    pub ledger: LedgerRef,
    /// What it read there.
    pub fact: T,
}

/// A fact of one validated ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed<T> {
    ledger: LedgerRef,
    fact: T,
    servers: Vec<String>,
}

/// Why readings prove nothing yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoProof {
    /// There is no reading, or one that is not of a validated ledger.
    NotValidated,
    /// Two readings contradict each other. Somebody lies or is on a fork.
    Contradiction,
    /// Too few operators said so.
    TooFew {
        /// So many did.
        have: usize,
        /// So many must.
        need: usize,
    },
}

// === impl Quorum ===

impl Quorum {
    /// So many operators must return the deciding fact itself. At least one.
    #[must_use]
    pub fn new(operators: usize) -> Self {
        Self {
            operators: operators.max(1),
        }
    }

    /// So many operators are needed.
    #[must_use]
    pub fn operators(self) -> usize {
        self.operators
    }

    /// Whether the word of all of these together would be believed.
    #[must_use]
    pub fn suffices(self, sources: &[Source]) -> bool {
        self.agree(sources.iter()).is_ok()
    }

    /// The transaction is there, if enough servers show the same transaction with the same result in the same ledger.
    pub fn presence(self, readings: &[TransactionReading]) -> Result<Presence, NoProof> {
        let first = readings.first().ok_or(NoProof::NotValidated)?;
        if readings.iter().any(|r| !r.validated) {
            return Err(NoProof::NotValidated);
        }
        if readings
            .iter()
            .any(|r| r.ledger != first.ledger || r.tx != first.tx)
        {
            return Err(NoProof::Contradiction);
        }
        let servers = self.agree(readings.iter().map(|r| &r.source))?;
        Ok(Presence {
            ledger: first.ledger,
            tx: first.tx.clone(),
            servers,
        })
    }

    /// The account's Sequence in a ledger, if enough servers read the same number there.
    pub fn state_proof(self, readings: &[SequenceReading]) -> Result<StateProof, NoProof> {
        let first = readings.first().ok_or(NoProof::NotValidated)?;
        if readings.iter().any(|r| !r.validated) {
            return Err(NoProof::NotValidated);
        }
        let same = |r: &SequenceReading| {
            (r.ledger, r.account, r.sequence) == (first.ledger, first.account, first.sequence)
        };
        if !readings.iter().all(same) {
            return Err(NoProof::Contradiction);
        }
        let servers = self.agree(readings.iter().map(|r| &r.source))?;
        Ok(StateProof {
            ledger: first.ledger,
            account: first.account,
            sequence: first.sequence,
            servers,
        })
    }

    /// The fact, if enough servers read the same from the same ledger.
    pub fn observed<T: Clone + PartialEq>(
        self,
        readings: &[Reading<T>],
    ) -> Result<Observed<T>, NoProof> {
        let first = readings.first().ok_or(NoProof::NotValidated)?;
        if readings
            .iter()
            .any(|r| r.ledger != first.ledger || r.fact != first.fact)
        {
            return Err(NoProof::Contradiction);
        }
        let servers = self.agree(readings.iter().map(|r| &r.source))?;
        Ok(Observed {
            ledger: first.ledger,
            fact: first.fact.clone(),
            servers,
        })
    }

    /// Operators count, not servers: two servers of one operator are one word.
    fn agree<'a>(
        self,
        sources: impl Iterator<Item = &'a Source> + Clone,
    ) -> Result<Vec<String>, NoProof> {
        let operators: BTreeSet<&str> = sources.clone().map(|s| s.operator.as_str()).collect();
        let own = sources.into_iter().any(|s| s.own);
        if own || operators.len() >= self.operators || xrpl_tx::mutant!("one-server-believed") {
            Ok(operators.into_iter().map(str::to_owned).collect())
        } else {
            Err(NoProof::TooFew {
                have: operators.len(),
                need: self.operators,
            })
        }
    }
}

// === impl Presence, StateProof, Observed ===

impl Presence {
    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> LedgerRef {
        self.ledger
    }

    /// The transaction.
    #[must_use]
    pub fn tx(&self) -> &LedgerTx {
        &self.tx
    }

    /// Operators of the servers that said so.
    #[must_use]
    pub fn servers(&self) -> &[String] {
        &self.servers
    }
}

impl StateProof {
    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> LedgerRef {
        self.ledger
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The account's Sequence: every lower one is used or jumped over, this one and higher ones are not.
    #[must_use]
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Operators of the servers that said so.
    #[must_use]
    pub fn servers(&self) -> &[String] {
        &self.servers
    }

    /// True if the slot was neither used nor jumped over. A Ticket's fate is not told by the Sequence.
    #[must_use]
    pub fn is_open(&self, slot: Slot) -> bool {
        match slot {
            Slot::Sequence(number) => self.sequence <= number,
            Slot::Ticket(_) => false,
        }
    }

    /// True if the slot is gone, by use or by a jump.
    #[must_use]
    pub fn is_gone(&self, slot: Slot) -> bool {
        match slot {
            Slot::Sequence(number) => self.sequence > number,
            Slot::Ticket(_) => false,
        }
    }
}

#[cfg(paygate_mutants)]
impl StateProof {
    /// What nobody proved, for the deliberate defects alone.
    #[must_use]
    pub fn forged(ledger: LedgerRef, account: AccountId, sequence: u32) -> Self {
        Self {
            ledger,
            account,
            sequence,
            servers: Vec::new(),
        }
    }
}

impl<T> Observed<T> {
    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> LedgerRef {
        self.ledger
    }

    /// What is so in it.
    #[must_use]
    pub fn fact(&self) -> &T {
        &self.fact
    }

    /// Operators of the servers that said so.
    #[must_use]
    pub fn servers(&self) -> &[String] {
        &self.servers
    }
}

impl FinalResult {
    /// `meta.TransactionResult` of a validated transaction; `None` for a code that no ledger holds.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        if code == "tesSUCCESS" {
            Some(Self::Success)
        } else if code.starts_with("tec") {
            Some(Self::Claimed(code.to_owned()))
        } else {
            None
        }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Success => "tesSUCCESS",
            Self::Claimed(code) => code,
        }
    }
}
