//! What is wrong with the issued currencies of the configuration.
//!
//! Owns: the reasons not to start that concern `assets`. May not: stop at the first.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::Checker;
use crate::config::Asset;

/// Issued currencies: each is a label of metrics and a line of GetWallet.
const ASSETS_MAX: usize = 64;

/// A TransferRate of 2: the issuer takes as much as arrives. The ledger allows no more.
const TRANSFER_FEE_PPM_MAX: u32 = 1_000_000;

impl Checker<'_> {
    pub(super) fn assets(&mut self) {
        let assets = &self.config.assets;
        if assets.len() > ASSETS_MAX {
            let why = format!("at most {ASSETS_MAX} issued currencies");
            self.refuse(&["assets"], format_args!("{} entries", assets.len()), why);
        }
        let mut seen = BTreeSet::new();
        for asset in assets {
            if !seen.insert(asset.id()) {
                self.refuse(&["assets"], asset.id(), "listed twice");
            }
            self.asset(asset);
        }
    }

    fn asset(&mut self, asset: &Asset) {
        let (id, wallet) = (asset.id(), self.config.wallet.address.0);
        let mut refuse = |key: &str, value: &dyn Display, why: &str| {
            let shown = format!("{value} ({id})");
            self.refuse(&[key, "assets", "wallet.address"], shown, why);
        };
        if asset.issuer.0 == wallet {
            let why = "the wallet pays what others issue, it cannot be the issuer";
            refuse("assets.issuer", &id.issuer, why);
        }
        let (min, max, daily) = (
            asset.min_payment.0,
            asset.max_payment.0,
            asset.daily_limit.0,
        );
        if min.is_zero() {
            let why = "a payment of nothing cannot be sent";
            refuse("assets.min_payment", &min, why);
        }
        if max > daily {
            let why = format!("above assets.daily_limit, {daily}");
            refuse("assets.max_payment", &max, &why);
        }
        if let Err(unreadable) = id.currency.check_second_reader() {
            refuse("assets.currency", &id.currency, &unreadable.to_string());
        }
        if let Err(unreadable) = max.check_second_reader() {
            refuse("assets.max_payment", &max, &unreadable.to_string());
        }
        let fee = asset.max_transfer_fee_ppm;
        if fee > TRANSFER_FEE_PPM_MAX {
            let why = format!("the ledger lets issuers take at most {TRANSFER_FEE_PPM_MAX}");
            refuse("assets.max_transfer_fee_ppm", &fee, &why);
        } else if min.add_ppm_up(fee).is_none_or(|most| most > max) {
            let why = format!(
                "with the transfer fee above assets.max_payment, {max}: nothing could be paid"
            );
            refuse("assets.min_payment", &min, &why);
        }
    }
}
