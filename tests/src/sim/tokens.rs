//! Payments of issued currencies by the default path: from the sender along trust lines to the receiver.
//!
//! Owns: how much can pass, what the issuer keeps, and what is delivered. May not: trade. A payment that would need
//! somebody's offer finds none, so it is dry.

use super::blob::Tx;
use super::codes::Ter;
use super::decimal::Decimal;
use super::draft::Draft;
use super::lines::{End, Line, LineKey, QUALITY_ONE, credit};
use super::money::{Currency, Money};
use super::preflight::{TF_NO_DIRECT, TF_PARTIAL_PAYMENT};
use super::state::{LSF_GLOBAL_FREEZE, LSF_REQUIRE_AUTH};
use super::types::AccountId;

/// Attempts to send what is left by the same way; each ends something, so few are ever needed.
const ATTEMPTS_MAX: usize = 4;

/// Money of one account that another takes.
struct Step {
    from: AccountId,
    to: AccountId,
    currency: Currency,
    is_last: bool,
}

/// What passes a step now.
struct Room {
    most: Decimal,
    /// The sender gives back money of the receiver; otherwise its own.
    redeems: bool,
}

/// What a step takes and gives.
#[derive(Clone, Copy)]
struct Passed {
    taken: Decimal,
    moved: Decimal,
    given: Decimal,
}

/// Pays, and says what was delivered.
pub(super) fn pay_tokens(
    draft: &mut Draft<'_, '_>,
    tx: &Tx,
    destination: AccountId,
) -> Result<Money, Ter> {
    let amount = tx.money("Amount").ok_or(Ter::TemBadAmount)?;
    let send_max = tx.money("SendMax");
    let is_partial = tx.flags & TF_PARTIAL_PAYMENT != 0;
    if tx.flags & TF_NO_DIRECT != 0 {
        return Err(if tx.json.contains_key("Paths") {
            Ter::TecPathDry
        } else {
            Ter::TemRippleEmpty
        });
    }
    let nothing = if is_partial {
        Ter::TecPathDry
    } else {
        Ter::TecPathPartial
    };
    let (Money::Issued(wanted, asset), None | Some(Money::Issued(..))) = (amount, send_max) else {
        // There must be a way to the book and from it to the receiver, and then the book is empty.
        let to_book = match send_max {
            Some(Money::Issued(_, asset)) => Some((tx.account, asset.issuer, asset.currency)),
            _ => None,
        };
        let from_book = match amount {
            Money::Issued(_, asset) => Some((asset.issuer, destination, asset.currency)),
            Money::Xrp(_) => None,
        };
        for (from, to, currency) in to_book.into_iter().chain(from_book) {
            let step = Step {
                from,
                to,
                currency,
                is_last: true,
            };
            if from != to {
                step.check(draft, None, false).map_err(as_dry)?;
            }
        }
        return Err(nothing);
    };
    let (most, first_issuer) = match send_max {
        Some(Money::Issued(_, sent)) if sent.currency != asset.currency => return Err(nothing),
        Some(Money::Issued(most, sent)) => (most, sent.issuer),
        _ => (wanted, tx.account),
    };
    let mut way = vec![tx.account];
    for stop in [first_issuer, asset.issuer, destination] {
        if !way.contains(&stop) {
            way.push(stop);
        }
    }
    let steps = steps(draft, &way, asset.currency).map_err(as_dry)?;
    let delivered = flow(draft, &steps, wanted, most)?;
    if delivered == wanted {
        return Ok(amount);
    }
    if !is_partial || delivered.is_zero() {
        return Err(nothing);
    }
    if let Some(Money::Issued(least, _)) = tx.money("DeliverMin")
        && delivered < least
    {
        return Err(Ter::TecPathPartial);
    }
    Ok(Money::Issued(delivered, asset))
}

/// What would be worth another try in another ledger takes the fee all the same.
fn as_dry(ter: Ter) -> Ter {
    if ter.is_ter() { Ter::TecPathDry } else { ter }
}

fn steps(draft: &Draft<'_, '_>, way: &[AccountId], currency: Currency) -> Result<Vec<Step>, Ter> {
    let last = way.len().saturating_sub(2);
    let mut steps: Vec<Step> = Vec::new();
    for (position, pair) in way.windows(2).enumerate() {
        let step = Step {
            from: pair[0],
            to: pair[1],
            currency,
            is_last: position == last,
        };
        step.check(draft, steps.last(), last == 0)?;
        steps.push(step);
    }
    Ok(steps)
}

impl Step {
    fn key(&self) -> LineKey {
        LineKey::new(self.from, self.to, self.currency)
    }

    fn line<'d>(&self, draft: &'d Draft<'_, '_>) -> Result<&'d Line, Ter> {
        draft.line(&self.key()).ok_or(Ter::TerNoLine)
    }

    /// True if money can go this way at all. `before` is the step before it; an only step cannot be frozen.
    fn check(
        &self,
        draft: &Draft<'_, '_>,
        before: Option<&Self>,
        is_only: bool,
    ) -> Result<(), Ter> {
        let from = draft.find(&self.from).ok_or(Ter::TerNoAccount)?;
        if !is_only {
            self.check_frozen(draft)?;
        }
        if let Some(before) = before {
            let (line_in, line_out) = (before.line(draft)?, self.line(draft)?);
            if line_in.has(End::of(&self.from, &before.from).no_ripple())
                && line_out.has(End::of(&self.from, &self.to).no_ripple())
            {
                return Err(Ter::TerNoRipple);
            }
        }
        let line = self.line(draft)?;
        let (end, held) = (
            End::of(&self.from, &self.to),
            line.held_by(End::of(&self.from, &self.to)),
        );
        if from.has(LSF_REQUIRE_AUTH) && !line.has(end.auth()) && held.is_zero() {
            return Err(Ter::TerNoAuth);
        }
        if !held.is_positive() && held.negated() >= line.terms(end.other()).limit {
            return Err(Ter::TecPathDry);
        }
        Ok(())
    }

    fn check_frozen(&self, draft: &Draft<'_, '_>) -> Result<(), Ter> {
        let to = draft.find(&self.to);
        if to.is_some_and(|to| to.has(LSF_GLOBAL_FREEZE)) {
            return Err(Ter::TerNoLine);
        }
        let Some(line) = draft.line(&self.key()) else {
            return Ok(());
        };
        let froze = End::of(&self.to, &self.from).freeze();
        let deep = End::Low.deep_freeze() | End::High.deep_freeze();
        if line.has(froze | deep) {
            return Err(Ter::TerNoLine);
        }
        Ok(())
    }

    /// Money that the sender holds goes first, then its own as far as the receiver trusts it.
    fn room(&self, draft: &Draft<'_, '_>) -> Result<Room, Ter> {
        let line = self.line(draft)?;
        let end = End::of(&self.from, &self.to);
        let held = line.held_by(end);
        if held.is_positive() {
            return Ok(Room {
                most: held,
                redeems: true,
            });
        }
        let limit = line.terms(end.other()).limit;
        Ok(Room {
            most: limit.plus(held).ok_or(Ter::TefException)?,
            redeems: false,
        })
    }

    /// What the sender must have for one, and what the receiver counts of one, in billionths.
    fn qualities(&self, draft: &Draft<'_, '_>, room: &Room, first_redeems: bool) -> (u32, u32) {
        if room.redeems {
            return (QUALITY_ONE, QUALITY_ONE);
        }
        let rate = match draft
            .find(&self.from)
            .map_or(0, |from| from.transfer_rate())
        {
            rate if rate == 0 || !first_redeems => QUALITY_ONE,
            rate => rate,
        };
        let line = draft.line(&self.key());
        let quality_in = line.map_or(0, |line| {
            line.terms(End::of(&self.to, &self.from)).quality_in
        });
        let counts = match quality_in {
            0 => QUALITY_ONE,
            quality if self.is_last => quality.min(QUALITY_ONE),
            quality => quality,
        };
        (rate, counts)
    }

    /// What it takes to give so much, or as much as there is room for.
    fn backwards(
        &self,
        draft: &Draft<'_, '_>,
        wanted: Decimal,
        first_redeems: bool,
    ) -> Result<Passed, Ter> {
        let room = self.room(draft)?;
        if !room.most.is_positive() {
            return Ok(NOTHING);
        }
        let (rate, counts) = self.qualities(draft, &room, first_redeems);
        let share =
            |value: Decimal, by: u32, of: u32, up| value.share(by, of, up).ok_or(Ter::TefException);
        let moved = share(wanted, QUALITY_ONE, counts, true)?;
        if moved <= room.most {
            return Ok(Passed {
                taken: share(moved, rate, QUALITY_ONE, true)?,
                moved,
                given: wanted,
            });
        }
        Ok(Passed {
            taken: share(room.most, rate, QUALITY_ONE, true)?,
            moved: room.most,
            given: share(room.most, counts, QUALITY_ONE, false)?,
        })
    }

    /// What comes of so much.
    fn forwards(
        &self,
        draft: &Draft<'_, '_>,
        taken: Decimal,
        first_redeems: bool,
    ) -> Result<Passed, Ter> {
        let room = self.room(draft)?;
        if !room.most.is_positive() {
            return Ok(NOTHING);
        }
        let (rate, counts) = self.qualities(draft, &room, first_redeems);
        let share =
            |value: Decimal, by: u32, of: u32, up| value.share(by, of, up).ok_or(Ter::TefException);
        let moved = share(taken, QUALITY_ONE, rate, false)?.min(room.most);
        Ok(Passed {
            taken,
            moved,
            given: share(moved, counts, QUALITY_ONE, false)?,
        })
    }
}

const NOTHING: Passed = Passed {
    taken: Decimal::ZERO,
    moved: Decimal::ZERO,
    given: Decimal::ZERO,
};

/// Sends as much as is wanted and possible; gives what arrived.
fn flow(
    draft: &mut Draft<'_, '_>,
    steps: &[Step],
    wanted: Decimal,
    most: Decimal,
) -> Result<Decimal, Ter> {
    let (mut arrived, mut spent) = (Decimal::ZERO, Decimal::ZERO);
    for _ in 0..ATTEMPTS_MAX {
        let open = wanted.minus(arrived).ok_or(Ter::TefException)?;
        let left = most.minus(spent).ok_or(Ter::TefException)?;
        if !open.is_positive() || !left.is_positive() {
            break;
        }
        let Some(passed) = once(draft, steps, open, left)? else {
            break;
        };
        for (step, passed) in steps.iter().zip(&passed) {
            credit(draft, (&step.from, &step.to), step.currency, passed.moved)?;
        }
        let (first, last) = (passed[0], passed[passed.len() - 1]);
        spent = spent.plus(first.taken).ok_or(Ter::TefException)?;
        arrived = arrived.plus(last.given).ok_or(Ter::TefException)?;
    }
    Ok(arrived)
}

/// One attempt: from the end back to the narrowest step, and from there on again. None if nothing passes.
fn once(
    draft: &Draft<'_, '_>,
    steps: &[Step],
    wanted: Decimal,
    most: Decimal,
) -> Result<Option<Vec<Passed>>, Ter> {
    // Only what passes a line into the issuer's hands is charged when it leaves them.
    let mut redeemed = vec![false; steps.len()];
    for position in 1..steps.len() {
        redeemed[position] = steps[position - 1].room(draft)?.redeems;
    }
    let mut passed = vec![NOTHING; steps.len()];
    let mut needed = wanted;
    let mut narrowest = steps.len() - 1;
    for position in (0..steps.len()).rev() {
        let step = &steps[position];
        let mut now = step.backwards(draft, needed, redeemed[position])?;
        if now.given.is_zero() {
            return Ok(None);
        }
        if position == 0 && most < now.taken {
            narrowest = 0;
            now = step.forwards(draft, most, redeemed[position])?;
            if now.given.is_zero() {
                return Ok(None);
            }
        } else if now.given != needed {
            narrowest = position;
        }
        passed[position] = now;
        needed = now.taken;
    }
    let mut given = passed[narrowest].given;
    for position in narrowest + 1..steps.len() {
        let now = steps[position].forwards(draft, given, redeemed[position])?;
        if now.given.is_zero() {
            return Ok(None);
        }
        passed[position] = now;
        given = now.given;
    }
    Ok(Some(passed))
}
