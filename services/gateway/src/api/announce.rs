//! AnnounceTransaction: a person says which transaction of the wallet he is about to make outside.
//!
//! Owns: its fields and the words of its refusals. May not: let one in; the store does, on the rows as they are.

use paygate_payments::LedgerIndex;
use paygate_payments::intent::Id;
use paygate_proto::v1::{
    AnnounceTransactionRequest, AnnounceTransactionResponse, AnnouncedTransaction,
};
use tonic::{Response, Status};

use super::errors::{self, Violation};
use super::{Api, decode};
use crate::clock;
use crate::store::{Actor, Announced, Announcement};

/// The request's fields, or everything that is wrong with them.
pub(super) fn decode(
    request: &AnnounceTransactionRequest,
    caller: &Id,
) -> Result<Announcement, Status> {
    let mut bad = Vec::new();
    decode::reason(&request.reason, &mut bad);
    let tx_hash = request.tx_hash.parse().ok();
    if tx_hash.is_none() {
        bad.push(Violation::malformed(
            "tx_hash",
            "is no transaction hash: 64 hex digits",
        ));
    }
    if request.last_ledger_sequence == 0 {
        bad.push(Violation::malformed(
            "last_ledger_sequence",
            "is required: the transaction's own LastLedgerSequence",
        ));
    }
    match tx_hash {
        Some(tx_hash) if bad.is_empty() => Ok(Announcement {
            tx_hash,
            last_ledger: LedgerIndex(request.last_ledger_sequence),
            reason: request.reason.clone(),
            client: caller.to_string(),
        }),
        _ => Err(errors::invalid(&bad)),
    }
}

/// Stores it, and tells what is awaited.
pub(super) async fn announce(
    api: &Api,
    by: Actor,
    announcement: Announcement,
) -> Result<Response<AnnounceTransactionResponse>, Status> {
    let failed = |error| errors::store("announce_transaction", &error);
    let told = announcement.clone();
    match api
        .store
        .announce(by, announcement, clock::now())
        .await
        .map_err(failed)?
    {
        Announced::Now => {}
        refused => return Err(errors::announcement_refused(why_not(refused))),
    }
    tracing::warn!(client_id = %told.client, tx_hash = %told.tx_hash, last_ledger = told.last_ledger.0, reason = %told.reason, "a transaction of the wallet, made outside, was announced");
    let awaited = api.store.awaited().await.map_err(failed)?;
    let announced = awaited.iter().map(shown).collect();
    api.view.update(|view| view.announced = awaited);
    Ok(Response::new(AnnounceTransactionResponse { announced }))
}

pub(super) fn shown(announcement: &Announcement) -> AnnouncedTransaction {
    AnnouncedTransaction {
        tx_hash: announcement.tx_hash.to_string(),
        last_ledger_sequence: announcement.last_ledger.0,
        reason: announcement.reason.clone(),
        client_id: announcement.client.clone(),
    }
}

fn why_not(refused: Announced) -> String {
    match refused {
        Announced::Now => "it is announced".to_owned(),
        Announced::AtLarge(open) => format!(
            "{open} slots are at large: a transaction made outside would compete with them for a slot; announce it once GetWallet lists none"
        ),
        Announced::Quarantined => {
            "continuity is in doubt, so what is at large is not known; announce it once GetStatus shows no quarantine".to_owned()
        }
        Announced::OutOfRange { first, last } => {
            format!("last_ledger_sequence must be from {first} to {last}")
        }
        Announced::OtherLastLedger(known) => {
            format!("it was announced before with last_ledger_sequence {known}")
        }
        Announced::TooMany(max) => format!("{max} announced transactions are awaited already"),
    }
}
