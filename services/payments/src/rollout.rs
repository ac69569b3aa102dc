//! Stages of a roll-out: how much is let in, of whom, until a person goes on to the next one.
//!
//! Owns: what a stage is, the order of stages, and how a stage and the configured limits make the limits in force: the smaller of both
//! holds. May not: raise a configured limit, or decide about a payment that is stored. `judge` says what stands between two stages.

#![expect(
    clippy::result_large_err,
    reason = "a refusal names amounts with their assets; it is rare, and copied once"
)]

pub mod judge;

use std::fmt;
use std::time::Duration;

use xrpl_tx::{Amount, Asset, Drops};

use crate::intent::{Id, Intent};
use crate::limits::{Limits, OverLimit};

use judge::Criterion;

/// Letters of the name of a stage or a criterion: short, so that a refusal that names it is copied like a number.
pub const NAME_LETTERS_MAX: usize = 24;

/// Stages of a roll-out: more steps are no smaller steps.
pub const STAGES_MAX: usize = 8;

/// Criteria of one stage: as many as a person reads.
pub const CRITERIA_MAX: usize = 16;

/// The criterion that every stage but the last one has: it has lasted long enough.
pub const DURATION: &str = "duration";

/// The name of a stage or of a criterion: 1 to 24 of `a-z`, `0-9` and `-`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    letters: [u8; NAME_LETTERS_MAX],
    length: u8,
}

/// A text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAName;

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub name: Name,
    /// Largest amount of one payment in XRP. `None`: the configured one.
    pub payment_max: Option<Drops>,
    /// Largest sum of payments in XRP within any 24 hours. `None`: the configured one.
    pub day_max: Option<Drops>,
    /// Who may pay. `None`: everybody who may call.
    pub clients: Option<Vec<Id>>,
    /// Whether issued currencies may be paid, within their configured limits: a stage has no limits of its own for them.
    pub issued: bool,
    /// How long it lasts at least.
    pub lasts: Duration,
    /// What must hold beside that before the next one begins.
    pub criteria: Vec<Criterion>,
}

/// The stages in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stages {
    stages: Vec<Stage>,
    time_factor: u32,
}

/// Why stages make no roll-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotStages {
    /// None, or too many.
    Count(usize),
    /// Two have this name.
    Twice(Name),
    /// The stage has too many criteria.
    Criteria(Name, usize),
    /// The stage has two criteria of this name, or one that is named as the criterion that every stage has.
    Criterion(Name, Name),
    /// The largest payment of the stage is above the sum of its day.
    PaymentAboveDay(Name),
    /// The stage lets more through than the one after it.
    MoreThanNext(Name),
    /// The stage is not the last one and needs no time.
    NoTime(Name),
    /// The last one asks for something, and nothing comes after it.
    LastAsks(Name),
    /// The stage lists clients and names none.
    NoClients(Name),
    /// Time cannot be divided by nothing.
    TimeFactor,
}

/// What of a stage is in force, beside the limits of [`Limits`] that it has lowered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageRules {
    /// Its name.
    pub name: Name,
    /// The largest payment is the stage's and not the configured one.
    pub binds_payment: bool,
    /// The same of the sum of a day.
    pub binds_day: bool,
    /// Who may pay. `None`: everybody who may call.
    pub clients: Option<Vec<Id>>,
    /// Whether issued currencies may be paid.
    pub issued: bool,
}

/// Why the stage does not let a payment in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverStage {
    /// The client is none of the stage's.
    Client {
        /// Which stage.
        stage: Name,
    },
    /// The stage lets XRP in only.
    Issued {
        /// Which stage.
        stage: Name,
        /// What was asked for.
        asset: Asset,
    },
    /// The amount is too large.
    Payment {
        /// Which stage.
        stage: Name,
        /// The amount.
        amount: Drops,
        /// At most so much.
        max: Drops,
    },
    /// The day's sum would be passed.
    Day {
        /// Which stage.
        stage: Name,
        /// The amount.
        amount: Drops,
        /// What the day has used.
        used: Drops,
        /// At most so much.
        max: Drops,
    },
}

// === impl Name ===

impl Name {
    /// Reads a name.
    pub fn new(text: &str) -> Result<Self, NotAName> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let mut letters = [0; NAME_LETTERS_MAX];
        let room = letters.get_mut(..text.len()).ok_or(NotAName)?;
        if text.is_empty() || !text.bytes().all(fits) {
            return Err(NotAName);
        }
        room.copy_from_slice(text.as_bytes());
        let length = u8::try_from(text.len()).map_err(|_| NotAName)?;
        Ok(Self { letters, length })
    }

    /// The name of the criterion that every stage but the last one has.
    #[must_use]
    pub fn duration() -> Self {
        Self::new(DURATION).expect("eight small letters are a name")
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let letters = &self.letters[..usize::from(self.length)];
        std::str::from_utf8(letters).expect("only ASCII letters are let in")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for NotAName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a name has 1 to {NAME_LETTERS_MAX} of a to z, 0 to 9 and -"
        )
    }
}

impl std::error::Error for NotAName {}

// === impl Stages ===

impl Stages {
    /// Takes stages that make sense one after the other. Their least durations are divided by `time_factor`.
    pub fn new(stages: Vec<Stage>, time_factor: u32) -> Result<Self, NotStages> {
        if stages.is_empty() || stages.len() > STAGES_MAX {
            return Err(NotStages::Count(stages.len()));
        }
        if time_factor == 0 {
            return Err(NotStages::TimeFactor);
        }
        for (at, stage) in stages.iter().enumerate() {
            if stages[..at].iter().any(|other| other.name == stage.name) {
                return Err(NotStages::Twice(stage.name));
            }
            stage.check(stages.get(at + 1))?;
        }
        Ok(Self {
            stages,
            time_factor,
        })
    }

    /// The one that a roll-out begins with.
    #[must_use]
    pub fn first(&self) -> &Stage {
        self.stages.first().expect("there is at least one")
    }

    /// All of them, in their order.
    #[must_use]
    pub fn all(&self) -> &[Stage] {
        &self.stages
    }

    /// The stage of this name.
    #[must_use]
    pub fn get(&self, name: Name) -> Option<&Stage> {
        self.position(name).map(|at| &self.stages[at])
    }

    /// Where the stage is in the order, from 0.
    #[must_use]
    pub fn position(&self, name: Name) -> Option<usize> {
        self.stages.iter().position(|stage| stage.name == name)
    }

    /// The one after it.
    #[must_use]
    pub fn after(&self, name: Name) -> Option<&Stage> {
        self.stages.get(self.position(name)? + 1)
    }

    /// The one before it.
    #[must_use]
    pub fn before(&self, name: Name) -> Option<&Stage> {
        self.stages.get(self.position(name)?.checked_sub(1)?)
    }

    /// By what all least durations are divided. 1 in earnest.
    #[must_use]
    pub fn time_factor(&self) -> u32 {
        self.time_factor
    }

    /// How long the stage lasts at least, compressed if that is configured.
    #[must_use]
    pub fn least(&self, stage: &Stage) -> Duration {
        stage.lasts / self.time_factor
    }
}

impl Stage {
    fn check(&self, next: Option<&Stage>) -> Result<(), NotStages> {
        let name = self.name;
        if self.criteria.len() > CRITERIA_MAX {
            return Err(NotStages::Criteria(name, self.criteria.len()));
        }
        for (at, criterion) in self.criteria.iter().enumerate() {
            let mut before = self.criteria[..at].iter();
            if criterion.name == Name::duration()
                || before.any(|other| other.name == criterion.name)
            {
                return Err(NotStages::Criterion(name, criterion.name));
            }
        }
        if self.clients.as_ref().is_some_and(Vec::is_empty) {
            return Err(NotStages::NoClients(name));
        }
        if self
            .payment_max
            .zip(self.day_max)
            .is_some_and(|(payment, day)| payment > day)
        {
            return Err(NotStages::PaymentAboveDay(name));
        }
        let Some(next) = next else {
            let asks = !self.criteria.is_empty() || !self.lasts.is_zero();
            return if asks {
                Err(NotStages::LastAsks(name))
            } else {
                Ok(())
            };
        };
        if self.lasts.is_zero() {
            return Err(NotStages::NoTime(name));
        }
        // No limit of its own is the largest there is.
        let grows = |here: Option<Drops>, next: Option<Drops>| {
            next.is_none_or(|next| here.is_some_and(|here| here <= next))
        };
        if grows(self.payment_max, next.payment_max) && grows(self.day_max, next.day_max) {
            Ok(())
        } else {
            Err(NotStages::MoreThanNext(name))
        }
    }
}

impl fmt::Display for NotStages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(
                f,
                "{count} stages, a roll-out has 1 to {STAGES_MAX} [[stages]]"
            ),
            Self::Twice(name) => write!(f, "two stages are named {name}"),
            Self::Criteria(name, count) => write!(
                f,
                "stage {name} has {count} criteria, more than {CRITERIA_MAX}"
            ),
            Self::Criterion(name, criterion) => write!(
                f,
                "stage {name} has two criteria {criterion}; {DURATION} is one of every stage"
            ),
            Self::PaymentAboveDay(name) => {
                write!(f, "stage {name}: max_payment_xrp is above daily_limit_xrp")
            }
            Self::MoreThanNext(name) => write!(
                f,
                "stage {name} lets more through than the stage after it: its limits must not be above the next one's"
            ),
            Self::NoTime(name) => write!(
                f,
                "stage {name} needs min_duration_hours of at least 1: another one comes after it"
            ),
            Self::LastAsks(name) => write!(
                f,
                "stage {name} is the last one: nothing comes after it, so it has neither criteria nor min_duration_hours"
            ),
            Self::NoClients(name) => write!(
                f,
                "stage {name}: clients = [] lets nobody pay; leave it out for everybody"
            ),
            Self::TimeFactor => f.write_str("time_factor is 0, must be at least 1"),
        }
    }
}

impl std::error::Error for NotStages {}

// === what is in force ===

impl Limits {
    /// The limits in force in a stage: of each, the smaller of the stage's and the configured one, which `self` holds.
    #[must_use]
    pub fn in_stage(&self, stage: &Stage) -> Limits {
        let payment = stage.payment_max.filter(|max| *max < self.payment_max);
        let day = stage.day_max.filter(|max| *max < self.day_max);
        Limits {
            payment_max: payment.unwrap_or(self.payment_max),
            day_max: day.unwrap_or(self.day_max),
            stage: Some(StageRules {
                name: stage.name,
                binds_payment: payment.is_some(),
                binds_day: day.is_some(),
                clients: stage.clients.clone(),
                issued: stage.issued,
            }),
            ..self.clone()
        }
    }

    /// Whether the stage in force, if there is one, lets this client pay, and this kind of money. Amounts are looked at with all others.
    pub fn admit_to_stage(&self, intent: &Intent) -> Result<(), OverLimit> {
        let Some(rules) = &self.stage else {
            return Ok(());
        };
        let stage = rules.name;
        if let Some(clients) = &rules.clients
            && !clients.contains(&intent.key.client)
        {
            return Err(OverLimit::Stage(OverStage::Client { stage }));
        }
        match intent.amount {
            Amount::Issued { amount, .. } if !rules.issued => {
                let asset = amount.asset();
                Err(OverLimit::Stage(OverStage::Issued { stage, asset }))
            }
            Amount::Xrp(_) | Amount::Issued { .. } => Ok(()),
        }
    }
}

impl OverStage {
    /// Which stage.
    #[must_use]
    pub fn stage(&self) -> Name {
        match self {
            Self::Client { stage }
            | Self::Issued { stage, .. }
            | Self::Payment { stage, .. }
            | Self::Day { stage, .. } => *stage,
        }
    }

    /// The key of the file of stages that names the limit.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Client { .. } => "stages.clients",
            Self::Issued { .. } => "stages.allow_issued",
            Self::Payment { .. } => "stages.max_payment_xrp",
            Self::Day { .. } => "stages.daily_limit_xrp",
        }
    }
}

impl fmt::Display for OverStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stage, key) = (self.stage(), self.key());
        match self {
            Self::Client { .. } => write!(
                f,
                "the roll-out is in stage {stage}, whose {key} do not list this client"
            ),
            Self::Issued { asset, .. } => write!(
                f,
                "the roll-out is in stage {stage}, which lets XRP in only ({key}): asset {asset} is not paid"
            ),
            Self::Payment { amount, max, .. } => write!(
                f,
                "amount {amount} is above {key} {max} of the roll-out's stage {stage}"
            ),
            Self::Day {
                amount, used, max, ..
            } => write!(
                f,
                "amount {amount} with {used} of the last 24 hours is above {key} {max} of the roll-out's stage {stage}"
            ),
        }
    }
}
