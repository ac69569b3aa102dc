//! Questions of pre-flight, one at a time, and their answers as facts that enough operators agree on.
//!
//! Owns: which requests make a fact. May not: judge a payment, or take "no answer" for an answer.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use paygate_payments::LedgerRef;
use paygate_payments::agreement::{Sifted, sift};
use paygate_payments::intent::{Intent, Wallet};
use paygate_payments::preflight::{
    AccountRoot, AssetFacts, DestinationFacts, HoldingFacts, IssuerRoot, Verdict,
};
use paygate_payments::proof::{NoProof, Observed, Reading, Source};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use xrpl_tx::{AccountId, Asset, Drops};

use super::preflight::Memory;
use crate::xrpl::{CallError, Fleet, Heard, Link, Member, gather};

/// How long a turn waits for all answers together. What is at large needs its turn as well.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How long the first servers have for an answer before the others are asked too.
const FIRST_PATIENCE: Duration = Duration::from_millis(600);

/// Callers' own questions at once. They must not crowd out those of payments; who finds no seat is told nothing.
const VALIDATIONS_AT_ONCE_MAX: usize = 8;

/// Asks about destinations. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Inquiry {
    seats: Arc<Semaphore>,
    fleet: Fleet,
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
    #[error("{0}")]
    Call(String),
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
    pub(super) fn new(fleet: Fleet, wallet: Wallet) -> Self {
        Self {
            seats: Arc::new(Semaphore::new(VALIDATIONS_AT_ONCE_MAX)),
            fleet,
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
        let wallet = self.wallet.account;
        self.observed(ledger, move |link| async move {
            let (issuer, wallet_line) = tokio::try_join!(
                link.other_account(asset.issuer, ledger),
                link.trust_line(wallet, asset, ledger)
            )?;
            let issuer = issuer.map(|root| IssuerRoot {
                flags: root.flags,
                transfer_rate: root.transfer_rate,
            });
            Ok(AssetFacts {
                asset,
                issuer,
                wallet_line,
            })
        })
        .await
    }

    pub(super) async fn answer(
        &self,
        question: Question,
        ground: Ground,
    ) -> Result<Answer, Unknown> {
        match question {
            Question::Destination(account) => {
                let wallet = self.wallet.account;
                let ask = move |link| destination(link, account, wallet, ground);
                let observed = self.observed(ground.ledger, ask).await;
                observed.map(Answer::Destination)
            }
            Question::Holding(account, asset) => {
                let ask = move |link| holding(link, account, asset, ground.ledger);
                let observed = self.observed(ground.ledger, ask).await;
                observed.map(Answer::Holding)
            }
        }
    }

    /// A fact of this ledger, as enough servers tell it. As few are asked as could be enough; the others only if those do not
    /// answer, or do not agree.
    async fn observed<T, F>(
        &self,
        ledger: LedgerRef,
        ask: impl Fn(Link) -> F,
    ) -> Result<Observed<T>, Unknown>
    where
        T: Clone + PartialEq,
        F: Future<Output = Result<T, CallError>>,
    {
        let quorum = self.fleet.quorum();
        let mut first = self.fleet.panel();
        let sources: Vec<Source> = first.iter().map(|m| m.source.clone()).collect();
        let count = (1..=sources.len()).find(|count| quorum.suffices(&sources[..*count]));
        let others = first.split_off(count.unwrap_or(sources.len()));
        let question = |member: Member| ask(member.link);
        let everybody = |heard: &[Heard<Result<T, CallError>>]| heard.len() >= sources.len();
        // Whoever hangs does not keep the others from being asked; where there are no others, he may take his time.
        let patience = (!others.is_empty()).then_some(FIRST_PATIENCE);
        let mut heard = gather(first, question, everybody, patience).await;
        let found = self.sift(ledger, &heard);
        if found.is_ok() || others.is_empty() {
            return found;
        }
        heard.extend(gather(others, question, everybody, None).await);
        self.sift(ledger, &heard)
    }

    fn sift<T: Clone + PartialEq>(
        &self,
        ledger: LedgerRef,
        heard: &[Heard<Result<T, CallError>>],
    ) -> Result<Observed<T>, Unknown> {
        let told: Vec<(&Member, &T)> = heard
            .iter()
            .filter_map(|heard| Some((&heard.member, heard.said.as_ref().ok()?)))
            .collect();
        let words: Vec<(Source, &T)> = told.iter().map(|(m, t)| (m.source.clone(), *t)).collect();
        match sift(self.fleet.quorum(), &words) {
            Sifted::Agreed { agreeing, against } => {
                for place in against {
                    let what = format!(
                        "what it tells of an account in ledger {} differs",
                        ledger.index
                    );
                    self.fleet.contradicts(told[place].0.number, &what);
                }
                let reading = |place: &usize| Reading {
                    source: told[*place].0.source.clone(),
                    ledger,
                    fact: told[*place].1.clone(),
                };
                let readings: Vec<Reading<T>> = agreeing.iter().map(reading).collect();
                let observed = self.fleet.quorum().observed(&readings);
                observed.map_err(Unknown::NoProof)
            }
            Sifted::Split => Err(Unknown::NoProof(NoProof::Contradiction)),
            Sifted::Open(no_proof) => {
                let failed = heard.iter().find_map(|heard| heard.said.as_ref().err());
                // Who did not answer is the better reason, where nobody contradicts anybody.
                match failed {
                    Some(err) if no_proof != NoProof::Contradiction => {
                        Err(Unknown::Call(err.to_string()))
                    }
                    _ => Err(Unknown::NoProof(no_proof)),
                }
            }
        }
    }
}

async fn destination(
    link: Link,
    account: AccountId,
    wallet: AccountId,
    ground: Ground,
) -> Result<DestinationFacts, CallError> {
    let found = link.other_account(account, ground.ledger).await?;
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
        root.wallet_preauthorised = link
            .is_preauthorised(account, wallet, ground.ledger)
            .await?;
    }
    Ok(DestinationFacts {
        account,
        reserve_base: ground.reserve_base,
        root,
    })
}

async fn holding(
    link: Link,
    account: AccountId,
    asset: Asset,
    ledger: LedgerRef,
) -> Result<HoldingFacts, CallError> {
    // Nobody has a line with himself, and a server does not take the question.
    let line = if account == asset.issuer {
        None
    } else {
        link.trust_line(account, asset, ledger).await?
    };
    Ok(HoldingFacts {
        account,
        asset,
        line,
    })
}

/// What has to be known of a payment's destination.
pub(super) fn questions(intent: &Intent) -> BTreeSet<Question> {
    let holding = intent.takes().asset();
    let holding = holding.map(|asset| Question::Holding(intent.destination, asset));
    std::iter::once(Question::Destination(intent.destination))
        .chain(holding)
        .collect()
}
