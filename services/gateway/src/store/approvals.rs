//! Approvals: payments that wait for another identity, and what that one decides.
//!
//! Owns: the table `approvals`; four eyes, the window, and that a decision stands once. May not: end or let through a payment but by
//! the core's step, or touch one that was ever bound.

use paygate_payments::LedgerIndex;
use paygate_payments::intent::Intent;
use paygate_payments::payment::{State, StateName};
use paygate_payments::step::Event;
use paygate_proto::v1::TimelineStage;
use rusqlite::{Connection, OptionalExtension, params};
use tonic::Code;
use xrpl_tx::Amount;

use super::audit::{self, Deed};
use super::codec;
use super::dispatch;
use super::error::StoreError;
use super::open::View;
use super::people::{ApprovalPage, AuditHead, Decided, Decision, Verdict};
use super::rows::{self, columns};
use super::types::{Note, Record};
use super::wallet;
use super::write;
use super::writer::Scope;
use super::{PAGE_DEFAULT, PAGE_MAX};
use crate::clock::Millis;

/// Payments that expire in one transaction; the rest follow in the next.
const EXPIRE_BATCH_MAX: u32 = 256;

const APPROVE: &str = "paygate.v1.ApprovalService/ApprovePayment";
const REJECT: &str = "paygate.v1.ApprovalService/RejectPayment";

/// How `decision` says what was decided.
const APPROVED: i64 = 1;
const REJECTED: i64 = 2;

/// A payment waits for approval from now on.
pub(super) fn begin(conn: &Connection, number: u64, until: Millis) -> Result<(), StoreError> {
    let sql = "INSERT INTO approvals (payment, until_ms) VALUES (?1, ?2)";
    conn.prepare_cached(sql)?
        .execute(params![codec::count(number)?, until.0])?;
    Ok(())
}

/// Until when a payment waits for approval.
pub(super) fn until(conn: &Connection, number: u64) -> Result<Option<Millis>, StoreError> {
    let sql = "SELECT until_ms FROM approvals WHERE payment = ?1";
    let until: Option<i64> = conn
        .prepare_cached(sql)?
        .query_row([codec::count(number)?], |row| row.get(0))
        .optional()?;
    Ok(until.map(Millis))
}

/// Carries out what an approver decides, once, and audits it, also if it is refused.
pub(super) fn decide(
    scope: &mut Scope<'_>,
    decision: &Decision,
    at: Millis,
) -> Result<(Decided, Option<AuditHead>), StoreError> {
    let before = dispatch::load(scope.view(), &decision.key)?;
    let decided = judge(scope, decision, &before, at)?;
    let code = match &decided {
        Decided::Again(_) => return Ok((decided, None)),
        Decided::Now(_) => Code::Ok,
        Decided::Creator => Code::PermissionDenied,
        Decided::Differs(_) | Decided::NotWaiting { .. } | Decided::Over | Decided::Barred(_) => {
            Code::FailedPrecondition
        }
    };
    let deed = Deed {
        by: &decision.by,
        method: match decision.verdict {
            Verdict::Approve { .. } => APPROVE,
            Verdict::Reject => REJECT,
        },
        subject: format!("payment {}", decision.key),
        reason: &decision.comment,
        code,
    };
    let head = audit::append(scope, deed, at)?;
    Ok((decided, Some(head)))
}

fn judge(
    scope: &mut Scope<'_>,
    decision: &Decision,
    before: &Record,
    at: Millis,
) -> Result<Decided, StoreError> {
    if decision.by.client == decision.key.client {
        return Ok(Decided::Creator);
    }
    let known = standing(scope.conn, before.number)?;
    if let Some((verdict, by)) = known {
        let same = by == decision.by.client.as_str() && verdict == number(decision.verdict);
        return Ok(if same {
            Decided::Again(before.clone())
        } else {
            not_waiting(before, Some(by))
        });
    }
    if before.payment.state != State::AwaitingApproval {
        return Ok(not_waiting(before, None));
    }
    if before.approve_before.is_none_or(|until| at >= until) {
        expire_one(scope, before, at)?;
        return Ok(Decided::Over);
    }
    let validated = validated(scope)?;
    let event = match decision.verdict {
        Verdict::Approve {
            destination,
            amount,
        } => {
            let intent = &before.payment.intent;
            if destination != intent.destination {
                return Ok(Decided::Differs("expected_destination"));
            }
            if !is_amount(intent, amount) {
                return Ok(Decided::Differs("expected_amount"));
            }
            Event::Approved
        }
        Verdict::Reject => Event::Refused(validated),
    };
    let gate = wallet::gate(scope)?;
    let step = match dispatch::decide(scope.view(), gate, before, event) {
        Ok(step) => step,
        Err(StoreError::Illegal(illegal)) => return Ok(Decided::Barred(illegal.why)),
        Err(error) => return Err(error),
    };
    write::write_notes(scope, before.number, &[note(decision)], at)?;
    let record = write::write_step(scope, before, &step, at)?;
    let sql =
        "UPDATE approvals SET decision = ?2, client_id = ?3, decided_ms = ?4 WHERE payment = ?1";
    scope.conn.prepare_cached(sql)?.execute(params![
        codec::count(before.number)?,
        number(decision.verdict),
        decision.by.client.as_str(),
        at.0
    ])?;
    Ok(Decided::Now(record))
}

/// Payments whose window is over expire, if nothing stands against it. Answers those that did.
pub(super) fn expire(
    scope: &mut Scope<'_>,
    epoch: u64,
    at: Millis,
) -> Result<Vec<Record>, StoreError> {
    wallet::fence(scope, epoch)?;
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM payments WHERE state = 'AWAITING_APPROVAL' AND cancel IS NULL \
         AND EXISTS (SELECT 1 FROM approvals a WHERE a.payment = payments.number AND a.until_ms <= ?1) \
         ORDER BY number LIMIT ?2"
    );
    let mut expired = Vec::new();
    for before in rows::select(scope.view(), sql, &[&at.0, &EXPIRE_BATCH_MAX])? {
        expired.extend(expire_one(scope, &before, at)?);
    }
    Ok(expired)
}

fn expire_one(
    scope: &mut Scope<'_>,
    before: &Record,
    at: Millis,
) -> Result<Option<Record>, StoreError> {
    let event = Event::ApprovalWindowOver(validated(scope)?);
    let gate = wallet::gate(scope)?;
    match dispatch::decide(scope.view(), gate, before, event) {
        Ok(step) => write::write_step(scope, before, &step, at).map(Some),
        // In a quarantine nothing ends unpaid: it does once that is over.
        Err(StoreError::Illegal(_)) => Ok(None),
        // It stays as it is, and an operator must look.
        Err(error @ StoreError::OnLedger { .. }) => {
            tracing::error!(%error, "a payment that nobody approved is on the ledger and no row made it");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Payments that wait for approval, oldest first.
pub(super) fn list(
    view: View<'_>,
    limit: usize,
    token: Option<&str>,
) -> Result<ApprovalPage, StoreError> {
    let limit = match limit {
        0 => PAGE_DEFAULT,
        limit => limit.min(PAGE_MAX),
    };
    let above = token.map_or(Ok(0), read_token)?;
    // One more than the page tells whether there is a next one.
    let wanted = i64::try_from(limit + 1).expect("a page is small");
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM payments WHERE state = 'AWAITING_APPROVAL' AND cancel IS NULL AND number > ?1 ORDER BY number LIMIT ?2"
    );
    let mut records = rows::select(view, sql, &[&above, &wanted])?;
    let more = records.len() > limit;
    records.truncate(limit);
    let next = records
        .last()
        .filter(|_| more)
        .map(|last| hex::encode(last.number.to_be_bytes()));
    Ok(ApprovalPage { records, next })
}

/// What was decided of a payment, and by which client.
fn standing(conn: &Connection, number: u64) -> Result<Option<(i64, String)>, StoreError> {
    let sql =
        "SELECT decision, client_id FROM approvals WHERE payment = ?1 AND decision IS NOT NULL";
    let found = conn
        .prepare_cached(sql)?
        .query_row([codec::count(number)?], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(found)
}

fn validated(scope: &Scope<'_>) -> Result<LedgerIndex, StoreError> {
    let reconciled = wallet::cursor(scope.conn)?.reconciled;
    Ok(reconciled.map_or(LedgerIndex::default(), |ledger| ledger.index))
}

fn not_waiting(before: &Record, by: Option<String>) -> Decided {
    Decided::NotWaiting {
        state: before.payment.state.name(),
        by,
    }
}

/// The amount that arrives; what the issuer may take on top was fixed by the gateway.
fn is_amount(intent: &Intent, seen: Amount) -> bool {
    match (intent.amount, seen) {
        (Amount::Xrp(is), Amount::Xrp(seen)) => is == seen,
        (Amount::Issued { amount: is, .. }, Amount::Issued { amount: seen, .. }) => is == seen,
        _ => false,
    }
}

fn number(verdict: Verdict) -> i64 {
    match verdict {
        Verdict::Approve { .. } => APPROVED,
        Verdict::Reject => REJECTED,
    }
}

fn note(decision: &Decision) -> Note {
    let (stage, did) = match decision.verdict {
        Verdict::Approve { .. } => (TimelineStage::Approved, "approved"),
        Verdict::Reject => (TimelineStage::Rejected, "rejected"),
    };
    let client = &decision.by.client;
    let summary = match decision.comment.as_str() {
        "" => format!("{client} {did} it."),
        comment => format!("{client} {did} it and said: {comment}"),
    };
    Note {
        stage,
        summary,
        details: vec![
            ("client_id", client.to_string()),
            ("reason", decision.comment.clone()),
        ],
        span_id: None,
    }
}

fn read_token(token: &str) -> Result<i64, StoreError> {
    let mut bytes = [0; 8];
    hex::decode_to_slice(token, &mut bytes).map_err(|_| StoreError::PageToken)?;
    i64::try_from(u64::from_be_bytes(bytes)).map_err(|_| StoreError::PageToken)
}

/// The state that a new payment begins in, and until when it waits there.
pub(super) fn beginning(
    view: View<'_>,
    intent: &Intent,
    at: Millis,
) -> (StateName, Option<Millis>) {
    let limits = view.limits();
    match limits.needs_approval(intent.amount) {
        true => (
            StateName::AwaitingApproval,
            Some(at.plus(limits.approval_window)),
        ),
        false => (StateName::Accepted, None),
    }
}
