//! The sentences of the timeline: what a fact means, for a tired person.
//!
//! Owns: the words. May not: be parsed by anybody; scripts read the particulars beside them.

use paygate_payments::money::Money;
use paygate_payments::payment::{
    CancelCause, EndProof, Ended, HoldCause, Payment, Settled, State, VersionKind,
};
use paygate_payments::step::Fact;
use paygate_payments::terms::Terms;
use paygate_proto::v1::TimelineStage;
use xrpl_tx::Slot;

/// More, under the keys that the contract lists.
pub(super) type Details = Vec<(&'static str, String)>;

/// A sentence with its kind and particulars.
pub(super) struct Line {
    pub(super) stage: TimelineStage,
    pub(super) summary: String,
    pub(super) details: Details,
}

/// What a fact says, once the payment is `after`. `None`: another line of the same step says it already.
pub(super) fn line(fact: &Fact, after: &Payment) -> Option<Line> {
    let slot = after.state.slot();
    Some(match fact {
        Fact::Approved => simple(TimelineStage::Approved, "Approved by another identity."),
        Fact::Bound(binding) => bound(binding.slot, after),
        // It was told together with the binding.
        Fact::VersionAdded {
            number: 0,
            kind: VersionKind::Payment,
            ..
        } => return None,
        Fact::VersionAdded {
            number,
            kind,
            terms,
        } => version_added(*number, *kind, *terms, slot?),
        Fact::Signed { number, hash } => Line {
            stage: TimelineStage::Signed,
            summary: format!(
                "Version {} is signed and stored: transaction {hash}.",
                number + 1
            ),
            details: vec![("tx_hash", hash.to_string())],
        },
        Fact::CancelRequested(cause) => simple(
            TimelineStage::CancelRequested,
            match (cause, slot) {
                (CancelCause::Requested, Some(_)) => {
                    "The caller asked to cancel. The ledger decides: a no-op now competes for the payment's slot."
                }
                (CancelCause::Requested, None) => {
                    "The caller asked to cancel in a quarantine. It is bound no more, and cancelled when the quarantine ends."
                }
                (CancelCause::SignerDenied, _) => {
                    "The signer denied it for a whole window. It is cancelled: a no-op now competes for its slot."
                }
                (CancelCause::Forgotten, _) => {
                    "A cancel that no row knew of is to be carried out: a no-op competes for its slot."
                }
                (CancelCause::DestinationCannotReceive, _) => {
                    "Its destination cannot receive it. It is bound no more."
                }
            },
        ),
        Fact::ProvenAbsent { ledger } => Line {
            stage: TimelineStage::ProvenAbsent,
            summary: format!(
                "Ledger {} is validated and the slot is unused in it: every version so far is dead, nothing was paid.",
                ledger.index
            ),
            details: vec![
                ("ledger_index", ledger.index.to_string()),
                ("ledger_hash", ledger.hash.to_string()),
            ],
        },
        Fact::Held(cause) => held(*cause, slot?),
        Fact::Ended(_) => ended(after)?,
    })
}

fn simple(stage: TimelineStage, summary: &str) -> Line {
    Line {
        stage,
        summary: summary.to_owned(),
        details: Vec::new(),
    }
}

/// Particulars of a version.
pub(super) fn version_details(slot: Slot, terms: Terms) -> Details {
    vec![
        ("slot", slot.to_string()),
        ("fee_drops", terms.fee.get().to_string()),
        ("last_ledger_sequence", terms.last_ledger.to_string()),
    ]
}

fn bound(slot: Slot, after: &Payment) -> Line {
    let State::AtLarge(at_large) = &after.state else {
        return simple(TimelineStage::Bound, &format!("Bound to {slot}."));
    };
    let (_, first) = at_large.versions.latest();
    let terms = Terms {
        fee: first.fee,
        last_ledger: first.last_ledger,
    };
    Line {
        stage: TimelineStage::Bound,
        summary: format!(
            "Bound to {slot} at validated ledger {}. Version 1: fee {}, dead after ledger {}.",
            at_large.binding.since, terms.fee, terms.last_ledger
        ),
        details: version_details(slot, terms),
    }
}

fn version_added(number: usize, kind: VersionKind, terms: Terms, slot: Slot) -> Line {
    let what = match kind {
        VersionKind::Payment => "the same payment again, equal in content",
        VersionKind::NoOp => "a no-op that takes the slot instead of the payment",
    };
    Line {
        stage: TimelineStage::VersionAdded,
        summary: format!(
            "Version {} for {slot}: {what}, fee {}, dead after ledger {}.",
            number + 1,
            terms.fee,
            terms.last_ledger
        ),
        details: version_details(slot, terms),
    }
}

fn held(cause: HoldCause, slot: Slot) -> Line {
    let mut details = vec![("slot", slot.to_string())];
    let summary = match cause {
        HoldCause::SlotTaken { by } => {
            details.push(("tx_hash", by.to_string()));
            format!(
                "ON HOLD, do not pay elsewhere: transaction {by}, which is not ours, used {slot}. Sending is frozen."
            )
        }
        HoldCause::JumpedOver { by } => {
            details.push(("tx_hash", by.to_string()));
            format!(
                "ON HOLD, do not pay elsewhere: transaction {by}, which is not ours, made Tickets and jumped over {slot}. Sending is frozen."
            )
        }
        HoldCause::ConsumerUnknown => format!(
            "ON HOLD, do not pay elsewhere: {slot} is used and no server shows by what. Sending is frozen."
        ),
        HoldCause::DeliveredDiffers { by } => {
            details.push(("tx_hash", by.to_string()));
            format!(
                "ON HOLD, do not pay elsewhere: transaction {by} delivered something else than the amount. Sending is frozen."
            )
        }
    };
    Line {
        stage: TimelineStage::Held,
        summary,
        details,
    }
}

fn ended(after: &Payment) -> Option<Line> {
    Some(match &after.state {
        State::Paid(settled) => Line {
            stage: TimelineStage::Confirmed,
            summary: format!(
                "PAID: {} delivered in validated ledger {}, fee {}, transaction {}.",
                delivered(settled),
                settled.ledger.index,
                settled.fee,
                settled.tx_hash
            ),
            details: settled_details(settled),
        },
        State::Failed(settled) => Line {
            stage: TimelineStage::Failed,
            summary: format!(
                "FAILED with {} in validated ledger {}: nothing was delivered, the fee of {} is gone. Safe to pay again under a new id.",
                settled.result, settled.ledger.index, settled.fee
            ),
            details: settled_details(settled),
        },
        State::Displaced(end) => unpaid(TimelineStage::Failed, "FAILED", end),
        State::Expired(end) => unpaid(TimelineStage::Expired, "EXPIRED", end),
        State::Cancelled(end, CancelCause::Requested) => {
            unpaid(TimelineStage::Cancelled, "CANCELLED by its caller", end)
        }
        State::Cancelled(end, CancelCause::SignerDenied) => unpaid(
            TimelineStage::Cancelled,
            "CANCELLED because the signer denied it",
            end,
        ),
        State::Cancelled(end, CancelCause::Forgotten) => unpaid(
            TimelineStage::Cancelled,
            "CANCELLED, and no row says at whose wish",
            end,
        ),
        State::Cancelled(end, CancelCause::DestinationCannotReceive) => unpaid(
            TimelineStage::Cancelled,
            "CANCELLED before it was sent, because its destination cannot receive it",
            end,
        ),
        State::Rejected(end) => unpaid(TimelineStage::Rejected, "REJECTED", end),
        State::AwaitingApproval | State::Accepted | State::AtLarge(_) | State::OnHold(_) => {
            return None;
        }
    })
}

fn settled_details(settled: &Settled) -> Details {
    vec![
        ("ledger_index", settled.ledger.index.to_string()),
        ("ledger_hash", settled.ledger.hash.to_string()),
        ("tx_hash", settled.tx_hash.to_string()),
        ("engine_result", settled.result.clone()),
        delivered_detail(settled.delivered),
        ("fee_drops", settled.fee.get().to_string()),
        ("slot", settled.slot.to_string()),
        ("server", settled.servers.join(", ")),
    ]
}

fn delivered(settled: &Settled) -> String {
    settled
        .delivered
        .map_or_else(|| "nothing".to_owned(), |money| money.to_string())
}

fn delivered_detail(delivered: Option<Money>) -> (&'static str, String) {
    match delivered {
        None => ("delivered_drops", "0".to_owned()),
        Some(Money::Xrp(drops)) => ("delivered_drops", drops.get().to_string()),
        Some(issued @ Money::Issued { .. }) => ("delivered_issued", issued.to_string()),
    }
}

fn unpaid(stage: TimelineStage, word: &str, end: &Ended) -> Line {
    let mut details: Details = end
        .slot
        .iter()
        .map(|slot| ("slot", slot.to_string()))
        .collect();
    let why = match &end.proof {
        EndProof::NeverBound { validated } => {
            details.push(("ledger_index", validated.to_string()));
            format!("it was never bound or signed, as of validated ledger {validated}")
        }
        EndProof::Absence {
            ledger,
            sequence,
            servers,
        } => {
            details.push(("ledger_index", ledger.index.to_string()));
            details.push(("ledger_hash", ledger.hash.to_string()));
            details.push(("server", servers.join(", ")));
            format!(
                "in validated ledger {} the account's Sequence is {sequence}, its slot is unused, and no version can get into a later ledger",
                ledger.index
            )
        }
        EndProof::Filled {
            ledger,
            tx_hash,
            fee,
            servers,
            ..
        } => {
            details.push(("fee", fee.to_string()));
            details.push(("ledger_index", ledger.index.to_string()));
            details.push(("ledger_hash", ledger.hash.to_string()));
            details.push(("tx_hash", tx_hash.to_string()));
            details.push(("server", servers.join(", ")));
            format!(
                "our no-op took its slot in validated ledger {}",
                ledger.index
            )
        }
        EndProof::Displaced {
            ledger,
            by,
            searched_from,
            searched_to,
        } => {
            details.push(("ledger_index", ledger.index.to_string()));
            details.push(("ledger_hash", ledger.hash.to_string()));
            details.push(("tx_hash", by.to_string()));
            format!(
                "transaction {by}, which a person knows, took its slot in validated ledger {}, and nothing in ledgers {searched_from} to {searched_to} carries its InvoiceID",
                ledger.index
            )
        }
        EndProof::Sealed(seal) => {
            details.push(("reason", seal.reason.clone()));
            format!(
                "the signer never signed it and sealed it at journal height {}: {}",
                seal.height, seal.reason
            )
        }
        EndProof::CannotReceive(cannot) => {
            details.push(("ledger_index", cannot.ledger.index.to_string()));
            details.push(("ledger_hash", cannot.ledger.hash.to_string()));
            details.push(("reason", cannot.reason.to_string()));
            details.push(("server", cannot.servers.join(", ")));
            format!(
                "as of validated ledger {}, {}",
                cannot.ledger.index, cannot.detail
            )
        }
    };
    let summary = format!("{word}: {why}. Nothing was paid. Safe to pay again under a new id.");
    Line {
        stage,
        summary,
        details,
    }
}
