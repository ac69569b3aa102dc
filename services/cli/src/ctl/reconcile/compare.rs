//! The comparison: what differs, and what both sides come to.
//!
//! Owns: which transaction belongs to which payment, and the name of each difference. May not: ask anybody, or forgive anything.

use std::collections::{BTreeMap, HashMap};

use paygate_client::proto::{Evidence, EvidenceKind, Payment, PaymentState};
use paygate_client::{Outcome, outcome};

use super::super::decimal::Decimal;
use super::super::names;
use super::fields::{fields, said};
use super::transaction::{Amount, Transaction};

/// Types of the memos by which the gateway and its signer name what is no payment.
const OWN_MEMOS: [&str; 2] = ["paygate/noop", "paygate/filler"];
const TICKETS_MEMO: &str = "paygate/tickets";

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    PaidNotOnLedger,
    EndedNotOnLedger,
    OnLedgerNotInStore,
    OnLedgerNotRecorded,
    Differs,
    Foreign,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::PaidNotOnLedger => "PAID_NOT_ON_LEDGER",
            Kind::EndedNotOnLedger => "ENDED_NOT_ON_LEDGER",
            Kind::OnLedgerNotInStore => "ON_LEDGER_NOT_IN_STORE",
            Kind::OnLedgerNotRecorded => "ON_LEDGER_NOT_RECORDED",
            Kind::Differs => "DIFFERS",
            Kind::Foreign => "FOREIGN",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Difference {
    pub(super) kind: Kind,
    pub(super) ledger_index: u32,
    pub(super) tx_hash: String,
    /// Empty: no payment.
    pub(super) client_id: String,
    pub(super) payment_id: String,
    pub(super) what: String,
}

/// What one side comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) paid: u64,
    /// By asset.
    pub(super) delivered: BTreeMap<String, Decimal>,
    /// Payments that cost a fee and delivered nothing.
    pub(super) failed: u64,
    /// Of both.
    pub(super) fees_drops: u128,
}

/// The end of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) differences: Vec<Difference>,
    pub(super) store: Totals,
    pub(super) ledger: Totals,
    /// Only the ledger tells of these.
    pub(super) no_ops: u64,
    pub(super) no_op_fees_drops: u128,
    pub(super) foreign: u64,
}

/// A payment whose transaction is on the ledger, and which the gateway has not decided yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Undecided {
    pub(super) client_id: String,
    pub(super) payment_id: String,
}

struct OnLedger {
    tx: Transaction,
    seen: bool,
}

/// The ledger's side, to which payments are held.
pub(super) struct Comparison {
    from: u32,
    to: u32,
    /// Oldest first.
    transactions: Vec<OnLedger>,
    by_hash: HashMap<String, usize>,
    by_invoice: HashMap<String, Vec<usize>>,
    result: Compared,
}

impl Comparison {
    pub(super) fn new(from: u32, to: u32, transactions: Vec<Transaction>) -> Self {
        let mut comparison = Self {
            from,
            to,
            transactions: Vec::with_capacity(transactions.len()),
            by_hash: HashMap::new(),
            by_invoice: HashMap::new(),
            result: Compared::default(),
        };
        for (at, tx) in transactions.into_iter().enumerate() {
            comparison.by_hash.insert(tx.hash.clone(), at);
            if tx.kind == "Payment" && !tx.invoice_id.is_empty() {
                let same = comparison
                    .by_invoice
                    .entry(tx.invoice_id.clone())
                    .or_default();
                same.push(at);
                comparison
                    .result
                    .ledger
                    .add(tx.delivered.as_ref(), tx.fee_drops);
            }
            comparison.transactions.push(OnLedger { tx, seen: false });
        }
        comparison
    }

    /// Holds a payment to the ledger. `Some`: its transaction is there and it is not decided; hold it again later.
    pub(super) fn payment(&mut self, payment: &Payment) -> Option<Undecided> {
        let of_it = self
            .by_invoice
            .get(&payment.invoice_id)
            .cloned()
            .unwrap_or_default();
        if outcome(payment) == Outcome::Live {
            return (!of_it.is_empty()).then(|| Undecided {
                client_id: payment.client_id.clone(),
                payment_id: payment.payment_id.clone(),
            });
        }
        self.hold(payment);
        self.leftovers(payment, &of_it);
        None
    }

    /// A payment that the gateway has not decided although there was time.
    pub(super) fn still_undecided(&mut self, payment: &Payment) {
        let of_it = self
            .by_invoice
            .get(&payment.invoice_id)
            .cloned()
            .unwrap_or_default();
        self.leftovers(payment, &of_it);
    }

    /// The transaction that the gateway names.
    fn hold(&mut self, payment: &Payment) {
        let is_paid = outcome(payment) == Outcome::Paid;
        let none = Evidence::default();
        let evidence = payment.evidence.as_ref().unwrap_or(&none);
        if evidence.tx_hash.is_empty() {
            if is_paid {
                let what = "the gateway says PAID and names no transaction".to_owned();
                self.differs(Kind::PaidNotOnLedger, payment, evidence, what);
            }
            return;
        }
        let in_period = (self.from..=self.to).contains(&evidence.ledger_index);
        let found = self.by_hash.get(&evidence.tx_hash).copied();
        let is_payment = is_paid
            || payment.state() == PaymentState::Failed && evidence.kind() == EvidenceKind::Presence;
        if in_period && is_payment {
            let delivered = is_paid.then(|| said(evidence.delivered.as_ref())).flatten();
            self.result
                .store
                .add(delivered.as_ref(), evidence.fee_drops);
        }
        match found {
            None if in_period => {
                let kind = if is_paid {
                    Kind::PaidNotOnLedger
                } else {
                    Kind::EndedNotOnLedger
                };
                let what = format!(
                    "the gateway says {} by this transaction, which the ledger does not hold",
                    names::state(payment.state)
                );
                self.differs(kind, payment, evidence, what);
            }
            None => {}
            Some(at) => {
                // What took the slot of a payment that it does not belong to stays to be named as what it is.
                if evidence.kind() != EvidenceKind::Displaced {
                    self.transactions[at].seen = true;
                }
                let tx = self.transactions[at].tx.clone();
                for what in fields(payment, evidence, &tx) {
                    self.differs(Kind::Differs, payment, evidence, what);
                }
            }
        }
    }

    /// Transactions that carry its InvoiceID, other than the one that the gateway names.
    fn leftovers(&mut self, payment: &Payment, of_it: &[usize]) {
        for at in of_it {
            let entry = &mut self.transactions[*at];
            if entry.seen {
                continue;
            }
            entry.seen = true;
            let tx = entry.tx.clone();
            let what = format!(
                "the ledger holds {} of this payment, {}; the gateway says {}",
                tx.result,
                match &tx.delivered {
                    Some(amount) => format!("which delivered {} {}", amount.value, amount.asset),
                    None => "which delivered nothing".to_owned(),
                },
                names::state(payment.state)
            );
            self.on_ledger(Kind::OnLedgerNotRecorded, Some(payment), &tx, what);
        }
    }

    /// What no payment has claimed.
    pub(super) fn finish(mut self) -> Compared {
        for at in 0..self.transactions.len() {
            let OnLedger { tx, seen } = &self.transactions[at];
            let (tx, seen) = (tx.clone(), *seen);
            let has_memo = |name: &str| tx.memo_types.iter().any(|memo| memo == name);
            let is_own = tx.is_no_op && OWN_MEMOS.into_iter().any(has_memo)
                || tx.kind == "TicketCreate" && has_memo(TICKETS_MEMO);
            if is_own {
                self.result.no_ops += 1;
                self.result.no_op_fees_drops += u128::from(tx.fee_drops);
            } else if !seen && tx.kind == "Payment" && !tx.invoice_id.is_empty() {
                let what = format!(
                    "no payment of the gateway has the InvoiceID {} ({} to {})",
                    tx.invoice_id, tx.result, tx.destination
                );
                self.on_ledger(Kind::OnLedgerNotInStore, None, &tx, what);
            } else if !seen {
                self.result.foreign += 1;
                let what = format!(
                    "a {} of the wallet that the gateway did not make ({})",
                    tx.kind, tx.result
                );
                self.on_ledger(Kind::Foreign, None, &tx, what);
            }
        }
        self.result.differences.sort();
        self.result
    }

    fn differs(&mut self, kind: Kind, payment: &Payment, evidence: &Evidence, what: String) {
        self.result.differences.push(Difference {
            kind,
            ledger_index: evidence.ledger_index,
            tx_hash: evidence.tx_hash.clone(),
            client_id: payment.client_id.clone(),
            payment_id: payment.payment_id.clone(),
            what,
        });
    }

    fn on_ledger(&mut self, kind: Kind, payment: Option<&Payment>, tx: &Transaction, what: String) {
        let name = |name: fn(&Payment) -> &String| payment.map(name).cloned().unwrap_or_default();
        self.result.differences.push(Difference {
            kind,
            ledger_index: tx.ledger_index,
            tx_hash: tx.hash.clone(),
            client_id: name(|payment| &payment.client_id),
            payment_id: name(|payment| &payment.payment_id),
            what,
        });
    }
}

impl Totals {
    fn add(&mut self, delivered: Option<&Amount>, fee_drops: u64) {
        self.fees_drops += u128::from(fee_drops);
        let Some(amount) = delivered else {
            self.failed += 1;
            return;
        };
        self.paid += 1;
        let sum = self.delivered.entry(amount.asset.clone()).or_default();
        *sum = sum.plus(&amount.value);
    }
}

#[cfg(test)]
mod tests {
    use paygate_client::proto::{evidence, payment};

    use super::super::fields::xrp;
    use super::*;

    fn tx(number: u32, kind: &str, result: &str) -> Transaction {
        Transaction {
            hash: format!("HASH{number}"),
            ledger_index: number,
            ledger_hash: format!("LEDGER{number}"),
            kind: kind.into(),
            result: result.into(),
            destination: "rTO".into(),
            destination_tag: None,
            invoice_id: format!("INVOICE{number}"),
            fee_drops: 10,
            delivered: (result == "tesSUCCESS").then(|| xrp(5_000_000)),
            memo_types: vec![],
            is_no_op: false,
        }
    }

    fn payment(number: u32, state: PaymentState) -> Payment {
        let is_paid = state == PaymentState::Paid;
        Payment {
            client_id: "shop".into(),
            payment_id: format!("p-{number}"),
            invoice_id: format!("INVOICE{number}"),
            state: state.into(),
            destination: "rTO".into(),
            amount: Some(payment::Amount::XrpDrops(5_000_000)),
            evidence: Some(Evidence {
                kind: EvidenceKind::Presence.into(),
                tx_hash: format!("HASH{number}"),
                ledger_index: number,
                ledger_hash: format!("LEDGER{number}"),
                engine_result: if is_paid { "tesSUCCESS" } else { "tecNO_DST" }.into(),
                fee_drops: 10,
                delivered: is_paid.then_some(evidence::Delivered::DeliveredDrops(5_000_000)),
                ..Evidence::default()
            }),
            ..Payment::default()
        }
    }

    fn compared(transactions: Vec<Transaction>, payments: &[Payment]) -> Compared {
        let mut comparison = Comparison::new(1, 100, transactions);
        for payment in payments {
            if comparison.payment(payment).is_some() {
                comparison.still_undecided(payment);
            }
        }
        comparison.finish()
    }

    fn told(compared: &Compared) -> Vec<(&'static str, &str)> {
        let told = compared.differences.iter();
        told.map(|one| (one.kind.name(), one.what.as_str()))
            .collect()
    }

    #[test]
    fn what_agrees_is_no_difference_and_both_sides_come_to_the_same() {
        let no_op = Transaction {
            is_no_op: true,
            delivered: None,
            invoice_id: String::new(),
            memo_types: vec!["paygate/noop".into()],
            ..tx(3, "AccountSet", "tesSUCCESS")
        };
        let mut cancelled = payment(3, PaymentState::Cancelled);
        cancelled.evidence.as_mut().unwrap().engine_result = "tesSUCCESS".into();
        let all = [
            payment(1, PaymentState::Paid),
            payment(2, PaymentState::Failed),
            cancelled,
            payment(200, PaymentState::Paid),
        ];
        let result = compared(
            vec![
                tx(1, "Payment", "tesSUCCESS"),
                tx(2, "Payment", "tecNO_DST"),
                no_op,
            ],
            &all,
        );
        assert_eq!(
            told(&result),
            [],
            "and what is not of the period is not looked at"
        );
        assert_eq!(result.store, result.ledger);
        assert_eq!(
            (
                result.store.paid,
                result.store.failed,
                result.store.fees_drops
            ),
            (1, 1, 20)
        );
        assert_eq!(result.store.delivered["XRP"].to_string(), "5");
        assert_eq!((result.no_ops, result.no_op_fees_drops), (1, 10));
    }

    #[test]
    fn every_difference_has_its_name() {
        let paid = |number| payment(number, PaymentState::Paid);
        let on_ledger = |number| tx(number, "Payment", "tesSUCCESS");
        type Case = (Vec<Transaction>, Vec<Payment>, &'static str);
        let cases: Vec<Case> = vec![
            (vec![], vec![paid(1)], "PAID_NOT_ON_LEDGER"),
            (
                vec![],
                vec![Payment {
                    evidence: None,
                    ..paid(1)
                }],
                "PAID_NOT_ON_LEDGER",
            ),
            (
                vec![],
                vec![payment(1, PaymentState::Failed)],
                "ENDED_NOT_ON_LEDGER",
            ),
            (vec![on_ledger(1)], vec![], "ON_LEDGER_NOT_IN_STORE"),
            (
                vec![on_ledger(1)],
                vec![Payment {
                    evidence: None,
                    ..payment(1, PaymentState::Expired)
                }],
                "ON_LEDGER_NOT_RECORDED",
            ),
            (
                vec![on_ledger(1)],
                vec![payment(1, PaymentState::AtLarge)],
                "ON_LEDGER_NOT_RECORDED",
            ),
            // Paid twice: one of the two is the payment's, the other one is not.
            (
                vec![
                    on_ledger(1),
                    Transaction {
                        hash: "OTHER".into(),
                        ..on_ledger(1)
                    },
                ],
                vec![paid(1)],
                "ON_LEDGER_NOT_RECORDED",
            ),
            (
                vec![Transaction {
                    invoice_id: String::new(),
                    ..on_ledger(1)
                }],
                vec![],
                "FOREIGN",
            ),
            (
                vec![Transaction {
                    memo_types: vec!["paygate/noop".into()],
                    ..tx(1, "AccountSet", "tesSUCCESS")
                }],
                vec![],
                "FOREIGN",
            ),
        ];
        for (transactions, payments, expected) in cases {
            let result = compared(transactions, &payments);
            let names: Vec<&str> = told(&result).iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [expected], "{result:?}");
        }
    }

    #[test]
    fn a_field_that_differs_is_named_with_both_values() {
        type Change = fn(&mut Transaction);
        let changes: [(&str, Change); 6] = [
            ("amount", |tx| tx.delivered = Some(xrp(4_000_000))),
            ("destination", |tx| tx.destination = "rOTHER".into()),
            ("destination_tag", |tx| tx.destination_tag = Some(0)),
            ("fee_drops", |tx| tx.fee_drops = 11),
            ("ledger_index", |tx| tx.ledger_index = 2),
            ("ledger_hash", |tx| tx.ledger_hash = "FORK".into()),
        ];
        for (field, change) in changes {
            let mut other = tx(1, "Payment", "tesSUCCESS");
            change(&mut other);
            let result = compared(vec![other], &[payment(1, PaymentState::Paid)]);
            assert!(
                told(&result)
                    .iter()
                    .any(|(kind, what)| *kind == "DIFFERS"
                        && what.starts_with(&format!("{field}: "))),
                "{field}: {result:?}"
            );
        }
    }
}
