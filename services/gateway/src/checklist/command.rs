//! `paygate preflight` as a person types it.
//!
//! Owns: arguments and what is printed. May not: hold logic of its own.

use std::path::PathBuf;

use clap::Args;

use super::{Elsewhere, go_through, report};
use crate::config::Config;

/// Arguments of `paygate preflight`.
#[derive(Debug, Args)]
pub struct PreflightArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Check as if the profile were this one
    #[arg(long, value_name = "PROFILE", value_parser = ["dev", "production"])]
    pub profile: Option<String>,
    /// Ask this Prometheus whether it scrapes the gateway and has its alerts
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// Send a test alert to this Alertmanager
    #[arg(long, value_name = "URL")]
    alertmanager: Option<String>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Goes through the list and gives what is printed, and whether nothing failed.
pub async fn preflight(args: &PreflightArgs, config: &Config) -> (String, bool) {
    let elsewhere = Elsewhere {
        prometheus: args.prometheus.clone(),
        alertmanager: args.alertmanager.clone(),
    };
    let found = go_through(config, &elsewhere).await;
    let text = match args.json {
        true => format!("{}\n", report::json(&found)),
        false => report::table(&found),
    };
    (text, report::passed(&found))
}
