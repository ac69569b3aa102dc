//! One call, tried until there is an answer that settles it or its time is over.
//!
//! Owns: the deadline of an attempt, the deadline of all, the pauses between. May not: change the request between attempts.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tonic::{Response, Status};

use crate::client::Settings;
use crate::error::{CallError, Meaning, Refusal, Unanswered, meaning};

/// Pause after the first attempt; it doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// Longest pause: a gateway that comes back is found within it.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What repeating a call can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It changes nothing: the last answer counts.
    Read,
    /// It may have changed something without an answer, and then a later refusal does not mean that it has not.
    Write,
}

/// Tries until there is an answer that settles it. `attempt` is given the time that it has.
pub(crate) async fn repeat<T, F>(
    kind: Kind,
    settings: &Settings,
    total: Duration,
    mut attempt: impl FnMut(Duration) -> F,
) -> Result<T, CallError>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let deadline = Instant::now() + total;
    let (mut attempts, mut reached, mut unknown) = (0, false, false);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let time = settings.attempt_timeout.min(left);
        let answered = timeout(time, pin!(attempt(time))).await;
        let status = match answered {
            Ok(Ok(response)) => return Ok(response.into_inner()),
            Ok(Err(status)) => status,
            Err(_) => {
                Status::deadline_exceeded(format!("no answer within {} ms", time.as_millis()))
            }
        };
        attempts += 1;
        let last = Refusal::from_status(&status);
        let meaning = meaning(&status);
        reached |= meaning != Meaning::NotSent;
        unknown |= meaning == Meaning::Unknown;
        // Without a reason of ours it comes from something in between, which cannot know what is stored.
        let own = !last.reason.is_empty();
        let settled = match (meaning, kind) {
            (Meaning::Refused | Meaning::RefusedForGood, Kind::Read) => true,
            (Meaning::RefusedForGood, Kind::Write) => own,
            (Meaning::Refused, Kind::Write) => own && !unknown,
            (Meaning::NotSent | Meaning::Unknown, _) => false,
        };
        if settled {
            return Err(CallError::Refused(Box::new(last)));
        }
        let pause = last.retry_after.unwrap_or_else(|| pause_after(attempts));
        // A refusal that settles nothing comes again: a person has to look the payment up.
        let refused = matches!(meaning, Meaning::Refused | Meaning::RefusedForGood);
        if refused || Instant::now() + pause >= deadline {
            let unanswered = Unanswered {
                attempts,
                reached,
                last,
            };
            return Err(CallError::Unanswered(Box::new(unanswered)));
        }
        (settings.on_repeat)(attempts, &last);
        sleep(pause).await;
    }
}

/// Doubling, with a random part, so that the clients of a gateway that restarts do not come all at once.
pub(crate) fn pause_after(attempts: u32) -> Duration {
    let doubled = PAUSE_FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(10));
    let longest = doubled.min(PAUSE_MAX);
    // The keys of each RandomState differ: enough for a pause.
    let random =
        u32::try_from(RandomState::new().build_hasher().finish() % 512).unwrap_or_default();
    longest / 2 + longest / 1024 * random
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_growing() {
        for (attempts, longest) in [(1, 100), (2, 200), (5, 1600), (6, 2000), (u32::MAX, 2000)] {
            let pause = pause_after(attempts);
            let longest = Duration::from_millis(longest);
            assert!(
                pause >= longest / 2 && pause <= longest,
                "{attempts}: {pause:?}"
            );
        }
    }
}
