//! What the configuration alone shows.
//!
//! Owns: the judgement beyond what refuses to start. May not: repeat `config/check.rs`; whoever comes here has a configuration without problems.

use paygate_telemetry::LogLevel;
use xrpl_tx::Drops;

use super::{Finding, Item};
use crate::config::{Config, Profile};
use crate::store::copy;

const VALID: Item = Item {
    name: "configuration-valid",
    to_do: "look at each warning: paygate check-config --config FILE",
};
const PROFILE: Item = Item {
    name: "profile-production",
    to_do: "set profile = \"production\": it turns the refusals on that protect real money",
};
const LIMITS: Item = Item {
    name: "limits-conservative",
    to_do: "begin with small limits (deploy/paygate.production.toml), raise them when the treasury says so",
};
const APPROVAL: Item = Item {
    name: "approval-threshold",
    to_do: "set limits.approval_threshold_xrp, so that one stolen credential does not pay large amounts alone",
};
const LOG: Item = Item {
    name: "log-level",
    to_do: "set monitoring.log_level = \"info\"",
};
const AUTHENTICATION: Item = Item {
    name: "authentication",
    to_do: "set security.require_authentication = true and name the [[clients]] (proto/access.md)",
};

const STAGE: Item = Item {
    name: "rollout-stage",
    to_do: "begin with the smallest stage and name its clients: deploy/rollout/README.md",
};

pub(super) const ITEMS: [Item; 7] = [VALID, PROFILE, LIMITS, APPROVAL, LOG, AUTHENTICATION, STAGE];

/// One payment above this is a person's decision, not a default's.
const PAYMENT_CONSERVATIVE: Drops = Drops::from_const(10_000_000_000);

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let limits = &config.limits;
    let (max, day) = (limits.max_payment_xrp.0, limits.daily_limit_xrp.0);
    let warnings: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
    let level = config.monitoring.log_level;
    vec![
        match warnings.is_empty() {
            true => VALID.passed("no problem, no warning"),
            false => VALID.warns(warnings.join("; ")),
        },
        match config.profile {
            Profile::Production => PROFILE.passed("profile = \"production\""),
            Profile::Dev => PROFILE.warns("profile = \"dev\""),
        },
        match max > PAYMENT_CONSERVATIVE {
            true => LIMITS.warns(format_args!(
                "limits.max_payment_xrp is {max}, above {PAYMENT_CONSERVATIVE}"
            )),
            false => LIMITS.passed(format_args!("at most {max} a payment, {day} a day")),
        },
        match limits.approval_threshold_xrp {
            None => APPROVAL.warns("limits.approval_threshold_xrp is not set"),
            Some(threshold) => APPROVAL.passed(format_args!(
                "above {} another identity approves",
                threshold.0
            )),
        },
        match level {
            LogLevel::Debug | LogLevel::Trace => LOG.failed(format_args!(
                "monitoring.log_level is {level}: too much is written, too little is found"
            )),
            LogLevel::Error | LogLevel::Warn | LogLevel::Info => LOG.passed(level),
        },
        match config.security.require_authentication {
            true => {
                AUTHENTICATION.passed(format_args!("{} clients may call", config.clients.len()))
            }
            false => AUTHENTICATION.failed(
                "security.require_authentication is false: whoever reaches the port may pay",
            ),
        },
        stage(config),
    ]
}

/// In which stage the roll-out is, or will begin.
fn stage(config: &Config) -> Finding {
    let stages = match config.read_stages() {
        Err(error) => return STAGE.failed(error),
        Ok(None) => {
            return STAGE.passed("no roll-out: the configured limits hold for every client");
        }
        Ok(Some(file)) => file.stages,
    };
    let unknown = config.unknown_stage_clients(&stages);
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.into_iter().collect();
        return STAGE.warns(format_args!(
            "stages list clients that are not configured: {}",
            names.join(", ")
        ));
    }
    let path = &config.store.path;
    let stored = match path.exists() {
        // Said by `store`: what is wrong with the file.
        true => copy::rollout_stage(path).unwrap_or_default(),
        false => None,
    };
    match stored {
        None => STAGE.passed(format_args!("begins with stage {}", stages.first().name)),
        Some(name) => match stages.all().iter().any(|stage| stage.name.as_str() == name) {
            true => STAGE.passed(format_args!("in stage {name}")),
            false => STAGE.failed(format_args!(
                "the database is in stage {name}, which the file does not name: the gateway would not start"
            )),
        },
    }
}
