//! The roll-out: what its stage is, what stands before the next one, and what a person does about it.
//!
//! Owns: the commands' arguments, the calls, and how a stage is shown. May not: judge a criterion; the gateway does.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use paygate_client::proto::{
    GetRolloutRequest, PromoteRolloutRequest, RecordRolloutRequest, RollbackRolloutRequest,
    Rollout as Stage, RolloutCriterion, RolloutEvent, RolloutOutcome, RolloutVerdict,
};
use paygate_client::{CallError, xrp_from_drops};
use serde_json::{Value, json};

use super::exit::Exit;
use super::failure::Asked;
use super::names;
use super::out::{Column, Out, Tone, clean, fields, note, table};
use super::run::Context;
use super::{json, show};

const HELP: &str = "\
Examples:
  paygatectl rollout show
  paygatectl --output json rollout show | jq -r '.unmet_conditions[]'
  paygatectl rollout record feedback-positive passed --reason 'support: 14 answers, none bad, ticket 4711'
  paygatectl rollout record error-rate override --reason 'both errors were a closed account of ours, ticket 4712'
  paygatectl rollout promote --reason 'the week is over, signed by treasury, ticket 4713'
  paygatectl rollout rollback --reason 'shop pays twice by itself, ticket 4714'

The gateway measures what it can; where only a person can say, it asks for a recorded word, passed or failed. Whatever does not hold can
be overridden, with a reason; both stay in the history and in the audit log for ever. Words count until the stage changes.

promote is refused (3) and names each criterion that neither holds nor is overridden. rollback acts at once: the next payment meets the
limits of the stage before. Payments that are stored go on.";

/// Lines of history that a person is shown; a script gets all that the gateway tells.
const LINES_SHOWN: usize = 12;

#[derive(Debug, Subcommand)]
#[command(after_help = HELP)]
pub(crate) enum Rollout {
    /// Show the stage in force, each criterion of the next one, and what happened lately.
    #[command(after_help = HELP)]
    Show,
    /// Record your word about one criterion.
    #[command(after_help = HELP)]
    Record(Record),
    /// Go on to the next stage.
    #[command(after_help = HELP)]
    Promote(Promote),
    /// Go back to an earlier stage, at once.
    #[command(after_help = HELP)]
    Rollback(Rollback),
}

#[derive(Debug, Args)]
pub(crate) struct Record {
    /// The criterion, as `show` lists it.
    criterion: String,
    /// What you say of it.
    #[arg(value_enum)]
    verdict: Verdict,
    /// Why, for the history and the audit log: at most 200 characters, not a secret.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    /// The stage that you speak of. [default: the one in force]
    #[arg(long)]
    stage: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Verdict {
    /// It holds, where only a person can say.
    Passed,
    /// It does not hold, where only a person can say.
    Failed,
    /// Go on although it does not hold.
    Override,
}

#[derive(Debug, Args)]
pub(crate) struct Promote {
    /// Why, for the history and the audit log: at most 200 characters, not a secret.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    /// The stage to reach. [default: the next one]
    #[arg(long)]
    to: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Why, for the history and the audit log: at most 200 characters, not a secret.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    /// The stage to reach. [default: the one before]
    #[arg(long)]
    to: Option<String>,
}

/// Does what is asked for, and shows the stage.
pub(crate) async fn rollout(context: &Context, asked: Rollout) -> Exit {
    let done = match asked {
        Rollout::Show => return shows(context, now(context).await, Asked::Read),
        Rollout::Record(asked) => record(context, asked).await,
        Rollout::Promote(asked) => promote(context, asked).await,
        Rollout::Rollback(asked) => roll_back(context, asked).await,
    };
    match done {
        Ok(answer) => shows(context, answer, Asked::Rollout),
        Err(exit) => exit,
    }
}

type Answer = Result<Stage, CallError>;

async fn now(context: &Context) -> Answer {
    let answer = context.client.rollout(GetRolloutRequest {}).await?;
    Ok(answer.rollout.unwrap_or_default())
}

async fn record(context: &Context, asked: Record) -> Result<Answer, Exit> {
    let stage = match asked.stage {
        Some(stage) => stage,
        None => named(context, |stage| stage.stage.clone(), "there is no roll-out").await?,
    };
    let verdict = match asked.verdict {
        Verdict::Passed => RolloutVerdict::Passed,
        Verdict::Failed => RolloutVerdict::Failed,
        Verdict::Override => RolloutVerdict::Override,
    };
    let request = RecordRolloutRequest {
        stage,
        criterion: asked.criterion,
        verdict: verdict.into(),
        reason: asked.reason,
    };
    let answer = context.client.record_rollout(request).await;
    Ok(answer.map(|answer| answer.rollout.unwrap_or_default()))
}

async fn promote(context: &Context, asked: Promote) -> Result<Answer, Exit> {
    let stage = match asked.to {
        Some(stage) => stage,
        None => {
            named(
                context,
                |stage| stage.next_stage.clone(),
                "there is no next stage",
            )
            .await?
        }
    };
    let reason = asked.reason;
    let request = PromoteRolloutRequest { stage, reason };
    let answer = context.client.promote_rollout(request).await;
    Ok(answer.map(|answer| answer.rollout.unwrap_or_default()))
}

async fn roll_back(context: &Context, asked: Rollback) -> Result<Answer, Exit> {
    let before = |stage: &Stage| stage.previous_stage.clone();
    let stage = match asked.to {
        Some(stage) => stage,
        None => named(context, before, "there is no stage before").await?,
    };
    let reason = asked.reason;
    let request = RollbackRolloutRequest { stage, reason };
    let answer = context.client.rollback_rollout(request).await;
    Ok(answer.map(|answer| answer.rollout.unwrap_or_default()))
}

/// The name that the gateway tells. Without one there is nothing to ask for, and nothing is sent.
async fn named(
    context: &Context,
    name: impl Fn(&Stage) -> String,
    without: &str,
) -> Result<String, Exit> {
    let stage = now(context)
        .await
        .map_err(|error| context.failed(&error, Asked::Read))?;
    match name(&stage).as_str() {
        "" => {
            let message = format!("{without}: nothing was changed");
            if context.out.is_json() {
                let error = json!({ "outcome": "REFUSED", "message": message });
                let object = json!({ "error": error });
                return Err(context.show(Exit::Refused, String::new, || object));
            }
            note(format_args!("paygatectl: {message}"));
            Err(Exit::Refused)
        }
        name => Ok(name.to_owned()),
    }
}

fn shows(context: &Context, answer: Answer, asked: Asked<'_>) -> Exit {
    match answer {
        Ok(stage) => context.show(Exit::Done, || text(context.out, &stage), || object(&stage)),
        Err(error) => context.failed(&error, asked),
    }
}

fn text(out: Out, stage: &Stage) -> String {
    let limits = format!(
        "{} XRP a payment, {} XRP a day",
        xrp_from_drops(stage.max_payment_drops),
        xrp_from_drops(stage.daily_limit_drops)
    );
    if stage.stage.is_empty() {
        return format!(
            "{}\n{}",
            out.paint(Tone::Plain, "no roll-out: the configured limits hold"),
            fields(&[("limits", limits)])
        );
    }
    let clients = match stage.clients.is_empty() {
        true => "all".to_owned(),
        false => clean(&stage.clients.join(", ")),
    };
    let compressed = match stage.time_factor {
        0 | 1 => String::new(),
        factor => format!("divided by {factor}: this is no earnest roll-out"),
    };
    let mut text = format!(
        "{}\n{}",
        out.paint(Tone::Good, &format!("stage {}", stage.stage)),
        fields(&[
            ("since", show::time(&stage.since)),
            ("limits", limits),
            ("clients", clients),
            (
                "pays",
                match stage.issued_allowed {
                    true => "XRP and issued currencies".to_owned(),
                    false => "XRP only".to_owned(),
                }
            ),
            ("time", compressed),
            ("before", clean(&stage.previous_stage)),
            ("next", clean(&stage.next_stage)),
        ])
    );
    if !stage.criteria.is_empty() {
        let columns = ["CRITERION", "STANDS", "MEASURED", "MUST BE", "SAID"];
        let columns = columns.map(|heading| Column {
            heading,
            right: false,
        });
        let rows: Vec<_> = stage.criteria.iter().map(row).collect();
        text.push('\n');
        text.push_str(&table(out, &columns, &rows));
    }
    text.push('\n');
    for event in stage.history.iter().take(LINES_SHOWN) {
        text.push_str(&out.paint(Tone::Dim, &line(event)));
        text.push('\n');
    }
    text
}

fn row(criterion: &RolloutCriterion) -> Vec<(Tone, String)> {
    let tone = match criterion.outcome() {
        RolloutOutcome::Passed => Tone::Good,
        RolloutOutcome::Failed => Tone::Bad,
        RolloutOutcome::Unsaid | RolloutOutcome::Overridden | RolloutOutcome::Unspecified => {
            Tone::Open
        }
    };
    let said = match criterion.recorded_by.as_str() {
        "" => String::new(),
        by => format!(
            "{} by {by}: {}",
            names::rollout_verdict(criterion.verdict),
            criterion.reason
        ),
    };
    let plain = |text: &str| (Tone::Plain, text.to_owned());
    vec![
        plain(&criterion.name),
        (tone, names::rollout_outcome(criterion.outcome)),
        plain(&criterion.measured),
        plain(&criterion.bar),
        plain(&said),
    ]
}

fn line(event: &RolloutEvent) -> String {
    let about = [&event.criterion, &event.outcome, &event.detail];
    let about: Vec<&str> = about
        .into_iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    let why = match event.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    format!(
        "{} {} {} {} by {}{why}",
        show::time(&event.time),
        event.stage,
        event.what,
        about.join(" "),
        event.client_id
    )
}

fn object(stage: &Stage) -> Value {
    json!({
        "stage": stage.stage,
        "since": json::time(&stage.since),
        "max_payment_drops": json::number(stage.max_payment_drops),
        "daily_limit_drops": json::number(stage.daily_limit_drops),
        "clients": stage.clients,
        "issued_allowed": stage.issued_allowed,
        "previous_stage": stage.previous_stage,
        "next_stage": stage.next_stage,
        "time_factor": stage.time_factor,
        "unmet_conditions": stage.unmet_conditions,
        "criteria": stage.criteria.iter().map(criterion_object).collect::<Vec<_>>(),
        "history": stage.history.iter().map(event_object).collect::<Vec<_>>(),
    })
}

fn criterion_object(criterion: &RolloutCriterion) -> Value {
    let said = match criterion.recorded_by.as_str() {
        "" => Value::Null,
        by => json!({
            "verdict": names::rollout_verdict(criterion.verdict),
            "by": by,
            "at": json::time(&criterion.recorded_at),
            "reason": criterion.reason,
        }),
    };
    json!({
        "name": criterion.name,
        "outcome": names::rollout_outcome(criterion.outcome),
        "measured": criterion.measured,
        "bar": criterion.bar,
        "said": said,
    })
}

fn event_object(event: &RolloutEvent) -> Value {
    json!({
        "sequence": json::number(event.sequence),
        "time": json::time(&event.time),
        "what": event.what,
        "stage": event.stage,
        "criterion": event.criterion,
        "outcome": event.outcome,
        "detail": event.detail,
        "client_id": event.client_id,
        "reason": event.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::super::out::PLAIN;
    use super::*;

    #[test]
    fn a_person_sees_what_stands_before_the_next_stage() {
        let stage = Stage {
            stage: "internal".into(),
            next_stage: "limited-beta".into(),
            max_payment_drops: 10_000_000,
            daily_limit_drops: 100_000_000,
            clients: vec!["ann".into()],
            time_factor: 1,
            criteria: vec![RolloutCriterion {
                name: "no-errors".into(),
                outcome: RolloutOutcome::Overridden.into(),
                measured: "1 of 7 payments".into(),
                bar: "at most 0".into(),
                verdict: RolloutVerdict::Override.into(),
                recorded_by: "ops".into(),
                reason: "a closed\u{7} account".into(),
                ..RolloutCriterion::default()
            }],
            ..Stage::default()
        };
        let shown = text(PLAIN, &stage);
        for part in [
            "stage internal",
            "10 XRP a payment, 100 XRP a day",
            "ann",
            "XRP only",
            "limited-beta",
            "no-errors",
            "OVERRIDDEN",
            "1 of 7 payments",
            "at most 0",
            "OVERRIDE by ops: a closed\\u{7} account",
        ] {
            assert!(shown.contains(part), "{part:?} is not in\n{shown}");
        }
        let none = text(PLAIN, &Stage::default());
        assert!(none.contains("no roll-out"), "{none}");
    }
}
