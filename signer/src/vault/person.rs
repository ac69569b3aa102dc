//! What a person says about the journal while the signer is stopped: whose it is, and that it was lost or put back.
//!
//! Owns: the frames that record it. May not: sign, or believe a request; none leads here.

use xrpl_tx::AccountId;

use super::Ledger;
use crate::index::Recovery;
use crate::journal::record::NO_SLOT;
use crate::journal::{Entry, Head, JournalError, Record};

/// Why a person's word is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It is another wallet's.
    #[error("the journal belongs to wallet {journal}, the configured one is {wallet}")]
    OtherWallet {
        /// The journal's.
        journal: AccountId,
        /// The configured one.
        wallet: AccountId,
    },
    /// It belongs to this store already.
    #[error("the journal belongs to this store already: nothing was changed")]
    SameStore,
    /// Another recovery is under way.
    #[error(
        "the journal is being recovered until ledger {until}: finish that first with `paygate-signer recover`"
    )]
    Recovering {
        /// Until this ledger.
        until: u32,
    },
    /// The ledger is lower than one that the journal knows of.
    #[error(
        "ledger {validated} cannot be the newest validated one: this recovery was begun at a later one, {known}"
    )]
    LedgerTooLow {
        /// What was said.
        validated: u32,
        /// What is known.
        known: u32,
    },
}

/// What became of a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// Signatures that were lost may be alive until this ledger is validated.
    Waits {
        /// That ledger.
        until: u32,
    },
    /// They are dead: the journal is in use again from this frame on.
    Done {
        /// The frame.
        head: Head,
    },
}

impl Ledger {
    /// From here on the journal belongs to this store. Epochs are counted anew.
    pub fn adopt_store(
        &mut self,
        account: AccountId,
        store_id: [u8; 16],
        clock_ms: u64,
    ) -> Result<Head, Refused> {
        self.check_wallet(account)?;
        if let Some(Recovery {
            until, done: false, ..
        }) = self.index.recovery()
        {
            return Err(Refused::Recovering { until });
        }
        if self.index.pin().is_some_and(|pin| pin.store_id == store_id) {
            return Err(Refused::SameStore);
        }
        self.say(account, store_id, 0, clock_ms, Entry::Adoption)
    }

    /// Takes the journal into use again, in two steps with the same words: the first records how long lost signatures may live, the
    /// second, with a ledger at or past that, that they are dead. The ledger's number comes from a person.
    pub fn recover(
        &mut self,
        account: AccountId,
        validated_ledger: u32,
        window: u32,
        clock_ms: u64,
    ) -> Result<Recovered, Refused> {
        self.check_wallet(account)?;
        let known = self.journal.head().highest_last_ledger_sequence;
        let under_way = self.index.recovery().filter(|recovery| !recovery.done);
        let (until, done) = match under_way {
            Some(recovery) if validated_ledger < recovery.begun_at => {
                return Err(Refused::LedgerTooLow {
                    validated: validated_ledger,
                    known: recovery.begun_at,
                });
            }
            Some(recovery) => (recovery.until, validated_ledger >= recovery.until),
            // A version is signed for a ledger at most a window past the validated one of that moment, which is not past this one.
            None => (validated_ledger.saturating_add(window).max(known), false),
        };
        if under_way.is_some() && !done {
            return Ok(Recovered::Waits { until });
        }
        let (store_id, epoch) = (
            self.index.pin().map_or([0; 16], |pin| pin.store_id),
            self.index.epoch(),
        );
        let entry = Entry::Recovery {
            validated_ledger,
            until,
            done,
        };
        let head = self.say(account, store_id, epoch, clock_ms, entry)?;
        Ok(if done {
            Recovered::Done { head }
        } else {
            Recovered::Waits { until }
        })
    }

    fn check_wallet(&self, wallet: AccountId) -> Result<(), Refused> {
        match self.index.pin() {
            Some(pin) if pin.account != wallet => Err(Refused::OtherWallet {
                journal: pin.account,
                wallet,
            }),
            _ => Ok(()),
        }
    }

    fn say(
        &mut self,
        account: AccountId,
        store_id: [u8; 16],
        epoch: u64,
        clock_ms: u64,
        entry: Entry,
    ) -> Result<Head, Refused> {
        let record = Record {
            store_id,
            epoch,
            recorded_at_ms: clock_ms.max(self.index.latest_ms()),
            account,
            slot: NO_SLOT,
            previous_offset: 0,
            entry,
        };
        let position = self.journal.append(&record)?;
        self.index
            .add(position, &record)
            .expect("the record was made from the index");
        let recorded = self.journal.durability().commit(position, record)?;
        Ok(recorded.head())
    }
}
