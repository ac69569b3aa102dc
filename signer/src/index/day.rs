//! The rolling sums of a day: each slot once, with the highest charge of its versions, for 24 hours after its latest
//! version. Owns how they are kept; what they may reach is the policy's.

use std::collections::{BTreeMap, VecDeque};

use xrpl_tx::{Asset, IssuedValue, Slot};

use crate::policy::DAY_MS;

/// What slots took within 24 hours.
#[derive(Debug, Default)]
pub(super) struct Day {
    order: VecDeque<(u64, Slot)>,
    slots: BTreeMap<Slot, Taken>,
    sum_drops: u64,
    /// Of the slots that pay an issued currency: kept apart, since most do not.
    issued: BTreeMap<Slot, (Asset, IssuedValue)>,
    sums: BTreeMap<Asset, IssuedSum>,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    latest_ms: u64,
    drops: u64,
}

/// Values that come and go. The mantissas of each exponent are summed apart, so that what is taken out again leaves nothing
/// behind: only reading the sum rounds, and that up.
#[derive(Debug, Default)]
struct IssuedSum(BTreeMap<i32, u128>);

// === impl Day ===

impl Day {
    pub(super) fn add(
        &mut self,
        at_ms: u64,
        slot: Slot,
        drops: u64,
        issued: Option<(Asset, IssuedValue)>,
    ) {
        self.forget_before(at_ms);
        if drops == 0 {
            return;
        }
        let taken = self.slots.entry(slot).or_insert(Taken {
            latest_ms: at_ms,
            drops: 0,
        });
        let more = drops.saturating_sub(taken.drops);
        taken.drops += more;
        taken.latest_ms = at_ms;
        self.sum_drops = self.sum_drops.saturating_add(more);
        self.order.push_back((at_ms, slot));
        // All versions of a payment pay the same; a no-op on its slot takes nothing back.
        if let Some((asset, value)) = issued
            && self.issued.insert(slot, (asset, value)).is_none()
        {
            self.sums.entry(asset).or_default().add(value);
        }
    }

    pub(super) fn forget_before(&mut self, now_ms: u64) {
        while let Some((at_ms, slot)) = self.order.front().copied() {
            if now_ms.saturating_sub(at_ms) < DAY_MS {
                break;
            }
            self.order.pop_front();
            // A later version of the slot keeps it in the sum.
            if let Some(taken) = self.slots.get(&slot).copied()
                && taken.latest_ms == at_ms
            {
                self.sum_drops = self.sum_drops.saturating_sub(taken.drops);
                self.slots.remove(&slot);
                if let Some((asset, value)) = self.issued.remove(&slot)
                    && let Some(sum) = self.sums.get_mut(&asset)
                {
                    sum.remove(value);
                }
            }
        }
    }

    /// Drops of the other slots, and of this one.
    pub(super) fn drops(&self, slot: Option<Slot>) -> (u64, u64) {
        let of_slot = slot
            .and_then(|slot| self.slots.get(&slot))
            .map_or(0, |taken| taken.drops);
        (self.sum_drops.saturating_sub(of_slot), of_slot)
    }

    /// What the other slots took of the asset, and this one. More than any value counts as the greatest value.
    pub(super) fn issued(&self, asset: Asset, slot: Option<Slot>) -> (IssuedValue, IssuedValue) {
        let of_slot = slot
            .and_then(|slot| self.issued.get(&slot))
            .filter(|(taken, _)| *taken == asset)
            .map_or(IssuedValue::ZERO, |(_, value)| *value);
        let others = self
            .sums
            .get(&asset)
            .map_or(Some(IssuedValue::ZERO), |sum| sum.without(of_slot));
        (others.unwrap_or(IssuedValue::MAX), of_slot)
    }
}

// === impl IssuedSum ===

impl IssuedSum {
    fn add(&mut self, value: IssuedValue) {
        // 10^16 for each of the 2^32 slots that a journal can hold is far below 2^128.
        *self.0.entry(value.exponent()).or_default() += u128::from(value.mantissa());
    }

    fn remove(&mut self, value: IssuedValue) {
        if let Some(mantissas) = self.0.get_mut(&value.exponent()) {
            *mantissas = mantissas.saturating_sub(u128::from(value.mantissa()));
            if *mantissas == 0 {
                self.0.remove(&value.exponent());
            }
        }
    }

    /// The sum without a value that is in it, rounded up. None if it is above all values.
    fn without(&self, value: IssuedValue) -> Option<IssuedValue> {
        self.0
            .iter()
            .try_fold(IssuedValue::ZERO, |sum, (exponent, mantissas)| {
                let left_out = match *exponent == value.exponent() {
                    true => u128::from(value.mantissa()),
                    false => 0,
                };
                let rest = mantissas.saturating_sub(left_out);
                sum.checked_add_up(IssuedValue::at_least(rest, *exponent)?)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> IssuedValue {
        text.parse().unwrap()
    }

    fn asset(currency: &str) -> Asset {
        Asset {
            currency: currency.parse().unwrap(),
            issuer: xrpl_tx::ACCOUNT_ONE,
        }
    }

    #[test]
    fn what_leaves_the_sum_leaves_nothing_behind() {
        let (usd, eur) = (asset("USD"), asset("EUR"));
        let mut day = Day::default();
        // Values of which no 16 digits hold the sum, one each millisecond, for three days of them.
        let texts = ["0.1", "3333333.333333333", "1000000000000000e-96", "7e9"];
        for at_ms in 0..1_000u32 {
            let text = texts[at_ms as usize % texts.len()];
            let slot = Slot::Sequence(at_ms + 1);
            day.add(u64::from(at_ms), slot, 10, Some((usd, value(text))));
        }
        assert_eq!(day.issued(eur, None).0, IssuedValue::ZERO);
        let (sum, _) = day.issued(usd, None);
        // 250 times 7000000000 + 3333333.333333333 + 0.1 and a trace, rounded up to 16 digits.
        assert_eq!(sum, value("1750833333358.334"));
        day.forget_before(DAY_MS + 998);
        assert_eq!(day.issued(usd, None).0, value("7e9"));
        assert_eq!(day.drops(None), (10, 0));
        day.forget_before(DAY_MS + 999);
        assert_eq!(day.issued(usd, None).0, IssuedValue::ZERO);
        assert!(day.sums[&usd].0.is_empty());
    }

    #[test]
    fn a_slot_counts_once_and_apart_from_the_others() {
        let usd = asset("USD");
        let mut day = Day::default();
        let (one, other) = (Slot::Sequence(1), Slot::Sequence(2));
        for at_ms in [1, 2, 3] {
            day.add(at_ms, one, 10, Some((usd, value("5"))));
        }
        day.add(4, other, 10, Some((usd, value("2"))));
        day.add(5, one, 12, None);
        assert_eq!(day.issued(usd, None), (value("7"), value("0")));
        assert_eq!(day.issued(usd, Some(one)), (value("2"), value("5")));
        assert_eq!(day.drops(Some(one)), (10, 12));
    }

    #[test]
    fn a_sum_above_all_values_is_the_greatest() {
        let usd = asset("USD");
        let mut day = Day::default();
        for number in 1..=3 {
            day.add(1, Slot::Sequence(number), 1, Some((usd, IssuedValue::MAX)));
        }
        assert_eq!(day.issued(usd, None).0, IssuedValue::MAX);
    }
}
