//! Standing: how much each server is trusted to be of use now, and which one submits go to.
//!
//! Owns: what sets a server aside, how it comes back, and who is primary. Pure: time comes in as readings of our own monotonic
//! clock. May not: hear of a transaction's result; what a ledger makes of a blob is no fault of a server.

use std::fmt;
use std::time::{Duration, Instant};

/// A server that was set aside has to be faultless for so long before it is preferred again, so that one that comes and goes
/// does not move the primary with it.
const CALM: Duration = Duration::from_secs(5);

/// A server that contradicted what others agree on is not asked for so long.
const UNTRUSTED_FOR: Duration = Duration::from_secs(600);

/// A server that has too much to do is spared for so long.
const SPARED_FOR: Duration = Duration::from_secs(30);

/// A single bad look is a hiccup; so many in a row are a fault.
const BAD_LOOKS: u32 = 2;

/// A server may be a moment late with the history of a ledger that has just been validated; so many times in a row it lacks it.
const WITHOUT_HISTORY: u32 = 5;

/// A server so many ledgers behind what is agreed on lags.
const BEHIND_LEDGERS: u32 = 4;

/// A server so many ledgers ahead of what is agreed on tells of a network that nobody else sees.
const AHEAD_LEDGERS: u32 = 100;

/// A server whose validated index stands still for so long, while another's grows, hangs.
const STUCK_AFTER: Duration = Duration::from_secs(20);

/// What a server says of itself while it follows the network. In other states it answers from the past, or not at all.
const FOLLOWING: [&str; 3] = ["full", "proposing", "validating"];

/// What is wrong with a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It cannot be asked: no connection, or its network is another or not proven.
    Unreachable(String),
    /// It does not know the network's rules any more.
    AmendmentBlocked,
    /// It said something else than enough others.
    Contradicts(String),
    /// It says itself that it does not follow the network.
    NotFollowing(String),
    /// It answers with an error where every server in health answers.
    Refuses(String),
    /// Its validated index is so many ledgers behind what is agreed on.
    Behind(u32),
    /// Its validated index is so many ledgers ahead of what is agreed on.
    Ahead(u32),
    /// Its validated index stands still while others' grow.
    Stuck(Duration),
    /// It has not answered for so long.
    Silent(Duration),
    /// It takes so long to answer.
    Slow(Duration),
    /// It says that too much is asked of it, or cut us off for it.
    RateLimits,
    /// It does not hold the ledgers that were asked for.
    NoHistory,
    /// It was set aside a moment ago.
    Returning,
}

/// How a server may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Gladly.
    Good,
    /// Where those in health are not enough.
    Doubtful,
    /// Not at all.
    Out,
}

/// What one look at a server saw.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Its connection, or why there is none.
    pub(crate) connection: Result<(), String>,
    /// Its own word on itself; none before it gave one on this connection.
    pub(crate) word: Option<Word>,
    /// How long the open question is open.
    pub(crate) waiting: Option<Duration>,
    /// How long the last answer took.
    pub(crate) took: Duration,
    /// The newest validated ledger that it told.
    pub(crate) newest: Option<u32>,
    /// How long ago that grew.
    pub(crate) still_for: Duration,
    /// Another server's grew within the last seconds.
    pub(crate) others_grow: bool,
    /// What is agreed on.
    pub(crate) agreed: Option<u32>,
}

/// A server's own word on itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Its state, and whether it is amendment blocked.
    State(String, bool),
    /// It refused to tell.
    Error(String),
}

/// One server's standing.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    fault: Option<Fault>,
    /// It was in health before: whoever never was needs no calm to begin with.
    known: bool,
    /// Bad looks in a row that do not count yet.
    bad: u32,
    /// Since when it is faultless, if it has to be calm first.
    calm_since: Option<Instant>,
    untrusted: Option<(String, Instant)>,
    spared: Option<Instant>,
    /// Times in a row that it did not hold the ledgers asked for.
    without_history: u32,
}

impl Fault {
    pub(crate) fn level(&self) -> Level {
        match self {
            Self::Unreachable(_) | Self::AmendmentBlocked | Self::Contradicts(_) => Level::Out,
            _ => Level::Doubtful,
        }
    }

    /// Whether one look is enough to be sure.
    fn is_certain(&self) -> bool {
        !matches!(
            self,
            Self::Behind(_) | Self::Ahead(_) | Self::Silent(_) | Self::Slow(_) | Self::Refuses(_)
        )
    }

    /// It was found not to tell the truth: somebody should look at it.
    pub(crate) fn is_a_lie(&self) -> bool {
        matches!(self, Self::Contradicts(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => f.write_str(why),
            Self::AmendmentBlocked => f.write_str("the server is amendment blocked"),
            Self::Contradicts(what) => write!(f, "it contradicts the others: {what}"),
            Self::NotFollowing(state) => write!(f, "its state is {state}"),
            Self::Refuses(error) => f.write_str(error),
            Self::Behind(ledgers) => write!(f, "it is {ledgers} ledgers behind"),
            Self::Ahead(ledgers) => {
                write!(f, "it tells of ledgers {ledgers} ahead that no other has")
            }
            Self::Stuck(still) => write!(
                f,
                "its validated ledger has not moved for {} s while others' do",
                still.as_secs()
            ),
            Self::Silent(open) => {
                write!(f, "the server has not answered for {} ms", open.as_millis())
            }
            Self::Slow(took) => write!(f, "its answers take {} ms", took.as_millis()),
            Self::RateLimits => f.write_str("it limits our rate"),
            Self::NoHistory => f.write_str("it does not hold the ledgers asked for"),
            Self::Returning => f.write_str("coming back"),
        }
    }
}

impl Seen {
    /// The worst that is to see at this moment.
    fn fault(&self, slow_after: Duration) -> Option<Fault> {
        if let Err(why) = &self.connection {
            return Some(Fault::Unreachable(why.clone()));
        }
        match &self.word {
            Some(Word::State(_, true)) => return Some(Fault::AmendmentBlocked),
            Some(Word::State(state, false)) if !FOLLOWING.contains(&state.as_str()) => {
                return Some(Fault::NotFollowing(state.clone()));
            }
            Some(Word::Error(error)) => return Some(Fault::Refuses(error.clone())),
            Some(Word::State(..)) | None => {}
        }
        if let Some(open) = self.waiting.filter(|open| *open > slow_after) {
            return Some(Fault::Silent(open));
        }
        if self.took > slow_after {
            return Some(Fault::Slow(self.took));
        }
        if self.others_grow && self.still_for > STUCK_AFTER {
            return Some(Fault::Stuck(self.still_for));
        }
        let (newest, agreed) = (self.newest?, self.agreed?);
        let (behind, ahead) = (agreed.saturating_sub(newest), newest.saturating_sub(agreed));
        if behind >= BEHIND_LEDGERS {
            return Some(Fault::Behind(behind));
        }
        (ahead >= AHEAD_LEDGERS).then_some(Fault::Ahead(ahead))
    }
}

impl Standing {
    /// A server of which nothing is known: it is out until its connection is there, and then good at once.
    pub(crate) fn new() -> Self {
        Self {
            fault: None,
            known: false,
            bad: 0,
            calm_since: None,
            untrusted: None,
            spared: None,
            without_history: 0,
        }
    }

    /// Takes a look in. True if its standing changed.
    pub(crate) fn look(&mut self, seen: &Seen, slow_after: Duration, now: Instant) -> bool {
        let fault = self.lasting(now).or_else(|| seen.fault(slow_after));
        let next = match fault {
            Some(fault) if !fault.is_certain() && self.fault.is_none() => {
                self.bad += 1;
                (self.bad >= BAD_LOOKS).then_some(fault)
            }
            Some(fault) => Some(fault),
            None => self.recovering(now),
        };
        if next.is_none() {
            self.known = true;
            if seen.fault(slow_after).is_none() {
                self.bad = 0;
            }
        }
        if !matches!(next, None | Some(Fault::Returning)) {
            self.calm_since = None;
        }
        self.become_(next)
    }

    /// It said something else than enough others.
    pub(crate) fn contradicts(&mut self, what: &str, now: Instant) {
        self.untrusted = Some((what.to_owned(), now));
        self.become_(Some(Fault::Contradicts(what.to_owned())));
    }

    /// It has too much to do.
    pub(crate) fn rate_limits(&mut self, now: Instant) {
        self.spared = Some(now);
        if self.level() == Level::Good {
            self.become_(Some(Fault::RateLimits));
        }
    }

    /// It left a request unanswered for so long, while others are there to be asked.
    pub(crate) fn leaves_waiting(&mut self, open: Duration) {
        if self.level() == Level::Good {
            self.calm_since = None;
            self.become_(Some(Fault::Silent(open)));
        }
    }

    /// Whether it held the ledgers that were asked for.
    pub(crate) fn has_history(&mut self, held: bool) {
        self.without_history = if held {
            0
        } else {
            self.without_history.saturating_add(1)
        };
    }

    pub(crate) fn level(&self) -> Level {
        self.fault.as_ref().map_or(Level::Good, Fault::level)
    }

    /// Its level with the connection as it is at this moment, which may have changed since the last look.
    pub(crate) fn level_now(&self, connected: bool) -> Level {
        match (connected, &self.fault) {
            (false, _) => Level::Out,
            (true, Some(Fault::Unreachable(_))) if self.known => Level::Doubtful,
            (true, Some(Fault::Unreachable(_))) => Level::Good,
            (true, _) => self.level(),
        }
    }

    pub(crate) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Whether its word on validated ledgers counts.
    pub(crate) fn is_trusted(&self) -> bool {
        self.untrusted.is_none()
    }

    /// What was found by asking, and stands whatever is seen.
    fn lasting(&mut self, now: Instant) -> Option<Fault> {
        let for_ = |since: Instant| now.saturating_duration_since(since);
        if self
            .untrusted
            .as_ref()
            .is_some_and(|(_, at)| for_(*at) > UNTRUSTED_FOR)
        {
            self.untrusted = None;
        }
        if self.spared.is_some_and(|at| for_(at) > SPARED_FOR) {
            self.spared = None;
        }
        let (what, _) = self.untrusted.as_ref()?;
        Some(Fault::Contradicts(what.clone()))
    }

    /// Without a fault to see: calm first, if it was set aside.
    fn recovering(&mut self, now: Instant) -> Option<Fault> {
        if self.spared.is_some() {
            return Some(Fault::RateLimits);
        }
        if self.without_history >= WITHOUT_HISTORY {
            return Some(Fault::NoHistory);
        }
        let was_aside = self.known && self.fault.is_some();
        if !was_aside {
            return None;
        }
        let since = *self.calm_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= CALM {
            self.calm_since = None;
            return None;
        }
        Some(Fault::Returning)
    }

    fn become_(&mut self, next: Option<Fault>) -> bool {
        let kind = std::mem::discriminant::<Fault>;
        let changed = self.fault.as_ref().map(kind) != next.as_ref().map(kind);
        if changed {
            self.bad = 0;
        }
        self.fault = next;
        changed
    }
}

/// A server as far as the choice of the primary is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) level: Level,
    pub(crate) own: bool,
}

/// Who the wallet's transactions go through: whoever it was, as long as nobody better is there. Places are those of the
/// configuration, which is the order of preference behind our own servers.
pub(crate) fn choose_primary(current: Option<usize>, servers: &[Candidate]) -> Option<usize> {
    let best = servers
        .iter()
        .enumerate()
        .filter(|(_, server)| server.level != Level::Out)
        .min_by_key(|(place, server)| (server.level, !server.own, *place))?;
    let stays =
        current.filter(|place| servers.get(*place).is_some_and(|s| s.level == best.1.level));
    Some(stays.unwrap_or(best.0))
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
