//! Pauses, approvals and the audit log, as several identities see them.

use paygate_proto::v1::approval_service_server::ApprovalService as _;
use paygate_proto::v1::operations_service_server::OperationsService as _;
use paygate_proto::v1::pause_scope::Of;
use paygate_proto::v1::payment_service_server::PaymentService as _;
use paygate_proto::v1::{
    ApprovePaymentRequest, AuditEntry, CancelPaymentRequest, ListAuditEntriesRequest,
    ListPendingApprovalsRequest, PauseRequest, PauseScope, RejectPaymentRequest, ResumeRequest,
    UnfreezeRequest, WatchPaymentsRequest,
};
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;

use super::super::approvals::ApprovalApi;
use super::super::identity::Caller;
use super::super::operations::OperationsApi;
use super::super::payments::PaymentApi;
use super::*;
use crate::clock::Millis;
use crate::store::Freeze;

/// Above it another identity decides.
const THRESHOLD: u64 = 5_000_000;

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

/// A call by this client, let in with all scopes.
fn by<T>(client: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Caller {
        client_id: id(client),
        credential: format!("token:{client}1"),
        ..Caller::local()
    });
    request
}

async fn four_eyes() -> Gateway {
    let gateway =
        Gateway::with(|limits| limits.approval_threshold = Some(Drops::from_const(THRESHOLD)))
            .await;
    // As at every start: what the rows say was compared with ledger and signer.
    let epoch = gateway.api.store.begin_epoch().await.unwrap();
    let passed = gateway.api.store.pass_continuity(epoch, clock::now()).await;
    passed.unwrap();
    gateway
}

impl Gateway {
    /// `shop` asks for a payment.
    async fn asks(&self, payment_id: &str, drops: u64) -> Result<Payment, Status> {
        let request = CreatePaymentRequest {
            amount: Some(Amount::XrpDrops(drops)),
            ..pay(payment_id)
        };
        let payments = PaymentApi::new(self.api.clone());
        let answer = payments.create_payment(by("shop", request)).await?;
        Ok(answer.into_inner().payment.unwrap())
    }

    async fn approves(&self, who: &str, payment_id: &str, drops: u64) -> Result<Payment, Status> {
        let request = ApprovePaymentRequest {
            client_id: "shop".into(),
            payment_id: payment_id.into(),
            expected_destination: AccountId::from_bytes([1; 20]).to_address(),
            expected_xrp_drops: drops,
            comment: "called the payee".into(),
            expected_issued: None,
        };
        let approvals = ApprovalApi(self.api.clone());
        let answer = approvals.approve_payment(by(who, request)).await?;
        Ok(answer.into_inner().payment.unwrap())
    }

    async fn rejects(&self, who: &str, payment_id: &str) -> Result<Payment, Status> {
        let request = RejectPaymentRequest {
            client_id: "shop".into(),
            payment_id: payment_id.into(),
            comment: "nobody knows of it".into(),
        };
        let approvals = ApprovalApi(self.api.clone());
        let answer = approvals.reject_payment(by(who, request)).await?;
        Ok(answer.into_inner().payment.unwrap())
    }

    async fn cancels(&self, payment_id: &str) -> Payment {
        let request = CancelPaymentRequest {
            payment_id: payment_id.into(),
            comment: String::new(),
        };
        let payments = PaymentApi::new(self.api.clone());
        let answer = payments.cancel_payment(by("shop", request)).await.unwrap();
        answer.into_inner().payment.unwrap()
    }

    async fn of_shop(&self, payment_id: &str) -> Payment {
        let request = GetPaymentRequest {
            payment_id: payment_id.into(),
            client_id: "shop".into(),
        };
        let payments = PaymentApi::new(self.api.clone());
        let answer = payments.get_payment(by("ops", request)).await.unwrap();
        answer.into_inner().payment.unwrap()
    }

    async fn pauses(&self, scope: Option<Of>, reason: &str) -> Result<PauseScope, Status> {
        let request = PauseRequest {
            reason: reason.into(),
            scope: scope.map(|of| PauseScope { of: Some(of) }),
        };
        let operations = OperationsApi(self.api.clone());
        let answer = operations.pause(by("ops", request)).await?.into_inner();
        Ok(answer.pause.unwrap().scope.unwrap_or_default())
    }

    async fn resumes(&self, scope: Option<Of>) {
        let request = ResumeRequest {
            reason: "all is well".into(),
            scope: scope.map(|of| PauseScope { of: Some(of) }),
        };
        let operations = OperationsApi(self.api.clone());
        let answer = operations.resume(by("ops", request)).await.unwrap();
        assert!(!answer.into_inner().pause.unwrap().active);
    }

    /// The whole log, oldest first.
    async fn log(&self) -> Vec<AuditEntry> {
        let operations = OperationsApi(self.api.clone());
        let answer = operations
            .list_audit_entries(by("ops", ListAuditEntriesRequest::default()))
            .await;
        let mut entries = answer.unwrap().into_inner().entries;
        entries.reverse();
        entries
    }

    /// Who did what to what, with which code.
    async fn deeds(&self) -> Vec<(String, String, String, i32)> {
        let short = |method: &str| method.rsplit('/').next().unwrap().to_owned();
        self.log()
            .await
            .into_iter()
            .map(|e| (e.client_id, short(&e.method), e.subject, e.code))
            .collect()
    }
}

fn deed(who: &str, did: &str, to: &str, code: Code) -> (String, String, String, i32) {
    (who.into(), did.into(), to.into(), code.into())
}

#[tokio::test]
async fn a_large_payment_waits_until_another_identity_that_saw_it_lets_it_go_on() {
    let gateway = four_eyes().await;
    let small = gateway.asks("small", THRESHOLD).await.unwrap();
    assert_eq!(small.state(), PaymentState::Accepted);
    let large = gateway.asks("large", THRESHOLD + 1).await.unwrap();
    assert_eq!(large.state(), PaymentState::AwaitingApproval);
    assert!(large.approve_before.is_some() && !large.safe_to_repay);
    let waiting = ApprovalApi(gateway.api.clone())
        .list_pending_approvals(by("boss", ListPendingApprovalsRequest::default()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(waiting.payments, [large]);

    let own = gateway.approves("shop", "large", THRESHOLD + 1).await;
    assert_eq!(reason(&own.unwrap_err()), "APPROVER_IS_CREATOR");
    let own = gateway.rejects("shop", "large").await;
    assert_eq!(reason(&own.unwrap_err()), "APPROVER_IS_CREATOR");
    let mistaken = gateway
        .approves("boss", "large", THRESHOLD + 2)
        .await
        .unwrap_err();
    assert_eq!(
        (mistaken.code(), reason(&mistaken).as_str()),
        (Code::FailedPrecondition, "STATE_FORBIDS")
    );
    assert!(mistaken.message().contains("expected_amount"), "{mistaken}");

    let approved = gateway
        .approves("boss", "large", THRESHOLD + 1)
        .await
        .unwrap();
    assert_eq!(approved.state(), PaymentState::Accepted);
    assert_eq!(approved.approve_before, None);
    // The same again is the same; somebody else comes too late.
    let again = gateway
        .approves("boss", "large", THRESHOLD + 1)
        .await
        .unwrap();
    assert_eq!(again, approved);
    let late = gateway.rejects("chief", "large").await.unwrap_err();
    assert!(late.message().contains("as boss decided"), "{late}");
    let none = gateway.approves("boss", "unknown", 9).await.unwrap_err();
    assert_eq!(reason(&none), "PAYMENT_NOT_FOUND");
    let not_asked = gateway
        .approves("boss", "small", THRESHOLD)
        .await
        .unwrap_err();
    assert!(not_asked.message().contains("ACCEPTED"), "{not_asked}");

    let payment = "payment shop/large";
    assert_eq!(
        gateway.deeds().await,
        [
            deed("shop", "ApprovePayment", payment, Code::PermissionDenied),
            deed("shop", "RejectPayment", payment, Code::PermissionDenied),
            deed("boss", "ApprovePayment", payment, Code::FailedPrecondition),
            deed("boss", "ApprovePayment", payment, Code::Ok),
            deed("chief", "RejectPayment", payment, Code::FailedPrecondition),
            deed(
                "boss",
                "ApprovePayment",
                "payment shop/small",
                Code::FailedPrecondition
            ),
        ]
    );
    let told = gateway.log().await;
    assert_eq!(told[3].credential, "token:boss1");
    assert_eq!(told[3].reason, "called the payee");
    let request = ExplainPaymentRequest {
        payment_id: "large".into(),
        client_id: "shop".into(),
    };
    let payments = PaymentApi::new(gateway.api.clone());
    let explained = payments.explain_payment(by("shop", request)).await.unwrap();
    let events = explained.into_inner().events;
    assert_eq!(events[0].stage(), TimelineStage::ApprovalRequested);
    assert_eq!(events[0].state(), PaymentState::AwaitingApproval);
    assert!(
        events[1]
            .summary
            .contains("boss approved it and said: called")
    );
    assert_eq!(events.last().unwrap().state(), PaymentState::Accepted);
}

#[tokio::test]
async fn a_rejected_payment_is_final_and_gives_its_limits_back() {
    let gateway = four_eyes().await;
    gateway.asks("p", 90_000_000).await.unwrap();
    let used = |gateway: &Gateway| {
        let store = gateway.api.store.clone();
        async move { store.summary(clock::now()).await.unwrap() }
    };
    let reserved = used(&gateway).await;
    assert_eq!((reserved.pending, reserved.day_used.get()), (1, 90_000_000));
    let rejected = gateway.rejects("boss", "p").await.unwrap();
    assert_eq!(
        (rejected.state(), rejected.reason()),
        (PaymentState::Rejected, PaymentReason::ApprovalRefused)
    );
    assert!(rejected.safe_to_repay);
    let free = used(&gateway).await;
    assert_eq!((free.pending, free.day_used.get()), (0, 0));
    assert_eq!(gateway.rejects("boss", "p").await.unwrap(), rejected);
    let late = gateway
        .approves("chief", "p", 90_000_000)
        .await
        .unwrap_err();
    assert!(late.message().contains("REJECTED"), "{late}");
}

#[tokio::test]
async fn nobody_approves_in_time_and_it_expires_unpaid() {
    let gateway = four_eyes().await;
    let store = &gateway.api.store;
    let epoch = store.cursor().await.unwrap().epoch;
    gateway.asks("p", 90_000_000).await.unwrap();
    gateway.asks("q", 90_000_000).await.unwrap();
    let window = store.limits().approval_window;
    let before_end = clock::now().plus(window - Duration::from_secs(30));
    assert_eq!(store.expire_approvals(epoch, before_end).await.unwrap(), []);
    let after_end = clock::now().plus(window);
    let expired = store.expire_approvals(epoch, after_end).await.unwrap();
    assert_eq!(expired.len(), 2);
    let seen = gateway.of_shop("p").await;
    assert_eq!(
        (seen.state(), seen.reason()),
        (PaymentState::Expired, PaymentReason::ApprovalWindowOver)
    );
    assert!(seen.safe_to_repay);
    let late = gateway.approves("boss", "p", 90_000_000).await.unwrap_err();
    assert!(late.message().contains("EXPIRED"), "{late}");
    assert_eq!(store.summary(clock::now()).await.unwrap().pending, 0);
    // A clock reaches no payment that somebody let through.
    gateway.asks("r", 90_000_000).await.unwrap();
    gateway.approves("boss", "r", 90_000_000).await.unwrap();
    assert_eq!(store.expire_approvals(epoch, after_end).await.unwrap(), []);
    assert_eq!(gateway.of_shop("r").await.state(), PaymentState::Accepted);
}

#[tokio::test]
async fn an_approver_who_comes_after_the_window_approves_nothing() {
    let gateway = Gateway::with(|limits| {
        limits.approval_threshold = Some(Drops::from_const(THRESHOLD));
        limits.approval_window = Duration::ZERO;
    })
    .await;
    let epoch = gateway.api.store.begin_epoch().await.unwrap();
    gateway.asks("p", 90_000_000).await.unwrap();
    // Before rows, ledger and signer were compared nothing ends unpaid; but nothing is let through either.
    let late = gateway.approves("boss", "p", 90_000_000).await.unwrap_err();
    assert!(late.message().contains("not approved in time"), "{late}");
    let state = gateway.of_shop("p").await.state();
    assert_eq!(state, PaymentState::AwaitingApproval);
    let passed = gateway.api.store.pass_continuity(epoch, clock::now()).await;
    passed.unwrap();
    gateway.approves("boss", "p", 90_000_000).await.unwrap_err();
    assert_eq!(gateway.of_shop("p").await.state(), PaymentState::Expired);
}

#[tokio::test]
async fn a_cancel_in_between_stands_and_so_does_the_first_of_many_decisions() {
    let gateway = four_eyes().await;
    gateway.asks("gone", 90_000_000).await.unwrap();
    let gone = gateway.cancels("gone").await;
    assert_eq!(gone.state(), PaymentState::Cancelled);
    let late = gateway
        .approves("boss", "gone", 90_000_000)
        .await
        .unwrap_err();
    assert!(late.message().contains("CANCELLED"), "{late}");

    gateway.asks("p", 90_000_000).await.unwrap();
    let gateway = Arc::new(gateway);
    let mut calls = JoinSet::new();
    for n in 0..16 {
        let gateway = Arc::clone(&gateway);
        calls.spawn(async move {
            let who = format!("boss-{n}");
            match n % 2 {
                0 => gateway.approves(&who, "p", 90_000_000).await,
                _ => gateway.rejects(&who, "p").await,
            }
        });
    }
    let decided: Vec<_> = calls.join_all().await;
    let mut stood = decided.iter().flatten();
    let first = stood.next().expect("somebody was first");
    assert_eq!(stood.next(), None, "a decision stands once");
    assert_eq!(gateway.of_shop("p").await.state(), first.state());
    let carried = gateway.log().await;
    let ok = carried.iter().filter(|entry| entry.code == 0).count();
    assert_eq!((carried.len(), ok), (17, 1));
}

#[tokio::test]
async fn approvers_are_told_by_the_stream_of_changes() {
    let gateway = four_eyes().await;
    let payments = PaymentApi::new(gateway.api.clone());
    let request = WatchPaymentsRequest {
        cursor: "beginning".into(),
        client_id: String::new(),
        states: vec![PaymentState::AwaitingApproval.into()],
    };
    let watch = payments.watch_payments(by("boss", request)).await.unwrap();
    let mut changes = watch.into_inner();
    gateway.asks("small", 1_000_000).await.unwrap();
    gateway.asks("large", 90_000_000).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            // A heartbeat may come first.
            let told = changes.next().await.unwrap().unwrap();
            if told.change.is_some() {
                return told;
            }
        }
    });
    let told = told.await.unwrap();
    let change = told.change.unwrap();
    assert_eq!(change.stage(), TimelineStage::ApprovalRequested);
    assert_eq!(told.payment.unwrap().payment_id, "large");
}

#[tokio::test]
async fn what_is_paused_waits_with_that_reason_and_what_is_not_goes_on() {
    let gateway = four_eyes().await;
    gateway.at_ledger(100);
    gateway.api.view.update(|view| view.signer.serving = true);
    gateway.asks("p", 1_000_000).await.unwrap();
    let store = gateway.api.store.clone();
    let bindable = || async { store.waiting(9).await.unwrap().len() };
    assert_eq!(bindable().await, 1);

    let destination = AccountId::from_bytes([1; 20]).to_address();
    let scopes = [
        None,
        Some(Of::ClientId("shop".into())),
        Some(Of::Destination(destination)),
    ];
    for scope in scopes {
        gateway.pauses(scope.clone(), "ticket 17").await.unwrap();
        // The second time changes nothing.
        gateway.pauses(scope.clone(), "another word").await.unwrap();
        assert_eq!(bindable().await, 0, "{scope:?}");
        let waiting = gateway.of_shop("p").await;
        assert_eq!(
            (waiting.state(), waiting.reason()),
            (PaymentState::Accepted, PaymentReason::Paused)
        );
        assert!(
            waiting.reason_detail.contains("by ops: ticket 17"),
            "{}",
            waiting.reason_detail
        );
        // Accepting goes on.
        let name = format!("p-{}", gateway.log().await.len());
        gateway.asks(&name, 1_000_000).await.unwrap();
        gateway.cancels(&name).await;
        gateway.resumes(scope.clone()).await;
        gateway.resumes(scope).await;
        assert_eq!(bindable().await, 1);
        assert_ne!(gateway.of_shop("p").await.reason(), PaymentReason::Paused);
    }
    let others = [
        Some(Of::ClientId("other".into())),
        Some(Of::Destination(AccountId::from_bytes([2; 20]).to_address())),
    ];
    for scope in others {
        gateway.pauses(scope, "not ours").await.unwrap();
    }
    assert_eq!(bindable().await, 1);
    let operations = OperationsApi(gateway.api.clone());
    let status = operations.get_status(by("ops", GetStatusRequest {})).await;
    let status = status.unwrap().into_inner();
    assert!(!status.pause.unwrap().active);
    assert_eq!(status.scoped_pauses.len(), 2);
    assert_eq!(status.scoped_pauses[0].paused_by, "ops");

    let deeds = gateway.deeds().await;
    let wallet = [
        deed("ops", "Pause", "wallet", Code::Ok),
        deed("ops", "Resume", "wallet", Code::Ok),
    ];
    assert_eq!((deeds.len(), &deeds[..2]), (8, &wallet[..]));
    assert_eq!(deeds[2], deed("ops", "Pause", "client shop", Code::Ok));
}

#[tokio::test]
async fn a_pause_without_a_reason_or_with_an_empty_scope_is_refused_and_never_widened() {
    let gateway = four_eyes().await;
    let refused = gateway.pauses(None, "").await.unwrap_err();
    assert_eq!(fields(&refused), ["reason"]);
    let wrong = Some(Of::Destination("nobody".into()));
    let refused = gateway.pauses(wrong, "why").await.unwrap_err();
    assert_eq!(fields(&refused), ["scope.destination"]);
    let request = PauseRequest {
        reason: "why".into(),
        scope: Some(PauseScope { of: None }),
    };
    let operations = OperationsApi(gateway.api.clone());
    let refused = operations.pause(by("ops", request)).await.unwrap_err();
    assert_eq!(fields(&refused), ["scope"]);
    assert_eq!(gateway.api.store.pauses().await.unwrap(), []);
    assert_eq!(gateway.log().await, []);
}

#[tokio::test]
async fn the_log_chains_what_people_did_in_the_order_of_commits() {
    let gateway = four_eyes().await;
    let freeze = Freeze {
        why: "a story".into(),
        since: Millis(1),
    };
    gateway
        .api
        .store
        .set_frozen(freeze, clock::now())
        .await
        .unwrap();
    gateway.pauses(None, "first").await.unwrap();
    let request = UnfreezeRequest {
        reason: "looked at".into(),
        acknowledged_tx_hashes: vec![],
    };
    let operations = OperationsApi(gateway.api.clone());
    operations
        .unfreeze(by("ops", request.clone()))
        .await
        .unwrap();
    // Nothing was frozen any more: nothing was done.
    operations.unfreeze(by("ops", request)).await.unwrap();
    gateway.resumes(None).await;
    let log = gateway.log().await;
    let sequences: Vec<u64> = log.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
    let store_id = hex::encode(gateway.api.store.store_id());
    let genesis = xrpl_tx::sha256(&[b"paygate.audit.v1", &hex::decode(store_id).unwrap()]);
    assert_eq!(log[0].previous_hash, hex::encode(genesis.as_bytes()));
    for pair in log.windows(2) {
        assert_eq!(pair[1].previous_hash, pair[0].hash);
    }
    let page = |token: String| {
        let request = ListAuditEntriesRequest {
            page_size: 2,
            page_token: token,
            client_id: "ops".into(),
        };
        operations.list_audit_entries(by("ops", request))
    };
    let first = page(String::new()).await.unwrap().into_inner();
    assert_eq!((first.entries.len(), first.head.unwrap().sequence), (2, 3));
    let rest = page(first.next_page_token).await.unwrap().into_inner();
    assert_eq!(
        (rest.entries.len(), rest.next_page_token),
        (1, String::new())
    );
    assert_eq!(rest.entries[0].sequence, 1);
    assert_eq!(
        reason(&page("zz".into()).await.unwrap_err()),
        "PAGE_TOKEN_INVALID"
    );
}
