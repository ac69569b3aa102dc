//! Sends blobs, lowest slot first, again with each validated ledger.
//!
//! Owns: the order of what goes through the primary server, pacing, and the notes of what servers answered. May not: draw any
//! conclusion about a payment from an answer, or about a server from what it makes of a transaction, or send a blob that is not
//! stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use paygate_payments::codes::Advice;
use paygate_payments::codes::errors::Trouble;
use paygate_proto::v1::TimelineStage;
use tracing::Instrument;
use xrpl_tx::{Hash256, Signed, Slot};

use super::{Engine, join_trace, trace_of};
use crate::clock;
use crate::metrics::Stage;
use crate::store::{Note, Record, StoreError};
use crate::view::SlotAnswer;
use crate::xrpl::{CallError, Member, SubmitAnswer};

/// A stored blob to be sent.
#[derive(Clone, Debug)]
pub(super) struct Sendable {
    pub(super) slot: Slot,
    pub(super) owner: Option<Record>,
    pub(super) signed: Signed,
}

/// How long an answer is waited for, where another server could take the transaction meanwhile. Its fate is unknown either way.
const SUBMIT_PATIENCE: Duration = Duration::from_secs(5);

/// What each slot was answered last by each server, so that repeats do not fill its timeline. Lives as long as the slot is open.
#[derive(Debug, Default)]
pub(super) struct LastAnswers {
    /// The newest version of each slot. What is said of an older one changes nothing here.
    newest: BTreeMap<Slot, Hash256>,
    given: BTreeMap<(Slot, usize), (Hash256, SlotAnswer)>,
    /// What people are shown: the primary server's word on the newest version.
    shown: Arc<BTreeMap<Slot, SlotAnswer>>,
}

/// What an answer is, compared with what the same server said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// The first to this version.
    First,
    /// Another one.
    Changed,
    /// The same, or to a version that is not the newest any more.
    Nothing,
}

impl LastAnswers {
    /// Forgets slots that are decided.
    pub(super) fn keep_only(&mut self, open: impl Fn(Slot) -> bool) {
        self.newest.retain(|slot, _| open(*slot));
        self.given.retain(|(slot, _), _| open(*slot));
        if self.shown.keys().any(|slot| !open(*slot)) {
            Arc::make_mut(&mut self.shown).retain(|slot, _| open(*slot));
        }
    }

    /// These are about to be sent: each is the newest version of its slot.
    fn begin(&mut self, blobs: &[Sendable]) {
        self.newest
            .extend(blobs.iter().map(|blob| (blob.slot, blob.signed.hash)));
    }

    fn take(
        &mut self,
        blob: &Sendable,
        server: usize,
        through: Through,
        said: &SlotAnswer,
    ) -> News {
        let hash = blob.signed.hash;
        if self
            .newest
            .get(&blob.slot)
            .is_some_and(|newest| *newest != hash)
        {
            return News::Nothing;
        }
        if through == Through::Primary && self.shown.get(&blob.slot) != Some(said) {
            Arc::make_mut(&mut self.shown).insert(blob.slot, said.clone());
        }
        let before = self.given.insert((blob.slot, server), (hash, said.clone()));
        match before {
            Some((of, before)) if of == hash && before == *said => News::Nothing,
            Some((of, _)) if of == hash => News::Changed,
            _ => News::First,
        }
    }
}

/// As what a server was sent a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Through {
    /// The one through which all go in order.
    Primary,
    /// One more, so that the network hears of it whatever becomes of the primary.
    FanOut,
}

/// What follows from an answer for the rest of what is to be sent to that server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    /// It takes no more now.
    Stop,
}

impl Engine {
    /// Sends in the order given, which is slot order, through the primary server. Where that one is gone, silent or has too
    /// much to do, goes on through another. What nobody takes now goes out again with the next ledger.
    pub(super) async fn send(&self, blobs: &[Sendable]) -> Result<(), StoreError> {
        self.answers().begin(blobs);
        let mut left = blobs;
        let mut tried = BTreeSet::new();
        while let Some(primary) = self.fleet.primary().filter(|p| tried.insert(p.number)) {
            loop {
                let Some((blob, rest)) = left.split_first() else {
                    return Ok(());
                };
                // An answer to an earlier blob, or a ledger, may have frozen the wallet.
                if self.view.now().frozen.is_some() {
                    return Ok(());
                }
                if self.send_to(&primary, blob, Through::Primary).await? == Then::Stop {
                    break;
                }
                self.fan_out.add(primary.number, blob);
                left = rest;
            }
        }
        Ok(())
    }

    /// Sends one blob to one server, in its turn, and notes what it says.
    pub(super) async fn send_to(
        &self,
        member: &Member,
        blob: &Sendable,
        through: Through,
    ) -> Result<Then, StoreError> {
        self.wait_for_turn(member).await;
        let answer = self.send_one(member, blob).await;
        let then = self.heed_server(member, &answer);
        self.remember(member, through, blob, &answer).await?;
        Ok(then)
    }

    /// Keeps the rate at which a server that is not our own is sent transactions, in whatever role.
    async fn wait_for_turn(&self, member: &Member) {
        if member.source.own {
            return;
        }
        let now = clock::instant();
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            let next = turns.entry(member.number).or_insert(now);
            let turn = (*next).max(now);
            *next = turn + self.settings.submit_pause;
            turn
        };
        if turn > now {
            tokio::time::sleep(turn.saturating_duration_since(now)).await;
        }
    }

    /// What an answer says about the server. What it makes of the transaction is no part of that.
    fn heed_server(&self, member: &Member, answer: &Result<SubmitAnswer, CallError>) -> Then {
        match answer {
            Err(CallError::NotConnected { .. }) => Then::Stop,
            Err(CallError::Unanswered { .. }) => {
                self.fleet.leaves_waiting(member.number, SUBMIT_PATIENCE);
                Then::Stop
            }
            // More of the same would only make it close the connection.
            Err(CallError::Server { error, .. }) if Trouble::of(error) == Trouble::Busy => {
                self.fleet.rate_limits(member.number);
                Then::Stop
            }
            Err(CallError::Server { .. } | CallError::Malformed { .. }) | Ok(_) => Then::GoOn,
        }
    }

    pub(super) fn answers(&self) -> MutexGuard<'_, LastAnswers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send_one(&self, member: &Member, blob: &Sendable) -> Result<SubmitAnswer, CallError> {
        let span = tracing::info_span!(
            "payment.submit",
            payment_id = blob.owner.as_ref().map(|r| r.payment.intent.key.payment.as_str()),
            xrpl.slot = blob.slot.number(),
            xrpl.tx_hash = %blob.signed.hash,
        );
        join_trace(&span, blob.owner.as_ref());
        let started = clock::instant();
        let text = hex::encode_upper(&blob.signed.blob);
        let asked = member.link.submit(&text).instrument(span);
        let answer = if self.fleet.members().len() > 1 {
            let late = Err(CallError::Unanswered { command: "submit" });
            tokio::time::timeout(SUBMIT_PATIENCE, asked)
                .await
                .unwrap_or(late)
        } else {
            asked.await
        };
        let trace = trace_of(blob.owner.as_ref());
        self.metrics
            .stage(Stage::Submit, clock::elapsed(started), trace.as_ref());
        answer
    }

    async fn remember(
        &self,
        member: &Member,
        through: Through,
        blob: &Sendable,
        answer: &Result<SubmitAnswer, CallError>,
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
        let (news, shown) = {
            let mut answers = self.answers();
            let news = answers.take(blob, member.number, through, &said);
            (news, Arc::clone(&answers.shown))
        };
        if news != News::Nothing {
            self.view.update(|v| v.answers = shown);
        }
        if news != News::Nothing
            && let Some(record) = &blob.owner
        {
            let notes = notes(member, blob, &said, news);
            self.store
                .note(record.payment.intent.key.clone(), notes, clock::now())
                .await?;
        }
        self.heed(blob, &said).await
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

fn notes(member: &Member, blob: &Sendable, said: &SlotAnswer, news: News) -> Vec<Note> {
    let name = member.link.server();
    let server = ("server", name.to_owned());
    let hash = ("tx_hash", blob.signed.hash.to_string());
    let mut notes = Vec::new();
    if news == News::First {
        notes.push(Note {
            stage: TimelineStage::Submitted,
            summary: format!("sent to {name}"),
            details: vec![server.clone(), hash],
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
