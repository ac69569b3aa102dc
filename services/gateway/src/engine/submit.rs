//! Sends blobs, lowest slot first, again with each validated ledger.
//!
//! Owns: pacing and the notes of what servers answered. May not: draw any conclusion about a payment from an answer, or
//! send a blob that is not stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use paygate_payments::codes::Advice;
use paygate_payments::codes::errors::Trouble;
use paygate_proto::v1::TimelineStage;
use tracing::Instrument;
use xrpl_tx::{Signed, Slot};

use super::{Engine, join_trace, trace_of};
use crate::clock;
use crate::metrics::Stage;
use crate::store::{Note, Record, StoreError};
use crate::view::SlotAnswer;
use crate::xrpl::{CallError, SubmitAnswer};

/// A stored blob to be sent.
#[derive(Clone, Debug)]
pub(super) struct Sendable {
    pub(super) slot: Slot,
    pub(super) owner: Option<Record>,
    pub(super) signed: Signed,
}

/// What each slot was answered last, so that repeats do not fill its timeline. Lives as long as the slot is open.
#[derive(Debug, Default)]
pub(super) struct LastAnswers(Arc<BTreeMap<Slot, SlotAnswer>>);

impl LastAnswers {
    /// Forgets slots that are decided.
    pub(super) fn keep_only(&mut self, open: impl Fn(Slot) -> bool) {
        if self.0.keys().any(|slot| !open(*slot)) {
            Arc::make_mut(&mut self.0).retain(|slot, _| open(*slot));
        }
    }

    /// Takes an answer. Returns whether it is the slot's first, and whether it differs from the one before.
    fn take(&mut self, slot: Slot, answer: &SlotAnswer) -> (bool, bool) {
        let before = self.0.get(&slot);
        let (first, changed) = (before.is_none(), before != Some(answer));
        if changed {
            Arc::make_mut(&mut self.0).insert(slot, answer.clone());
        }
        (first, changed)
    }
}

impl Engine {
    /// Sends in the order given, which is slot order. Stops early when the connection is gone or the server has too much to
    /// do: what is left goes out again with the next ledger.
    pub(super) async fn send(
        &self,
        blobs: &[Sendable],
        answers: &mut LastAnswers,
    ) -> Result<(), StoreError> {
        for blob in blobs {
            // An answer to an earlier blob, or a ledger, may have frozen the wallet.
            if self.view.now().frozen.is_some() {
                break;
            }
            let answer = self.send_one(blob).await;
            let stop = match &answer {
                Err(CallError::NotConnected { .. } | CallError::Unanswered { .. }) => true,
                // More of the same would only make it close the connection.
                Err(CallError::Server { error, .. }) => Trouble::of(error) == Trouble::Busy,
                Err(CallError::Malformed { .. }) | Ok(_) => false,
            };
            self.remember(blob, &answer, answers).await?;
            if stop {
                break;
            }
            if let Some(pause) = self.settings.submit_pause {
                tokio::time::sleep(pause).await;
            }
        }
        Ok(())
    }

    async fn send_one(&self, blob: &Sendable) -> Result<SubmitAnswer, CallError> {
        let span = tracing::info_span!(
            "payment.submit",
            payment_id = blob.owner.as_ref().map(|r| r.payment.intent.key.payment.as_str()),
            xrpl.slot = blob.slot.number(),
            xrpl.tx_hash = %blob.signed.hash,
        );
        join_trace(&span, blob.owner.as_ref());
        let started = clock::instant();
        let answer = self
            .link
            .submit(&hex::encode_upper(&blob.signed.blob))
            .instrument(span)
            .await;
        let trace = trace_of(blob.owner.as_ref());
        self.metrics
            .stage(Stage::Submit, clock::elapsed(started), trace.as_ref());
        answer
    }

    async fn remember(
        &self,
        blob: &Sendable,
        answer: &Result<SubmitAnswer, CallError>,
        answers: &mut LastAnswers,
    ) -> Result<(), StoreError> {
        let said = match answer {
            Ok(answer) => SlotAnswer::Result {
                code: answer.engine_result.clone(),
                fate: fate(answer),
            },
            Err(CallError::NotConnected { why, .. }) => {
                tracing::debug!(slot = blob.slot.number(), %why, "not sent");
                return Ok(());
            }
            Err(CallError::Server { error, message, .. }) => SlotAnswer::Refused {
                token: error.clone(),
                message: message.clone(),
            },
            Err(CallError::Unanswered { .. } | CallError::Malformed { .. }) => SlotAnswer::Unread,
        };
        #[cfg(paygate_mutants)]
        super::mutants::judge(self, blob, &said).await?;
        let (first, changed) = answers.take(blob.slot, &said);
        if changed {
            let shown = Arc::clone(&answers.0);
            self.view.update(|v| v.answers = shown);
        }
        if changed && let Some(record) = &blob.owner {
            let notes = self.notes(blob, &said, first);
            self.store
                .note(record.payment.intent.key.clone(), notes, clock::now())
                .await?;
        }
        self.heed(blob, &said).await
    }

    fn notes(&self, blob: &Sendable, said: &SlotAnswer, first: bool) -> Vec<Note> {
        let server = ("server", self.link.server().to_owned());
        let mut notes = Vec::new();
        if first {
            notes.push(Note {
                stage: TimelineStage::Submitted,
                summary: format!("sent to {}", self.link.server()),
                details: vec![server.clone(), ("tx_hash", blob.signed.hash.to_string())],
                span_id: None,
            });
        }
        let mut details = vec![server];
        match said {
            SlotAnswer::Result { code, .. } => details.push(("engine_result", code.clone())),
            SlotAnswer::Refused { token, .. } => details.push(("error", token.clone())),
            SlotAnswer::Unread => {}
        }
        notes.push(Note {
            stage: TimelineStage::SubmitAnswered,
            summary: said.to_string(),
            details,
            span_id: None,
        });
        notes
    }

    /// Raises alarms. The payment's fate is not touched: the ledger tells it.
    async fn heed(&self, blob: &Sendable, said: &SlotAnswer) -> Result<(), StoreError> {
        let slot = blob.slot;
        if said.freezes() {
            let why = format!("the ledger's server said to what was sent for {slot}: {said}");
            return self.freeze(why).await;
        }
        match said {
            SlotAnswer::Result { code, .. } if Advice::of(code) == Advice::Refill => {
                tracing::warn!(engine_result = %code, %slot, "the wallet needs money");
            }
            SlotAnswer::Refused { token, .. } => {
                tracing::warn!(error = %token, %slot, "the ledger's server refuses to take a transaction");
            }
            SlotAnswer::Result { .. } | SlotAnswer::Unread => {}
        }
        Ok(())
    }
}

fn fate(answer: &SubmitAnswer) -> &'static str {
    if answer.applied {
        "applied for now"
    } else if answer.queued {
        "queued"
    } else if answer.kept {
        "kept for a later ledger"
    } else {
        "not kept"
    }
}
