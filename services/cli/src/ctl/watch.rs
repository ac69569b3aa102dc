//! Following changes.
//!
//! Owns: what is printed for each, and the cursor to go on with. May not: print a cursor before its change.

use paygate_client::proto::WatchPaymentsRequest;
use tokio::signal::ctrl_c;

use super::args::Watch;
use super::exit::Exit;
use super::failure::Asked;
use super::out::{clean, note};
use super::run::{Context, numbers, written};
use super::{json, show};

/// Prints changes until Ctrl-C, `--count`, or an error that repeating does not mend.
pub(crate) async fn watch(context: &Context, asked: Watch) -> Exit {
    let request = WatchPaymentsRequest {
        cursor: asked.cursor,
        client_id: asked.client,
        states: numbers(&asked.state),
    };
    let mut watch = context.client.watch_payments(request);
    let mut left = asked.count.unwrap_or(u64::MAX);
    let exit = loop {
        if left == 0 {
            break Exit::Done;
        }
        let next = tokio::select! {
            next = watch.next() => next,
            _ = ctrl_c() => break Exit::Done,
        };
        match next {
            Ok(change) => {
                left -= 1;
                let shown = context.out.result(
                    || show::change(context.out, &change),
                    || json::change(&change),
                );
                if shown.is_err() {
                    break written(shown, Exit::Done);
                }
            }
            Err(error) => break context.failed(&error, Asked::Watch),
        }
    };
    if !watch.cursor().is_empty() && !context.out.is_json() {
        note(format_args!(
            "go on with: paygatectl watch --cursor {}",
            clean(watch.cursor())
        ));
    }
    exit
}
