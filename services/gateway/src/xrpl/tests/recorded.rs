//! Answers recorded from real servers of two versions are read into the facts that they state.

use serde_json::Value;
use xrpl_tx::{AccountId, Drops, Slot};

use crate::xrpl::facts::*;
use crate::xrpl::link::CallError;
use crate::xrpl::wire::{self, Incoming};
use crate::xrpl::wire_tx::{Entry, Page};

const RECORDED: [&str; 2] = [
    include_str!("testdata/3.3.0-b0.json"),
    include_str!("testdata/2.3.0-b4.json"),
];

/// The answers of each version by name.
fn versions() -> impl Iterator<Item = Value> {
    RECORDED
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
}

fn drops(drops: u64) -> Drops {
    Drops::new(drops).unwrap()
}

fn account(value: &Value) -> AccountId {
    AccountId::from_address(value.as_str().unwrap()).unwrap()
}

fn server_error(answer: Result<impl Sized, CallError>) -> String {
    match answer {
        Err(CallError::Server { error, .. }) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("an answer"),
    }
}

#[test]
fn the_state_of_a_server_is_read_in_integers() {
    for recorded in versions() {
        let state: wire::ServerState =
            wire::read_answer("server_state", &recorded["server_state"].to_string()).unwrap();
        let info = state.into_facts().unwrap();
        assert!(info.may_submit(), "{info:?}");
        assert_eq!(info.base_fee, Some(drops(10)));
        assert_eq!(info.reserve_base, Some(drops(10_000_000)));
        assert_eq!((info.load_factor, info.load_base), (256, 256));
        assert_eq!(info.network_id, Some(0));
        let state: wire::ServerState = wire::read_answer(
            "server_state",
            &recorded["server_state_not_synced"].to_string(),
        )
        .unwrap();
        let info = state.into_facts().unwrap();
        assert!(!info.may_submit() && info.validated.is_none(), "{info:?}");
    }
}

#[test]
fn fees_and_ledgers_are_read() {
    for recorded in versions() {
        let fee: wire::FeeAnswer = wire::read_answer("fee", &recorded["fee"].to_string()).unwrap();
        let fees = fee.into_facts().unwrap();
        assert_eq!((fees.base, fees.median), (drops(10), drops(5_000)));
        let ledger: wire::LedgerAnswer =
            wire::read_answer("ledger", &recorded["ledger"].to_string()).unwrap();
        let header = ledger.into_facts().unwrap();
        assert!(header.validated && header.hash != header.parent_hash);
        let subscribed: wire::Subscribed =
            wire::read_answer("subscribe", &recorded["subscribe"].to_string()).unwrap();
        assert!(subscribed.into_ledger().is_some());
        let nothing: wire::Subscribed =
            wire::read_answer("subscribe", &recorded["subscribe_not_synced"].to_string()).unwrap();
        assert!(nothing.into_ledger().is_none());
        assert!(matches!(
            wire::sort(&recorded["ledger_closed"].to_string()),
            Incoming::LedgerClosed(_)
        ));
    }
}

#[test]
fn accounts_are_read() {
    for recorded in versions() {
        let answer = &recorded["account_info"];
        let asked = account(&answer["result"]["account_data"]["Account"]);
        let read = || -> wire::AccountInfo {
            wire::read_answer("account_info", &answer.to_string()).unwrap()
        };
        let facts = read().into_facts(asked).unwrap();
        assert!(
            facts.validated && facts.balance == drops(1_000_000_000),
            "{facts:?}"
        );
        let other = AccountId::from_bytes([7; 20]);
        assert!(matches!(
            read().into_facts(other),
            Err(CallError::Malformed { .. })
        ));
    }
}

#[test]
fn a_submit_is_provisional_in_every_field() {
    for recorded in versions() {
        let answer: wire::SubmitResult =
            wire::read_answer("submit", &recorded["submit"].to_string()).unwrap();
        let answer = answer.into_facts();
        assert_eq!(
            (answer.engine_result.as_str(), answer.code),
            ("tesSUCCESS", 0)
        );
        assert!(answer.applied && answer.kept && answer.broadcast && !answer.queued);
        assert!(answer.tx_hash.is_some());
    }
}

#[test]
fn refusals_keep_their_token() {
    for recorded in versions() {
        for (name, token) in [
            ("ledger_not_found", "lgrNotFound"),
            ("account_info_not_found", "actNotFound"),
            ("submit_not_a_transaction", "invalidTransaction"),
            ("tx_not_found", "txnNotFound"),
            ("account_tx_beyond", "lgrIdxMalformed"),
            ("not_synced", "notSynced"),
        ] {
            let answer = wire::read_answer::<Page>("any", &recorded[name].to_string());
            assert_eq!(server_error(answer), token, "{name}");
        }
    }
}

#[test]
fn a_payment_is_told_with_what_was_delivered_and_charged() {
    for recorded in versions() {
        let answer = &recorded["account_tx"];
        let wallet = account(&answer["result"]["account"]);
        let page: Page = wire::read_answer("account_tx", &answer.to_string()).unwrap();
        assert!(page.ledger_index_min <= page.ledger_index_max);
        let mut facts = page
            .transactions
            .into_iter()
            .map(|entry| entry.into_facts("account_tx", wallet).unwrap());
        let paid = facts.next().unwrap();
        assert_eq!(paid.account, wallet);
        assert_eq!(paid.amount, PaymentAmount::Xrp(drops(25_000_000)));
        assert_eq!(paid.delivered, PaymentAmount::Xrp(drops(25_000_000)));
        assert_eq!((paid.fee, paid.fee_charged), (drops(10), drops(10)));
        assert_eq!(
            paid.balance_change,
            Some(BalanceChange {
                before: drops(1_000_000_000),
                after: drops(974_999_990)
            })
        );
        assert!(
            paid.validated && paid.result == "tesSUCCESS" && matches!(paid.slot, Slot::Sequence(_))
        );
        assert_eq!(paid.invoice_id.unwrap().to_string(), "AB".repeat(32));
        assert_eq!(paid.destination_tag, Some(77));
        assert_eq!(paid.memos[0].data, [0xca, 0xfe]);
        let funded = facts.next().unwrap();
        assert_ne!(funded.account, wallet);
        let change = funded.balance_change.unwrap();
        assert_eq!(
            (change.before, change.after),
            (Drops::ZERO, drops(1_000_000_000))
        );
    }
}

#[test]
fn a_transaction_without_metadata_is_not_evidence() {
    for recorded in versions() {
        let read =
            |name: &str| -> Entry { wire::read_answer("tx", &recorded[name].to_string()).unwrap() };
        let unvalidated = read("tx_unvalidated");
        assert!(!unvalidated.is_validated());
        let nobody = AccountId::from_bytes([1; 20]);
        assert!(matches!(
            unvalidated.into_facts("tx", nobody),
            Err(CallError::Malformed { .. })
        ));
        let validated = read("tx");
        assert!(validated.is_validated());
        let facts = validated.into_facts("tx", nobody).unwrap();
        assert_eq!(facts.balance_change, None);
        assert_eq!(facts.fee_charged, facts.fee);
    }
}

/// Whatever a server leaves out, adds, or changes the type of: a refusal or facts, never a panic.
#[test]
fn no_damage_to_an_answer_panics() {
    let replacements = [
        Value::Null,
        Value::from(-1),
        Value::from(1.5),
        Value::from("+5"),
        Value::from("999999999999999999999"),
        Value::Object(serde_json::Map::new()),
    ];
    for recorded in versions() {
        for (name, answer) in recorded.as_object().unwrap() {
            for path in paths(answer) {
                for replacement in &replacements {
                    let mut damaged = answer.clone();
                    *damaged.pointer_mut(&path).unwrap() = replacement.clone();
                    read_as_everything(&damaged.to_string());
                }
            }
            let text = answer.to_string();
            for end in (0..text.len())
                .step_by(61)
                .filter(|end| text.is_char_boundary(*end))
            {
                assert!(
                    matches!(wire::sort(&text[..end]), Incoming::Unreadable),
                    "{name}"
                );
                read_as_everything(&text[..end]);
            }
        }
    }
}

fn read_as_everything(text: &str) {
    let nobody = AccountId::from_bytes([1; 20]);
    let _ = wire::sort(text);
    let _ =
        wire::read_answer::<wire::ServerState>("a", text).and_then(wire::ServerState::into_facts);
    let _ = wire::read_answer::<wire::FeeAnswer>("a", text).and_then(wire::FeeAnswer::into_facts);
    let _ = wire::read_answer::<wire::SubmitResult>("a", text).map(wire::SubmitResult::into_facts);
    let _ =
        wire::read_answer::<wire::LedgerAnswer>("a", text).and_then(wire::LedgerAnswer::into_facts);
    let _ = wire::read_answer::<wire::AccountInfo>("a", text).and_then(|a| a.into_facts(nobody));
    let _ = wire::read_answer::<wire::Subscribed>("a", text).map(wire::Subscribed::into_ledger);
    let _ = wire::read_answer::<Entry>("a", text).and_then(|entry| entry.into_facts("a", nobody));
    if let Ok(page) = wire::read_answer::<Page>("a", text) {
        for entry in page.transactions {
            let _ = entry.into_facts("a", nobody);
        }
    }
}

/// Every place of a JSON tree as a pointer.
fn paths(value: &Value) -> Vec<String> {
    fn walk(at: &str, value: &Value, paths: &mut Vec<String>) {
        paths.push(at.to_owned());
        match value {
            Value::Object(fields) => {
                fields
                    .iter()
                    .for_each(|(key, inner)| walk(&format!("{at}/{key}"), inner, paths));
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(n, inner)| walk(&format!("{at}/{n}"), inner, paths));
            }
            _ => {}
        }
    }
    let mut paths = Vec::new();
    walk("", value, &mut paths);
    paths
}
