//! Deliberate defects that take more than a line: conclusions that no code of ours may draw.
//!
//! Owns: nothing that ships; see `xrpl_tx::mutants`. May not: be reached in any build but the simulation's own.

use paygate_payments::LedgerRef;
use paygate_payments::proof::StateProof;
use paygate_payments::step::Event;
use xrpl_tx::mutant;

use super::Engine;
use super::submit::Sendable;
use super::witness::Told;
use crate::clock;
use crate::store::StoreError;
use crate::view::SlotAnswer;
use crate::xrpl::{AccountFacts, TxLookup};

/// The account as a defect believes it to be, whoever told it.
pub(super) async fn accounts(
    engine: &Engine,
    mut told: Told<Option<AccountFacts>>,
) -> Told<Option<AccountFacts>> {
    for (_, (_, facts)) in &mut told {
        if let Some(known) = *facts {
            *facts = Some(account(engine, known).await);
        }
    }
    told
}

async fn account(engine: &Engine, facts: AccountFacts) -> AccountFacts {
    let asked = match mutant!("sequence-of-open-ledger") {
        true => {
            let primary = engine.fleet.primary();
            let account = engine.settings.wallet.account;
            match primary {
                Some(primary) => primary.link.open_sequence(account).await,
                None => None,
            }
        }
        false => None,
    };
    AccountFacts {
        sequence: asked.unwrap_or(facts.sequence),
        ..facts
    }
}

/// A verdict on what a server said when a blob was sent.
pub(super) async fn judge(
    engine: &Engine,
    blob: &Sendable,
    said: &SlotAnswer,
) -> Result<(), StoreError> {
    let past = matches!(said, SlotAnswer::Result { code, .. } if code == "tefPAST_SEQ");
    let silent = matches!(said, SlotAnswer::Unread);
    let is_dead = (mutant!("past-seq-is-failed") && past)
        || (mutant!("timeout-is-failed") && silent)
        || (mutant!("searched-all-believed") && is_not_found(engine, blob).await);
    let (true, Some(record)) = (is_dead, &blob.owner) else {
        return Ok(());
    };
    let Some(validated) = engine.view.now().validated else {
        return Ok(());
    };
    let ledger = LedgerRef {
        index: record.payment.deadline.unwrap_or(validated.index),
        hash: validated.hash,
    };
    let proof = StateProof::forged(ledger, engine.settings.wallet.account, blob.slot.number());
    let key = record.payment.intent.key.clone();
    let event = Event::SlotOpen { proof, next: None };
    match engine
        .store
        .advance(engine.epoch(), key, event, Vec::new(), clock::now())
        .await
    {
        Ok(_) | Err(StoreError::Illegal(_)) => Ok(()),
        Err(err) => Err(err),
    }
}

async fn is_not_found(engine: &Engine, blob: &Sendable) -> bool {
    let account = engine.settings.wallet.account;
    let Some(primary) = engine.fleet.primary() else {
        return false;
    };
    let found = primary.link.tx(blob.signed.hash, account).await;
    matches!(found, Ok(TxLookup::NotFound))
}
