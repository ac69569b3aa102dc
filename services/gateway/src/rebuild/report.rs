//! What `paygate rebuild` prints: a table for a person, or one JSON object.
//!
//! Owns: words and columns. May not: know more than the answer.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Answer, Fate, Shown};
use crate::xrpl::{LedgerTransaction, PaymentAmount};

/// How it is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a person.
    #[default]
    Table,
    /// For a program: one object.
    Json,
}

/// Prints the answer.
pub fn print(answer: &Answer, format: Format, to: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Table => table(answer, to),
        Format::Json => writeln!(to, "{}", json_of(answer)),
    }
}

fn table(answer: &Answer, to: &mut dyn Write) -> io::Result<()> {
    writeln!(
        to,
        "{:<11} {:<10} {:<64} {:<12} {:>16} {:<34} payment",
        "FATE", "LEDGER", "TRANSACTION", "RESULT", "DELIVERED", "DESTINATION"
    )?;
    for (key, fate) in &answer.payments {
        match fate.shown() {
            Some(shown) => writeln!(
                to,
                "{:<11} {:<10} {:<64} {:<12} {:>16} {:<34} {key}",
                fate.name(),
                shown.ledger,
                shown.hash,
                shown.result,
                shown.delivered,
                shown.destination
            )?,
            None => writeln!(to, "{:<11} {:<139} {key}", fate.name(), "")?,
        }
    }
    for (invoice, shown) in &answer.unlisted {
        let invoice = invoice.map_or_else(|| "none".to_owned(), |invoice| invoice.to_string());
        writeln!(
            to,
            "{:<11} {:<10} {:<64} {:<12} {:>16} {:<34} InvoiceID {invoice}",
            "NOT LISTED",
            shown.ledger,
            shown.hash,
            shown.result,
            shown.delivered,
            shown.destination
        )?;
    }
    for sentence in sentences(answer) {
        writeln!(to, "{sentence}")?;
    }
    Ok(())
}

/// What was walked, and what cannot be known.
fn sentences(answer: &Answer) -> Vec<String> {
    let (from, last) = answer.walked;
    let count = |name: &str| {
        let same = answer
            .payments
            .iter()
            .filter(|(_, fate)| fate.name() == name);
        same.count()
    };
    let mut told = vec![format!(
        "Ledgers {from} to {last}, complete, as told by {}: {} paid, {} failed, {} filled by a no-op, {} not found, {} not on the list.",
        answer.operators.join(" and "),
        count("PAID"),
        count("FAILED"),
        count("FILLED"),
        count("NOT FOUND"),
        answer.unlisted.len()
    )];
    if count("NOT FOUND") > 0 {
        told.push(format!(
            "NOT FOUND is not \"not paid\": a transaction that was signed before may get into a ledger up to {}. Run this again once that one \
             is validated, before anything is paid by other means.",
            answer.alive_until
        ));
    }
    if let Some(wanted) = answer.wanted {
        told.push(format!(
            "Ledgers {wanted} to {} are not held by these servers: what was paid in them cannot be known here. Ask a server with full history.",
            from.saturating_sub(1)
        ));
    }
    told
}

fn json_of(answer: &Answer) -> Value {
    let payments = answer.payments.iter().map(|(key, fate)| {
        json!({
            "client_id": key.client.as_str(),
            "payment_id": key.payment.as_str(),
            "fate": fate.name().replace(' ', "_"),
            "transaction": fate.shown().map(Shown::json),
        })
    });
    let unlisted = answer.unlisted.iter().map(|(invoice, shown)| {
        json!({ "invoice_id": invoice.map(|invoice| invoice.to_string()), "transaction": shown.json() })
    });
    json!({
        "operators": answer.operators,
        "first_ledger": answer.walked.0,
        "last_ledger": answer.walked.1,
        "history_missing_from": answer.wanted,
        "alive_until_ledger": answer.alive_until,
        "payments": payments.collect::<Vec<_>>(),
        "not_listed": unlisted.collect::<Vec<_>>(),
    })
}

impl Fate {
    /// In a word or two.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Paid(_) => "PAID",
            Self::Failed(_) => "FAILED",
            Self::Filled(_) => "FILLED",
            Self::NotFound => "NOT FOUND",
        }
    }

    /// The transaction that says so.
    #[must_use]
    pub fn shown(&self) -> Option<&Shown> {
        match self {
            Self::Paid(shown) | Self::Failed(shown) | Self::Filled(shown) => Some(shown),
            Self::NotFound => None,
        }
    }
}

impl Shown {
    pub(super) fn of(tx: &LedgerTransaction) -> Self {
        let destination = tx.destination.map(|to| to.to_address());
        Self {
            hash: tx.hash,
            ledger: tx.ledger_index,
            result: tx.result.clone(),
            destination: destination.unwrap_or_default(),
            amount: amount(tx.amount),
            delivered: amount(tx.delivered),
        }
    }

    fn json(&self) -> Value {
        json!({
            "hash": self.hash.to_string(),
            "ledger_index": self.ledger,
            "result": self.result,
            "destination": self.destination,
            "amount": self.amount,
            "delivered": self.delivered,
        })
    }
}

fn amount(amount: PaymentAmount) -> String {
    match amount {
        PaymentAmount::Absent => String::new(),
        PaymentAmount::Xrp(drops) => format!("{} drops", drops.get()),
        PaymentAmount::Issued(asset, value) => {
            format!("{value} {}.{}", asset.currency, asset.issuer.to_address())
        }
        PaymentAmount::Other => "unreadable".to_owned(),
    }
}
