//! `paygatectl runbook`: the head of a runbook, and what the gateway says of everything that this runbook asks to be looked at.
//!
//! Owns: the gathering. Each answer, and each refusal to answer, is evidence. May not: change anything, or type a runbook's commands:
//! those are a person's.

mod table;

use std::time::SystemTime;

use paygate_client::CallError;
use paygate_client::proto::{ListAuditEntriesRequest, ListPaymentsRequest, Payment, PaymentState};
use serde_json::{Value, json};

use super::args::Runbook;
use super::exit::Exit;
use super::failure::{self, Asked};
use super::out::{Out, Tone, clean, note};
use super::run::{Context, numbers};
use super::{audit, json, show, status, timeline, wallet};
use table::{Ask, Entry, Payments};

/// Entries of the audit log that are shown.
const AUDIT_ENTRIES: i32 = 20;

/// Payments of a list that are shown.
const PAYMENTS_SHOWN: i32 = 20;

/// Payments of a page while the oldest is looked for.
const PAGE: i32 = 1000;

/// Pages that are turned at most: `limits.max_pending_payments` is far below what they hold.
const PAGES_MAX: u32 = 20;

/// Headings of a page whose text is shown.
const TRIGGER: &str = "Trigger";
const AT_RISK: &str = "Is money at risk?";

/// One thing that was looked at.
struct Found {
    asked: String,
    answer: Answer,
}

/// What came of it.
enum Answer {
    Shown {
        text: String,
        json: Value,
    },
    Failed(CallError),
    /// The gateway did not answer the call before.
    NotAsked,
}

/// Lists the runbooks, or gathers what one asks for.
pub(crate) async fn runbook(context: &Context, asked: &Runbook) -> Exit {
    let Some(name) = &asked.name else {
        return context.show(Exit::Done, || names_text(context.out), names_json);
    };
    let Some(entry) = table::find(name) else {
        note(format_args!(
            "paygatectl: there is no runbook {:?}; `paygatectl runbook` lists them",
            clean(name)
        ));
        return Exit::Usage;
    };
    let found = gather(context, entry).await;
    let exit = worst(&found);
    context.show(
        exit,
        || text(context, entry, &found),
        || document(context, entry, &found),
    )
}

// === gathering ===

/// Whoever does not answer once is not asked again: each call waits for as long as --timeout says.
async fn gather(context: &Context, entry: &Entry) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for ask in entry.asks {
        let silent = found.iter().any(|one| {
            matches!(
                one.answer,
                Answer::Failed(CallError::Unanswered(_)) | Answer::NotAsked
            )
        });
        let answer = if silent {
            Answer::NotAsked
        } else {
            look(context, *ask).await.unwrap_or_else(Answer::Failed)
        };
        found.push(Found {
            asked: ask.words(),
            answer,
        });
    }
    found
}

async fn look(context: &Context, ask: Ask) -> Result<Answer, CallError> {
    let (client, out) = (&context.client, context.out);
    Ok(match ask {
        Ask::Status => {
            let answer = client.status().await?;
            shown(status::text(out, &answer), status::json(&answer))
        }
        Ask::Wallet => {
            let answer = client.wallet().await?;
            shown(wallet::text(out, &answer), wallet::json(&answer))
        }
        Ask::People => {
            let mut page = client
                .audit_entries(ListAuditEntriesRequest {
                    page_size: AUDIT_ENTRIES,
                    ..ListAuditEntriesRequest::default()
                })
                .await?;
            page.entries.reverse();
            shown(audit::text(out, &page.entries), audit::page_json(&page))
        }
        Ask::List(payments) => {
            let request = ListPaymentsRequest {
                page_size: PAYMENTS_SHOWN,
                ..listed(&payments)
            };
            let page = client.list_payments(request).await?;
            shown(show::page(out, &page), json::page(&page))
        }
        Ask::Oldest(states) => match oldest(context, states).await? {
            None => shown("no such payment\n".to_owned(), Value::Null),
            Some(payment) => {
                let explained = client
                    .explain_payment(&payment.payment_id, &payment.client_id)
                    .await?;
                shown(
                    timeline::timeline(out, &explained),
                    json::explained(&explained),
                )
            }
        },
    })
}

fn shown(text: String, json: Value) -> Answer {
    Answer::Shown { text, json }
}

fn listed(payments: &Payments) -> ListPaymentsRequest {
    let since = payments.since.map(|since| SystemTime::now() - since);
    ListPaymentsRequest {
        states: numbers(payments.states),
        create_time_from: since.map(Into::into),
        ..ListPaymentsRequest::default()
    }
}

/// Lists are newest first, so it is the last one of the last page.
async fn oldest(
    context: &Context,
    states: &'static [PaymentState],
) -> Result<Option<Payment>, CallError> {
    let mut request = ListPaymentsRequest {
        page_size: PAGE,
        states: numbers(states),
        ..ListPaymentsRequest::default()
    };
    let mut oldest = None;
    for _ in 0..PAGES_MAX {
        let mut page = context.client.list_payments(request.clone()).await?;
        oldest = page.payments.pop().or(oldest);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Ok(oldest)
}

/// 0 only if everything was answered.
fn worst(found: &[Found]) -> Exit {
    found
        .iter()
        .fold(Exit::Done, |exit, one| match &one.answer {
            Answer::Shown { .. } => exit,
            Answer::NotAsked => Exit::Undecided,
            Answer::Failed(error) if exit == Exit::Done => Exit::of_error(error),
            Answer::Failed(_) => exit,
        })
}

// === showing ===

fn text(context: &Context, entry: &Entry, found: &[Found]) -> String {
    let out = context.out;
    let mut text = format!("{}\n", out.paint(Tone::Open, &entry.title()));
    for heading in [TRIGGER, AT_RISK] {
        if let Some(words) = entry.section(heading) {
            text.push_str(&format!("\n{heading}\n  {}\n", clean(&words)));
        }
    }
    text.push_str(&format!("\nThe steps are in runbooks/{}.md.\n", entry.name));
    for one in found {
        text.push_str(&format!(
            "\n{}\n",
            out.paint(Tone::Dim, &format!("=== {} ===", one.asked))
        ));
        text.push_str(&match &one.answer {
            Answer::Shown { text, .. } => text.clone(),
            Answer::Failed(error) => {
                let words = failure::text(error, Asked::Read, &context.trace_id);
                format!("{words}\n")
            }
            Answer::NotAsked => "not asked: the gateway did not answer before\n".to_owned(),
        });
    }
    text
}

fn document(context: &Context, entry: &Entry, found: &[Found]) -> Value {
    let evidence = found.iter().map(|one| {
        let (answer, error) = match &one.answer {
            Answer::Shown { json, .. } => (json.clone(), Value::Null),
            Answer::Failed(error) => {
                let shown = json::error(error, None, &context.trace_id);
                (Value::Null, shown["error"].clone())
            }
            Answer::NotAsked => (Value::Null, json!({ "outcome": "NOT_ASKED" })),
        };
        json!({ "asked": one.asked, "answer": answer, "error": error })
    });
    json!({
        "runbook": entry.name,
        "title": entry.title(),
        "trigger": entry.section(TRIGGER),
        "money_at_risk": entry.section(AT_RISK),
        "evidence": evidence.collect::<Vec<_>>(),
    })
}

fn names_text(out: Out) -> String {
    let width = table::RUNBOOKS.iter().map(|entry| entry.name.len()).max();
    let width = width.unwrap_or_default();
    table::RUNBOOKS
        .iter()
        .map(|entry| {
            let gap = " ".repeat(width - entry.name.len());
            let when = out.paint(Tone::Dim, &entry.title());
            format!("{}{gap}  {when}\n", entry.name)
        })
        .collect()
}

fn names_json() -> Value {
    let names = table::RUNBOOKS
        .iter()
        .map(|entry| json!({ "runbook": entry.name, "title": entry.title() }));
    json!({ "runbooks": names.collect::<Vec<_>>() })
}
