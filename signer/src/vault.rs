//! The vault: decides on typed requests, journals, and only then hands signed bytes out.
//!
//! Synchronous, without socket, clock or runtime: the time is an argument. Owns the order claim, decide, sign, journal,
//! hand out. Signed bytes leave only inside a [`Recorded`], which only the journal makes, so a signature that is not
//! durable cannot be answered, whatever is wrong here.
//!
//! The signature is made before the commit and recorded with it: a repeated request is answered with the journal's very
//! bytes, and a key that is changed later cannot change them.

mod claim;
mod decide;
mod person;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xrpl_tx::{AccountId, Asset, Drops, IssuedValue, PublicKey, Slot};

use crate::index::{Index, Pin, Recovery};
use crate::intent::{Fence, NoOpRequest, PaymentRequest, TicketCreateRequest};
use crate::journal::{
    Disk, Durability, Entry, Head, Journal, JournalError, OpenError, RealDisk, Record, Recorded,
};
use crate::keys::{CanaryError, SigningKey};
use crate::policy::{Denial, Policy};

use claim::{Claim, Stop};
pub use person::{Recovered, Refused};

/// Which wallet on which network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// The account that pays.
    pub account: AccountId,
    /// The network that it pays on.
    pub network_id: u32,
}

/// An opened journal with its index, before there is a key.
#[derive(Debug)]
pub struct Ledger {
    journal: Journal,
    index: Index,
    /// Bytes beyond `HEAD` that were torn and cut.
    pub cut_bytes: u64,
    /// Whole frames beyond `HEAD` that were kept.
    pub kept_frames: u64,
}

/// The vault of one wallet.
pub struct Vault {
    wallet: Wallet,
    policy: Policy,
    key: SigningKey,
    durability: Arc<Durability>,
    state: Mutex<State>,
}

struct State {
    journal: Journal,
    index: Index,
    /// The highest epoch of any request of the right store; not below the journal's.
    epoch_seen: u64,
}

/// The answer to a request.
#[derive(Debug)]
#[must_use = "it is the answer"]
pub enum Outcome {
    /// It is durable and may be handed out.
    Signed {
        /// The record with the signed bytes.
        recorded: Recorded,
        /// Whether the journal already held it.
        replayed: bool,
    },
    /// It is refused.
    Denied {
        /// Why.
        denial: Denial,
        /// Whether a seal says that it is never signed.
        permanent: bool,
        /// The durable end of the journal, at or after the seal.
        head: Head,
    },
}

/// What the vault says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The wallet.
    pub wallet: Wallet,
    /// The key that signs.
    pub public_key: PublicKey,
    /// Digest of the policy in force.
    pub policy_digest: [u8; 32],
    /// Used of the day's limit.
    pub used_day: Drops,
    /// Used of the day's limits of issued currencies, in the policy's order.
    pub used_assets: Vec<(Asset, IssuedValue)>,
    /// The durable end of the journal.
    pub head: Head,
    /// The highest sequence ever signed or sealed; 0: none.
    pub highest_sequence: u32,
    /// The store that the journal is pinned to.
    pub store_id: Option<[u8; 16]>,
    /// The highest epoch seen.
    pub epoch: u64,
    /// Height and hash of the newest frame by which a person took the journal into use again.
    pub recovery: Option<(u64, [u8; 32])>,
    /// The signer's own estimate.
    pub estimated_ledger_index: u32,
}

/// Why nothing is signed with this journal.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The journal belongs to another wallet.
    #[error(
        "the journal belongs to wallet {journal}, the configured one is {wallet}: exactly one journal per wallet"
    )]
    OtherWallet {
        /// The journal's.
        journal: AccountId,
        /// The configured one.
        wallet: AccountId,
    },
    /// A recovery was begun and not finished.
    #[error(
        "the journal is being recovered: signatures that were lost may be alive until ledger {until} is validated; then run \
         `paygate-signer recover --validated-ledger N` with that ledger's number or a higher one, and start again"
    )]
    Recovering {
        /// That ledger.
        until: u32,
    },
}

/// An approval or seal, before it has a place in the journal.
struct Draft {
    slot: Slot,
    previous_offset: u64,
    entry: Entry,
}

// === impl Ledger ===

impl Ledger {
    /// Opens the journal and reads all of it.
    pub fn open(directory: &Path, network_id: u32) -> Result<Ledger, OpenError> {
        let disk = RealDisk::open(directory).map_err(|source| OpenError::Io {
            what: "open",
            path: directory.display().to_string(),
            source,
        })?;
        Ledger::open_on(Arc::new(disk), network_id)
    }

    /// The same on a disk.
    pub fn open_on(disk: Arc<dyn Disk>, network_id: u32) -> Result<Ledger, OpenError> {
        let mut index = Index::default();
        let opened = Journal::open_on(disk, network_id, &mut |position, record| {
            index.add(position, record)
        })?;
        Ok(Ledger {
            journal: opened.journal,
            index,
            cut_bytes: opened.cut_bytes,
            kept_frames: opened.kept_frames,
        })
    }

    /// The wallet that the journal is pinned to.
    pub fn account(&self) -> Option<AccountId> {
        self.index.pin().map(|pin| pin.account)
    }
}

// === impl Vault ===

impl Vault {
    /// Puts wallet, policy, key and journal together.
    pub fn new(
        wallet: Wallet,
        policy: Policy,
        key: SigningKey,
        ledger: Ledger,
    ) -> Result<Vault, Unfit> {
        if let Some(Pin { account, .. }) = ledger.index.pin()
            && account != wallet.account
        {
            return Err(Unfit::OtherWallet {
                journal: account,
                wallet: wallet.account,
            });
        }
        if let Some(Recovery {
            until, done: false, ..
        }) = ledger.index.recovery()
        {
            return Err(Unfit::Recovering { until });
        }
        let epoch_seen = ledger.index.epoch();
        let durability = ledger.journal.durability();
        let state = Mutex::new(State {
            journal: ledger.journal,
            index: ledger.index,
            epoch_seen,
        });
        Ok(Vault {
            wallet,
            policy,
            key,
            durability,
            state,
        })
    }

    /// Says who the signer is and how things stand. Changes nothing.
    pub fn describe(&self, clock_ms: u64) -> Result<Description, JournalError> {
        let mut state = self.state();
        let now_ms = state.now_ms(clock_ms);
        let (used_day, _) = state.index.day_used(None, now_ms);
        let recovery = match state.index.recovery() {
            Some(recovery) => state
                .journal
                .hash_at(recovery.height)?
                .map(|hash| (recovery.height, hash)),
            None => None,
        };
        let assets = self.policy.assets.keys();
        let used_assets = assets
            .map(|asset| (*asset, state.index.day_used_issued(*asset, None, now_ms).0))
            .collect();
        Ok(Description {
            wallet: self.wallet,
            public_key: self.key.public(),
            policy_digest: self
                .policy
                .digest(self.wallet.account, self.wallet.network_id),
            used_day,
            used_assets,
            head: self.durability.head()?,
            highest_sequence: state.index.highest_sequence(),
            store_id: state.index.pin().map(|pin| pin.store_id),
            epoch: state.epoch_seen,
            recovery,
            estimated_ledger_index: self.policy.estimated_ledger_index(now_ms),
        })
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Proves that the key signs.
    pub fn canary(&self, nonce: u64) -> Result<(), CanaryError> {
        self.key.canary(nonce)
    }

    /// Answers a request that has no meaning.
    pub fn deny_malformed(
        &self,
        malformed: crate::intent::Malformed,
    ) -> Result<Outcome, JournalError> {
        self.denied(malformed.into())
    }

    /// Signs one version of a payment, answers with the journal's bytes, or denies.
    pub fn sign_payment(
        &self,
        request: &PaymentRequest,
        clock_ms: u64,
    ) -> Result<Outcome, JournalError> {
        // Ours, whatever the request claims; both the digest and the transaction hold it.
        let invoice_id = request.invoice_id(self.wallet.network_id);
        let mut state = self.state();
        let claim = match self.claim_payment(&mut state, request, invoice_id) {
            Ok(Claim::Replay(recorded)) => {
                drop(state);
                return self.replay(recorded);
            }
            Ok(claim) => claim,
            Err(Stop::Denied(denial)) => return self.denied(denial),
            Err(Stop::Failed(error)) => return Err(error),
        };
        let now_ms = state.now_ms(clock_ms);
        let previous_offset = state.index.slot_offset(request.slot).unwrap_or(0);

        let memos = match self.policy.check_content(
            self.wallet.account,
            request.destination,
            &request.amount,
            &request.memos,
        ) {
            Ok(memos) => memos,
            Err(denial) if matches!(claim, Claim::Fresh) => {
                let seal = Draft {
                    slot: request.slot,
                    previous_offset,
                    entry: Entry::Seal {
                        key: request.key.clone(),
                        digest: request.claimed_digest,
                        reason: reason_byte(&denial),
                    },
                };
                return self.seal(state, request.fence, now_ms, seal, denial);
            }
            // It is at large already: no later opinion makes it never signed.
            Err(denial) => return self.denied(denial),
        };
        let approved = match self.approve_payment(&mut state, request, invoice_id, memos, now_ms) {
            Ok(approved) => approved,
            Err(denial) => return self.denied(denial),
        };
        let entry = Entry::Payment {
            key: request.key.clone(),
            digest: request.claimed_digest,
            amount: request.amount,
            transaction: self.sign(&approved, request.version),
        };
        let draft = Draft {
            slot: request.slot,
            previous_offset,
            entry,
        };
        let recorded = self.record(state, request.fence, now_ms, draft)?;
        Ok(Outcome::Signed {
            recorded,
            replayed: false,
        })
    }

    /// Signs one version of a no-op, after which the slot takes nothing else.
    pub fn sign_noop(&self, request: &NoOpRequest, clock_ms: u64) -> Result<Outcome, JournalError> {
        let mut state = self.state();
        match self.claim_noop(&mut state, request) {
            Ok(Claim::Replay(recorded)) => {
                drop(state);
                return self.replay(recorded);
            }
            Ok(Claim::Fresh | Claim::Versions) => {}
            Err(Stop::Denied(denial)) => return self.denied(denial),
            Err(Stop::Failed(error)) => return Err(error),
        }
        let now_ms = state.now_ms(clock_ms);
        let approved = match self.approve_noop(&mut state, request, now_ms) {
            Ok(approved) => approved,
            Err(denial) => return self.denied(denial),
        };
        let draft = Draft {
            slot: request.slot,
            previous_offset: state.index.slot_offset(request.slot).unwrap_or(0),
            entry: Entry::NoOp {
                key: request.for_payment.clone(),
                digest: request.digest(),
                transaction: self.sign(&approved, request.version),
            },
        };
        let recorded = self.record(state, request.fence, now_ms, draft)?;
        Ok(Outcome::Signed {
            recorded,
            replayed: false,
        })
    }

    /// Signs one version of a TicketCreate, after which the sequences that it sets aside are no slots any more.
    pub fn sign_ticket_create(
        &self,
        request: &TicketCreateRequest,
        clock_ms: u64,
    ) -> Result<Outcome, JournalError> {
        let mut state = self.state();
        match self.claim_ticket_create(&mut state, request) {
            Ok(Claim::Replay(recorded)) => {
                drop(state);
                return self.replay(recorded);
            }
            Ok(Claim::Fresh | Claim::Versions) => {}
            Err(Stop::Denied(denial)) => return self.denied(denial),
            Err(Stop::Failed(error)) => return Err(error),
        }
        let now_ms = state.now_ms(clock_ms);
        let approved = match self.approve_ticket_create(&mut state, request, now_ms) {
            Ok(approved) => approved,
            Err(denial) => return self.denied(denial),
        };
        let draft = Draft {
            slot: request.slot(),
            previous_offset: state.index.slot_offset(request.slot()).unwrap_or(0),
            entry: Entry::TicketCreate {
                digest: request.digest(),
                tickets: request.tickets,
                transaction: self.sign(&approved, request.version),
            },
        };
        let recorded = self.record(state, request.fence, now_ms, draft)?;
        Ok(Outcome::Signed {
            recorded,
            replayed: false,
        })
    }

    fn replay(&self, recorded: Box<Recorded>) -> Result<Outcome, JournalError> {
        Ok(Outcome::Signed {
            recorded: *recorded,
            replayed: true,
        })
    }

    // --- journal, then hand out ---

    /// Appends under the lock, so that the next request sees it, and waits for the disk without the lock, so that many
    /// wait together.
    fn record(
        &self,
        mut state: MutexGuard<'_, State>,
        fence: Fence,
        now_ms: u64,
        draft: Draft,
    ) -> Result<Recorded, JournalError> {
        let record = Record {
            store_id: fence.store_id,
            epoch: fence.epoch,
            recorded_at_ms: now_ms,
            account: self.wallet.account,
            slot: draft.slot,
            previous_offset: draft.previous_offset,
            entry: draft.entry,
        };
        let position = state.journal.append(&record)?;
        state
            .index
            .add(position, &record)
            .expect("the record was made from the index, under the same lock");
        state.epoch_seen = fence.epoch;
        drop(state);
        self.durability.commit(position, record)
    }

    fn seal(
        &self,
        state: MutexGuard<'_, State>,
        fence: Fence,
        now_ms: u64,
        draft: Draft,
        denial: Denial,
    ) -> Result<Outcome, JournalError> {
        let recorded = self.record(state, fence, now_ms, draft)?;
        Ok(Outcome::Denied {
            denial,
            permanent: true,
            head: recorded.head(),
        })
    }

    /// A denial without a seal of its own: permanent only if an earlier seal says so.
    fn denied(&self, denial: Denial) -> Result<Outcome, JournalError> {
        let permanent = matches!(denial, Denial::Sealed);
        Ok(Outcome::Denied {
            denial,
            permanent,
            head: self.durability.head()?,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock ends the process by its hook; in a test that goes on, the state is still the journal's.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    /// Time never runs backwards: not below what the journal has seen.
    fn now_ms(&self, clock_ms: u64) -> u64 {
        clock_ms.max(self.index.latest_ms())
    }
}

fn reason_byte(denial: &Denial) -> u8 {
    u8::try_from(denial.reason() as i32).expect("the contract has far less than 256 reasons")
}
