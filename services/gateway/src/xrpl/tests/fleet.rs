//! Several scripted servers: who is believed, who is set aside and why, and who comes next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use paygate_payments::proof::{Quorum, Source};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::scripted::{Do, PATIENCE, accept, hash, ledger, normal_result, refusal};
use crate::metrics::{BuildInfo, Format, Metrics};
use crate::xrpl::*;

/// One server of a fleet, as a story turns it.
#[derive(Clone, Default)]
struct Server {
    operator: &'static str,
    own: bool,
    /// Its newest validated ledger.
    newest: Arc<AtomicU32>,
    /// From this ledger on it tells another chain; 0: never.
    lies_from: Arc<AtomicU32>,
    /// Its oldest ledger.
    oldest: Arc<AtomicU32>,
    hangs_up: Arc<AtomicBool>,
}

impl Server {
    fn of(operator: &'static str, newest: u32) -> Server {
        let server = Server {
            operator,
            ..Server::default()
        };
        server.newest.store(newest, Ordering::SeqCst);
        server
    }

    fn own(self) -> Server {
        Server { own: true, ..self }
    }

    fn with_history_from(self, oldest: u32) -> Server {
        self.oldest.store(oldest, Ordering::SeqCst);
        self
    }

    fn lying_from(self, index: u32) -> Server {
        self.lies_from.store(index, Ordering::SeqCst);
        self
    }

    fn validates(&self, index: u32) {
        self.newest.store(index, Ordering::SeqCst);
    }

    fn hash(&self, index: u32) -> String {
        let from = self.lies_from.load(Ordering::SeqCst);
        let lies = from > 0 && index >= from;
        hash(if lies { index + 1_000_000 } else { index }).to_string()
    }

    fn answer(&self, request: &Value) -> Do {
        if self.hangs_up.load(Ordering::SeqCst) {
            return Do::HangUp;
        }
        let newest = self.newest.load(Ordering::SeqCst);
        if request["command"] == "ledger" {
            let index = u32::try_from(request["ledger_index"].as_u64().unwrap()).unwrap();
            if index < self.oldest.load(Ordering::SeqCst) || index > newest {
                return refusal(request, "lgrNotFound");
            }
        }
        let mut result = normal_result(request);
        match request["command"].as_str().unwrap() {
            "server_state" => {
                result["state"]["validated_ledger"]["seq"] = json!(newest);
                result["state"]["validated_ledger"]["hash"] = json!(self.hash(newest));
            }
            "subscribe" => {
                result["ledger_index"] = json!(newest);
                result["ledger_hash"] = json!(self.hash(newest));
            }
            "ledger" => {
                let index = u32::try_from(request["ledger_index"].as_u64().unwrap()).unwrap();
                result["ledger_hash"] = json!(self.hash(index));
                result["ledger"]["ledger_hash"] = json!(self.hash(index));
            }
            _ => {}
        }
        Do::Answer(result)
    }
}

struct Scene {
    fleet: Fleet,
    metrics: Metrics,
}

/// A fleet of these servers, of whose operators two must agree.
async fn fleet(servers: &[Server]) -> Scene {
    let mut settings = Vec::new();
    for server in servers {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = LinkSettings {
            url: format!("ws://{}", listener.local_addr().unwrap()),
            server: server.operator.to_owned(),
            network_id: 9_001,
            anchor: ledger(3),
            connect_timeout: PATIENCE,
            request_timeout: PATIENCE,
            health_check_interval: PATIENCE,
        };
        let source = Source {
            operator: server.operator.to_owned(),
            own: server.own,
        };
        let shown = server.clone();
        let script = Arc::new(move |request: &Value| shown.answer(request));
        tokio::spawn(accept(listener, script, Arc::default()));
        settings.push((link, source));
    }
    let build = BuildInfo {
        version: "0",
        revision: "0",
    };
    let metrics = Metrics::new(&build, []);
    let settings = FleetSettings {
        servers: settings,
        quorum: Quorum::new(2),
        slow_after: Duration::from_secs(5),
    };
    let dial: Arc<dyn Dial> = Arc::new(Tcp);
    let (fleet, crew) = Fleet::new(settings, &dial, metrics.clone());
    tokio::spawn(crew.run(std::future::pending()));
    Scene { fleet, metrics }
}

impl Scene {
    async fn shows(&self, what: &str, wanted: impl Fn(&Picture) -> bool) -> Picture {
        let mut pictures = self.fleet.picture();
        let shown = tokio::time::timeout(PATIENCE, pictures.wait_for(wanted)).await;
        let Ok(shown) = shown else {
            panic!("{what}: {:?}", self.fleet.picture().borrow())
        };
        shown.unwrap().clone()
    }

    async fn agrees_on(&self, index: u32) -> LedgerEvent {
        let mut ledgers = self.fleet.watch_ledgers();
        let agreed = ledgers.wait_for(|l| l.is_some_and(|l| l.index >= index));
        let agreed = tokio::time::timeout(PATIENCE, agreed).await;
        agreed.expect("it is agreed on").unwrap().unwrap()
    }

    fn agreed(&self) -> Option<u32> {
        self.fleet.watch_ledgers().borrow().map(|l| l.index)
    }

    fn primary(&self) -> Option<&'static str> {
        let primary = self.fleet.primary()?.source.operator;
        ["a", "b", "c", "d", "us"]
            .into_iter()
            .find(|n| *n == primary)
    }
}

fn all_in_health(picture: &Picture) -> bool {
    !picture.servers.is_empty() && picture.servers.iter().all(|s| s.in_health)
}

#[tokio::test]
async fn the_validated_ledger_is_the_one_that_two_operators_tell() {
    let servers = [
        Server::of("a", 50),
        Server::of("b", 52),
        Server::of("c", 49),
    ];
    let scene = fleet(&servers).await;
    let agreed = scene.agrees_on(50).await;
    assert_eq!((agreed.index, agreed.hash), (50, hash(50)));
    assert_eq!(agreed.reserve_base.get(), 1_000_000);
    servers[2].validates(52);
    assert_eq!(scene.agrees_on(52).await.hash, hash(52));
}

#[tokio::test]
async fn one_server_alone_is_not_believed_unless_it_is_our_own() {
    let alone = fleet(&[Server::of("a", 50)]).await;
    let picture = alone
        .shows("connected", |p| p.servers.first().is_some_and(|s| s.used))
        .await;
    assert!(picture.short.unwrap().contains("2 operators must agree"));
    assert_eq!(alone.agreed(), None);
    let own = fleet(&[Server::of("us", 50).own()]).await;
    assert_eq!(own.agrees_on(50).await.hash, hash(50));
}

#[tokio::test]
async fn a_server_on_a_chain_of_its_own_is_named_and_believed_by_nobody() {
    let servers = [
        Server::of("a", 50),
        Server::of("b", 50).lying_from(40),
        Server::of("c", 50),
    ];
    let scene = fleet(&servers).await;
    let picture = scene
        .shows("the liar is set aside", |p| {
            p.servers.iter().any(|s| s.lies)
        })
        .await;
    let liar = picture.servers.iter().find(|s| s.lies).unwrap();
    assert_eq!((liar.name.as_str(), liar.state()), ("b", "set aside"));
    assert!(
        liar.reason.contains("it contradicts the others"),
        "{}",
        liar.reason
    );
    assert_eq!(picture.short, None, "two are left");
    for server in &servers {
        server.validates(53);
    }
    assert_eq!(scene.agrees_on(53).await.hash, hash(53));
    let metrics = scene.metrics.render(Format::Classic);
    assert!(
        metrics.contains(r#"paygate_xrpl_disagreements_total{server="b"} 1"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"xrpl_connection_status{server="b"} 0"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"paygate_xrpl_disagreements_total{server="a"} 0"#),
        "{metrics}"
    );
    let panel = scene.fleet.panel();
    assert!(panel.iter().all(|member| member.source.operator != "b"));
}

#[tokio::test]
async fn two_against_two_is_a_split_and_nothing_is_published_after_it() {
    let servers = [
        Server::of("a", 50),
        Server::of("b", 50),
        Server::of("c", 50).lying_from(52),
        Server::of("d", 50).lying_from(52),
    ];
    let scene = fleet(&servers).await;
    scene.agrees_on(50).await;
    // One of each side first: neither is believed.
    servers[0].validates(52);
    servers[2].validates(52);
    scene.shows("a dispute", |p| p.disputed.is_some()).await;
    assert_eq!(scene.agreed(), Some(50));
    servers[3].validates(52);
    servers[1].validates(52);
    let picture = scene.shows("a split", |p| p.split.is_some()).await;
    assert!(picture.split.unwrap().contains("ledger 52"));
}

#[tokio::test]
async fn a_server_without_old_ledgers_proves_itself_by_one_that_another_shows() {
    let servers = [
        Server::of("a", 50),
        Server::of("b", 50).with_history_from(45),
    ];
    let scene = fleet(&servers).await;
    assert_eq!(scene.agrees_on(50).await.hash, hash(50));
    scene.shows("both are used", all_in_health).await;
}

#[tokio::test]
async fn a_server_that_hangs_back_is_set_aside_and_comes_back() {
    let servers = [
        Server::of("a", 50),
        Server::of("b", 50),
        Server::of("c", 50),
    ];
    let scene = fleet(&servers).await;
    scene.shows("all are used", all_in_health).await;
    for index in [54, 58] {
        servers[0].validates(index);
        servers[1].validates(index);
        scene.agrees_on(index).await;
    }
    let picture = scene.shows("it lags", |p| !p.servers[2].in_health).await;
    assert_eq!(picture.servers[2].reason, "it is 8 ledgers behind");
    assert_eq!((picture.servers[2].lag, picture.servers[2].used), (8, true));
    servers[2].validates(58);
    scene.shows("it is back", all_in_health).await;
}

#[tokio::test]
async fn submits_go_on_through_another_server_and_stay_there() {
    let servers = [Server::of("a", 50), Server::of("b", 50)];
    let scene = fleet(&servers).await;
    scene.shows("both are used", all_in_health).await;
    assert_eq!(scene.primary(), Some("a"));
    servers[0].hangs_up.store(true, Ordering::SeqCst);
    let picture = scene.shows("one is left", |p| !p.servers[0].used).await;
    assert!(
        picture.short.unwrap().contains("a: "),
        "it says who is missing"
    );
    assert_eq!(scene.primary(), Some("b"));
    servers[0].hangs_up.store(false, Ordering::SeqCst);
    scene.shows("both are back", all_in_health).await;
    assert_eq!(scene.primary(), Some("b"), "it does not move without need");
}
