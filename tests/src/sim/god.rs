//! Questions that only somebody who sees everything can answer, for who checks a gateway from above.
//!
//! Owns: the search for payments, for who used a slot, and for what somebody holds. May not: be reachable over the network.

use serde_json::{Map, Value};

use super::blob::{Kind, Tx};
use super::lines::{End, LineKey};
use super::money::{Currency, Money};
use super::types::{AccountId, Hash};
use super::world::{Included, World};

/// A payment that a validated ledger holds, as seen by who checks a gateway from above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPayment {
    /// The transaction.
    pub hash: Hash,
    /// The ledger that holds it.
    pub ledger_index: u32,
    /// Who paid.
    pub account: String,
    /// The slot it used.
    pub sequence: u32,
    /// Who was to receive.
    pub destination: String,
    /// `tesSUCCESS` or a `tec`.
    pub result: &'static str,
    /// Drops that arrived.
    pub delivered: Option<u64>,
    /// What arrived of an issued currency.
    pub delivered_issued: Option<Holding>,
}

/// An amount of an issued currency, as servers print it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Three characters or 40 hexadecimal digits.
    pub currency: String,
    /// Who issued it.
    pub issuer: String,
    /// A decimal.
    pub value: String,
}

/// A ledger as it is, with all that one account did in it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenLedger {
    /// Its index.
    pub index: u32,
    /// Its hash.
    pub hash: Hash,
    /// The account's Sequence in it.
    pub sequence: u32,
    /// The account's drops in it.
    pub balance: u64,
    /// The account's own transactions in it, in their order.
    pub txs: Vec<SeenTx>,
}

/// A transaction in a closed ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenTx {
    /// Its hash.
    pub hash: Hash,
    /// Its Sequence.
    pub sequence: u32,
    /// Its fields as printed.
    pub json: Map<String, Value>,
    /// `tesSUCCESS` or a `tec`.
    pub result: &'static str,
    /// Drops that arrived.
    pub delivered: u64,
    /// Drops that it cost.
    pub fee: u64,
}

impl World {
    /// A closed ledger, validated or not.
    pub(super) fn seen_ledger(&self, index: u32, address: &str) -> Option<SeenLedger> {
        let id = AccountId::from_address(address)?;
        let ledger = self.ledger(index)?;
        let account = self.accounts.get_at(&id, index);
        let own = ledger
            .txs
            .iter()
            .filter(|included| included.tx.account == id);
        let txs = own.map(|included| {
            let delivered = included.delivered.and_then(|money| money.drops());
            SeenTx {
                hash: included.tx.hash,
                sequence: included.tx.sequence,
                json: included.tx.json.clone(),
                result: included.ter.name(),
                delivered: delivered
                    .and_then(|drops| u64::try_from(drops).ok())
                    .unwrap_or(0),
                fee: included.burned,
            }
        });
        Some(SeenLedger {
            index: ledger.index,
            hash: ledger.hash,
            sequence: account.map_or(0, |account| account.sequence),
            balance: account.map_or(0, |account| account.balance),
            txs: txs.collect(),
        })
    }

    /// All validated payments that carry this InvoiceID, `tec` included.
    pub(super) fn payments_by_invoice(&self, invoice_id: &str) -> Vec<SeenPayment> {
        let carries = |tx: &Tx| {
            tx.json
                .get("InvoiceID")
                .and_then(Value::as_str)
                .is_some_and(|id| id.eq_ignore_ascii_case(invoice_id))
        };
        self.included()
            .filter(|(_, included)| carries(&included.tx))
            .filter_map(seen_payment)
            .collect()
    }

    /// All validated payments from this account, `tec` included, oldest first.
    pub(super) fn payments_from(&self, address: &str) -> Vec<SeenPayment> {
        self.included()
            .filter_map(seen_payment)
            .filter(|payment| payment.account == address)
            .collect()
    }

    /// The validated transaction that used this Sequence of the account.
    pub(super) fn slot_consumer(&self, account: &AccountId, sequence: u32) -> Option<(Hash, u32)> {
        self.positions(account)
            .iter()
            .find_map(|(index, position)| {
                let included = self.ledger(*index)?.txs.get(*position)?;
                let uses = included.tx.account == *account
                    && included.tx.ticket.is_none()
                    && included.tx.sequence == sequence;
                uses.then_some((included.tx.hash, *index))
            })
    }

    /// What the holder has of this issuer's money; negative what it owes. None without a line between them.
    pub(super) fn held(&self, holder: &str, issuer: &str, currency: &str) -> Option<String> {
        let holder = AccountId::from_address(holder)?;
        let issuer = AccountId::from_address(issuer)?;
        let key = LineKey::new(holder, issuer, Currency::parse(currency)?);
        let line = self.accounts.line(&key)?;
        Some(line.held_by(End::of(&holder, &issuer)).to_string())
    }

    fn included(&self) -> impl Iterator<Item = (u32, &Included)> {
        self.ledgers()
            .flat_map(|ledger| ledger.txs.iter().map(|included| (ledger.index, included)))
    }
}

fn seen_payment((ledger_index, included): (u32, &Included)) -> Option<SeenPayment> {
    let Kind::Payment { destination, .. } = included.tx.kind else {
        return None;
    };
    let delivered_drops = included.delivered.and_then(|money| money.drops());
    let delivered_drops = delivered_drops.and_then(|drops| u64::try_from(drops).ok());
    let delivered_issued = match included.delivered {
        Some(Money::Issued(value, asset)) => Some(Holding {
            currency: asset.currency.to_string(),
            issuer: asset.issuer.to_string(),
            value: value.to_string(),
        }),
        _ => None,
    };
    Some(SeenPayment {
        hash: included.tx.hash,
        ledger_index,
        account: included.tx.account.to_string(),
        sequence: included.tx.sequence,
        destination: destination.to_string(),
        result: included.ter.name(),
        delivered: delivered_drops,
        delivered_issued,
    })
}
