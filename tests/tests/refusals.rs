//! Stories of requests that are refused: each is told what is wrong, and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use paygate_proto::v1::{
    CreatePaymentRequest, IssuedAmount, ListPaymentsRequest, Memo, create_payment_request,
};
use paygate_tests::world::client::{DROPS_PER_XRP, payment, signer};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World};
use prost_types::Timestamp;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use xrpl_tx::{AccountId, XNetwork, to_x_address};

/// A request, and how it is refused.
struct Refusal {
    what: &'static str,
    request: CreatePaymentRequest,
    code: Code,
    reason: &'static str,
    /// The field, or a part of it.
    names: &'static str,
}

/// A field that is missing or malformed.
fn bad(what: &'static str, request: CreatePaymentRequest, names: &'static str) -> Refusal {
    let (code, reason) = (Code::InvalidArgument, "FIELD_INVALID");
    Refusal {
        what,
        request,
        code,
        reason,
        names,
    }
}

impl Refusal {
    fn because(self, reason: &'static str) -> Refusal {
        Refusal { reason, ..self }
    }

    fn with_code(self, code: Code) -> Refusal {
        Refusal { code, ..self }
    }
}

/// Somebody else.
fn alice() -> String {
    payee("alice")
}

/// A payment that nothing is wrong with.
fn good() -> CreatePaymentRequest {
    payment("bad", &alice(), DROPS_PER_XRP)
}

/// The same to another destination.
fn to(destination: &str) -> CreatePaymentRequest {
    payment("bad", destination, DROPS_PER_XRP)
}

/// The same of another amount.
fn of(drops: u64) -> CreatePaymentRequest {
    payment("bad", &alice(), drops)
}

/// The same under another id.
fn named(payment_id: &str) -> CreatePaymentRequest {
    payment(payment_id, &alice(), DROPS_PER_XRP)
}

fn names_and_destinations(wallet: &str) -> Vec<Refusal> {
    let account = AccountId::from_address(&alice()).unwrap();
    let tagged = to_x_address(account, Some(7), XNetwork::Test);
    let main_network = to_x_address(account, None, XNetwork::Main);
    let two_tags = CreatePaymentRequest {
        destination_tag: Some(8),
        ..to(&tagged)
    };
    let mistyped = alice().replace('f', "g");
    vec![
        bad("no payment_id", named(""), "payment_id"),
        bad("a payment_id with a space", named("a b"), "payment_id"),
        bad(
            "a payment_id of 65 characters",
            named(&"x".repeat(65)),
            "payment_id",
        ),
        bad("no destination", to(""), "destination"),
        bad("a mistyped address", to(&mistyped), "destination"),
        bad(
            "an X-address of the main network",
            to(&main_network),
            "destination",
        ),
        bad("the wallet itself", to(wallet), "destination").because("DESTINATION_IS_WALLET"),
        bad("two tags", two_tags, "destination_tag"),
    ]
}

fn amounts() -> Vec<Refusal> {
    let issued = |currency: &str, value: &str| CreatePaymentRequest {
        amount: Some(create_payment_request::Amount::Issued(IssuedAmount {
            currency: currency.into(),
            issuer: alice(),
            value: value.into(),
        })),
        ..good()
    };
    vec![
        bad(
            "no amount",
            CreatePaymentRequest {
                amount: None,
                ..good()
            },
            "amount",
        ),
        bad("nothing", of(0), "xrp_drops"),
        bad("more than all XRP", of(u64::MAX), "xrp_drops"),
        bad("more than 100 XRP", of(100_000_001), "xrp_drops").because("LIMIT_PAYMENT_MAX"),
        bad("less than 0.001 XRP", of(999), "xrp_drops").because("LIMIT_PAYMENT_MIN"),
        bad("another currency", issued("USD", "1"), "issued").because("ASSET_NOT_CONFIGURED"),
        bad("XRP as a currency", issued("XRP", "1"), "issued.currency"),
        bad(
            "17 digits",
            issued("USD", "1.2345678901234567"),
            "issued.value",
        ),
        bad("less than nothing", issued("USD", "-1"), "issued.value"),
    ]
}

fn everything_else() -> Vec<Refusal> {
    let long = Memo {
        data: vec![b'x'; 1025],
        ..Memo::default()
    };
    let past = Timestamp {
        seconds: 1_000_000_000,
        nanos: 0,
    };
    let successor = CreatePaymentRequest {
        retry_of: "never-was".into(),
        ..good()
    };
    let large = CreatePaymentRequest {
        retry_of: "x".repeat(11_000),
        ..good()
    };
    let memo = |memo| CreatePaymentRequest {
        memos: vec![memo],
        ..good()
    };
    vec![
        bad("a long memo", memo(long), "memos"),
        bad("an empty memo", memo(Memo::default()), "memos[0]"),
        bad(
            "a deadline in the past",
            CreatePaymentRequest {
                pay_before: Some(past),
                ..good()
            },
            "pay_before",
        ),
        bad("a successor of nothing", successor, "retry_of")
            .because("RETRY_OF_INVALID")
            .with_code(Code::FailedPrecondition),
        bad("more bytes than allowed", large, "")
            .because("REQUEST_TOO_LARGE")
            .with_code(Code::OutOfRange),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_is_told_what_is_wrong_and_leaves_nothing_behind() {
    let world = World::start(Setup::default()).await.unwrap();
    let client = world.client();
    let wallet = world.wallet().address();
    let groups = [
        names_and_destinations(&wallet),
        amounts(),
        everything_else(),
    ];
    for refusal in groups.into_iter().flatten() {
        let what = refusal.what;
        let status = client.create(refusal.request).await.expect_err(what);
        assert_eq!(status.code(), refusal.code, "{what}: {status:?}");
        let info = status
            .get_details_error_info()
            .unwrap_or_else(|| panic!("{what}: {status:?}"));
        assert_eq!(info.domain, "paygate.v1", "{what}");
        assert_eq!(info.reason, refusal.reason, "{what}");
        let words = words(&status);
        assert!(
            words.contains(refusal.names),
            "{what}: {} is not in {words}",
            refusal.names
        );
    }
    let mut unknown_state = ListPaymentsRequest::default();
    unknown_state.states.push(99);
    let refused = client
        .payments()
        .list_payments(unknown_state)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    assert!(words(&refused).contains("states[0]"), "{}", words(&refused));

    assert_eq!(
        client.get("never-was").await.unwrap_err().code(),
        Code::NotFound
    );
    assert_eq!(
        client.list().await.unwrap(),
        Vec::new(),
        "nothing is stored"
    );
    let described = signer(&world.signer_socket())
        .describe_signer(tonic::Request::new(Default::default()))
        .await
        .unwrap();
    assert_eq!(
        described
            .into_inner()
            .journal_head
            .unwrap_or_default()
            .height,
        0,
        "nothing is signed"
    );
}

/// Message and violated fields.
fn words(status: &Status) -> String {
    let fields = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations)
        .unwrap_or_default();
    let fields: Vec<_> = fields
        .into_iter()
        .map(|violation| violation.field)
        .collect();
    format!("{} {}", fields.join(" "), status.message())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_checked_is_not_stored() {
    let world = World::start(Setup::default()).await.unwrap();
    let request = CreatePaymentRequest {
        validate_only: true,
        ..payment("dry", &payee("alice"), DROPS_PER_XRP)
    };
    world.client().create(request).await.unwrap();
    assert_eq!(
        world.client().get("dry").await.unwrap_err().code(),
        Code::NotFound
    );
}
