//! The configuration files that the processes of a world are started with.
//!
//! Owns: which key gets which value. May not: set a key only to repeat its default.

use std::path::Path;

use super::{Asset, Setup};

/// What the ledger's ready line said, and when.
#[derive(Clone, Debug)]
pub struct Anchor {
    /// A validated ledger.
    pub index: u64,
    /// Its hash.
    pub hash: String,
    /// When that was, seconds since 1970.
    pub unix_seconds: u64,
}

/// The gateway's listeners.
#[derive(Clone, Debug)]
pub struct Listeners {
    /// gRPC.
    pub grpc: String,
    /// The health service alone.
    pub health: String,
    /// `/metrics` and its like.
    pub metrics: String,
}

impl Default for Listeners {
    fn default() -> Listeners {
        let any = || "127.0.0.1:0".to_owned();
        Listeners {
            grpc: any(),
            health: any(),
            metrics: any(),
        }
    }
}

/// The signer's file.
pub fn signer(setup: &Setup, anchor: &Anchor, directory: &Path) -> String {
    let directory = directory.display();
    let assets: String = setup.assets.iter().map(signer_asset).collect();
    format!(
        r#"# Made for this run. Every key: deploy/configuration.md.
profile = "dev"

[listen]
socket_path = "{directory}/run/signer.sock"

[wallet]
seed_file = "{directory}/secrets/wallet.seed"
network_id = {network_id}

[policy]
max_payment_xrp = "{max_payment_xrp}"
max_day_xrp = "{max_day_xrp}"
anchor_ledger_index = {anchor_index}
anchor_time = {anchor_time}
ledger_min_close_ms = {min_close_ms}

[journal]
directory = "{directory}/signer/journal"
{assets}"#,
        network_id = setup.network_id,
        max_payment_xrp = setup.max_payment_xrp,
        max_day_xrp = setup.daily_limit_xrp,
        anchor_index = anchor.index,
        anchor_time = anchor.unix_seconds,
        min_close_ms = min_close_ms(setup.close_ms),
    )
}

/// The gateway's file.
pub fn gateway(
    setup: &Setup,
    anchor: &Anchor,
    ledgers: &[&str],
    listeners: &Listeners,
    directory: &Path,
) -> String {
    let directory = directory.display();
    let otlp = setup
        .otlp_endpoint
        .as_ref()
        .map(|endpoint| format!("otlp_endpoint = \"{endpoint}\"\n"));
    let otlp = otlp.unwrap_or_default();
    let assets: String = setup.assets.iter().map(gateway_asset).collect();
    format!(
        r#"# Made for this run. Every key: deploy/configuration.md.
profile = "dev"
listen = "{grpc}"

[wallet]
address = "{address}"
network_id = {network_id}
anchor = {{ index = {anchor_index}, hash = "{anchor_hash}" }}

{servers}[signer]
socket_path = "{directory}/run/signer.sock"

[store]
path = "{directory}/gateway/paygate.db"

[backup]
dir = "{directory}/backups"

[limits]
max_payment_xrp = "{max_payment_xrp}"
daily_limit_xrp = "{daily_limit_xrp}"
max_pending_payments = {max_pending}

[health]
listen = "{health}"

[monitoring]
metrics_listen = "{metrics}"
{otlp}
[security]
require_authentication = false
rate_limit_per_minute = 1000000
rate_limit_per_hour = 1000000
read_limit_per_minute = 1000000
{assets}"#,
        servers = servers(ledgers),
        grpc = listeners.grpc,
        health = listeners.health,
        metrics = listeners.metrics,
        address = setup.wallet.address(),
        network_id = setup.network_id,
        anchor_index = anchor.index,
        anchor_hash = anchor.hash,
        max_payment_xrp = setup.max_payment_xrp,
        daily_limit_xrp = setup.daily_limit_xrp,
        max_pending = setup.max_pending,
    )
}

/// Each server has an operator of its own, numbered from the second one on.
fn servers(ledgers: &[&str]) -> String {
    let server = |(position, url): (usize, &&str)| {
        let operator = match position {
            0 => "simulated".to_owned(),
            later => format!("simulated-{}", later + 1),
        };
        format!("[[xrpl.servers]]\nurl = \"{url}\"\noperator = \"{operator}\"\nown = true\n\n")
    };
    ledgers.iter().enumerate().map(server).collect()
}

fn gateway_asset(asset: &Asset) -> String {
    format!(
        r#"
[[assets]]
currency = "{}"
issuer = "{}"
min_payment = "0.000001"
max_payment = "{}"
daily_limit = "{}"
max_transfer_fee_ppm = {}
"#,
        asset.currency,
        asset.issuer,
        asset.max_payment,
        asset.daily_limit,
        asset.max_transfer_fee_ppm
    )
}

/// With the gateway's own limits, as of XRP.
fn signer_asset(asset: &Asset) -> String {
    format!(
        r#"
[[policy.assets]]
currency = "{}"
issuer = "{}"
max_payment = "{}"
max_day = "{}"
"#,
        asset.currency, asset.issuer, asset.max_payment, asset.daily_limit
    )
}

/// The shortest time between ledgers that the signer reckons with: what the simulated ledger does, less a fifth for a
/// clock that is read late; never below what the signer's configuration allows.
fn min_close_ms(close_ms: u64) -> u64 {
    (close_ms - close_ms / 5).clamp(100, 10_000)
}
