//! The one transition function: what a payment becomes when something happens to it.
//!
//! Owns: every way from one state to another. May not: decide by engine results, timeouts, counts or clocks; no event
//! carries one. The shell commits the step and only then performs its effects, which are safe to repeat.

use std::fmt;

use xrpl_tx::{Hash256, Signed, Slot};

use crate::intent::{Intent, Wallet};
use crate::payment::{
    AtLarge, Binding, CancelCause, EndProof, Ended, HoldCause, OnHold, Payment, Seal, Settled,
    State, StateName, Version, VersionKind, Versions,
};
use crate::proof::{FinalResult, LedgerBody, LedgerTx, Presence, StateProof};
use crate::terms::Terms;
use crate::{LedgerIndex, LedgerRef};

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
    /// This ledger is validated.
    LedgerValidated(LedgerIndex),
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

/// What a validated transaction on a payment's slot says about the payment.
enum Verdict {
    Paid,
    Failed,
    Filled,
    DeliveredDiffers,
    OtherContent,
}

/// The payment after `event`. Total: each pair of state and event either has a line here or is refused by name.
pub fn step(payment: &Payment, event: Event, context: Context<'_>) -> Result<Step, IllegalEvent> {
    let moves = Moves { payment, context };
    match (&payment.state, event) {
        (State::AwaitingApproval, Event::Approved) => {
            Ok(moves.to(State::Accepted, vec![Fact::Approved]))
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
        (State::AtLarge(_), Event::CancelAsked { cause, .. }) => Ok(moves.ask_cancel(cause)),
        (State::AtLarge(at_large), Event::NoOpAdded(terms)) => moves.add_noop(at_large, terms),
        (State::AtLarge(at_large), Event::SlotOpen { proof, next }) => {
            moves.slot_open(at_large, &proof, next)
        }
        (State::AtLarge(at_large), Event::SlotGone(proof)) => moves.slot_gone(at_large, &proof),
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

/// The ways out of a state. Each is one of the lines of [`step`].
struct Moves<'a> {
    payment: &'a Payment,
    context: Context<'a>,
}

impl Moves<'_> {
    fn unchanged(&self) -> Step {
        Step {
            next: self.payment.clone(),
            facts: Vec::new(),
            effects: Vec::new(),
        }
    }

    fn to(&self, state: State, facts: Vec<Fact>) -> Step {
        Step {
            next: Payment {
                state,
                ..self.payment.clone()
            },
            facts,
            effects: Vec::new(),
        }
    }

    fn end(&self, state: State) -> Step {
        let name = state.name();
        self.to(state, vec![Fact::Ended(name)])
    }

    /// Cancelled. The first cause that was committed stays.
    fn end_cancelled(&self, ended: Ended, cause: CancelCause) -> Step {
        let cause = self.payment.cancel.unwrap_or(cause);
        let mut step = self.end(State::Cancelled(ended, cause));
        step.next.cancel = Some(cause);
        step
    }

    fn never_bound(validated: LedgerIndex) -> Ended {
        Ended {
            slot: None,
            proof: EndProof::NeverBound { validated },
        }
    }

    fn illegal(&self, event: &'static str, why: &'static str) -> IllegalEvent {
        IllegalEvent {
            state: self.payment.state.name(),
            event,
            why,
        }
    }

    fn end_unbound(
        &self,
        end: impl FnOnce(Ended) -> State,
        validated: LedgerIndex,
    ) -> Result<Step, IllegalEvent> {
        if self.context.quarantined {
            return Err(self.illegal("end unbound", "in quarantine nothing ends unpaid"));
        }
        Ok(self.end(end(Self::never_bound(validated))))
    }

    /// Nothing of it can be on the network, unless rows were lost: in quarantine the cancel is committed and waits.
    fn cancel_unbound(&self, cause: CancelCause, validated: LedgerIndex) -> Step {
        if self.context.quarantined {
            self.ask_cancel(cause)
        } else {
            self.end_cancelled(Self::never_bound(validated), cause)
        }
    }

    fn expire_unbound(&self, validated: LedgerIndex) -> Result<Step, IllegalEvent> {
        match self.payment.deadline {
            // At the deadline itself that ledger is closed: nothing sent now could still get into it.
            Some(deadline) if validated >= deadline && !self.context.quarantined => {
                self.end_unbound(State::Expired, validated)
            }
            _ => Ok(self.unchanged()),
        }
    }

    fn bind(
        &self,
        slot: Slot,
        epoch: u64,
        since: LedgerIndex,
        terms: Terms,
    ) -> Result<Step, IllegalEvent> {
        if self.context.quarantined {
            return Err(self.illegal("bound", "in quarantine nothing is bound"));
        }
        if self.payment.cancel.is_some() {
            return Err(self.illegal("bound", "a cancel was committed"));
        }
        if self.past_deadline(terms) {
            return Err(self.illegal(
                "bound",
                "the version's LastLedgerSequence is past the payment's deadline",
            ));
        }
        let digest = self.payment.intent.digest(self.context.wallet, slot);
        let binding = Binding {
            slot,
            digest,
            epoch,
            since,
        };
        let versions = Versions::first(terms.version(VersionKind::Payment));
        let facts = vec![
            Fact::Bound(binding),
            Fact::VersionAdded {
                number: 0,
                kind: VersionKind::Payment,
                terms,
            },
        ];
        let mut step = self.to(State::AtLarge(AtLarge { binding, versions }), facts);
        step.effects.push(Effect::AskSigner);
        Ok(step)
    }

    fn past_deadline(&self, terms: Terms) -> bool {
        self.payment
            .deadline
            .is_some_and(|deadline| terms.last_ledger > deadline)
    }

    /// A payment that was never bound and yet is on the ledger: rows were lost. Its slot becomes the payment's.
    fn found_unbound(&self, presence: &Presence) -> Result<Step, IllegalEvent> {
        let carries = |tx: &LedgerTx| matches!(&tx.body, LedgerBody::XrpPayment { invoice_id: Some(id), .. } if *id == self.payment.invoice_id);
        if !carries(presence.tx()) {
            return Err(self.illegal(
                "confirmed",
                "the transaction does not carry the payment's InvoiceID",
            ));
        }
        match judge(
            &self.payment.intent,
            self.payment.invoice_id,
            self.context.wallet,
            None,
            presence.tx(),
        ) {
            Verdict::Paid => Ok(self.end(State::Paid(settled(presence)))),
            Verdict::Failed => Ok(self.end(State::Failed(settled(presence)))),
            Verdict::Filled | Verdict::DeliveredDiffers | Verdict::OtherContent => Err(self
                .illegal(
                    "confirmed",
                    "the transaction carries the payment's InvoiceID but other content",
                )),
        }
    }

    fn signed(
        &self,
        at_large: &AtLarge,
        number: usize,
        signed: Signed,
    ) -> Result<Step, IllegalEvent> {
        let hash = signed.hash;
        let known = at_large
            .versions
            .as_slice()
            .get(number)
            .and_then(|v| v.signed.as_ref());
        if known.is_some_and(|k| *k == signed) {
            return Ok(self.unchanged());
        }
        let versions = at_large
            .versions
            .clone()
            .with_signature(number, signed)
            .ok_or_else(|| {
                self.illegal(
                    "signed",
                    "there is no such version, or it has another signature",
                )
            })?;
        let mut step = self.to(
            State::AtLarge(AtLarge {
                versions,
                ..at_large.clone()
            }),
            vec![Fact::Signed { number, hash }],
        );
        step.effects.push(Effect::Submit);
        Ok(step)
    }

    fn sealed(&self, at_large: &AtLarge, seal: Seal) -> Result<Step, IllegalEvent> {
        if self.context.quarantined {
            return Err(self.illegal("sealed", "in quarantine nothing ends unpaid"));
        }
        if at_large.versions.ever_signed() {
            return Err(self.illegal(
                "sealed",
                "a version was signed: only the ledger can tell its fate",
            ));
        }
        let slot = at_large.binding.slot;
        let mut step = self.end(State::Rejected(Ended {
            slot: Some(slot),
            proof: EndProof::Sealed(seal),
        }));
        step.effects.push(Effect::FillSlot(slot));
        Ok(step)
    }

    /// Commits that it is to be cancelled, once. What comes of it is told later, by the ledger if it is bound.
    fn ask_cancel(&self, cause: CancelCause) -> Step {
        if self.payment.cancel.is_some() {
            return self.unchanged();
        }
        let mut step = self.to(
            self.payment.state.clone(),
            vec![Fact::CancelRequested(cause)],
        );
        step.next.cancel = Some(cause);
        step
    }

    fn add_noop(&self, at_large: &AtLarge, terms: Terms) -> Result<Step, IllegalEvent> {
        if self.payment.cancel.is_none() {
            return Err(self.illegal("no-op added", "no cancel was committed"));
        }
        Ok(self.add_version(at_large, VersionKind::NoOp, terms, Vec::new()))
    }

    fn add_version(
        &self,
        at_large: &AtLarge,
        kind: VersionKind,
        terms: Terms,
        mut facts: Vec<Fact>,
    ) -> Step {
        let versions = at_large.versions.clone().with(terms.version(kind));
        let (number, _) = versions.latest();
        facts.push(Fact::VersionAdded {
            number,
            kind,
            terms,
        });
        let mut step = self.to(
            State::AtLarge(AtLarge {
                versions,
                ..at_large.clone()
            }),
            facts,
        );
        step.effects.push(Effect::AskSigner);
        step
    }

    fn slot_open(
        &self,
        at_large: &AtLarge,
        proof: &StateProof,
        next: Option<Terms>,
    ) -> Result<Step, IllegalEvent> {
        let slot = at_large.binding.slot;
        if proof.account() != self.context.wallet.account || !proof.is_open(slot) {
            return Err(self.illegal(
                "slot open",
                "the proof is not about this slot, or says that it is gone",
            ));
        }
        if proof.ledger().index < at_large.versions.highest_last_ledger()
            || self.context.quarantined
        {
            return Ok(self.unchanged());
        }
        let absent = Fact::ProvenAbsent {
            ledger: proof.ledger(),
        };
        if self.payment.cancel.is_some() {
            // A no-op has no deadline: it must take the slot sooner or later.
            return Ok(match next {
                Some(terms) => self.add_version(at_large, VersionKind::NoOp, terms, vec![absent]),
                None => self.unchanged(),
            });
        }
        match (self.payment.deadline, next) {
            (Some(deadline), _) if proof.ledger().index >= deadline => {
                Ok(self.expire_bound(slot, proof, absent))
            }
            (Some(deadline), Some(terms)) => {
                let terms = Terms {
                    last_ledger: terms.last_ledger.min(deadline),
                    ..terms
                };
                Ok(self.add_version(at_large, VersionKind::Payment, terms, vec![absent]))
            }
            (None, Some(terms)) => {
                Ok(self.add_version(at_large, VersionKind::Payment, terms, vec![absent]))
            }
            (_, None) => Ok(self.unchanged()),
        }
    }

    fn expire_bound(&self, slot: Slot, proof: &StateProof, absent: Fact) -> Step {
        let ended = Ended {
            slot: Some(slot),
            proof: EndProof::Absence {
                ledger: proof.ledger(),
                sequence: proof.sequence(),
                servers: proof.servers().to_vec(),
            },
        };
        let mut step = self.end(State::Expired(ended));
        step.facts.insert(0, absent);
        step.effects.push(Effect::FillSlot(slot));
        step
    }

    fn slot_gone(&self, at_large: &AtLarge, proof: &StateProof) -> Result<Step, IllegalEvent> {
        if proof.account() != self.context.wallet.account || !proof.is_gone(at_large.binding.slot) {
            return Err(self.illegal(
                "slot gone",
                "the proof is not about this slot, or says that it is open",
            ));
        }
        Ok(self.hold(
            &at_large.binding,
            &at_large.versions,
            HoldCause::ConsumerUnknown,
            proof.ledger(),
        ))
    }

    fn hold(
        &self,
        binding: &Binding,
        versions: &Versions,
        why: HoldCause,
        seen: LedgerRef,
    ) -> Step {
        let held = OnHold {
            binding: *binding,
            versions: versions.clone(),
            why,
            seen,
        };
        if self.payment.state == State::OnHold(held.clone()) {
            return self.unchanged();
        }
        let mut step = self.to(State::OnHold(held), vec![Fact::Held(why)]);
        step.effects.push(Effect::FreezeWallet);
        step
    }

    fn confirmed(
        &self,
        binding: &Binding,
        versions: &Versions,
        presence: &Presence,
    ) -> Result<Step, IllegalEvent> {
        let tx = presence.tx();
        if tx.account != self.context.wallet.account || tx.slot != binding.slot {
            return Err(self.illegal("confirmed", "the transaction is not on the payment's slot"));
        }
        let intent = &self.payment.intent;
        match judge(
            intent,
            self.payment.invoice_id,
            self.context.wallet,
            Some(versions),
            tx,
        ) {
            Verdict::Paid => Ok(self.end(State::Paid(settled(presence)))),
            Verdict::Failed => Ok(self.end(State::Failed(settled(presence)))),
            Verdict::Filled => {
                let proof = EndProof::Filled {
                    ledger: presence.ledger(),
                    tx_hash: tx.hash,
                    result: tx.result.code().to_owned(),
                    fee: tx.fee,
                    servers: presence.servers().to_vec(),
                };
                let ended = Ended {
                    slot: Some(binding.slot),
                    proof,
                };
                Ok(self.end_cancelled(ended, CancelCause::Forgotten))
            }
            Verdict::DeliveredDiffers => Ok(self.hold(
                binding,
                versions,
                HoldCause::DeliveredDiffers { by: tx.hash },
                presence.ledger(),
            )),
            Verdict::OtherContent => Ok(self.hold(
                binding,
                versions,
                HoldCause::SlotTaken { by: tx.hash },
                presence.ledger(),
            )),
        }
    }
}

/// Attribution: the slot is given, so content comes next, and a hash only tells our own no-ops.
fn judge(
    intent: &Intent,
    invoice: Hash256,
    wallet: &Wallet,
    versions: Option<&Versions>,
    tx: &LedgerTx,
) -> Verdict {
    let ours = tx.account == wallet.account && tx.source_tag == wallet.source_tag;
    match &tx.body {
        LedgerBody::XrpPayment {
            destination,
            destination_tag,
            amount,
            delivered,
            invoice_id,
        } => {
            let content = ours
                && *destination == intent.destination
                && *destination_tag == intent.destination_tag
                && *amount == intent.drops()
                && *invoice_id == Some(invoice)
                && tx.memos == intent.memos.as_slice();
            match (content, &tx.result) {
                (false, _) => Verdict::OtherContent,
                (true, FinalResult::Claimed(_)) => Verdict::Failed,
                (true, FinalResult::Success) if *delivered == Some(*amount) => Verdict::Paid,
                (true, FinalResult::Success) => Verdict::DeliveredDiffers,
            }
        }
        LedgerBody::NoOp => {
            let known = versions
                .and_then(|v| v.by_hash(tx.hash))
                .is_some_and(|v| v.kind == VersionKind::NoOp);
            let memo = xrpl_tx::noop_memo(intent.key.client.as_str(), intent.key.payment.as_str());
            if known || (ours && tx.memos.contains(&memo)) {
                Verdict::Filled
            } else {
                Verdict::OtherContent
            }
        }
        LedgerBody::Other => Verdict::OtherContent,
    }
}

fn settled(presence: &Presence) -> Settled {
    let tx = presence.tx();
    let delivered = match (&tx.body, &tx.result) {
        (
            LedgerBody::XrpPayment {
                delivered: Some(drops),
                ..
            },
            FinalResult::Success,
        ) => *drops,
        _ => xrpl_tx::Drops::ZERO,
    };
    Settled {
        slot: tx.slot,
        ledger: presence.ledger(),
        tx_hash: tx.hash,
        result: tx.result.code().to_owned(),
        delivered,
        fee: tx.fee,
        servers: presence.servers().to_vec(),
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
            Self::Bound { .. } => "bound",
            Self::Signed { .. } => "signed",
            Self::Sealed(_) => "sealed",
            Self::CancelAsked { .. } => "cancel asked",
            Self::NoOpAdded(_) => "no-op added",
            Self::Confirmed(_) => "confirmed",
            Self::SlotOpen { .. } => "slot open",
            Self::SlotGone(_) => "slot gone",
            Self::LedgerValidated(_) => "ledger validated",
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
