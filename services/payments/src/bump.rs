//! When a slot bids more than it did: the fee bump.
//!
//! Owns: whether a further version of the same content with a higher fee is worth making now, and its terms. May not: pass the
//! cap or the deadline, or know what a version pays; content belongs to the binding, so all versions carry the same.
//!
//! Patience is nearly free: a payment that bids the base fee gets in some ledgers later, and chasing the open ledger's fee costs
//! thousands of times more. So a slot bids more in two cases only: its payment's deadline is near and the fee is what keeps it
//! out, or it is the lowest open slot and a whole window went by without it.

use xrpl_tx::Drops;

use crate::LedgerIndex;
use crate::payment::Versions;
use crate::terms::{FeeFacts, Terms, TermsPolicy};

/// With so many ledgers left before its deadline, a payment is in a hurry.
pub const HURRY_LEDGERS: u32 = 5;

/// With so many left it bids all that is allowed, if the ledger asks for more than that anyway.
const LAST_LEDGERS: u32 = 2;

/// A bid for the slot of a live payment with a deadline, while its newest version can still get in. `None`: the deadline is not
/// near, a higher fee is not what it lacks, or what is allowed would not take the older version's place.
#[must_use]
pub fn in_a_hurry(
    versions: &Versions,
    deadline: LedgerIndex,
    validated: LedgerIndex,
    fees: FeeFacts,
    policy: TermsPolicy,
) -> Option<Terms> {
    let (_, newest) = versions.latest();
    let left = deadline.0.checked_sub(validated.0)?;
    // Without a signature it was never sent: the fee is not what keeps it out. Dead: the next version comes with the proof.
    if left == 0
        || left > HURRY_LEDGERS
        || newest.signed.is_none()
        || newest.last_ledger <= validated
    {
        return None;
    }
    let highest = highest_fee(versions);
    let enters = fees.asked().max(fees.open_ledger);
    if enters <= highest {
        return None;
    }
    let wanted = if enters <= policy.fee_max {
        enters
    } else if left <= LAST_LEDGERS {
        policy.fee_max
    } else {
        // Twice as much with each ledger that is gone, measured from the first bid, so that looking twice does not pay twice.
        let first = versions.as_slice().first().map_or(highest, |v| v.fee);
        times(first, 1u64 << (HURRY_LEDGERS + 1 - left)).min(policy.fee_max)
    };
    let place = outbid(highest);
    let fee = wanted.max(place);
    (fee <= policy.fee_max).then_some(Terms {
        fee,
        last_ledger: deadline,
    })
}

/// The terms of the version that follows a dead one. The lowest open slot holds up all others, and a whole window at its fee was
/// not enough: it bids a quarter more than ever before, up to the cap. All others bid what is asked.
#[must_use]
pub fn after_a_window(terms: Terms, versions: &Versions, lowest: bool, cap: Drops) -> Terms {
    // What was never signed was never sent, and its fee was never tried.
    if lowest && versions.ever_signed() {
        terms.outbidding(highest_fee(versions), cap)
    } else {
        terms
    }
}

/// The dearest fee of all versions, signed or not. A slot is charged once, so this is the most that it can cost.
#[must_use]
pub fn highest_fee(versions: &Versions) -> Drops {
    let fees = versions.as_slice().iter().map(|version| version.fee);
    fees.max().unwrap_or(Drops::ZERO)
}

/// The least fee that takes the place of a queued transaction of the same slot: more than a quarter above it.
#[must_use]
pub fn outbid(queued: Drops) -> Drops {
    let needed = u128::from(queued.get()) * 5 / 4 + 1;
    u64::try_from(needed)
        .ok()
        .and_then(|n| Drops::new(n).ok())
        .unwrap_or(Drops::MAX)
}

fn times(drops: Drops, factor: u64) -> Drops {
    drops
        .get()
        .checked_mul(factor)
        .and_then(|n| Drops::new(n).ok())
        .unwrap_or(Drops::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::VersionKind;
    use proptest::prelude::*;
    use xrpl_tx::{Hash256, Signed};

    const CAP: u64 = 2_000;

    fn drops(n: u64) -> Drops {
        Drops::new(n).unwrap()
    }

    fn policy() -> TermsPolicy {
        TermsPolicy {
            fee_max: drops(CAP),
            window: 20,
        }
    }

    fn market(minimum: u64, open_ledger: u64) -> FeeFacts {
        FeeFacts {
            base: drops(10),
            minimum: drops(minimum),
            load_256ths: 256,
            open_ledger: drops(open_ledger),
        }
    }

    /// Versions of a payment with these fees, all up to ledger 120, the newest signed or not.
    fn bids(fees: &[u64], signed: bool) -> Versions {
        let one = |fee: u64, number: usize| {
            let terms = Terms {
                fee: drops(fee),
                last_ledger: LedgerIndex(120),
            };
            let mut version = terms.version(VersionKind::Payment);
            if signed {
                let mark = u8::try_from(number).unwrap();
                version.signed = Some(Signed {
                    blob: vec![mark],
                    hash: Hash256::from_bytes([mark; 32]),
                });
            }
            version
        };
        Versions::restore(
            fees.iter()
                .enumerate()
                .map(|(n, fee)| one(*fee, n))
                .collect(),
        )
        .unwrap()
    }

    #[test]
    fn a_bid_rises_only_as_the_deadline_comes_near_and_only_if_the_fee_is_what_it_lacks() {
        // Ledgers left, fees so far, signed, minimum, open ledger's fee: the bid.
        type Row<'a> = (u32, &'a [u64], bool, u64, u64, Option<u64>);
        let rows: [Row<'_>; 13] = [
            (6, &[10], true, 10, 500, None),
            (5, &[10], true, 10, 500, Some(500)),
            (1, &[10], true, 10, 500, Some(500)),
            (0, &[10], true, 10, 500, None),
            // Not sent yet, or in the open ledger's range already.
            (3, &[10], false, 10, 500, None),
            (3, &[10], true, 10, 10, None),
            (3, &[600], true, 10, 500, None),
            // Enough to take the older one's place.
            (3, &[490], true, 10, 500, Some(613)),
            (3, &[1_700], true, 10, 1_800, None),
            // The open ledger asks for more than the cap: twice as much each ledger, all of it at the end.
            (5, &[10], true, 10, 9_000, Some(20)),
            (4, &[10, 20], true, 10, 9_000, Some(40)),
            (3, &[10, 20, 40], true, 10, 9_000, Some(80)),
            (2, &[10, 20, 40, 80], true, 10, 9_000, Some(CAP)),
        ];
        for (left, fees, signed, minimum, open, bid) in rows {
            let found = in_a_hurry(
                &bids(fees, signed),
                LedgerIndex(110),
                LedgerIndex(110 - left),
                market(minimum, open),
                policy(),
            );
            let row = (left, fees, signed, minimum, open);
            assert_eq!(found.map(|t| t.fee.get()), bid, "{row:?}");
            assert!(found.is_none_or(|t| t.last_ledger == LedgerIndex(110)));
        }
    }

    #[test]
    fn after_a_whole_window_only_the_lowest_slot_bids_more() {
        let asked = Terms {
            fee: drops(10),
            last_ledger: LedgerIndex(141),
        };
        let bid = |fees: &[u64], signed, lowest| {
            let terms = after_a_window(asked, &bids(fees, signed), lowest, drops(CAP));
            assert_eq!(terms.last_ledger, asked.last_ledger);
            terms.fee.get()
        };
        assert_eq!(bid(&[10], true, true), 13);
        assert_eq!(bid(&[10, 13], true, true), 17);
        assert_eq!(bid(&[1_900], true, true), CAP);
        assert_eq!(bid(&[10], true, false), 10);
        assert_eq!(bid(&[10], false, true), 10);
    }

    proptest! {
        #[test]
        fn no_bid_passes_cap_or_deadline_and_each_takes_the_place_of_the_last(
            fees in prop::collection::vec(1u64..3_000, 1..6),
            deadline in 100u32..140,
            validated in 90u32..140,
            minimum in 0u64..4_000,
            open in 0u64..1_000_000,
        ) {
            let versions = bids(&fees, true);
            let highest = highest_fee(&versions);
            let bid = in_a_hurry(&versions, LedgerIndex(deadline), LedgerIndex(validated), market(minimum, open), policy());
            if let Some(terms) = bid {
                prop_assert!(terms.fee <= drops(CAP));
                prop_assert!(terms.last_ledger <= LedgerIndex(deadline));
                prop_assert!(terms.last_ledger > LedgerIndex(validated));
                prop_assert!(u128::from(terms.fee.get()) * 4 > u128::from(highest.get()) * 5);
                prop_assert!(deadline - validated <= HURRY_LEDGERS);
            }
            let asked = Terms { fee: drops(10), last_ledger: LedgerIndex(deadline) };
            let next = after_a_window(asked, &versions, true, drops(CAP));
            prop_assert!(next.fee <= drops(CAP.max(10)));
        }

        /// However often it is looked, a deadline costs a handful of versions.
        #[test]
        fn bids_for_one_deadline_are_few(opens in prop::collection::vec(0u64..20_000, 40)) {
            let mut fees = vec![10u64];
            for (n, open) in opens.iter().enumerate() {
                let validated = 104 + u32::try_from(n / 8).unwrap();
                let bid = in_a_hurry(&bids(&fees, true), LedgerIndex(110), LedgerIndex(validated), market(10, *open), policy());
                fees.extend(bid.map(|terms| terms.fee.get()));
            }
            prop_assert!(fees.len() <= 26, "{fees:?}");
        }
    }
}
