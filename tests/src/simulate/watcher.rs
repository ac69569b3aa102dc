//! Somebody who watches all payments of a day: takes the changes in the order of commits, loses the connection now and then, and goes on
//! from the cursor that he kept.
//!
//! Owns: what a watcher is told, as facts. May not: ask for a payment by its id, or pass over a change because another one said the same.

use std::sync::Arc;
use std::time::Duration;

use paygate::store::{Changes, Position, StoreError, WatchFilter};

use super::clients::{Clerk, Counter, Desk, standing};
use super::facts::{Fact, Telling};
use super::seed::Draws;

/// He looks for changes at least so often.
const PAUSE_MAX_MS: u64 = 4_000;

/// How often of a thousand looks he is cut off and goes on from a cursor that is one answer old.
const CUT_PERMILLE: u64 = 100;

/// Watches until he is ended.
pub async fn watch(desk: Desk, clerk: Clerk, mut draws: Draws) {
    // Newest last. What an older one showed is shown again.
    let mut kept = [None, None];
    loop {
        let from = match draws.permille(CUT_PERMILLE) {
            true => kept[0].clone(),
            false => kept[1].clone(),
        };
        let asked = desk.ask(|counter| look(counter, from.clone())).await;
        let at_end = match asked {
            Ok(changes) => {
                let [_, newest] = kept;
                kept = [newest, Some(changes.position.cursor())];
                tell(&clerk, &changes);
                changes.at_end
            }
            // Documented: the cursor is of another store, and one watches from the beginning.
            Err(StoreError::WatchCursor(_)) => {
                kept = [None, None];
                true
            }
            Err(err) => {
                (clerk.complaint)(format!("changes were asked for, and it fails: {err}"));
                true
            }
        };
        if at_end {
            let pause = 1 + draws.below(PAUSE_MAX_MS);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
}

async fn look(counter: Counter, from: Option<String>) -> Result<Changes, StoreError> {
    let position = match from {
        None => Position::BEGINNING,
        Some(cursor) => counter.store.position_of(cursor).await?,
    };
    let everything = Arc::new(WatchFilter::default());
    counter.store.changes(position, everything).await
}

fn tell(clerk: &Clerk, changes: &Changes) {
    for change in &changes.changes {
        let state = standing(&change.record);
        (clerk.facts)(Fact::Told(Telling {
            key: change.record.payment.intent.key.to_string(),
            state,
            safe_to_repay: state.is_final() && state.is_unpaid(),
            by_watch: true,
        }));
    }
}
