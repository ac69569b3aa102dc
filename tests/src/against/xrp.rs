//! Cases of XRP, and of everything that is given up before it is sent.

use paygate_proto::v1::{
    CancelPaymentRequest, CreatePaymentRequest, Memo, Payment, PaymentReason, PaymentState,
    PreflightRefusal, evidence,
};
use tonic::Code;
use xrpl_tx::{ACCOUNT_ONE, AccountId, XNetwork, to_x_address};

use super::Fault;
use super::people::FICKLE;
use super::stage::{Stage, WALLET_XRP, describe, done, is};
use crate::world::client::{DROPS_PER_XRP, payment};
use crate::world::person::Rule;
use crate::world::wallet::{SeedType, Wallet};

const FIVE_XRP: u64 = 5 * DROPS_PER_XRP;

pub(super) async fn plain(stage: &Stage) -> Result<String, Fault> {
    let paid = stage.pay(stage.to("xrp", "alice", FIVE_XRP)).await?;
    let said = is(&paid, PaymentState::Paid)?;
    let delivered = paid.evidence.unwrap_or_default().delivered;
    match delivered {
        Some(evidence::Delivered::DeliveredDrops(FIVE_XRP)) => Ok(said),
        other => Err(Fault::Wrong(format!("{said}, delivered {other:?}"))),
    }
}

pub(super) async fn tag(stage: &Stage) -> Result<String, Fault> {
    let mut request = stage.to("tag", "tagged", FIVE_XRP);
    request.destination_tag = Some(0);
    tagged(stage, request, 0).await
}

/// An address and a tag in one.
pub(super) async fn x_address(stage: &Stage) -> Result<String, Fault> {
    let account = AccountId::from_address(&stage.address("tagged")).map_err(Fault::wrong)?;
    let network = match stage.network_id {
        0 => XNetwork::Main,
        _ => XNetwork::Test,
    };
    let address = to_x_address(account, Some(4711), network);
    tagged(stage, payment("x-address", &address, FIVE_XRP), 4711).await
}

async fn tagged(stage: &Stage, request: CreatePaymentRequest, tag: u32) -> Result<String, Fault> {
    let paid = stage.pay(request).await?;
    let said = is(&paid, PaymentState::Paid)?;
    let shown = stage.transaction(&paid).await?;
    if shown["DestinationTag"] == tag {
        Ok(format!("{said}, tag {tag}"))
    } else {
        Err(Fault::Wrong(format!("{said}, but the ledger has {shown}")))
    }
}

pub(super) async fn memo(stage: &Stage) -> Result<String, Fault> {
    let mut request = stage.to("memo", "alice", FIVE_XRP);
    request.memos = vec![Memo {
        r#type: "text/plain".to_owned(),
        data: b"invoice 4711".to_vec(),
        ..Memo::default()
    }];
    let paid = stage.pay(request).await?;
    let said = is(&paid, PaymentState::Paid)?;
    let shown = stage.transaction(&paid).await?;
    if shown["Memos"][0]["Memo"]["MemoData"] == hex::encode_upper("invoice 4711") {
        Ok(format!("{said}, memo there"))
    } else {
        Err(Fault::Wrong(format!("{said}, but the ledger has {shown}")))
    }
}

/// An account that exists only in this run.
fn newcomer() -> String {
    Wallet::random(SeedType::Ed25519).address()
}

pub(super) async fn new_account(stage: &Stage) -> Result<String, Fault> {
    let new = newcomer();
    let paid = stage.pay(payment("new", &new, stage.reserve)).await?;
    let said = is(&paid, PaymentState::Paid)?;
    match stage.ledger.account(&new).await? {
        Some((balance, _)) if balance == stage.reserve => Ok(said),
        other => Err(Fault::Wrong(format!(
            "{said}, but the account is {other:?}"
        ))),
    }
}

pub(super) async fn same_id(stage: &Stage) -> Result<String, Fault> {
    let request = stage.to("twice", "alice", FIVE_XRP);
    let first = stage.pay(request.clone()).await?;
    let second = stage.store(&request).await?;
    if second != first {
        return Err(Fault::Wrong(format!(
            "two answers: {first:?} and {second:?}"
        )));
    }
    let other = stage.to("twice", "alice", FIVE_XRP + 1);
    match stage.client().create(other).await {
        Err(status) if status.code() == Code::AlreadyExists => {
            Ok(format!("{}; then ALREADY_EXISTS", describe(&first)))
        }
        other => Err(Fault::Wrong(format!("other content got {other:?}"))),
    }
}

pub(super) async fn unfunded(stage: &Stage) -> Result<String, Fault> {
    let request = stage.to("too-much", "alice", (WALLET_XRP + 1) * DROPS_PER_XRP);
    stage.store(&request).await?;
    let client = stage.client();
    stage
        .until("too-much waits for money", async || {
            let waiting = client.get("too-much").await?;
            let lacks = waiting.reason() == PaymentReason::InsufficientFunds;
            Ok((waiting.state() == PaymentState::Accepted && lacks).then_some(()))
        })
        .await?;
    cancel(stage, "too-much").await?;
    let cancelled = stage.decided("too-much").await?;
    is(&cancelled, PaymentState::Cancelled).map(|said| format!("INSUFFICIENT_FUNDS, then {said}"))
}

pub(super) async fn cancel(stage: &Stage, id: &str) -> Result<Payment, Fault> {
    let request = CancelPaymentRequest {
        payment_id: id.to_owned(),
        comment: String::new(),
    };
    let answer = stage.client().payments().cancel_payment(request).await?;
    Ok(answer.into_inner().payment.unwrap_or_default())
}

/// The order of transactions within a ledger is anybody's: some of the payees are asked for tags before they are paid.
pub(super) async fn changed(stage: &Stage) -> Result<String, Fault> {
    stage.hold_ledgers();
    for name in FICKLE {
        let id = format!("changed-{name}");
        stage.store(&stage.to(&id, name, FIVE_XRP)).await?;
    }
    for name in FICKLE {
        sent(stage, &format!("changed-{name}")).await?;
        done(stage.person(name).sets(Rule::DestinationTag, true).await)?;
    }
    stage.go_on();
    let mut ended = Vec::new();
    for name in FICKLE {
        ended.push(stage.decided(&format!("changed-{name}")).await?);
    }
    for name in FICKLE {
        done(stage.person(name).sets(Rule::DestinationTag, false).await)?;
    }
    for name in FICKLE {
        let again = stage.to("again", name, FIVE_XRP);
        stage.until_seen(&again, true).await?;
    }
    as_the_ledger_says(stage, &ended, "tecDST_TAG_NEEDED").await
}

/// Submitted, whatever the server said to it.
pub(super) async fn sent(stage: &Stage, id: &str) -> Result<(), Fault> {
    use paygate_proto::v1::TimelineStage;
    stage.until_stage(id, TimelineStage::SubmitAnswered).await
}

/// PAID if its InvoiceID was paid, else FAILED with this code.
pub(super) async fn as_the_ledger_says(
    stage: &Stage,
    ended: &[Payment],
    code: &str,
) -> Result<String, Fault> {
    let wallet = stage.world.wallet().address();
    let invoices = stage.ledger.paid_invoices(&wallet).await?;
    let mut paid = 0;
    for payment in ended {
        let is_paid = invoices.contains_key(&payment.invoice_id);
        paid += u32::from(is_paid);
        let result = payment.evidence.clone().unwrap_or_default().engine_result;
        let is_right = match payment.state() {
            PaymentState::Paid => is_paid,
            PaymentState::Failed => !is_paid && result == code && payment.safe_to_repay,
            _ => false,
        };
        if !is_right {
            return Err(Fault::Wrong(format!(
                "{}: {}",
                payment.payment_id,
                describe(payment)
            )));
        }
    }
    Ok(format!("{paid} PAID, {} FAILED", ended.len() as u32 - paid))
}

/// What pre-flight ends without a slot or a fee.
pub(super) async fn given_up(stage: &Stage, case: &str) -> Result<String, Fault> {
    use PreflightRefusal as Refusal;
    let id = case.replace([' ', '\''], "-");
    let dollars = |issuer, to, value| stage.dollars(&id, issuer, to, value);
    let (request, refusal) = match case {
        "tag missing" => (stage.to(&id, "tagged", FIVE_XRP), Refusal::TagNeeded),
        "below the reserve" => {
            let request = payment(&id, &newcomer(), stage.reserve - 1);
            (request, Refusal::NotFunded)
        }
        "deposit authorisation" => {
            stage.needs("DepositAuth")?;
            // More than the base reserve, up to which a poor account could be paid all the same.
            (
                stage.to(&id, "barred", stage.reserve + FIVE_XRP),
                Refusal::DepositNotAuthorised,
            )
        }
        "xrp unwanted" => (stage.to(&id, "shy", FIVE_XRP), Refusal::XrpUnwanted),
        "nobody's address" => {
            let request = payment(&id, &ACCOUNT_ONE.to_address(), stage.reserve + FIVE_XRP);
            (request, Refusal::NobodysAddress)
        }
        "transfer fee above the cap" => {
            (dollars("greedy", "ann", "10"), Refusal::TransferFeeAboveCap)
        }
        "no trust line" => (dollars("plain", "stranger", "10"), Refusal::NoTrustLine),
        "over the line's limit" => (dollars("plain", "small", "5.01"), Refusal::LineLimit),
        "line not authorised" => (dollars("strict", "ann", "10"), Refusal::LineNotAuthorised),
        "deep-frozen line" => {
            stage.needs("DeepFreeze")?;
            (dollars("plain", "icy", "10"), Refusal::LineFrozen)
        }
        other => return Err(Fault::Wrong(format!("nobody plays {other:?}"))),
    };
    let ended = stage.pay(request).await?;
    assert_given_up(&ended, refusal)
}

/// Cancelled before it had a slot, for this reason.
pub(super) fn assert_given_up(ended: &Payment, refusal: PreflightRefusal) -> Result<String, Fault> {
    let evidence = ended.evidence.clone().unwrap_or_default();
    let name = evidence.refusal().as_str_name();
    let name = name.trim_start_matches("PREFLIGHT_REFUSAL_");
    let untouched = ended.slot.is_none() && ended.versions.is_empty() && ended.safe_to_repay;
    if ended.state() == PaymentState::Cancelled && evidence.refusal() == refusal && untouched {
        Ok(format!("CANCELLED, {name}"))
    } else {
        Err(Fault::Wrong(format!("{}, {name}", describe(ended))))
    }
}
