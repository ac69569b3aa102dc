//! A client that asks a public port for too much, and what comes of it.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::super::{Options, serve};
use super::{FIRST, Wallet, XRP};

/// More searches than a public port answers one address at once.
const FLOOD: usize = 2100;

#[tokio::test]
async fn who_floods_a_public_port_is_warned_then_cut_and_never_told_what_became_of_the_rest() {
    let alice = Wallet::new("alice");
    let handle = serve(Options {
        network_id: 0,
        funded: [(alice.address(), 1000 * XRP)].into(),
        start_index: FIRST,
        public_limits: true,
        ..Options::default()
    })
    .await
    .unwrap();
    let (socket, _) = connect_async(handle.ws_url()).await.unwrap();
    let (mut asks, mut answers) = socket.split();
    let address = alice.address();
    let flood = tokio::spawn(async move {
        for id in 0..FLOOD {
            let request = json!({ "id": id, "command": "account_tx", "account": address });
            if asks.send(Message::text(request.to_string())).await.is_err() {
                break;
            }
        }
    });
    let (mut answered, mut first_warning, mut end) = (0, None, None);
    while let Some(Ok(message)) = answers.next().await {
        if let Message::Close(frame) = message {
            end = frame.map(|frame| (u16::from(frame.code), frame.reason.to_string()));
            break;
        }
        let answer: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        assert_eq!(
            (&answer["id"], &answer["status"]),
            (&json!(answered), &json!("success"))
        );
        if answer["warning"] == "load" {
            first_warning = first_warning.or(Some(answered));
        }
        answered += 1;
    }
    flood.abort();
    let first_warning = first_warning.expect("a warning comes before the cut");
    assert!((399..FLOOD).contains(&first_warning) && first_warning < answered);
    assert!(answered < FLOOD, "all of the flood was answered");
    assert_eq!(end, Some((1008, "threshold exceeded".to_owned())));

    // A new connection is no way around it: what counts is the address. A little is forgotten with each second, so that a few more may be
    // answered; a fresh address would have all of them answered.
    let (mut socket, _) = connect_async(handle.ws_url()).await.unwrap();
    let search = json!({ "command": "account_tx", "account": alice.address() }).to_string();
    let mut cut = false;
    for _ in 0..FLOOD / 4 {
        // Who is cut off while he writes reads the end all the same.
        let _ = socket.send(Message::text(search.clone())).await;
        if let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() {
            cut = frame.reason == "threshold exceeded";
            break;
        }
    }
    assert!(
        cut,
        "a new connection of the same address is cut off as well"
    );
}
