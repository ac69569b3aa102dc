//! Who does something that is audited, and ListAuditEntries.
//!
//! Owns: what of a caller goes into the log. May not: write it; the store does, with the deed itself.

use paygate_proto::v1::{AuditEntry, AuditHead, ListAuditEntriesRequest, ListAuditEntriesResponse};
use paygate_telemetry::propagation;
use tonic::{Request, Response, Status};
use tracing::Span;

use super::{Api, decode, errors, identity};
use crate::store::{Actor, AuditEntry as Stored, AuditQuery};

/// Who calls, as the log names him.
pub(super) fn actor<T>(request: &Request<T>) -> Result<Actor, Status> {
    let caller = identity::caller(request)?;
    let trace = propagation::traceparent_of(&Span::current())
        .or_else(|| propagation::from_metadata(request.metadata()));
    Ok(Actor {
        client: caller.client_id,
        credential: caller.credential,
        trace_id: trace
            .map(|trace| trace.trace_id().to_owned())
            .unwrap_or_default(),
    })
}

/// A page of the log.
pub(super) async fn list(
    api: &Api,
    request: &ListAuditEntriesRequest,
) -> Result<Response<ListAuditEntriesResponse>, Status> {
    let mut bad = Vec::new();
    let limit = decode::keep(decode::page_size(request.page_size), &mut bad);
    let client = match request.client_id.as_str() {
        "" => None,
        text => decode::keep(decode::payment_id(text, "client_id"), &mut bad),
    };
    let (Some(limit), true) = (limit, bad.is_empty()) else {
        return Err(errors::invalid(&bad));
    };
    let query = AuditQuery {
        limit,
        token: Some(request.page_token.clone()).filter(|token| !token.is_empty()),
        client,
    };
    let page = api
        .store
        .audit(query)
        .await
        .map_err(|error| errors::store("list_audit_entries", &error))?;
    Ok(Response::new(ListAuditEntriesResponse {
        entries: page.entries.iter().map(shown).collect(),
        next_page_token: page.next.unwrap_or_default(),
        head: page.head.map(|head| AuditHead {
            sequence: head.sequence,
            hash: hex::encode(head.hash.as_bytes()),
        }),
    }))
}

fn shown(entry: &Stored) -> AuditEntry {
    AuditEntry {
        sequence: entry.sequence,
        time: Some(entry.at.timestamp()),
        client_id: entry.client.clone(),
        credential: entry.credential.clone(),
        method: entry.method.clone(),
        reason: entry.reason.clone(),
        code: entry.code,
        trace_id: entry.trace_id.clone(),
        subject: entry.subject.clone(),
        hash: hex::encode(entry.hash.as_bytes()),
        previous_hash: hex::encode(entry.previous.as_bytes()),
    }
}
