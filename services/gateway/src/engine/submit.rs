//! Sends blobs, lowest slot first, again with each validated ledger.
//!
//! Owns: pacing and the notes of what servers answered. May not: draw any conclusion about a payment from an answer, or
//! send a blob that is not stored.

use std::collections::HashMap;

use paygate_payments::codes::Advice;
use paygate_proto::v1::TimelineStage;
use tracing::Instrument;
use xrpl_tx::{Signed, Slot};

use super::{Engine, join_trace, trace_of};
use crate::clock;
use crate::metrics::Stage;
use crate::store::{Note, Record, StoreError};
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
pub(super) struct LastAnswers(HashMap<Slot, String>);

impl LastAnswers {
    /// Forgets slots that are decided.
    pub(super) fn keep_only(&mut self, open: impl Fn(Slot) -> bool) {
        self.0.retain(|slot, _| open(*slot));
    }
}

impl Engine {
    /// Sends in the order given, which is slot order. Stops early when the connection is gone: what is left goes out again
    /// with the next ledger.
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
            let stop = matches!(
                answer,
                Err(CallError::NotConnected { .. } | CallError::Unanswered { .. })
            );
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
            .stage(Stage::Submit, started.elapsed(), trace.as_ref());
        answer
    }

    async fn remember(
        &self,
        blob: &Sendable,
        answer: &Result<SubmitAnswer, CallError>,
        answers: &mut LastAnswers,
    ) -> Result<(), StoreError> {
        let (word, summary) = match answer {
            Ok(answer) => (answer.engine_result.clone(), describe(answer)),
            Err(CallError::NotConnected { why, .. }) => {
                tracing::debug!(slot = blob.slot.number(), %why, "not sent");
                return Ok(());
            }
            Err(err) => (
                "unknown".to_owned(),
                format!("no usable answer, the ledger will tell: {err}"),
            ),
        };
        let first = !answers.0.contains_key(&blob.slot);
        let changed = answers
            .0
            .insert(blob.slot, word.clone())
            .is_none_or(|before| before != word);
        if changed && let Some(record) = &blob.owner {
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
            notes.push(Note {
                stage: TimelineStage::SubmitAnswered,
                summary,
                details: vec![server, ("engine_result", word.clone())],
                span_id: None,
            });
            self.store
                .note(record.payment.intent.key.clone(), notes, clock::now())
                .await?;
        }
        match answer {
            Ok(answer) => self.heed(blob, answer).await,
            Err(_) => Ok(()),
        }
    }

    /// Raises alarms. The payment's fate is not touched: the ledger tells it.
    async fn heed(&self, blob: &Sendable, answer: &SubmitAnswer) -> Result<(), StoreError> {
        let result = answer.engine_result.as_str();
        match Advice::of(result) {
            Advice::PauseWallet | Advice::Bug => {
                self.freeze(format!(
                    "the ledger's server answers {result} for slot {}: {}",
                    blob.slot, answer.message
                ))
                .await
            }
            Advice::StopAndHold => {
                self.freeze(format!(
                    "the ledger will never take the content of slot {}: {result}",
                    blob.slot
                ))
                .await
            }
            Advice::Refill => {
                tracing::warn!(result, "the wallet needs money");
                Ok(())
            }
            Advice::WaitForValidation
            | Advice::Resubmit
            | Advice::RaiseFee
            | Advice::LookAtLedger => Ok(()),
        }
    }
}

fn describe(answer: &SubmitAnswer) -> String {
    let kept = if answer.applied {
        "applied for now"
    } else if answer.queued {
        "queued"
    } else if answer.kept {
        "kept for a later ledger"
    } else {
        "not kept"
    };
    format!("{} ({kept}), provisional", answer.engine_result)
}
