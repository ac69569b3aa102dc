//! paygatectl: the command line over `paygate_client`.
//!
//! `args` and `parse` read, `run`, `pay`, `batch` and `watch` call, `show`, `timeline`, `wallet`, `status` and `failure` write for a person,
//! `runbook` gathers for whoever is woken, `export` and `reconcile` write for accounting, from `period` and in `decimal`s; `json` for a script, `cells` for a spreadsheet, `words` holds what both a result and an error say about the money, `exit` how it ends.

mod announce;
mod approvals;
pub(crate) mod args;
mod audit;
mod batch;
mod cells;
mod decimal;
pub(crate) mod exit;
mod export;
mod failure;
mod json;
mod names;
mod out;
mod parse;
mod pause;
mod pay;
mod period;
mod reconcile;
mod rollout;
pub(crate) mod run;
mod runbook;
mod show;
mod status;
mod timeline;
mod token;
mod unfreeze;
mod wallet;
mod watch;
mod words;
