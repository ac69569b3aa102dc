//! What a person and a script are told of a comparison.
//!
//! Owns: the words and the JSON. May not: leave a difference out of the JSON, or call two sides equal that are not.

use serde_json::{Value, json};

use super::super::exit::Exit;
use super::super::out::clean;
use super::compare::{Compared, Difference, Totals};
use paygate_client::xrp_from_drops;

/// Differences that a person is shown; all are counted, and in the JSON.
const SHOWN_MAX: usize = 200;

/// A comparison and what it was of.
pub(super) struct Report {
    pub(super) account: String,
    pub(super) network_id: u32,
    pub(super) ledger_url: String,
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) result: Compared,
}

impl Report {
    pub(super) fn exit(&self) -> Exit {
        if self.is_equal() {
            Exit::Done
        } else {
            Exit::Otherwise
        }
    }

    /// The sums follow from the transactions; that they are equal too is asked all the same.
    fn is_equal(&self) -> bool {
        self.result.differences.is_empty() && self.result.store == self.result.ledger
    }

    pub(super) fn text(&self) -> String {
        let result = &self.result;
        let mut text = format!(
            "wallet {} on network {}, ledgers {} to {}, by {}\n",
            self.account,
            self.network_id,
            self.from,
            self.to,
            clean(&self.ledger_url)
        );
        text.push_str(&format!(
            "  the gateway says  {}\n",
            totals_text(&result.store)
        ));
        text.push_str(&format!(
            "  the ledger says   {}\n",
            totals_text(&result.ledger)
        ));
        text.push_str(&format!(
            "  and the ledger alone: {} no-ops for {} XRP of fees, {} foreign transactions\n",
            result.no_ops,
            fees(result.no_op_fees_drops),
            result.foreign
        ));
        for one in result.differences.iter().take(SHOWN_MAX) {
            let whose = if one.payment_id.is_empty() {
                String::new()
            } else {
                format!(" {}/{}", one.client_id, one.payment_id)
            };
            let line = format!(
                "{}{whose} {} in ledger {}: {}",
                one.kind.name(),
                one.tx_hash,
                one.ledger_index,
                one.what
            );
            text.push_str(&clean(&line));
            text.push('\n');
        }
        let count = result.differences.len();
        if count > SHOWN_MAX {
            text.push_str(&format!(
                "and {} more: see --output json\n",
                count - SHOWN_MAX
            ));
        }
        let end = match (self.is_equal(), count) {
            (true, _) => "no difference\n".to_owned(),
            (false, 0) => "the sums differ\n".to_owned(),
            (false, count) => format!("{count} differences: runbooks/incident-response.md\n"),
        };
        text.push_str(&end);
        text
    }

    pub(super) fn json(&self) -> Value {
        let result = &self.result;
        json!({
            "account": self.account,
            "network_id": self.network_id,
            "ledger_url": self.ledger_url,
            "from_ledger": self.from,
            "to_ledger": self.to,
            "equal": self.is_equal(),
            "differences": result.differences.iter().map(difference).collect::<Vec<_>>(),
            "store": totals(&result.store),
            "ledger": totals(&result.ledger),
            "no_ops": result.no_ops,
            "no_op_fees_drops": result.no_op_fees_drops.to_string(),
            "foreign": result.foreign,
        })
    }
}

fn difference(one: &Difference) -> Value {
    json!({
        "kind": one.kind.name(),
        "client_id": one.client_id,
        "payment_id": one.payment_id,
        "tx_hash": one.tx_hash,
        "ledger_index": one.ledger_index,
        "what": one.what,
    })
}

fn totals(totals: &Totals) -> Value {
    let delivered = totals.delivered.iter();
    json!({
        "paid": totals.paid,
        "delivered": delivered.map(|(asset, value)| json!({ "asset": asset, "value": value.to_string() })).collect::<Vec<_>>(),
        "failed": totals.failed,
        "fees_drops": totals.fees_drops.to_string(),
    })
}

fn totals_text(totals: &Totals) -> String {
    let mut sums: Vec<String> = totals
        .delivered
        .iter()
        .map(|(asset, value)| format!("{value} {asset}"))
        .collect();
    if sums.is_empty() {
        sums.push("0 XRP".to_owned());
    }
    format!(
        "{} paid, {}; {} failed; {} XRP of fees",
        totals.paid,
        sums.join(", "),
        totals.failed,
        fees(totals.fees_drops)
    )
}

fn fees(drops: u128) -> String {
    u64::try_from(drops).map_or_else(|_| format!("{drops} drops, not"), xrp_from_drops)
}
