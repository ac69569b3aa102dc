//! What sets a server aside, what brings it back, and who is primary, as tables over time.

use super::*;

/// Above it an answer is slow.
const SLOW_AFTER: Duration = Duration::from_secs(5);

fn healthy() -> Seen {
    Seen {
        connection: Ok(()),
        word: Some(Word::State("full".to_owned(), false)),
        waiting: None,
        took: Duration::from_millis(3),
        newest: Some(100),
        still_for: Duration::from_secs(3),
        others_grow: true,
        agreed: Some(100),
    }
}

fn with(change: impl FnOnce(&mut Seen)) -> Seen {
    let mut seen = healthy();
    change(&mut seen);
    seen
}

/// A server that was looked at once a second.
struct Watched {
    standing: Standing,
    now: Instant,
}

impl Watched {
    fn in_health() -> Watched {
        let now = Instant::now();
        let mut watched = Watched {
            standing: Standing::new(),
            now,
        };
        assert_eq!(watched.look(&healthy()), Level::Good, "good at once");
        watched
    }

    fn look(&mut self, seen: &Seen) -> Level {
        self.now += Duration::from_secs(1);
        self.standing.look(seen, SLOW_AFTER, self.now);
        self.standing.level()
    }

    /// Looks in health until it is good again.
    fn seconds_to_good(&mut self) -> u32 {
        (1..2_000)
            .find(|_| self.look(&healthy()) == Level::Good)
            .expect("it comes back")
    }
}

#[test]
fn each_fault_sets_aside_after_as_many_looks_as_it_takes_to_be_sure() {
    let lost = || Err("closed by the server".to_owned());
    let (aside, out) = (Level::Doubtful, Level::Out);
    for (seen, looks, level, words) in [
        (
            with(|s| s.connection = lost()),
            1,
            out,
            "closed by the server",
        ),
        (
            with(|s| s.word = Some(Word::State("full".into(), true))),
            1,
            out,
            "the server is amendment blocked",
        ),
        (
            with(|s| s.word = Some(Word::State("syncing".into(), false))),
            1,
            aside,
            "its state is syncing",
        ),
        (
            with(|s| s.word = Some(Word::Error("the server refuses".into()))),
            2,
            aside,
            "the server refuses",
        ),
        (
            with(|s| s.waiting = Some(Duration::from_secs(6))),
            2,
            aside,
            "the server has not answered for 6000 ms",
        ),
        (
            with(|s| s.took = Duration::from_secs(7)),
            2,
            aside,
            "its answers take 7000 ms",
        ),
        (
            with(|s| s.still_for = Duration::from_secs(21)),
            1,
            aside,
            "its validated ledger has not moved for 21 s while others' do",
        ),
        (
            with(|s| s.newest = Some(96)),
            2,
            aside,
            "it is 4 ledgers behind",
        ),
        (
            with(|s| s.newest = Some(4_000)),
            2,
            aside,
            "it tells of ledgers 3900 ahead that no other has",
        ),
    ] {
        let mut watched = Watched::in_health();
        for look in 1..=looks {
            let wanted = if look < looks { Level::Good } else { level };
            assert_eq!(watched.look(&seen), wanted, "look {look}: {words}");
        }
        let fault = watched.standing.fault().unwrap();
        assert_eq!(fault.to_string(), words);
        assert_eq!(watched.seconds_to_good(), 6, "calm first: {words}");
    }
}

#[test]
fn what_is_no_fault_of_the_server_does_not_set_it_aside() {
    for seen in [
        // A network that stands still stands still for everybody.
        with(|s| (s.still_for, s.others_grow) = (Duration::from_secs(4_000), false)),
        with(|s| s.newest = Some(97)),
        with(|s| (s.newest, s.agreed) = (Some(100), None)),
        with(|s| s.waiting = Some(Duration::from_secs(4))),
    ] {
        let mut watched = Watched::in_health();
        for _ in 0..10 {
            assert_eq!(watched.look(&seen), Level::Good, "{seen:?}");
        }
    }
}

#[test]
fn a_single_hiccup_is_none() {
    let mut watched = Watched::in_health();
    for _ in 0..10 {
        assert_eq!(watched.look(&with(|s| s.newest = Some(90))), Level::Good);
        assert_eq!(watched.look(&healthy()), Level::Good);
    }
}

#[test]
fn a_server_that_comes_and_goes_is_not_preferred() {
    let mut watched = Watched::in_health();
    for _ in 0..10 {
        let lost = with(|s| s.connection = Err("lost".to_owned()));
        assert_eq!(watched.look(&lost), Level::Out);
        assert_eq!(watched.look(&healthy()), Level::Doubtful, "coming back");
        assert_eq!(watched.look(&healthy()), Level::Doubtful, "coming back");
    }
    assert!(watched.seconds_to_good() > 1);
}

#[test]
fn a_liar_is_out_for_minutes_and_its_word_does_not_count() {
    let mut watched = Watched::in_health();
    watched
        .standing
        .contradicts("it tells ledger 7 otherwise", watched.now);
    assert_eq!(watched.look(&healthy()), Level::Out);
    assert!(watched.standing.fault().unwrap().is_a_lie());
    assert!(!watched.standing.is_trusted());
    let seconds = watched.seconds_to_good();
    assert!((600..620).contains(&seconds), "{seconds}");
    assert!(watched.standing.is_trusted());
}

#[test]
fn a_server_that_limits_our_rate_is_spared() {
    let mut watched = Watched::in_health();
    watched.standing.rate_limits(watched.now);
    assert_eq!(watched.standing.level(), Level::Doubtful);
    let seconds = watched.seconds_to_good();
    assert!((30..45).contains(&seconds), "{seconds}");
}

#[test]
fn a_server_without_history_is_spared_until_it_has_it() {
    let mut watched = Watched::in_health();
    for _ in 0..4 {
        watched.standing.has_history(false);
        assert_eq!(
            watched.look(&healthy()),
            Level::Good,
            "it may be a moment late"
        );
    }
    watched.standing.has_history(false);
    assert_eq!(watched.look(&healthy()), Level::Doubtful);
    watched.standing.has_history(true);
    watched.seconds_to_good();
}

#[test]
fn the_connection_counts_as_it_is_now() {
    let watched = Watched::in_health();
    assert_eq!(watched.standing.level_now(false), Level::Out);
    assert_eq!(watched.standing.level_now(true), Level::Good);
    let fresh = Standing::new();
    assert_eq!(fresh.level_now(true), Level::Good);
}

#[test]
fn the_primary_stays_while_nobody_is_better() {
    use Level::{Doubtful, Good, Out};
    for (current, servers, wanted) in [
        (None, vec![], None),
        (None, vec![(Out, true)], None),
        (None, vec![(Good, false), (Good, false)], Some(0)),
        (None, vec![(Good, false), (Good, true)], Some(1)),
        (Some(1), vec![(Good, false), (Good, false)], Some(1)),
        (Some(1), vec![(Good, true), (Good, false)], Some(1)),
        (Some(0), vec![(Doubtful, false), (Good, false)], Some(1)),
        (Some(0), vec![(Doubtful, false), (Doubtful, false)], Some(0)),
        (Some(0), vec![(Out, false), (Doubtful, false)], Some(1)),
        (Some(0), vec![(Out, true), (Out, false)], None),
        (Some(7), vec![(Good, false)], Some(0)),
    ] {
        let candidates: Vec<Candidate> = servers
            .iter()
            .map(|(level, own)| Candidate {
                level: *level,
                own: *own,
            })
            .collect();
        assert_eq!(
            choose_primary(current, &candidates),
            wanted,
            "{current:?} of {servers:?}"
        );
    }
}
