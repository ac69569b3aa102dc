//! Clawback: an issuer takes back what a holder has of its money.
//!
//! Owns: when that is allowed, and how much is taken. May not: be recorded behaviour; no recording has one.

use super::blob::{Kind, Tx};
use super::codes::Ter;
use super::decimal::Decimal;
use super::draft::Draft;
use super::lines::{End, LineKey, credit};
use super::money::{Asset, Money};
use super::state::{Account, LSF_CLAWBACK, LSF_NO_FREEZE, View};

/// The amount names the holder where others name the issuer.
fn wanted(tx: &Tx) -> Result<(Decimal, Asset), Ter> {
    match tx.money("Amount") {
        Some(Money::Issued(value, asset))
            if value.is_positive() && asset.issuer != tx.account && !asset.currency.is_bad() =>
        {
            Ok((value, asset))
        }
        _ => Err(Ter::TemBadAmount),
    }
}

/// The form of a Clawback.
pub(super) fn preflight_clawback(tx: &Tx) -> Result<(), Ter> {
    if tx.json.contains_key("Holder") {
        return Err(Ter::TemMalformed);
    }
    wanted(tx).map(|_| ())
}

/// What a Clawback needs before anything is changed.
pub(super) fn check_clawback(view: &View<'_>, issuer: &Account, tx: &Tx) -> Result<(), Ter> {
    if tx.kind != Kind::Clawback {
        return Ok(());
    }
    let (_, asset) = wanted(tx)?;
    view.get(&asset.issuer).ok_or(Ter::TerNoAccount)?;
    if !issuer.has(LSF_CLAWBACK) || issuer.has(LSF_NO_FREEZE) {
        return Err(Ter::TecNoPermission);
    }
    let key = LineKey::new(issuer.id, asset.issuer, asset.currency);
    let line = view.line(&key).ok_or(Ter::TecNoLine)?;
    let held = line.held_by(End::of(&asset.issuer, &issuer.id));
    if held.is_negative() {
        return Err(Ter::TecNoPermission);
    }
    if held.is_zero() {
        return Err(Ter::TecInsufficientFunds);
    }
    Ok(())
}

/// Takes what is wanted, or all there is.
pub(super) fn claw_back(draft: &mut Draft<'_, '_>, tx: &Tx) -> Result<(), Ter> {
    let (value, asset) = wanted(tx)?;
    let (issuer, holder) = (tx.account, asset.issuer);
    let key = LineKey::new(issuer, holder, asset.currency);
    let line = draft.line(&key).ok_or(Ter::TecNoLine)?;
    let taken = value.min(line.held_by(End::of(&holder, &issuer)));
    credit(draft, (&holder, &issuer), asset.currency, taken)
}
