//! Trust lines: who would take how much of whose money, and how much of it they hold.
//!
//! Owns: what a line is, the reserve it costs, how it ends, and the moving of a balance along it. May not: begin one
//! (`trust`) or find a way over several (`tokens`).

use serde_json::{Map, Value, json};

use super::codes::Ter;
use super::decimal::Decimal;
use super::draft::Draft;
use super::money::{Currency, NO_ACCOUNT, issued_json};
use super::state::{Account, LSF_DEFAULT_RIPPLE};
use super::types::{AccountId, Hash, Origin, sha512_half};

/// A quality that changes nothing.
pub(super) const QUALITY_ONE: u32 = 1_000_000_000;
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
    /// A line on which nobody holds or trusts anything yet.
    pub(super) fn new(key: LineKey, flags: u32) -> Self {
        Self {
            key,
            balance: Decimal::ZERO,
            flags,
            low: Terms::NONE,
            high: Terms::NONE,
            origin: None,
        }
    }

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

    /// The same, to be changed.
    pub(super) fn terms_mut(&mut self, end: End) -> &mut Terms {
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
    pub(super) fn is_kept_by(&self, end: End, account: &Account) -> bool {
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

/// Ends a line.
pub(super) fn delete(draft: &mut Draft<'_, '_>, line: Line) {
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
