//! Cases of bursts, of processes and connections that break, of somebody else who has the key, and the audit of all.

use std::time::Duration;

use paygate_proto::v1::{GetStatusRequest, PaymentReason, PaymentState, UnfreezeRequest};
use serde_json::json;

use super::Fault;
use super::stage::{Stage, describe, done, is};
use crate::world::audit::audit;
use crate::world::client::DROPS_PER_XRP;
use crate::world::person::{Person, Rule};
use crate::world::process::Role;

/// Payments while something breaks.
const IN_FLIGHT: u64 = 20;

/// How often it breaks.
const BREAKS: u32 = 3;

/// Between two breaks: time for some of them to be signed and sent.
const BETWEEN_BREAKS: Duration = Duration::from_millis(300);

/// A server that expects more than this in a ledger is not filled up.
const EXPECTED_SIZE_MAX: u64 = 2_000;

/// Stores so many payments at once.
async fn store_all(stage: &Stage, prefix: &str, count: u64) -> Result<(), Fault> {
    let storing = (0..count).map(|number| {
        // Amounts differ, so that one payment cannot pass for another.
        let id = format!("{prefix}-{number}");
        let request = stage.to(&id, "alice", DROPS_PER_XRP + number);
        async move { stage.store(&request).await }
    });
    for stored in futures_util::future::join_all(storing).await {
        stored?;
    }
    Ok(())
}

/// Waits until all are paid, each once by the ledger's word.
async fn all_paid(stage: &Stage, prefix: &str, count: u64) -> Result<String, Fault> {
    let mut versions = 0;
    let mut ledgers = std::collections::BTreeSet::new();
    let mut invoices = Vec::new();
    for number in 0..count {
        let paid = stage.decided(&format!("{prefix}-{number}")).await?;
        is(&paid, PaymentState::Paid)?;
        versions += paid.versions.len();
        ledgers.insert(paid.evidence.unwrap_or_default().ledger_index);
        invoices.push(paid.invoice_id);
    }
    let counted = stage
        .ledger
        .paid_invoices(&stage.world.wallet().address())
        .await?;
    for invoice in invoices {
        if counted.get(&invoice) != Some(&1) {
            let times = counted.get(&invoice).unwrap_or(&0);
            return Err(Fault::Wrong(format!("{invoice} was paid {times} times")));
        }
    }
    let ledgers = ledgers.len();
    Ok(format!(
        "{count} PAID in {ledgers} ledgers, {versions} versions"
    ))
}

pub(super) async fn burst(stage: &Stage) -> Result<String, Fault> {
    store_all(stage, "burst", 60).await?;
    all_paid(stage, "burst", 60).await
}

/// Somebody else fills the open ledger first, so that every fee of ours is too low for it.
pub(super) async fn burst_past_the_open_ledger(stage: &Stage) -> Result<String, Fault> {
    let fees = stage.ledger.ask("fee", json!({})).await?;
    let expected: u64 = fees["expected_ledger_size"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    if expected == 0 || expected > EXPECTED_SIZE_MAX {
        return Err(Fault::Skipped(format!(
            "a ledger of this server holds {expected} transactions before fees rise"
        )));
    }
    stage.hold_ledgers();
    let no_op = json!({ "TransactionType": "AccountSet" });
    for sent in 0..=expected {
        let answer = stage.funder.sends(no_op.clone()).await?;
        // Queued: it is full.
        if answer != "tesSUCCESS" {
            if sent == 0 {
                return Err(Fault::Wrong(format!("the funder's no-op got {answer}")));
            }
            break;
        }
    }
    let fees = stage.ledger.ask("fee", json!({})).await?;
    let open_fee = fees["drops"]["open_ledger_fee"]
        .as_str()
        .unwrap_or("?")
        .to_owned();
    store_all(stage, "past", 40).await?;
    super::xrp::sent(stage, "past-0").await?;
    stage.go_on();
    let said = all_paid(stage, "past", 40).await?;
    Ok(format!("{said}, open ledger's fee was {open_fee} drops"))
}

async fn killed(stage: &mut Stage, prefix: &str, role: Role) -> Result<String, Fault> {
    store_all(stage, prefix, IN_FLIGHT).await?;
    for _ in 0..BREAKS {
        stage.world.restart(role).await?;
        tokio::time::sleep(BETWEEN_BREAKS).await;
    }
    all_paid(stage, prefix, IN_FLIGHT).await
}

pub(super) async fn gateway_killed(stage: &mut Stage) -> Result<String, Fault> {
    killed(stage, "gateway-killed", Role::Gateway).await
}

pub(super) async fn signer_killed(stage: &mut Stage) -> Result<String, Fault> {
    killed(stage, "signer-killed", Role::Signer).await
}

pub(super) async fn connection_cut(stage: &Stage) -> Result<String, Fault> {
    store_all(stage, "cut", IN_FLIGHT).await?;
    for _ in 0..BREAKS {
        stage.between.cut();
        tokio::time::sleep(BETWEEN_BREAKS).await;
    }
    all_paid(stage, "cut", IN_FLIGHT).await
}

async fn is_frozen(stage: &Stage) -> Result<bool, Fault> {
    let status = stage
        .client()
        .operations()
        .get_status(GetStatusRequest {})
        .await?;
    Ok(status
        .into_inner()
        .freeze
        .is_some_and(|freeze| freeze.active))
}

pub(super) async fn foreign_transaction(stage: &Stage) -> Result<String, Fault> {
    let wallet = stage.world.wallet().clone();
    let address = wallet.address();
    let stranger = Person::with(wallet, &stage.ledger).on_network(stage.network_id);
    done(stranger.sets(Rule::DestinationTag, true).await)?;
    stage
        .until("sending freezes", async || {
            Ok(is_frozen(stage).await?.then_some(()))
        })
        .await?;
    let waiting = stage
        .store(&stage.to("frozen", "alice", 5 * DROPS_PER_XRP))
        .await?;
    if (waiting.state(), waiting.reason()) != (PaymentState::Accepted, PaymentReason::WalletFrozen)
    {
        return Err(Fault::Wrong(format!(
            "after the foreign transaction {}",
            describe(&waiting)
        )));
    }
    let refused = UnfreezeRequest {
        reason: "looks fine".to_owned(),
        acknowledged_tx_hashes: Vec::new(),
    };
    if stage
        .client()
        .operations()
        .unfreeze(refused.clone())
        .await
        .is_ok()
    {
        return Err(Fault::Wrong(
            "it unfreezes though nobody named the transaction".to_owned(),
        ));
    }
    let history = stage.ledger.history(&address).await?;
    let last = history.iter().rfind(|entry| entry.account == address);
    let named = UnfreezeRequest {
        acknowledged_tx_hashes: last.map(|entry| entry.hash.clone()).into_iter().collect(),
        ..refused
    };
    stage.client().operations().unfreeze(named).await?;
    let paid = stage.decided("frozen").await?;
    is(&paid, PaymentState::Paid).map(|said| format!("frozen, then {said}"))
}

pub(super) async fn restarted(stage: &mut Stage) -> Result<String, Fault> {
    let before = stage.client().list().await?;
    stage.world.stop_gateway().await.map_err(Fault::wrong)?;
    stage.world.start_gateway().await?;
    let after = stage.client().list().await?;
    if before == after {
        Ok(format!("the same {} payments", after.len()))
    } else {
        Err(Fault::Wrong(format!(
            "{} payments before, {} after, or other words",
            before.len(),
            after.len()
        )))
    }
}

pub(super) async fn audited(stage: &Stage) -> Result<String, Fault> {
    let payments = stage.client().list().await?;
    let found = audit(&stage.world, &payments).await?;
    if found.is_clean() {
        Ok(format!(
            "{} payments: 0 double, 0 lost, 0 false, books balance",
            payments.len()
        ))
    } else {
        Err(Fault::Wrong(format!("{found:?}")))
    }
}
