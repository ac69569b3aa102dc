//! Naming a transaction of the wallet that is made outside.
//!
//! Owns: the call and what is shown of its answer. May not: send a transaction.

use paygate_client::proto::{AnnounceTransactionRequest, AnnouncedTransaction};
use serde_json::{Value, json};

use super::args::Announce;
use super::exit::Exit;
use super::failure::Asked;
use super::out::{clean, fields};
use super::run::Context;

/// Announces it, and shows everything that is awaited.
pub(crate) async fn announce(context: &Context, asked: Announce) -> Exit {
    let request = AnnounceTransactionRequest {
        tx_hash: asked.tx_hash,
        last_ledger_sequence: asked.last_ledger,
        reason: asked.reason,
    };
    match context.client.announce(request).await {
        Ok(answer) => context.show(
            Exit::Done,
            || answer.announced.iter().map(text).collect(),
            || json!({ "announced": answer.announced.iter().map(shown).collect::<Vec<_>>() }),
        ),
        Err(error) => context.failed(&error, Asked::Announce),
    }
}

/// One awaited transaction, for a person.
pub(super) fn text(awaited: &AnnouncedTransaction) -> String {
    let until = awaited.last_ledger_sequence;
    fields(&[(
        "awaited",
        clean(&format!(
            "{} until ledger {until}, announced by {}: {}; nothing is bound meanwhile",
            awaited.tx_hash, awaited.client_id, awaited.reason
        )),
    )])
}

/// One awaited transaction, for a script.
pub(super) fn shown(awaited: &AnnouncedTransaction) -> Value {
    json!({
        "tx_hash": awaited.tx_hash,
        "last_ledger_sequence": awaited.last_ledger_sequence,
        "reason": awaited.reason,
        "client_id": awaited.client_id,
    })
}
