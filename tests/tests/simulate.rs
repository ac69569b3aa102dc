//! Some simulated days, and the proof that a seed decides everything that happens in one.

use std::time::{Duration, Instant};

use paygate_tests::simulate::run;

/// Seeds run until this time has passed, a few at least.
const TIME: Duration = Duration::from_secs(12);
const SEEDS_MIN: u64 = 4;
const SEEDS_MAX: u64 = 60;

fn first_seed() -> u64 {
    let seed = std::env::var("PAYGATE_SEED").ok();
    seed.and_then(|seed| seed.parse().ok()).unwrap_or(0)
}

#[test]
fn the_same_seed_is_the_same_day() {
    let seed = first_seed() + 3;
    let (first, second) = (run(seed, false), run(seed, false));
    assert_eq!(first, second, "seed {seed}");
    let other = run(seed + 1, false);
    assert_ne!(first.trace, other.trace, "another seed is another day");
    assert!(first.payments > 0 && first.ledgers > 0);
}

#[test]
fn nothing_is_violated_whatever_goes_wrong() {
    let began = Instant::now();
    let (mut payments, mut faults) = (0, 0);
    for n in 0..SEEDS_MAX {
        if n >= SEEDS_MIN && began.elapsed() > TIME {
            break;
        }
        let seed = first_seed() + n;
        let outcome = run(seed, false);
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}: {:#?}\nreplay: cargo run --release --bin simulate -- --seed {seed} --verbose",
            outcome.violations
        );
        payments += outcome.payments;
        faults += outcome.faults.values().sum::<u64>();
    }
    assert!(
        payments > 0 && faults > 0,
        "{payments} payments, {faults} faults"
    );
}
