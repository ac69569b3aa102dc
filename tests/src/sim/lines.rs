//! Trust lines: who would take how much of whose money, and how much of it they hold.
//!
//! Owns: what a line is, how it begins and ends, the reserve it costs, TrustSet, and the moving of a balance along one
//! line. May not: find a way over several lines (`tokens`).

use serde_json::{Map, Value, json};

use super::blob::{Kind, Tx};
use super::codes::Ter;
use super::decimal::Decimal;
use super::money::{Asset, Currency, Money, NO_ACCOUNT, issued_json};
use super::state::{
    Account, Draft, LSF_DEFAULT_RIPPLE, LSF_DISALLOW_TRUSTLINES, LSF_NO_FREEZE, LSF_REQUIRE_AUTH,
    View,
};
use super::types::{AccountId, Hash, Origin, sha512_half};

/// TrustSet flags.
const TF_SET_AUTH: u32 = 0x0001_0000;
const TF_SET_NO_RIPPLE: u32 = 0x0002_0000;
const TF_CLEAR_NO_RIPPLE: u32 = 0x0004_0000;
/// Freezes the line; stories set it too.
pub(super) const TF_SET_FREEZE: u32 = 0x0010_0000;
/// Ends a freeze; stories set it too.
pub(super) const TF_CLEAR_FREEZE: u32 = 0x0020_0000;
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
/// A quality that changes nothing.
pub(super) const QUALITY_ONE: u32 = 1_000_000_000;
/// So many objects an account may own without a reserve for its trust lines.
const FREE_LINES: u32 = 2;

/// One end of a line. Its bit among the low flags is doubled for the high end, except where named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The account with the lower number.
    Low,
    /// The other.
    High,
}

impl End {
    /// The end that `account` has on a line with `peer`.
    pub(super) fn of(account: &AccountId, peer: &AccountId) -> Self {
        if account < peer {
            Self::Low
        } else {
            Self::High
        }
    }

    /// The end across.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }

    fn bit(self, low: u32) -> u32 {
        match self {
            Self::Low => low,
            Self::High => low << 1,
        }
    }

    /// This end pays a reserve for the line.
    pub(super) fn reserve(self) -> u32 {
        self.bit(0x0001_0000)
    }

    /// This end lets the other hold its money.
    pub(super) fn auth(self) -> u32 {
        self.bit(0x0004_0000)
    }

    /// Nothing passes through this end to another line that forbids it too.
    pub(super) fn no_ripple(self) -> u32 {
        self.bit(0x0010_0000)
    }

    /// This end has frozen the other.
    pub(super) fn freeze(self) -> u32 {
        self.bit(0x0040_0000)
    }

    /// This end has frozen the other so that it cannot receive either.
    pub(super) fn deep_freeze(self) -> u32 {
        self.bit(0x0200_0000)
    }
}

/// Names a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LineKey {
    pub low: AccountId,
    pub high: AccountId,
    pub currency: Currency,
}

impl LineKey {
    /// The line between two accounts.
    pub(super) fn new(one: AccountId, other: AccountId, currency: Currency) -> Self {
        let (low, high) = if one < other {
            (one, other)
        } else {
            (other, one)
        };
        Self {
            low,
            high,
            currency,
        }
    }

    /// Its key in the ledger.
    pub(super) fn index(&self) -> Hash {
        sha512_half(&[&[0x00, 0x72], &self.low.0, &self.high.0, &self.currency.0])
    }

    /// The account at that end.
    pub(super) fn account(&self, end: End) -> AccountId {
        match end {
            End::Low => self.low,
            End::High => self.high,
        }
    }
}

/// What one end of a line has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// The most that it would hold.
    pub limit: Decimal,
    /// What money that comes in counts, in billionths; 0 for all of it.
    pub quality_in: u32,
    /// What money that goes out counts; 0 for all of it.
    pub quality_out: u32,
}

impl Terms {
    const NONE: Self = Self {
        limit: Decimal::ZERO,
        quality_in: 0,
        quality_out: 0,
    };
}

/// A trust line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub key: LineKey,
    /// What the low end holds of the high end's money; negative the other way.
    balance: Decimal,
    pub flags: u32,
    low: Terms,
    high: Terms,
    /// The validated transaction that last changed it.
    pub origin: Origin,
}

impl Line {
    /// What this end holds of the other's money; negative what it owes.
    pub(super) fn held_by(&self, end: End) -> Decimal {
        self.balance.negated_if(end == End::High)
    }

    /// What this end has set.
    pub(super) fn terms(&self, end: End) -> &Terms {
        match end {
            End::Low => &self.low,
            End::High => &self.high,
        }
    }

    fn terms_mut(&mut self, end: End) -> &mut Terms {
        match end {
            End::Low => &mut self.low,
            End::High => &mut self.high,
        }
    }

    /// True if any of these bits is set.
    pub(super) fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// All that a new line's metadata shows, and what does not change the form of the others.
    pub(super) fn new_fields(&self) -> Map<String, Value> {
        let limit = |end: End| {
            let account = self.key.account(end);
            issued_json(self.terms(end).limit, &self.key.currency, &account)
        };
        let mut fields = Map::new();
        let balance = issued_json(self.balance, &self.key.currency, &NO_ACCOUNT);
        fields.insert("Balance".into(), balance);
        if self.flags != 0 {
            fields.insert("Flags".into(), json!(self.flags));
        }
        fields.insert("LowLimit".into(), limit(End::Low));
        fields.insert("HighLimit".into(), limit(End::High));
        for (name, quality) in [
            ("LowQualityIn", self.low.quality_in),
            ("LowQualityOut", self.low.quality_out),
            ("HighQualityIn", self.high.quality_in),
            ("HighQualityOut", self.high.quality_out),
        ] {
            if quality != 0 {
                fields.insert(name.into(), json!(quality));
            }
        }
        fields
    }

    /// The fields that metadata shows of it; the pages that name it are of the accounts at its ends.
    pub(super) fn fields(&self, pages: (String, String)) -> Map<String, Value> {
        let mut fields = self.new_fields();
        fields.insert("Flags".into(), json!(self.flags));
        fields.insert("LowNode".into(), json!(pages.0));
        fields.insert("HighNode".into(), json!(pages.1));
        fields
    }

    /// True if this end has anything that is worth a reserve.
    fn is_kept_by(&self, end: End, account: &Account) -> bool {
        let terms = self.terms(end);
        let ripples = !self.has(end.no_ripple());
        terms.quality_in != 0
            || terms.quality_out != 0
            || ripples != account.has(LSF_DEFAULT_RIPPLE)
            || self.has(end.freeze())
            || !terms.limit.is_zero()
            || self.held_by(end).is_positive()
    }
}

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
    let mut line = Line {
        key,
        balance: Decimal::ZERO,
        flags: wish.frozen(flags, end, false),
        low: Terms::NONE,
        high: Terms::NONE,
        origin: None,
    };
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

fn delete(draft: &mut Draft<'_, '_>, line: Line) {
    let key = line.key;
    for owner in [key.low, key.high] {
        draft.change(&owner, |owner| owner.directory.remove(&key.index(), false));
    }
    // Metadata shows the line as it was at its end.
    draft.put_line(line);
    draft.remove_line(key);
}

/// Moves `amount` from one end of a line to the other; a line that this leaves without meaning ends.
pub(super) fn credit(
    draft: &mut Draft<'_, '_>,
    (sender, receiver): (&AccountId, &AccountId),
    currency: Currency,
    amount: Decimal,
) -> Result<(), Ter> {
    let key = LineKey::new(*sender, *receiver, currency);
    let mut line = draft.line(&key).cloned().ok_or(Ter::TefException)?;
    let end = End::of(sender, receiver);
    let before = line.held_by(end);
    let after = before.minus(amount).ok_or(Ter::TefException)?;
    line.balance = after.negated_if(end == End::High);
    let is_spent = before.is_positive() && !after.is_positive() && line.has(end.reserve());
    if is_spent && !line.is_kept_by(end, draft.account(sender)) {
        draft.change(sender, |sender| sender.owner_count -= 1);
        line.flags &= !end.reserve();
        if after.is_zero() && !line.has(end.other().reserve()) {
            delete(draft, line);
            return Ok(());
        }
    }
    draft.put_line(line);
    Ok(())
}
