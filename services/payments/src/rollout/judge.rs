//! Whether a stage has shown what it was to show: each criterion, with the number and the bar.
//!
//! Owns: the judgement. May not: measure, read a clock, or take a person's word for what is measured: a person can only override it, and
//! that shows. Nothing here touches a payment: it decides who may be let in next.

use std::fmt;
use std::time::Duration;

use super::{Name, Stage, Stages};

/// One hundred percent in millionths.
const WHOLE_PPM: u128 = 1_000_000;

/// One percent in millionths.
const PERCENT_PPM: u128 = 10_000;

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criterion {
    /// Its name, one in its stage.
    pub name: Name,
    /// How it is told.
    pub measure: Measure,
}

/// How a criterion is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Payments of the stage that went wrong.
    Errors {
        /// At most so many.
        at_most: u64,
    },
    /// Their share of all that have ended or went wrong.
    ErrorRate {
        /// Below so many millionths.
        below_ppm: u32,
        /// A share says something only of so many payments.
        at_least: u64,
    },
    /// Every payment of the stage is PAID, those aside that their own client has taken back or that nobody approved.
    Confirmed {
        /// At least so many.
        at_least: u64,
    },
    /// No payment of the stage took longer until it was PAID, or waits longer.
    ConfirmedWithin {
        /// So long.
        within: Duration,
        /// At least so many.
        at_least: u64,
    },
    /// Payments of the stage that are PAID: it has carried some load.
    Load {
        /// At least so many.
        at_least: u64,
    },
    /// Freezes and quarantines that began in the stage, or stand.
    Incidents {
        /// At most so many.
        at_most: u64,
    },
    /// Metrics are read by somebody.
    Scraped {
        /// The last time was not longer ago.
        within: Duration,
    },
    /// Only a person can say.
    Person,
}

/// What was measured of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// How long it lasts already.
    pub lasted: Duration,
    /// What became of its payments.
    pub payments: Payments,
    /// Freezes and quarantines that began in it.
    pub incidents: u64,
    /// Sending is frozen or in quarantine now.
    pub standstill: bool,
    /// How long ago metrics were read. `None`: not since the process started.
    pub scraped: Option<Duration>,
}

/// What became of the payments that were stored in a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payments {
    /// All of them.
    pub stored: u64,
    /// PAID.
    pub paid: u64,
    /// FAILED.
    pub failed: u64,
    /// EXPIRED though nobody had to approve them, or somebody did.
    pub expired: u64,
    /// REJECTED, and not by an approver.
    pub rejected: u64,
    /// ON_HOLD.
    pub on_hold: u64,
    /// ACCEPTED or AT_LARGE.
    pub open: u64,
    /// The longest that one took until it was PAID, from when it was stored or approved.
    pub slowest: Duration,
    /// The longest that one waits that is open or on hold.
    pub oldest: Duration,
}

/// What a person has recorded of a criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds. Only where nobody else can say.
    Passed,
    /// It does not hold. Likewise.
    Failed,
    /// Go on all the same.
    Override,
}

/// How a criterion stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed,
    /// A person has to say.
    Unsaid,
    /// It does not hold, and a person has recorded that the roll-out goes on all the same.
    Overridden,
}

/// A criterion, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Its name.
    pub name: Name,
    /// How it stands.
    pub outcome: Outcome,
    /// What was measured, in words with its numbers.
    pub measured: String,
    /// What it must be.
    pub bar: String,
}

/// Judges every criterion of a stage, its least duration first. The last stage has none. `word` is what a person has recorded of a
/// criterion since the stage began.
#[must_use]
pub fn judge(
    stages: &Stages,
    stage: &Stage,
    evidence: &Evidence,
    word: impl Fn(Name) -> Option<Verdict>,
) -> Vec<Judged> {
    if stages.after(stage.name).is_none() {
        return Vec::new();
    }
    let least = stages.least(stage);
    let duration = Told {
        holds: Some(evidence.lasted >= least),
        measured: span(evidence.lasted),
        bar: format!("at least {}", span(least)),
    };
    let all = std::iter::once((Name::duration(), duration)).chain(
        stage
            .criteria
            .iter()
            .map(|criterion| (criterion.name, criterion.measure.tell(evidence))),
    );
    all.map(|(name, told)| told.judged(name, word(name)))
        .collect()
}

/// Whether the next stage may begin.
#[must_use]
pub fn may_go_on(judged: &[Judged]) -> bool {
    judged.iter().all(|judged| judged.outcome.lets_on())
}

/// Whether a word of a person about this criterion says something. What is measured can be overridden, and not be said to hold.
#[must_use]
pub fn may_say(stage: &Stage, criterion: Name, verdict: Verdict) -> Option<bool> {
    if criterion == Name::duration() {
        return Some(verdict == Verdict::Override);
    }
    let found = stage
        .criteria
        .iter()
        .find(|known| known.name == criterion)?;
    Some(verdict == Verdict::Override || found.measure == Measure::Person)
}

/// What a measure shows. `holds` is `None` where a person has to say.
struct Told {
    holds: Option<bool>,
    measured: String,
    bar: String,
}

impl Told {
    fn judged(self, name: Name, word: Option<Verdict>) -> Judged {
        let outcome = match (self.holds, word) {
            (Some(true), _) | (None, Some(Verdict::Passed)) => Outcome::Passed,
            (_, Some(Verdict::Override)) => Outcome::Overridden,
            (Some(false), _) | (None, Some(Verdict::Failed)) => Outcome::Failed,
            (None, None) => Outcome::Unsaid,
        };
        Judged {
            name,
            outcome,
            measured: self.measured,
            bar: self.bar,
        }
    }
}

impl Measure {
    fn tell(self, evidence: &Evidence) -> Told {
        let payments = &evidence.payments;
        let told = |holds, measured, bar| Told {
            holds: Some(holds),
            measured,
            bar,
        };
        match self {
            Self::Errors { at_most } => told(
                payments.errors() <= at_most,
                payments.told_errors(),
                format!("at most {at_most}"),
            ),
            Self::ErrorRate {
                below_ppm,
                at_least,
            } => payments.tell_rate(below_ppm, at_least),
            Self::Confirmed { at_least } => {
                let missing = payments.errors().saturating_add(payments.open);
                told(
                    missing == 0 && payments.paid >= at_least,
                    format!("{} PAID, {missing} not", payments.paid),
                    format!("all, and at least {at_least}"),
                )
            }
            Self::ConfirmedWithin { within, at_least } => told(
                payments.slowest <= within
                    && payments.oldest <= within
                    && payments.paid >= at_least,
                format!(
                    "{} PAID, the slowest after {}, the oldest that is open waits {}",
                    payments.paid,
                    span(payments.slowest),
                    span(payments.oldest)
                ),
                format!("all within {}, and at least {at_least}", span(within)),
            ),
            Self::Load { at_least } => told(
                payments.paid >= at_least,
                format!("{} PAID", payments.paid),
                format!("at least {at_least}"),
            ),
            Self::Incidents { at_most } => {
                let stands = if evidence.standstill {
                    ", and sending stands still now"
                } else {
                    ""
                };
                told(
                    evidence.incidents <= at_most && !evidence.standstill,
                    format!("{} freezes and quarantines{stands}", evidence.incidents),
                    format!("at most {at_most}, and none now"),
                )
            }
            Self::Scraped { within } => told(
                evidence.scraped.is_some_and(|ago| ago <= within),
                evidence.scraped.map_or_else(
                    || "never since the start".to_owned(),
                    |ago| format!("{} ago", span(ago)),
                ),
                format!("within {}", span(within)),
            ),
            Self::Person => Told {
                holds: None,
                measured: String::new(),
                bar: "a person's word".to_owned(),
            },
        }
    }
}

impl Payments {
    /// Those that went wrong.
    #[must_use]
    pub fn errors(&self) -> u64 {
        [self.failed, self.expired, self.rejected, self.on_hold]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    fn told_errors(&self) -> String {
        format!(
            "{} of {} payments ({} FAILED, {} EXPIRED, {} REJECTED, {} ON_HOLD)",
            self.errors(),
            self.stored,
            self.failed,
            self.expired,
            self.rejected,
            self.on_hold
        )
    }

    fn tell_rate(&self, below_ppm: u32, at_least: u64) -> Told {
        let errors = u128::from(self.errors());
        let all = errors + u128::from(self.paid);
        // Compared as whole numbers, so that nothing is rounded: errors / all < below / 1000000.
        let below = errors * WHOLE_PPM < all * u128::from(below_ppm);
        let rate = (errors * WHOLE_PPM)
            .checked_div(all)
            .map_or_else(|| "none".to_owned(), percent);
        Told {
            holds: Some(below && all >= u128::from(at_least)),
            measured: format!("{errors} of {all} ({rate})"),
            bar: format!(
                "below {}, of at least {at_least}",
                percent(u128::from(below_ppm))
            ),
        }
    }
}

impl Outcome {
    /// Whether it lets the next stage begin.
    #[must_use]
    pub fn lets_on(self) -> bool {
        matches!(self, Self::Passed | Self::Overridden)
    }

    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Unsaid => "unsaid",
            Self::Overridden => "overridden",
        }
    }
}

impl Verdict {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Override => "override",
        }
    }

    /// The verdict of this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Passed, Self::Failed, Self::Override]
            .into_iter()
            .find(|verdict| verdict.word() == word)
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.outcome.word())?;
        match self.measured.as_str() {
            "" => write!(f, " ({})", self.bar),
            measured => write!(f, " ({measured}; {})", self.bar),
        }
    }
}

/// `0.25 %`.
fn percent(ppm: u128) -> String {
    let (whole, rest) = (ppm / PERCENT_PPM, ppm % PERCENT_PPM);
    match rest {
        0 => format!("{whole} %"),
        rest => format!("{whole}.{} %", format!("{rest:04}").trim_end_matches('0')),
    }
}

/// `26 h 3 min`, `2 min`, `1.5 s`: as a person reads it.
fn span(span: Duration) -> String {
    let (hours, minutes, seconds) = (
        span.as_secs() / 3600,
        span.as_secs() / 60 % 60,
        span.as_secs() % 60,
    );
    match (hours, minutes, seconds) {
        (0, 0, seconds) => match span.subsec_millis() {
            0 => format!("{seconds} s"),
            millis => format!("{seconds}.{millis:03} s"),
        },
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
