//! Diff: what differs between two configurations, key by key, and what of it may change while the gateway runs.
//!
//! Owns: which keys can be read anew, and how old and new are written for a person. May not: put anything into force.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use xrpl_tx::sha256;

use super::{Asset, Config};

/// A value longer than this is told by its beginning and its hash: a list of a thousand destinations is no line of a log.
const SHOWN_CHARS_MAX: usize = 256;

/// What stands for a key that has no value.
const UNSET: &str = "unset";

/// Sections that say who may do what and how much: what a start keeps, to tell at the next one what was changed in between.
const LIMITS: [&str; 5] = ["limits", "assets", "clients", "security", "fees"];

/// One key that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its path. Entries of `clients` and `assets` go by their name: `clients.shop.daily_limit_xrp`.
    pub key: String,
    /// What it was.
    pub old: String,
    /// What it is.
    pub new: String,
}

/// Every key whose value differs.
#[must_use]
pub fn changes(old: &Config, new: &Config) -> Vec<Changed> {
    differences(&flat(old), &flat(new))
}

/// What of a configuration says who may do what and how much, key by key. Secrets are in files, of which it has the paths.
#[must_use]
pub fn limits_text(config: &Config) -> String {
    let mut leaves = flat(config);
    leaves.retain(|key, _| {
        let section = key.split('.').next().unwrap_or_default();
        LIMITS.contains(&section)
    });
    serde_json::to_string(&leaves).expect("texts by texts")
}

/// What differs between two of these, in one line for the audit log.
#[must_use]
pub fn limits_told(old: &str, new: &str) -> String {
    let read = |text: &str| serde_json::from_str(text);
    match (read(old), read(new)) {
        (Ok(old), Ok(new)) => Changed::all(&differences(&old, &new)),
        _ => "what was kept of the limits before cannot be read".to_owned(),
    }
}

fn differences(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Changed> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let of = |side: &BTreeMap<String, String>, key: &String| match side.get(key) {
        Some(value) => value.clone(),
        None => UNSET.to_owned(),
    };
    let both = keys.into_iter().map(|key| Changed {
        key: key.clone(),
        old: of(old, key),
        new: of(new, key),
    });
    let mut changes: Vec<Changed> = both.filter(|both| both.old != both.new).collect();
    for changed in &mut changes {
        for side in [&mut changed.old, &mut changed.new] {
            shorten(side);
        }
    }
    changes
}

impl Changed {
    /// All of them in one line, as the audit log has it.
    #[must_use]
    pub fn all(changes: &[Changed]) -> String {
        let one =
            |changed: &Changed| format!("{}: {} -> {}", changed.key, changed.old, changed.new);
        changes.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

impl Config {
    /// This configuration, with what may change while the gateway runs taken from another: limits, clients, rates, allowed addresses and
    /// proxies; and the limits of assets, as long as they are the same assets.
    #[must_use]
    pub fn with_reloadable(&self, new: &Config) -> Config {
        let mut next = self.clone();
        next.limits = new.limits;
        next.clients.clone_from(&new.clients);
        next.security
            .allowed_ips
            .clone_from(&new.security.allowed_ips);
        let (security, proxies) = (&new.security, &new.security.trusted_proxies);
        next.security.trusted_proxies.clone_from(proxies);
        next.security.rate_limit_per_minute = security.rate_limit_per_minute;
        next.security.rate_limit_per_hour = security.rate_limit_per_hour;
        next.security.read_limit_per_minute = security.read_limit_per_minute;
        let same = |(old, new): (&Asset, &Asset)| old.id() == new.id();
        if self.assets.len() == new.assets.len() && self.assets.iter().zip(&new.assets).all(same) {
            next.assets.clone_from(&new.assets);
        }
        next
    }
}

fn flat(config: &Config) -> BTreeMap<String, String> {
    let tree =
        serde_json::to_value(config).expect("the structs are maps, lists, texts and numbers");
    let mut leaves = BTreeMap::new();
    gather(String::new(), &tree, &mut leaves);
    leaves
}

fn gather(path: String, value: &Value, leaves: &mut BTreeMap<String, String>) {
    let below = |name: &str| match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}.{name}"),
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                gather(below(name), value, leaves);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (at, item) in items.iter().enumerate() {
                gather(below(&name_of(at, item)), item, leaves);
            }
        }
        Value::String(text) => {
            leaves.insert(path, text.clone());
        }
        other => {
            leaves.insert(path, other.to_string());
        }
    }
}

/// What tells an entry of a list of tables from the others.
fn name_of(at: usize, item: &Value) -> String {
    let text = |field: &str| item.get(field).and_then(Value::as_str);
    match (text("client_id"), text("currency"), text("issuer")) {
        (Some(client), _, _) => client.to_owned(),
        (None, Some(currency), Some(issuer)) => format!("{currency}/{issuer}"),
        _ => at.to_string(),
    }
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(SHOWN_CHARS_MAX) {
        let hash = hex::encode(sha256(&[text.as_bytes()]).as_bytes());
        *text = format!("{}… ({} bytes, SHA-256 {hash})", &text[..end], text.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"
[wallet]
address = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"
network_id = 21338
anchor = { index = 3, hash = "6BD4144ABD632074334F545FB48310396849F074FED457B75EB3613EBDD22FC7" }
[signer]
socket_path = "/run/s.sock"
[[xrpl.servers]]
url = "ws://127.0.0.1:9"
operator = "us"
own = true
"#;

    fn read(more: &str) -> Config {
        let off = (
            "PAYGATE__SECURITY__REQUIRE_AUTHENTICATION".to_owned(),
            "false".to_owned(),
        );
        Config::parse(&format!("{BASE}{more}"), [off], "a test").unwrap()
    }

    fn told(changes: &[Changed]) -> Vec<String> {
        let line = |c: &Changed| format!("{}: {} -> {}", c.key, c.old, c.new);
        changes.iter().map(line).collect()
    }

    #[test]
    fn each_changed_key_is_told_with_old_and_new_and_entries_by_their_names() {
        let old = read(
            "[limits]\ndaily_limit_xrp = \"500\"\n[[clients]]\nclient_id = \"shop\"\nscopes = [\"pay\"]\n",
        );
        let new = read(
            "[limits]\ndaily_limit_xrp = \"400\"\n[[clients]]\nclient_id = \"bank\"\nscopes = [\"read\"]\n\
             [[clients]]\nclient_id = \"shop\"\nscopes = [\"pay\", \"read\"]\nmax_payment_xrp = \"7\"\n",
        );
        assert_eq!(changes(&old, &old), []);
        assert_eq!(
            told(&changes(&old, &new)),
            [
                "clients.bank.allowed_ips: unset -> []",
                "clients.bank.client_id: unset -> bank",
                "clients.bank.credentials: unset -> []",
                "clients.bank.destinations: unset -> []",
                "clients.bank.scopes: unset -> [\"read\"]",
                "clients.shop.max_payment_xrp: unset -> 7",
                "clients.shop.scopes: [\"pay\"] -> [\"pay\",\"read\"]",
                "limits.daily_limit_xrp: 500 -> 400",
            ]
        );
    }

    #[test]
    fn only_limits_and_who_may_call_change_while_the_gateway_runs() {
        let old = read("");
        let new = read(
            "[limits]\nmax_pending_payments = 7\n[fees]\nmax_drops = 77\n[security]\nrate_limit_per_hour = 9\n",
        );
        let next = old.with_reloadable(&new);
        assert_eq!(
            told(&changes(&old, &next)),
            [
                "limits.max_pending_payments: 50 -> 7",
                "security.rate_limit_per_hour: 500 -> 9"
            ]
        );
        assert_eq!(told(&changes(&next, &new)), ["fees.max_drops: 2000 -> 77"]);
    }

    #[test]
    fn the_limits_of_an_asset_change_and_which_assets_there_are_does_not() {
        let asset = |currency: &str, max: u32| {
            format!(
                "[[assets]]\ncurrency = \"{currency}\"\nissuer = \"rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De\"\nmin_payment = \"1\"\n\
                 max_payment = \"{max}\"\ndaily_limit = \"{max}\"\n"
            )
        };
        let old = read(&asset("USD", 5));
        let tighter = read(&asset("USD", 4));
        assert_eq!(old.with_reloadable(&tighter), tighter);
        let other = read(&asset("EUR", 4));
        assert_eq!(old.with_reloadable(&other), old);
    }

    #[test]
    fn what_is_kept_for_the_next_start_tells_limits_and_nothing_else() {
        let old = read("");
        let new = read(
            "[limits]\nmax_pending_payments = 7\n[fees]\nmax_drops = 77\n[monitoring]\nlog_level = \"warn\"\n",
        );
        let told = limits_told(&limits_text(&old), &limits_text(&new));
        assert_eq!(
            told,
            "fees.max_drops: 2000 -> 77; limits.max_pending_payments: 50 -> 7"
        );
        assert_eq!(
            limits_text(&old),
            limits_text(&read("[monitoring]\nlog_level = \"warn\"\n"))
        );
        assert!(limits_told("{", &limits_text(&new)).contains("cannot be read"));
    }

    #[test]
    fn a_long_value_is_told_by_its_beginning_and_its_hash() {
        let mut text = "r".repeat(1_000);
        shorten(&mut text);
        assert!(
            text.ends_with(')') && text.contains("1000 bytes, SHA-256 "),
            "{text}"
        );
        assert!(text.len() < 400);
    }
}
