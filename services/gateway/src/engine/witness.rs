//! What several servers say of the wallet in one ledger, and the proofs that the core makes of it.
//!
//! Owns: asking each server for the deciding facts themselves, and naming whoever says something else than enough others. May
//! not: decide what a fact means for a payment, or let one server's answer stand in for another's.

use std::collections::BTreeSet;

use paygate_payments::agreement::{Sifted, sift};
use paygate_payments::proof::{
    FinalResult, LedgerBody, LedgerTx, NoProof, Presence, SequenceReading, Source, StateProof,
    TransactionReading,
};
use paygate_payments::{LedgerIndex, LedgerRef};
use xrpl_tx::{AccountId, Memo};

use super::Engine;
use super::confirm::Delay;
use crate::xrpl::{
    AccountFacts, AccountHistory, AccountTxError, At, CallError, Heard, LedgerTransaction, Member,
    gather,
};

/// tfFullyCanonicalSig: changes nothing about what a transaction does.
const FLAG_FULLY_CANONICAL: u32 = 0x8000_0000;

/// Ledgers of old history that are walked at once: half a day of the network.
const LEDGERS_PER_PART: u32 = 10_000;

/// The wallet from one reconciled ledger to another, as enough servers tell it.
#[derive(Debug)]
pub(super) struct Witnessed {
    /// The account in the later ledger.
    pub(super) facts: AccountFacts,
    /// Its Sequence there.
    pub(super) proof: StateProof,
    /// Every transaction that touched it since the earlier one.
    pub(super) history: AccountHistory,
    /// Those that it made itself.
    pub(super) settled: Vec<Presence>,
}

/// What one server says.
struct Said {
    account: Result<Option<AccountFacts>, CallError>,
    history: Result<AccountHistory, AccountTxError>,
}

/// A thing that servers were asked about, for the words about those who say otherwise.
pub(super) type Told<T> = Vec<(Source, (Member, T))>;

impl Engine {
    /// Has enough servers tell what happened to the wallet after `done`, and how it stands in `to`.
    pub(super) async fn witness(&self, done: LedgerRef, to: LedgerRef) -> Result<Witnessed, Delay> {
        let account = self.settings.wallet.account;
        let first = match xrpl_tx::mutant!("ledger-skipped") {
            true => (done.index.0 + 2).min(to.index.0),
            false => done.index.0 + 1,
        };
        let range = (first, to.index.0);
        let quorum = self.fleet.quorum();
        let question = |member: Member| async move {
            let (facts, history) = tokio::join!(
                member.link.account_info(account, At::Ledger(to)),
                history_of(&member, account, range),
            );
            Said {
                account: facts,
                history,
            }
        };
        let enough = |heard: &[Heard<Said>]| {
            agree(quorum, heard, |said| said.account.as_ref().ok())
                && agree(quorum, heard, |said| said.history.as_ref().ok())
        };
        let heard = gather(self.fleet.panel(), question, enough, None).await;
        let (mut accounts, mut histories) = (Vec::new(), Vec::new());
        for Heard { member, said } in heard {
            self.note_history(&member, &said.history);
            accounts.push((member.clone(), said.account.map_err(Delay::from)));
            histories.push((member, said.history.map_err(Delay::from)));
        }
        let of_account = format!("its account_info of ledger {} differs", to.index);
        let (told_account, told_history) = (who_told(&accounts), who_told(&histories));
        let mut accounts = self.agreed(accounts, |_, _| of_account.clone()).await?;
        let histories = self.agreed(histories, |agreed, odd| differs(agreed, odd, range));
        let mut histories = histories.await?;
        // Who was found to say otherwise of one thing is no witness of the other.
        let (of_accounts, of_histories) = (agreeing(&accounts), agreeing(&histories));
        accounts.retain(|(_, (m, _))| honest(m.number, &told_history, &of_histories));
        histories.retain(|(_, (m, _))| honest(m.number, &told_account, &of_accounts));
        if accounts.is_empty() || histories.is_empty() {
            return Err(Delay::NoProof(NoProof::Contradiction));
        }
        #[cfg(paygate_mutants)]
        let accounts = super::mutants::accounts(self, accounts).await;
        let (facts, proof) = self.state_proof(to, &accounts)?;
        let (_, (_, history)) = &histories[0];
        let history = history.clone();
        let settled = self.presences(Some(to), &histories)?;
        Ok(Witnessed {
            facts,
            proof,
            history,
            settled,
        })
    }

    /// The wallet's own transactions from ledger `from` on, up to `last` or as many ledgers as one walk takes: the answer says how far.
    pub(super) async fn witness_history(
        &self,
        from: LedgerIndex,
        last: LedgerIndex,
    ) -> Result<(LedgerIndex, Vec<Presence>), Delay> {
        let mut ledgers = LEDGERS_PER_PART;
        loop {
            // One range for all of them: parts of different lengths could not be compared.
            let to = from.plus(ledgers - 1).min(last);
            match self.witness_range((from.0, to.0)).await {
                Err(Delay::History(AccountTxError::TooLong { .. })) if ledgers > 1 => ledgers /= 2,
                walked => return walked.map(|settled| (to, settled)),
            }
        }
    }

    async fn witness_range(&self, range: (u32, u32)) -> Result<Vec<Presence>, Delay> {
        let account = self.settings.wallet.account;
        let quorum = self.fleet.quorum();
        let question = |member: Member| async move { history_of(&member, account, range).await };
        let enough =
            |heard: &[Heard<_>]| agree(quorum, heard, |said: &Result<_, _>| said.as_ref().ok());
        let heard = gather(self.fleet.panel(), question, enough, None).await;
        let said = heard
            .into_iter()
            .map(|heard| (heard.member, heard.said.map_err(Delay::from)));
        let told = self
            .agreed(said.collect(), |agreed, odd| differs(agreed, odd, range))
            .await?;
        self.presences(None, &told)
    }

    /// The wallet's account in this ledger, as enough servers tell it.
    pub(super) async fn read_account(&self, ledger: LedgerRef) -> Result<AccountFacts, Delay> {
        let account = self.settings.wallet.account;
        let quorum = self.fleet.quorum();
        let question = |member: Member| async move {
            member.link.account_info(account, At::Ledger(ledger)).await
        };
        let enough =
            |heard: &[Heard<_>]| agree(quorum, heard, |said: &Result<_, _>| said.as_ref().ok());
        let heard = gather(self.fleet.panel(), question, enough, None).await;
        let said = heard
            .into_iter()
            .map(|heard| (heard.member, heard.said.map_err(Delay::from)));
        let what = format!("its account_info of ledger {} differs", ledger.index);
        let agreed = self.agreed(said.collect(), |_, _| what.clone()).await?;
        let (_, (_, facts)) = &agreed[0];
        facts.ok_or(Delay::NoAccount(ledger.index.0))
    }

    /// The validated ledger of this index, as enough servers tell it.
    pub(super) async fn ledger_at(&self, index: u32) -> Result<LedgerRef, Delay> {
        let quorum = self.fleet.quorum();
        let question = |member: Member| async move {
            let header = member.link.ledger_header(index).await?;
            let header = header.filter(|header| header.validated);
            header.map(|h| h.hash).ok_or(Delay::NoLedger(index))
        };
        let enough =
            |heard: &[Heard<_>]| agree(quorum, heard, |said: &Result<_, _>| said.as_ref().ok());
        let heard = gather(self.fleet.panel(), question, enough, None).await;
        let said = heard.into_iter().map(|heard| (heard.member, heard.said));
        let what = format!("its hash of ledger {index} differs");
        let agreed = self.agreed(said.collect(), |_, _| what.clone()).await?;
        let (_, (_, hash)) = &agreed[0];
        Ok(LedgerRef {
            index: LedgerIndex(index),
            hash: *hash,
        })
    }

    /// What enough servers say. Whoever says otherwise is set aside; if groups that could each be believed contradict each
    /// other, nothing is decided and the wallet is frozen.
    async fn agreed<T: PartialEq>(
        &self,
        said: Vec<(Member, Result<T, Delay>)>,
        what: impl Fn(&T, &T) -> String,
    ) -> Result<Told<T>, Delay> {
        let mut told: Told<T> = Vec::new();
        let mut failed = None;
        for (member, said) in said {
            match said {
                Ok(fact) => told.push((member.source.clone(), (member, fact))),
                Err(delay) => failed = failed.or(Some(delay)),
            }
        }
        let words: Vec<(Source, &T)> = told
            .iter()
            .map(|(s, (_, fact))| (s.clone(), fact))
            .collect();
        match sift(self.fleet.quorum(), &words) {
            Sifted::Agreed { agreeing, against } => {
                for place in &against {
                    let (_, (member, odd)) = &told[*place];
                    let (_, (_, right)) = &told[agreeing[0]];
                    self.fleet.contradicts(member.number, &what(right, odd));
                }
                let mut place = 0;
                told.retain(|_| {
                    place += 1;
                    agreeing.contains(&(place - 1))
                });
                Ok(told)
            }
            Sifted::Split => {
                let (_, (member, one)) = &told[0];
                let other = told.iter().find(|(_, (_, fact))| fact != one);
                let what = other.map_or_else(String::new, |(_, (m, fact))| {
                    format!(
                        "{} against {}: {}",
                        m.link.server(),
                        member.link.server(),
                        what(one, fact)
                    )
                });
                let why = format!("the ledger servers are split, nothing is decided: {what}");
                self.freeze(why).await.map_err(Delay::Store)?;
                Err(Delay::NoProof(NoProof::Contradiction))
            }
            // Who said nothing at all is the better reason, where nobody contradicts anybody.
            Sifted::Open(no_proof @ NoProof::Contradiction) => Err(Delay::NoProof(no_proof)),
            Sifted::Open(no_proof) => Err(failed.unwrap_or(Delay::NoProof(no_proof))),
        }
    }

    fn state_proof(
        &self,
        ledger: LedgerRef,
        told: &Told<Option<AccountFacts>>,
    ) -> Result<(AccountFacts, StateProof), Delay> {
        let mut readings = Vec::new();
        let mut first = None;
        for (source, (_, facts)) in told {
            let facts = facts.ok_or(Delay::NoAccount(ledger.index.0))?;
            first = first.or(Some(facts));
            readings.push(SequenceReading {
                source: source.clone(),
                validated: facts.validated,
                ledger: LedgerRef {
                    index: LedgerIndex(facts.ledger_index),
                    hash: facts.ledger_hash,
                },
                account: self.settings.wallet.account,
                sequence: facts.sequence,
            });
        }
        let facts = first.ok_or(Delay::NoProof(NoProof::NotValidated))?;
        // What was agreed on and what the account was read from must be one ledger.
        if readings.iter().any(|reading| reading.ledger != ledger) {
            return Err(Delay::NoProof(NoProof::Contradiction));
        }
        let proof = self.fleet.quorum().state_proof(&readings);
        Ok((facts, proof.map_err(Delay::NoProof)?))
    }

    /// Each transaction of the wallet, as each of these servers returned it.
    fn presences(
        &self,
        to: Option<LedgerRef>,
        told: &Told<AccountHistory>,
    ) -> Result<Vec<Presence>, Delay> {
        let account = self.settings.wallet.account;
        let (_, (_, first)) = &told[0];
        let mut settled = Vec::new();
        for (place, tx) in first.transactions.iter().enumerate() {
            let hash = to
                .filter(|to| tx.ledger_index == to.index.0)
                .map(|to| to.hash);
            if hash.is_some() && tx.ledger_hash != hash {
                return Err(Delay::NoProof(NoProof::Contradiction));
            }
            if tx.account != account {
                continue;
            }
            let mut readings = Vec::new();
            for (source, (_, history)) in told {
                let tx = history.transactions.get(place);
                let tx = tx.ok_or(Delay::NoProof(NoProof::Contradiction))?;
                readings.push(TransactionReading {
                    source: source.clone(),
                    validated: tx.validated,
                    ledger: LedgerRef {
                        index: LedgerIndex(tx.ledger_index),
                        hash: tx.ledger_hash.ok_or(Delay::NoLedger(tx.ledger_index))?,
                    },
                    tx: ledger_tx(tx)?,
                });
            }
            let presence = self.fleet.quorum().presence(&readings);
            settled.push(presence.map_err(Delay::NoProof)?);
        }
        Ok(settled)
    }

    fn note_history(&self, member: &Member, history: &Result<AccountHistory, AccountTxError>) {
        match history {
            Ok(_) => self.fleet.has_history(member.number, true),
            Err(AccountTxError::RangeNotCovered { .. }) => {
                self.fleet.has_history(member.number, false);
            }
            Err(AccountTxError::Call(_) | AccountTxError::TooLong { .. }) => {}
        }
    }
}

/// The servers that told something at all.
fn who_told<T>(said: &[(Member, Result<T, Delay>)]) -> BTreeSet<usize> {
    let told = said.iter().filter(|(_, said)| said.is_ok());
    told.map(|(member, _)| member.number).collect()
}

/// The servers that told what was agreed on.
fn agreeing<T>(told: &Told<T>) -> BTreeSet<usize> {
    told.iter().map(|(_, (member, _))| member.number).collect()
}

/// Whether a server told what the others did, or nothing.
fn honest(member: usize, told: &BTreeSet<usize>, agreeing: &BTreeSet<usize>) -> bool {
    !told.contains(&member) || agreeing.contains(&member)
}

/// Whether enough of the answers that count say the same.
fn agree<T, U: PartialEq>(
    quorum: paygate_payments::proof::Quorum,
    heard: &[Heard<T>],
    part: impl Fn(&T) -> Option<&U>,
) -> bool {
    let said: Vec<(Source, &U)> = heard
        .iter()
        .filter_map(|heard| Some((heard.member.source.clone(), part(&heard.said)?)))
        .collect();
    !matches!(sift(quorum, &said), Sifted::Open(_))
}

/// The wallet's transactions as one server has them, each with the hash of its ledger.
async fn history_of(
    member: &Member,
    account: AccountId,
    (from, to): (u32, u32),
) -> Result<AccountHistory, AccountTxError> {
    let mut history = member.link.account_tx(account, from, to).await?;
    for tx in &mut history.transactions {
        if tx.ledger_hash.is_none() {
            let header = member.link.ledger_header(tx.ledger_index).await?;
            tx.ledger_hash = header.filter(|h| h.validated).map(|h| h.hash);
        }
    }
    Ok(history)
}

fn differs(agreed: &AccountHistory, odd: &AccountHistory, (from, to): (u32, u32)) -> String {
    let lacks = agreed
        .transactions
        .iter()
        .find(|tx| !odd.transactions.contains(tx));
    let has = odd
        .transactions
        .iter()
        .find(|tx| !agreed.transactions.contains(tx));
    let ledgers = format!("of ledgers {from} to {to}");
    match (lacks, has) {
        (Some(lacks), None) => {
            format!("its account_tx {ledgers} lacks transaction {}", lacks.hash)
        }
        (_, Some(has)) => format!(
            "its account_tx {ledgers} has transaction {} as no other has it",
            has.hash
        ),
        (None, None) => format!("its account_tx {ledgers} has another order"),
    }
}

/// A transaction of the wallet in the core's words.
fn ledger_tx(tx: &LedgerTransaction) -> Result<LedgerTx, Delay> {
    let result =
        FinalResult::parse(&tx.result).ok_or_else(|| Delay::NotFinal(tx.result.clone()))?;
    let plain = tx.flags & !FLAG_FULLY_CANONICAL == 0;
    let body = match (
        tx.transaction_type.as_str(),
        tx.destination,
        tx.plain_amount(),
    ) {
        ("Payment", Some(destination), Some(amount)) if plain && !tx.has_path_fields => {
            LedgerBody::Payment {
                destination,
                destination_tag: tx.destination_tag,
                amount,
                delivered: tx.delivered.money(),
                invoice_id: tx.invoice_id,
            }
        }
        ("TicketCreate", _, _) if !tx.tickets_created.is_empty() => LedgerBody::TicketCreate {
            created: tx.tickets_created.clone(),
        },
        // A no-op of ours is known by its hash, or by the memo that names what it is for.
        ("AccountSet", _, _) if plain => LedgerBody::NoOp,
        _ => LedgerBody::Other,
    };
    let part = |bytes: &Vec<u8>| (!bytes.is_empty()).then(|| bytes.clone());
    let memos = tx.memos.iter().map(|m| Memo {
        memo_type: part(&m.memo_type),
        data: part(&m.data),
        format: part(&m.format),
    });
    Ok(LedgerTx {
        hash: tx.hash,
        account: tx.account,
        slot: tx.slot,
        result,
        fee: tx.fee_charged,
        source_tag: tx.source_tag,
        memos: memos.collect(),
        body,
    })
}
