//! What a client sees of each kind of fault, one after the other, in a network without sockets.

use serde_json::{Value, json};

use super::super::types::Millis;
use super::super::{
    Agreement, Beginning, Direct, DirectSocket, Fault, Network, Options, Out, ServerMode,
};
use super::{FIRST, NETWORK, START, Wallet, XRP};

/// Three servers, a client connected to the first, and time.
struct Stage {
    network: Network,
    socket: DirectSocket,
    now: Millis,
    alice: Wallet,
    asked: u64,
}

impl Stage {
    fn new() -> Self {
        let alice = Wallet::new("alice");
        let options = Options {
            network_id: NETWORK,
            funded: [(alice.address(), 1000 * XRP)].into(),
            start_index: FIRST,
            ..Options::default()
        };
        let beginning = Beginning {
            servers: 3,
            validator_lists: 1,
            peers_min: 0,
            first_validated: Some(FIRST),
            validated: FIRST,
            closed: FIRST,
            mode: ServerMode::Full,
        };
        let network = Network::new(options, beginning, START).unwrap();
        let socket = network.server(1).connect(false);
        Self {
            network,
            socket,
            now: START,
            alice,
            asked: 0,
        }
    }

    fn server(&self) -> &Direct {
        self.network.server(1)
    }

    fn fault(&mut self, fault: Value) -> u8 {
        self.fault_at(1, fault)
    }

    fn fault_at(&mut self, number: usize, fault: Value) -> u8 {
        let fault: Fault = serde_json::from_value(fault).unwrap();
        self.network.trouble(number, &fault, self.now);
        fault.number()
    }

    /// What comes back within no time.
    fn ask(&mut self, command: &str, params: Value) -> Vec<Out> {
        self.asked += 1;
        let mut request = params;
        request["id"] = json!(self.asked);
        request["command"] = json!(command);
        let server = self.network.server(1);
        server.request(&mut self.socket, &request.to_string());
        server.poll(&mut self.socket)
    }

    fn answer(&mut self, command: &str, params: Value) -> Value {
        let outs = self.ask(command, params);
        text(outs.last().expect("it answers"))
    }

    fn blob(&self, sequence: u32) -> Value {
        let destination = Wallet::new("bob").address();
        let fields = json!({ "Destination": destination, "Amount": (50 * XRP).to_string(), "Sequence": sequence });
        json!({ "tx_blob": self.alice.sign(fields) })
    }

    fn submit(&mut self, sequence: u32) -> Vec<Out> {
        let blob = self.blob(sequence);
        self.ask("submit", blob)
    }

    fn pass(&mut self, milliseconds: u64) -> Vec<Out> {
        self.now = Millis(self.now.0 + milliseconds);
        self.network.pass_to(self.now);
        self.network.server(1).poll(&mut self.socket)
    }

    fn close(&mut self) -> Vec<Out> {
        self.close_as(Agreement::default())
    }

    fn close_as(&mut self, how: Agreement) -> Vec<Out> {
        self.now = Millis(self.now.0 + 4000);
        self.network.agree(how, self.now).unwrap();
        self.network.server(1).poll(&mut self.socket)
    }

    fn paid(&self, number: usize) -> usize {
        let node = self.network.server(number).shared();
        let node = node.lock();
        node.world.payments_from(&self.alice.address()).len()
    }

    fn sequence(&mut self) -> Value {
        let params = json!({ "account": self.alice.address(), "ledger_index": "validated" });
        self.answer("account_info", params)["result"]["account_data"]["Sequence"].clone()
    }

    fn met(&self, number: u8) -> u64 {
        self.network.met().0[usize::from(number) - 1]
    }

    fn subscribe(&mut self) {
        let streams = ["ledger", "transactions", "transactions_proposed"];
        self.answer("subscribe", json!({ "streams": streams }));
    }
}

fn text(out: &Out) -> Value {
    match out {
        Out::Text(text) => serde_json::from_str(text).unwrap(),
        other => panic!("no text: {other:?}"),
    }
}

/// What messages are about: `ledgerClosed`, `validated`, `proposed`, or something else.
fn kinds(outs: &[Out]) -> Vec<String> {
    outs.iter()
        .map(|out| {
            let message = text(out);
            match message["type"].as_str().unwrap() {
                "transaction" if message["validated"] == true => "validated".to_owned(),
                "transaction" => "proposed".to_owned(),
                other => other.to_owned(),
            }
        })
        .collect()
}

fn wire(how: Value) -> Value {
    json!({ "wire": { "command": "submit", "how": how } })
}

#[test]
fn f1_f2_a_lost_request_pays_nothing_and_a_lost_answer_hides_a_payment() {
    let mut stage = Stage::new();
    assert_eq!(stage.fault(wire(json!("lose_request"))), 1);
    assert_eq!(stage.submit(FIRST), []);
    stage.close();
    assert_eq!(stage.paid(1), 0);
    assert_eq!(stage.fault(wire(json!("lose_answer"))), 2);
    assert_eq!(stage.submit(FIRST), []);
    stage.close();
    assert_eq!((stage.paid(1), stage.paid(3)), (1, 1));
    assert_eq!((stage.met(1), stage.met(2)), (1, 1));
}

#[test]
fn f3_late_answers_come_late_and_late_requests_are_processed_late() {
    let mut stage = Stage::new();
    stage.fault(wire(json!({ "delay_answer": 5000 })));
    assert_eq!(stage.submit(FIRST), []);
    assert_eq!(stage.server().open_size(), 1);
    assert_eq!(stage.pass(4999), []);
    assert_eq!(
        text(&stage.pass(1)[0])["result"]["engine_result"],
        "tesSUCCESS"
    );
    stage.fault(wire(json!({ "delay_request": 9000 })));
    assert_eq!(stage.submit(FIRST + 1), []);
    assert_eq!(stage.server().open_size(), 1);
    assert_eq!(stage.pass(9000).len(), 1);
    assert_eq!(stage.server().open_size(), 2);
    assert_eq!(stage.met(3), 2);
}

#[test]
fn f4_the_connection_ends_in_the_middle_of_an_answer_or_with_a_code() {
    let mut stage = Stage::new();
    stage.fault(wire(json!("cut_answer")));
    let outs = stage.submit(FIRST);
    assert!(
        matches!(&outs[..], [Out::Part(text), Out::Cut] if text.starts_with('{') && !text.ends_with('}')),
        "{outs:?}"
    );
    assert_eq!(stage.submit(FIRST + 1), []);
    assert_eq!(stage.server().open_size(), 1);
    for code in [1000, 1001, 1008, 1011] {
        stage.socket = stage.server().connect(false);
        stage.fault(json!({ "wire": { "how": { "close": code } } }));
        let outs = stage.ask("ping", json!({}));
        assert_eq!(outs, [Out::Close(code, String::new())]);
    }
    assert_eq!(stage.met(4), 5);
}

#[test]
fn f5_a_half_open_connection_says_nothing_ever_and_a_new_one_works() {
    let mut stage = Stage::new();
    stage.subscribe();
    stage.fault(json!({ "wire": { "command": "ping", "skip": 1, "how": "half_open" } }));
    assert_eq!(stage.ask("ping", json!({})).len(), 1);
    assert_eq!(stage.ask("ping", json!({})), []);
    assert_eq!(stage.submit(FIRST), []);
    assert_eq!(stage.close(), []);
    assert_eq!(stage.paid(1), 0);
    stage.socket = stage.server().connect(false);
    assert_eq!(stage.submit(FIRST).len(), 1);
}

#[test]
fn f6_f7_answers_come_twice_or_with_ids_of_others() {
    let mut stage = Stage::new();
    stage.fault(wire(json!("repeat")));
    let outs = stage.submit(FIRST);
    assert_eq!((outs.len(), &outs[0]), (2, &outs[1]));
    stage.fault(wire(json!("old_id")));
    let outs = stage.submit(FIRST + 1);
    let ids: Vec<Value> = outs.iter().map(|out| text(out)["id"].clone()).collect();
    assert_eq!(ids, [json!(1), json!(2)]);
    stage.fault(wire(json!("wrong_id")));
    let outs = stage.submit(FIRST + 2);
    assert_ne!(text(&outs[0])["id"], 3);
    assert_eq!((stage.met(6), stage.met(7)), (1, 2));
}

#[test]
fn f8_a_proxy_answers_with_a_page_or_damaged() {
    let mut stage = Stage::new();
    stage.fault(wire(json!("page")));
    assert!(matches!(&stage.submit(FIRST)[..], [Out::Text(page)] if page.starts_with("<html>")));
    stage.fault(wire(json!("empty")));
    assert_eq!(stage.submit(FIRST + 1), [Out::Text(String::new())]);
    stage.fault(wire(json!("garbage")));
    assert!(
        matches!(&stage.submit(FIRST + 2)[..], [Out::Bytes(bytes)] if bytes.starts_with(&[0x1f, 0x8b]))
    );
    assert_eq!((stage.server().open_size(), stage.met(8)), (3, 3));
}

#[test]
fn f9_f10_connections_do_not_come_about_or_end_elsewhere() {
    let mut stage = Stage::new();
    stage.fault(json!({ "dial": { "how": "refuse" } }));
    assert!(stage.network.connect(1).is_none());
    stage.fault(json!({ "dial": { "how": { "elsewhere": 3 } } }));
    let reached = |stage: &Stage| stage.network.connect(1).map(|(number, _)| number);
    assert_eq!(reached(&stage), Some(3));
    assert_eq!(reached(&stage), Some(1));
    assert_eq!((stage.met(9), stage.met(10)), (1, 1));
}

#[test]
fn f11_f12_a_server_lags_or_stands_still_and_looks_fresh() {
    let mut stage = Stage::new();
    stage.fault(json!({ "lag": { "ledgers": 3 } }));
    stage.fault_at(2, json!("frozen"));
    (0..40).for_each(|_| drop(stage.close()));
    assert_eq!(stage.server().validated_index(), FIRST + 37);
    assert_eq!(stage.network.server(2).validated_index(), FIRST);
    let body = json!({ "method": "server_info" }).to_string();
    let (_, answer) = stage.network.server(2).http(false, &body);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["result"]["info"]["validated_ledger"]["age"], 0);
    stage.network.heal(2, stage.now);
    assert_eq!(stage.network.server(2).validated_index(), FIRST + 40);
}

#[test]
fn f13_f14_what_a_side_chain_holds_nobody_else_has() {
    let mut stage = Stage::new();
    stage.fault(json!({ "fork": { "validated": false } }));
    assert_eq!(
        text(&stage.submit(FIRST)[0])["result"]["engine_result"],
        "tesSUCCESS"
    );
    stage.close();
    // The sequence is used up on its own chain, which nobody validates.
    assert_eq!(
        text(&stage.submit(FIRST)[0])["result"]["engine_result"],
        "tefPAST_SEQ"
    );
    assert_eq!((stage.sequence(), stage.paid(2)), (json!(FIRST), 0));
    stage.network.heal(1, stage.now);
    stage.close();
    assert_eq!((stage.sequence(), stage.paid(2)), (json!(FIRST + 1), 1));
    stage.fault(json!({ "fork": { "validated": true } }));
    stage.submit(FIRST + 1);
    stage.close();
    assert_eq!((stage.sequence(), stage.paid(2)), (json!(FIRST + 2), 1));
    assert_eq!((stage.met(13), stage.met(14)), (1, 1));
}

#[test]
fn f14_a_server_lies_about_sequences_and_transactions_of_the_right_chain() {
    let mut stage = Stage::new();
    let hash = text(&stage.submit(FIRST)[0])["result"]["tx_json"]["hash"].clone();
    let tx = json!({ "transaction": hash, "api_version": 2, "min_ledger": FIRST, "max_ledger": FIRST + 1 });
    stage.fault(json!({ "lie": "invents" }));
    let told = stage.answer("tx", tx.clone())["result"].clone();
    assert_eq!(
        (&told["validated"], &told["meta"]["TransactionResult"]),
        (&json!(true), &json!("tesSUCCESS"))
    );
    stage.network.heal(1, stage.now);
    stage.close();
    for (lie, sequence) in [
        (json!({ "lie": { "sequence_lower": 1 } }), FIRST),
        (json!({ "lie": { "sequence_higher": 4 } }), FIRST + 5),
    ] {
        stage.fault(lie);
        assert_eq!(stage.sequence(), sequence);
        stage.network.heal(1, stage.now);
    }
    stage.fault(json!({ "lie": { "failed": "tecPATH_DRY" } }));
    let told = stage.answer("tx", tx.clone())["result"].clone();
    assert_eq!(told["meta"]["TransactionResult"], "tecPATH_DRY");
    stage.network.heal(1, stage.now);
    stage.fault(json!({ "lie": "hides" }));
    let told = stage.answer("tx", tx);
    assert_eq!(
        (&told["error"], &told["searched_all"]),
        (&json!("txnNotFound"), &json!(true))
    );
    let history = stage.alice.address();
    let history = stage.answer("account_tx", json!({ "account": history }));
    assert_eq!(history["result"]["transactions"], json!([]));
    assert!(stage.met(14) >= 6, "{}", stage.met(14));
}

#[test]
fn f15_to_f18_modes_restarts_blocked_servers_and_other_networks() {
    let mut stage = Stage::new();
    (0..5).for_each(|_| drop(stage.close()));
    stage.fault(json!({ "mode": "connected" }));
    assert_eq!(
        stage.answer("submit", stage.blob(FIRST))["error"],
        "noNetwork"
    );
    stage.network.heal(1, stage.now);
    for (by, error) in [("amendment", "amendmentBlocked"), ("unl", "unlBlocked")] {
        stage.fault(json!({ "blocked": by }));
        assert_eq!(stage.answer("submit", stage.blob(FIRST))["error"], error);
        stage.network.heal(1, stage.now);
    }
    stage.submit(FIRST);
    stage.fault(json!({ "restart": { "behind": 3 } }));
    assert_eq!(stage.server().validated_index(), FIRST + 2);
    assert_eq!(stage.server().open_size(), 0);
    assert_eq!(stage.pass(0), [Out::Cut]);
    stage.network.heal(1, stage.now);
    assert_eq!(stage.server().validated_index(), FIRST + 5);
    stage.socket = stage.server().connect(false);
    stage.fault(json!({ "reset": { "network_id": null } }));
    stage.socket = stage.server().connect(false);
    let first =
        stage.answer("ledger", json!({ "ledger_index": FIRST }))["result"]["ledger_hash"].clone();
    stage.network.heal(1, stage.now);
    stage.socket = stage.server().connect(false);
    let ours =
        stage.answer("ledger", json!({ "ledger_index": FIRST }))["result"]["ledger_hash"].clone();
    assert!(first.is_string() && ours.is_string());
    assert_ne!(first, ours);
    stage.fault(json!({ "reset": { "network_id": 7 } }));
    stage.socket = stage.server().connect(false);
    let info = stage.answer("server_info", json!({}));
    assert_eq!(info["result"]["info"]["network_id"], 7);
}

#[test]
fn f19_f20_an_old_release_and_a_clio_server_have_other_words() {
    let mut stage = Stage::new();
    stage.fault(json!("old"));
    let info = stage.answer("server_info", json!({}));
    assert_eq!(info["result"]["info"]["build_version"], "2.3.0-b4");
    stage.network.heal(1, stage.now);
    let hash = text(&stage.submit(FIRST)[0])["result"]["tx_json"]["hash"].clone();
    stage.fault(json!("clio"));
    // It has validated transactions only, and says what it is.
    assert_eq!(
        stage.answer("tx", json!({ "transaction": hash }))["error"],
        "txnNotFound"
    );
    let answer = stage.answer("fee", json!({}));
    assert_eq!(answer["result"]["forwarded"], true);
    assert_eq!(answer["result"]["warnings"][0]["id"], 2001);
}

#[test]
fn f21_f22_servers_refuse_warn_and_cost_more() {
    let mut stage = Stage::new();
    stage.fault(wire(json!({ "refuse": "tooBusy" })));
    assert_eq!(
        stage.answer("submit", stage.blob(FIRST))["error"],
        "tooBusy"
    );
    stage.fault(wire(json!("warn")));
    assert_eq!(stage.answer("submit", stage.blob(FIRST))["warning"], "load");
    stage.fault(json!({ "fee_spike": { "times": 1000 } }));
    let fee = stage.answer("fee", json!({}));
    assert_eq!(fee["result"]["drops"]["open_ledger_fee"], "10000");
    let answer = stage.answer("submit", stage.blob(FIRST + 1));
    assert_eq!(answer["result"]["engine_result"], "terQUEUED");
    stage.fault(json!("queue_full"));
    let answer = stage.answer("submit", stage.blob(FIRST + 2));
    assert_eq!(answer["result"]["engine_result"], "telCAN_NOT_QUEUE_FULL");
    stage.network.heal(1, stage.now);
    stage.fault(json!({ "load_factor": { "times": 50 } }));
    let answer = stage.answer("submit", stage.blob(FIRST + 3));
    assert_eq!(answer["result"]["engine_result"], "telINSUF_FEE_P");
    let state = stage.answer("server_state", json!({}));
    assert_eq!(state["result"]["state"]["load_factor_server"], 12_800);
}

#[test]
fn f24_to_f28_how_the_servers_agree() {
    let mut stage = Stage::new();
    stage.submit(FIRST);
    let empty = Agreement {
        is_empty: true,
        ..Agreement::default()
    };
    stage.close_as(empty);
    assert_eq!(stage.paid(1), 0);
    let slow = Agreement {
        is_slow: true,
        ..Agreement::default()
    };
    stage.close_as(slow);
    assert_eq!(stage.paid(1), 1);
    stage.fault(json!("relay_loss"));
    stage.submit(FIRST + 1);
    stage.close();
    assert_eq!(stage.paid(2), 1);
    stage.network.heal(1, stage.now);
    // Two versions of one slot: the first was applied, and the others take the second.
    let other = stage
        .alice
        .sign(json!({ "TransactionType": "AccountSet", "Sequence": FIRST + 1, "Fee": "12" }));
    stage.answer("submit", json!({ "tx_blob": other }));
    let prefers = Agreement {
        prefers_other_versions: true,
        ..Agreement::default()
    };
    stage.close_as(prefers);
    assert_eq!((stage.paid(1), stage.paid(2)), (1, 1));
    assert_eq!(stage.sequence(), FIRST + 2);
    let counted = [24, 25, 26, 27].map(|number| stage.met(number));
    assert_eq!(counted, [1, 1, 1, 1]);
    let mut fees = Options::default().fees;
    fees.reserve_base_drops = 5 * XRP;
    stage.network.change_fees(fees);
    let state = stage.answer("server_state", json!({}));
    assert_eq!(
        state["result"]["state"]["validated_ledger"]["reserve_base"],
        5 * XRP
    );
}

#[test]
fn f36_to_f41_histories_have_holes_and_pages_shrink() {
    let mut stage = Stage::new();
    let mut hashes = Vec::new();
    for sequence in FIRST..FIRST + 12 {
        hashes.push(text(&stage.submit(sequence)[0])["result"]["tx_json"]["hash"].clone());
        stage.close();
    }
    let page = |marker: Value| {
        let mut page = json!({ "account": Wallet::new("alice").address(), "ledger_index_min": FIRST + 1, "ledger_index_max": -1, "forward": true, "limit": 10, "api_version": 2 });
        if !marker.is_null() {
            page["marker"] = marker;
        }
        page
    };
    stage.fault(json!({ "lie": "shrinking_pages" }));
    let first = stage.answer("account_tx", page(Value::Null))["result"].clone();
    let second = stage.answer("account_tx", page(first["marker"].clone()))["result"].clone();
    assert_eq!(
        (&first["ledger_index_min"], &second["ledger_index_min"]),
        (&json!(FIRST + 1), &json!(FIRST + 2))
    );
    stage.network.heal(1, stage.now);
    stage.fault(json!({ "lie": { "clamped_pages": 2 } }));
    let clamped = stage.answer("account_tx", page(Value::Null))["result"].clone();
    assert_eq!(
        (&clamped["ledger_index_min"], &clamped["ledger_index_max"]),
        (&json!(FIRST + 3), &json!(FIRST + 10))
    );
    stage.network.heal(1, stage.now);
    let last =
        json!({ "transaction": hashes[11], "min_ledger": FIRST + 1, "max_ledger": FIRST + 12 });
    stage.fault(json!({ "lie": "never_validated" }));
    assert_eq!(
        stage.answer("tx", last.clone())["result"]["validated"],
        false
    );
    stage.network.heal(1, stage.now);
    stage.fault(json!({ "save_delay": { "ledgers": 2 } }));
    assert_eq!(
        stage.answer("tx", last.clone())["result"]["validated"],
        false
    );
    stage.network.heal(1, stage.now);
    assert_eq!(stage.answer("tx", last)["result"]["validated"], true);
    let absent = json!({ "transaction": "AB".repeat(32), "min_ledger": FIRST + 1, "max_ledger": FIRST + 12 });
    assert_eq!(stage.answer("tx", absent.clone())["searched_all"], true);
    stage.fault(json!({ "lie": "never_searched_all" }));
    assert_eq!(stage.answer("tx", absent.clone())["searched_all"], false);
    stage.network.heal(1, stage.now);
    stage.fault(json!({ "missing_history": { "from_back": 3, "ledgers": 2 } }));
    assert_eq!(stage.answer("tx", absent)["searched_all"], false);
    let info = stage.answer("server_info", json!({}));
    let held = format!("{}-{},{}-{}", FIRST, FIRST + 7, FIRST + 10, FIRST + 12);
    assert_eq!(info["result"]["info"]["complete_ledgers"], held);
}

#[test]
fn f42_to_f47_streams_repeat_swap_lose_and_mix() {
    let push = |how: &str, times: u32| json!({ "push": { "how": how, "times": times } });
    let mut stage = Stage::new();
    stage.subscribe();
    stage.fault(push("repeat", 1));
    assert_eq!(kinds(&stage.close()), ["ledgerClosed", "ledgerClosed"]);
    stage.submit(FIRST);
    stage.fault(push("swap", 1));
    assert_eq!(kinds(&stage.close())[..2], ["validated", "ledgerClosed"]);
    stage.submit(FIRST + 1);
    stage.fault(push("lose", 1));
    assert!(!kinds(&stage.close()).contains(&"ledgerClosed".to_owned()));
    stage.fault(push("lose_ledgers", 2));
    for sequence in [FIRST + 2, FIRST + 3] {
        stage.submit(sequence);
        assert_eq!(stage.close(), []);
    }
    stage.submit(FIRST + 4);
    stage.fault(push("only_ledgers", 2));
    assert_eq!(kinds(&stage.close()), ["ledgerClosed"]);
    stage.fault(push("proposed_late", 1));
    let outs = stage.submit(FIRST + 5);
    assert_eq!(kinds(&outs), ["response"]);
    assert_eq!(
        kinds(&stage.close())[..3],
        ["ledgerClosed", "validated", "proposed"]
    );
    for number in 42..=47 {
        assert!(stage.met(number) > 0, "F{number}");
    }
}
