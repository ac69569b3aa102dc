//! Asks the ledger about the destinations of payments that are about to be bound.
//!
//! Owns: which questions are asked, and how many at once. May not: judge the answers;
//! `payments::preflight` does. A question without an answer holds up its own payment and no other.
//!
//! Every question names the newest reconciled ledger by its hash. What was answered is remembered until the next one, so a
//! destination is asked about once in a ledger, however many payments and turns there are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paygate_payments::intent::{Intent, PaymentKey};
use paygate_payments::preflight::{self, Facts, IssuedFacts, Refusal, Shortage, Verdict};
use paygate_proto::v1::PaymentReason;
use tokio::task::JoinSet;
use xrpl_tx::AccountId;

use super::dispatch::blocked;
use super::inquiry::{Answer, Assets, Ground, Inquiry, PATIENCE, Question, Unknown, questions};
use super::{Engine, join_trace};
use crate::clock;
use crate::store::{Record, StoreError};
use crate::view::Blocked;

/// Questions asked at once, each with at most two requests: far below what a link keeps in
/// flight, so that submits and readings of the ledger always find a place beside them.
const QUESTIONS_AT_ONCE_MAX: usize = 64;

/// Answers remembered of one ledger. More than can be paid in one; past it the memory begins anew.
const REMEMBERED_MAX: usize = 4096;

/// What is known of destinations, in one ledger.
#[derive(Debug, Default)]
pub(super) struct Memory {
    ground: Option<Ground>,
    known: BTreeMap<Question, Answer>,
}

/// What came of looking at payments.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Nothing is known to be in the way of these.
    pub(super) clear: BTreeSet<PaymentKey>,
    /// These cannot be received.
    pub(super) refused: Vec<Refusal>,
    /// Of these it is not known, or the wallet lacks something for them.
    pub(super) waits: BTreeMap<PaymentKey, Blocked>,
}

impl Memory {
    /// Looks at payments as the ledger of `ground` has their destinations, and asks about those that are not known yet.
    pub(super) async fn look(
        &mut self,
        inquiry: &Inquiry,
        ground: Ground,
        assets: &Assets,
        payments: &[Record],
    ) -> Looked {
        if self.ground != Some(ground) || self.known.len() > REMEMBERED_MAX {
            *self = Self {
                ground: Some(ground),
                ..Self::default()
            };
        }
        let intents = || payments.iter().map(|record| &record.payment.intent);
        let wanted = intents()
            .flat_map(questions)
            .filter(|question| !self.known.contains_key(question))
            .collect();
        let failed = self.learn(inquiry, ground, wanted).await;
        let mut looked = Looked::default();
        for intent in intents() {
            let key = intent.key.clone();
            match self.judge(inquiry, intent, assets) {
                Some(Verdict::Clear) => {
                    looked.clear.insert(key);
                }
                Some(Verdict::Refused(refusal)) => looked.refused.push(refusal),
                Some(Verdict::Waits(shortage)) => {
                    let why = blocked(shortage_reason(shortage), &shortage.to_string());
                    looked.waits.insert(key, why);
                }
                None => {
                    let mut why = questions(intent).into_iter().filter_map(|q| failed.get(&q));
                    let why = why.next().unwrap_or(&Unknown::Late);
                    looked.waits.insert(key, not_known(intent.destination, why));
                }
            }
        }
        looked
    }

    /// What the core says, if everything that it needs is known.
    pub(super) fn judge(
        &self,
        inquiry: &Inquiry,
        intent: &Intent,
        assets: &Assets,
    ) -> Option<Verdict> {
        let to = intent.destination;
        let Some(Answer::Destination(destination)) = self.known.get(&Question::Destination(to))
        else {
            return None;
        };
        let issued = match intent.takes().asset() {
            None => None,
            Some(asset) => match self.known.get(&Question::Holding(to, asset)) {
                Some(Answer::Holding(holding)) => assets
                    .get(&asset)
                    .filter(|facts| facts.ledger() == holding.ledger())
                    .map(|asset| IssuedFacts { asset, holding }),
                _ => return None,
            },
        };
        let facts = Facts {
            destination,
            issued,
        };
        Some(preflight::check(intent, &inquiry.wallet, facts))
    }

    /// Asks about all of them, some at once, and answers why of which nothing was learned.
    pub(super) async fn learn(
        &mut self,
        inquiry: &Inquiry,
        ground: Ground,
        wanted: BTreeSet<Question>,
    ) -> BTreeMap<Question, Unknown> {
        let mut failed = BTreeMap::new();
        let mut left = wanted.into_iter();
        let mut asked = JoinSet::new();
        let ask = |question: Question| {
            let inquiry = inquiry.clone();
            async move { (question, inquiry.answer(question, ground).await) }
        };
        for question in left.by_ref().take(QUESTIONS_AT_ONCE_MAX) {
            asked.spawn(ask(question));
        }
        let all = async {
            while let Some(answer) = asked.join_next().await {
                if let Some(question) = left.next() {
                    asked.spawn(ask(question));
                }
                match answer {
                    Ok((question, Ok(answer))) => {
                        self.known.insert(question, answer);
                    }
                    Ok((question, Err(unknown))) => {
                        failed.insert(question, unknown);
                    }
                    // A panic in there is a bug and ends the process; until then nothing is known.
                    Err(_) => {}
                }
            }
        };
        // Who has not answered by then is asked again in the next turn; dropping the set drops the questions.
        let _late = tokio::time::timeout(PATIENCE, all).await;
        failed
    }
}

fn shortage_reason(shortage: Shortage) -> PaymentReason {
    match shortage {
        Shortage::NotRead { .. } => PaymentReason::LedgerUnavailable,
        Shortage::NoLine { .. } | Shortage::LineFrozen { .. } => PaymentReason::AssetUnavailable,
    }
}

impl Engine {
    /// Gives up what cannot be received, in one commit.
    pub(super) async fn give_up(&self, refused: Vec<Refusal>) -> Result<(), StoreError> {
        if refused.is_empty() {
            return Ok(());
        }
        let given_up = self
            .store
            .refuse(self.epoch(), refused.clone(), clock::now())
            .await?;
        for record in &given_up {
            let key = &record.payment.intent.key;
            if let Some(refusal) = refused.iter().find(|refusal| refusal.key() == key) {
                self.tell_refused(record, refusal);
            }
        }
        Ok(())
    }

    fn tell_refused(&self, record: &Record, refusal: &Refusal) {
        let (key, cannot) = (refusal.key(), refusal.cannot());
        self.metrics
            .payment_entered(record.payment.state.name().as_str());
        self.metrics.preflight_refused(cannot.reason);
        let span = tracing::info_span!(
            "payment.preflight",
            payment_id = key.payment.as_str(),
            xrpl.ledger_index = cannot.ledger.index.0,
            paygate.refusal = cannot.reason.as_str(),
        );
        join_trace(&span, Some(record));
        span.in_scope(|| {
            tracing::info!(payment_id = %key.payment, client_id = %key.client, refusal = cannot.reason.as_str(), ledger = cannot.ledger.index.0, "payment given up before it was bound: its destination cannot receive it");
        });
    }

    /// What pre-flight asks with.
    #[must_use]
    pub fn inquiry(&self) -> Arc<Inquiry> {
        Arc::clone(&self.inquiry)
    }
}

fn not_known(account: AccountId, why: &Unknown) -> Blocked {
    let detail = format!("whether {account} can receive it is not known yet: {why}");
    blocked(PaymentReason::LedgerUnavailable, &detail)
}

#[cfg(test)]
mod tests;
