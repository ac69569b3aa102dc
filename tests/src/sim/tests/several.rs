//! Stories of several servers of one network behind sockets: they agree, and each may be in trouble by itself.

use serde_json::{Value, json};

use super::super::{Fault, Handle, Options, serve};
use super::{FIRST, NETWORK, Wallet, XRP};
use crate::world::http;

async fn three() -> (Handle, Wallet) {
    let alice = Wallet::new("alice");
    let handle = serve(Options {
        servers: 3,
        network_id: NETWORK,
        funded: [(alice.address(), 1000 * XRP)].into(),
        start_index: FIRST,
        ..Options::default()
    });
    (handle.await.unwrap(), alice)
}

async fn ask(handle: &Handle, number: usize, command: &str, params: Value) -> Value {
    let (_, rpc) = &handle.urls()[number - 1];
    let body = json!({ "method": command, "params": [params] }).to_string();
    let answer = http::post(rpc.trim_start_matches("http://"), &body).await;
    let mut answer: Value = serde_json::from_str(&answer.unwrap().body).unwrap();
    answer["result"].take()
}

async fn pay(handle: &Handle, number: usize, payer: &Wallet, sequence: u32) -> Value {
    let destination = Wallet::new("bob").address();
    let blob = payer.sign(json!({ "Destination": destination, "Amount": (50 * XRP).to_string(), "Sequence": sequence }));
    ask(handle, number, "submit", json!({ "tx_blob": blob })).await
}

async fn validated(handle: &Handle, number: usize) -> (u64, String) {
    let ledger = ask(
        handle,
        number,
        "ledger",
        json!({ "ledger_index": "validated" }),
    )
    .await;
    let index = ledger["ledger"]["ledger_index"].as_str().unwrap();
    (
        index.parse().unwrap(),
        ledger["ledger_hash"].as_str().unwrap().to_owned(),
    )
}

async fn trouble(handle: &Handle, number: usize, fault: Value) {
    let _: Fault = serde_json::from_value(fault.clone()).unwrap();
    let answer = ask(handle, number, "sim_script", json!({ "fault": fault })).await;
    assert_eq!(answer["status"], "success", "{answer}");
}

async fn heal(handle: &Handle, number: usize) {
    ask(handle, number, "sim_script", json!({ "heal": true })).await;
}

#[tokio::test]
async fn what_one_server_is_given_all_validate_in_the_same_ledger() {
    let (handle, alice) = three().await;
    let answer = pay(&handle, 2, &alice, FIRST).await;
    assert_eq!(answer["engine_result"], "tesSUCCESS");
    let current = json!({ "account": alice.address() });
    let elsewhere = ask(&handle, 3, "account_info", current).await;
    assert_eq!(elsewhere["account_data"]["Sequence"], FIRST + 1);
    ask(&handle, 3, "ledger_accept", json!({})).await;
    let first = validated(&handle, 1).await;
    assert_eq!(first.0, u64::from(FIRST) + 1);
    assert_eq!(validated(&handle, 2).await, first);
    assert_eq!(validated(&handle, 3).await, first);
    assert_eq!(handle.payments_from(&alice.address()).len(), 1);
}

#[tokio::test]
async fn a_server_on_its_own_chain_validates_what_nobody_else_has_and_comes_back() {
    let (handle, alice) = three().await;
    trouble(&handle, 2, json!({ "fork": { "validated": true } })).await;
    assert_eq!(
        pay(&handle, 2, &alice, FIRST).await["engine_result"],
        "tesSUCCESS"
    );
    handle.close_ledger().unwrap();
    let (right, wrong) = (validated(&handle, 1).await, validated(&handle, 2).await);
    assert_eq!(right.0, wrong.0);
    assert_ne!(right.1, wrong.1);
    let told = json!({ "account": alice.address(), "ledger_index": "validated" });
    let told = ask(&handle, 2, "account_info", told).await;
    assert_eq!(
        (&told["validated"], &told["account_data"]["Sequence"]),
        (&json!(true), &json!(FIRST + 1))
    );
    assert!(handle.payments_from(&alice.address()).is_empty());
    heal(&handle, 2).await;
    assert_eq!(validated(&handle, 2).await, right);
    handle.close_ledger().unwrap();
    assert_eq!(handle.payments_from(&alice.address()).len(), 1);
    assert_eq!(validated(&handle, 2).await, validated(&handle, 3).await);
}

#[tokio::test]
async fn servers_lag_stand_still_and_start_again_while_the_others_go_on() {
    let (handle, alice) = three().await;
    handle.close_ledger().unwrap();
    trouble(&handle, 1, json!({ "lag": { "ledgers": 2 } })).await;
    trouble(&handle, 2, json!("frozen")).await;
    for _ in 0..4 {
        handle.close_ledger().unwrap();
    }
    let start = u64::from(FIRST);
    assert_eq!(validated(&handle, 1).await.0, start + 3);
    assert_eq!(validated(&handle, 2).await.0, start + 1);
    assert_eq!(validated(&handle, 3).await.0, start + 5);
    heal(&handle, 1).await;
    heal(&handle, 2).await;
    assert_eq!(validated(&handle, 2).await.0, start + 5);
    pay(&handle, 3, &alice, FIRST).await;
    trouble(&handle, 3, json!({ "restart": { "behind": 2 } })).await;
    assert_eq!(validated(&handle, 3).await.0, start + 3);
    handle.close_ledger().unwrap();
    assert_eq!(handle.payments_from(&alice.address()).len(), 1);
    heal(&handle, 3).await;
    assert_eq!(validated(&handle, 3).await, validated(&handle, 1).await);
}

#[tokio::test]
async fn a_server_that_is_gone_answers_nobody_and_a_mute_one_nobody_else_hears() {
    let (handle, alice) = three().await;
    trouble(&handle, 1, json!("relay_loss")).await;
    pay(&handle, 1, &alice, FIRST).await;
    handle.close_ledger().unwrap();
    assert!(handle.payments_from(&alice.address()).is_empty());
    heal(&handle, 1).await;
    trouble(&handle, 2, json!("gone")).await;
    let url = handle.urls()[1].0.clone();
    assert!(tokio_tungstenite::connect_async(&url).await.is_err());
    handle.close_ledger().unwrap();
    assert_eq!(handle.payments_from(&alice.address()).len(), 1);
    heal(&handle, 2).await;
    assert!(tokio_tungstenite::connect_async(&url).await.is_ok());
    assert_eq!(validated(&handle, 2).await, validated(&handle, 3).await);
}
