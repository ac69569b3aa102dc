//! The roll-out: which stage is in force, since when, what people said of it, and what was found each time one wanted to go on.
//!
//! Owns: the tables `rollout`, `rollout_history` and `incidents`. May not: judge a criterion, `payments::rollout::judge` does; or change a
//! payment: a stage is about what is let in from now on. A stage's limits come into force in the order of the writer's jobs, as
//! configured ones do, so that each payment is measured by the stage that the log says.

mod facts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paygate_payments::rollout::judge::{self, Evidence, Judged, Verdict};
use paygate_payments::rollout::{Name, Stage, Stages};
use rusqlite::{Connection, OptionalExtension, params};
use tonic::Code;
use xrpl_tx::Hash256;

use super::Store;
use super::audit::{self, Deed};
use super::codec::{self, Whole};
use super::error::StoreError;
use super::open::View;
use super::people::{Actor, AuditHead};
use super::writer::Scope;
use crate::clock::Millis;

pub(super) use facts::{Incident, incident};

/// Lines of history that are shown.
const HISTORY_MAX: u32 = 100;

const RECORD: &str = "paygate.v1.OperationsService/RecordRollout";
const PROMOTE: &str = "paygate.v1.OperationsService/PromoteRollout";
const ROLL_BACK: &str = "paygate.v1.OperationsService/RollbackRollout";

/// What stands in place of an RPC where the configuration did it, and where the gateway evaluated.
const CONFIGURATION: &str = "configuration";
const EVALUATION: &str = "rollout evaluation";

/// Everything that is shown of a roll-out.
#[derive(Clone, Debug)]
pub struct RolloutView {
    /// The stages.
    pub stages: Arc<Stages>,
    /// The one in force.
    pub stage: Stage,
    /// Since when.
    pub since: Millis,
    /// Each criterion as it stands.
    pub judged: Vec<Judged>,
    /// What people said in this stage, the newest word on each criterion.
    pub words: BTreeMap<Name, Spoken>,
    /// What happened, newest first.
    pub history: Vec<RolloutLine>,
}

/// What a person said of a criterion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// What.
    pub verdict: Verdict,
    /// Who, as client_id.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Millis,
}

/// Something that happened to the roll-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutLine {
    /// Order of commits.
    pub sequence: u64,
    /// When.
    pub at: Millis,
    /// What, as the contract lists it.
    pub what: String,
    /// Which stage.
    pub stage: String,
    /// Which criterion, or empty.
    pub criterion: String,
    /// How it stood, or empty.
    pub outcome: String,
    /// What else there is to say.
    pub detail: String,
    /// Who.
    pub client: String,
    /// Why.
    pub reason: String,
}

/// A word that a person wants to be kept.
#[derive(Clone, Debug)]
pub struct Word {
    /// The stage that he thinks is in force.
    pub stage: Name,
    /// About what.
    pub criterion: Name,
    /// What.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
}

/// What became of a person's wish about the roll-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rolled {
    /// It is as he wants, now or since before.
    Done,
    /// There is no roll-out.
    None,
    /// Another stage is in force than he thinks, or the one that he names cannot be reached from it.
    OtherStage {
        /// In force.
        here: Name,
        /// What could be named.
        could_be: Option<Name>,
    },
    /// The stage has no such criterion.
    NoCriterion,
    /// The criterion is measured: a person can only override it.
    Measured,
    /// These criteria do not hold.
    Unmet(Vec<Judged>),
}

/// The row of table `rollout`.
struct Here {
    stage: Name,
    since: Millis,
    /// The line of history with which the stage began: what people said before does not count.
    entered: u64,
    /// Payments from this number on are the stage's.
    first_payment: u64,
    digest: Hash256,
    suspended: bool,
}

/// One line to be written.
#[derive(Default)]
struct Line<'a> {
    what: &'static str,
    criterion: Option<Name>,
    outcome: &'static str,
    detail: String,
    reason: &'a str,
}

type Answer<T> = Result<(T, Option<AuditHead>), StoreError>;

impl Store {
    /// Takes up the roll-out of these stages where it was left, or begins it. Without stages one that was begun is suspended: the
    /// configured limits hold. Told once, before anything is let in.
    pub async fn begin_rollout(
        &self,
        by: Actor,
        stages: Option<(Stages, Hash256)>,
        at: Millis,
    ) -> Result<Option<Name>, StoreError> {
        let stages = stages.map(|(stages, digest)| (Arc::new(stages), digest));
        if let Some((stages, _)) = &stages {
            // A second word changes nothing: the first one is in force.
            let _ = self.inner.identity.rollout.set(Arc::clone(stages));
        }
        self.audited(move |scope| match &stages {
            Some((stages, digest)) => take_up(scope, &by, stages, *digest, at),
            None => suspend(scope, &by, at).map(|head| (None, head)),
        })
        .await
    }

    /// The roll-out as it stands. `scraped`: how long ago metrics were read. `None`: there is none.
    pub async fn rollout(
        &self,
        scraped: Option<Duration>,
        at: Millis,
    ) -> Result<Option<RolloutView>, StoreError> {
        self.read(move |view| show(view, scraped, at)).await
    }

    /// Number of the stage in force, from 1. `None`: there is no roll-out.
    #[must_use]
    pub fn rollout_stage(&self) -> Option<usize> {
        let identity = &self.inner.identity;
        let name = identity.limits().stage.as_ref()?.name;
        identity.rollout.get()?.position(name).map(|at| at + 1)
    }

    /// Keeps a person's word.
    pub async fn record_rollout(
        &self,
        by: Actor,
        word: Word,
        at: Millis,
    ) -> Result<Rolled, StoreError> {
        self.audited(move |scope| record(scope, &by, &word, at))
            .await
    }

    /// Goes on to the next stage, if every criterion holds or is overridden.
    pub async fn promote_rollout(
        &self,
        by: Actor,
        to: Name,
        reason: String,
        scraped: Option<Duration>,
        at: Millis,
    ) -> Result<Rolled, StoreError> {
        // Measured beside the writer, which others wait for: a stage may have a million payments.
        let seen = self.read(move |view| gather(view, scraped, at)).await?;
        self.stage_changes(move |scope| promote(scope, &by, (to, &reason), seen.as_ref(), at))
            .await
    }

    /// Goes back to an earlier stage.
    pub async fn roll_back(
        &self,
        by: Actor,
        to: Name,
        reason: String,
        at: Millis,
    ) -> Result<Rolled, StoreError> {
        self.stage_changes(move |scope| roll_back(scope, &by, to, &reason, at))
            .await
    }

    /// Work that may put another stage into force. If it is not committed, the one before is in force again.
    async fn stage_changes<W>(&self, work: W) -> Result<Rolled, StoreError>
    where
        W: Fn(&mut Scope<'_>) -> Answer<Rolled> + Send + 'static,
    {
        let before = self.inner.identity.stage();
        self.audited(work)
            .await
            .inspect_err(|_| self.inner.identity.set_stage(before))
    }
}

// === at the start ===

fn take_up(
    scope: &mut Scope<'_>,
    by: &Actor,
    stages: &Stages,
    digest: Hash256,
    at: Millis,
) -> Answer<Option<Name>> {
    let Some(here) = here(scope.conn)? else {
        let first = stages.first();
        let detail = "the roll-out is configured, and begins";
        enter(scope, by, first.name, ("begun", detail), at)?;
        set_digest(scope, digest)?;
        let head = configured(scope, by, first.name, detail, at)?;
        scope.identity.set_stage(Some(first.clone()));
        return Ok((Some(first.name), Some(head)));
    };
    let Some(stage) = stages.get(here.stage) else {
        return Err(StoreError::UnknownStage(here.stage.to_string()));
    };
    let mut head = None;
    let mut told = Vec::new();
    if here.suspended {
        scope
            .conn
            .execute("UPDATE rollout SET suspended = 0 WHERE id = 1", [])?;
        told.push((
            "resumed",
            "rollout.stages_path is set again: the stage is in force".to_owned(),
        ));
    }
    if here.digest != digest {
        set_digest(scope, digest)?;
        told.push((
            "changed",
            format!(
                "the file of stages is another one, SHA-256 {}",
                hex::encode(digest.as_bytes())
            ),
        ));
    }
    for (what, detail) in told {
        let line = Line {
            what,
            detail: detail.clone(),
            ..Line::default()
        };
        write(scope, by, here.stage, line, at)?;
        head = Some(configured(scope, by, here.stage, &detail, at)?);
    }
    scope.identity.set_stage(Some(stage.clone()));
    Ok((Some(here.stage), head))
}

fn suspend(scope: &mut Scope<'_>, by: &Actor, at: Millis) -> Result<Option<AuditHead>, StoreError> {
    let Some(here) = here(scope.conn)?.filter(|here| !here.suspended) else {
        return Ok(None);
    };
    scope
        .conn
        .execute("UPDATE rollout SET suspended = 1 WHERE id = 1", [])?;
    let detail = "rollout.stages_path is not set any more: the configured limits hold";
    let line = Line {
        what: "suspended",
        detail: detail.to_owned(),
        ..Line::default()
    };
    write(scope, by, here.stage, line, at)?;
    configured(scope, by, here.stage, detail, at).map(Some)
}

fn configured(
    scope: &Scope<'_>,
    by: &Actor,
    stage: Name,
    reason: &str,
    at: Millis,
) -> Result<AuditHead, StoreError> {
    let deed = Deed {
        by,
        method: CONFIGURATION,
        subject: subject(stage),
        reason,
        code: Code::Ok,
    };
    audit::append(scope, deed, at)
}

// === what people want ===

fn record(scope: &mut Scope<'_>, by: &Actor, word: &Word, at: Millis) -> Answer<Rolled> {
    let Some((here, stages)) = in_force(scope.view())? else {
        return Ok((Rolled::None, None));
    };
    let refused = match stages.get(here.stage) {
        Some(stage) if word.stage == here.stage => {
            match judge::may_say(stage, word.criterion, word.verdict) {
                _ if stages.after(here.stage).is_none() => Some(Rolled::NoCriterion),
                None => Some(Rolled::NoCriterion),
                Some(false) => Some(Rolled::Measured),
                Some(true) => None,
            }
        }
        _ => Some(Rolled::OtherStage {
            here: here.stage,
            could_be: Some(here.stage),
        }),
    };
    let deed = |code| Deed {
        by,
        method: RECORD,
        subject: format!(
            "{}, criterion {}: {}",
            subject(word.stage),
            word.criterion,
            word.verdict.word()
        ),
        reason: &word.reason,
        code,
    };
    if let Some(refused) = refused {
        let head = audit::append(scope, deed(Code::FailedPrecondition), at)?;
        return Ok((refused, Some(head)));
    }
    let known = words(scope.conn, here.entered)?;
    let same = |spoken: &Spoken| {
        spoken.verdict == word.verdict
            && spoken.by == by.client.as_str()
            && spoken.reason == word.reason
    };
    if known.get(&word.criterion).is_some_and(same) {
        return Ok((Rolled::Done, None));
    }
    let line = Line {
        what: "recorded",
        criterion: Some(word.criterion),
        outcome: word.verdict.word(),
        detail: String::new(),
        reason: &word.reason,
    };
    write(scope, by, here.stage, line, at)?;
    let head = audit::append(scope, deed(Code::Ok), at)?;
    Ok((Rolled::Done, Some(head)))
}

fn promote(
    scope: &mut Scope<'_>,
    by: &Actor,
    (to, reason): (Name, &str),
    seen: Option<&(u64, Evidence)>,
    at: Millis,
) -> Answer<Rolled> {
    let Some((here, stages)) = in_force(scope.view())? else {
        return Ok((Rolled::None, None));
    };
    if to == here.stage {
        return Ok((Rolled::Done, None));
    }
    let deed = |code| Deed {
        by,
        method: PROMOTE,
        subject: subject(to),
        reason,
        code,
    };
    let next = stages.after(here.stage);
    // What was measured must be of the stage that is in force still.
    let measured = seen.filter(|(entered, _)| *entered == here.entered);
    let (Some(next), Some((_, evidence)), Some(stage)) = (
        next.filter(|next| next.name == to),
        measured,
        stages.get(here.stage),
    ) else {
        let head = audit::append(scope, deed(Code::FailedPrecondition), at)?;
        let refused = Rolled::OtherStage {
            here: here.stage,
            could_be: next.map(|next| next.name),
        };
        return Ok((refused, Some(head)));
    };
    let words = words(scope.conn, here.entered)?;
    let judged = judge::judge(&stages, stage, evidence, |name| {
        words.get(&name).map(|spoken| spoken.verdict)
    });
    keep_evaluation(scope, by, here.stage, &judged, at)?;
    if !judge::may_go_on(&judged) {
        let line = Line {
            what: "refused",
            detail: format!("to {to}"),
            reason,
            ..Line::default()
        };
        write(scope, by, here.stage, line, at)?;
        let head = audit::append(scope, deed(Code::FailedPrecondition), at)?;
        let unmet = judged
            .into_iter()
            .filter(|judged| !judged.outcome.lets_on());
        return Ok((Rolled::Unmet(unmet.collect()), Some(head)));
    }
    let detail = format!("from {}", here.stage);
    enter_for(scope, by, to, ("promoted", &detail), reason, at)?;
    let head = audit::append(scope, deed(Code::Ok), at)?;
    scope.identity.set_stage(Some(next.clone()));
    Ok((Rolled::Done, Some(head)))
}

/// What was found, in the history and in the audit log, whatever follows from it.
fn keep_evaluation(
    scope: &Scope<'_>,
    by: &Actor,
    stage: Name,
    judged: &[Judged],
    at: Millis,
) -> Result<(), StoreError> {
    for found in judged {
        let line = Line {
            what: "evaluated",
            criterion: Some(found.name),
            outcome: found.outcome.word(),
            detail: match found.measured.as_str() {
                "" => found.bar.clone(),
                measured => format!("{measured}; {}", found.bar),
            },
            reason: "",
        };
        write(scope, by, stage, line, at)?;
    }
    let told: Vec<String> = judged.iter().map(ToString::to_string).collect();
    let deed = Deed {
        by,
        method: EVALUATION,
        subject: subject(stage),
        reason: &told.join("; "),
        code: Code::Ok,
    };
    audit::append(scope, deed, at).map(drop)
}

fn roll_back(
    scope: &mut Scope<'_>,
    by: &Actor,
    to: Name,
    reason: &str,
    at: Millis,
) -> Answer<Rolled> {
    let Some((here, stages)) = in_force(scope.view())? else {
        return Ok((Rolled::None, None));
    };
    if to == here.stage {
        return Ok((Rolled::Done, None));
    }
    let deed = |code| Deed {
        by,
        method: ROLL_BACK,
        subject: subject(to),
        reason,
        code,
    };
    let earlier = stages
        .get(to)
        .filter(|_| stages.position(to) < stages.position(here.stage));
    let Some(stage) = earlier else {
        let head = audit::append(scope, deed(Code::FailedPrecondition), at)?;
        let refused = Rolled::OtherStage {
            here: here.stage,
            could_be: stages.before(here.stage).map(|before| before.name),
        };
        return Ok((refused, Some(head)));
    };
    let detail = format!("from {}", here.stage);
    enter_for(scope, by, to, ("rolled_back", &detail), reason, at)?;
    let head = audit::append(scope, deed(Code::Ok), at)?;
    scope.identity.set_stage(Some(stage.clone()));
    Ok((Rolled::Done, Some(head)))
}

// === rows ===

/// The stage in force, with all stages. `None`: there is no roll-out.
fn in_force(view: View<'_>) -> Result<Option<(Here, Arc<Stages>)>, StoreError> {
    let Some(stages) = view.identity.rollout.get() else {
        return Ok(None);
    };
    Ok(here(view.conn)?.map(|here| (here, Arc::clone(stages))))
}

fn here(conn: &Connection) -> Result<Option<Here>, StoreError> {
    let sql = "SELECT stage, since_ms, entered, first_payment, digest, suspended FROM rollout WHERE id = 1";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(Here {
        stage: name(&row.get::<_, String>(0)?)?,
        since: Millis(row.get(1)?),
        entered: row.get::<_, Whole>(2)?.0,
        first_payment: row.get::<_, Whole>(3)?.0,
        digest: Hash256::from_bytes(row.get(4)?),
        suspended: row.get(5)?,
    }))
}

fn enter(
    scope: &Scope<'_>,
    by: &Actor,
    stage: Name,
    how: (&'static str, &str),
    at: Millis,
) -> Result<(), StoreError> {
    enter_for(scope, by, stage, how, "", at)
}

/// A stage begins: what was measured and said before does not count for it.
fn enter_for(
    scope: &Scope<'_>,
    by: &Actor,
    stage: Name,
    (what, detail): (&'static str, &str),
    reason: &str,
    at: Millis,
) -> Result<(), StoreError> {
    let line = Line {
        what,
        detail: detail.to_owned(),
        reason,
        ..Line::default()
    };
    let entered = write(scope, by, stage, line, at)?;
    let sql = "INSERT INTO rollout (id, stage, since_ms, entered, first_payment, digest, suspended) \
               VALUES (1, ?1, ?2, ?3, (SELECT coalesce(max(number), 0) + 1 FROM payments), zeroblob(32), 0) \
               ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, since_ms = excluded.since_ms, entered = excluded.entered, \
               first_payment = excluded.first_payment";
    scope.conn.prepare_cached(sql)?.execute(params![
        stage.as_str(),
        at.0,
        codec::count(entered)?
    ])?;
    Ok(())
}

fn set_digest(scope: &Scope<'_>, digest: Hash256) -> Result<(), StoreError> {
    let sql = "UPDATE rollout SET digest = ?1 WHERE id = 1";
    scope.conn.execute(sql, [digest.as_bytes()])?;
    Ok(())
}

/// Writes a line of history, and answers its number.
fn write(
    scope: &Scope<'_>,
    by: &Actor,
    stage: Name,
    line: Line<'_>,
    at: Millis,
) -> Result<u64, StoreError> {
    let sql = "INSERT INTO rollout_history (at_ms, what, stage, criterion, outcome, detail, client_id, reason) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let number = scope.conn.prepare_cached(sql)?.insert(params![
        at.0,
        line.what,
        stage.as_str(),
        line.criterion
            .map(|name| name.to_string())
            .unwrap_or_default(),
        line.outcome,
        line.detail,
        by.client.as_str(),
        line.reason,
    ])?;
    u64::try_from(number).map_err(|_| StoreError::corrupt("a line of the roll-out is negative"))
}

/// The newest word on each criterion since the stage began.
fn words(conn: &Connection, entered: u64) -> Result<BTreeMap<Name, Spoken>, StoreError> {
    let sql = "SELECT criterion, outcome, client_id, reason, at_ms FROM rollout_history \
               WHERE sequence > ?1 AND what = 'recorded' ORDER BY sequence";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([codec::count(entered)?])?;
    let mut words = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (criterion, word): (String, String) = (row.get(0)?, row.get(1)?);
        let verdict = Verdict::of_word(&word)
            .ok_or_else(|| StoreError::corrupt(format!("rollout_history.outcome is {word:?}")))?;
        let spoken = Spoken {
            verdict,
            by: row.get(2)?,
            reason: row.get(3)?,
            at: Millis(row.get(4)?),
        };
        words.insert(name(&criterion)?, spoken);
    }
    Ok(words)
}

fn history(conn: &Connection) -> Result<Vec<RolloutLine>, StoreError> {
    let sql = "SELECT sequence, at_ms, what, stage, criterion, outcome, detail, client_id, reason FROM rollout_history \
               ORDER BY sequence DESC LIMIT ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let lines = statement.query_map([HISTORY_MAX], |row| {
        Ok(RolloutLine {
            sequence: row.get::<_, Whole>(0)?.0,
            at: Millis(row.get(1)?),
            what: row.get(2)?,
            stage: row.get(3)?,
            criterion: row.get(4)?,
            outcome: row.get(5)?,
            detail: row.get(6)?,
            client: row.get(7)?,
            reason: row.get(8)?,
        })
    })?;
    Ok(lines.collect::<Result<_, _>>()?)
}

// === what is shown ===

/// What was measured of the stage in force, and with which line it began.
fn gather(
    view: View<'_>,
    scraped: Option<Duration>,
    at: Millis,
) -> Result<Option<(u64, Evidence)>, StoreError> {
    match in_force(view)? {
        None => Ok(None),
        Some((here, _)) => {
            let evidence = facts::evidence(view.conn, &here, scraped, at)?;
            Ok(Some((here.entered, evidence)))
        }
    }
}

fn show(
    view: View<'_>,
    scraped: Option<Duration>,
    at: Millis,
) -> Result<Option<RolloutView>, StoreError> {
    let Some((here, stages)) = in_force(view)? else {
        return Ok(None);
    };
    let stage = stages
        .get(here.stage)
        .cloned()
        .ok_or_else(|| StoreError::UnknownStage(here.stage.to_string()))?;
    let evidence = facts::evidence(view.conn, &here, scraped, at)?;
    let words = words(view.conn, here.entered)?;
    let judged = judge::judge(&stages, &stage, &evidence, |name| {
        words.get(&name).map(|spoken| spoken.verdict)
    });
    Ok(Some(RolloutView {
        stages,
        stage,
        since: here.since,
        judged,
        words,
        history: history(view.conn)?,
    }))
}

/// The stage that a store is in, for who only looks at the file. `None`: no roll-out was begun.
pub(super) fn stage_of(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let has = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'rollout')";
    if !conn.query_row(has, [], |row| row.get::<_, bool>(0))? {
        return Ok(None);
    }
    let sql = "SELECT stage FROM rollout WHERE id = 1 AND suspended = 0";
    conn.query_row(sql, [], |row| row.get(0)).optional()
}

fn subject(stage: Name) -> String {
    format!("rollout stage {stage}")
}

fn name(text: &str) -> Result<Name, StoreError> {
    Name::new(text).map_err(|error| StoreError::corrupt(format!("{text:?}: {error}")))
}
