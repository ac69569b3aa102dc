//! Pauses: what a person keeps from being bound, until a person lets it go on.
//!
//! Owns: the table `pauses`. May not: touch what is bound already; that is followed to its end.

use paygate_payments::intent::{Id, Intent};
use paygate_proto::v1::TimelineStage;
use rusqlite::{Connection, params};
use tonic::Code;
use xrpl_tx::AccountId;

use super::audit::{self, Deed};
use super::error::StoreError;
use super::people::{Actor, AuditHead, Pause, PauseScope, Paused};
use super::timeline;
use super::writer::Scope;
use crate::clock::Millis;

/// Pauses at once. They are looked through for each payment that waits.
const PAUSES_MAX: usize = 64;

const PAUSE: &str = "paygate.v1.OperationsService/Pause";
const RESUME: &str = "paygate.v1.OperationsService/Resume";

/// Pauses. Paused already: the first reason stays, and there is nothing to audit.
pub(super) fn pause(
    scope: &Scope<'_>,
    what: &PauseScope,
    by: &Actor,
    reason: &str,
    at: Millis,
) -> Result<(Paused, Option<AuditHead>), StoreError> {
    let all = all(scope.conn)?;
    if let Some(known) = all.iter().find(|pause| pause.scope == *what) {
        return Ok((Paused::InForce(known.clone()), None));
    }
    let code = match all.len() < PAUSES_MAX {
        true => Code::Ok,
        false => Code::FailedPrecondition,
    };
    let deed = Deed {
        by,
        method: PAUSE,
        subject: what.to_string(),
        reason,
        code,
    };
    let head = Some(audit::append(scope, deed, at)?);
    if code != Code::Ok {
        return Ok((Paused::TooMany(PAUSES_MAX), head));
    }
    let (client, destination) = match what {
        PauseScope::Wallet => (None, None),
        PauseScope::Client(client) => (Some(client.as_str()), None),
        PauseScope::Destination(account) => (None, Some(account.as_bytes())),
    };
    let sql = "INSERT INTO pauses (what, client_id, destination, reason, paused_by, since_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    scope.conn.prepare_cached(sql)?.execute(params![
        what.to_string(),
        client,
        destination,
        reason,
        by.client.as_str(),
        at.0
    ])?;
    let pause = Pause {
        scope: what.clone(),
        reason: reason.to_owned(),
        by: by.client.to_string(),
        since: at,
    };
    let summary = format!(
        "Paused ({what}) by {}: {reason}. Nothing of it is bound until somebody resumes.",
        by.client
    );
    tell(scope, &summary, what, by, reason, at)?;
    Ok((Paused::InForce(pause), head))
}

/// Ends the pause of this scope, and no other. Not paused: nothing to do, and nothing to audit.
pub(super) fn resume(
    scope: &Scope<'_>,
    what: &PauseScope,
    by: &Actor,
    reason: &str,
    at: Millis,
) -> Result<(bool, Option<AuditHead>), StoreError> {
    let sql = "DELETE FROM pauses WHERE what = ?1";
    if scope
        .conn
        .prepare_cached(sql)?
        .execute([what.to_string()])?
        == 0
    {
        return Ok((false, None));
    }
    let deed = Deed {
        by,
        method: RESUME,
        subject: what.to_string(),
        reason,
        code: Code::Ok,
    };
    let head = audit::append(scope, deed, at)?;
    let summary = format!("Resumed ({what}) by {}: {reason}.", by.client);
    tell(scope, &summary, what, by, reason, at)?;
    Ok((true, Some(head)))
}

fn tell(
    scope: &Scope<'_>,
    summary: &str,
    what: &PauseScope,
    by: &Actor,
    reason: &str,
    at: Millis,
) -> Result<(), StoreError> {
    let details = [
        ("reason", reason.to_owned()),
        ("client_id", by.client.to_string()),
        ("scope", what.to_string()),
    ];
    timeline::of_wallet(scope.conn, TimelineStage::Waiting, summary, &details, at)
}

/// Every pause in force, the oldest first.
pub(super) fn all(conn: &Connection) -> Result<Vec<Pause>, StoreError> {
    let sql = "SELECT client_id, destination, reason, paused_by, since_ms FROM pauses ORDER BY since_ms, what";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut pauses = Vec::new();
    while let Some(row) = rows.next()? {
        let client: Option<String> = row.get(0)?;
        let destination: Option<[u8; 20]> = row.get(1)?;
        let scope = match (client, destination) {
            (Some(client), _) => PauseScope::Client(
                Id::new(client)
                    .map_err(|error| StoreError::corrupt(format!("pauses.client_id {error}")))?,
            ),
            (None, Some(account)) => PauseScope::Destination(AccountId::from_bytes(account)),
            (None, None) => PauseScope::Wallet,
        };
        pauses.push(Pause {
            scope,
            reason: row.get(2)?,
            by: row.get(3)?,
            since: Millis(row.get(4)?),
        });
    }
    Ok(pauses)
}

/// Refuses to bind what is paused.
pub(super) fn open(conn: &Connection, intent: &Intent) -> Result<(), StoreError> {
    match all(conn)?.into_iter().find(|pause| pause.covers(intent)) {
        Some(pause) => Err(StoreError::Paused(pause.to_string())),
        None => Ok(()),
    }
}
