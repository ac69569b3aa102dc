//! Digests against known answers, and what a request without meaning is called.

use super::*;

const WALLET: &str = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh";

fn wire_fence() -> Option<wire::Fence> {
    let journal_head = Some(wire::JournalHead {
        height: 0,
        hash: Vec::new(),
    });
    Some(wire::Fence {
        store_id: vec![7; 16],
        epoch: 1,
        journal_head,
    })
}

fn wire_key() -> wire::PaymentKey {
    wire::PaymentKey {
        client_id: "local".into(),
        payment_id: "p-1".into(),
    }
}

fn wire_payment() -> wire::SignPaymentRequest {
    wire::SignPaymentRequest {
        fence: wire_fence(),
        key: Some(wire_key()),
        account: WALLET.into(),
        slot: Some(wire::Slot {
            kind: Some(wire::slot::Kind::Sequence(7)),
        }),
        destination: "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe".into(),
        destination_tag: Some(0),
        amount: Some(wire::sign_payment_request::Amount::XrpDrops(25_000_000)),
        // A part of no bytes is absent.
        memos: vec![wire::Memo {
            r#type: b"text/plain".to_vec(),
            data: b"hi".to_vec(),
            format: Vec::new(),
        }],
        fee_drops: 12,
        last_ledger_sequence: 1010,
        intent_digest: vec![0; 32],
        ..Default::default()
    }
}

// The digests were computed apart from this code, from the formula alone.

#[test]
fn the_digest_of_a_payment_is_the_agreed_one() {
    let request = PaymentRequest::from_wire(wire_payment()).unwrap();
    assert_eq!(
        hex::encode(request.digest(63456)),
        "034d19a75eff536f4ee098321ec18a0c64be1205ff4fb9d55911ae5185462416"
    );
}

fn wire_issued(value: &str, send_max: &str) -> wire::SignPaymentRequest {
    let amount = wire::IssuedAmount {
        currency: "524C555344000000000000000000000000000000".into(),
        issuer: "rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De".into(),
        value: value.into(),
        send_max: send_max.into(),
    };
    wire::SignPaymentRequest {
        amount: Some(wire::sign_payment_request::Amount::Issued(amount)),
        ..wire_payment()
    }
}

#[test]
fn the_digest_of_an_issued_payment_is_the_agreed_one() {
    for (value, send_max, digest) in [
        (
            "12.5",
            "",
            "316c91b522ad9ce360b2e7561c8fb8518ea094eb12bd335b7fd3d81981205e2b",
        ),
        (
            "1.25e1",
            "12.525",
            "5cf3ad4635a9138049c7105e34dac59a99a34f1ed93e02c0133d352112f87b7b",
        ),
    ] {
        let request = PaymentRequest::from_wire(wire_issued(value, send_max)).unwrap();
        assert_eq!(hex::encode(request.digest(63456)), digest);
    }
}

#[test]
fn an_issued_amount_without_meaning_is_named() {
    type Change<'a> = &'a dyn Fn(&mut wire::IssuedAmount);
    let problem = |change: Change| {
        let mut request = wire_issued("12.5", "12.525");
        let Some(wire::sign_payment_request::Amount::Issued(amount)) = &mut request.amount else {
            unreachable!("it is issued");
        };
        change(amount);
        PaymentRequest::from_wire(request).unwrap_err().to_string()
    };
    let changes: [(Change, &str); 7] = [
        (
            &|amount| amount.currency = "XRP".into(),
            "amount.issued.currency is none: currency XRP",
        ),
        (
            &|amount| amount.issuer = "rMx".into(),
            "amount.issued.issuer is no classic address",
        ),
        (
            &|amount| amount.value = "0".into(),
            "amount.issued.value is 0",
        ),
        (
            &|amount| amount.value = "-1".into(),
            "amount.issued.value is no amount: value is not a plain decimal",
        ),
        (
            &|amount| amount.value = "12.525000000000001".into(),
            "amount.issued.value is no amount: value has 17 significant digits, more than 16",
        ),
        (
            &|amount| amount.send_max = "12.4".into(),
            "amount.issued.send_max is too little: SendMax 12.4 is below the amount 12.5",
        ),
        (
            &|amount| amount.send_max = "0".into(),
            "amount.issued.send_max is too little: SendMax 0",
        ),
    ];
    for (change, expected) in changes {
        let problem = problem(change);
        assert!(problem.starts_with(expected), "{problem}");
    }
}

#[test]
fn the_digest_of_a_ticket_create_is_the_agreed_one() {
    let request = TicketCreateRequest::from_wire(wire::SignTicketCreateRequest {
        fence: wire_fence(),
        account: WALLET.into(),
        slot: Some(wire::Slot {
            kind: Some(wire::slot::Kind::Sequence(7)),
        }),
        ticket_count: 250,
        source_tag: Some(99),
        fee_drops: 12,
        last_ledger_sequence: 1010,
    })
    .unwrap();
    assert_eq!(
        hex::encode(request.digest()),
        "2a7e9b36e22aa3cbb4003a90dacb4604702f4f819e29608a78b23f1bb9039a00"
    );
}

#[test]
fn the_digest_of_a_no_op_is_the_agreed_one() {
    let request = NoOpRequest::from_wire(wire::SignNoOpRequest {
        fence: wire_fence(),
        account: WALLET.into(),
        slot: Some(wire::Slot {
            kind: Some(wire::slot::Kind::Sequence(7)),
        }),
        for_payment: Some(wire_key()),
        source_tag: Some(99),
        fee_drops: 12,
        last_ledger_sequence: 1010,
    })
    .unwrap();
    assert_eq!(
        hex::encode(request.digest()),
        "3d5648ffe374d9d8fc12a4cafb8a7b3f03fe831fe77119e4ba28f54168d0451d"
    );
}

#[test]
fn everything_but_fee_and_last_ledger_sequence_changes_the_digest() {
    let digest = |change: &dyn Fn(&mut wire::SignPaymentRequest)| {
        let mut request = wire_payment();
        change(&mut request);
        PaymentRequest::from_wire(request).unwrap().digest(63456)
    };
    let original = digest(&|_| ());
    assert_eq!(
        original,
        digest(&|request| (request.fee_drops, request.last_ledger_sequence) = (99, 99))
    );
    let changes: [&dyn Fn(&mut wire::SignPaymentRequest); 8] = [
        &|request| request.destination_tag = None,
        &|request| request.destination_tag = Some(1),
        &|request| request.source_tag = Some(0),
        &|request| request.destination = WALLET.into(),
        &|request| request.amount = Some(wire::sign_payment_request::Amount::XrpDrops(25_000_001)),
        &|request| request.memos.clear(),
        &|request| {
            request.slot = Some(wire::Slot {
                kind: Some(wire::slot::Kind::Ticket(7)),
            })
        },
        &|request| {
            request.key = Some(wire::PaymentKey {
                client_id: "loca".into(),
                payment_id: "lp-1".into(),
            })
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        assert_ne!(original, digest(change), "change {index}");
    }
}

#[test]
fn a_request_without_meaning_is_named() {
    let problem = |change: &dyn Fn(&mut wire::SignPaymentRequest)| {
        let mut request = wire_payment();
        change(&mut request);
        PaymentRequest::from_wire(request).unwrap_err().field
    };
    assert_eq!(problem(&|request| request.fence = None), "fence");
    assert_eq!(problem(&|request| request.slot = None), "slot");
    assert_eq!(problem(&|request| request.amount = None), "amount");
    assert_eq!(
        problem(&|request| request.amount = Some(wire::sign_payment_request::Amount::XrpDrops(0))),
        "amount.xrp_drops"
    );
    assert_eq!(
        problem(&|request| request.amount =
            Some(wire::sign_payment_request::Amount::XrpDrops(u64::MAX))),
        "amount.xrp_drops"
    );
    assert_eq!(
        problem(&|request| request.destination = "rHb9".into()),
        "destination"
    );
    assert_eq!(
        problem(&|request| request.intent_digest = vec![0; 31]),
        "intent_digest"
    );
    assert_eq!(
        problem(&|request| request.key.as_mut().unwrap().payment_id = "a b".into()),
        "key.payment_id"
    );
    assert_eq!(
        problem(&|request| request.fence.as_mut().unwrap().epoch = 0),
        "fence.epoch"
    );
}
