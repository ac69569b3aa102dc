//! How much may go to fees within an hour.
//!
//! Owns: what a further version takes of that budget, and the words when it is used up. May not: know a clock; whoever keeps the
//! rows says what the last hour was.

use std::fmt;

use xrpl_tx::Drops;

/// The fees of the last hour against their limit. A slot is charged once, so it counts with its dearest version, from the moment
/// that one was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeBudget {
    /// At most so much within any hour.
    pub max: Drops,
    /// What was committed within the last one.
    pub used: Drops,
}

/// A version would pass the budget. Nothing is bound and no version is made until old fees are an hour old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverBudget {
    /// What the version needs.
    pub needed: Drops,
    /// The budget.
    pub budget: FeeBudget,
}

impl FeeBudget {
    /// What is left of it.
    #[must_use]
    pub fn left(self) -> Drops {
        self.max.saturating_sub(self.used)
    }

    /// What a version with this fee takes, on a slot whose dearest version costs `highest`.
    #[must_use]
    pub fn needs(fee: Drops, highest: Drops) -> Drops {
        fee.saturating_sub(highest)
    }

    /// Takes so much, or says that it is not there.
    pub fn take(&mut self, needed: Drops) -> Result<(), OverBudget> {
        if needed > self.left() {
            return Err(OverBudget {
                needed,
                budget: *self,
            });
        }
        self.used = self.used.checked_add(needed).unwrap_or(Drops::MAX);
        Ok(())
    }
}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "FEE_BUDGET: a fee of {} more would pass fees.max_xrp_per_hour: {} of {} are committed within the last hour",
            self.needed, self.budget.used, self.budget.max
        )
    }
}

impl std::error::Error for OverBudget {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drops(n: u64) -> Drops {
        Drops::new(n).unwrap()
    }

    #[test]
    fn a_raise_takes_only_what_it_adds() {
        assert_eq!(FeeBudget::needs(drops(13), drops(10)), drops(3));
        assert_eq!(FeeBudget::needs(drops(10), drops(13)), Drops::ZERO);
        let mut budget = FeeBudget {
            max: drops(20),
            used: drops(8),
        };
        let over = budget.take(drops(13)).unwrap_err();
        assert!(over.to_string().starts_with("FEE_BUDGET"), "{over}");
        assert_eq!(budget.take(drops(12)), Ok(()));
        assert_eq!(budget.left(), Drops::ZERO);
        assert_eq!(budget.take(Drops::ZERO), Ok(()));
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_the_sum_stays_within(max in 0u64..10_000, fees in prop::collection::vec(0u64..3_000, 0..40)) {
            let mut budget = FeeBudget { max: drops(max), used: Drops::ZERO };
            for fee in fees {
                let before = budget;
                let taken = budget.take(drops(fee));
                prop_assert!(budget.used <= budget.max);
                prop_assert!(taken.is_ok() || budget == before);
            }
        }
    }
}
