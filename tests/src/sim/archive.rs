//! What one server knows of the chain: which ledgers it has closed, counts as validated, has published and saved, and
//! which it let go of before they were validated.
//!
//! Owns: the rule that a server publishes and saves validated ledgers in order and never past one that it does not hold.
//! May not: hold a ledger, or know what is in one.
//!
//! This is where "executed, but `tx` says validated:false for good" comes from: a server that went on alone, and whose
//! ledgers were validated only later, no longer holds the first of them, so it publishes nothing more.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use super::types::Millis;

/// A closed ledger that nobody validated is let go of when it was of no use for this long: a minute, and on average a
/// quarter of a minute more until a small server looks.
const UNVALIDATED_KEPT_MS: u64 = 75_000;

/// The ledgers of one server.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    /// The first ledger that it can show.
    first: u32,
    /// The last one that it counts as validated.
    validated: Option<u32>,
    /// When it learnt of that.
    validated_at: Millis,
    /// The last one that it told its subscribers of.
    published: Option<u32>,
    /// What it has saved, in order, without overlaps.
    saved: Vec<RangeInclusive<u32>>,
    /// The last ledgers that it counts as saved and has not saved yet.
    late: u32,
    /// When each closed ledger that is not validated was last of use; None: it was let go of.
    unvalidated: BTreeMap<u32, Option<Millis>>,
}

impl Archive {
    /// A server that has everything from its first ledger on, and counts that one as validated.
    pub(super) fn whole(first: u32) -> Self {
        Self {
            first,
            validated: Some(first),
            validated_at: Millis(0),
            published: Some(first),
            saved: vec![first..=first],
            late: 0,
            unvalidated: BTreeMap::new(),
        }
    }

    /// A server that has everything between these two, and learns now that the last one is validated.
    pub(super) fn whole_until(first: u32, last: u32, now: Millis) -> Self {
        Self {
            validated: Some(last),
            validated_at: now,
            published: Some(last),
            saved: vec![first..=last],
            ..Self::whole(first)
        }
    }

    /// A server that has just started and holds one ledger, of which nobody told it that it is validated.
    pub(super) fn joining(first: u32) -> Self {
        Self {
            first,
            validated: None,
            validated_at: Millis(0),
            published: None,
            saved: Vec::new(),
            late: 0,
            unvalidated: BTreeMap::new(),
        }
    }

    /// Forgets every ledger after this one.
    pub(super) fn truncate(&mut self, last: u32) {
        let cut = |index: u32| index.min(last);
        self.validated = self.validated.map(cut);
        self.published = self.published.map(cut);
        self.unvalidated.retain(|index, _| *index <= last);
        self.saved.retain(|range| *range.start() <= last);
        for range in &mut self.saved {
            *range = *range.start()..=cut(*range.end());
        }
    }

    /// The last validated ledger.
    pub(super) fn validated(&self) -> Option<u32> {
        self.validated
    }

    /// Milliseconds since it learnt of a validated ledger; None if it never did.
    pub(super) fn age_ms(&self, now: Millis) -> Option<u64> {
        self.validated?;
        Some(now.0.saturating_sub(self.validated_at.0))
    }

    /// The last published ledger.
    pub(super) fn published(&self) -> Option<u32> {
        self.published
    }

    /// True if the transactions of this ledger can be found.
    pub(super) fn has_saved(&self, index: u32) -> bool {
        let is_late = self
            .published
            .is_some_and(|published| index + self.late > published);
        let is_saved = self.saved.iter().any(|range| range.contains(&index));
        is_saved && (self.late == 0 || !is_late)
    }

    /// Has these ledgers no more.
    pub(super) fn forget(&mut self, gone: RangeInclusive<u32>) {
        let (first, last) = (*gone.start(), *gone.end());
        let parts = self.saved.iter().flat_map(|range| {
            let (start, end) = (*range.start(), *range.end());
            let before = start..=end.min(first.saturating_sub(1));
            let after = start.max(last.saturating_add(1))..=end;
            [before, after]
        });
        self.saved = parts.filter(|range| !range.is_empty()).collect();
    }

    /// It has fetched what it missed, from this ledger on.
    pub(super) fn backfill(&mut self, first: u32) {
        let Some(validated) = self.validated else {
            return;
        };
        self.first = first;
        self.published = Some(validated);
        self.saved = vec![first..=validated];
        self.unvalidated.retain(|index, _| *index > validated);
    }

    /// From now on the last ledgers, so many, are not saved yet.
    pub(super) fn save_late(&mut self, ledgers: u32) {
        self.late = ledgers;
    }

    /// True if the ledger itself can be shown.
    pub(super) fn holds(&self, index: u32) -> bool {
        index >= self.first && self.unvalidated.get(&index) != Some(&None)
    }

    /// The saved ledgers without a gap that end at the last published one.
    pub(super) fn searchable(&self) -> Option<RangeInclusive<u32>> {
        let published = self.published?;
        let range = self.saved.iter().find(|range| range.contains(&published))?;
        let last = published.saturating_sub(self.late);
        (*range.start() <= last).then(|| *range.start()..=last)
    }

    /// A ledger was closed on the one before.
    pub(super) fn closed(&mut self, index: u32, now: Millis) {
        self.unvalidated.insert(index, Some(now));
        if let Some(Some(used)) = self.unvalidated.get_mut(&index.saturating_sub(1)) {
            *used = now;
        }
    }

    /// All ledgers up to this one are validated; gives those to publish, in order. Each is saved by [`Self::publish`].
    pub(super) fn validate(&mut self, index: u32, now: Millis) -> RangeInclusive<u32> {
        if self.validated.is_some_and(|validated| validated >= index) {
            return RangeInclusive::new(1, 0);
        }
        for (_, used) in self.unvalidated.range_mut(..=index) {
            *used = used.filter(|used| now.0 <= used.0 + UNVALIDATED_KEPT_MS);
        }
        self.validated_at = now;
        let next = self.published.map_or(index, |published| published + 1);
        let lost = (next..=index).find(|next| !self.holds(*next));
        self.unvalidated
            .retain(|closed, used| *closed > index || used.is_none());
        if self.validated.replace(index).is_none() {
            // What it begins with it publishes and does not save, as recorded.
            self.published = Some(index);
            return index..=index;
        }
        next..=lost.map_or(index, |lost| lost.saturating_sub(1))
    }

    /// The subscribers are about to hear of this ledger.
    pub(super) fn publish(&mut self, index: u32) {
        if self.published == Some(index) {
            return;
        }
        self.published = Some(index);
        match self.saved.last_mut() {
            Some(last) if last.end() + 1 == index => *last = *last.start()..=index,
            _ => self.saved.push(index..=index),
        }
    }
}

impl fmt::Display for Archive {
    /// As `complete_ledgers`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.saved.is_empty() {
            return f.write_str("empty");
        }
        for (position, range) in self.saved.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            if range.start() == range.end() {
                write!(f, "{comma}{}", range.start())?;
            } else {
                write!(f, "{comma}{}-{}", range.start(), range.end())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1000;

    fn publish(history: &mut Archive, range: RangeInclusive<u32>) -> Vec<u32> {
        range.inspect(|index| history.publish(*index)).collect()
    }

    #[test]
    fn a_server_publishes_nothing_past_a_ledger_that_it_let_go_of() {
        let mut history = Archive::whole(20);
        for closed in 21..=26 {
            history.closed(closed, Millis(u64::from(closed) * 20 * SECOND));
        }
        let now = Millis(26 * 20 * SECOND);
        let range = history.validate(26, now);
        assert_eq!(publish(&mut history, range), Vec::<u32>::new());
        assert_eq!(
            (history.validated(), history.published()),
            (Some(26), Some(20))
        );
        assert!(!history.holds(21) && history.holds(23) && !history.has_saved(23));
        assert_eq!(history.to_string(), "20");
        history.closed(27, now);
        let range = history.validate(27, now);
        assert_eq!(publish(&mut history, range), Vec::<u32>::new());
        assert_eq!(history.searchable(), Some(20..=20));
    }

    #[test]
    fn ledgers_that_are_validated_late_but_held_are_published_in_order() {
        let mut history = Archive::whole(20);
        for closed in 21..=23 {
            history.closed(closed, Millis(0));
        }
        let range = history.validate(23, Millis(70 * SECOND));
        assert_eq!(publish(&mut history, range), [21, 22, 23]);
        assert_eq!(history.to_string(), "20-23");
    }

    #[test]
    fn a_server_that_joins_does_not_save_the_ledger_it_begins_with() {
        let mut history = Archive::joining(32);
        assert_eq!(history.to_string(), "empty");
        history.closed(33, Millis(0));
        let range = history.validate(33, Millis(0));
        assert_eq!(publish(&mut history, range), [33]);
        assert_eq!(history.searchable(), None);
        history.closed(34, Millis(0));
        let range = history.validate(34, Millis(0));
        assert_eq!(publish(&mut history, range), [34]);
        assert_eq!(history.to_string(), "34");
        assert!(history.holds(32) && !history.holds(31));
    }
}
