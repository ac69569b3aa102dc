//! Asks the ledger about the destinations of payments that are about to be bound.
//!
//! Owns: which questions are asked, how many at once, and how long an answer is waited for. May not: judge the answers;
//! `payments::preflight` does. A question without an answer holds up its own payment and no other.
//!
//! Every question names the newest reconciled ledger by its hash. What was answered is remembered until the next one, so a
//! destination is asked about once in a ledger, however many payments and turns there are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use paygate_payments::LedgerRef;
use paygate_payments::intent::{Intent, PaymentKey, Wallet};
use paygate_payments::preflight::{
    self, AccountRoot, AssetFacts, DestinationFacts, Facts, HoldingFacts, IssuedFacts, IssuerRoot,
    Refusal, Shortage, Verdict,
};
use paygate_payments::proof::{NoProof, Observed, Quorum, Reading, Source};
use paygate_proto::v1::PaymentReason;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use xrpl_tx::{AccountId, Asset, Drops};

use super::dispatch::blocked;
use super::{Engine, join_trace};
use crate::clock;
use crate::store::{Record, StoreError};
use crate::view::Blocked;
use crate::xrpl::{CallError, Link};

/// Questions asked at once, each with at most two requests: far below what a link keeps in
/// flight, so that submits and readings of the ledger always find a place beside them.
const QUESTIONS_AT_ONCE_MAX: usize = 64;

/// How long a turn waits for all answers together. What is at large needs its turn as well.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers remembered of one ledger. More than can be paid in one; past it the memory begins anew.
const REMEMBERED_MAX: usize = 4096;

/// Callers' own questions at once. They must not crowd out those of payments; who finds no seat is told nothing.
const VALIDATIONS_AT_ONCE_MAX: usize = 8;

/// Asks about destinations. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Inquiry {
    seats: Arc<Semaphore>,
    link: Link,
    source: Source,
    quorum: Quorum,
    wallet: Wallet,
}

/// The ledger that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The ledger.
    pub ledger: LedgerRef,
    /// What every account must hold in it.
    pub reserve_base: Drops,
}

/// Why it is not known whether a destination can receive. It is asked again; nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// The question was not answered.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The answers do not suffice.
    #[error("the answers prove nothing: {0:?}")]
    NoProof(NoProof),
    /// As many callers as may ask already.
    #[error("{VALIDATIONS_AT_ONCE_MAX} callers ask already")]
    Busy,
    /// No answer came while the turn waited.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
}

/// A thing that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    Destination(AccountId),
    Holding(AccountId, Asset),
}

/// What came of a question.
#[derive(Debug)]
enum Answer {
    Destination(Observed<DestinationFacts>),
    Holding(Observed<HoldingFacts>),
}

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

/// The currencies of the ledger that is looked at.
pub(super) type Assets = BTreeMap<Asset, Observed<AssetFacts>>;

impl Inquiry {
    pub(super) fn new(link: Link, source: Source, quorum: Quorum, wallet: Wallet) -> Self {
        Self {
            seats: Arc::new(Semaphore::new(VALIDATIONS_AT_ONCE_MAX)),
            link,
            source,
            quorum,
            wallet,
        }
    }

    /// What pre-flight would say of a payment now, to a caller who only asks.
    pub async fn ask(
        &self,
        intent: &Intent,
        ground: Ground,
        assets: &BTreeMap<Asset, Observed<AssetFacts>>,
    ) -> Result<Verdict, Unknown> {
        let _seat = self.seats.try_acquire().map_err(|_| Unknown::Busy)?;
        let mut memory = Memory {
            ground: Some(ground),
            ..Memory::default()
        };
        let failed = memory.learn(self, ground, questions(intent)).await;
        match failed.into_values().next() {
            Some(unknown) => Err(unknown),
            None => memory.judge(self, intent, assets).ok_or(Unknown::Late),
        }
    }

    /// The issued currencies as a ledger has them. One that could not be read is missing.
    pub(super) async fn assets(
        &self,
        assets: impl Iterator<Item = Asset>,
        ledger: LedgerRef,
    ) -> Assets {
        let mut asked = JoinSet::new();
        for asset in assets {
            let inquiry = self.clone();
            asked.spawn(async move { (asset, inquiry.asset(asset, ledger).await) });
        }
        let mut found = Assets::new();
        let all = async {
            while let Some(answer) = asked.join_next().await {
                match answer {
                    Ok((asset, Ok(facts))) => {
                        found.insert(asset, facts);
                    }
                    Ok((asset, Err(unknown))) => {
                        tracing::warn!(%asset, %unknown, ledger = ledger.index.0, "an issued currency could not be read: nothing of it is bound");
                    }
                    // A panic in there is a bug and ends the process.
                    Err(_) => {}
                }
            }
        };
        // Dropping the set drops the questions.
        let _late = tokio::time::timeout(PATIENCE, all).await;
        found
    }

    async fn asset(
        &self,
        asset: Asset,
        ledger: LedgerRef,
    ) -> Result<Observed<AssetFacts>, Unknown> {
        let (issuer, wallet_line) = tokio::try_join!(
            self.link.other_account(asset.issuer, ledger),
            self.link.trust_line(self.wallet.account, asset, ledger)
        )?;
        let issuer = issuer.map(|root| IssuerRoot {
            flags: root.flags,
            transfer_rate: root.transfer_rate,
        });
        self.observed(
            ledger,
            AssetFacts {
                asset,
                issuer,
                wallet_line,
            },
        )
    }

    async fn answer(&self, question: Question, ground: Ground) -> Result<Answer, Unknown> {
        match question {
            Question::Destination(account) => self
                .destination(account, ground)
                .await
                .map(Answer::Destination),
            Question::Holding(account, asset) => {
                let line = self.link.trust_line(account, asset, ground.ledger).await?;
                let facts = HoldingFacts {
                    account,
                    asset,
                    line,
                };
                self.observed(ground.ledger, facts).map(Answer::Holding)
            }
        }
    }

    async fn destination(
        &self,
        account: AccountId,
        ground: Ground,
    ) -> Result<Observed<DestinationFacts>, Unknown> {
        let found = self.link.other_account(account, ground.ledger).await?;
        let mut root = found.map(|found| AccountRoot {
            balance: found.balance,
            flags: found.flags,
            is_pseudo: found.is_pseudo,
            wallet_preauthorised: false,
        });
        if let Some(root) = root
            .as_mut()
            .filter(|root| root.asks_for_preauthorisation())
        {
            root.wallet_preauthorised = self
                .link
                .is_preauthorised(account, self.wallet.account, ground.ledger)
                .await?;
        }
        let facts = DestinationFacts {
            account,
            reserve_base: ground.reserve_base,
            root,
        };
        self.observed(ground.ledger, facts)
    }

    fn observed<T: Clone + PartialEq>(
        &self,
        ledger: LedgerRef,
        fact: T,
    ) -> Result<Observed<T>, Unknown> {
        let reading = Reading {
            source: self.source.clone(),
            ledger,
            fact,
        };
        self.quorum.observed(&[reading]).map_err(Unknown::NoProof)
    }
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
    fn judge(&self, inquiry: &Inquiry, intent: &Intent, assets: &Assets) -> Option<Verdict> {
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
    async fn learn(
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

/// What has to be known of a payment's destination.
fn questions(intent: &Intent) -> BTreeSet<Question> {
    let holding = intent.takes().asset();
    let holding = holding.map(|asset| Question::Holding(intent.destination, asset));
    std::iter::once(Question::Destination(intent.destination))
        .chain(holding)
        .collect()
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
            .refuse(self.epoch, refused.clone(), clock::now())
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
        self.metrics.preflight_refused(cannot.reason.as_str());
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
