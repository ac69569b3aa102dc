//! The ledger's servers: reached, on the right network, following it, and with clocks that agree with ours.
//!
//! Owns: connections of its own, ended when the list is done. May not: submit anything.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use paygate_payments::proof::Source;
use paygate_payments::{LedgerIndex, LedgerRef};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Finding, Item};
use crate::app::fleet_settings;
use crate::clock::{self, Millis};
use crate::config::Config;
use crate::metrics::{BuildInfo, Metrics};
use crate::xrpl::{
    ConnectionState, DisconnectReason, LedgerEvent, Link, LinkSettings, ServerInfo, Tcp,
};

const REACHED: Item = Item {
    name: "ledger-server-reached",
    to_do: "look at name, route and firewall of the server: runbooks/xrpl-connection-issues.md",
};
const NETWORK: Item = Item {
    name: "ledger-server-network",
    to_do: "name a server of the configured network, or correct wallet.network_id and wallet.anchor",
};
const FOLLOWS: Item = Item {
    name: "ledger-server-follows",
    to_do: "wait until it has caught up, or name another: runbooks/XRPLServerDown.md",
};
const ENOUGH: Item = Item {
    name: "ledger-operators",
    to_do: "name servers of more operators, or one of your own: one operator may then be away",
};
const CLOCK: Item = Item {
    name: "clock",
    to_do: "let NTP run (timedatectl): approval windows, the rolling day and certificates go by this clock",
};

pub(super) const ITEMS: [Item; 5] = [REACHED, NETWORK, FOLLOWS, ENOUGH, CLOCK];

/// Connecting and proving the network take one or two seconds.
const CONNECTED_WITHIN: Duration = Duration::from_secs(15);

/// Ledgers come every 3 to 5 seconds.
const NEXT_WITHIN: Duration = Duration::from_secs(20);

/// Close times are rounded to 10 s, and the newest ledger is a few seconds old.
const CLOCK_SECONDS_OFF_MAX: u64 = 60;

/// Close times count from 2000-01-01T00:00:00Z.
const LEDGER_EPOCH_SECONDS: u64 = 946_684_800;

/// All servers, as they are now.
pub(super) struct Ledger {
    pub(super) servers: Vec<Server>,
}

/// One server.
pub(super) struct Server {
    pub(super) link: Link,
    source: Source,
    state: ConnectionState,
    seen: Option<Seen>,
    stop: oneshot::Sender<()>,
    driving: JoinHandle<()>,
}

/// What a server on our network said.
struct Seen {
    info: Result<ServerInfo, String>,
    first: Option<u32>,
    newest: Option<(LedgerEvent, Millis)>,
}

impl Ledger {
    /// The newest ledger that every usable server has.
    pub(super) fn common(&self) -> Option<LedgerRef> {
        let newest = self.usable().filter_map(Server::newest);
        newest
            .min_by_key(|event| event.index)
            .map(|event| LedgerRef {
                index: LedgerIndex(event.index),
                hash: event.hash,
            })
    }

    /// Reserves of that ledger.
    pub(super) fn newest(&self) -> Option<LedgerEvent> {
        self.usable()
            .filter_map(Server::newest)
            .min_by_key(|event| event.index)
    }

    pub(super) fn usable(&self) -> impl Iterator<Item = &Server> {
        self.servers
            .iter()
            .filter(|server| server.newest().is_some())
    }

    pub(super) async fn end(self) {
        for server in self.servers {
            drop(server.stop);
            // It has nothing left to do, and its socket is closed with it.
            let _ = server.driving.await;
        }
    }
}

impl Server {
    fn newest(&self) -> Option<LedgerEvent> {
        Some(self.seen.as_ref()?.newest?.0)
    }
}

/// Connects to all of them at the same time and waits for the next ledger.
pub(super) async fn look(config: &Config) -> Ledger {
    let started: Vec<_> = fleet_settings(config)
        .servers
        .into_iter()
        .map(start)
        .collect();
    let looks: Vec<_> = started
        .into_iter()
        .map(|server| tokio::spawn(look_at(server)))
        .collect();
    let mut servers = Vec::new();
    for look in looks {
        // A panic in there ends the process by itself.
        if let Ok(server) = look.await {
            servers.push(server);
        }
    }
    Ledger { servers }
}

fn start((mut settings, source): (LinkSettings, Source)) -> Server {
    settings.connect_timeout = settings.connect_timeout.min(CONNECTED_WITHIN);
    settings.request_timeout = settings.request_timeout.min(CONNECTED_WITHIN);
    let build = BuildInfo {
        version: env!("CARGO_PKG_VERSION"),
        revision: "unknown",
    };
    let now = clock::instant();
    let (link, driver) = Link::new(
        settings,
        Arc::new(Tcp),
        Metrics::new(&build, Vec::new()),
        now,
    );
    let (stop, stopped) = oneshot::channel::<()>();
    let driving = tokio::spawn(driver.run(async move { drop(stopped.await) }));
    let reason = DisconnectReason::NotYet;
    Server {
        link,
        source,
        state: ConnectionState::Disconnected { reason, since: now },
        seen: None,
        stop,
        driving,
    }
}

async fn look_at(mut server: Server) -> Server {
    let mut connection = server.link.connection();
    // The first try decides: whoever comes only with the second is told, and the list can be gone through again.
    let decided = connection.wait_for(|state| {
        let nothing_yet = matches!(
            state,
            ConnectionState::Disconnected {
                reason: DisconnectReason::NotYet,
                ..
            }
        );
        !nothing_yet
    });
    if let Ok(Ok(state)) = tokio::time::timeout(CONNECTED_WITHIN, decided).await {
        server.state = state.clone();
    }
    if server.state.is_connected() {
        server.seen = Some(listen(&server.link).await);
    }
    server
}

async fn listen(link: &Link) -> Seen {
    let info = link.server_info().await.map_err(|error| error.to_string());
    let mut ledgers = link.watch_ledgers();
    let first = ledgers.borrow().map(|event| event.index);
    let next = ledgers.wait_for(|event| event.map(|event| event.index) > first);
    let newest = match tokio::time::timeout(NEXT_WITHIN, next).await {
        Ok(Ok(event)) => event.map(|event| (event, clock::now())),
        _ => None,
    };
    Seen {
        info,
        first,
        newest,
    }
}

pub(super) fn check(config: &Config, ledger: &Ledger) -> Vec<Finding> {
    let mut found: Vec<Finding> = ledger.servers.iter().flat_map(of_server).collect();
    found.push(enough(config, ledger));
    found.extend(clocks(ledger));
    found
}

fn of_server(server: &Server) -> Vec<Finding> {
    let (name, url) = (server.link.server(), server.link.url());
    match &server.state {
        ConnectionState::Disconnected {
            reason: reason @ DisconnectReason::Unproven(_),
            ..
        } => {
            vec![
                REACHED.passed(format_args!("{name}: {url}")),
                NETWORK.failed(format_args!("{name}: {reason}")),
            ]
        }
        ConnectionState::Disconnected { reason, .. } => {
            vec![REACHED.failed(format_args!("{name}: {url}: {reason}"))]
        }
        ConnectionState::WrongNetwork { mismatch, .. } => {
            vec![
                REACHED.passed(format_args!("{name}: {url}")),
                NETWORK.failed(format_args!("{name}: {mismatch}")),
            ]
        }
        ConnectionState::Connected { .. } => vec![
            REACHED.passed(format_args!("{name}: {url}")),
            NETWORK.passed(format_args!(
                "{name} holds the anchor of the configured network"
            )),
            follows(name, server.seen.as_ref()),
        ],
    }
}

fn follows(name: &str, seen: Option<&Seen>) -> Finding {
    let Some(seen) = seen else {
        return FOLLOWS.failed(format_args!("{name} was not asked"));
    };
    match (&seen.info, seen.newest) {
        (Err(error), _) => FOLLOWS.failed(format_args!("{name}: {error}")),
        (Ok(info), _) if info.amendment_blocked => FOLLOWS.failed(format_args!(
            "{name} is amendment blocked: it needs a newer version"
        )),
        (Ok(info), _) if !info.may_submit() => {
            FOLLOWS.failed(format_args!("{name} is {}, not full", info.server_state))
        }
        (Ok(info), Some((event, _))) => FOLLOWS.passed(format_args!(
            "{name} is {}, validated ledger {}",
            info.server_state, event.index
        )),
        (Ok(_), None) => FOLLOWS.failed(format_args!(
            "{name} stands at ledger {}: no new one in {} s",
            seen.first
                .map_or_else(|| "none".to_owned(), |index| index.to_string()),
            NEXT_WITHIN.as_secs()
        )),
    }
}

fn enough(config: &Config, ledger: &Ledger) -> Finding {
    let need = usize::try_from(config.xrpl.agreement).unwrap_or(usize::MAX);
    let operators: BTreeSet<&str> = ledger
        .usable()
        .map(|server| server.source.operator.as_str())
        .collect();
    let own = ledger.usable().any(|server| server.source.own);
    let told = format!(
        "{} operators of use, {need} must agree{}",
        operators.len(),
        if own { ", one is our own" } else { "" }
    );
    match (
        own || operators.len() >= need,
        operators.len() > need || ledger.usable().count() > 1 && own,
    ) {
        (false, _) => ENOUGH.failed(told),
        (true, false) => ENOUGH.warns(format_args!(
            "{told}: with no operator to spare, nothing is decided while one is away"
        )),
        (true, true) => ENOUGH.passed(told),
    }
}

fn clocks(ledger: &Ledger) -> Option<Finding> {
    let server = ledger.usable().next()?;
    let (event, seen) = server.seen.as_ref()?.newest?;
    Some(clock_against(
        event.close_time,
        seen.since(Millis::ZERO).as_secs(),
    ))
}

fn clock_against(close_time: u32, now: u64) -> Finding {
    let off = now.abs_diff(LEDGER_EPOCH_SECONDS + u64::from(close_time));
    let told = format!("{off} s from the close time of the ledger that has just come");
    match off > CLOCK_SECONDS_OFF_MAX {
        true => CLOCK.failed(format_args!("{told}, more than {CLOCK_SECONDS_OFF_MAX}")),
        false => CLOCK.passed(told),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_clock_may_be_a_minute_off() {
        let ledger = 800_000_000;
        let at = |now: u64| clock_against(ledger, LEDGER_EPOCH_SECONDS + now).status;
        assert_eq!(at(800_000_000), Status::Passed);
        assert_eq!(
            (at(800_000_060), at(799_999_940)),
            (Status::Passed, Status::Passed)
        );
        assert_eq!(
            (at(800_000_061), at(799_999_939)),
            (Status::Failed, Status::Failed)
        );
    }
}
