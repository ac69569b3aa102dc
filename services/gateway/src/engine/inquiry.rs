//! Questions of pre-flight, one at a time, and their answers as facts that enough operators agree on.
//!
//! Owns: which requests make a fact. May not: judge a payment, or take "no answer" for an answer.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use paygate_payments::LedgerRef;
use paygate_payments::intent::{Intent, Wallet};
use paygate_payments::preflight::{
    AccountRoot, AssetFacts, DestinationFacts, HoldingFacts, IssuerRoot, Verdict,
};
use paygate_payments::proof::{NoProof, Observed, Quorum, Reading, Source};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use xrpl_tx::{AccountId, Asset, Drops};

use super::preflight::Memory;
use crate::xrpl::{CallError, Link};

/// How long a turn waits for all answers together. What is at large needs its turn as well.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Callers' own questions at once. They must not crowd out those of payments; who finds no seat is told nothing.
const VALIDATIONS_AT_ONCE_MAX: usize = 8;

/// Asks about destinations. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Inquiry {
    seats: Arc<Semaphore>,
    link: Link,
    pub(super) source: Source,
    quorum: Quorum,
    pub(super) wallet: Wallet,
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
pub(super) enum Question {
    Destination(AccountId),
    Holding(AccountId, Asset),
}

/// What came of a question.
#[derive(Debug)]
pub(super) enum Answer {
    Destination(Observed<DestinationFacts>),
    Holding(Observed<HoldingFacts>),
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
        let mut memory = Memory::default();
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

    pub(super) async fn answer(
        &self,
        question: Question,
        ground: Ground,
    ) -> Result<Answer, Unknown> {
        match question {
            Question::Destination(account) => self
                .destination(account, ground)
                .await
                .map(Answer::Destination),
            Question::Holding(account, asset) => {
                // Nobody has a line with himself, and a server does not take the question.
                let line = if account == asset.issuer {
                    None
                } else {
                    self.link.trust_line(account, asset, ground.ledger).await?
                };
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

/// What has to be known of a payment's destination.
pub(super) fn questions(intent: &Intent) -> BTreeSet<Question> {
    let holding = intent.takes().asset();
    let holding = holding.map(|asset| Question::Holding(intent.destination, asset));
    std::iter::once(Question::Destination(intent.destination))
        .chain(holding)
        .collect()
}
