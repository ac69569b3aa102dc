//! Stories in which the ledger answers by its own rules: a lower slot is missing, and a payee changes his mind while a payment to
//! him is on its way.

use paygate_proto::v1::{PaymentReason, PaymentState};
use paygate_tests::world::client::payment;
use paygate_tests::world::wallet::{SeedType, Wallet};
use paygate_tests::world::{NETWORK_ID, Setup};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Map, Value, json};
use xrpl::core::binarycodec::{encode, encode_for_signing};

use super::rows::{Calls, Ends, ROWS};
use super::stage::{DROPS, Stage, shown};
use super::{Answer, assert_is_only_an_answer, assert_is_paid};

/// SetFlag values.
const REQUIRE_DEST: u32 = 1;
const DEPOSIT_AUTH: u32 = 9;

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_waits_for_the_slot_before_it() {
    let stage = Stage::set().await;
    // The first is lost on its way, so the second finds a gap.
    let lost = json!({ "sim_close": { "code": 1001, "reason": "going away" } });
    stage.answer("head", Some(&lost)).await;
    stage.pay("head", None).await;
    stage.until_answered("head", "unread").await;
    stage.pay("follower", None).await;
    let follower = stage.until_answered("follower", "terPRE_SEQ").await;
    let natural = Answer {
        word: "terPRE_SEQ",
        calls: Calls::LowerSlot,
        answer: Value::Null,
    };
    assert_is_only_an_answer(&follower, &natural);
    stage.answer("head", None).await;
    stage.close().await;
    stage.until_answered("head", "tesSUCCESS").await;
    stage.close().await;
    for id in ["head", "follower"] {
        let paid = stage.until_state(id, PaymentState::Paid).await;
        assert_is_paid(&stage, id, &paid).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payee_who_closes_his_door_meanwhile_gets_nothing_and_the_reason_says_so() {
    let (needs_tag, takes_none) = (
        Wallet::random(SeedType::Ed25519),
        Wallet::random(SeedType::Ed25519),
    );
    let funded = [&needs_tag, &takes_none].map(|wallet| (wallet.address(), 10));
    let stage = Stage::set_with(Setup {
        funded: funded.to_vec(),
        ..Setup::default()
    })
    .await;
    for (payee, flag, code) in [
        (needs_tag, REQUIRE_DEST, "tecDST_TAG_NEEDED"),
        (takes_none, DEPOSIT_AUTH, "tecNO_PERMISSION"),
    ] {
        // The payment is bound and on its way, and nobody has it yet.
        let lost = json!({ "error": "tooBusy" });
        stage
            .order(
                "answer_submit",
                json!({ "destination": payee.address(), "answer": lost }),
            )
            .await;
        stage
            .client
            .create(payment(code, &payee.address(), DROPS))
            .await
            .unwrap();
        stage.until_answered(code, "tooBusy").await;
        set_flag(&stage, &payee, flag).await;
        stage
            .order(
                "answer_submit",
                json!({ "destination": payee.address(), "answer": null }),
            )
            .await;
        stage.close().await;
        let row = ROWS.iter().find(|row| row.code == code).unwrap();
        let answered = stage.until_answered(code, code).await;
        let payment = shown(&answered);
        assert_eq!(
            (payment.state(), payment.reason()),
            (PaymentState::AtLarge, PaymentReason::DestinationNotReady)
        );
        assert!(
            answered.person_next.contains(row.calls.person()),
            "{}",
            answered.person_next
        );
        stage.close().await;
        let failed = stage.until_state(code, PaymentState::Failed).await;
        let Some(Ends::Failed(reason, remedy)) = row.ends else {
            panic!("{code} ends a payment")
        };
        assert_eq!(shown(&failed).reason(), reason);
        assert!(
            failed.person_next.contains(remedy),
            "{}",
            failed.person_next
        );
        assert!(shown(&failed).safe_to_repay);
    }
}

/// The payee's own AccountSet, signed by his key with another library's encoding.
async fn set_flag(stage: &Stage, payee: &Wallet, flag: u32) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&payee.private_key).unwrap();
    let (_, sequence) = stage
        .ledger
        .account(&payee.address())
        .await
        .unwrap()
        .unwrap();
    let fields = json!({
        "TransactionType": "AccountSet", "Account": payee.address(), "Fee": "10", "Flags": 0, "NetworkID": NETWORK_ID,
        "Sequence": sequence, "SetFlag": flag, "SigningPubKey": format!("ED{}", hex::encode_upper(pair.public_key())),
    });
    let mut tx: Map<String, Value> = fields.as_object().unwrap().clone();
    let message = hex::decode(encode_for_signing(&tx).unwrap()).unwrap();
    tx.insert(
        "TxnSignature".into(),
        json!(hex::encode_upper(pair.sign(&message))),
    );
    let blob = encode(&tx).unwrap();
    let answer = stage
        .ledger
        .ask("submit", json!({ "tx_blob": blob }))
        .await
        .unwrap();
    assert_eq!(answer["engine_result"], "tesSUCCESS", "{answer}");
    stage.close().await;
}
