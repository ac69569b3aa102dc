//! The section `policy`, checked into a [`Policy`]. Owns what a limit's text means; whether a request is within it is the
//! policy's.

use std::collections::{BTreeMap, BTreeSet};

use xrpl_tx::{AccountId, Asset, Currency, Drops, IssuedValue};

use super::{
    AssetSection, CLOSE_MS_RANGE, ConfigError, LAST_LEDGER_WINDOW_MAX, PolicySection, TimeValue,
    address, invalid, required, time,
};
use crate::policy::{AssetLimits, Policy, TransactionType};

fn xrp(key: &'static str, text: &str) -> Result<Drops, ConfigError> {
    let drops = Drops::from_xrp_str(text)
        .map_err(|error| invalid(key, format!("{text:?} is no amount of XRP: {error}")))?;
    if drops == Drops::ZERO {
        return Err(invalid(key, "is 0"));
    }
    Ok(drops)
}

fn allowed_types(names: &[String]) -> Result<BTreeSet<TransactionType>, ConfigError> {
    let parse = |name: &String| {
        name.parse()
            .map_err(|error| invalid("policy.allowed_types", format!("{name:?} {error}")))
    };
    names.iter().map(parse).collect()
}

/// Keys of a list's entries have no variable of their own: what is wrong is named with the entry.
fn assets(sections: &[AssetSection]) -> Result<BTreeMap<Asset, AssetLimits>, ConfigError> {
    let mut assets = BTreeMap::new();
    for section in sections {
        let (asset, limits) =
            asset(section).map_err(|problem| invalid("policy.assets", problem))?;
        if assets.insert(asset, limits).is_some() {
            return Err(invalid("policy.assets", format!("lists {asset} twice")));
        }
    }
    Ok(assets)
}

fn asset(section: &AssetSection) -> Result<(Asset, AssetLimits), String> {
    let AssetSection {
        currency, issuer, ..
    } = section;
    let asset = Asset {
        currency: currency
            .parse::<Currency>()
            .map_err(|error| format!("has currency {currency:?}: {error}"))?,
        issuer: AccountId::from_address(issuer).map_err(|error| {
            format!("has issuer {issuer:?}, which is no classic address: {error}")
        })?,
    };
    let limit = |key: &str, text: &str| match text.parse::<IssuedValue>() {
        Ok(IssuedValue::ZERO) => Err(format!("has {key} 0 for {asset}")),
        Ok(value) => Ok(value),
        Err(error) => Err(format!("has {key} {text:?} for {asset}: {error}")),
    };
    let limits = AssetLimits {
        max_payment: limit("max_payment", &section.max_payment)?,
        max_day: limit("max_day", &section.max_day)?,
    };
    if limits.max_payment > limits.max_day {
        return Err(format!(
            "has max_payment {} above max_day {} for {asset}",
            limits.max_payment, limits.max_day
        ));
    }
    Ok((asset, limits))
}

pub(super) fn policy(section: PolicySection) -> Result<Policy, ConfigError> {
    let max_payment = xrp("policy.max_payment_xrp", &section.max_payment_xrp)?;
    let max_day = xrp("policy.max_day_xrp", &section.max_day_xrp)?;
    let max_fee = Drops::new(section.max_fee_drops)
        .map_err(|error| invalid("policy.max_fee_drops", error.to_string()))?;
    if max_fee == Drops::ZERO {
        return Err(invalid("policy.max_fee_drops", "is 0"));
    }
    if max_payment > max_day {
        return Err(invalid(
            "policy.max_payment_xrp",
            format!("of {max_payment} is above policy.max_day_xrp, {max_day}"),
        ));
    }
    if section.last_ledger_window == 0 || section.last_ledger_window > LAST_LEDGER_WINDOW_MAX {
        let found = section.last_ledger_window;
        return Err(invalid(
            "policy.last_ledger_window",
            format!("{found} is not within 1 to {LAST_LEDGER_WINDOW_MAX}"),
        ));
    }
    if !CLOSE_MS_RANGE.contains(&section.ledger_min_close_ms) {
        let found = section.ledger_min_close_ms;
        return Err(invalid(
            "policy.ledger_min_close_ms",
            format!("{found} is not within {CLOSE_MS_RANGE:?}"),
        ));
    }
    let anchor_time_ms = match required("policy.anchor_time", section.anchor_time)? {
        TimeValue::UnixSeconds(seconds) => seconds.checked_mul(1000),
        TimeValue::Rfc3339(text) => time::rfc3339_to_unix_ms(&text),
    }
    .ok_or_else(|| {
        invalid(
            "policy.anchor_time",
            "is neither seconds since 1970 nor a time like \"2026-01-31T12:00:00Z\"",
        )
    })?;
    let denied = section
        .denied_destinations
        .iter()
        .map(|text| address("policy.denied_destinations", text));
    Ok(Policy {
        max_payment,
        max_day,
        max_fee,
        last_ledger_window: section.last_ledger_window,
        anchor_ledger_index: required("policy.anchor_ledger_index", section.anchor_ledger_index)?,
        anchor_time_ms,
        ledger_min_close_ms: section.ledger_min_close_ms,
        denied_destinations: denied.collect::<Result<_, _>>()?,
        allowed_types: allowed_types(&section.allowed_types)?,
        assets: assets(&section.assets)?,
    })
}
