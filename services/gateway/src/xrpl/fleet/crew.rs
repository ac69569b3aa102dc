//! Crew: the task behind a fleet.
//!
//! Owns: running the links, the look at every server once a second, and taking the servers' words on validated ledgers to the
//! core, which knows what is agreed on. May not: publish a ledger that too few have told.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use paygate_payments::agreement::{Finding, Ledgers, Sifted, sift};
use paygate_payments::{LedgerIndex, LedgerRef};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use xrpl_tx::Drops;

use super::picture::{Picture, ServerPicture, shortage};
use super::standing::{Fault, Level, Seen, Word};
use super::{Fleet, Member};
use crate::clock;
use crate::xrpl::driver::Driver;
use crate::xrpl::facts::{LedgerEvent, LedgerHeader, ServerInfo};
use crate::xrpl::link::{CallError, ConnectionState, Proof};

/// Every server is looked at so often.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Another server's validated index grew within that time: ledgers come.
const LEDGERS_COME: Duration = Duration::from_secs(10);

/// Close times of ledgers remembered. They are shown to people, no more.
const CLOSE_TIMES_MAX: usize = 64;

/// What a link tells of its server.
#[derive(Debug)]
pub(crate) enum News {
    /// The connection came or went.
    Connection,
    /// A validated ledger, as the server tells it.
    Ledger(usize, LedgerEvent),
    /// The server says that we ask too much of it, or cut us off for it.
    TooMuch(usize),
}

/// What runs a fleet.
#[derive(Debug)]
#[must_use = "a fleet works only while its crew runs"]
pub struct Crew {
    pub(super) fleet: Fleet,
    pub(super) drivers: Vec<Driver>,
    pub(super) told: mpsc::Receiver<News>,
    pub(super) ledgers: watch::Sender<Option<LedgerEvent>>,
    pub(super) picture: watch::Sender<Picture>,
    pub(super) slow_after: Duration,
}

type Asked<T> = FuturesUnordered<Pin<Box<dyn Future<Output = (usize, T)> + Send>>>;

/// Fees and reserves, as a server tells them.
type Terms = (Drops, Drops, Drops);

/// What is remembered of one server between looks.
struct Eye {
    asked: Option<Instant>,
    took: Duration,
    word: Option<Word>,
    newest: Option<u32>,
    grew: Instant,
    terms: Option<Terms>,
}

/// The crew at work.
struct Watch {
    crew: Crew,
    heard: Ledgers,
    eyes: Vec<Eye>,
    looks: Asked<Result<ServerInfo, CallError>>,
    probes: Asked<(LedgerIndex, Result<Option<LedgerHeader>, CallError>)>,
    /// What was asked since the last look, so that a refusal is not answered by asking at once again.
    probed: BTreeSet<(usize, LedgerIndex)>,
    close_times: BTreeMap<LedgerIndex, u32>,
    terms: Option<Terms>,
    split: Option<String>,
    disputed: Option<LedgerIndex>,
}

impl Crew {
    /// Runs until `stop` resolves.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut links = JoinSet::new();
        for driver in self.drivers.drain(..) {
            links.spawn(driver.run(std::future::pending()));
        }
        let fleet = self.fleet.clone();
        tokio::select! {
            biased;
            () = stop => {}
            () = Watch::new(self).run() => {}
        }
        for member in fleet.members() {
            fleet.0.metrics.xrpl_connection(member.link.server(), false);
        }
    }
}

impl Watch {
    fn new(crew: Crew) -> Self {
        let now = clock::instant();
        let members = crew.fleet.members();
        let eye = |_: &Member| Eye {
            asked: None,
            took: Duration::ZERO,
            word: None,
            newest: None,
            grew: now,
            terms: None,
        };
        let sources = members.iter().map(|member| member.source.clone());
        Self {
            heard: Ledgers::new(crew.fleet.quorum(), sources.collect()),
            eyes: members.iter().map(eye).collect(),
            looks: FuturesUnordered::new(),
            probes: FuturesUnordered::new(),
            probed: BTreeSet::new(),
            close_times: BTreeMap::new(),
            terms: None,
            split: None,
            disputed: None,
            crew,
        }
    }

    async fn run(mut self) {
        let mut tick = tokio::time::interval(LOOK_PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                news = self.crew.told.recv() => match news {
                    Some(News::Connection) => self.look(),
                    Some(News::Ledger(server, ledger)) => self.take_ledger(server, ledger),
                    Some(News::TooMuch(server)) => self.crew.fleet.rate_limits(server),
                    // Without links there is nothing to do until the stop.
                    None => std::future::pending().await,
                },
                Some((server, answer)) = self.looks.next(), if !self.looks.is_empty() => {
                    self.take_look(server, answer);
                }
                Some((server, (index, answer))) = self.probes.next(), if !self.probes.is_empty() => {
                    self.take_header(server, index, answer);
                }
                _ = tick.tick() => self.look(),
            }
        }
    }

    /// Judges what was seen, tells it, and asks again whoever has answered.
    fn look(&mut self) {
        let now = clock::instant();
        self.probed.clear();
        if let Some(ledger) = self.crew.fleet.state().recalled {
            self.heard.recall(ledger);
        }
        let agreed = self.heard.newest().map(|ledger| ledger.index.0);
        for server in 0..self.eyes.len() {
            let seen = self.seen(server, agreed, now);
            self.judge(server, &seen, now);
            let connected = seen.connection.is_ok();
            let eye = &mut self.eyes[server];
            if !connected {
                // What it said ends with the connection.
                (eye.word, eye.took, eye.newest) = (None, Duration::ZERO, None);
            } else if eye.asked.is_none() {
                eye.asked = Some(now);
                let link = self.crew.fleet.members()[server].link.clone();
                self.looks
                    .push(Box::pin(async move { (server, link.server_info().await) }));
            }
        }
        self.probe();
        self.tell(now);
    }

    fn seen(&self, server: usize, agreed: Option<u32>, now: Instant) -> Seen {
        let eye = &self.eyes[server];
        let since = |at: Instant| now.saturating_duration_since(at);
        let others = self.eyes.iter().enumerate().filter(|(n, _)| *n != server);
        let link = &self.crew.fleet.members()[server].link;
        Seen {
            connection: match &*link.connection().borrow() {
                ConnectionState::Connected { .. } => Ok(()),
                ConnectionState::Disconnected { reason, .. } => Err(reason.to_string()),
                ConnectionState::WrongNetwork { mismatch, .. } => Err(mismatch.to_string()),
            },
            word: eye.word.clone(),
            waiting: eye.asked.map(since),
            took: eye.took,
            newest: eye.newest,
            still_for: since(eye.grew),
            others_grow: others
                .filter(|(_, other)| other.newest.is_some())
                .any(|(_, other)| since(other.grew) < LEDGERS_COME),
            agreed,
        }
    }

    fn judge(&mut self, server: usize, seen: &Seen, now: Instant) {
        let fleet = self.crew.fleet.clone();
        let name = fleet.members()[server].link.server().to_owned();
        let mut state = fleet.state();
        let standing = &mut state.standings[server];
        if standing.look(seen, self.crew.slow_after, now) {
            match standing.fault() {
                Some(Fault::Returning) => {
                    tracing::info!(server = %name, "ledger server is coming back")
                }
                Some(fault) => {
                    tracing::warn!(server = %name, reason = %fault, "ledger server is set aside")
                }
                None => tracing::info!(server = %name, "ledger server is in health"),
            }
        }
        self.heard.trust(server, standing.is_trusted());
    }

    /// Shows everybody how the servers are.
    fn tell(&mut self, now: Instant) {
        let fleet = self.crew.fleet.clone();
        let primary = fleet.primary().map(|member| member.number);
        let agreed = self.heard.newest().map(|ledger| ledger.index.0);
        let state = fleet.state();
        let mut servers = Vec::new();
        let mut standings = Vec::new();
        for (member, standing) in fleet.members().iter().zip(&state.standings) {
            let eye = &self.eyes[member.number];
            let fault = standing.fault().cloned();
            let connected = member.link.connection().borrow().is_connected();
            let reason = fault.as_ref().map(ToString::to_string);
            let word = match &eye.word {
                Some(Word::State(state, _)) => state.clone(),
                Some(Word::Error(_)) | None => String::new(),
            };
            let took = eye.asked.map_or(eye.took, |asked| {
                eye.took.max(now.saturating_duration_since(asked))
            });
            let name = member.link.server().to_owned();
            let used = connected && standing.level() != Level::Out;
            fleet.0.metrics.xrpl_connection(&name, used);
            let lag = match (agreed, eye.newest) {
                (Some(agreed), Some(newest)) => agreed.saturating_sub(newest),
                _ => 0,
            };
            fleet.0.metrics.xrpl_server(&name, fault.is_some(), lag);
            servers.push(ServerPicture {
                url: member.link.url().to_owned(),
                operator: member.source.operator.clone(),
                own: member.source.own,
                connected,
                used,
                in_health: fault.is_none(),
                primary: primary == Some(member.number),
                lies: fault.as_ref().is_some_and(Fault::is_a_lie),
                detail: reason.clone().unwrap_or(word),
                reason: reason.unwrap_or_default(),
                newest: eye.newest,
                lag,
                latency_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
                name: name.clone(),
            });
            standings.push((member.source.clone(), name, fault));
        }
        drop(state);
        self.note_dispute();
        let picture = Picture {
            servers,
            short: shortage(fleet.quorum(), &standings),
            split: self.split.clone(),
            disputed: self
                .disputed
                .map(|index| format!("the ledger servers tell different ledgers {index}")),
        };
        self.crew.picture.send_if_modified(|shown| {
            let changed = *shown != picture;
            *shown = picture;
            changed
        });
    }

    fn note_dispute(&mut self) {
        let disputed = self.heard.disputed();
        if let Some(index) = disputed
            && self.disputed.is_none()
        {
            tracing::error!(
                ledger = index.0,
                "the ledger servers tell different ledgers of one index, and too few say the same"
            );
        }
        self.disputed = disputed;
    }

    fn take_look(&mut self, server: usize, answer: Result<ServerInfo, CallError>) {
        let now = clock::instant();
        let eye = &mut self.eyes[server];
        eye.took = eye
            .asked
            .take()
            .map_or(Duration::ZERO, |asked| now.saturating_duration_since(asked));
        self.eyes[server].word = match answer {
            Ok(info) => {
                if let Some(ledger) = info.validated {
                    self.take_word(server, ledger);
                }
                Some(Word::State(info.server_state, info.amendment_blocked))
            }
            // It never left, or the connection ended: that shows by itself.
            Err(CallError::NotConnected { .. }) => None,
            Err(err) => Some(Word::Error(err.to_string())),
        };
    }

    fn take_ledger(&mut self, server: usize, ledger: LedgerEvent) {
        self.eyes[server].terms = Some((ledger.fee_base, ledger.reserve_base, ledger.reserve_inc));
        let word = LedgerRef {
            index: LedgerIndex(ledger.index),
            hash: ledger.hash,
        };
        self.close_time(word.index, ledger.close_time);
        self.take_word(server, word);
        self.probe();
    }

    fn take_header(
        &mut self,
        server: usize,
        index: LedgerIndex,
        answer: Result<Option<LedgerHeader>, CallError>,
    ) {
        if let Ok(Some(header)) = answer
            && header.validated
        {
            self.close_time(index, header.close_time);
            let hash = header.hash;
            self.take_word(server, LedgerRef { index, hash });
        }
    }

    fn close_time(&mut self, index: LedgerIndex, seconds: u32) {
        self.close_times.entry(index).or_insert(seconds);
        while self.close_times.len() > CLOSE_TIMES_MAX {
            self.close_times.pop_first();
        }
    }

    /// A server says that this ledger is validated.
    fn take_word(&mut self, server: usize, ledger: LedgerRef) {
        let now = clock::instant();
        let eye = &mut self.eyes[server];
        if eye.newest.is_none_or(|newest| newest < ledger.index.0) {
            (eye.newest, eye.grew) = (Some(ledger.index.0), now);
        }
        let fleet = self.crew.fleet.clone();
        let trusted = fleet.state().standings[server].is_trusted();
        self.heard.trust(server, trusted);
        if trusted {
            self.hint(server, ledger);
        }
        for finding in self.heard.said(server, ledger) {
            match finding {
                Finding::Contradicts {
                    server,
                    told,
                    known,
                } => {
                    let what = format!(
                        "it tells ledger {} with hash {}, others with hash {known}",
                        told.index, told.hash
                    );
                    fleet.contradicts(server, &what);
                    self.heard.trust(server, false);
                }
                Finding::Split { index } => {
                    let text = format!(
                        "enough ledger servers tell ledger {index} with one hash, and enough with another"
                    );
                    if self.split.as_ref() != Some(&text) {
                        tracing::error!(ledger = index.0, "the ledger servers are split");
                    }
                    self.split = Some(text);
                }
            }
        }
        self.publish();
    }

    /// A server whose history reaches the anchor shows the others a ledger by which they can prove theirs.
    fn hint(&self, server: usize, ledger: LedgerRef) {
        let members = self.crew.fleet.members();
        let anchored = matches!(
            &*members[server].link.connection().borrow(),
            ConnectionState::Connected {
                proof: Proof::Anchor(_),
                ..
            }
        );
        if anchored {
            for member in members.iter().filter(|member| member.number != server) {
                member.link.hint(ledger);
            }
        }
    }

    /// Publishes what is agreed on, if it is news.
    fn publish(&mut self) {
        let Some(agreed) = self.heard.newest() else {
            return;
        };
        let known = *self.crew.ledgers.borrow();
        if known.is_some_and(|known| known.index >= agreed.index.0) {
            return;
        }
        self.agree_on_terms();
        let Some((fee_base, reserve_base, reserve_inc)) = self.terms else {
            return;
        };
        self.crew
            .fleet
            .0
            .metrics
            .xrpl_validated_ledger(agreed.index.0);
        for member in self.crew.fleet.members() {
            member.link.remember(agreed);
        }
        self.crew.ledgers.send_replace(Some(LedgerEvent {
            index: agreed.index.0,
            hash: agreed.hash,
            fee_base,
            reserve_base,
            reserve_inc,
            close_time: self.close_times.get(&agreed.index).copied().unwrap_or(0),
            seen: clock::instant(),
        }));
    }

    /// Fees and reserves are believed like anything else; while a vote takes effect, the last agreed ones stay.
    fn agree_on_terms(&mut self) {
        let fleet = self.crew.fleet.clone();
        let state = fleet.state();
        let said: Vec<_> = fleet
            .members()
            .iter()
            .zip(&self.eyes)
            .filter(|(member, _)| state.standings[member.number].is_trusted())
            .filter_map(|(member, eye)| Some((member.source.clone(), eye.terms?)))
            .collect();
        if let Sifted::Agreed { agreeing, .. } = sift(fleet.quorum(), &said) {
            self.terms = Some(said[agreeing[0]].1);
        }
    }

    /// Asks those who have passed a ledger without a word of it.
    fn probe(&mut self) {
        let Some((index, silent)) = self.heard.missing() else {
            return;
        };
        for server in silent {
            let link = self.crew.fleet.members()[server].link.clone();
            if link.connection().borrow().is_connected() && self.probed.insert((server, index)) {
                self.probes.push(Box::pin(async move {
                    let header = link.ledger_header(index.0).await;
                    (server, (index, header))
                }));
            }
        }
    }
}
