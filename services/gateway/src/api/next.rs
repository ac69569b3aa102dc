//! What happens next with a payment: by the gateway itself, and by the person who asks.
//!
//! Owns: the words for each state and reason; those for each answer of the ledger are the core's (`codes::guide`). May not:
//! be read by code, nor invite anybody to pay again unless the state proves that it is safe.

use paygate_payments::codes::guide;
use paygate_payments::payment::{AtLarge, State};
use paygate_proto::v1::PaymentReason;

use crate::store::Record;
use crate::view::{EngineView, SlotAnswer};

/// What ExplainPayment says under these names.
pub(super) struct Next {
    pub(super) gateway: String,
    pub(super) person: String,
}

const NOTHING_FINAL: &str = "Nothing: this is final.";
const FILLS_SLOT: &str =
    "Nothing more for this payment, which is final. A no-op fills its slot if nothing has.";
const AGAIN: &str =
    "Pay again under a new payment_id, with retry_of naming this one, if it is still wanted.";
const NOT_ELSEWHERE: &str = "Do not pay elsewhere meanwhile.";

/// What comes after what `record` says now. `reason` is the one that is shown with it.
pub(super) fn after(record: &Record, reason: PaymentReason, view: &EngineView) -> Next {
    match &record.payment.state {
        State::AwaitingApproval => next(
            "It keeps the payment until somebody decides, or until its window is over.",
            "Have another identity than its client approve or reject it: paygatectl approvals. Do not pay elsewhere meanwhile.",
        ),
        State::Accepted => waiting(
            reason,
            "It binds the payment to a slot as soon as nothing is in the way.",
        ),
        State::AtLarge(at_large) => at_large_next(at_large, reason, view),
        State::OnHold(_) => next(
            "It has frozen sending, and looks in each validated ledger for what would decide.",
            &format!(
                "Find out what used the slot: the timeline names it. Then call Unfreeze and name every foreign transaction; if that one is shown, the payment ends with the next ledger. {NOT_ELSEWHERE}"
            ),
        ),
        State::Paid(settled) | State::Failed(settled) => {
            let guide = guide::settled(&settled.result);
            // A slot that went to something else is told by another code than a payment's own.
            if settled.result.starts_with("tec") || matches!(record.payment.state, State::Paid(_)) {
                next(
                    guide.gateway,
                    &format!("{} {}", guide.meaning, guide.person),
                )
            } else {
                next(NOTHING_FINAL, AGAIN)
            }
        }
        State::Displaced(_) => next(NOTHING_FINAL, AGAIN),
        State::Expired(_) | State::Cancelled(..) | State::Rejected(_) => next(
            if record.payment.state.slot().is_some() {
                FILLS_SLOT
            } else {
                NOTHING_FINAL
            },
            AGAIN,
        ),
    }
}

/// The last answer says most; what stops everything stands above it.
fn at_large_next(at_large: &AtLarge, reason: PaymentReason, view: &EngineView) -> Next {
    let answer = view.answers.get(&at_large.binding.slot);
    let froze = view.frozen.is_some() && answer.is_some_and(SlotAnswer::freezes);
    match (reason, answer) {
        (PaymentReason::WalletFrozen, Some(answer)) if froze => answered(answer),
        (
            PaymentReason::None
            | PaymentReason::DestinationNotReady
            | PaymentReason::InsufficientFunds,
            Some(answer),
        ) => answered(answer),
        (PaymentReason::LedgerUnavailable, Some(answer)) if view.link.connected => answered(answer),
        _ => waiting(
            reason,
            "It has the newest version signed, sends it, and reads every validated ledger until one decides.",
        ),
    }
}

fn answered(answer: &SlotAnswer) -> Next {
    let guide = answer.guide();
    next(
        guide.gateway,
        &format!("{} {}", guide.meaning, guide.person),
    )
}

/// A live payment, by what it waits for. `usual` is what the gateway does when nothing is in the way.
fn waiting(reason: PaymentReason, usual: &str) -> Next {
    let (gateway, person) = match reason {
        PaymentReason::WalletFrozen => (
            "It has frozen sending until a person calls Unfreeze, and goes on reading validated ledgers, which alone decide.",
            "Read why sending is frozen (`paygatectl status`), repair it, then call Unfreeze and say why.",
        ),
        PaymentReason::Quarantine => (
            "It waits until every transaction that it may not know of is in a ledger or dead, then goes on by itself.",
            "Wait for the ledger that the reason names; if the reason names something to do, do it (runbooks/restore-from-backup.md).",
        ),
        PaymentReason::NetworkHalted => (
            "It waits for the network to validate ledgers. Deadlines do not pass meanwhile.",
            "Nothing: look at the state of the XRP Ledger network.",
        ),
        PaymentReason::LedgerUnavailable => (
            "It connects and asks again by itself, and decides nothing meanwhile.",
            "If it lasts, check the ledger's server and the network to it, or configure another.",
        ),
        PaymentReason::SignerUnavailable => (
            "It asks the signer again by itself.",
            "Check that the signer runs and serves (`paygate-signer` beside this gateway, its socket, its log).",
        ),
        PaymentReason::SignerDenied | PaymentReason::Headroom => (
            "It asks the signer again by itself, and gives the payment up if the signer denies it for a whole window.",
            "Compare the signer's policy and limits with what the reason says.",
        ),
        PaymentReason::InsufficientFunds => (usual, "Send XRP to the wallet."),
        PaymentReason::FeeAboveCap => (
            "It asks for the fee again with each ledger, and goes on as soon as it is within the cap.",
            "Nothing, or raise the limit that the reason names: fees.max_drops or fees.max_xrp_per_hour.",
        ),
        PaymentReason::DestinationNotReady => (usual, "Ask the payee about what the reason names."),
        PaymentReason::CancelRequested => (
            "It lets a no-op compete for the slot; the ledger decides which of the two won.",
            "Nothing: wait for a validated ledger.",
        ),
        PaymentReason::Paused => (
            "It keeps the payment until an operator resumes, or until the announced transaction is validated or its time is over.",
            "Ask the operator who paused dispatching or announced the transaction.",
        ),
        _ => (usual, "Nothing: wait."),
    };
    next(gateway, &format!("{person} {NOT_ELSEWHERE}"))
}

fn next(gateway: &str, person: &str) -> Next {
    Next {
        gateway: gateway.to_owned(),
        person: person.to_owned(),
    }
}
