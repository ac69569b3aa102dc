//! What the gateway says of payments, compared with the ledger itself.
//!
//! Owns: the order: read the ledger, then ask the gateway, then look again at what it had not decided yet. May not: take anything but
//! validated transactions for the ledger, believe the gateway about what the ledger holds, or change anything.

mod compare;
mod fields;
mod ledger;
mod report;
mod transaction;

use std::time::{Duration, SystemTime};

use clap::Args;
use paygate_client::CallError;
use paygate_client::proto::ListPaymentsRequest;
use tokio::time::{Instant, sleep};

use self::compare::{Comparison, Undecided};
use self::ledger::{Ledger, LedgerError};
use self::report::Report;
use super::exit::Exit;
use super::failure::Asked;
use super::out::{clean, note};
use super::period::{Bound, Period, PeriodError, bound, page};
use super::run::Context;

const HELP: &str = "\
Examples:
  paygatectl reconcile --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --ledger-url wss://xrplcluster.com
  paygatectl reconcile --from 93412345 --ledger-url ws://127.0.0.1:6006
  paygatectl --output json reconcile --from 24h --ledger-url ws://127.0.0.1:6006 | jq .differences

Reads every validated transaction of the wallet in the period from a ledger's server of your choice (one that the gateway does not use says
most), then all payments from the gateway, and matches them by transaction hash and InvoiceID. Needs the scope operate: all clients' payments.
--from and --to belong to the period if they are ledgers; as times they are when a ledger closed, and --to does not belong to it. The
server must hold the whole period.

Every difference is named:
  PAID_NOT_ON_LEDGER       the gateway says PAID by a transaction that the ledger does not hold
  ENDED_NOT_ON_LEDGER      the gateway names a transaction that ended a payment unpaid, and the ledger does not hold it
  ON_LEDGER_NOT_IN_STORE   the ledger holds a payment whose InvoiceID no payment of the gateway has
  ON_LEDGER_NOT_RECORDED   the ledger holds a transaction of a payment, and the gateway's state does not come from it
  DIFFERS                  both have it, and say different things: amount, destination, fee, ledger, result
  FOREIGN                  a transaction of the wallet that is neither a payment nor a no-op of the gateway

Ends with 0 only if there is no difference, with 1 if there is one, with 2 if the two could not be compared.";

/// How long the gateway may take to reconcile what the ledger holds already.
const DECIDED_WITHIN: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Reconcile {
    /// Where the period begins: a ledger, a time (2026-11-01T00:00:00Z), or a span (24h ago).
    #[arg(long, value_name = "LEDGER_OR_TIME", value_parser = bound)]
    from: Bound,
    /// Where it ends. [default: the newest ledger that the server and the gateway hold validated]
    #[arg(long, value_name = "LEDGER_OR_TIME", value_parser = bound)]
    to: Option<Bound>,
    /// A ledger's server: ws://HOST:PORT or wss://HOST.
    #[arg(long, value_name = "URL", env = "PAYGATE_LEDGER_URL")]
    ledger_url: String,
}

/// Why the two could not be compared.
#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error("{0}")]
    Period(#[from] PeriodError),
    #[error("{0}")]
    Call(#[from] CallError),
    #[error("{0}")]
    Ledger(#[from] LedgerError),
}

/// Compares, and names every difference.
pub(crate) async fn reconcile(context: &Context, asked: Reconcile) -> Exit {
    match compare(context, &asked).await {
        Ok(report) => context.show(report.exit(), || report.text(), || report.json()),
        Err(ReconcileError::Call(error)) => context.failed(&error, Asked::Read),
        Err(error) => {
            note(format_args!(
                "paygatectl: {}; nothing was compared",
                clean(&error.to_string())
            ));
            match error {
                ReconcileError::Period(_) => Exit::Usage,
                _ => Exit::Undecided,
            }
        }
    }
}

async fn compare(context: &Context, asked: &Reconcile) -> Result<Report, ReconcileError> {
    let client = &context.client;
    let period = Period::of(Some(asked.from), asked.to, SystemTime::now())?;
    // Who may not ask this would see a part of the payments only, and all others as differences.
    let status = client.status().await?;
    let ledger_status = status.ledger.unwrap_or_default();
    let mut ledger = Ledger::connect(&asked.ledger_url, ledger_status.network_id).await?;
    let (from, to) = ledger
        .resolve(period, ledger_status.validated_ledger_index)
        .await?;
    // First the ledger: what it holds of the period stays as it is, whatever the gateway learns meanwhile.
    let transactions = ledger.transactions(&status.account, from, to).await?;
    let mut comparison = Comparison::new(from, to, transactions);
    let mut undecided = Vec::new();
    let mut request = ListPaymentsRequest::default();
    loop {
        let page = page(client, request.clone()).await?;
        undecided.extend(
            page.payments
                .iter()
                .filter_map(|payment| comparison.payment(payment)),
        );
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    settle(context, &mut comparison, undecided).await?;
    Ok(Report {
        account: status.account,
        network_id: ledger_status.network_id,
        ledger_url: asked.ledger_url.clone(),
        from,
        to,
        result: comparison.finish(),
    })
}

/// The gateway may be a ledger behind. What it has not decided in the end is a difference.
async fn settle(
    context: &Context,
    comparison: &mut Comparison,
    undecided: Vec<Undecided>,
) -> Result<(), CallError> {
    let deadline = Instant::now() + DECIDED_WITHIN;
    for waiting in undecided {
        loop {
            let payment = context
                .client
                .get_payment(&waiting.payment_id, &waiting.client_id)
                .await?;
            if comparison.payment(&payment).is_none() {
                break;
            }
            if Instant::now() >= deadline {
                comparison.still_undecided(&payment);
                break;
            }
            sleep(POLL).await;
        }
    }
    Ok(())
}
