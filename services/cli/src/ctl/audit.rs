//! The audit log: what was done lately, and whether the log is whole.
//!
//! Owns: gathering all pages. May not: judge the chain; `paygate_client::audit` does.

use paygate_client::audit::verify as recompute;
use paygate_client::proto::{
    AuditEntry, AuditHead, ListAuditEntriesRequest, ListAuditEntriesResponse,
};
use paygate_client::{CallError, audit::Broken};
use serde_json::{Value, json};

use super::args::{Audit, AuditTail, AuditVerify};
use super::exit::Exit;
use super::failure::Asked;
use super::out::{Column, Out, Tone, table};
use super::run::Context;
use super::{json, show};

/// Entries of one call.
const PAGE: i32 = 1000;

/// gRPC's OK.
const OK: i32 = 0;

pub(crate) async fn audit(context: &Context, asked: Audit) -> Exit {
    match asked {
        Audit::Tail(asked) => tail(context, asked).await,
        Audit::Verify(asked) => verify(context, asked).await,
    }
}

async fn tail(context: &Context, asked: AuditTail) -> Exit {
    let request = ListAuditEntriesRequest {
        page_size: asked.limit,
        page_token: String::new(),
        client_id: asked.client,
    };
    match context.client.audit_entries(request).await {
        Ok(mut page) => {
            // As the words says: the newest last.
            page.entries.reverse();
            context.show(
                Exit::Done,
                || text(context.out, &page.entries),
                || page_json(&page),
            )
        }
        Err(error) => context.failed(&error, Asked::Read),
    }
}

async fn verify(context: &Context, asked: AuditVerify) -> Exit {
    let gathered = gather(context).await;
    let (store_id, entries, head) = match gathered {
        Ok(gathered) => gathered,
        Err(error) => return context.failed(&error, Asked::Read),
    };
    let verdict = recompute(&store_id, entries, head.as_ref(), asked.head.as_ref());
    let exit = match &verdict {
        Ok(_) => Exit::Done,
        Err(_) => Exit::Otherwise,
    };
    context.show(
        exit,
        || match &verdict {
            Ok(whole) => {
                let head = whole.head.as_ref();
                let kept = head
                    .map(|head| {
                        format!("; keep its head elsewhere: {}:{}", head.sequence, head.hash)
                    })
                    .unwrap_or_default();
                let words = format!("the log is whole: {} entries{kept}", whole.entries);
                format!("{}\n", context.out.paint(Tone::Good, &words))
            }
            Err(broken) => {
                let words = format!("THE LOG IS BROKEN: {broken}");
                format!("{}\n", context.out.paint(Tone::Bad, &words))
            }
        },
        || match &verdict {
            Ok(whole) => json!({
                "whole": true,
                "entries": whole.entries.to_string(),
                "head": whole.head.as_ref().map(head_json),
                "broken": null,
                "first_broken": null,
            }),
            Err(broken) => json!({
                "whole": false,
                "entries": null,
                "head": head.as_ref().map(head_json),
                "broken": broken.to_string(),
                "first_broken": first(broken).map(|at| at.to_string()),
            }),
        },
    )
}

fn first(broken: &Broken) -> Option<u64> {
    match broken {
        Broken::Missing(at) | Broken::Unchained(at) | Broken::Changed(at) | Broken::Remade(at) => {
            Some(*at)
        }
        Broken::Cut { last, .. } => Some(last + 1),
        Broken::StoreId(_) => None,
    }
}

/// The store's id, all entries, and the head as it was when the first page was read.
async fn gather(
    context: &Context,
) -> Result<(String, Vec<AuditEntry>, Option<AuditHead>), CallError> {
    let store_id = context.client.status().await?.store_id;
    let mut request = ListAuditEntriesRequest {
        page_size: PAGE,
        ..ListAuditEntriesRequest::default()
    };
    let first = context.client.audit_entries(request.clone()).await?;
    let (mut entries, head) = (first.entries, first.head);
    request.page_token = first.next_page_token;
    while !request.page_token.is_empty() {
        let page = context.client.audit_entries(request.clone()).await?;
        entries.extend(page.entries);
        request.page_token = page.next_page_token;
    }
    Ok((store_id, entries, head))
}

pub(super) fn page_json(page: &ListAuditEntriesResponse) -> Value {
    json!({
        "entries": page.entries.iter().map(shown).collect::<Vec<_>>(),
        "head": page.head.as_ref().map(head_json),
    })
}

pub(super) fn text(out: Out, entries: &[AuditEntry]) -> String {
    if entries.is_empty() {
        return "nothing was audited yet\n".to_owned();
    }
    let columns = [
        ("NO", true),
        ("TIME", false),
        ("CLIENT", false),
        ("CREDENTIAL", false),
        ("DID", false),
        ("TO", false),
        ("RESULT", false),
        ("REASON", false),
    ]
    .map(|(heading, right)| Column { heading, right });
    let row = |entry: &AuditEntry| {
        let did = entry.method.rsplit('/').next().unwrap_or_default();
        let tone = match entry.code {
            OK => Tone::Good,
            _ => Tone::Bad,
        };
        vec![
            (Tone::Dim, entry.sequence.to_string()),
            (Tone::Plain, show::time(&entry.time)),
            (Tone::Plain, entry.client_id.clone()),
            (Tone::Plain, entry.credential.clone()),
            (Tone::Plain, did.to_owned()),
            (Tone::Plain, entry.subject.clone()),
            (tone, code(entry)),
            (Tone::Plain, entry.reason.clone()),
        ]
    };
    table(out, &columns, &entries.iter().map(row).collect::<Vec<_>>())
}

fn code(entry: &AuditEntry) -> String {
    paygate_client::code_name(tonic::Code::from_i32(entry.code)).to_owned()
}

fn shown(entry: &AuditEntry) -> Value {
    json!({
        "sequence": entry.sequence.to_string(),
        "time": json::time(&entry.time),
        "client_id": entry.client_id,
        "credential": entry.credential,
        "method": entry.method,
        "subject": entry.subject,
        "reason": entry.reason,
        "code": code(entry),
        "trace_id": entry.trace_id,
        "hash": entry.hash,
        "previous_hash": entry.previous_hash,
    })
}

fn head_json(head: &AuditHead) -> Value {
    json!({ "sequence": head.sequence.to_string(), "hash": head.hash })
}
