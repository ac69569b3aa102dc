//! TrustSet: how a trust line begins, and what either end may change of it.
//!
//! Owns: the form of the transaction, who may freeze and authorise whom, and which end pays the reserve. May not: move a
//! balance (`lines`).

use super::blob::{Kind, Tx};
use super::codes::Ter;
use super::decimal::Decimal;
use super::draft::Draft;
use super::lines::{End, Line, LineKey, QUALITY_ONE, Terms, delete};
use super::money::{Asset, Money, NO_ACCOUNT};
use super::state::{
    Account, LSF_DEFAULT_RIPPLE, LSF_DISALLOW_TRUSTLINES, LSF_NO_FREEZE, LSF_REQUIRE_AUTH, View,
};
use super::types::AccountId;

/// TrustSet flags.
const TF_SET_AUTH: u32 = 0x0001_0000;
const TF_SET_NO_RIPPLE: u32 = 0x0002_0000;
const TF_CLEAR_NO_RIPPLE: u32 = 0x0004_0000;
const TF_SET_FREEZE: u32 = 0x0010_0000;
const TF_CLEAR_FREEZE: u32 = 0x0020_0000;
const TF_SET_DEEP_FREEZE: u32 = 0x0040_0000;
const TF_CLEAR_DEEP_FREEZE: u32 = 0x0080_0000;
/// All of them.
pub(super) const TRUST_SET_FLAGS: u32 = TF_SET_AUTH
    | TF_SET_NO_RIPPLE
    | TF_CLEAR_NO_RIPPLE
    | TF_SET_FREEZE
    | TF_CLEAR_FREEZE
    | TF_SET_DEEP_FREEZE
    | TF_CLEAR_DEEP_FREEZE;
/// So many objects an account may own without a reserve for its trust lines.
const FREE_LINES: u32 = 2;

/// What TrustSet asks for.
struct Wish {
    asset: Asset,
    limit: Decimal,
    quality_in: Option<u32>,
    quality_out: Option<u32>,
    flags: u32,
}

impl Wish {
    fn of(tx: &Tx) -> Option<Self> {
        let Some(Money::Issued(limit, asset)) = tx.money("LimitAmount") else {
            return None;
        };
        // One is as good as none.
        let quality = |name: &str| {
            let quality = tx.u32_field(name)?;
            Some(if quality == QUALITY_ONE { 0 } else { quality })
        };
        Some(Self {
            asset,
            limit,
            quality_in: quality("QualityIn"),
            quality_out: quality("QualityOut"),
            flags: tx.flags,
        })
    }

    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// The flags of a line after the freezes and their ends.
    fn frozen(&self, flags: u32, end: End, may_not: bool) -> u32 {
        let mut flags = flags;
        if self.has(TF_SET_FREEZE) && !self.has(TF_CLEAR_FREEZE) && !may_not {
            flags |= end.freeze();
        } else if self.has(TF_CLEAR_FREEZE) && !self.has(TF_SET_FREEZE) {
            flags &= !end.freeze();
        }
        if self.has(TF_SET_DEEP_FREEZE) && !self.has(TF_CLEAR_DEEP_FREEZE) && !may_not {
            flags |= end.deep_freeze();
        } else if self.has(TF_CLEAR_DEEP_FREEZE) && !self.has(TF_SET_DEEP_FREEZE) {
            flags &= !end.deep_freeze();
        }
        flags
    }
}

/// The form of a TrustSet.
pub(super) fn preflight_trust_set(tx: &Tx) -> Result<(), Ter> {
    match tx.money("LimitAmount") {
        Some(Money::Issued(limit, asset)) => {
            if asset.currency.is_bad() {
                return Err(Ter::TemBadCurrency);
            }
            if limit.is_negative() {
                return Err(Ter::TemBadLimit);
            }
            if [AccountId([0; 20]), NO_ACCOUNT].contains(&asset.issuer) {
                return Err(Ter::TemDstNeeded);
            }
            Ok(())
        }
        Some(Money::Xrp(_)) => Err(Ter::TemBadLimit),
        None => Err(Ter::TemBadAmount),
    }
}

/// What a TrustSet needs before anything is changed.
pub(super) fn check_trust_set(view: &View<'_>, account: &Account, tx: &Tx) -> Result<(), Ter> {
    if tx.kind != Kind::TrustSet {
        return Ok(());
    }
    let wish = Wish::of(tx).ok_or(Ter::TemBadAmount)?;
    if wish.has(TF_SET_AUTH) && !account.has(LSF_REQUIRE_AUTH) {
        return Err(Ter::TefNoAuthRequired);
    }
    let peer = wish.asset.issuer;
    if peer == account.id {
        return Err(Ter::TemDstIsSrc);
    }
    let other = view.get(&peer).ok_or(Ter::TecNoDst)?;
    let line = view.line(&LineKey::new(account.id, peer, wish.asset.currency));
    if other.has(LSF_DISALLOW_TRUSTLINES) && line.is_none() {
        return Err(Ter::TecNoPermission);
    }
    let may_not_freeze = account.has(LSF_NO_FREEZE);
    let freezes = wish.has(TF_SET_FREEZE | TF_SET_DEEP_FREEZE);
    if freezes && (may_not_freeze || wish.has(TF_CLEAR_FREEZE | TF_CLEAR_DEEP_FREEZE)) {
        return Err(Ter::TecNoPermission);
    }
    let end = End::of(&account.id, &peer);
    let flags = wish.frozen(line.map_or(0, |line| line.flags), end, may_not_freeze);
    if flags & end.deep_freeze() != 0 && flags & end.freeze() == 0 {
        return Err(Ter::TecNoPermission);
    }
    Ok(())
}

/// Makes, changes or ends a line.
pub(super) fn trust_set(
    draft: &mut Draft<'_, '_>,
    tx: &Tx,
    balance_before: u64,
) -> Result<(), Ter> {
    let wish = Wish::of(tx).ok_or(Ter::TemBadAmount)?;
    let (account, peer) = (tx.account, wish.asset.issuer);
    let key = LineKey::new(account, peer, wish.asset.currency);
    let owned = draft.account(&account).owner_count;
    let reserve = if owned < FREE_LINES {
        0
    } else {
        draft.fees().reserve(owned + 1)
    };
    let Some(line) = draft.line(&key).cloned() else {
        let asks_nothing = wish.limit.is_zero()
            && wish.quality_in.unwrap_or(0) == 0
            && wish.quality_out.unwrap_or(0) == 0
            && !wish.has(TF_SET_AUTH);
        if asks_nothing {
            return Err(Ter::TecNoLineRedundant);
        }
        if balance_before < reserve {
            return Err(Ter::TecNoLineInsufReserve);
        }
        create(draft, &wish, &account);
        return Ok(());
    };
    change(draft, &wish, &account, line, balance_before < reserve)
}

fn create(draft: &mut Draft<'_, '_>, wish: &Wish, account: &AccountId) {
    let peer = wish.asset.issuer;
    let key = LineKey::new(*account, peer, wish.asset.currency);
    let end = End::of(account, &peer);
    let mut flags = end.reserve();
    if wish.has(TF_SET_AUTH) {
        flags |= end.auth();
    }
    if wish.has(TF_SET_NO_RIPPLE) && !wish.has(TF_CLEAR_NO_RIPPLE) {
        flags |= end.no_ripple();
    }
    if !draft.account(&peer).has(LSF_DEFAULT_RIPPLE) {
        flags |= end.other().no_ripple();
    }
    let mut line = Line::new(key, wish.frozen(flags, end, false));
    *line.terms_mut(end) = Terms {
        limit: wish.limit,
        quality_in: wish.quality_in.unwrap_or(0),
        quality_out: wish.quality_out.unwrap_or(0),
    };
    for owner in [key.low, key.high] {
        draft.change(&owner, |owner| owner.directory.add(key.index()));
    }
    draft.change(account, |account| account.owner_count += 1);
    draft.put_line(line);
}

fn change(
    draft: &mut Draft<'_, '_>,
    wish: &Wish,
    account: &AccountId,
    mut line: Line,
    is_poor: bool,
) -> Result<(), Ter> {
    let end = End::of(account, &wish.asset.issuer);
    let terms = line.terms_mut(end);
    terms.limit = wish.limit;
    terms.quality_in = wish.quality_in.unwrap_or(terms.quality_in);
    terms.quality_out = wish.quality_out.unwrap_or(terms.quality_out);
    if wish.has(TF_SET_NO_RIPPLE) && !wish.has(TF_CLEAR_NO_RIPPLE) {
        if line.held_by(end).is_negative() {
            return Err(Ter::TecNoPermission);
        }
        line.flags |= end.no_ripple();
    } else if wish.has(TF_CLEAR_NO_RIPPLE) && !wish.has(TF_SET_NO_RIPPLE) {
        line.flags &= !end.no_ripple();
    }
    let may_not_freeze = draft.account(account).has(LSF_NO_FREEZE);
    line.flags = wish.frozen(line.flags, end, may_not_freeze);
    if wish.has(TF_SET_AUTH) {
        line.flags |= end.auth();
    }
    let mut is_kept = false;
    let mut costs_more = false;
    for side in [End::Low, End::High] {
        let owner = line.key.account(side);
        let keeps = line.is_kept_by(side, draft.account(&owner));
        is_kept |= keeps;
        if keeps && !line.has(side.reserve()) {
            line.flags |= side.reserve();
            draft.change(&owner, |owner| owner.owner_count += 1);
            costs_more |= side == end;
        } else if !keeps && line.has(side.reserve()) {
            line.flags &= !side.reserve();
            draft.change(&owner, |owner| owner.owner_count -= 1);
        }
    }
    if !is_kept {
        delete(draft, line);
        return Ok(());
    }
    if costs_more && is_poor {
        return Err(Ter::TecInsufReserveLine);
    }
    draft.put_line(line);
    Ok(())
}
