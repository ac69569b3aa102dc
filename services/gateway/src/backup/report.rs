//! What a person is told of a copy, and of a start with it.
//!
//! Owns: words. May not: promise what only the ledger can tell.

use std::path::Path;

use serde_json::{Value, json};

use super::manifest::Manifest;
use super::restore::{PutBack, Verified};
use crate::store::copy;

/// Of a copy that was just made.
pub(super) fn made(file: &Path, manifest: &Manifest) -> String {
    format!(
        "{}\n  {} bytes, SHA-256 {}\n  store {} epoch {}, reconciled to ledger {}, schema {}, made {}\n",
        file.display(),
        manifest.bytes,
        manifest.sha256,
        manifest.store_id,
        manifest.epoch,
        ledger(manifest),
        manifest.schema_version,
        manifest.made_at
    )
}

/// The same as one object.
pub(super) fn made_json(file: &Path, manifest: &Manifest) -> Value {
    json!({ "file": file, "manifest": manifest })
}

/// Of a copy that was looked at, and perhaps put back.
pub(super) fn looked_at(verified: &Verified, window: Option<u32>, put: Option<&PutBack>) -> String {
    let (manifest, facts) = (&verified.manifest, &verified.facts);
    let open = match facts.open.is_empty() {
        true => "none".to_owned(),
        false => facts
            .open
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let mut text = format!(
        "{:<11} {}\n{:<11} the bytes of its manifest, SHA-256 {}\n{:<11} integrity_check and foreign_key_check say ok; schema {} of {}\n\
         {:<11} {} on network {}{}; store {}, epoch {}\n{:<11} {}, reconciled to ledger {}, the signer's journal at height {}\n{:<11} {}, not ended: {}\n",
        "COPY",
        verified.file.display(),
        "UNCHANGED",
        manifest.sha256,
        "WHOLE",
        facts.schema,
        copy::schema_known(),
        "WALLET",
        manifest.account,
        manifest.network_id,
        if window.is_some() {
            ", as configured"
        } else {
            " (compared with no configuration)"
        },
        manifest.store_id,
        manifest.epoch,
        "MADE",
        manifest.made_at,
        ledger(manifest),
        facts.journal_height,
        "PAYMENTS",
        facts.payments,
        open,
    );
    text.push_str("\nA start with it\n");
    for sentence in sentences(verified, window) {
        text.push_str(&format!("  - {sentence}\n"));
    }
    if let Some(put) = put {
        text.push_str(&format!("\nPut in place as {}.\n", put.store.display()));
        for aside in &put.moved_aside {
            text.push_str(&format!("What was there is now {}.\n", aside.display()));
        }
    }
    text
}

/// The same as one object.
pub(super) fn looked_at_json(
    verified: &Verified,
    window: Option<u32>,
    put: Option<&PutBack>,
) -> Value {
    let facts = &verified.facts;
    json!({
        "file": verified.file,
        "manifest": verified.manifest,
        "compared_with_configuration": window.is_some(),
        "payments": facts.payments,
        "not_ended": facts.open.iter().map(|(state, count)| json!({ "state": state, "count": count })).collect::<Vec<_>>(),
        "start": sentences(verified, window),
        "put_in_place": put.map(|put| json!({ "store": put.store, "moved_aside": put.moved_aside })),
    })
}

/// What happens next, and what it cannot bring back.
fn sentences(verified: &Verified, window: Option<u32>) -> Vec<String> {
    let made = &verified.manifest.made_at;
    let window = window.map_or_else(|| "one window of".to_owned(), |window| window.to_string());
    let known = match verified.manifest.reconciled_ledger_index {
        Some(index) => format!("ledger {index}"),
        None => "no ledger".to_owned(),
    };
    let mut told = vec![
        format!(
            "begins in QUARANTINE if the signer's journal or the ledger has gone on since {known}: payments are accepted, nothing is bound, none ends \
             unpaid. It ends by itself {window} ledgers after the start, or after the last ledger of whatever the journal has signed."
        ),
        "finds on the ledger what was paid, failed or filled since; each such payment that is asked for again with its payment_id is answered from \
         there, and paid no second time."
            .to_owned(),
        format!(
            "cannot know what no ledger tells: cancels of payments that had no slot, words of approvers, pauses, announcements and the audit log \
             since {made}. Type paygatectl pause before its quarantine ends, have these repeated, then resume."
        ),
        "cannot know of payments accepted since and never signed: their callers have to ask for them again.".to_owned(),
    ];
    if verified.facts.schema < copy::schema_known() {
        told.push(format!(
            "brings its tables from schema {} to {}; older gateways cannot use it afterwards.",
            verified.facts.schema,
            copy::schema_known()
        ));
    }
    told
}

fn ledger(manifest: &Manifest) -> String {
    match manifest.reconciled_ledger_index {
        Some(index) => index.to_string(),
        None => "none".to_owned(),
    }
}
