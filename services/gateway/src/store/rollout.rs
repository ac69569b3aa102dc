//! The roll-out: which stage is in force, since when, what people said of it, and what was found each time one wanted to go on.
//!
//! Owns: the tables `rollout`, `rollout_history` and `incidents`. May not: judge a criterion, `payments::rollout::judge` does; or change a
//! payment: a stage is about what is let in from now on. A stage's limits come into force in the order of the writer's jobs, as
//! configured ones do, so that each payment is measured by the stage that the log says.

mod facts;
mod rows;
mod types;

use std::sync::Arc;
use std::time::Duration;

use paygate_payments::rollout::judge::{self, Evidence, Judged};
use paygate_payments::rollout::{Name, Stages};
use tonic::Code;
use xrpl_tx::Hash256;

use super::Store;
use super::audit::{self, Deed};
use super::error::StoreError;
use super::open::View;
use super::people::{Actor, AuditHead};
use super::writer::Scope;
use crate::clock::Millis;

use rows::{Here, Line, enter_for, here, history, set_digest, set_suspended, words, write};

pub(super) use facts::{Incident, incident};
pub(super) use rows::stage_of;
pub use types::{Rolled, RolloutLine, RolloutView, Spoken, Word};

const RECORD: &str = "paygate.v1.OperationsService/RecordRollout";
const PROMOTE: &str = "paygate.v1.OperationsService/PromoteRollout";
const ROLL_BACK: &str = "paygate.v1.OperationsService/RollbackRollout";

/// What stands in place of an RPC where the configuration did it, and where the gateway evaluated.
const CONFIGURATION: &str = "configuration";
const EVALUATION: &str = "rollout evaluation";

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
        enter_for(scope, by, first.name, ("begun", detail), "", at)?;
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
        set_suspended(scope, false)?;
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
    set_suspended(scope, true)?;
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

/// The stage in force, with all stages. `None`: there is no roll-out.
fn in_force(view: View<'_>) -> Result<Option<(Here, Arc<Stages>)>, StoreError> {
    let Some(stages) = view.identity.rollout.get() else {
        return Ok(None);
    };
    Ok(here(view.conn)?.map(|here| (here, Arc::clone(stages))))
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

fn subject(stage: Name) -> String {
    format!("rollout stage {stage}")
}
