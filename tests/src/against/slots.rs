//! Cases of deadlines and cancelling, before and after a payment has its slot.

use std::time::{Duration, SystemTime};

use paygate_proto::v1::{Payment, PaymentState, TimelineStage};
use prost_types::Timestamp;

use super::Fault;
use super::stage::{Stage, describe, is};
use super::xrp::{cancel, sent};
use crate::world::client::DROPS_PER_XRP;

const FIVE_XRP: u64 = 5 * DROPS_PER_XRP;

/// A deadline of so many seconds is one of a fifth as many ledgers: two.
const DEADLINE: Duration = Duration::from_secs(11);

fn soon() -> Timestamp {
    Timestamp::from(SystemTime::now() + DEADLINE)
}

/// Nothing of it is on the ledger.
async fn unsent(stage: &Stage, payment: &Payment) -> Result<(), Fault> {
    if payment.slot.is_some() || !payment.versions.is_empty() {
        return Err(Fault::Wrong(format!(
            "{}, but it has a slot",
            describe(payment)
        )));
    }
    unpaid(stage, payment).await
}

async fn unpaid(stage: &Stage, payment: &Payment) -> Result<(), Fault> {
    let wallet = stage.world.wallet().address();
    let invoices = stage.ledger.paid_invoices(&wallet).await?;
    if invoices.contains_key(&payment.invoice_id) {
        return Err(Fault::Wrong(format!(
            "{}, but it was paid",
            describe(payment)
        )));
    }
    if payment.safe_to_repay {
        Ok(())
    } else {
        Err(Fault::Wrong(format!(
            "{}, not safe to repay",
            describe(payment)
        )))
    }
}

/// Its slot was used by a transaction of the wallet that is no payment.
async fn no_op_fills(stage: &Stage, payment: &Payment) -> Result<(), Fault> {
    use paygate_proto::v1::slot::Kind;
    let slot = payment.slot.and_then(|slot| slot.kind);
    let Some(Kind::Sequence(sequence)) = slot else {
        return Err(Fault::Wrong(format!(
            "{}, slot {slot:?}",
            describe(payment)
        )));
    };
    let wallet = stage.world.wallet().address();
    stage
        .until("a no-op fills the slot", async || {
            let history = stage.ledger.history(&wallet).await?;
            let used = history
                .iter()
                .find(|entry| entry.account == wallet && entry.sequence == u64::from(sequence));
            Ok(used
                .is_some_and(|entry| entry.kind == "AccountSet")
                .then_some(()))
        })
        .await
}

pub(super) async fn cancelled_before(stage: &mut Stage) -> Result<String, Fault> {
    stage.world.kill_signer();
    let stored = stage
        .store(&stage.to("early-cancel", "alice", FIVE_XRP))
        .await;
    let answer = cancel(stage, "early-cancel").await;
    stage.world.start_signer().await?;
    stored?;
    let ended = stage.decided(&answer?.payment_id).await?;
    let said = is(&ended, PaymentState::Cancelled)?;
    unsent(stage, &ended).await?;
    Ok(said)
}

pub(super) async fn deadline_before(stage: &mut Stage) -> Result<String, Fault> {
    stage.world.kill_signer();
    let mut request = stage.to("early-deadline", "alice", FIVE_XRP);
    request.pay_before = Some(soon());
    let stored = stage.store(&request).await;
    let ended = stage.decided("early-deadline").await;
    stage.world.start_signer().await?;
    stored?;
    let ended = ended?;
    let said = is(&ended, PaymentState::Expired)?;
    unsent(stage, &ended).await?;
    Ok(said)
}

pub(super) async fn cancelled_in_flight(stage: &Stage) -> Result<String, Fault> {
    stage.hold_ledgers();
    stage
        .store(&stage.to("late-cancel", "alice", FIVE_XRP))
        .await?;
    sent(stage, "late-cancel").await?;
    let asked = cancel(stage, "late-cancel").await?;
    if asked.state() != PaymentState::AtLarge {
        return Err(Fault::Wrong(format!(
            "after the request {}",
            describe(&asked)
        )));
    }
    stage.go_on();
    let ended = stage.decided("late-cancel").await?;
    match ended.state() {
        PaymentState::Paid => is(&ended, PaymentState::Paid),
        _ => {
            let said = is(&ended, PaymentState::Cancelled)?;
            unpaid(stage, &ended).await?;
            Ok(said)
        }
    }
}

pub(super) async fn cancelled_no_op(stage: &Stage) -> Result<String, Fault> {
    stage.between.swallow_submissions(true);
    stage
        .store(&stage.to("lost-cancel", "alice", FIVE_XRP))
        .await?;
    stage
        .until_stage("lost-cancel", TimelineStage::Submitted)
        .await?;
    let asked = cancel(stage, "lost-cancel").await?;
    stage.between.swallow_submissions(false);
    if asked.state() != PaymentState::AtLarge {
        return Err(Fault::Wrong(format!(
            "after the request {}",
            describe(&asked)
        )));
    }
    let ended = stage.decided("lost-cancel").await?;
    let said = is(&ended, PaymentState::Cancelled)?;
    unpaid(stage, &ended).await?;
    no_op_fills(stage, &ended).await?;
    Ok(said)
}

pub(super) async fn deadline_no_op(stage: &Stage) -> Result<String, Fault> {
    stage.between.swallow_submissions(true);
    // The deadline is two ledgers away: it is to pass once the payment is sent, not before.
    stage.hold_ledgers();
    let mut request = stage.to("lost-deadline", "alice", FIVE_XRP);
    request.pay_before = Some(soon());
    let bound = match stage.store(&request).await {
        Ok(_) => {
            stage
                .until_stage("lost-deadline", TimelineStage::Submitted)
                .await
        }
        Err(fault) => Err(fault),
    };
    stage.go_on();
    let ended = match &bound {
        Ok(()) => stage.decided("lost-deadline").await,
        Err(_) => Err(Fault::wrong("it was not sent")),
    };
    stage.between.swallow_submissions(false);
    bound?;
    let ended = ended?;
    let said = is(&ended, PaymentState::Expired)?;
    unpaid(stage, &ended).await?;
    no_op_fills(stage, &ended).await?;
    Ok(format!("{said}, no-op on its slot"))
}

pub(super) async fn lost_and_sent_again(stage: &Stage) -> Result<String, Fault> {
    stage.between.swallow_submissions(true);
    stage.store(&stage.to("lost", "alice", FIVE_XRP)).await?;
    stage.until_stage("lost", TimelineStage::Submitted).await?;
    stage.between.swallow_submissions(false);
    is(&stage.decided("lost").await?, PaymentState::Paid)
}
