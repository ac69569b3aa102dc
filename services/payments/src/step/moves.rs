//! The ways out of a state, one function each.
//!
//! Owns: what a payment becomes on each way, and the conditions under which the way is open. May not: be called but by
//! [`super::step`], which says from which state and by which event each way leads.

use xrpl_tx::{Amount, Signed, Slot};

use super::judge::{Verdict, judge, settled};
use super::{Context, Effect, Fact, IllegalEvent, Step};
use crate::bump;
use crate::codes;
use crate::displaced::Displaced;
use crate::intent::Intent;
use crate::payment::{
    AtLarge, Binding, CancelCause, EndProof, Ended, HoldCause, OnHold, Payment, Seal, State,
    VersionKind, Versions,
};
use crate::preflight::Refusal;
use crate::proof::{LedgerBody, LedgerTx, Presence, StateProof};
use crate::terms::Terms;
use crate::{LedgerIndex, LedgerRef};

/// The ways out of a state. Each is one of the lines of [`step`].
pub(super) struct Moves<'a> {
    pub(super) payment: &'a Payment,
    pub(super) context: Context<'a>,
}

impl Moves<'_> {
    pub(super) fn unchanged(&self) -> Step {
        Step {
            next: self.payment.clone(),
            facts: Vec::new(),
            effects: Vec::new(),
        }
    }

    pub(super) fn to(&self, state: State, facts: Vec<Fact>) -> Step {
        Step {
            next: Payment {
                state,
                ..self.payment.clone()
            },
            facts,
            effects: Vec::new(),
        }
    }

    pub(super) fn end(&self, state: State) -> Step {
        let name = state.name();
        self.to(state, vec![Fact::Ended(name)])
    }

    /// Failed on the ledger. A code that a payment of ours should never get, or that nobody knows, also stops sending.
    fn end_failed(&self, presence: &Presence) -> Step {
        let mut step = self.end(State::Failed(settled(presence)));
        if codes::Verdict::of(presence.tx().result.code()).freezes() {
            step.effects.push(Effect::FreezeWallet);
        }
        step
    }

    /// Cancelled. The first cause that was committed stays.
    pub(super) fn end_cancelled(&self, ended: Ended, cause: CancelCause) -> Step {
        let cause = self.payment.cancel.unwrap_or(cause);
        let mut step = self.end(State::Cancelled(ended, cause));
        step.next.cancel = Some(cause);
        step
    }

    pub(super) fn never_bound(validated: LedgerIndex) -> Ended {
        Ended {
            slot: None,
            proof: EndProof::NeverBound { validated },
        }
    }

    pub(super) fn illegal(&self, event: &'static str, why: &'static str) -> IllegalEvent {
        IllegalEvent {
            state: self.payment.state.name(),
            event,
            why,
        }
    }

    pub(super) fn end_unbound(
        &self,
        end: impl FnOnce(Ended) -> State,
        validated: LedgerIndex,
    ) -> Result<Step, IllegalEvent> {
        if self.context.quarantined {
            return Err(self.illegal("end unbound", "in quarantine nothing ends unpaid"));
        }
        Ok(self.end(end(Self::never_bound(validated))))
    }

    /// Another identity approved it. One that is to be cancelled stays what it is until the cancel is carried out.
    pub(super) fn approved(&self) -> Result<Step, IllegalEvent> {
        if self.payment.cancel.is_some() {
            return Err(self.illegal("approved", "a cancel was committed"));
        }
        Ok(self.to(State::Accepted, vec![Fact::Approved]))
    }

    /// Nothing of it can be on the network, unless rows were lost: in quarantine the cancel is committed and waits.
    pub(super) fn cancel_unbound(&self, cause: CancelCause, validated: LedgerIndex) -> Step {
        if self.context.quarantined {
            self.ask_cancel(cause)
        } else {
            self.end_cancelled(Self::never_bound(validated), cause)
        }
    }

    /// Given up before it was bound. In quarantine nothing is: what the rows call unbound may be on the network.
    pub(super) fn cannot_receive(&self, refusal: &Refusal) -> Result<Step, IllegalEvent> {
        let event = "destination cannot receive";
        if self.context.quarantined {
            return Err(self.illegal(event, "in quarantine nothing ends unpaid"));
        }
        if *refusal.key() != self.payment.intent.key {
            return Err(self.illegal(event, "the refusal is about another payment"));
        }
        let ended = Ended {
            slot: None,
            proof: EndProof::CannotReceive(refusal.cannot().clone()),
        };
        Ok(self.end_cancelled(ended, CancelCause::DestinationCannotReceive))
    }

    pub(super) fn expire_unbound(&self, validated: LedgerIndex) -> Result<Step, IllegalEvent> {
        match self.payment.deadline {
            // At the deadline itself that ledger is closed: nothing sent now could still get into it.
            Some(deadline) if validated >= deadline && !self.context.quarantined => {
                self.end_unbound(State::Expired, validated)
            }
            _ => Ok(self.unchanged()),
        }
    }

    pub(super) fn bind(
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

    pub(super) fn past_deadline(&self, terms: Terms) -> bool {
        self.payment
            .deadline
            .is_some_and(|deadline| terms.last_ledger > deadline)
    }

    /// A payment that was never bound and yet is on the ledger: rows were lost. Its slot becomes the payment's.
    pub(super) fn found_unbound(&self, presence: &Presence) -> Result<Step, IllegalEvent> {
        let tx = presence.tx();
        let names_it = match &tx.body {
            LedgerBody::Payment { invoice_id, .. } => *invoice_id == Some(self.payment.invoice_id),
            // Its memo is looked at below. A payment keeps its slot for life: once that went to a no-op it is never paid.
            LedgerBody::NoOp => true,
            LedgerBody::TicketCreate { .. } | LedgerBody::Other => false,
        };
        if !names_it {
            return Err(self.illegal(
                "confirmed",
                "the transaction does not carry the payment's InvoiceID",
            ));
        }
        match judge(
            &as_sent(&self.payment.intent, tx),
            self.payment.invoice_id,
            self.context.wallet,
            None,
            tx,
        ) {
            Verdict::Paid => Ok(self.end(State::Paid(settled(presence)))),
            Verdict::Failed => Ok(self.end_failed(presence)),
            Verdict::Filled => Ok(self.end_filled(presence)),
            Verdict::DeliveredDiffers | Verdict::OtherContent => Err(self.illegal(
                "confirmed",
                "the transaction carries the payment's InvoiceID but other content",
            )),
        }
    }

    /// Our own no-op used its slot.
    fn end_filled(&self, presence: &Presence) -> Step {
        let tx = presence.tx();
        let proof = EndProof::Filled {
            ledger: presence.ledger(),
            tx_hash: tx.hash,
            result: tx.result.code().to_owned(),
            fee: tx.fee,
            servers: presence.servers().to_vec(),
        };
        let ended = Ended {
            slot: Some(tx.slot),
            proof,
        };
        self.end_cancelled(ended, CancelCause::Forgotten)
    }

    pub(super) fn signed(
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

    pub(super) fn sealed(&self, at_large: &AtLarge, seal: Seal) -> Result<Step, IllegalEvent> {
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
    pub(super) fn ask_cancel(&self, cause: CancelCause) -> Step {
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

    pub(super) fn add_noop(&self, at_large: &AtLarge, terms: Terms) -> Result<Step, IllegalEvent> {
        if self.payment.cancel.is_none() {
            return Err(self.illegal("no-op added", "no cancel was committed"));
        }
        Ok(self.add_version(at_large, VersionKind::NoOp, terms, Vec::new()))
    }

    /// A higher bid for the slot. After a cancel only no-ops are made, and a bid that pays no more is none.
    pub(super) fn raise_fee(&self, at_large: &AtLarge, terms: Terms) -> Result<Step, IllegalEvent> {
        let event = "fee raised";
        if self.payment.cancel.is_some() {
            return Err(self.illegal(event, "a cancel was committed"));
        }
        if self.past_deadline(terms) {
            return Err(self.illegal(
                event,
                "the version's LastLedgerSequence is past the payment's deadline",
            ));
        }
        if terms.fee <= bump::highest_fee(&at_large.versions) {
            return Err(self.illegal(event, "a version of this slot bids as much already"));
        }
        Ok(self.add_version(at_large, VersionKind::Payment, terms, Vec::new()))
    }

    pub(super) fn add_version(
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

    pub(super) fn slot_open(
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
        let seen = match xrpl_tx::mutant!("unvalidated-is-dead") {
            // What the open ledger has passed.
            true => proof.ledger().index.plus(2),
            false => proof.ledger().index,
        };
        let highest = match xrpl_tx::mutant!("absence-of-first-version") {
            true => at_large.versions.as_slice()[0].last_ledger,
            false => at_large.versions.highest_last_ledger(),
        };
        if seen < highest || self.context.quarantined {
            return Ok(self.unchanged());
        }
        let absent = Fact::ProvenAbsent {
            ledger: proof.ledger(),
        };
        if self.payment.cancel.is_some() && !xrpl_tx::mutant!("bump-after-cancel") {
            // A no-op has no deadline: it must take the slot sooner or later.
            return Ok(match next {
                Some(terms) => self.add_version(at_large, VersionKind::NoOp, terms, vec![absent]),
                None => self.unchanged(),
            });
        }
        match (self.payment.deadline, next) {
            (Some(deadline), _)
                if seen >= deadline
                    || (xrpl_tx::mutant!("absence-of-first-version")
                        && at_large.versions.as_slice().len() > 1) =>
            {
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

    pub(super) fn expire_bound(&self, slot: Slot, proof: &StateProof, absent: Fact) -> Step {
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

    pub(super) fn slot_gone(
        &self,
        at_large: &AtLarge,
        proof: &StateProof,
    ) -> Result<Step, IllegalEvent> {
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

    /// A TicketCreate made the number of the slot a Ticket's: no version can use it any more, and nothing did.
    pub(super) fn slot_jumped(
        &self,
        binding: &Binding,
        versions: &Versions,
        presence: &Presence,
    ) -> Result<Step, IllegalEvent> {
        let tx = presence.tx();
        let over = match (&tx.body, binding.slot) {
            (LedgerBody::TicketCreate { created }, Slot::Sequence(number)) => {
                created.contains(&number)
            }
            _ => false,
        };
        if tx.account != self.context.wallet.account || !over {
            return Err(self.illegal(
                "slot jumped over",
                "the transaction made no Ticket of the payment's slot",
            ));
        }
        Ok(self.hold(
            binding,
            versions,
            HoldCause::JumpedOver { by: tx.hash },
            presence.ledger(),
        ))
    }

    /// It can never be paid, and a person knows why.
    pub(super) fn displaced(
        &self,
        held: &OnHold,
        displaced: &Displaced,
    ) -> Result<Step, IllegalEvent> {
        if self.context.quarantined {
            return Err(self.illegal("displaced", "in quarantine nothing ends unpaid"));
        }
        if *displaced.key() != self.payment.intent.key || displaced.slot() != held.binding.slot {
            return Err(self.illegal("displaced", "the evidence is about another payment"));
        }
        let (searched_from, searched_to) = displaced.searched();
        Ok(self.end(State::Displaced(Ended {
            slot: Some(held.binding.slot),
            proof: EndProof::Displaced {
                ledger: displaced.ledger(),
                by: displaced.by(),
                searched_from,
                searched_to,
            },
        })))
    }

    pub(super) fn hold(
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

    pub(super) fn confirmed(
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
            Verdict::Failed => Ok(self.end_failed(presence)),
            Verdict::Filled => Ok(self.end_filled(presence)),
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

/// The intent with the SendMax of the transaction that the lost row had made. The row that asks for it was stored anew, and
/// the configured cap of the issuer's fee may be another one by now; what was asked for must be equal all the same.
fn as_sent(intent: &Intent, tx: &LedgerTx) -> Intent {
    let mut intent = intent.clone();
    if let (
        Amount::Issued { amount, send_max },
        LedgerBody::Payment {
            amount:
                Amount::Issued {
                    amount: sent,
                    send_max: sent_max,
                },
            ..
        },
    ) = (&mut intent.amount, &tx.body)
        && *amount == *sent
    {
        *send_max = *sent_max;
    }
    intent
}
