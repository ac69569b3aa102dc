//! One request to the signer, its check by an independent decoder, its commit.
//!
//! Owns: that no blob is stored or sent that is not exactly what the stored intent makes. May not: ask for a version that is
//! not committed; versions come from rows only.

use std::sync::Arc;

use paygate_payments::intent::PaymentKey;
use paygate_payments::payment::{AtLarge, CancelCause, Seal, State, Version, VersionKind};
use paygate_payments::step::Event;
use paygate_proto::signer::v1::DenialReason;
use paygate_proto::v1::TimelineStage;
use tracing::Instrument;
use xrpl_tx::{Memo, Memos, Signed, Slot};

use super::submit::Sendable;
use super::{Engine, join_trace, trace_of};
use crate::clock;
use crate::metrics::{SignerResult, Stage};
use crate::oracle::{self, Expected, ExpectedBody};
use crate::signer::{CallFailed, JournalHead, Outcome};
use crate::store::{Note, Record, StoreError};

/// A committed version that has no signature yet.
#[derive(Clone, Debug)]
pub(super) struct Unsigned {
    pub(super) slot: Slot,
    /// The payment that the slot is bound to; none for a slot that no payment has.
    pub(super) owner: Option<Record>,
    /// The version's number on its slot.
    pub(super) number: usize,
    pub(super) version: Version,
    /// The no-op's memo.
    pub(super) memo: Option<Memo>,
}

/// How a request for a signature ended.
#[derive(Debug)]
pub(super) enum Answer {
    /// Committed; it may be sent.
    Signed(Box<Sendable>),
    /// Refused; the payment waits, or has ended.
    Denied {
        slot: Slot,
        reason: DenialReason,
        message: String,
    },
    /// No answer. The same request is made again with the next turn.
    Unknown(CallFailed),
    /// Committed, and not to be sent: meanwhile the payment was cancelled, or a ledger has decided it.
    Withheld,
    /// Something is wrong; the wallet is frozen.
    Frozen,
}

/// What is left of the signer's answer once its bytes are trusted.
enum Checked {
    Blob(Signed, JournalHead),
    Denied {
        reason: DenialReason,
        permanent: bool,
        message: String,
        head: Option<JournalHead>,
    },
    Mismatch(String),
}

impl Engine {
    /// Has one version signed and committed.
    pub(super) async fn sign(self: Arc<Self>, work: Unsigned) -> Result<Answer, StoreError> {
        let span = tracing::info_span!(
            "payment.sign",
            otel.kind = "client",
            rpc.system.name = "grpc",
            payment_id = work
                .owner
                .as_ref()
                .map(|r| r.payment.intent.key.payment.as_str()),
            xrpl.slot = work.slot.number(),
            xrpl.last_ledger_sequence = work.version.last_ledger.0,
            paygate.outcome = tracing::field::Empty,
        );
        join_trace(&span, work.owner.as_ref());
        let started = clock::instant();
        let outcome = self.ask(&work).instrument(span.clone()).await;
        let answer = match outcome {
            Err(failed) => {
                self.metrics.signer_request(SignerResult::Failed);
                span.record("paygate.outcome", "failed");
                return Ok(Answer::Unknown(failed));
            }
            Ok(answer) => answer,
        };
        match answer {
            Checked::Blob(signed, head) => {
                self.metrics.signer_request(SignerResult::Approved);
                span.record("paygate.outcome", "signed");
                if xrpl_tx::mutant!("sent-before-stored") {
                    if let Some(member) = self.fleet.primary() {
                        let _ = member.link.submit(&hex::encode_upper(&signed.blob)).await;
                    }
                }
                let may_be_sent = self.keep(&work, &signed, head).instrument(span).await?;
                let trace = trace_of(work.owner.as_ref());
                self.metrics
                    .stage(Stage::Sign, clock::elapsed(started), trace.as_ref());
                if !may_be_sent {
                    return Ok(Answer::Withheld);
                }
                Ok(Answer::Signed(Box::new(Sendable {
                    slot: work.slot,
                    owner: work.owner,
                    signed,
                })))
            }
            Checked::Denied {
                reason,
                permanent,
                message,
                head,
            } => {
                self.metrics.signer_request(SignerResult::Denied);
                span.record("paygate.outcome", "denied");
                self.denied(&work, reason, permanent, &message, head)
                    .instrument(span)
                    .await
            }
            Checked::Mismatch(why) => {
                span.record("paygate.outcome", "mismatch");
                self.freeze(format!(
                    "the signer's blob for slot {} is not what the intent makes: {why}",
                    work.slot
                ))
                .await?;
                Ok(Answer::Frozen)
            }
        }
    }

    async fn ask(&self, work: &Unsigned) -> Result<Checked, CallFailed> {
        let fence = self.fence();
        let wallet = &self.settings.wallet;
        let owner = work.owner.as_ref();
        let mut uncommitted = work.clone();
        if xrpl_tx::mutant!("version-uncommitted") {
            uncommitted.version.last_ledger = work.version.last_ledger.plus(1);
        }
        let work = &uncommitted;
        let outcome = match (work.version.kind, owner) {
            (VersionKind::Payment, Some(record)) => {
                let intent = &record.payment.intent;
                let digest = intent.digest(wallet, work.slot);
                self.signer
                    .sign_payment(&fence, wallet, intent, work.slot, digest, &work.version)
                    .await?
            }
            (VersionKind::Payment, None) => {
                return Ok(Checked::Mismatch(
                    "a payment's version has no payment".to_owned(),
                ));
            }
            (VersionKind::NoOp, owner) => {
                let key = owner.map(|r| &r.payment.intent.key);
                self.signer
                    .sign_noop(&fence, wallet, work.slot, key, &work.version)
                    .await?
            }
        };
        Ok(match outcome {
            Outcome::Signed { signed, head } => match self.check(work, &signed) {
                Ok(()) => Checked::Blob(signed, head),
                Err(why) => Checked::Mismatch(why),
            },
            Outcome::Denied {
                reason,
                permanent,
                message,
                head,
            } => Checked::Denied {
                reason,
                permanent,
                message,
                head,
            },
        })
    }

    /// Has xrpl-rust decode the blob and compares the whole of it with what the stored intent makes.
    fn check(&self, work: &Unsigned, signed: &Signed) -> Result<(), String> {
        let wallet = &self.settings.wallet;
        let intent = work.owner.as_ref().map(|r| &r.payment.intent);
        let (memos, body) = match (work.version.kind, intent) {
            (VersionKind::Payment, Some(intent)) => {
                let body = ExpectedBody::Payment {
                    destination: intent.destination,
                    tag: intent.destination_tag,
                    amount: intent.amount,
                    invoice_id: wallet.invoice_id(&intent.key),
                };
                (intent.memos.clone(), body)
            }
            (VersionKind::Payment, None) => {
                return Err("a payment's version has no payment".to_owned());
            }
            (VersionKind::NoOp, _) => {
                let memos = Memos::new(work.memo.clone().into_iter().collect())
                    .map_err(|e| e.to_string())?;
                (memos, ExpectedBody::NoOp)
            }
        };
        let expected = Expected {
            account: wallet.account,
            slot: work.slot,
            fee: work.version.fee,
            last_ledger_sequence: work.version.last_ledger.0,
            network_id: xrpl_tx::network_id_field(wallet.network_id),
            source_tag: wallet.source_tag,
            memos,
            signing_key: self.signing_key().ok_or("the signer's key is not known")?,
            body,
        };
        let hash = oracle::check_blob(&signed.blob, &expected).map_err(|e| e.to_string())?;
        if hash == signed.hash {
            Ok(())
        } else {
            Err(format!(
                "its hash is {hash}, the signer says {}",
                signed.hash
            ))
        }
    }

    /// Commits a signature. False: it came too late to be sent.
    async fn keep(
        &self,
        work: &Unsigned,
        signed: &Signed,
        head: JournalHead,
    ) -> Result<bool, StoreError> {
        let may_be_sent = match live_owner(work) {
            Some(key) => {
                let event = Event::Signed {
                    number: work.number,
                    signed: signed.clone(),
                };
                match self
                    .store
                    .advance(self.epoch, key, event, Vec::new(), clock::now())
                    .await
                {
                    // A cancel that was committed while the signer was asked: from then on only no-ops are sent.
                    Ok(advanced) => {
                        advanced.record.payment.cancel.is_none()
                            || work.version.kind == VersionKind::NoOp
                    }
                    // The ledger was faster: the payment is decided, the signature changes nothing.
                    Err(StoreError::Illegal(_)) => false,
                    Err(err) => return Err(err),
                }
            }
            None => {
                self.store
                    .filler_signed(self.epoch, work.slot, work.number, signed.clone())
                    .await?;
                true
            }
        };
        self.record_journal(head).await?;
        Ok(may_be_sent)
    }

    async fn denied(
        &self,
        work: &Unsigned,
        reason: DenialReason,
        permanent: bool,
        message: &str,
        head: Option<JournalHead>,
    ) -> Result<Answer, StoreError> {
        tracing::warn!(
            slot = work.slot.number(),
            reason = reason.as_str_name(),
            permanent,
            message,
            "the signer denies"
        );
        if let Some(head) = head {
            self.record_journal(head).await?;
        }
        if is_alarming(reason) {
            self.freeze(format!("the signer denies slot {}: {message}", work.slot))
                .await?;
            return Ok(Answer::Frozen);
        }
        if let Some(key) = live_owner(work) {
            let note = Note {
                stage: TimelineStage::Denied,
                summary: format!("the signer denies: {message}"),
                details: vec![
                    ("reason", reason.as_str_name().to_owned()),
                    ("permanent", permanent.to_string()),
                ],
                span_id: None,
            };
            if let (true, Some(head)) = (permanent, head) {
                let seal = Seal {
                    height: head.height,
                    hash: head.hash,
                    reason: message.to_owned(),
                };
                self.end_sealed(key, seal, note).await?;
            } else {
                self.store
                    .note(key.clone(), vec![note], clock::now())
                    .await?;
                self.give_up_if_stuck(work, key).await?;
            }
        }
        Ok(Answer::Denied {
            slot: work.slot,
            reason,
            message: message.to_owned(),
        })
    }

    async fn end_sealed(&self, key: PaymentKey, seal: Seal, note: Note) -> Result<(), StoreError> {
        match self
            .store
            .advance(
                self.epoch,
                key,
                Event::Sealed(seal),
                vec![note],
                clock::now(),
            )
            .await
        {
            Ok(_) => Ok(()),
            Err(StoreError::Illegal(why)) => {
                tracing::warn!(%why, "a seal does not end this payment now");
                Ok(())
            }
            Err(err) => Err(err),
        }
    }

    /// A payment that the signer has denied for a whole window blocks the slots behind it: a version of it was proven dead
    /// unsigned, and the next one is denied again. Then a no-op takes its slot.
    async fn give_up_if_stuck(&self, work: &Unsigned, key: PaymentKey) -> Result<(), StoreError> {
        let owner = work.owner.as_ref().map(|record| &record.payment);
        let Some(State::AtLarge(AtLarge { versions, binding })) = owner
            .filter(|payment| payment.cancel.is_none())
            .map(|payment| &payment.state)
        else {
            return Ok(());
        };
        if versions.as_slice().len() < 2 || versions.ever_signed() {
            return Ok(());
        }
        let event = Event::CancelAsked {
            cause: CancelCause::SignerDenied,
            validated: binding.since,
        };
        self.store
            .advance(self.epoch, key, event, Vec::new(), clock::now())
            .await
            .map(|_| ())
    }
}

/// The payment that the version still moves; none once it has ended and a filler owns the slot.
fn live_owner(work: &Unsigned) -> Option<PaymentKey> {
    let record = work.owner.as_ref()?;
    matches!(record.payment.state, State::AtLarge(_)).then(|| record.payment.intent.key.clone())
}

/// Denials that say that two sides tell different stories. Nothing is sent until a person looked.
fn is_alarming(reason: DenialReason) -> bool {
    match reason {
        DenialReason::WrongRequest
        | DenialReason::Epoch
        | DenialReason::JournalBehind
        | DenialReason::SlotTaken
        | DenialReason::PaymentOnOtherSlot
        | DenialReason::SlotIsNoOp
        | DenialReason::IntentDigest
        | DenialReason::Unspecified => true,
        DenialReason::DestinationDenied
        | DenialReason::AmountAboveMaximum
        | DenialReason::MemosInvalid
        | DenialReason::DayLimit
        | DenialReason::Fee
        | DenialReason::LastLedgerSequence
        | DenialReason::Sealed
        | DenialReason::AssetNotAllowed
        | DenialReason::TypeNotAllowed => false,
    }
}
