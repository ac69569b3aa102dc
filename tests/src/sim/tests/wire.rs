//! What goes over the wire, compared with what a real server sent: same fields, same types, same values where they do
//! not depend on the network.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use xrpl::core::binarycodec::encode;

use super::super::blob::Tx;
use super::super::{Handle, Options, Script, serve};
use super::{FIRST, Wallet, XRP};

/// Answers of rippled 3.3.0-b0, recorded.
const RECORDED: &str = include_str!("../../../data/rippled-3.3.0-answers.json");
/// Longest wait for something that is bound to come.
const DEADLINE: Duration = Duration::from_secs(10);
/// Errors answer with exactly these, whatever the network.
const ERROR_FIELDS: [&str; 4] = ["error", "error_code", "error_message", "error_exception"];

/// Alice's next Sequence, and the last validated ledger, when a story begins.
const NEXT: u32 = FIRST + 1;

/// A network without an id above 1024, as the recorded one. Alice has already paid Carol, who exists since.
async fn network() -> (Handle, Wallet) {
    let alice = Wallet::new("alice");
    let funded = [(alice.address(), 1000 * XRP)].into();
    let handle = serve(Options {
        network_id: 0,
        funded,
        start_index: FIRST,
        ..Options::default()
    })
    .await
    .unwrap();
    rpc(
        &handle,
        "submit",
        json!({ "tx_blob": pays(&alice, "carol", FIRST) }),
    )
    .await;
    assert_eq!(handle.close_ledger().unwrap(), NEXT);
    (handle, alice)
}

async fn http(handle: &Handle, body: &str) -> (u16, String) {
    let host = handle.rpc_url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    )
}

async fn rpc(handle: &Handle, method: &str, params: Value) -> Value {
    let (status, body) = http(
        handle,
        &json!({ "method": method, "params": [params] }).to_string(),
    )
    .await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(handle: &Handle) -> Self {
        Self(connect_async(handle.ws_url()).await.unwrap().0)
    }

    async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        let message = tokio::time::timeout(DEADLINE, self.0.next())
            .await
            .expect("a message in time");
        serde_json::from_str(message.unwrap().unwrap().to_text().unwrap()).unwrap()
    }

    async fn ask(&mut self, request: Value) -> Value {
        self.send(&request.to_string()).await;
        self.next().await
    }
}

/// Where the two differ in fields or types; each entry of a list must look like one of the real entries.
fn differences(path: &str, real: &Value, ours: &Value) -> Vec<String> {
    match (real, ours) {
        (Value::Object(real), Value::Object(ours)) => {
            let surplus = ours
                .keys()
                .filter(|name| !real.contains_key(*name))
                .map(|name| format!("{path}.{name} is not real"));
            let inner = real.iter().flat_map(|(name, value)| match ours.get(name) {
                Some(our_value) => differences(&format!("{path}.{name}"), value, our_value),
                None => vec![format!("{path}.{name} is missing")],
            });
            surplus.chain(inner).collect()
        }
        (Value::Array(real), Value::Array(ours)) => ours
            .iter()
            .filter_map(|ours| {
                let each = real
                    .iter()
                    .map(|real| differences(&format!("{path}[]"), real, ours));
                each.min_by_key(Vec::len)
            })
            .flatten()
            .collect(),
        _ if std::mem::discriminant(real) == std::mem::discriminant(ours) => Vec::new(),
        _ => vec![format!("{path}: {real} there, {ours} here")],
    }
}

struct Recorded(Map<String, Value>);

impl Recorded {
    fn load() -> Self {
        Self(serde_json::from_str(RECORDED).unwrap())
    }

    #[track_caller]
    fn same_shape(&self, name: &str, ours: &Value) {
        let mut real = self.0[name]["response"].clone();
        let mut ours = ours.clone();
        // The recorded transaction carries fields of its own; what counts is where it is and what surrounds it.
        // And it was asked as the public, while this test asks as an administrator.
        let own = ["request", "DestinationTag", "InvoiceID", "Memos", "ports"];
        let for_admins = [
            "git",
            "load",
            "node_size",
            "pubkey_validator",
            "validator_list",
            "validator_list_expires",
        ];
        for value in [&mut real, &mut ours] {
            strip(value, &own);
            strip(value, &for_admins);
        }
        assert_eq!(
            differences(name, &real, &ours),
            Vec::<String>::new(),
            "{ours:#}"
        );
        let (real, ours) = (
            real.get("result").unwrap_or(&real),
            ours.get("result").unwrap_or(&ours),
        );
        for field in ERROR_FIELDS.iter().chain(&[
            "status",
            "type",
            "validated",
            "searched_all",
            "engine_result",
            "kept",
        ]) {
            assert_eq!(ours.get(field), real.get(field), "{name}: {field}");
        }
    }
}

fn strip(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(map) => {
            map.retain(|name, _| !names.contains(&name.as_str()));
            map.values_mut().for_each(|value| strip(value, names));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| strip(value, names)),
        _ => {}
    }
}

fn pays(from: &Wallet, to: &str, sequence: u32) -> String {
    let to = Wallet::new(to).address();
    from.sign(json!({ "NetworkID": null, "Destination": to, "Amount": "25000000", "Sequence": sequence, "LastLedgerSequence": FIRST + 20 }))
}

/// The binary metadata of our answers comes from xrpl-rust; this is what it makes of real metadata.
#[test]
fn real_metadata_encodes_to_the_recorded_bytes() {
    let real = Recorded::load();
    let mut meta = real.0["tx_v1"]["response"]["result"]["meta"].clone();
    meta.as_object_mut().unwrap().remove("delivered_amount");
    assert_eq!(
        json!(encode(&meta).unwrap()),
        real.0["tx_v1_binary"]["response"]["result"]["meta"]
    );
}

/// A blob that a real server took decodes to the fields and the hash which that server showed.
#[test]
fn real_blob_decodes_to_the_recorded_transaction() {
    let real = Recorded::load();
    let answer = &real.0["submit_applied"]["response"]["result"];
    let tx = Tx::from_hex(answer["tx_blob"].as_str().unwrap()).unwrap();
    let mut fields = tx.json.clone();
    fields.insert("hash".into(), json!(tx.hash.to_string()));
    assert_eq!(json!(fields), answer["tx_json"]);
}

#[tokio::test]
async fn answers_about_server_and_accounts_look_like_recorded_ones() {
    let (handle, alice) = network().await;
    let real = Recorded::load();
    let (alice, nobody) = (alice.address(), Wallet::new("nobody").address());
    let last = NEXT;
    let rows = [
        ("ping_admin", "ping", json!({})),
        ("server_info", "server_info", json!({})),
        ("server_state", "server_state", json!({})),
        ("fee", "fee", json!({})),
        ("ledger_current", "ledger_current", json!({})),
        ("ledger_closed", "ledger_closed", json!({})),
        (
            "ledger_open",
            "ledger",
            json!({ "ledger_index": "current" }),
        ),
        ("ledger_both", "ledger", json!({})),
        (
            "ledger_missing",
            "ledger",
            json!({ "ledger_index": 999_999 }),
        ),
        (
            "account_info_current",
            "account_info",
            json!({ "account": alice }),
        ),
        (
            "account_info_validated",
            "account_info",
            json!({ "account": alice, "ledger_index": "validated" }),
        ),
        (
            "account_info_validated",
            "account_info",
            json!({ "account": alice, "ledger_index": last }),
        ),
        (
            "account_info_missing",
            "account_info",
            json!({ "account": nobody, "ledger_index": "validated" }),
        ),
        (
            "account_info_bad",
            "account_info",
            json!({ "account": "rBAD" }),
        ),
        (
            "account_info_queue_of_validated",
            "account_info",
            json!({ "account": alice, "ledger_index": "validated", "queue": true }),
        ),
        ("unknown_command", "no_such_command", json!({})),
        ("submit_not_hex", "submit", json!({ "tx_blob": "zz" })),
        (
            "submit_not_a_transaction",
            "submit",
            json!({ "tx_blob": "DEADBEEF" }),
        ),
        (
            "tx_unknown",
            "tx",
            json!({ "transaction": "AB".repeat(32) }),
        ),
        (
            "tx_unknown_range",
            "tx",
            json!({ "transaction": "AB".repeat(32), "min_ledger": FIRST, "max_ledger": last }),
        ),
        (
            "tx_reversed_range",
            "tx",
            json!({ "transaction": "AB".repeat(32), "min_ledger": last, "max_ledger": FIRST }),
        ),
        (
            "tx_wide_range",
            "tx",
            json!({ "transaction": "AB".repeat(32), "min_ledger": 1, "max_ledger": 1002 }),
        ),
        ("tx_bad_hash", "tx", json!({ "transaction": "zz" })),
        (
            "account_tx_future_v1",
            "account_tx",
            json!({ "account": alice, "ledger_index_min": last + 9, "ledger_index_max": last + 99 }),
        ),
        (
            "account_tx_future_v2",
            "account_tx",
            json!({ "account": alice, "ledger_index_min": last + 9, "ledger_index_max": last + 99, "api_version": 2 }),
        ),
    ];
    for (name, method, params) in rows {
        real.same_shape(name, &rpc(&handle, method, params).await);
    }
}

#[tokio::test]
async fn answers_about_a_payment_look_like_recorded_ones() {
    let (handle, alice) = network().await;
    let real = Recorded::load();
    let blob = pays(&alice, "dave", NEXT);
    let submitted = rpc(&handle, "submit", json!({ "tx_blob": blob })).await;
    real.same_shape("submit_applied", &submitted);
    let hash = submitted["result"]["tx_json"]["hash"].clone();
    real.same_shape(
        "submit_again",
        &rpc(&handle, "submit", json!({ "tx_blob": blob })).await,
    );
    let tx = |version: u32, binary: bool| json!({ "transaction": hash, "api_version": version, "binary": binary });
    real.same_shape("tx_open_v1", &rpc(&handle, "tx", tx(1, false)).await);
    real.same_shape("tx_open_v2", &rpc(&handle, "tx", tx(2, false)).await);
    assert_eq!(
        rpc(&handle, "ledger_accept", json!({})).await["result"]["ledger_current_index"],
        NEXT + 2
    );
    real.same_shape(
        "submit_after_validation",
        &rpc(&handle, "submit", json!({ "tx_blob": blob })).await,
    );
    for (name, version, binary) in [
        ("tx_v1", 1, false),
        ("tx_v2", 2, false),
        ("tx_v1_binary", 1, true),
        ("tx_v2_binary", 2, true),
    ] {
        real.same_shape(name, &rpc(&handle, "tx", tx(version, binary)).await);
        let params = json!({ "account": alice.address(), "api_version": version, "binary": binary, "ledger_index_min": NEXT + 1 });
        real.same_shape(
            &format!("account_{name}"),
            &rpc(&handle, "account_tx", params).await,
        );
    }
    for (name, version) in [("ledger_v1", 1), ("ledger_v2", 2)] {
        let params = json!({ "ledger_index": NEXT + 1, "transactions": true, "expand": true, "api_version": version });
        real.same_shape(name, &rpc(&handle, "ledger", params).await);
    }
    let ctid = rpc(&handle, "tx", tx(1, false)).await["result"]["ctid"].clone();
    assert_eq!(
        rpc(&handle, "tx", json!({ "ctid": ctid })).await["result"]["hash"],
        hash
    );
    handle.assert_conserved();
}

#[tokio::test]
async fn account_tx_pages_through_a_range_in_both_directions() {
    let (handle, alice) = network().await;
    for number in 1..5 {
        rpc(
            &handle,
            "submit",
            json!({ "tx_blob": pays(&alice, "carol", FIRST + number) }),
        )
        .await;
        if number % 2 == 0 {
            handle.close_ledger().unwrap();
        }
    }
    let last = handle.validated().0;
    let sequences = |page: &Value| -> Vec<u64> {
        let list = page["result"]["transactions"].as_array().unwrap();
        list.iter()
            .map(|entry| entry["tx"]["Sequence"].as_u64().unwrap() - u64::from(FIRST))
            .collect()
    };
    for (forward, expected) in [(true, [0, 1, 2, 3, 4]), (false, [4, 3, 2, 1, 0])] {
        let mut seen = Vec::new();
        let mut params = json!({ "account": alice.address(), "limit": 2, "forward": forward, "ledger_index_min": FIRST, "ledger_index_max": last });
        loop {
            let page = rpc(&handle, "account_tx", params.clone()).await;
            assert_eq!(
                (
                    &page["result"]["ledger_index_min"],
                    &page["result"]["ledger_index_max"]
                ),
                (&json!(FIRST), &json!(last))
            );
            seen.extend(sequences(&page));
            match page["result"].get("marker") {
                Some(marker) => params["marker"] = marker.clone(),
                None => break,
            }
        }
        assert_eq!(seen, expected);
    }
    let clamped = rpc(
        &handle,
        "account_tx",
        json!({ "account": alice.address(), "ledger_index_min": 1, "ledger_index_max": 9_999_999 }),
    )
    .await;
    assert_eq!(
        clamped["result"]["ledger_index_max"], last,
        "version 1 says what it used"
    );
    let one = rpc(
        &handle,
        "account_tx",
        json!({ "account": alice.address(), "ledger_index": last }),
    )
    .await;
    assert_eq!(sequences(&one), [4, 3]);
}

#[tokio::test]
async fn pushed_messages_look_like_recorded_ones_and_come_in_order() {
    let (handle, alice) = network().await;
    let real = Recorded::load();
    for (version, sequence) in [(1, NEXT), (2, NEXT + 1)] {
        let mut socket = Client::connect(&handle).await;
        let streams = json!(["ledger", "transactions"]);
        let subscribed = socket.ask(json!({ "id": 1, "command": "subscribe", "streams": streams, "api_version": version })).await;
        real.same_shape("ws_subscribe_ledger", &subscribed);
        let mut watcher = Client::connect(&handle).await;
        let accounts = json!([alice.address()]);
        let watching = json!({ "id": 1, "command": "subscribe", "accounts_proposed": accounts, "accounts": accounts, "api_version": version });
        real.same_shape("ws_subscribe_accounts", &watcher.ask(watching).await);

        watcher.send(&json!({ "id": 2, "command": "submit", "tx_blob": pays(&alice, "carol", sequence) }).to_string()).await;
        real.same_shape(
            &format!("stream_proposed_v{version}"),
            &watcher.next().await,
        );
        assert_eq!(
            watcher.next().await["id"],
            2,
            "the proposed message comes before the answer"
        );
        handle.close_ledger().unwrap();
        real.same_shape("stream_ledger_closed", &socket.next().await);
        real.same_shape(
            &format!("stream_validated_v{version}"),
            &socket.next().await,
        );
        real.same_shape(
            &format!("stream_validated_v{version}"),
            &watcher.next().await,
        );
        handle.close_ledger().unwrap();
        assert_eq!(socket.next().await["txn_count"], 0);
        let gone = json!({ "id": 3, "command": "unsubscribe", "streams": streams });
        assert_eq!(socket.ask(gone).await["result"], json!({}));
        assert_eq!(
            watcher.ask(json!({ "id": 4, "command": "ping" })).await["id"],
            4,
            "one copy for accounts and accounts_proposed"
        );
    }
}

#[tokio::test]
async fn websocket_errors_look_like_recorded_ones_and_order_is_kept() {
    let (handle, _) = network().await;
    let real = Recorded::load();
    let mut socket = Client::connect(&handle).await;
    let nobody = Wallet::new("nobody").address();
    let rows = [
        ("ws_ping_public", json!({ "id": 1, "command": "ping" })),
        (
            "ws_account_info_missing_v2",
            json!({ "id": 1, "command": "account_info", "account": nobody, "api_version": 2 }),
        ),
        ("ws_unknown_command", json!({ "id": 1, "command": "nope" })),
        (
            "ws_bad_version",
            json!({ "id": 1, "command": "ping", "api_version": 99 }),
        ),
        ("ws_missing_command", json!({ "id": 1 })),
        (
            "ws_subscribe_bad_stream",
            json!({ "id": 1, "command": "subscribe", "streams": ["bogus"], "api_version": 1 }),
        ),
        (
            "ws_subscribe_no_accounts",
            json!({ "id": 1, "command": "subscribe", "accounts": [], "api_version": 1 }),
        ),
    ];
    for (name, request) in rows {
        let answer = socket.ask(request.clone()).await;
        real.same_shape(name, &answer);
        assert!(answer.get("request").is_none_or(|echo| *echo == request));
    }
    socket.send("{").await;
    real.same_shape("ws_not_json", &socket.next().await);
    assert_eq!(
        socket
            .ask(json!({ "id": 2, "command": "ledger_accept" }))
            .await["error"],
        "forbidden"
    );
    let commands = ["ping", "fee", "server_info", "ledger_closed", "nope"];
    for id in 0..50 {
        socket
            .send(&json!({ "id": id, "command": commands[id % commands.len()] }).to_string())
            .await;
    }
    for id in 0..50 {
        assert_eq!(socket.next().await["id"], id);
    }
}

#[tokio::test]
async fn http_refuses_what_is_not_a_request() {
    let (handle, _) = network().await;
    let rows = [
        ("{}", 400, "Unable to parse request:"),
        (r#"{"command":"ping"}"#, 400, "Null method"),
        (r#"{"method":5}"#, 400, "method is not string"),
        (r#"{"method":""}"#, 400, "method is empty"),
        (
            r#"{"method":"ping","params":["x"]}"#,
            400,
            "params unparsable",
        ),
        (
            r#"{"method":"ping","params":[{"api_version":3}]}"#,
            400,
            "invalid_API_version",
        ),
        (
            r#"{"method":"ping","params":[{"api_version":"2"}]}"#,
            400,
            "invalid_API_version",
        ),
        (
            r#"{"method":"ping"}"#,
            200,
            r#"{"result":{"role":"admin","status":"success"}}"#,
        ),
    ];
    for (body, status, text) in rows {
        assert_eq!(
            http(&handle, body).await,
            (status, text.to_owned()),
            "{body}"
        );
    }
}

#[tokio::test]
async fn script_loses_answers_and_requests_of_submit() {
    let (handle, alice) = network().await;
    let mut socket = Client::connect(&handle).await;
    handle.script(Script {
        drop_submit_answers: 1,
        ..Script::default()
    });
    socket
        .send(
            &json!({ "id": 1, "command": "submit", "tx_blob": pays(&alice, "carol", NEXT) })
                .to_string(),
        )
        .await;
    assert_eq!(
        socket.ask(json!({ "id": 2, "command": "ping" })).await["id"],
        2,
        "no answer to the submit"
    );
    rpc(&handle, "sim_script", json!({ "drop_submit_requests": 1 })).await;
    socket
        .send(
            &json!({ "id": 3, "command": "submit", "tx_blob": pays(&alice, "carol", NEXT + 1) })
                .to_string(),
        )
        .await;
    assert_eq!(
        socket.ask(json!({ "id": 4, "command": "ping" })).await["id"],
        4
    );
    handle.close_ledger().unwrap();
    assert_eq!(
        handle.sequence(&alice.address()),
        Some(NEXT + 1),
        "the first was processed, the second was not"
    );
}

#[tokio::test]
async fn ledgers_close_by_the_clock_and_a_new_server_continues_the_chain() {
    let directory = tempfile::tempdir().unwrap();
    let options = |close_every: Duration| Options {
        state: Some(directory.path().to_owned()),
        close_every,
        ..Options::default()
    };
    let handle = serve(options(Duration::from_millis(20))).await.unwrap();
    let anchor = handle.anchor();
    let mut socket = Client::connect(&handle).await;
    socket
        .ask(json!({ "id": 1, "command": "subscribe", "streams": ["ledger"] }))
        .await;
    let first = socket.next().await["ledger_index"].as_u64().unwrap();
    assert_eq!(socket.next().await["ledger_index"], first + 1);
    drop(handle);
    let handle = serve(options(Duration::ZERO)).await.unwrap();
    assert_eq!(handle.anchor(), anchor);
    assert!(u64::from(handle.validated().0) > first);
}
