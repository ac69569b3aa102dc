//! What the ledger says happened, asked over JSON-RPC as an auditor would.
//!
//! Owns: reading validated history. May not: use anything that the gateway or the signer believes.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Value, json};

use super::http;

/// Transactions on a page of history.
const PAGE: u32 = 400;

/// Why the ledger's server told nothing.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It does not answer.
    #[error("the ledger's server does not answer: {0}")]
    Io(#[from] io::Error),
    /// It refuses, or answers something else than expected.
    #[error("the ledger's server answers {command} with {answer}")]
    Answer {
        /// What it was asked.
        command: &'static str,
        /// What it said.
        answer: String,
    },
}

/// The ledger's server, by its JSON-RPC address.
#[derive(Clone, Debug)]
pub struct Ledger {
    address: String,
}

/// A validated transaction of an account.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `Payment`, `AccountSet`.
    pub kind: String,
    /// Its hash.
    pub hash: String,
    /// Who made it.
    pub account: String,
    /// Whom it pays, if anybody.
    pub destination: String,
    /// Its result.
    pub result: String,
    /// The InvoiceID, if it has one.
    pub invoice_id: Option<String>,
    /// The slot.
    pub sequence: u64,
    /// The fee in drops.
    pub fee_drops: u64,
    /// What arrived, in drops.
    pub delivered_drops: u64,
}

impl Ledger {
    /// A server at `http://127.0.0.1:PORT`.
    pub fn at(url: &str) -> Ledger {
        Ledger {
            address: url
                .trim_start_matches("http://")
                .trim_end_matches('/')
                .to_owned(),
        }
    }

    /// Any command.
    pub async fn ask(&self, command: &'static str, params: Value) -> Result<Value, LedgerError> {
        let body = json!({ "method": command, "params": [params] }).to_string();
        let answer = http::post(&self.address, &body).await?;
        let bad = || LedgerError::Answer {
            command,
            answer: answer.body.clone(),
        };
        let parsed: Value = serde_json::from_str(&answer.body).map_err(|_| bad())?;
        let result = parsed.get("result").ok_or_else(bad)?;
        if result["status"] == "success" {
            Ok(result.clone())
        } else {
            Err(bad())
        }
    }

    /// Closes the open ledger now.
    pub async fn close_ledger(&self) -> Result<(), LedgerError> {
        self.ask("ledger_accept", json!({})).await.map(|_| ())
    }

    /// Index of the last validated ledger.
    pub async fn validated_index(&self) -> Result<u64, LedgerError> {
        let ledger = self
            .ask("ledger", json!({ "ledger_index": "validated" }))
            .await?;
        number(&ledger["ledger_index"]).ok_or_else(|| LedgerError::Answer {
            command: "ledger",
            answer: ledger.to_string(),
        })
    }

    /// Index and hash of the last validated ledger.
    pub async fn validated(&self) -> Result<(u64, String), LedgerError> {
        let ledger = self
            .ask("ledger", json!({ "ledger_index": "validated" }))
            .await?;
        let hash = ledger["ledger_hash"].as_str().map(str::to_owned);
        number(&ledger["ledger_index"])
            .zip(hash)
            .ok_or_else(|| LedgerError::Answer {
                command: "ledger",
                answer: ledger.to_string(),
            })
    }

    /// Balance in drops and Sequence in the last validated ledger; None if there is no such account.
    pub async fn account(&self, address: &str) -> Result<Option<(u64, u64)>, LedgerError> {
        let params = json!({ "account": address, "ledger_index": "validated" });
        match self.ask("account_info", params).await {
            Ok(answer) => {
                let data = &answer["account_data"];
                Ok(number(&data["Balance"]).zip(number(&data["Sequence"])))
            }
            Err(LedgerError::Answer { answer, .. }) if answer.contains("actNotFound") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the holder has of this money in the last validated ledger, as servers print it; None without a line.
    pub async fn held(
        &self,
        holder: &str,
        issuer: &str,
        currency: &str,
    ) -> Result<Option<String>, LedgerError> {
        let params = json!({ "account": holder, "peer": issuer, "ledger_index": "validated" });
        let answer = self.ask("account_lines", params).await?;
        let lines = answer["lines"].as_array().into_iter().flatten();
        let line = lines.into_iter().find(|line| line["currency"] == currency);
        Ok(line.and_then(|line| Some(line["balance"].as_str()?.to_owned())))
    }

    /// The account's whole validated history, oldest first.
    pub async fn history(&self, address: &str) -> Result<Vec<Entry>, LedgerError> {
        let mut entries = Vec::new();
        let mut marker = Value::Null;
        loop {
            let mut params = json!({ "account": address, "ledger_index_min": -1, "ledger_index_max": -1, "forward": true, "limit": PAGE });
            if !marker.is_null() {
                params["marker"] = marker;
            }
            let page = self.ask("account_tx", params).await?;
            let bad = || LedgerError::Answer {
                command: "account_tx",
                answer: page.to_string(),
            };
            for entry in page["transactions"].as_array().ok_or_else(bad)? {
                if entry["validated"] != true {
                    return Err(bad());
                }
                entries.push(read_entry(entry).ok_or_else(bad)?);
            }
            marker = page["marker"].clone();
            if marker.is_null() {
                return Ok(entries);
            }
        }
    }

    /// How often each InvoiceID was paid: payments of the account that delivered.
    pub async fn paid_invoices(&self, address: &str) -> Result<BTreeMap<String, u32>, LedgerError> {
        let mut counts = BTreeMap::new();
        for entry in self.history(address).await? {
            if entry.account == address && entry.kind == "Payment" && entry.result == "tesSUCCESS" {
                *counts
                    .entry(entry.invoice_id.unwrap_or_default())
                    .or_default() += 1;
            }
        }
        Ok(counts)
    }
}

fn read_entry(entry: &Value) -> Option<Entry> {
    let tx = &entry["tx"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Entry {
        kind: text(&tx["TransactionType"])?,
        hash: text(&tx["hash"])?,
        account: text(&tx["Account"])?,
        destination: text(&tx["Destination"]).unwrap_or_default(),
        result: text(&entry["meta"]["TransactionResult"])?,
        invoice_id: text(&tx["InvoiceID"]),
        sequence: number(&tx["Sequence"])?,
        fee_drops: number(&tx["Fee"])?,
        delivered_drops: number(&entry["meta"]["delivered_amount"]).unwrap_or(0),
    })
}

/// Numbers come as numbers or, amounts, as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
