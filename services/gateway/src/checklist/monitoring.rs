//! Whether somebody will hear of it: the gateway's own health, Prometheus, Alertmanager.
//!
//! Owns: the names of our alerts, and one test alert. May not: say that a person was reached; that is his to say.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Elsewhere, Finding, Item, http};
use crate::clock;
use crate::config::Config;

const HEALTH: Item = Item {
    name: "gateway-health",
    to_do: "start it; each check that is not healthy says why: curl http://127.0.0.1:9090/health",
};
const SCRAPED: Item = Item {
    name: "metrics-scraped",
    to_do: "let Prometheus scrape monitoring.metrics_listen as job paygate (deploy/prometheus/prometheus.yml), and name it with --prometheus",
};
const ALERTS_LOADED: Item = Item {
    name: "alerts-loaded",
    to_do: "load deploy/prometheus/alerts.yml, slo.yml and recording.yml, and name Prometheus with --prometheus",
};
const DELIVERED: Item = Item {
    name: "alert-delivered",
    to_do: "route alerts to people (deploy/alertmanager/alertmanager.yml), and name Alertmanager with --alertmanager",
};

pub(super) const ITEMS: [Item; 4] = [HEALTH, SCRAPED, ALERTS_LOADED, DELIVERED];

/// What deploy/prometheus ships.
const ALERTS: [&str; 25] = [
    "BackupTooOld",
    "BooksDoNotBalance",
    "CertificateExpiring",
    "CriticalWalletBalance",
    "FeeAboveCap",
    "ForeignTransaction",
    "GatewayDown",
    "HighErrorRate",
    "HighLatency",
    "LedgerHalted",
    "LowWalletBalance",
    "PaidTooSlowly",
    "PaymentFailureSpike",
    "PaymentNotConfirming",
    "PaymentOnHold",
    "PendingPaymentsStuck",
    "QuarantineTooLong",
    "SignerDenials",
    "SignerDown",
    "SpendLimitNearlyUsed",
    "StoreFailing",
    "WalletFrozen",
    "XRPLConnectionDown",
    "XRPLServerDown",
    "XRPLServersDisagree",
];

/// The name of the test alert.
const TEST_ALERT: &str = "PaygatePreflight";

/// How long it lasts.
const TEST_ALERT_FOR: Duration = Duration::from_secs(300);

pub(super) async fn check(config: &Config, elsewhere: &Elsewhere) -> Vec<Finding> {
    let metrics = config.monitoring.metrics_listen.to_string();
    let mut found = vec![health(&metrics).await];
    match &elsewhere.prometheus {
        None => {
            found.push(SCRAPED.warns("not asked: --prometheus is not given"));
            found.push(ALERTS_LOADED.warns("not asked: --prometheus is not given"));
        }
        Some(base) => {
            found.push(
                match http::get(base, "/api/v1/targets?state=active").await {
                    Ok(answer) => scraped(&answer, &metrics),
                    Err(error) => SCRAPED.failed(format_args!("{base}: {error}")),
                },
            );
            found.push(match http::get(base, "/api/v1/rules?type=alert").await {
                Ok(answer) => loaded(&answer),
                Err(error) => ALERTS_LOADED.failed(format_args!("{base}: {error}")),
            });
        }
    }
    found.push(match &elsewhere.alertmanager {
        None => DELIVERED.warns("not asked: --alertmanager is not given"),
        Some(base) => match deliver(base).await {
            Ok(receivers) => DELIVERED.passed(format_args!(
                "{TEST_ALERT} went to {receivers}: ask there whether it came"
            )),
            Err(why) => DELIVERED.failed(format_args!("{base}: {why}")),
        },
    });
    found
}

async fn health(address: &str) -> Finding {
    match http::get_any(&format!("http://{address}"), "/health").await {
        Err(error) => HEALTH.warns(format_args!("no gateway answers at {address}: {error}")),
        Ok((200, _)) => HEALTH.passed(format_args!("the gateway at {address} is healthy")),
        Ok((status, answer)) => {
            let word = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
            let checks = answer["checks"].as_array().into_iter().flatten();
            let bad: Vec<String> = checks
                .filter(|check| check["status"] != "healthy")
                .map(|check| format!("{} is {}", word(&check["name"]), word(&check["status"])))
                .collect();
            HEALTH.failed(format_args!(
                "the gateway at {address} answers {status}: {}",
                bad.join(", ")
            ))
        }
    }
}

fn scraped(answer: &Value, metrics: &str) -> Finding {
    let targets = answer["data"]["activeTargets"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let ours = targets.iter().find(|target| {
        let url = target["scrapeUrl"].as_str().unwrap_or_default();
        url.contains(&format!("//{metrics}/"))
    });
    // Behind a forwarded port or in another network namespace the address differs; the job does not.
    let ours = ours.or_else(|| {
        targets
            .iter()
            .find(|target| target["labels"]["job"] == "paygate")
    });
    match ours {
        None => SCRAPED.failed(format_args!(
            "none of {} targets is {metrics} or of the job paygate",
            targets.len()
        )),
        Some(target) if target["health"] == "up" => SCRAPED.passed(format_args!(
            "{} is up",
            target["scrapeUrl"].as_str().unwrap_or_default()
        )),
        Some(target) => SCRAPED.failed(format_args!(
            "{} is {}: {}",
            target["scrapeUrl"].as_str().unwrap_or_default(),
            target["health"].as_str().unwrap_or("unknown"),
            target["lastError"].as_str().unwrap_or_default()
        )),
    }
}

fn loaded(answer: &Value) -> Finding {
    let groups = answer["data"]["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    let names: BTreeSet<&str> = rules.filter_map(|rule| rule["name"].as_str()).collect();
    let missing: Vec<&str> = ALERTS
        .into_iter()
        .filter(|name| !names.contains(name))
        .collect();
    match missing.is_empty() {
        true => ALERTS_LOADED.passed(format_args!("all {} alerts", ALERTS.len())),
        false => ALERTS_LOADED.failed(format_args!("missing: {}", missing.join(", "))),
    }
}

/// Sends the test alert and reads back to whom it is routed.
async fn deliver(base: &str) -> Result<String, String> {
    let text = |error: http::HttpError| error.to_string();
    let now = clock::now();
    let alert = json!([{
        "labels": { "alertname": TEST_ALERT, "severity": "warning", "job": "paygate" },
        "annotations": { "summary": "a test of paygate preflight: nothing is wrong, say that it came" },
        "startsAt": now.timestamp().to_string(),
        "endsAt": now.plus(TEST_ALERT_FOR).timestamp().to_string(),
    }]);
    http::post(base, "/api/v2/alerts", &alert)
        .await
        .map_err(text)?;
    let path = format!("/api/v2/alerts?filter=alertname%3D%22{TEST_ALERT}%22");
    let answer = http::get(base, &path).await.map_err(text)?;
    let alert = answer
        .as_array()
        .and_then(|alerts| alerts.first())
        .ok_or("it took the test alert and does not show it")?;
    if alert["status"]["state"] == "suppressed" {
        return Err("the test alert is silenced or inhibited".to_owned());
    }
    let receivers = alert["receivers"].as_array().into_iter().flatten();
    let names: Vec<&str> = receivers
        .filter_map(|receiver| receiver["name"].as_str())
        .collect();
    match names.is_empty() {
        true => Err("no receiver has the test alert".to_owned()),
        false => Ok(names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alerts_asked_for_are_those_that_are_shipped() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/prometheus");
        let read = |file: &str| std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
        let text = read("alerts.yml") + &read("slo.yml");
        let shipped: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- alert: "))
            .collect();
        assert_eq!(shipped, ALERTS.into_iter().collect());
    }
}
