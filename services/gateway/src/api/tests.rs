//! The surface as a caller sees it: a real server on loopback, a real store, the generated clients.

mod accepting;
mod batching;
mod cancelling;
mod issued;
mod people;
mod reading;
mod reasons;
mod refusals;
mod rollout;
mod watching;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paygate_payments::continuity::{Doubt, Quarantine};
use paygate_payments::intent::{Id, Wallet};
use paygate_payments::limits::Limits;
use paygate_payments::{LedgerIndex, LedgerRef};
use paygate_proto::signer::v1::DescribeSignerRequest;
use paygate_proto::signer::v1::signer_service_client::SignerServiceClient;
use paygate_proto::v1::create_payment_request::Amount;
use paygate_proto::v1::operations_service_client::OperationsServiceClient;
use paygate_proto::v1::payment_service_client::PaymentServiceClient;
use paygate_proto::v1::wallet_service_client::WalletServiceClient;
use paygate_proto::v1::{
    CreatePaymentRequest, CreatePaymentResponse, ExplainPaymentRequest, GetPaymentRequest,
    GetStatusRequest, GetWalletRequest, IssuedAmount, KeyStatus, ListPaymentsRequest, Memo,
    Payment, PaymentReason, PaymentState, TimelineStage, payment,
};
use paygate_telemetry::health::{Health, Serving};
use tokio::sync::{Notify, oneshot};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use xrpl_tx::{ACCOUNT_ONE, ACCOUNT_ZERO, AccountId, Drops, Hash256, XNetwork, to_x_address};

use super::access::Access;
use super::{Api, HEALTH_NAMES, LedgerServerSettings, Settings, serve};
use crate::clock;
use crate::metrics::{BuildInfo, Metrics};
use crate::store::{Actor, Store, StoreOptions};
use crate::view::View;

const REQUEST_BYTES_MAX: usize = 10_240;
const TEST_NETWORK: u32 = 21_338;
/// Of nobody: rippled's own example of a seed.
const SEED: &str = "snoPBrXtMeMyMHUVTgbuqAfg1SUTb";

type Calls = Arc<Mutex<Vec<(String, Code)>>>;

struct Gateway {
    api: Api,
    payments: PaymentServiceClient<Channel>,
    channel: Channel,
    calls: Calls,
    _stop: oneshot::Sender<()>,
    _dir: tempfile::TempDir,
}

impl Gateway {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let wallet = Wallet {
            network_id: TEST_NETWORK,
            account: AccountId::from_bytes([7; 20]),
            source_tag: None,
        };
        let mut limits = Limits {
            payment_min: Drops::from_const(1_000),
            payment_max: Drops::from_const(100_000_000),
            day_max: Drops::from_const(1_000_000_000),
            pending_max: 50,
            assets: vec![],
            approval_threshold: None,
            approval_window: paygate_payments::limits::APPROVAL_WINDOW_DEFAULT,
            clients: vec![],
            stage: None,
        };
        change(&mut limits);
        let options = StoreOptions {
            path: dir.path().join("paygate.db"),
            wallet: wallet.clone(),
            limits,
        };
        let (health, _) = Health::new(HEALTH_NAMES);
        let server = LedgerServerSettings {
            url: "ws://127.0.0.1:6006".into(),
            operator: "us".into(),
            own: true,
        };
        let build = BuildInfo {
            version: "test",
            revision: "unknown",
        };
        let metrics = Metrics::new(&build, []);
        let api = Api {
            settings: Arc::new(Settings {
                profile: "dev",
                role: "all",
                servers: vec![server],
                agreement: 1,
                watched: vec![],
                request_bytes_max: REQUEST_BYTES_MAX,
                reflection: true,
            }),
            access: Access::local(metrics.clone()),
            store: Store::open(options).unwrap(),
            view: View::default(),
            metrics,
            wallet,
            wake: Arc::new(Notify::new()),
            inquiry: None,
            started: clock::now(),
            health,
        };
        Self::serve(api, dir).await
    }

    async fn serve(api: Api, dir: tempfile::TempDir) -> Self {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let calls = Calls::default();
        let seen = Arc::clone(&calls);
        let observer = Arc::new(move |call: &paygate_telemetry::grpc::Call<'_>| {
            seen.lock()
                .unwrap()
                .push((call.method.to_owned(), call.code));
        });
        let served = api.clone();
        tokio::spawn(async move {
            serve(served, listener, observer, async { drop(stopped.await) })
                .await
                .unwrap();
        });
        let channel = Channel::from_shared(format!("http://{address}"))
            .unwrap()
            .connect()
            .await
            .unwrap();
        let payments = PaymentServiceClient::new(channel.clone());
        Self {
            api,
            payments,
            channel,
            calls,
            _stop: stop,
            _dir: dir,
        }
    }

    async fn create(&self, request: CreatePaymentRequest) -> Result<CreatePaymentResponse, Status> {
        self.payments
            .clone()
            .create_payment(request)
            .await
            .map(tonic::Response::into_inner)
    }

    async fn refused(&self, request: CreatePaymentRequest) -> Status {
        self.create(request).await.unwrap_err()
    }

    async fn get(&self, payment_id: &str) -> Result<Payment, Status> {
        let request = GetPaymentRequest {
            payment_id: payment_id.into(),
            client_id: String::new(),
        };
        Ok(self
            .payments
            .clone()
            .get_payment(request)
            .await?
            .into_inner()
            .payment
            .unwrap())
    }

    /// The configuration was read anew.
    async fn relimit(&self, change: impl FnOnce(&mut Limits)) {
        let mut limits = Limits::clone(&self.api.store.limits());
        change(&mut limits);
        let by = Actor::of(Id::new("operator").unwrap());
        let told = "a story".to_owned();
        let changed = self
            .api
            .store
            .set_limits(by, limits, told, String::new(), clock::now());
        changed.await.unwrap();
    }

    async fn stored(&self) -> usize {
        let list = self
            .payments
            .clone()
            .list_payments(ListPaymentsRequest::default())
            .await
            .unwrap();
        list.into_inner().payments.len()
    }

    fn at_ledger(&self, index: u32) {
        let hash = Hash256::from_bytes([9; 32]);
        self.api.view.update(|view| {
            view.validated = Some(LedgerRef {
                index: LedgerIndex(index),
                hash,
            });
            view.link.connected = true;
        });
    }
}

/// One XRP to somebody.
fn pay(payment_id: &str) -> CreatePaymentRequest {
    CreatePaymentRequest {
        payment_id: payment_id.into(),
        destination: AccountId::from_bytes([1; 20]).to_address(),
        amount: Some(Amount::XrpDrops(1_000_000)),
        ..CreatePaymentRequest::default()
    }
}

fn in_seconds(seconds: u64) -> Option<prost_types::Timestamp> {
    // Half a second more, so that the time that passes until the call arrives does not count.
    Some(
        clock::now()
            .plus(Duration::from_secs(seconds) + Duration::from_millis(500))
            .timestamp(),
    )
}

fn reason(status: &Status) -> String {
    let info = status
        .get_details_error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "paygate.v1");
    let row = paygate_proto::row_of(&info.reason);
    let row = row.unwrap_or_else(|| panic!("{} is not in the table", info.reason));
    assert_eq!(Code::from(row.code), status.code(), "{}", info.reason);
    info.reason
}

fn fields(status: &Status) -> Vec<String> {
    let bad = status
        .get_details_bad_request()
        .unwrap_or_else(|| panic!("no BadRequest in {status:?}"));
    bad.field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}
