//! Several servers of one network, some of which are lost: what each of them then says of the same payment.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::{Beginning, Network, Options, ServerMode};
use super::{FIRST, NETWORK, START, Wallet, XRP};
use crate::sim::Millis;

const SECOND_MS: u64 = 1000;

fn network(peers_min: usize) -> (Network, Wallet, Wallet) {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let options = Options {
        network_id: NETWORK,
        start_index: FIRST,
        funded: BTreeMap::from([(alice.address(), 100 * XRP), (bob.address(), 100 * XRP)]),
        expected_size: Some(32),
        ..Options::default()
    };
    let beginning = Beginning {
        servers: 2,
        validator_lists: 1,
        peers_min,
        first_validated: Some(FIRST),
        validated: FIRST,
        closed: FIRST,
        mode: ServerMode::Full,
    };
    (Network::new(options, beginning, START).unwrap(), alice, bob)
}

fn ask(network: &Network, server: usize, method: &str, params: &Value) -> Value {
    let body = json!({ "method": method, "params": [params] });
    let (_, text) = network.server(server).http(true, &body.to_string());
    serde_json::from_str::<Value>(&text).unwrap()["result"].clone()
}

fn submit(network: &mut Network, server: usize, blob: &str) -> Value {
    let answer = ask(network, server, "submit", &json!({ "tx_blob": blob }));
    network.relay();
    network.receive();
    answer
}

fn look_up(network: &Network, server: usize, hash: &Value) -> Value {
    ask(network, server, "tx", &json!({ "transaction": hash }))
}

fn close(network: &mut Network, validated: bool) {
    network.propose();
    network.accept(false).unwrap();
    if validated {
        for server in [1, 2] {
            network.validate(server, network.server(server).open_index() - 1);
        }
    }
}

fn pays(from: &Wallet, to: &Wallet, sequence: u32) -> String {
    from.sign(json!({ "Destination": to.address(), "Amount": "1", "Sequence": sequence }))
}

#[test]
fn a_server_tells_its_peers_of_what_it_took_and_not_of_what_it_holds() {
    let (mut network, alice, bob) = network(1);
    let taken = submit(&mut network, 1, &pays(&alice, &bob, FIRST));
    let held = submit(&mut network, 1, &pays(&alice, &bob, FIRST + 5));
    assert_eq!(
        (&taken["engine_result"], &held["engine_result"]),
        (&json!("tesSUCCESS"), &json!("terPRE_SEQ"))
    );
    let known = look_up(&network, 2, &taken["tx_json"]["hash"]);
    let unknown = look_up(&network, 2, &held["tx_json"]["hash"]);
    assert_eq!(known["validated"], false);
    assert_eq!(unknown["error"], "txnNotFound");
    close(&mut network, true);
    for server in [1, 2] {
        let found = look_up(&network, server, &taken["tx_json"]["hash"]);
        assert_eq!(
            (&found["validated"], &found["ledger_index"]),
            (&json!(true), &json!(FIRST + 1))
        );
    }
}

#[test]
fn a_closed_ledger_says_nothing_of_a_payment_until_it_is_validated() {
    let (mut network, alice, bob) = network(1);
    let paid = submit(&mut network, 1, &pays(&alice, &bob, FIRST));
    network.propose();
    network.accept(false).unwrap();
    let found = look_up(&network, 1, &paid["tx_json"]["hash"]);
    assert_eq!(found["validated"], false);
    let at = |name: &str| json!({ "account": alice.address(), "ledger_index": name });
    let sequence = |name: &str| {
        ask(&network, 1, "account_info", &at(name))["account_data"]["Sequence"].clone()
    };
    assert_eq!(
        (sequence("validated"), sequence("closed")),
        (json!(FIRST), json!(FIRST + 1))
    );
}

#[test]
fn a_server_without_peers_refuses_and_still_shows_what_it_had() {
    let (mut network, alice, bob) = network(1);
    close(&mut network, true);
    network.lose(2);
    network.pass_to(Millis(START.0 + 10 * SECOND_MS));
    let blob = pays(&alice, &bob, FIRST);
    let refused = submit(&mut network, 1, &blob);
    assert_eq!(refused["error"], "noNetwork");
    let body = json!({ "tx_blob": blob, "api_version": 2 });
    assert_eq!(ask(&network, 1, "submit", &body)["error"], "notSynced");
    let at = json!({ "account": alice.address(), "ledger_index": "validated" });
    assert_eq!(
        ask(&network, 1, "account_info", &at)["account_data"]["Sequence"],
        FIRST
    );
    let info = ask(&network, 1, "server_info", &json!({}));
    assert_eq!(info["info"]["server_state"], "disconnected");
    // Two minutes on it does not even know which ledger is the last one.
    network.pass_to(Millis(START.0 + 200 * SECOND_MS));
    assert_eq!(ask(&network, 1, "account_info", &at)["error"], "noNetwork");
}

/// The trap: the payment is executed and its Sequence used, the validated ledger is past every LastLedgerSequence, and
/// for good one server says validated:false and the other that there is no such transaction.
#[test]
fn executed_and_yet_not_to_be_found_on_any_server() {
    let (mut network, alice, bob) = network(0);
    close(&mut network, true);
    network.lose(2);
    let paid = submit(&mut network, 1, &pays(&alice, &bob, FIRST));
    let hash = paid["tx_json"]["hash"].clone();
    for round in 1..=6 {
        network.pass_to(Millis(START.0 + round * 20 * SECOND_MS));
        close(&mut network, false);
    }
    network.restart(2).unwrap();
    network.link(2);
    network.join(2);
    for _ in 0..4 {
        close(&mut network, true);
    }
    let account = json!({ "account": alice.address(), "ledger_index": "validated" });
    for server in [1, 2] {
        let root = ask(&network, server, "account_info", &account);
        assert_eq!(
            root["account_data"]["Sequence"],
            FIRST + 1,
            "it was executed"
        );
        assert_eq!(root["ledger_index"], FIRST + 11);
    }
    let (one, other) = (look_up(&network, 1, &hash), look_up(&network, 2, &hash));
    assert_eq!(
        (&one["validated"], &other["error"]),
        (&json!(false), &json!("txnNotFound"))
    );
    let range = json!({ "transaction": hash, "min_ledger": FIRST, "max_ledger": FIRST + 11 });
    assert_eq!(ask(&network, 2, "tx", &range)["searched_all"], false);
    let complete = |server| {
        ask(&network, server, "server_info", &json!({}))["info"]["complete_ledgers"].clone()
    };
    assert_eq!(complete(1), (FIRST + 1).to_string());
    assert_eq!(complete(2), format!("{}-{}", FIRST + 9, FIRST + 11));
    let page = ask(
        &network,
        1,
        "account_tx",
        &json!({ "account": alice.address() }),
    );
    assert_eq!(page["transactions"], json!([]));
}
