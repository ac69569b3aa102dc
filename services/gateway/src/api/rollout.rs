//! GetRollout, RecordRollout, PromoteRollout, RollbackRollout: the stage of the roll-out, and what people do about it.
//!
//! Owns: the requests' fields, and how a stage is shown. May not: judge a criterion or put a stage into force; the store does both, in one
//! transaction with the audit entry.

use paygate_payments::rollout::Name;
use paygate_payments::rollout::judge::{Judged, Outcome, Verdict};
use paygate_proto::v1::{
    PromoteRolloutRequest, RecordRolloutRequest, RollbackRolloutRequest, Rollout, RolloutCriterion,
    RolloutEvent, RolloutOutcome, RolloutVerdict,
};
use tonic::Status;

use super::errors::{self, Violation};
use super::{Api, decode};
use crate::clock;
use crate::store::rollout::{Rolled, RolloutLine, RolloutView, Word};
use crate::store::{Actor, StoreError};

/// What holds now.
pub(super) async fn get(api: &Api) -> Result<Option<Rollout>, Status> {
    let limits = api.store.limits();
    let found = api
        .store
        .rollout(api.metrics.scraped_ago(), clock::now())
        .await
        .map_err(|error| errors::store("get_rollout", &error))?;
    let in_force = Rollout {
        max_payment_drops: limits.payment_max.get(),
        daily_limit_drops: limits.day_max.get(),
        ..Rollout::default()
    };
    Ok(Some(match found {
        None => in_force,
        Some(view) => shown(&view, in_force),
    }))
}

/// Keeps a person's word.
pub(super) async fn record(
    api: &Api,
    by: Actor,
    request: RecordRolloutRequest,
) -> Result<Option<Rollout>, Status> {
    let mut bad = Vec::new();
    decode::reason(&request.reason, &mut bad);
    let stage = decode::keep(name("stage", &request.stage), &mut bad);
    let criterion = decode::keep(name("criterion", &request.criterion), &mut bad);
    let verdict = decode::keep(verdict(request.verdict()), &mut bad);
    let (Some(stage), Some(criterion), Some(verdict), true) =
        (stage, criterion, verdict, bad.is_empty())
    else {
        return Err(errors::invalid(&bad));
    };
    let told = by.client.clone();
    let word = Word {
        stage,
        criterion,
        verdict,
        reason: request.reason,
    };
    let rolled = api
        .store
        .record_rollout(by, word, clock::now())
        .await
        .map_err(|error| errors::store("record_rollout", &error))?;
    done(rolled, stage)?;
    tracing::warn!(client_id = %told, %stage, %criterion, verdict = verdict.word(), "a person has recorded a word about the roll-out");
    get(api).await
}

/// Goes on to the next stage.
pub(super) async fn promote(
    api: &Api,
    by: Actor,
    request: PromoteRolloutRequest,
) -> Result<Option<Rollout>, Status> {
    let (to, told) = (asked(&request.stage, &request.reason)?, by.client.clone());
    let scraped = api.metrics.scraped_ago();
    let promoted = api
        .store
        .promote_rollout(by, to, request.reason, scraped, clock::now())
        .await;
    changed(api, "promote_rollout", promoted, to, &told)?;
    get(api).await
}

/// Goes back to an earlier stage.
pub(super) async fn roll_back(
    api: &Api,
    by: Actor,
    request: RollbackRolloutRequest,
) -> Result<Option<Rollout>, Status> {
    let (to, told) = (asked(&request.stage, &request.reason)?, by.client.clone());
    let rolled = api
        .store
        .roll_back(by, to, request.reason, clock::now())
        .await;
    changed(api, "rollback_rollout", rolled, to, &told)?;
    get(api).await
}

fn changed(
    api: &Api,
    operation: &'static str,
    rolled: Result<Rolled, StoreError>,
    to: Name,
    by: impl std::fmt::Display,
) -> Result<(), Status> {
    let rolled = rolled.map_err(|error| errors::store(operation, &error))?;
    done(rolled, to)?;
    api.metrics.rollout_stage(api.store.rollout_stage());
    tracing::warn!(client_id = %by, stage = %to, operation, "a stage of the roll-out is in force");
    Ok(())
}

fn done(rolled: Rolled, asked: Name) -> Result<(), Status> {
    match rolled {
        Rolled::Done => Ok(()),
        Rolled::None => Err(errors::rollout_forbids(
            "there is no roll-out: rollout.stages_path is not set, and the configured limits hold",
            None,
            &[],
        )),
        Rolled::OtherStage { here, could_be } => {
            let instead = match could_be {
                Some(name) if name == here => String::new(),
                Some(name) => format!("; from there it is {name}"),
                None => "; from there it goes nowhere".to_owned(),
            };
            let why = format!("{asked} cannot be asked for: the stage in force is {here}{instead}");
            Err(errors::rollout_forbids(&why, Some(here.as_str()), &[]))
        }
        Rolled::NoCriterion => Err(errors::rollout_forbids(
            &format!("stage {asked} has no such criterion: GetRollout lists them"),
            Some(asked.as_str()),
            &[],
        )),
        Rolled::Measured => Err(errors::rollout_forbids(
            "this criterion is measured: a person can override it, and not say that it holds or does not",
            Some(asked.as_str()),
            &[],
        )),
        Rolled::Unmet(unmet) => {
            let told: Vec<String> = unmet.iter().map(ToString::to_string).collect();
            let names: Vec<String> = unmet.iter().map(|judged| judged.name.to_string()).collect();
            let why = format!(
                "stage {asked} cannot begin: {}; each must hold, or be overridden with a reason",
                told.join("; ")
            );
            Err(errors::rollout_forbids(&why, None, &names))
        }
    }
}

fn asked(stage: &str, reason: &str) -> Result<Name, Status> {
    let mut bad = Vec::new();
    decode::reason(reason, &mut bad);
    match decode::keep(name("stage", stage), &mut bad) {
        Some(stage) if bad.is_empty() => Ok(stage),
        _ => Err(errors::invalid(&bad)),
    }
}

fn name(field: &'static str, text: &str) -> Result<Name, Violation> {
    Name::new(text).map_err(|error| Violation::malformed(field, format!("is no name: {error}")))
}

fn verdict(asked: RolloutVerdict) -> Result<Verdict, Violation> {
    match asked {
        RolloutVerdict::Passed => Ok(Verdict::Passed),
        RolloutVerdict::Failed => Ok(Verdict::Failed),
        RolloutVerdict::Override => Ok(Verdict::Override),
        RolloutVerdict::Unspecified => {
            let problem = "is required: PASSED, FAILED or OVERRIDE";
            Err(Violation::malformed("verdict", problem))
        }
    }
}

// === what is shown ===

fn shown(view: &RolloutView, in_force: Rollout) -> Rollout {
    let (stages, stage) = (&view.stages, &view.stage);
    let of = |other: Option<&paygate_payments::rollout::Stage>| {
        other
            .map(|other| other.name.to_string())
            .unwrap_or_default()
    };
    let unmet = view
        .judged
        .iter()
        .filter(|judged| !judged.outcome.lets_on());
    Rollout {
        stage: stage.name.to_string(),
        since: Some(view.since.timestamp()),
        next_stage: of(stages.after(stage.name)),
        previous_stage: of(stages.before(stage.name)),
        unmet_conditions: unmet.map(ToString::to_string).collect(),
        clients: stage
            .clients
            .iter()
            .flatten()
            .map(ToString::to_string)
            .collect(),
        issued_allowed: stage.issued,
        criteria: view
            .judged
            .iter()
            .map(|judged| criterion(view, judged))
            .collect(),
        history: view.history.iter().map(event).collect(),
        time_factor: stages.time_factor(),
        ..in_force
    }
}

fn criterion(view: &RolloutView, judged: &Judged) -> RolloutCriterion {
    let outcome = match judged.outcome {
        Outcome::Passed => RolloutOutcome::Passed,
        Outcome::Failed => RolloutOutcome::Failed,
        Outcome::Unsaid => RolloutOutcome::Unsaid,
        Outcome::Overridden => RolloutOutcome::Overridden,
    };
    let mut shown = RolloutCriterion {
        name: judged.name.to_string(),
        outcome: outcome.into(),
        measured: judged.measured.clone(),
        bar: judged.bar.clone(),
        ..RolloutCriterion::default()
    };
    if let Some(spoken) = view.words.get(&judged.name) {
        let verdict = match spoken.verdict {
            Verdict::Passed => RolloutVerdict::Passed,
            Verdict::Failed => RolloutVerdict::Failed,
            Verdict::Override => RolloutVerdict::Override,
        };
        shown.verdict = verdict.into();
        shown.recorded_by.clone_from(&spoken.by);
        shown.recorded_at = Some(spoken.at.timestamp());
        shown.reason.clone_from(&spoken.reason);
    }
    shown
}

fn event(line: &RolloutLine) -> RolloutEvent {
    RolloutEvent {
        sequence: line.sequence,
        time: Some(line.at.timestamp()),
        what: line.what.clone(),
        stage: line.stage.clone(),
        criterion: line.criterion.clone(),
        outcome: line.outcome.clone(),
        detail: line.detail.clone(),
        client_id: line.client.clone(),
        reason: line.reason.clone(),
    }
}
