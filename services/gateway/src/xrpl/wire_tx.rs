//! Transactions on the wire: entries of `account_tx` and the answer to `tx`, translated into [`LedgerTransaction`].
//!
//! Owns: what metadata says about a transaction. May not: judge it. A transaction that cannot be read completely makes
//! its whole answer malformed, for a history with a hole proves nothing.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use xrpl_tx::{AccountId, Asset, Currency, Drops, IssuedValue, Slot};

use super::facts::{BalanceChange, LedgerTransaction, MemoFacts, PaymentAmount};
use super::link::CallError;
use super::wire::malformed;
use super::wire_values::{DropsText, WireAccount, WireHash, drops_of_digits};

/// Result of `account_tx`, one page.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) account: WireAccount,
    pub(super) ledger_index_min: u32,
    pub(super) ledger_index_max: u32,
    pub(super) marker: Option<serde_json::Value>,
    pub(super) transactions: Vec<Entry>,
}

/// One transaction; also the result of `tx`.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    hash: WireHash,
    ledger_index: Option<u32>,
    ledger_hash: Option<WireHash>,
    #[serde(default)]
    validated: bool,
    tx_json: TxJson,
    meta: Option<Meta>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TxJson {
    account: WireAccount,
    transaction_type: String,
    sequence: u32,
    ticket_sequence: Option<u32>,
    fee: DropsText,
    flags: Option<u32>,
    destination: Option<WireAccount>,
    destination_tag: Option<u32>,
    amount: Option<WireAmount>,
    deliver_max: Option<WireAmount>,
    deliver_min: Option<IgnoredAny>,
    send_max: Option<WireAmount>,
    paths: Option<IgnoredAny>,
    #[serde(rename = "InvoiceID")]
    invoice_id: Option<WireHash>,
    last_ledger_sequence: Option<u32>,
    source_tag: Option<u32>,
    #[serde(rename = "NetworkID")]
    network_id: Option<u32>,
    #[serde(default)]
    memos: Vec<WireMemo>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireMemo {
    memo: MemoHex,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MemoHex {
    #[serde(default)]
    memo_type: String,
    #[serde(default)]
    memo_data: String,
    #[serde(default)]
    memo_format: String,
}

#[derive(Debug, Deserialize)]
struct Meta {
    #[serde(rename = "TransactionResult")]
    result: String,
    #[serde(rename = "TransactionIndex")]
    index: u32,
    delivered_amount: Option<WireAmount>,
    #[serde(rename = "AffectedNodes", default)]
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
enum Node {
    #[serde(rename = "CreatedNode")]
    Created(NodeBody),
    #[serde(rename = "ModifiedNode")]
    Modified(NodeBody),
    #[serde(rename = "DeletedNode")]
    Deleted(NodeBody),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeBody {
    ledger_entry_type: String,
    #[serde(default)]
    new_fields: Fields,
    #[serde(default)]
    final_fields: Fields,
    #[serde(default)]
    previous_fields: Fields,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fields {
    account: Option<String>,
    balance: Option<WireAmount>,
    ticket_sequence: Option<u32>,
}

/// An amount of any asset. XRP and issued currencies are told apart; nothing of ours is ever equal to anything else.
#[derive(Clone, Copy, Debug)]
struct WireAmount(PaymentAmount);

impl<'de> Deserialize<'de> for WireAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<WireAmount, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = WireAmount;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("drops in a string, or an object for another asset")
            }
            fn visit_str<E>(self, text: &str) -> Result<WireAmount, E> {
                let amount = drops_of_digits(text).map_or(PaymentAmount::Other, PaymentAmount::Xrp);
                Ok(WireAmount(amount))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireAmount, A::Error> {
                let mut parts = [None, None, None];
                while let Some(name) = map.next_key::<String>()? {
                    let place = ["currency", "issuer", "value"]
                        .iter()
                        .position(|n| *n == name);
                    let text = map.next_value::<TextOrOther>()?.0;
                    match place {
                        Some(place) => parts[place] = text,
                        // An asset of another kind, which has other parts.
                        None => return skip(map),
                    }
                }
                let [Some(currency), Some(issuer), Some(value)] = parts else {
                    return Ok(WireAmount(PaymentAmount::Other));
                };
                Ok(WireAmount(issued(&currency, &issuer, &value)))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A text, or anything else.
struct TextOrOther(Option<String>);

impl<'de> Deserialize<'de> for TextOrOther {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TextOrOther, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(TextOrOther(value.as_str().map(str::to_owned)))
    }
}

fn skip<'de, A: MapAccess<'de>>(mut map: A) -> Result<WireAmount, A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(WireAmount(PaymentAmount::Other))
}

/// What is below zero, as balances of trust lines may be, or no value for another reason, equals nothing of ours.
fn issued(currency: &str, issuer: &str, value: &str) -> PaymentAmount {
    let asset = currency
        .parse::<Currency>()
        .ok()
        .zip(AccountId::from_address(issuer).ok())
        .map(|(currency, issuer)| Asset { currency, issuer });
    match asset.zip(value.parse::<IssuedValue>().ok()) {
        Some((asset, value)) => PaymentAmount::Issued(asset, value),
        None => PaymentAmount::Other,
    }
}

impl Entry {
    /// Whether the server says that the transaction is in a validated ledger.
    pub(super) fn is_validated(&self) -> bool {
        self.validated
    }

    /// Hash as the server says it.
    pub(super) fn hash(&self) -> xrpl_tx::Hash256 {
        self.hash.0
    }

    /// The facts, with the balance change of `wallet`.
    pub(super) fn into_facts(
        self,
        command: &'static str,
        wallet: AccountId,
    ) -> Result<LedgerTransaction, CallError> {
        let missing = |what| malformed(command, what);
        let meta = self
            .meta
            .ok_or_else(|| missing("a transaction has no metadata"))?;
        let tx = self.tx_json;
        let slot = match (tx.sequence, tx.ticket_sequence) {
            (0, Some(ticket)) => Slot::Ticket(ticket),
            (sequence, None) => Slot::Sequence(sequence),
            (_, Some(_)) => return Err(missing("a transaction has a sequence and a ticket")),
        };
        let amount = |wire: Option<WireAmount>| wire.map_or(PaymentAmount::Absent, |wire| wire.0);
        let delivered = amount(meta.delivered_amount);
        let destination = tx.destination.map(|destination| destination.0);
        let balance_change = balance_change(&meta.nodes, wallet);
        let own = tx.account.0 == wallet;
        let fee_charged = balance_change
            .filter(|_| own)
            .and_then(|change| {
                fee_from_balance(change, &meta.result, delivered, destination, wallet)
            })
            .filter(|charged| *charged <= tx.fee.0)
            .unwrap_or(tx.fee.0);
        Ok(LedgerTransaction {
            hash: self.hash.0,
            ledger_index: self
                .ledger_index
                .ok_or_else(|| missing("a transaction has no ledger_index"))?,
            ledger_hash: self.ledger_hash.map(|hash| hash.0),
            transaction_index: meta.index,
            validated: self.validated,
            account: tx.account.0,
            slot,
            destination,
            destination_tag: tx.destination_tag,
            amount: amount(tx.deliver_max.or(tx.amount)),
            send_max: amount(tx.send_max),
            has_path_fields: tx.deliver_min.is_some() || tx.paths.is_some(),
            invoice_id: tx.invoice_id.map(|id| id.0),
            fee: tx.fee.0,
            fee_charged,
            last_ledger_sequence: tx.last_ledger_sequence,
            source_tag: tx.source_tag,
            network_id: tx.network_id,
            memos: tx
                .memos
                .iter()
                .map(|memo| memo.memo.bytes(command))
                .collect::<Result<_, _>>()?,
            flags: tx.flags.unwrap_or(0),
            delivered,
            tickets_created: tickets_created(&meta.nodes),
            balance_change,
            result: meta.result,
            transaction_type: tx.transaction_type,
        })
    }
}

impl MemoHex {
    fn bytes(&self, command: &'static str) -> Result<MemoFacts, CallError> {
        let part =
            |text: &str| hex::decode(text).map_err(|_| malformed(command, "a memo is not hex"));
        Ok(MemoFacts {
            memo_type: part(&self.memo_type)?,
            data: part(&self.memo_data)?,
            format: part(&self.memo_format)?,
        })
    }
}

/// What left the balance beyond what was delivered to somebody else. The network caps a fee at the balance, so this can
/// be less than the fee offered.
fn fee_from_balance(
    change: BalanceChange,
    result: &str,
    delivered: PaymentAmount,
    destination: Option<AccountId>,
    wallet: AccountId,
) -> Option<Drops> {
    let spent = change.before.checked_sub(change.after)?;
    match delivered {
        PaymentAmount::Xrp(paid) if result == "tesSUCCESS" && destination != Some(wallet) => {
            spent.checked_sub(paid)
        }
        PaymentAmount::Xrp(_)
        | PaymentAmount::Issued(..)
        | PaymentAmount::Other
        | PaymentAmount::Absent => Some(spent),
    }
}

/// Change of the account's XRP balance; `None` if the transaction left it alone.
fn balance_change(nodes: &[Node], account: AccountId) -> Option<BalanceChange> {
    let address = account.to_address();
    let xrp = |balance: Option<WireAmount>| balance.and_then(|balance| balance.0.drops());
    let is_ours = |body: &NodeBody, fields: &Fields| {
        body.ledger_entry_type == "AccountRoot" && fields.account.as_deref() == Some(&address)
    };
    nodes.iter().find_map(|node| match node {
        Node::Created(body) if is_ours(body, &body.new_fields) => Some(BalanceChange {
            before: Drops::ZERO,
            after: xrp(body.new_fields.balance)?,
        }),
        Node::Modified(body) if is_ours(body, &body.final_fields) => Some(BalanceChange {
            before: xrp(body.previous_fields.balance)?,
            after: xrp(body.final_fields.balance)?,
        }),
        Node::Deleted(body) if is_ours(body, &body.final_fields) => Some(BalanceChange {
            before: xrp(body.previous_fields.balance)?,
            after: Drops::ZERO,
        }),
        Node::Created(_) | Node::Modified(_) | Node::Deleted(_) => None,
    })
}

fn tickets_created(nodes: &[Node]) -> Vec<u32> {
    let mut tickets: Vec<u32> = nodes
        .iter()
        .filter_map(|node| match node {
            Node::Created(body) if body.ledger_entry_type == "Ticket" => {
                body.new_fields.ticket_sequence
            }
            Node::Created(_) | Node::Modified(_) | Node::Deleted(_) => None,
        })
        .collect();
    tickets.sort_unstable();
    tickets
}
