//! `paygate preflight`: everything of the list before a deployment that a machine can check, and by name what only a person can.
//!
//! Owns: the items, what each finding says and what to do about it. May not: change anything: it opens no store for writing, takes no lock and
//! sends nothing but questions, except one test alert where `--alertmanager` is given. (`engine/preflight.rs` is something else: it looks at the
//! destination of a payment.)
//!
//! # Layout
//! - here: items, findings, the order of the families
//! - `configuration`, `files`, `signer`, `ledger`, `wallet`, `monitoring`, `person`: one family of checks each; its items are data
//! - `http`: the few words of HTTP that Prometheus and Alertmanager are asked with
//! - `report`: a table or JSON
//! - `command`: the command line

mod command;
mod configuration;
mod files;
mod http;
mod ledger;
mod monitoring;
mod person;
mod report;
mod signer;
mod wallet;

use std::fmt::Display;

use crate::config::Config;

pub use command::{PreflightArgs, preflight};

/// One line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name, for people and programs.
    pub name: &'static str,
    /// What to do if it is not as it must be; of a person's item: what to make sure of.
    pub to_do: &'static str,
}

/// How an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it must be.
    Passed,
    /// Not to be deployed so.
    Failed,
    /// Deserves a look.
    Warning,
    /// Only a person can say.
    Person,
}

/// What was found of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The item.
    pub item: Item,
    /// How it stands.
    pub status: Status,
    /// What was seen: names, values, limits.
    pub detail: String,
}

/// Where to ask beside what the configuration names.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    /// Prometheus, `http://host:port`.
    pub prometheus: Option<String>,
    /// Alertmanager, `http://host:port`.
    pub alertmanager: Option<String>,
}

impl Item {
    fn found(self, status: Status, detail: impl Display) -> Finding {
        Finding {
            item: self,
            status,
            detail: detail.to_string(),
        }
    }

    fn passed(self, detail: impl Display) -> Finding {
        self.found(Status::Passed, detail)
    }

    fn failed(self, detail: impl Display) -> Finding {
        self.found(Status::Failed, detail)
    }

    fn warns(self, detail: impl Display) -> Finding {
        self.found(Status::Warning, detail)
    }
}

impl Status {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Failed => "failed",
            Status::Warning => "warning",
            Status::Person => "person",
        }
    }
}

/// Goes through the whole list.
pub async fn go_through(config: &Config, elsewhere: &Elsewhere) -> Vec<Finding> {
    let (signer, ledger, monitoring) = tokio::join!(
        signer::look(config),
        ledger::look(config),
        monitoring::check(config, elsewhere)
    );
    let keys = wallet::check(config, &signer, &ledger).await;
    let found = [
        (
            configuration::ITEMS.as_slice(),
            configuration::check(config),
        ),
        (&files::ITEMS, files::check(config)),
        (&signer::ITEMS, signer::check(config, &signer)),
        (&ledger::ITEMS, ledger::check(config, &ledger)),
        (&wallet::ITEMS, keys),
        (&monitoring::ITEMS, monitoring),
        (&person::ITEMS, person::list()),
    ];
    ledger.end().await;
    found
        .into_iter()
        .flat_map(|(items, found)| whole(items, found))
        .collect()
}

/// Every item is told of: one that could not be looked at, because one before it failed, is no passed one.
fn whole(items: &[Item], mut found: Vec<Finding>) -> Vec<Finding> {
    let missing = |item: &&Item| found.iter().all(|finding| finding.item != **item);
    let missing: Vec<&Item> = items.iter().filter(missing).collect();
    let untold = missing
        .into_iter()
        .map(|item| item.warns("not looked at: something before it failed"));
    let untold: Vec<Finding> = untold.collect();
    found.extend(untold);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Item> {
        [
            configuration::ITEMS.as_slice(),
            &files::ITEMS,
            &signer::ITEMS,
            &ledger::ITEMS,
            &wallet::ITEMS,
            &monitoring::ITEMS,
            &person::ITEMS,
        ]
        .concat()
    }

    #[test]
    fn every_item_is_on_the_page_of_the_list_and_no_other() {
        let page = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../deploy/checklists/pre-deployment.md"
        );
        let page = std::fs::read_to_string(page).unwrap();
        let mut listed: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(name, _)| name)
            .collect();
        listed.sort_unstable();
        let mut known: Vec<&str> = all().iter().map(|item| item.name).collect();
        known.sort_unstable();
        assert_eq!(listed, known);
        known.dedup();
        assert_eq!(known.len(), all().len(), "no name twice");
    }
}
