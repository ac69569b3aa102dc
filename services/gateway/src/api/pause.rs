//! Pause and Resume: a person keeps payments from being bound, and lets them go on.
//!
//! Owns: the requests' fields, and how a pause is shown. May not: bind anything; the dispatcher is only woken.

use std::sync::Arc;

use paygate_proto::v1::pause_scope::Of;
use paygate_proto::v1::{
    PauseRequest, PauseResponse, PauseScope as AskedScope, PauseStatus, ResumeRequest,
    ResumeResponse,
};
use tonic::{Response, Status};
use xrpl_tx::AccountId;

use super::errors::{self, Violation};
use super::{Api, decode};
use crate::clock;
use crate::store::{Actor, Pause, PauseScope, Paused};

/// Pauses, and tells what is in force.
pub(super) async fn pause(
    api: &Api,
    by: Actor,
    request: &PauseRequest,
) -> Result<Response<PauseResponse>, Status> {
    let what = checked(&request.reason, request.scope.as_ref())?;
    let told = (by.client.clone(), what.clone());
    let paused = api
        .store
        .pause(by, what, request.reason.clone(), clock::now())
        .await
        .map_err(|error| errors::store("pause", &error))?;
    let pause = match paused {
        Paused::InForce(pause) => pause,
        Paused::TooMany(max) => return Err(errors::too_many_pauses(max)),
    };
    tracing::warn!(client_id = %told.0, scope = %told.1, reason = %request.reason, "a person has paused payments");
    show_now(api).await;
    Ok(Response::new(PauseResponse {
        pause: Some(shown(&pause)),
    }))
}

/// Ends a pause.
pub(super) async fn resume(
    api: &Api,
    by: Actor,
    request: &ResumeRequest,
) -> Result<Response<ResumeResponse>, Status> {
    let what = checked(&request.reason, request.scope.as_ref())?;
    let client = by.client.clone();
    let ended = api
        .store
        .resume(by, what.clone(), request.reason.clone(), clock::now())
        .await
        .map_err(|error| errors::store("resume", &error))?;
    if ended {
        tracing::warn!(client_id = %client, scope = %what, reason = %request.reason, "a person has resumed payments");
        show_now(api).await;
        api.wake.notify_one();
    }
    Ok(Response::new(ResumeResponse {
        pause: Some(PauseStatus {
            scope: shown_scope(&what),
            ..PauseStatus::default()
        }),
    }))
}

/// What holds is in the rows; the picture follows with the next look in any case.
async fn show_now(api: &Api) {
    if let Ok(pauses) = api.store.pauses().await {
        api.view.update(|view| view.pauses = Arc::new(pauses));
    }
}

fn checked(reason: &str, scope: Option<&AskedScope>) -> Result<PauseScope, Status> {
    let mut bad = Vec::new();
    decode::reason(reason, &mut bad);
    let what = match scope {
        None => Some(PauseScope::Wallet),
        Some(AskedScope { of: None }) => {
            // Never taken for the whole wallet: the caller meant something narrower.
            bad.push(Violation::malformed(
                "scope",
                "is empty: name a client_id or a destination, or leave it out for the wallet as a whole",
            ));
            None
        }
        Some(AskedScope {
            of: Some(Of::ClientId(client)),
        }) => decode::keep(decode::payment_id(client, "scope.client_id"), &mut bad)
            .map(PauseScope::Client),
        Some(AskedScope {
            of: Some(Of::Destination(address)),
        }) => {
            let read = decode::address("scope.destination", address, AccountId::from_address);
            decode::keep(read, &mut bad).map(PauseScope::Destination)
        }
    };
    match what {
        Some(what) if bad.is_empty() => Ok(what),
        _ => Err(errors::invalid(&bad)),
    }
}

/// The pause of the wallet as a whole.
pub(super) fn of_wallet(pauses: &[Pause]) -> PauseStatus {
    let of_all = |pause: &&Pause| pause.scope == PauseScope::Wallet;
    pauses.iter().find(of_all).map(shown).unwrap_or_default()
}

/// The other ones.
pub(super) fn scoped(pauses: &[Pause]) -> Vec<PauseStatus> {
    let narrower = |pause: &&Pause| pause.scope != PauseScope::Wallet;
    pauses.iter().filter(narrower).map(shown).collect()
}

fn shown(pause: &Pause) -> PauseStatus {
    PauseStatus {
        active: true,
        reason: pause.reason.clone(),
        since: Some(pause.since.timestamp()),
        paused_by: pause.by.clone(),
        scope: shown_scope(&pause.scope),
    }
}

fn shown_scope(scope: &PauseScope) -> Option<AskedScope> {
    let of = match scope {
        PauseScope::Wallet => return None,
        PauseScope::Client(client) => Of::ClientId(client.to_string()),
        PauseScope::Destination(account) => Of::Destination(account.to_address()),
    };
    Some(AskedScope { of: Some(of) })
}
