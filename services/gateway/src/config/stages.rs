//! The file of stages, which `rollout.stages_path` names: from TOML to the core's words.
//!
//! Owns: the keys of that file, and that time is compressed in profile dev only. May not: judge a stage, or know which one is in force; the
//! store does.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format, Toml};
use paygate_payments::intent::Id;
use paygate_payments::rollout::judge::{Criterion, Measure};
use paygate_payments::rollout::{Name, NotStages, Stage, Stages};
use serde::Deserialize;
use xrpl_tx::{Hash256, sha256};

use super::{Config, Profile, Xrp};

/// Size of a file of stages; a larger one is some other file.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A year. What is to last longer is no stage.
const HOURS_MAX: u64 = 24 * 366;

/// The shortest stage of the shipped file, a day, then lasts a hundredth of a second.
const TIME_FACTOR_MAX: u32 = 10_000_000;

/// Stages, and what tells one file of them from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagesFile {
    /// The stages.
    pub stages: Stages,
    /// SHA-256 of the file.
    pub digest: Hash256,
}

/// Why there are no stages.
#[derive(Debug, thiserror::Error)]
pub enum StagesError {
    /// The file cannot be read.
    #[error("the file of stages {path} cannot be read: {source}")]
    File {
        /// Its path.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file is far too large.
    #[error("the file of stages has {0} bytes, more than {FILE_BYTES_MAX}")]
    TooLarge(u64),
    /// It is not TOML, or has other keys.
    #[error("not a file of stages: {0}")]
    Syntax(String),
    /// A name is none.
    #[error("{0:?} is no name: a name has 1 to 24 of a to z, 0 to 9 and -")]
    Name(String),
    /// A client's name is none.
    #[error("stage {stage}: client {client:?} is no client_id: {why}")]
    Client {
        /// Which stage.
        stage: Name,
        /// The name.
        client: String,
        /// What is wrong with it.
        why: String,
    },
    /// A criterion lacks a key of its measure, or has another one.
    #[error("stage {stage}, criterion {criterion}: measure {measure} takes {takes}")]
    Keys {
        /// Which stage.
        stage: Name,
        /// Which criterion.
        criterion: Name,
        /// How it is told.
        measure: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// A stage is too long.
    #[error("stage {stage}: min_duration_hours is {hours}, at most {HOURS_MAX}")]
    Hours {
        /// Which stage.
        stage: Name,
        /// So many.
        hours: u64,
    },
    /// Time is compressed too much to be divided.
    #[error("time_factor is {0}, at most {TIME_FACTOR_MAX}")]
    TimeFactor(u32),
    /// Time is compressed where it is in earnest.
    #[error("time_factor is {0}: production refuses compressed time, leave the key out")]
    Compressed(u32),
    /// The stages make no sense one after the other.
    #[error(transparent)]
    Stages(#[from] NotStages),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    time_factor: Option<u32>,
    #[serde(default)]
    stages: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    max_payment_xrp: Option<Xrp>,
    daily_limit_xrp: Option<Xrp>,
    clients: Option<Vec<String>>,
    #[serde(default)]
    allow_issued: bool,
    #[serde(default)]
    min_duration_hours: u64,
    #[serde(default)]
    criteria: Vec<Asked>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    name: String,
    measure: Word,
    at_most: Option<u64>,
    at_least: Option<u64>,
    below_ppm: Option<u32>,
    within_seconds: Option<u64>,
}

/// What measures are called in the file.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Errors,
    ErrorRate,
    Confirmed,
    ConfirmedWithin,
    Load,
    Incidents,
    Scraped,
    Person,
}

impl Config {
    /// The stages that the configuration names. `None`: there is no roll-out.
    pub fn read_stages(&self) -> Result<Option<StagesFile>, StagesError> {
        let Some(path) = &self.rollout.stages_path else {
            return Ok(None);
        };
        StagesFile::read(path, self.profile).map(Some)
    }

    /// Clients that stages list and that nobody is: they would be let in if they came.
    #[must_use]
    pub fn unknown_stage_clients(&self, stages: &Stages) -> BTreeSet<String> {
        let known = |client: &&Id| {
            let name = client.as_str();
            match self.security.require_authentication {
                true => self.clients.iter().any(|known| known.client_id == name),
                false => name == crate::api::LOCAL_CLIENT,
            }
        };
        let listed = stages.all().iter().flat_map(|stage| stage.clients.iter());
        let unknown = listed.flatten().filter(|client| !known(client));
        unknown.map(ToString::to_string).collect()
    }
}

impl StagesFile {
    /// Reads a file.
    pub fn read(path: &Path, profile: Profile) -> Result<Self, StagesError> {
        let unreadable = |source| StagesError::File {
            path: path.display().to_string(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(StagesError::TooLarge(bytes));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text, profile)
    }

    /// The same for text that is already in memory.
    pub fn parse(text: &str, profile: Profile) -> Result<Self, StagesError> {
        let file: File = Figment::from(Toml::string(text))
            .extract()
            .map_err(|error| StagesError::Syntax(error.to_string()))?;
        let factor = file.time_factor.unwrap_or(1);
        if factor > TIME_FACTOR_MAX {
            return Err(StagesError::TimeFactor(factor));
        }
        if profile == Profile::Production && factor != 1 {
            return Err(StagesError::Compressed(factor));
        }
        let stages: Result<Vec<Stage>, StagesError> = file.stages.into_iter().map(stage).collect();
        Ok(Self {
            stages: Stages::new(stages?, factor)?,
            digest: sha256(&[text.as_bytes()]),
        })
    }
}

fn stage(entry: Entry) -> Result<Stage, StagesError> {
    let stage = name(&entry.name)?;
    let hours = entry.min_duration_hours;
    if hours > HOURS_MAX {
        return Err(StagesError::Hours { stage, hours });
    }
    let client = |text: String| {
        Id::new(text.clone()).map_err(|error| StagesError::Client {
            stage,
            client: text,
            why: error.to_string(),
        })
    };
    let listed = |clients: Vec<String>| clients.into_iter().map(client).collect();
    let criteria = entry.criteria.into_iter().map(|asked| {
        let name = name(&asked.name)?;
        let measure = asked.measure(stage, name)?;
        Ok(Criterion { name, measure })
    });
    Ok(Stage {
        name: stage,
        payment_max: entry.max_payment_xrp.map(|max| max.0),
        day_max: entry.daily_limit_xrp.map(|max| max.0),
        clients: entry.clients.map(listed).transpose()?,
        issued: entry.allow_issued,
        lasts: Duration::from_secs(hours * 3600),
        criteria: criteria.collect::<Result<_, StagesError>>()?,
    })
}

fn name(text: &str) -> Result<Name, StagesError> {
    Name::new(text).map_err(|_| StagesError::Name(text.to_owned()))
}

impl Asked {
    /// Exactly the keys that the measure takes: one that is silently without effect is worse than a refusal.
    fn measure(&self, stage: Name, criterion: Name) -> Result<Measure, StagesError> {
        let given = (
            self.at_most,
            self.at_least,
            self.below_ppm,
            self.within_seconds,
        );
        let seconds = Duration::from_secs;
        let found = match (self.measure, given) {
            (Word::Errors, (Some(at_most), None, None, None)) => Measure::Errors { at_most },
            (Word::ErrorRate, (None, Some(at_least), Some(below_ppm), None)) => {
                Measure::ErrorRate {
                    below_ppm,
                    at_least,
                }
            }
            (Word::Confirmed, (None, Some(at_least), None, None)) => {
                Measure::Confirmed { at_least }
            }
            (Word::ConfirmedWithin, (None, Some(at_least), None, Some(within))) => {
                Measure::ConfirmedWithin {
                    within: seconds(within),
                    at_least,
                }
            }
            (Word::Load, (None, Some(at_least), None, None)) => Measure::Load { at_least },
            (Word::Incidents, (Some(at_most), None, None, None)) => Measure::Incidents { at_most },
            (Word::Scraped, (None, None, None, Some(within))) => Measure::Scraped {
                within: seconds(within),
            },
            (Word::Person, (None, None, None, None)) => Measure::Person,
            (word, _) => {
                let (measure, takes) = word.takes();
                return Err(StagesError::Keys {
                    stage,
                    criterion,
                    measure,
                    takes,
                });
            }
        };
        Ok(found)
    }
}

impl Word {
    fn takes(self) -> (&'static str, &'static str) {
        match self {
            Word::Errors => ("errors", "at_most"),
            Word::ErrorRate => ("error-rate", "below_ppm and at_least"),
            Word::Confirmed => ("confirmed", "at_least"),
            Word::ConfirmedWithin => ("confirmed-within", "within_seconds and at_least"),
            Word::Load => ("load", "at_least"),
            Word::Incidents => ("incidents", "at_most"),
            Word::Scraped => ("scraped", "within_seconds"),
            Word::Person => ("person", "no other key"),
        }
    }
}

#[cfg(test)]
mod tests {
    use xrpl_tx::Drops;

    use super::*;

    const SHIPPED: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../deploy/rollout/stages.toml"
    );

    fn shipped() -> String {
        std::fs::read_to_string(SHIPPED).unwrap()
    }

    #[test]
    fn the_shipped_stages_are_the_four_with_their_limits_times_and_criteria() {
        let file = StagesFile::parse(&shipped(), Profile::Production).unwrap();
        let xrp = |xrp: u64| Some(Drops::new(xrp * 1_000_000).unwrap());
        let told: Vec<_> = file
            .stages
            .all()
            .iter()
            .map(|stage| {
                let hours = stage.lasts.as_secs() / 3600;
                let listed = stage.clients.is_some();
                (
                    stage.name.to_string(),
                    stage.payment_max,
                    stage.day_max,
                    listed,
                    hours,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("internal".to_owned(), xrp(10), xrp(100), true, 24),
                ("limited-beta".to_owned(), xrp(100), xrp(1000), true, 7 * 24),
                (
                    "public-beta".to_owned(),
                    xrp(500),
                    xrp(5000),
                    false,
                    14 * 24
                ),
                ("general".to_owned(), None, None, false, 0),
            ]
        );
        let criteria: Vec<Vec<String>> = file
            .stages
            .all()
            .iter()
            .map(|stage| {
                stage
                    .criteria
                    .iter()
                    .map(|criterion| criterion.name.to_string())
                    .collect()
            })
            .collect();
        assert_eq!(
            criteria,
            [
                vec!["no-errors", "all-confirmed", "monitoring-works"],
                vec![
                    "no-critical-errors",
                    "error-rate",
                    "confirmed-in-time",
                    "no-security-incident"
                ],
                vec![
                    "load",
                    "stable-under-load",
                    "error-rate",
                    "feedback-positive"
                ],
                vec![],
            ]
        );
    }

    #[test]
    fn production_refuses_compressed_time_and_dev_takes_it() {
        let compressed = format!("time_factor = 3600\n{}", shipped());
        let file = StagesFile::parse(&compressed, Profile::Dev).unwrap();
        let first = file.stages.first();
        assert_eq!(file.stages.least(first), Duration::from_secs(24));
        assert!(matches!(
            StagesFile::parse(&compressed, Profile::Production),
            Err(StagesError::Compressed(3600))
        ));
        let earnest = format!("time_factor = 1\n{}", shipped());
        assert!(StagesFile::parse(&earnest, Profile::Production).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let last = "[[stages]]\nname = \"general\"\n";
        let first =
            |more: &str| format!("[[stages]]\nname = \"one\"\nmin_duration_hours = 1\n{more}");
        let criterion = |more: &str| {
            first(&format!(
                "[[stages.criteria]]\nname = \"c\"\n{more}\n{last}"
            ))
        };
        let twice = first(last).replace("general", "one");
        for (text, word) in [
            (String::new(), "0 stages"),
            (first("colour = 1"), "colour"),
            (first("max_payment_xrp = 0.1"), "max_payment_xrp"),
            (first(last).replace("one", "One"), "\"One\" is no name"),
            (twice, "two stages are named one"),
            (first(&format!("clients = []\n{last}")), "lets nobody pay"),
            (
                first(&format!("clients = [\"a b\"]\n{last}")),
                "client \"a b\"",
            ),
            (
                first(&format!(
                    "max_payment_xrp = \"2\"\ndaily_limit_xrp = \"1\"\n{last}"
                )),
                "above daily_limit_xrp",
            ),
            (
                first(&format!("{last}max_payment_xrp = \"2\"\n")),
                "more through than the stage after",
            ),
            (first(""), "is the last one"),
            (
                first(last).replace("hours = 1", "hours = 0"),
                "min_duration_hours",
            ),
            (
                first(last).replace("hours = 1", "hours = 99999"),
                "at most 8784",
            ),
            (format!("time_factor = 0\n{}", first(last)), "time_factor"),
            (criterion("measure = \"errors\""), "takes at_most"),
            (
                criterion("measure = \"person\"\nat_most = 1"),
                "takes no other key",
            ),
            (criterion("measure = \"guess\""), "guess"),
            (
                criterion("measure = \"person\"").replace("\"c\"", "\"duration\""),
                "duration is one of every stage",
            ),
        ] {
            let error = StagesFile::parse(&text, Profile::Dev)
                .unwrap_err()
                .to_string();
            assert!(error.contains(word), "{word:?} is not in {error:?}\n{text}");
        }
    }
}
