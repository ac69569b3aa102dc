//! The one transition function: what a payment becomes when something happens to it.
//!
//! Owns: every way from one state to another. May not: decide by engine results, timeouts, counts or clocks; no event
//! carries one. The shell commits the step and only then performs its effects, which are safe to repeat.
//!
//! # What does not compile
//! Evidence has one maker each; what a server answered to `submit` is none and makes none.
//! ```compile_fail
//! # use paygate_payments::{LedgerRef, proof::StateProof};
//! # fn forge(ledger: LedgerRef, account: xrpl_tx::AccountId) -> StateProof {
//! StateProof { ledger, account, sequence: 7, servers: Vec::new() }
//! # }
//! ```
//! ```compile_fail
//! # use paygate_payments::{LedgerRef, proof::{LedgerTx, Presence}};
//! # fn forge(ledger: LedgerRef, tx: LedgerTx) -> Presence {
//! Presence { ledger, tx, servers: Vec::new() }
//! # }
//! ```
//! ```compile_fail
//! # use paygate_payments::{codes::Advice, step::Event};
//! fn decide(answer: Advice) -> Event { answer.into() }
//! ```
//! ```compile_fail
//! # use paygate_payments::codes::{Advice, Verdict};
//! fn finalise(answer: Advice) -> Verdict { answer.into() }
//! ```

mod judge;
mod moves;

use std::fmt;

use xrpl_tx::{Hash256, Signed, Slot};

use crate::displaced::Displaced;
use crate::intent::Wallet;
use crate::payment::{
    AtLarge, Binding, CancelCause, HoldCause, OnHold, Payment, Seal, State, StateName, Version,
    VersionKind,
};
use crate::preflight::Refusal;
use crate::proof::{Presence, StateProof};
use crate::terms::Terms;
use crate::{LedgerIndex, LedgerRef};
use moves::Moves;

/// What holds for every payment at this moment.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The hot wallet.
    pub wallet: &'a Wallet,
    /// Continuity of store, signer and ledger is in doubt: nothing is bound, and nothing ends unpaid.
    pub quarantined: bool,
}

/// What can happen to a payment.
#[derive(Clone, Debug)]
pub enum Event {
    /// Another identity approved it.
    Approved,
    /// An approver refused it, when this ledger was the validated one.
    Refused(LedgerIndex),
    /// Nobody approved it in time, and this ledger is the validated one. The only event that a clock brings: it reaches no payment
    /// that was ever bound, or that an approver let through.
    ApprovalWindowOver(LedgerIndex),
    /// It got a slot, and its first version was chosen.
    Bound {
        /// The slot.
        slot: Slot,
        /// Generation of the gateway.
        epoch: u64,
        /// The validated ledger now.
        since: LedgerIndex,
        /// Fee and LastLedgerSequence of the first version.
        terms: Terms,
    },
    /// The signer returned version `number` signed.
    Signed {
        /// The version.
        number: usize,
        /// The transaction, already compared with the intent by an independent decoder.
        signed: Signed,
    },
    /// The signer will never sign it: its journal holds the seal.
    Sealed(Seal),
    /// A cancel was asked for, when this ledger was the validated one.
    CancelAsked {
        /// By whom or what.
        cause: CancelCause,
        /// The validated ledger now.
        validated: LedgerIndex,
    },
    /// A no-op was chosen to compete for the slot of a payment that is to be cancelled.
    NoOpAdded(Terms),
    /// A higher bid for the slot was chosen: the same content, another fee.
    FeeRaised(Terms),
    /// A validated transaction of the wallet uses its slot, or carries its InvoiceID.
    Confirmed(Presence),
    /// A validated ledger in which its slot is unused. `next` is what a further version would be, if one is to be made.
    SlotOpen {
        /// The proof.
        proof: StateProof,
        /// Terms of the next version.
        next: Option<Terms>,
    },
    /// A validated ledger in which its slot is gone, and the complete history up to there shows no user of the slot.
    SlotGone(StateProof),
    /// A validated TicketCreate jumped over its slot.
    SlotJumped(Presence),
    /// Its slot provably went to something else, and a person knows of it.
    Displaced(Displaced),
    /// This ledger is validated.
    LedgerValidated(LedgerIndex),
    /// A validated ledger shows that its destination cannot receive it.
    CannotReceive(Refusal),
}

/// What a payment becomes, what is to be remembered of it, and what is to be done once it is committed.
#[derive(Clone, Debug)]
#[must_use = "commit the step, then perform its effects"]
pub struct Step {
    /// The payment afterwards.
    pub next: Payment,
    /// What goes into its timeline, in order. Empty: nothing changed.
    pub facts: Vec<Fact>,
    /// What to do after the commit. Each is only a hint: the rows say the same.
    pub effects: Vec<Effect>,
}

/// A line of a payment's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Approved by another identity.
    Approved,
    /// Bound to a slot.
    Bound(Binding),
    /// A version was committed.
    VersionAdded {
        /// Its number.
        number: usize,
        /// What it does.
        kind: VersionKind,
        /// Its terms.
        terms: Terms,
    },
    /// A signature came back.
    Signed {
        /// The version.
        number: usize,
        /// The transaction's hash.
        hash: Hash256,
    },
    /// A cancel was committed, which the payment's end will tell.
    CancelRequested(CancelCause),
    /// All versions so far are proven dead.
    ProvenAbsent {
        /// In this ledger.
        ledger: LedgerRef,
    },
    /// Evidence that does not decide.
    Held(HoldCause),
    /// It ended.
    Ended(StateName),
}

/// What the shell does after the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask the signer for the newest version.
    AskSigner,
    /// Send the newest version's blob.
    Submit,
    /// A no-op must fill this slot: its payment will never use it.
    FillSlot(Slot),
    /// Stop sending and page somebody.
    FreezeWallet,
}

/// An event that cannot happen in this state. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IllegalEvent {
    /// The payment's state.
    pub state: StateName,
    /// What is said to have happened.
    pub event: &'static str,
    /// Why that cannot be.
    pub why: &'static str,
}

/// The payment after `event`. Total: each pair of state and event either has a line here or is refused by name.
pub fn step(payment: &Payment, event: Event, context: Context<'_>) -> Result<Step, IllegalEvent> {
    let moves = Moves { payment, context };
    match (&payment.state, event) {
        (State::AwaitingApproval, Event::Approved) => moves.approved(),
        (State::AwaitingApproval, Event::ApprovalWindowOver(validated)) => {
            moves.end_unbound(State::Expired, validated)
        }
        (State::AwaitingApproval, Event::Refused(validated)) => {
            moves.end_unbound(State::Rejected, validated)
        }

        (State::AwaitingApproval | State::Accepted, Event::CancelAsked { cause, validated }) => {
            Ok(moves.cancel_unbound(cause, validated))
        }
        (State::AwaitingApproval | State::Accepted, Event::LedgerValidated(validated)) => {
            moves.expire_unbound(validated)
        }
        (State::Accepted, Event::CannotReceive(refusal)) => moves.cannot_receive(&refusal),
        (
            State::Accepted,
            Event::Bound {
                slot,
                epoch,
                since,
                terms,
            },
        ) => moves.bind(slot, epoch, since, terms),
        (State::AwaitingApproval | State::Accepted, Event::Confirmed(presence)) => {
            moves.found_unbound(&presence)
        }

        (State::AtLarge(at_large), Event::Signed { number, signed }) => {
            moves.signed(at_large, number, signed)
        }
        (State::AtLarge(at_large), Event::Sealed(seal)) => moves.sealed(at_large, seal),
        (State::AtLarge(_), Event::CancelAsked { cause, validated })
            if xrpl_tx::mutant!("cancel-ends-at-once") =>
        {
            Ok(moves.cancel_unbound(cause, validated))
        }
        (State::AtLarge(_), Event::CancelAsked { cause, .. }) => Ok(moves.ask_cancel(cause)),
        (State::AtLarge(at_large), Event::NoOpAdded(terms)) => moves.add_noop(at_large, terms),
        (State::AtLarge(at_large), Event::FeeRaised(terms)) => moves.raise_fee(at_large, terms),
        (State::AtLarge(at_large), Event::SlotOpen { proof, next }) => {
            moves.slot_open(at_large, &proof, next)
        }
        (State::AtLarge(at_large), Event::SlotGone(proof)) => moves.slot_gone(at_large, &proof),
        (
            State::AtLarge(AtLarge {
                binding, versions, ..
            }),
            Event::SlotJumped(presence),
        ) => moves.slot_jumped(binding, versions, &presence),
        (
            State::OnHold(OnHold {
                binding, versions, ..
            }),
            Event::SlotJumped(presence),
        ) => moves.slot_jumped(binding, versions, &presence),
        (State::OnHold(held), Event::Displaced(displaced)) => moves.displaced(held, &displaced),
        (
            State::AtLarge(AtLarge {
                binding, versions, ..
            }),
            Event::Confirmed(presence),
        ) => moves.confirmed(binding, versions, &presence),
        (
            State::OnHold(OnHold {
                binding, versions, ..
            }),
            Event::Confirmed(presence),
        ) => moves.confirmed(binding, versions, &presence),

        // Deadlines of bound payments are LastLedgerSequences; the passing of ledgers alone proves nothing about them.
        (State::AtLarge(_) | State::OnHold(_), Event::LedgerValidated(_)) => Ok(moves.unchanged()),
        // The ledger tells the same story again after every reconnect.
        (State::Paid(known) | State::Failed(known), Event::Confirmed(presence))
            if known.tx_hash == presence.tx().hash =>
        {
            Ok(moves.unchanged())
        }
        (state, event) => Err(IllegalEvent {
            state: state.name(),
            event: event.name(),
            why: if state.name().is_final() {
                "the state is final"
            } else {
                "the state has no such way out"
            },
        }),
    }
}

// === impl Event ===

impl Event {
    /// Its name in messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Refused(_) => "refused",
            Self::ApprovalWindowOver(_) => "approval window over",
            Self::Bound { .. } => "bound",
            Self::Signed { .. } => "signed",
            Self::Sealed(_) => "sealed",
            Self::CancelAsked { .. } => "cancel asked",
            Self::NoOpAdded(_) => "no-op added",
            Self::FeeRaised(_) => "fee raised",
            Self::SlotJumped(_) => "slot jumped over",
            Self::Displaced(_) => "displaced",
            Self::Confirmed(_) => "confirmed",
            Self::SlotOpen { .. } => "slot open",
            Self::SlotGone(_) => "slot gone",
            Self::LedgerValidated(_) => "ledger validated",
            Self::CannotReceive(_) => "destination cannot receive",
        }
    }
}

impl fmt::Display for IllegalEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cannot happen to a payment that is {}: {}",
            self.event,
            self.state.as_str(),
            self.why
        )
    }
}

impl std::error::Error for IllegalEvent {}

impl Terms {
    /// A version with these terms, not signed yet.
    #[must_use]
    pub fn version(self, kind: VersionKind) -> Version {
        Version {
            kind,
            fee: self.fee,
            last_ledger: self.last_ledger,
            signed: None,
        }
    }
}
