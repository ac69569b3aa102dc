//! Fleet: all ledger servers together, one link to each.
//!
//! Owns: which servers are of use now, which one submits go through, and which ledger enough of them hold validated. May not:
//! decide about a payment; what servers say of the wallet is compared by whoever asks, with the core.
//!
//! # Layout
//! - `standing`: what sets a server aside and brings it back. Pure
//! - `crew`: the task that runs the links, looks at the servers and listens to their ledgers
//! - `gather`: one question to several servers
//! - `picture`: the fleet as people see it

mod crew;
mod gather;
mod picture;
mod standing;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paygate_payments::LedgerRef;
use paygate_payments::proof::{Quorum, Source};
use tokio::sync::{mpsc, watch};

use super::dial::Dial;
use super::facts::LedgerEvent;
use super::link::{Link, LinkSettings};
use crate::clock;
use crate::metrics::Metrics;
use standing::{Candidate, Level, Standing, choose_primary};

pub use crew::Crew;
pub(super) use crew::News;
pub use gather::{Heard, gather};
pub use picture::{Picture, ServerPicture};

/// News of all links that wait to be taken. Ledgers come every few seconds; far more means that nobody listens any more,
/// and what is lost is asked for again.
const NEWS_MAX: usize = 1024;

/// What a fleet needs to know.
#[derive(Clone, Debug)]
pub struct FleetSettings {
    /// Every server, with whose word it is. Earlier ones are preferred.
    pub servers: Vec<(LinkSettings, Source)>,
    /// How many operators must say the same.
    pub quorum: Quorum,
    /// A server that takes longer to answer is slow.
    pub slow_after: Duration,
}

/// One server of the fleet.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its place in the configuration.
    pub number: usize,
    /// The connection to it.
    pub link: Link,
    /// Whose word it is.
    pub source: Source,
}

/// All servers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fleet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    members: Vec<Member>,
    quorum: Quorum,
    metrics: Metrics,
    state: Mutex<State>,
    ledgers: watch::Receiver<Option<LedgerEvent>>,
    picture: watch::Receiver<Picture>,
}

#[derive(Debug)]
struct State {
    standings: Vec<Standing>,
    primary: Option<usize>,
    /// A ledger that our store decided by.
    recalled: Option<LedgerRef>,
}

impl Fleet {
    /// Makes the fleet and the crew that must run for it to work.
    pub fn new(settings: FleetSettings, dial: &Arc<dyn Dial>, metrics: Metrics) -> (Fleet, Crew) {
        let now = clock::instant();
        let (news, told) = mpsc::channel(NEWS_MAX);
        let (ledgers_in, ledgers) = watch::channel(None);
        let (picture_in, picture) = watch::channel(Picture::default());
        let mut members = Vec::new();
        let mut drivers = Vec::new();
        for (number, (link, source)) in settings.servers.into_iter().enumerate() {
            let (link, driver) = Link::new(link, Arc::clone(dial), metrics.clone(), now);
            metrics.xrpl_connection(link.server(), false);
            drivers.push(driver.tell(number, news.clone()));
            members.push(Member {
                number,
                link,
                source,
            });
        }
        let state = State {
            standings: vec![Standing::new(); members.len()],
            primary: None,
            recalled: None,
        };
        let fleet = Fleet(Arc::new(Inner {
            members,
            quorum: settings.quorum,
            metrics,
            state: Mutex::new(state),
            ledgers,
            picture,
        }));
        let crew = Crew {
            fleet: fleet.clone(),
            drivers,
            told,
            ledgers: ledgers_in,
            picture: picture_in,
            slow_after: settings.slow_after,
        };
        (fleet, crew)
    }

    /// A fleet without a crew, of links that somebody else runs.
    #[cfg(test)]
    pub(crate) fn of(links: Vec<(Link, Source)>, quorum: Quorum) -> Fleet {
        let build = crate::metrics::BuildInfo {
            version: "0",
            revision: "0",
        };
        let members = links.into_iter().enumerate();
        let members: Vec<Member> = members
            .map(|(number, (link, source))| Member {
                number,
                link,
                source,
            })
            .collect();
        Fleet(Arc::new(Inner {
            quorum,
            metrics: Metrics::new(&build, []),
            state: Mutex::new(State {
                standings: vec![Standing::new(); members.len()],
                primary: None,
                recalled: None,
            }),
            members,
            ledgers: watch::channel(None).1,
            picture: watch::channel(Picture::default()).1,
        }))
    }

    /// The newest ledger that enough servers hold validated.
    pub fn watch_ledgers(&self) -> watch::Receiver<Option<LedgerEvent>> {
        self.0.ledgers.clone()
    }

    /// The servers as they were seen last.
    pub fn picture(&self) -> watch::Receiver<Picture> {
        self.0.picture.clone()
    }

    /// How many operators must say the same.
    pub fn quorum(&self) -> Quorum {
        self.0.quorum
    }

    /// Everybody who may be asked now, best first.
    pub fn panel(&self) -> Vec<Member> {
        let state = self.state();
        let candidates = self.candidates(&state);
        let mut panel: Vec<&Member> = self
            .0
            .members
            .iter()
            .filter(|member| candidates[member.number].level != Level::Out)
            .collect();
        panel.sort_by_key(|m| (candidates[m.number].level, !m.source.own, m.number));
        panel.into_iter().cloned().collect()
    }

    /// The server through which the wallet's transactions go now.
    pub fn primary(&self) -> Option<Member> {
        let mut state = self.state();
        let chosen = choose_primary(state.primary, &self.candidates(&state));
        if let Some(number) = chosen
            && state.primary != chosen
        {
            tracing::info!(server = %self.0.members[number].link.server(), "transactions go through this ledger server");
            state.primary = chosen;
        }
        chosen.map(|number| self.0.members[number].clone())
    }

    /// Whether a server that is not primary is to be told of transactions: one that is in doubt is spared.
    pub fn may_submit(&self, number: usize) -> bool {
        let state = self.state();
        let candidates = self.candidates(&state);
        candidates
            .get(number)
            .is_some_and(|c| c.level == Level::Good)
    }

    /// Every configured server.
    pub fn members(&self) -> &[Member] {
        &self.0.members
    }

    /// A validated ledger that our store decided by: servers are held against it.
    pub fn recall(&self, ledger: LedgerRef) {
        self.state().recalled = Some(ledger);
        for member in &self.0.members {
            member.link.remember(ledger);
        }
    }

    /// A server said something else than enough others: it is believed no more, and somebody should look.
    pub fn contradicts(&self, number: usize, what: &str) {
        let Some(member) = self.0.members.get(number) else {
            return;
        };
        let server = member.link.server();
        tracing::error!(%server, what, "a ledger server contradicts the others: it is set aside");
        self.0.metrics.xrpl_disagreement(server);
        self.standing(number, |s, now| s.contradicts(what, now));
    }

    /// A server has too much to do.
    pub fn rate_limits(&self, number: usize) {
        self.standing(number, Standing::rate_limits);
    }

    /// A server left a request unanswered for so long.
    pub fn leaves_waiting(&self, number: usize, open: Duration) {
        self.standing(number, |s, _| s.leaves_waiting(open));
    }

    /// Whether a server held the history that it was asked for.
    pub fn has_history(&self, number: usize, held: bool) {
        self.standing(number, |s, _| s.has_history(held));
    }

    fn standing(&self, number: usize, change: impl FnOnce(&mut Standing, std::time::Instant)) {
        if let Some(standing) = self.state().standings.get_mut(number) {
            change(standing, clock::instant());
        }
    }

    fn candidates(&self, state: &State) -> Vec<Candidate> {
        let each = self.0.members.iter().zip(&state.standings);
        each.map(|(member, standing)| Candidate {
            level: standing.level_now(member.link.connection().borrow().is_connected()),
            own: member.source.own,
        })
        .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
