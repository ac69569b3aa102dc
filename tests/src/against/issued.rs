//! Cases of issued currencies that are sent.

use paygate_proto::v1::{Payment, PaymentState, PreflightRefusal, evidence};

use super::Fault;
use super::people::{CURRENCY, FICKLE};
use super::stage::{Stage, done, is};
use super::xrp::{as_the_ledger_says, assert_given_up, sent};
use crate::world::person::Rule;

fn delivered(paid: &Payment, value: &str) -> Result<String, Fault> {
    let said = is(paid, PaymentState::Paid)?;
    match paid.evidence.clone().unwrap_or_default().delivered {
        Some(evidence::Delivered::DeliveredIssued(amount)) if amount.value == value => {
            Ok(format!("{said}, delivered {value}"))
        }
        other => Err(Fault::Wrong(format!("{said}, delivered {other:?}"))),
    }
}

pub(super) async fn plain(stage: &Stage) -> Result<String, Fault> {
    let paid = stage
        .pay(stage.dollars("issued", "plain", "ann", "12.5"))
        .await?;
    delivered(&paid, "12.5")
}

pub(super) async fn transfer_fee(stage: &Stage) -> Result<String, Fault> {
    let (issuer, wallet) = (stage.address("toll"), stage.world.wallet().address());
    let paid = stage
        .pay(stage.dollars("toll", "toll", "ann", "10"))
        .await?;
    let said = delivered(&paid, "10")?;
    // The issuer took a thousandth, and the rest of SendMax stayed.
    let left = stage.ledger.held(&wallet, &issuer, CURRENCY).await?;
    if paid.send_max == "10.02" && left.as_deref() == Some("989.99") {
        Ok(format!("{said}, 10.01 spent of at most 10.02"))
    } else {
        Err(Fault::Wrong(format!(
            "{said}, SendMax {}, left {left:?}",
            paid.send_max
        )))
    }
}

pub(super) async fn frozen_line(stage: &Stage) -> Result<String, Fault> {
    let paid = stage
        .pay(stage.dollars("frozen-line", "plain", "cool", "10"))
        .await?;
    delivered(&paid, "10")
}

/// The order of transactions within a ledger is anybody's: some lines are gone before the payment comes.
pub(super) async fn deleted_line(stage: &Stage) -> Result<String, Fault> {
    stage.hold_ledgers();
    let issuer = stage.address("plain");
    for name in FICKLE {
        let id = format!("deleted-{name}");
        stage.store(&stage.dollars(&id, "plain", name, "1")).await?;
    }
    for name in FICKLE {
        sent(stage, &format!("deleted-{name}")).await?;
        done(stage.person(name).trusts(&issuer, CURRENCY, "0").await)?;
    }
    stage.go_on();
    let mut ended = Vec::new();
    for name in FICKLE {
        ended.push(stage.decided(&format!("deleted-{name}")).await?);
    }
    as_the_ledger_says(stage, &ended, "tecPATH_DRY").await
}

pub(super) async fn frozen_issuer(stage: &Stage) -> Result<String, Fault> {
    done(stage.person("plain").sets(Rule::GlobalFreeze, true).await)?;
    let request = stage.dollars("all-frozen", "plain", "ann", "1");
    stage.until_seen(&request, false).await?;
    let ended = stage.pay(request).await?;
    assert_given_up(&ended, PreflightRefusal::AssetFrozen)
}
