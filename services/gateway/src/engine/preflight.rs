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
use paygate_payments::preflight::{self, AccountRoot, DestinationFacts, Refusal};
use paygate_payments::proof::{NoProof, Observed, Quorum, Reading, Source};
use paygate_proto::v1::PaymentReason;
use tokio::task::JoinSet;
use xrpl_tx::{AccountId, Drops};

use super::dispatch::blocked;
use super::{Engine, join_trace};
use crate::clock;
use crate::store::{Record, StoreError};
use crate::view::Blocked;
use crate::xrpl::{CallError, Link};

/// Destinations asked about at once, each with at most two requests one after the other: far below what a link keeps in
/// flight, so that submits and readings of the ledger always find a place beside them.
const QUESTIONS_AT_ONCE_MAX: usize = 64;

/// How long a turn waits for all answers together. What is at large needs its turn as well.
const PATIENCE: Duration = Duration::from_secs(2);

/// Destinations remembered of one ledger. More than can be paid in one; past it the memory begins anew.
const REMEMBERED_MAX: usize = 4096;

/// Asks about destinations. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Inquiry {
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
    /// No answer came while the turn waited.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
}

/// What is known of destinations, in one ledger.
#[derive(Debug, Default)]
pub(super) struct Memory {
    ground: Option<Ground>,
    destinations: BTreeMap<AccountId, Observed<DestinationFacts>>,
}

/// What came of looking at payments.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Nothing is known to be in the way of these.
    pub(super) clear: BTreeSet<PaymentKey>,
    /// These cannot be received.
    pub(super) refused: Vec<Refusal>,
    /// Of these it is not known.
    pub(super) waits: BTreeMap<PaymentKey, Blocked>,
}

impl Inquiry {
    pub(super) fn new(link: Link, source: Source, quorum: Quorum, wallet: Wallet) -> Self {
        Self {
            link,
            source,
            quorum,
            wallet,
        }
    }

    /// Whether the destination of a payment provably cannot receive it.
    pub async fn ask(
        &self,
        intent: &Intent,
        ground: Ground,
    ) -> Result<Result<(), Refusal>, Unknown> {
        let question = self.destination(intent.destination, ground);
        let destination = tokio::time::timeout(PATIENCE, question)
            .await
            .map_err(|_| Unknown::Late)??;
        Ok(preflight::check(intent, &self.wallet, &destination))
    }

    async fn destination(
        &self,
        account: AccountId,
        ground: Ground,
    ) -> Result<Observed<DestinationFacts>, Unknown> {
        let root = self.link.other_account(account, ground.ledger).await?;
        let root = match root {
            None => None,
            Some(found) => {
                let mut root = AccountRoot {
                    balance: found.balance,
                    flags: found.flags,
                    is_pseudo: found.is_pseudo,
                    wallet_preauthorised: false,
                };
                if root.asks_for_preauthorisation() {
                    root.wallet_preauthorised = self
                        .link
                        .is_preauthorised(account, self.wallet.account, ground.ledger)
                        .await?;
                }
                Some(root)
            }
        };
        let reading = Reading {
            source: self.source.clone(),
            ledger: ground.ledger,
            fact: DestinationFacts {
                account,
                reserve_base: ground.reserve_base,
                root,
            },
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
        payments: &[Record],
    ) -> Looked {
        if self.ground != Some(ground) || self.destinations.len() > REMEMBERED_MAX {
            *self = Self {
                ground: Some(ground),
                ..Self::default()
            };
        }
        let intents = || payments.iter().map(|record| &record.payment.intent);
        let wanted: BTreeSet<AccountId> = intents()
            .map(|intent| intent.destination)
            .filter(|account| !self.destinations.contains_key(account))
            .collect();
        let failed = self.learn(inquiry, ground, wanted).await;
        let mut looked = Looked::default();
        for intent in intents() {
            let key = intent.key.clone();
            match self.destinations.get(&intent.destination) {
                Some(facts) => match preflight::check(intent, &inquiry.wallet, facts) {
                    Ok(()) => {
                        looked.clear.insert(key);
                    }
                    Err(refusal) => looked.refused.push(refusal),
                },
                None => {
                    let why = failed.get(&intent.destination).unwrap_or(&Unknown::Late);
                    looked.waits.insert(key, not_known(intent.destination, why));
                }
            }
        }
        looked
    }

    /// Asks about all of them, some at once, and answers why of which nothing was learned.
    async fn learn(
        &mut self,
        inquiry: &Inquiry,
        ground: Ground,
        wanted: BTreeSet<AccountId>,
    ) -> BTreeMap<AccountId, Unknown> {
        let mut failed = BTreeMap::new();
        let mut left = wanted.into_iter();
        let mut asked = JoinSet::new();
        let ask = |account: AccountId| {
            let inquiry = inquiry.clone();
            async move { (account, inquiry.destination(account, ground).await) }
        };
        for account in left.by_ref().take(QUESTIONS_AT_ONCE_MAX) {
            asked.spawn(ask(account));
        }
        let all = async {
            while let Some(answer) = asked.join_next().await {
                if let Some(account) = left.next() {
                    asked.spawn(ask(account));
                }
                // A panic in there is a bug and ends the process; until then its destination is not known.
                let Ok((account, answer)) = answer else {
                    continue;
                };
                match answer {
                    Ok(facts) => {
                        self.destinations.insert(account, facts);
                    }
                    Err(unknown) => {
                        failed.insert(account, unknown);
                    }
                }
            }
        };
        // Who has not answered by then is asked again in the next turn; dropping the set drops the questions.
        let _late = tokio::time::timeout(PATIENCE, all).await;
        failed
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
