//! A server that follows a script: silent, lying, out of order, closing. The link must stay honest about what was sent.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use paygate_payments::{LedgerIndex, LedgerRef};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use xrpl_tx::{AccountId, Hash256};

use crate::metrics::{BuildInfo, Metrics};
use crate::xrpl::dial::MESSAGE_BYTES_MAX;
use crate::xrpl::*;

/// No step of these tests takes longer, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Timeout of requests that the server is scripted to leave unanswered.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// What the server does about one request.
pub(crate) enum Do {
    Answer(Value),
    Text(String),
    Binary,
    Nothing,
    Close(u16),
    HangUp,
    /// Keep the request; answer all kept ones, last first, when there are so many.
    CollectThenReverse(usize),
}

pub(crate) type Script = Arc<dyn Fn(&Value) -> Do + Send + Sync>;

pub(crate) struct World {
    pub(crate) link: Link,
    /// Commands that the server received, in order.
    seen: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub(crate) async fn with(script: impl Fn(&Value) -> Do + Send + Sync + 'static) -> World {
        World::with_settings(script, |_| {}).await
    }

    async fn with_settings(
        script: impl Fn(&Value) -> Do + Send + Sync + 'static,
        change: impl FnOnce(&mut LinkSettings),
    ) -> World {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = LinkSettings {
            url: format!("ws://{}", listener.local_addr().unwrap()),
            server: "us".to_owned(),
            network_id: 9_001,
            anchor: ledger(3),
            connect_timeout: PATIENCE,
            request_timeout: SHORT,
            health_check_interval: PATIENCE,
        };
        change(&mut settings);
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        tokio::spawn(accept(listener, Arc::new(script), seen.clone()));
        let build = BuildInfo {
            version: "0",
            revision: "0",
        };
        let (link, driver) = Link::new(
            settings,
            Arc::new(Tcp),
            Metrics::new(&build, []),
            Instant::now(),
        );
        tokio::spawn(driver.run(std::future::pending()));
        World { link, seen }
    }

    async fn reaches(&self, wanted: impl Fn(&ConnectionState) -> bool) -> ConnectionState {
        let mut states = self.link.connection();
        let state = tokio::time::timeout(PATIENCE, states.wait_for(wanted)).await;
        state.expect("the state is reached").unwrap().clone()
    }

    pub(crate) async fn connected(&self) {
        self.reaches(ConnectionState::is_connected).await;
    }

    pub(crate) fn times_seen(&self, command: &str) -> usize {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| *seen == command)
            .count()
    }
}

pub(crate) async fn accept(listener: TcpListener, script: Script, seen: Arc<Mutex<Vec<String>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, script.clone(), seen.clone()));
    }
}

async fn serve(stream: TcpStream, script: Script, seen: Arc<Mutex<Vec<String>>>) {
    let mut socket: WebSocketStream<TcpStream> =
        tokio_tungstenite::accept_async(stream).await.unwrap();
    let mut kept = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        let request: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(request["api_version"], 2);
        seen.lock()
            .unwrap()
            .push(request["command"].as_str().unwrap().to_owned());
        let replies = match script(&request) {
            Do::Answer(result) => vec![Message::text(answer(&request, result))],
            Do::Text(text) => vec![Message::text(text)],
            Do::Binary => vec![Message::binary(vec![1, 2, 3])],
            Do::Nothing => vec![],
            Do::HangUp => return,
            Do::Close(code) => {
                let reason = "threshold exceeded".into();
                vec![Message::Close(Some(CloseFrame {
                    code: code.into(),
                    reason,
                }))]
            }
            Do::CollectThenReverse(count) => {
                kept.push(answer(&request, normal_result(&request)));
                if kept.len() < count {
                    vec![]
                } else {
                    kept.drain(..).rev().map(Message::text).collect()
                }
            }
        };
        for reply in replies {
            if socket.send(reply).await.is_err() {
                return;
            }
        }
    }
}

fn answer(request: &Value, result: Value) -> String {
    json!({ "id": request["id"], "status": "success", "type": "response", "result": result })
        .to_string()
}

pub(crate) fn refusal(request: &Value, error: &str) -> Do {
    Do::Text(
        json!({ "id": request["id"], "status": "error", "type": "response", "error": error })
            .to_string(),
    )
}

pub(crate) fn hash(index: u32) -> Hash256 {
    xrpl_tx::sha256(&[&index.to_be_bytes()])
}

pub(crate) fn ledger(index: u32) -> LedgerRef {
    LedgerRef {
        index: LedgerIndex(index),
        hash: hash(index),
    }
}

/// What an honest server on network 9001 with ledger 50 validated answers.
pub(crate) fn normal_result(request: &Value) -> Value {
    match request["command"].as_str().unwrap() {
        "server_state" => json!({ "state": {
            "server_state": "full", "complete_ledgers": "2-50", "network_id": 9_001,
            "load_base": 256, "load_factor": 256,
            "validated_ledger": { "seq": 50, "hash": hash(50).to_string(),
                "base_fee": 10, "reserve_base": 1_000_000, "reserve_inc": 200_000 },
        }}),
        "ledger" => {
            let index = u32::try_from(request["ledger_index"].as_u64().unwrap()).unwrap();
            let hash_of = |index| hash(index).to_string();
            json!({ "ledger_index": index, "ledger_hash": hash_of(index), "validated": true,
                "ledger": { "ledger_hash": hash_of(index), "parent_hash": hash_of(index - 1), "close_time": 5 }})
        }
        "subscribe" => {
            json!({ "ledger_index": 50, "ledger_hash": hash(50).to_string(), "ledger_time": 5,
            "fee_base": 10, "reserve_base": 1_000_000, "reserve_inc": 200_000 })
        }
        "fee" => json!({ "ledger_current_index": 51, "current_queue_size": "0", "drops":
            { "base_fee": "10", "median_fee": "5000", "minimum_fee": "10", "open_ledger_fee": "10" }}),
        "submit" => {
            json!({ "engine_result": "tesSUCCESS", "engine_result_code": 0, "applied": true })
        }
        other => panic!("{other} has no normal answer"),
    }
}

fn normal(request: &Value) -> Do {
    Do::Answer(normal_result(request))
}

/// An honest server, except about one command.
pub(crate) fn except(
    command: &'static str,
    script: impl Fn(&Value) -> Do + Send + Sync + 'static,
) -> impl Fn(&Value) -> Do + Send + Sync + 'static {
    move |request| {
        if request["command"] == command {
            script(request)
        } else {
            normal(request)
        }
    }
}

#[tokio::test]
async fn a_connection_proves_its_network_before_it_is_used() {
    let world = World::with(normal).await;
    let state = world.reaches(ConnectionState::is_connected).await;
    assert!(
        matches!(state, ConnectionState::Connected { proof: Proof::Anchor(anchor), .. } if anchor == ledger(3))
    );
    assert_eq!(
        *world.seen.lock().unwrap(),
        ["server_state", "ledger", "subscribe"]
    );
    assert_eq!(world.link.watch_ledgers().borrow().unwrap().index, 50);
    assert_eq!(world.link.fee().await.unwrap().base.get(), 10);
}

#[tokio::test]
async fn a_server_on_another_network_is_sent_nothing() {
    let other_id = World::with(except("server_state", |request| {
        let mut result = normal_result(request);
        result["state"]["network_id"] = json!(1);
        Do::Answer(result)
    }));
    let other_hash = World::with(except("ledger", |request| {
        let mut result = normal_result(request);
        result["ledger_hash"] = json!(hash(999).to_string());
        result["ledger"]["ledger_hash"] = json!(hash(999).to_string());
        Do::Answer(result)
    }));
    for world in [other_id.await, other_hash.await] {
        world
            .reaches(|state| matches!(state, ConnectionState::WrongNetwork { .. }))
            .await;
        let refused = world.link.submit("00").await;
        assert!(
            matches!(
                refused,
                Err(CallError::NotConnected {
                    why: NotSent::WrongNetwork,
                    ..
                })
            ),
            "{refused:?}"
        );
        assert_eq!(world.times_seen("submit"), 0);
    }
}

#[tokio::test]
async fn without_the_anchor_a_recent_ledger_of_ours_proves_the_network() {
    let short_history = || {
        except("ledger", |request| match request["ledger_index"].as_u64() {
            Some(40..) => normal(request),
            _ => refusal(request, "lgrNotFound"),
        })
    };
    let world = World::with(short_history()).await;
    world
        .reaches(|state| {
            matches!(
                state,
                ConnectionState::Disconnected {
                    reason: DisconnectReason::Unproven(_),
                    ..
                }
            )
        })
        .await;
    assert!(matches!(
        world.link.fee().await,
        Err(CallError::NotConnected {
            why: NotSent::Disconnected,
            ..
        })
    ));
    world.link.remember(ledger(45));
    let state = world.reaches(ConnectionState::is_connected).await;
    assert!(
        matches!(state, ConnectionState::Connected { proof: Proof::Recent(recent), .. } if recent == ledger(45))
    );
}

#[tokio::test]
async fn a_silent_server_leaves_a_submit_unknown_and_the_rest_working() {
    let world = World::with(except("submit", |_| Do::Nothing)).await;
    world.connected().await;
    let answer = world.link.submit("00").await;
    assert!(
        matches!(answer, Err(CallError::Unanswered { command: "submit" })),
        "{answer:?}"
    );
    assert!(answer.unwrap_err().may_have_been_sent());
    world.link.fee().await.unwrap();
}

#[tokio::test]
async fn answers_out_of_order_find_their_callers() {
    let world = World::with(except("ledger", |request| {
        match request["ledger_index"].as_u64() {
            Some(3) => normal(request),
            _ => Do::CollectThenReverse(4),
        }
    }))
    .await;
    world.connected().await;
    let (a, b, c, d) = tokio::join!(
        world.link.ledger_header(10),
        world.link.ledger_header(11),
        world.link.ledger_header(12),
        world.link.ledger_header(13),
    );
    for (index, header) in (10..).zip([a, b, c, d]) {
        assert_eq!(header.unwrap().unwrap().hash, hash(index));
    }
}

#[tokio::test]
async fn an_answer_with_a_foreign_id_is_nobodys() {
    let world = World::with(except("fee", |request| {
        let mut other = request.clone();
        other["id"] = json!(4_000_000);
        Do::Text(answer(&other, normal_result(request)))
    }))
    .await;
    world.connected().await;
    assert!(matches!(
        world.link.fee().await,
        Err(CallError::Unanswered { .. })
    ));
    assert!(world.link.connection().borrow().is_connected());
}

#[tokio::test]
async fn a_close_makes_the_submit_in_flight_unknown_and_the_link_comes_back() {
    for ending in [
        || Do::Close(1008),
        || Do::HangUp,
        || Do::Binary,
        || Do::Text("{garbage".to_owned()),
    ] {
        let world = World::with_settings(except("submit", move |_| ending()), |settings| {
            settings.request_timeout = PATIENCE;
        })
        .await;
        world.connected().await;
        let answer = world.link.submit("00").await;
        assert!(
            matches!(answer, Err(CallError::Unanswered { .. })),
            "{answer:?}"
        );
        world.connected().await;
        tokio::time::timeout(PATIENCE, async {
            while world.link.fee().await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("the link comes back");
        assert_eq!(
            world.times_seen("submit"),
            1,
            "nothing is sent again by itself"
        );
        assert_eq!(
            world.times_seen("subscribe"),
            2,
            "the subscription is made again"
        );
    }
}

#[tokio::test]
async fn a_close_names_its_code() {
    let world = World::with(except("fee", |_| Do::Close(1008))).await;
    world.connected().await;
    let mut states = world.link.connection();
    let (_, state) = tokio::join!(world.link.fee(), async {
        states
            .wait_for(|state| !state.is_connected())
            .await
            .unwrap()
            .clone()
    });
    let reason = DisconnectReason::Closed {
        code: 1008,
        reason: "threshold exceeded".to_owned(),
    };
    assert!(matches!(state, ConnectionState::Disconnected { reason: r, .. } if r == reason));
}

#[tokio::test]
async fn an_oversize_message_ends_the_connection_unread() {
    let world = World::with_settings(
        except("fee", |_| Do::Text("x".repeat(MESSAGE_BYTES_MAX + 1))),
        |settings| settings.request_timeout = PATIENCE,
    )
    .await;
    world.connected().await;
    assert!(matches!(
        world.link.fee().await,
        Err(CallError::Unanswered { .. })
    ));
}

#[tokio::test]
async fn a_refusal_and_an_unreadable_answer_are_told_apart() {
    let world = World::with(except("fee", |request| refusal(request, "notSynced"))).await;
    world.connected().await;
    assert!(
        matches!(world.link.fee().await, Err(CallError::Server { error, .. }) if error == "notSynced")
    );
    let world = World::with(except("fee", |_| Do::Answer(json!({ "drops": 1 })))).await;
    world.connected().await;
    assert!(matches!(
        world.link.fee().await,
        Err(CallError::Malformed { .. })
    ));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let world = World::with_settings(except("subscribe", |_| Do::Nothing), |settings| {
        settings.connect_timeout = SHORT;
    })
    .await;
    world
        .reaches(|state| {
            matches!(
                state,
                ConnectionState::Disconnected {
                    reason: DisconnectReason::ConnectTimedOut(_),
                    ..
                }
            )
        })
        .await;
}

#[tokio::test]
async fn a_server_that_says_pong_and_answers_nothing_is_given_up() {
    let world = World::with_settings(except("fee", |_| Do::Nothing), |settings| {
        settings.health_check_interval = SHORT;
    })
    .await;
    world.connected().await;
    let asking = async {
        loop {
            drop(world.link.fee().await);
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    let given_up = world.reaches(|state| {
        matches!(
            state,
            ConnectionState::Disconnected {
                reason: DisconnectReason::Unanswering(_),
                ..
            }
        )
    });
    tokio::select! {
        _ = given_up => {}
        () = asking => {}
    }
    world.connected().await;
}

#[tokio::test]
async fn a_server_that_leaves_one_thing_unanswered_is_kept() {
    let world = World::with_settings(except("submit", |_| Do::Nothing), |settings| {
        settings.health_check_interval = SHORT * 3;
    })
    .await;
    world.connected().await;
    for _ in 0..12 {
        world.link.submit("00").await.unwrap_err();
        world.link.fee().await.unwrap();
    }
    assert_eq!(
        world.times_seen("subscribe"),
        1,
        "it is the first connection"
    );
}

/// A history in two pages of which one says that the server used less than was asked for.
#[tokio::test]
async fn a_history_counts_only_if_every_page_covers_the_range() {
    fn page(request: &Value, second_page_ends: u32) -> Do {
        let first = request.get("marker").is_none();
        let to = if first { 40 } else { second_page_ends };
        let mut result = json!({ "account": request["account"], "ledger_index_min": 10,
            "ledger_index_max": to, "transactions": [] });
        if first {
            result["marker"] = json!({ "ledger": 20, "seq": 1 });
        }
        Do::Answer(result)
    }
    let account = AccountId::from_bytes([5; 20]);
    let world = World::with(except("account_tx", |request| page(request, 40))).await;
    world.connected().await;
    let history = world.link.account_tx(account, 10, 40).await.unwrap();
    assert_eq!(
        (history.from, history.to, history.transactions.len()),
        (10, 40, 0)
    );
    let world = World::with(except("account_tx", |request| page(request, 39))).await;
    world.connected().await;
    assert!(matches!(
        world.link.account_tx(account, 10, 40).await,
        Err(AccountTxError::RangeNotCovered {
            wanted: (10, 40),
            got: Some((10, 39))
        })
    ));
    let world = World::with(except("account_tx", |request| {
        refusal(request, "lgrIdxMalformed")
    }))
    .await;
    world.connected().await;
    assert!(matches!(
        world.link.account_tx(account, 10, 40).await,
        Err(AccountTxError::RangeNotCovered { got: None, .. })
    ));
}

#[tokio::test]
async fn pages_that_go_in_a_circle_are_noticed() {
    let world = World::with(except("account_tx", |request| {
        Do::Answer(
            json!({ "account": request["account"], "ledger_index_min": 10, "ledger_index_max": 40,
            "transactions": [], "marker": { "ledger": 20, "seq": 1 } }),
        )
    }))
    .await;
    world.connected().await;
    let answer = world
        .link
        .account_tx(AccountId::from_bytes([5; 20]), 10, 40)
        .await;
    assert!(
        matches!(
            answer,
            Err(AccountTxError::Call(CallError::Malformed { .. }))
        ),
        "{answer:?}"
    );
}

#[tokio::test]
async fn ledgers_come_as_the_stream_announces_them() {
    let world = World::with(except("fee", |_| {
        Do::Text(
            json!({ "type": "ledgerClosed", "ledger_index": 51, "ledger_hash": hash(51).to_string(),
                "ledger_time": 9, "fee_base": 10, "reserve_base": 1_000_000, "reserve_inc": 200_000 })
            .to_string(),
        )
    }))
    .await;
    world.connected().await;
    let mut ledgers = world.link.watch_ledgers();
    let (_, event) = tokio::join!(world.link.fee(), async {
        ledgers
            .wait_for(|ledger| ledger.is_some_and(|ledger| ledger.index == 51))
            .await
            .unwrap()
            .unwrap()
    });
    assert_eq!(
        (event.hash, event.reserve_base.get()),
        (hash(51), 1_000_000)
    );
}
