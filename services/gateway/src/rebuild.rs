//! `paygate rebuild`: tells from the ledger alone which payments were made, when the database is lost.
//!
//! Owns: the walk over the wallet's whole history, the matching by InvoiceID, what is printed. May not: open a store, speak to the signer,
//! send anything; or say of a payment that it was not made: what the ledger does not show yet may still be alive.

mod report;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paygate_payments::intent::{Id, IdError, PaymentKey, Wallet};
use paygate_payments::{LedgerIndex, LedgerRef};
use tokio::sync::oneshot;
use xrpl_tx::{Hash256, NOOP_MEMO_TYPE};

use crate::clock;
use crate::config::{self, Config};
use crate::metrics::{BuildInfo, Metrics};
use crate::xrpl::{
    AccountTxError, At, CallError, ConnectionState, LedgerTransaction, Link, LinkSettings, Tcp,
};

pub use report::{Format, print};

/// How long a server may take to prove that it is on our network.
const CONNECTED_WITHIN: Duration = Duration::from_secs(60);

/// Longest list of payments: a few million lines.
const LIST_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What is asked.
#[derive(Debug)]
pub struct Question {
    /// Payments that the caller knows of.
    pub payments: Vec<PaymentKey>,
    /// First ledger of the walk. `None`: `wallet.anchor`.
    pub from: Option<u32>,
}

/// What the ledger says of one payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was paid.
    Paid(Shown),
    /// A transaction of it failed on the ledger, and none delivered.
    Failed(Shown),
    /// A no-op took its slot: it was given up and is never paid.
    Filled(Shown),
    /// No validated transaction of the walked ledgers carries it.
    NotFound,
}

/// A validated transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its hash.
    pub hash: Hash256,
    /// The ledger that holds it.
    pub ledger: u32,
    /// Its result.
    pub result: String,
    /// Whom it pays.
    pub destination: String,
    /// What it was to pay.
    pub amount: String,
    /// What arrived.
    pub delivered: String,
}

/// What the ledger says.
#[derive(Debug)]
pub struct Answer {
    /// Who said so.
    pub operators: Vec<String>,
    /// First and last ledger of the walk.
    pub walked: (u32, u32),
    /// The first ledger that was to be walked, if the servers' history does not reach back to it.
    pub wanted: Option<u32>,
    /// No transaction that was signed before the walk lives past this ledger.
    pub alive_until: u32,
    /// Each payment that was asked for, in the order of the list.
    pub payments: Vec<(PaymentKey, Fate)>,
    /// Validated payments of the wallet that are on no line of the list.
    pub unlisted: Vec<(Option<Hash256>, Shown)>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The list.
    #[error("cannot read the list of payments: {0}")]
    List(#[from] io::Error),
    /// A line of it.
    #[error("line {line} of the list: {why}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A server.
    #[error("{operator}: {why}")]
    Server {
        /// Who runs it.
        operator: String,
        /// What is wrong.
        why: String,
    },
    /// The servers tell different stories.
    #[error(
        "{first} and {second} show different transactions of the wallet in ledgers {from} to {to}: one of them lies, or is on a fork"
    )]
    Contradiction {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// First ledger.
        from: u32,
        /// Last ledger.
        to: u32,
    },
    /// Too few servers answered.
    #[error(
        "{have} operators told the wallet's history, xrpl.agreement asks for {need}: {troubles}"
    )]
    TooFew {
        /// So many did.
        have: usize,
        /// So many must.
        need: usize,
        /// What the others said.
        troubles: String,
    },
}

/// One server's story.
struct Story {
    operator: String,
    from: u32,
    to: u32,
    transactions: Vec<LedgerTransaction>,
}

/// Reads the list: `client_id<TAB>payment_id` a line, or `payment_id` alone if `client` is given. `-` is standard input.
pub fn read_list(path: &Path, client: Option<&str>) -> Result<Vec<PaymentKey>, RebuildError> {
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().take(LIST_BYTES_MAX).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(path)?
            .take(LIST_BYTES_MAX)
            .read_to_string(&mut text)?;
    }
    let mut keys = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            continue;
        }
        let bad = |why: String| RebuildError::Line { line: at + 1, why };
        let (client, payment) = match (line.split_once('\t'), client) {
            (Some(both), _) => both,
            (None, Some(client)) => (client, line),
            (None, None) => {
                return Err(bad(
                    "it is not `client_id<TAB>payment_id`, and --client is not given".to_owned(),
                ));
            }
        };
        let id = |name: &str, text: &str| {
            Id::new(text).map_err(|error: IdError| bad(format!("{name} {text:?}: {error}")))
        };
        keys.push(PaymentKey {
            client: id("client_id", client)?,
            payment: id("payment_id", payment)?,
        });
    }
    Ok(keys)
}

/// Walks the wallet's history on as many servers as must agree, and answers.
pub async fn rebuild(config: &Config, question: Question) -> Result<Answer, RebuildError> {
    let wallet = Wallet {
        network_id: config.wallet.network_id,
        account: config.wallet.address.0,
        source_tag: config.wallet.source_tag,
    };
    let need = usize::try_from(config.xrpl.agreement).unwrap_or(usize::MAX);
    let from = question.from.unwrap_or(config.wallet.anchor.index);
    let (mut stories, mut troubles): (Vec<Story>, Vec<String>) = (Vec::new(), Vec::new());
    let mut enough = false;
    for server in &config.xrpl.servers {
        if stories
            .iter()
            .any(|story| story.operator == server.operator)
        {
            continue;
        }
        match tell(config, server, &wallet, from).await {
            Ok(story) => stories.push(story),
            Err(error) => troubles.push(error.to_string()),
        }
        enough = server.own && troubles.is_empty() || stories.len() >= need;
        if enough {
            break;
        }
    }
    if !enough {
        return Err(RebuildError::TooFew {
            have: stories.len(),
            need,
            troubles: troubles.join("; "),
        });
    }
    let story = agree(stories)?;
    Ok(answer(config, &wallet, question.payments, from, story))
}

async fn tell(
    config: &Config,
    server: &config::Server,
    wallet: &Wallet,
    from: u32,
) -> Result<Story, RebuildError> {
    let settings = LinkSettings {
        url: server.url.clone(),
        server: server.operator.clone(),
        network_id: config.wallet.network_id,
        anchor: LedgerRef {
            index: LedgerIndex(config.wallet.anchor.index),
            hash: config.wallet.anchor.hash.0,
        },
        connect_timeout: config.xrpl.connect_timeout(),
        request_timeout: config.xrpl.request_timeout(),
        health_check_interval: config.xrpl.health_check_interval(),
    };
    let build = BuildInfo {
        version: env!("CARGO_PKG_VERSION"),
        revision: "unknown",
    };
    let (link, driver) = Link::new(
        settings,
        Arc::new(Tcp),
        Metrics::new(&build, Vec::new()),
        clock::instant(),
    );
    let (stop, stopped) = oneshot::channel::<()>();
    let driving = tokio::spawn(driver.run(async move { drop(stopped.await) }));
    let told = walk(&link, wallet, from).await;
    drop(stop);
    // It has nothing left to do, and its socket is closed with it.
    let _ = driving.await;
    let (from, to, transactions) = told.map_err(|why| RebuildError::Server {
        operator: server.operator.clone(),
        why,
    })?;
    Ok(Story {
        operator: server.operator.clone(),
        from,
        to,
        transactions,
    })
}

/// First and last ledger walked, and what they hold of the wallet.
async fn walk(
    link: &Link,
    wallet: &Wallet,
    wanted: u32,
) -> Result<(u32, u32, Vec<LedgerTransaction>), String> {
    let mut connection = link.connection();
    let connected = connection.wait_for(ConnectionState::is_connected);
    match tokio::time::timeout(CONNECTED_WITHIN, connected).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) => return Err("the connection's task ended".to_owned()),
        Err(_) => return Err(format!("not connected: {:?}", *link.connection().borrow())),
    }
    let text = |error: CallError| error.to_string();
    let newest = link
        .account_info(wallet.account, At::Validated)
        .await
        .map_err(text)?
        .filter(|facts| facts.validated)
        .ok_or("the wallet's account is in no validated ledger")?;
    let last = newest.ledger_index;
    let mut from = wanted.min(last);
    let mut transactions = Vec::new();
    let mut next = from;
    while next <= last {
        match link.history_part(wallet.account, next, last).await {
            Ok(part) => {
                next = part.to.saturating_add(1);
                let made = part.transactions.into_iter();
                transactions.extend(made.filter(|tx| tx.account == wallet.account && tx.validated));
            }
            // Only the beginning may be missing, and that is said; a hole in the middle is no history.
            Err(AccountTxError::RangeNotCovered { .. })
                if transactions.is_empty() && next == from =>
            {
                let earliest = earliest(link, last).await?;
                if earliest <= from {
                    return Err(format!("its history has a hole at ledger {from}"));
                }
                (from, next) = (earliest, earliest);
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok((from, last, transactions))
}

/// The first ledger of the range that reaches up to `last`, by the server's own word, which each page of the walk then proves.
async fn earliest(link: &Link, last: u32) -> Result<u32, String> {
    let info = link
        .server_info()
        .await
        .map_err(|error| error.to_string())?;
    let ranges = info.complete_ledgers.split(',').filter_map(|range| {
        let (first, to) = range.trim().split_once('-').unwrap_or((range, range));
        Some((
            first.trim().parse::<u32>().ok()?,
            to.trim().parse::<u32>().ok()?,
        ))
    });
    ranges
        .into_iter()
        .find(|(first, to)| *first <= last && *to >= last)
        .map(|(first, _)| first)
        .ok_or_else(|| format!("it says that it holds ledgers {:?}", info.complete_ledgers))
}

/// What all of them show. Each must show the same in the ledgers that all have walked.
fn agree(mut stories: Vec<Story>) -> Result<(Vec<String>, Story), RebuildError> {
    let operators: Vec<String> = stories.iter().map(|story| story.operator.clone()).collect();
    let from = stories.iter().map(|story| story.from).max().unwrap_or(0);
    let to = stories.iter().map(|story| story.to).min().unwrap_or(0);
    for story in &mut stories {
        story
            .transactions
            .retain(|tx| (from..=to).contains(&tx.ledger_index));
        (story.from, story.to) = (from, to);
    }
    let mut stories = stories.into_iter();
    let first = stories.next().expect("there is one, or there were too few");
    let same = |a: &LedgerTransaction, b: &LedgerTransaction| {
        (a.hash, a.ledger_index, &a.result, a.delivered)
            == (b.hash, b.ledger_index, &b.result, b.delivered)
    };
    for other in stories {
        let equal = first.transactions.len() == other.transactions.len()
            && first
                .transactions
                .iter()
                .zip(&other.transactions)
                .all(|(a, b)| same(a, b));
        if !equal {
            return Err(RebuildError::Contradiction {
                first: first.operator,
                second: other.operator,
                from,
                to,
            });
        }
    }
    Ok((operators, first))
}

fn answer(
    config: &Config,
    wallet: &Wallet,
    keys: Vec<PaymentKey>,
    wanted: u32,
    (operators, story): (Vec<String>, Story),
) -> Answer {
    let mut by_invoice: BTreeMap<Hash256, Vec<&LedgerTransaction>> = BTreeMap::new();
    let mut by_name: BTreeMap<String, &LedgerTransaction> = BTreeMap::new();
    for tx in &story.transactions {
        if let Some(invoice) = tx.invoice_id.filter(|_| tx.transaction_type == "Payment") {
            by_invoice.entry(invoice).or_default().push(tx);
        }
        for memo in &tx.memos {
            if memo.memo_type == NOOP_MEMO_TYPE.as_bytes() && tx.transaction_type == "AccountSet" {
                by_name.insert(String::from_utf8_lossy(&memo.data).into_owned(), tx);
            }
        }
    }
    let payments: Vec<(PaymentKey, Fate)> = keys
        .into_iter()
        .map(|key| {
            let found = by_invoice
                .remove(&wallet.invoice_id(&key))
                .unwrap_or_default();
            let delivered = found.iter().find(|tx| tx.result == "tesSUCCESS");
            let fate = match (delivered, found.first(), by_name.get(&key.to_string())) {
                (Some(tx), _, _) => Fate::Paid(Shown::of(tx)),
                (None, Some(tx), _) => Fate::Failed(Shown::of(tx)),
                (None, None, Some(tx)) => Fate::Filled(Shown::of(tx)),
                (None, None, None) => Fate::NotFound,
            };
            (key, fate)
        })
        .collect();
    let listed: std::collections::BTreeSet<Hash256> = payments
        .iter()
        .filter_map(|(_, fate)| fate.shown().map(|shown| shown.hash))
        .collect();
    let unlisted = story
        .transactions
        .iter()
        .filter(|tx| tx.transaction_type == "Payment" && !listed.contains(&tx.hash))
        .map(|tx| (tx.invoice_id, Shown::of(tx)))
        .collect();
    Answer {
        operators,
        walked: (story.from, story.to),
        wanted: (story.from > wanted).then_some(wanted),
        alive_until: story.to.saturating_add(config.xrpl.last_ledger_window),
        payments,
        unlisted,
    }
}
