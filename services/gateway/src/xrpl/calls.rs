//! Calls: one typed method for each command that the gateway uses.
//!
//! Owns: which parameters are sent and that an answer is about what was asked. May not: retry. Whether to ask again is
//! the caller's decision, as it alone knows what an unanswered request may have done.

use paygate_payments::LedgerRef;
use serde_json::{Map, Value, json};
use tracing::Instrument;
use xrpl_tx::{AccountId, Hash256};

use super::facts::{
    AccountFacts, AccountHistory, Fees, LedgerHeader, ServerInfo, SubmitAnswer, TxLookup,
};
use super::link::{CallError, Link};
use super::wire::{self, malformed};
use super::wire_tx::{Entry, Page};

/// Pages of one account_tx walk. At 200 transactions each that is 100,000: more than the wallet makes in any window
/// that is asked for at once; a walk beyond it is cut into smaller ranges by the caller.
const PAGES_MAX: usize = 500;

/// Transactions asked for in one page; servers cap it at 200 for public ports anyway.
const PAGE_TRANSACTIONS: u32 = 200;

/// A marker is two small numbers, or a short token; more is not sent back to anybody.
const MARKER_BYTES_MAX: usize = 1024;

/// Which ledger to read. The open ledger is not offered: nothing in it is a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest ledger that the server holds validated.
    Validated,
    /// This ledger.
    Index(u32),
    /// This very ledger, named by its hash: the answer speaks of it and of no other.
    Ledger(LedgerRef),
}

/// Why a history could not be had.
#[derive(Debug, thiserror::Error)]
pub enum AccountTxError {
    /// The request failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The server does not hold the whole range, so what it returned proves nothing.
    #[error("the ledger server covers {got:?} of the wanted ledgers {wanted:?}")]
    RangeNotCovered {
        /// First and last ledger asked for.
        wanted: (u32, u32),
        /// First and last ledger that the server used, if it said so.
        got: Option<(u32, u32)>,
    },
    /// The range holds too many transactions for one walk.
    #[error("ledgers {wanted:?} hold more than {PAGES_MAX} pages of transactions")]
    TooLong {
        /// First and last ledger asked for.
        wanted: (u32, u32),
    },
}

impl Link {
    /// State of the server.
    pub async fn server_info(&self) -> Result<ServerInfo, CallError> {
        let answer: wire::ServerState = self.request("server_state", Map::new()).await?;
        answer.into_facts()
    }

    /// What transactions cost right now.
    pub async fn fee(&self) -> Result<Fees, CallError> {
        let answer: wire::FeeAnswer = self.request("fee", Map::new()).await?;
        answer.into_facts()
    }

    /// Hands a signed blob to the server. The answer is provisional, whatever it says; an error of any kind but
    /// `NotConnected` means that the blob may be on the network.
    pub async fn submit(&self, blob_hex: &str) -> Result<SubmitAnswer, CallError> {
        let span = tracing::info_span!(
            "xrpl.submit",
            otel.kind = "client",
            rpc.system.name = "xrpl",
            rpc.method = "submit",
            server.address = %self.settings.server,
            xrpl.engine_result = tracing::field::Empty,
            error.type = tracing::field::Empty,
        );
        let params = params([("tx_blob", json!(blob_hex))]);
        let answer = self
            .request::<wire::SubmitResult>("submit", params)
            .instrument(span.clone())
            .await
            .map(wire::SubmitResult::into_facts);
        match &answer {
            Ok(answer) => span.record("xrpl.engine_result", answer.engine_result.as_str()),
            Err(err) => span.record("error.type", error_type(err)),
        };
        answer
    }

    /// The account in a closed ledger; `None` if there is no such account in it.
    pub async fn account_info(
        &self,
        account: AccountId,
        at: At,
    ) -> Result<Option<AccountFacts>, CallError> {
        let params = params([("account", json!(account.to_address())), at.param()]);
        let facts = match self
            .request::<wire::AccountInfo>("account_info", params)
            .await
        {
            Ok(answer) => answer.into_facts(account)?,
            Err(CallError::Server { error, .. }) if error == "actNotFound" => return Ok(None),
            Err(err) => return Err(err),
        };
        match at {
            At::Index(index) if facts.ledger_index != index => {
                Err(malformed("account_info", "it is about another ledger"))
            }
            At::Ledger(ledger)
                if (facts.ledger_index, facts.ledger_hash) != (ledger.index.0, ledger.hash) =>
            {
                Err(malformed("account_info", "it is about another ledger"))
            }
            At::Ledger(_) if !facts.validated => {
                Err(malformed("account_info", "its ledger is not validated"))
            }
            At::Ledger(_) | At::Index(_) | At::Validated => Ok(Some(facts)),
        }
    }

    /// The account's Sequence in the open ledger, for a deliberate defect alone.
    #[cfg(paygate_mutants)]
    pub async fn open_sequence(&self, account: AccountId) -> Option<u32> {
        let params = params([
            ("account", json!(account.to_address())),
            ("ledger_index", json!("current")),
        ]);
        let answer: Value = self.request("account_info", params).await.ok()?;
        let sequence = answer.pointer("/account_data/Sequence")?.as_u64()?;
        u32::try_from(sequence).ok()
    }

    /// Every transaction of the account in the ledgers `from..=to`, oldest first. Succeeds only if the server said on
    /// every page that it used the whole range.
    pub async fn account_tx(
        &self,
        account: AccountId,
        from: u32,
        to: u32,
    ) -> Result<AccountHistory, AccountTxError> {
        let wanted = (from, to);
        let mut history = AccountHistory {
            from,
            to,
            transactions: Vec::new(),
        };
        let mut marker: Option<Value> = None;
        for _ in 0..PAGES_MAX {
            let page = self
                .account_tx_page(account, wanted, marker.as_ref())
                .await?;
            if (page.ledger_index_min > from || page.ledger_index_max < to)
                && !xrpl_tx::mutant!("range-not-compared")
            {
                let got = Some((page.ledger_index_min, page.ledger_index_max));
                return Err(AccountTxError::RangeNotCovered { wanted, got });
            }
            take_page(&mut history, page.transactions, account)?;
            match page.marker {
                None => return Ok(history),
                Some(next) if Some(&next) == marker.as_ref() => {
                    return Err(malformed("account_tx", "its pages go round in a circle").into());
                }
                Some(next) if next.to_string().len() > MARKER_BYTES_MAX => {
                    return Err(malformed("account_tx", "its marker is too long").into());
                }
                Some(next) => marker = Some(next),
            }
        }
        Err(AccountTxError::TooLong { wanted })
    }

    async fn account_tx_page(
        &self,
        account: AccountId,
        (from, to): (u32, u32),
        marker: Option<&Value>,
    ) -> Result<Page, AccountTxError> {
        let mut params = params([
            ("account", json!(account.to_address())),
            ("ledger_index_min", json!(from)),
            ("ledger_index_max", json!(to)),
            ("forward", json!(true)),
            ("limit", json!(PAGE_TRANSACTIONS)),
        ]);
        if let Some(marker) = marker {
            params.insert("marker".to_owned(), marker.clone());
        }
        let page = match self.request::<Page>("account_tx", params).await {
            Ok(page) => page,
            // Version 2 refuses a range beyond its own instead of narrowing it.
            Err(CallError::Server { error, .. })
                if matches!(error.as_str(), "lgrIdxMalformed" | "lgrIdxsInvalid") =>
            {
                return Err(AccountTxError::RangeNotCovered {
                    wanted: (from, to),
                    got: None,
                });
            }
            Err(err) => return Err(err.into()),
        };
        if page.account.0 != account {
            return Err(malformed("account_tx", "it is about another account").into());
        }
        Ok(page)
    }

    /// Header of a ledger; `None` if the server does not hold it.
    pub async fn ledger_header(&self, index: u32) -> Result<Option<LedgerHeader>, CallError> {
        let params = params([("ledger_index", json!(index))]);
        let header = match self.request::<wire::LedgerAnswer>("ledger", params).await {
            Ok(answer) => answer.into_facts()?,
            Err(CallError::Server { error, .. }) if error == "lgrNotFound" => return Ok(None),
            Err(err) => return Err(err),
        };
        if header.index != index {
            return Err(malformed("ledger", "it is about another ledger"));
        }
        Ok(Some(header))
    }

    /// Looks a transaction up by hash. Only `Validated` says anything; `wallet` is whose balance change is read.
    pub async fn tx(&self, hash: Hash256, wallet: AccountId) -> Result<TxLookup, CallError> {
        let params = params([("transaction", json!(hash.to_string()))]);
        let entry = match self.request::<Entry>("tx", params).await {
            Ok(entry) => entry,
            Err(CallError::Server { error, .. }) if error == "txnNotFound" => {
                return Ok(TxLookup::NotFound);
            }
            Err(err) => return Err(err),
        };
        if entry.hash() != hash {
            return Err(malformed("tx", "it is about another transaction"));
        }
        if !entry.is_validated() {
            return Ok(TxLookup::Unvalidated);
        }
        entry
            .into_facts("tx", wallet)
            .map(|tx| TxLookup::Validated(Box::new(tx)))
    }
}

impl At {
    fn param(self) -> (&'static str, Value) {
        match self {
            At::Validated => ("ledger_index", json!("validated")),
            At::Index(index) => ("ledger_index", json!(index)),
            At::Ledger(ledger) => ("ledger_hash", json!(ledger.hash.to_string())),
        }
    }
}

/// Adds a page, checking that it goes on where the history is and stays in the range.
fn take_page(
    history: &mut AccountHistory,
    entries: Vec<Entry>,
    account: AccountId,
) -> Result<(), CallError> {
    for entry in entries {
        let tx = entry.into_facts("account_tx", account)?;
        let last = history
            .transactions
            .last()
            .map_or((history.from, None), |last| {
                (last.ledger_index, Some(last.transaction_index))
            });
        let place = (tx.ledger_index, Some(tx.transaction_index));
        if tx.ledger_index > history.to || place.0 < history.from || place <= last {
            return Err(malformed(
                "account_tx",
                "its transactions are out of order or range",
            ));
        }
        history.transactions.push(tx);
    }
    Ok(())
}

fn params<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn error_type(err: &CallError) -> &'static str {
    match err {
        CallError::NotConnected { .. } => "not_connected",
        CallError::Unanswered { .. } => "unanswered",
        CallError::Server { .. } => "server",
        CallError::Malformed { .. } => "malformed",
    }
}
