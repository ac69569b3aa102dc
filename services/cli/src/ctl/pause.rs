//! Pausing and resuming.
//!
//! Owns: the calls, and what is shown of a pause. May not: stop what is at large; nobody can.

use paygate_client::proto::pause_scope::Of;
use paygate_client::proto::{PauseRequest, PauseScope, PauseStatus, ResumeRequest};
use serde_json::{Value, json};

use super::args::Pause;
use super::exit::Exit;
use super::failure::Asked;
use super::out::{Tone, clean};
use super::run::Context;
use super::{json, show};

/// Pauses, and shows what is in force.
pub(crate) async fn pause(context: &Context, asked: Pause) -> Exit {
    let request = PauseRequest {
        scope: scope(&asked),
        reason: asked.reason,
    };
    match context.client.pause(request).await {
        Ok(answer) => finished(context, &answer.pause.unwrap_or_default()),
        Err(error) => context.failed(&error, Asked::Pause),
    }
}

/// Resumes, and shows that it is over.
pub(crate) async fn resume(context: &Context, asked: Pause) -> Exit {
    let request = ResumeRequest {
        scope: scope(&asked),
        reason: asked.reason,
    };
    match context.client.resume(request).await {
        Ok(answer) => finished(context, &answer.pause.unwrap_or_default()),
        Err(error) => context.failed(&error, Asked::Pause),
    }
}

fn scope(asked: &Pause) -> Option<PauseScope> {
    let of = match (&asked.client, &asked.destination) {
        (Some(client), _) => Of::ClientId(client.clone()),
        (None, Some(destination)) => Of::Destination(destination.clone()),
        (None, None) => return None,
    };
    Some(PauseScope { of: Some(of) })
}

fn finished(context: &Context, pause: &PauseStatus) -> Exit {
    context.show(
        Exit::Done,
        || {
            let (tone, words) = match pause.active {
                true => (Tone::Open, text(pause)),
                false => (Tone::Good, format!("{} goes on", of(pause))),
            };
            format!("{}\n", context.out.paint(tone, &words))
        },
        || json!({ "pause": shown(pause) }),
    )
}

/// `PAUSED client shop by ops since …: why`.
pub(super) fn text(pause: &PauseStatus) -> String {
    clean(&format!(
        "PAUSED {} by {} since {}: {}",
        of(pause),
        pause.paused_by,
        show::time(&pause.since),
        pause.reason
    ))
}

fn of(pause: &PauseStatus) -> String {
    match pause.scope.as_ref().and_then(|scope| scope.of.as_ref()) {
        None => "the wallet".to_owned(),
        Some(Of::ClientId(client)) => format!("client {}", clean(client)),
        Some(Of::Destination(account)) => format!("destination {}", clean(account)),
    }
}

/// A pause, for a script.
pub(super) fn shown(pause: &PauseStatus) -> Value {
    let scope = match pause.scope.as_ref().and_then(|scope| scope.of.as_ref()) {
        None => json!({ "client_id": null, "destination": null }),
        Some(Of::ClientId(client)) => json!({ "client_id": client, "destination": null }),
        Some(Of::Destination(account)) => json!({ "client_id": null, "destination": account }),
    };
    json!({
        "active": pause.active,
        "reason": pause.reason,
        "since": json::time(&pause.since),
        "paused_by": pause.paused_by,
        "scope": scope,
    })
}
