//! The words of the roll-out's part of the store's interface.
//!
//! Owns: what is shown, and what becomes of a wish. May not: know of SQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use paygate_payments::rollout::judge::{Judged, Verdict};
use paygate_payments::rollout::{Name, Stage, Stages};

use crate::clock::Millis;

/// Everything that is shown of a roll-out.
#[derive(Clone, Debug)]
pub struct RolloutView {
    /// The stages.
    pub stages: Arc<Stages>,
    /// The one in force.
    pub stage: Stage,
    /// Since when.
    pub since: Millis,
    /// Each criterion as it stands.
    pub judged: Vec<Judged>,
    /// What people said in this stage, the newest word on each criterion.
    pub words: BTreeMap<Name, Spoken>,
    /// What happened, newest first.
    pub history: Vec<RolloutLine>,
}

/// What a person said of a criterion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// What.
    pub verdict: Verdict,
    /// Who, as client_id.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Millis,
}

/// Something that happened to the roll-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutLine {
    /// Order of commits.
    pub sequence: u64,
    /// When.
    pub at: Millis,
    /// What, as the contract lists it.
    pub what: String,
    /// Which stage.
    pub stage: String,
    /// Which criterion, or empty.
    pub criterion: String,
    /// How it stood, or empty.
    pub outcome: String,
    /// What else there is to say.
    pub detail: String,
    /// Who.
    pub client: String,
    /// Why.
    pub reason: String,
}

/// A word that a person wants to be kept.
#[derive(Clone, Debug)]
pub struct Word {
    /// The stage that he thinks is in force.
    pub stage: Name,
    /// About what.
    pub criterion: Name,
    /// What.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
}

/// What became of a person's wish about the roll-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rolled {
    /// It is as he wants, now or since before.
    Done,
    /// There is no roll-out.
    None,
    /// Another stage is in force than he thinks, or the one that he names cannot be reached from it.
    OtherStage {
        /// In force.
        here: Name,
        /// What could be named.
        could_be: Option<Name>,
    },
    /// The stage has no such criterion.
    NoCriterion,
    /// The criterion is measured: a person can only override it.
    Measured,
    /// These criteria do not hold.
    Unmet(Vec<Judged>),
}
