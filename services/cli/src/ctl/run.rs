//! From the command line to the calls.
//!
//! Owns: which command does what, the trace, Ctrl-C. May not: hide an error, or end with 0 after one.

use std::io;
use std::time::{Duration, SystemTime};

use clap::CommandFactory as _;
use paygate_client::proto::{ListPaymentsRequest, PaymentState};
use paygate_client::{CallError, Client, Identity, Refusal, Settings, TraceParent, random_trace};

use super::args::{Batch, Cli, Command, Common, List, One};
use super::exit::Exit;
use super::failure::{self, Asked};
use super::out::{Out, WriteError, clean, note, print};
use super::{
    announce, approvals, audit, batch, export, json, pause, pay, reconcile, rollout, runbook, show,
    status, timeline, token, unfreeze, wallet, watch,
};

/// One attempt of a call: short against the whole time, so that a gateway that restarts is found by the next one.
const ATTEMPT_MAX: Duration = Duration::from_secs(5);

/// What all commands work with.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) out: Out,
    pub(crate) trace_id: String,
}

/// Runs the command.
pub(crate) async fn run(cli: Cli) -> Exit {
    if let Command::Completions { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "paygatectl", &mut script);
        return written(print(&String::from_utf8_lossy(&script)), Exit::Done);
    }
    if let Command::Token(asked) = &cli.command {
        return token::run(asked);
    }
    let context = match context(&cli.common) {
        Ok(context) => context,
        Err(error) => {
            note(format_args!("paygatectl: {error}"));
            return Exit::Usage;
        }
    };
    match cli.command {
        Command::Pay(asked) => pay::pay(&context, asked).await,
        Command::Cancel(asked) => pay::cancel(&context, &asked).await,
        Command::Batch(Batch::Pay(asked)) => batch::pay(&context, asked).await,
        Command::Export(asked) => export::export(&context, asked).await,
        Command::Reconcile(asked) => reconcile::reconcile(&context, asked).await,
        Command::Unfreeze(asked) => unfreeze::unfreeze(&context, asked).await,
        Command::Announce(asked) => announce::announce(&context, asked).await,
        Command::Pause(asked) => pause::pause(&context, asked).await,
        Command::Resume(asked) => pause::resume(&context, asked).await,
        Command::Approvals(asked) => approvals::list(&context, asked).await,
        Command::Approve(asked) => approvals::approve(&context, asked).await,
        Command::Reject(asked) => approvals::reject(&context, asked).await,
        Command::Audit(asked) => audit::audit(&context, asked).await,
        Command::Rollout(asked) => rollout::rollout(&context, asked).await,
        Command::Runbook(asked) => runbook::runbook(&context, &asked).await,
        Command::Watch(asked) => watch::watch(&context, asked).await,
        Command::Get(one) => get(&context, &one).await,
        Command::Explain(one) => explain(&context, &one).await,
        Command::List(asked) => list(&context, asked).await,
        Command::Wallet => match context.client.wallet().await {
            Ok(answer) => context.show(
                Exit::Done,
                || wallet::text(context.out, &answer),
                || wallet::json(&answer),
            ),
            Err(error) => context.failed(&error, Asked::Read),
        },
        Command::Status => match context.client.status().await {
            Ok(answer) => context.show(
                Exit::Done,
                || status::text(context.out, &answer),
                || status::json(&answer),
            ),
            Err(error) => context.failed(&error, Asked::Read),
        },
        Command::Completions { .. } | Command::Token(_) => Exit::Done,
    }
}

fn context(common: &Common) -> Result<Context, Box<dyn std::error::Error>> {
    let trace = trace()?;
    let trace_id = trace.trace_id().to_owned();
    let settings = Settings {
        attempt_timeout: common.timeout.min(ATTEMPT_MAX),
        total_timeout: common.timeout,
        on_repeat: tell_repeat,
    };
    let identity = Identity {
        ca_file: common.tls_ca.clone(),
        cert_file: common.cert.clone(),
        key_file: common.key.clone(),
        token_file: common.token_file.clone(),
    };
    let client = Client::with_identity(&common.endpoint, &identity)?
        .with_settings(settings)
        .with_trace(trace);
    Ok(Context {
        client,
        out: Out::new(common.output),
        trace_id,
    })
}

/// The caller's trace, or a new one. A malformed one counts as none, as W3C has it.
fn trace() -> io::Result<TraceParent> {
    let given = std::env::var("TRACEPARENT")
        .ok()
        .and_then(|text| text.parse().ok());
    given.map_or_else(random_trace, Ok)
}

/// A person who waits is told why, once for each time the wait doubles.
fn tell_repeat(attempts: u32, last: &Refusal) {
    if attempts.is_power_of_two() {
        note(format_args!(
            "no answer yet, trying again: {}",
            clean(&last.to_string())
        ));
    }
}

impl Context {
    /// Shows a result and ends as given.
    pub(crate) fn show(
        &self,
        exit: Exit,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> serde_json::Value,
    ) -> Exit {
        written(self.out.result(text, json), exit)
    }

    /// Shows an error and ends as it says.
    pub(crate) fn failed(&self, error: &CallError, asked: Asked<'_>) -> Exit {
        let exit = Exit::of_error(error);
        if self.out.is_json() {
            let json = json::error(error, asked.payment_id(), &self.trace_id);
            return written(print(&format!("{json}\n")), exit);
        }
        note(format_args!(
            "paygatectl: {}",
            failure::text(error, asked, &self.trace_id)
        ));
        exit
    }
}

/// A reader that went away, as `head` does, is no error. What was learnt about a payment stands in either case.
pub(crate) fn written(result: Result<(), WriteError>, exit: Exit) -> Exit {
    match result {
        Ok(()) => exit,
        Err(WriteError(error)) if error.kind() == io::ErrorKind::BrokenPipe => exit,
        Err(error) => {
            note(format_args!("paygatectl: {error}"));
            if exit == Exit::Done {
                Exit::Undecided
            } else {
                exit
            }
        }
    }
}

async fn get(context: &Context, one: &One) -> Exit {
    match context
        .client
        .get_payment(&one.payment_id, &one.client)
        .await
    {
        Ok(payment) => context.show(
            Exit::of_payment(&payment),
            || show::payment(context.out, &payment),
            || json::payment(&payment),
        ),
        Err(error) => context.failed(
            &error,
            Asked::Look {
                payment_id: &one.payment_id,
            },
        ),
    }
}

async fn explain(context: &Context, one: &One) -> Exit {
    match context
        .client
        .explain_payment(&one.payment_id, &one.client)
        .await
    {
        Ok(explained) => context.show(
            Exit::Done,
            || timeline::timeline(context.out, &explained),
            || json::explained(&explained),
        ),
        Err(error) => context.failed(
            &error,
            Asked::Look {
                payment_id: &one.payment_id,
            },
        ),
    }
}

async fn list(context: &Context, asked: List) -> Exit {
    let now = SystemTime::now();
    let mut request = ListPaymentsRequest {
        page_size: asked.limit,
        page_token: asked.page_token,
        states: numbers(&asked.state),
        client_id: asked.client,
        create_time_from: asked.since.map(|since| since.ago(now)),
        create_time_before: asked.before.map(|before| before.ago(now)),
    };
    loop {
        let page = match context.client.list_payments(request.clone()).await {
            Ok(page) => page,
            Err(error) => return context.failed(&error, Asked::Read),
        };
        if let Err(error) = context
            .out
            .result(|| show::page(context.out, &page), || json::page(&page))
        {
            return written(Err(error), Exit::Done);
        }
        if page.next_page_token.is_empty() {
            return Exit::Done;
        }
        if !asked.all {
            if !context.out.is_json() {
                note(format_args!(
                    "there are more: --all, or go on with --page-token {}",
                    clean(&page.next_page_token)
                ));
            }
            return Exit::Done;
        }
        request.page_token = page.next_page_token;
    }
}

pub(crate) fn numbers(states: &[PaymentState]) -> Vec<i32> {
    states.iter().map(|state| i32::from(*state)).collect()
}
