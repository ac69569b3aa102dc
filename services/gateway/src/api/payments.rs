//! PaymentService.
//!
//! Owns: the order of CreatePayment: check, store, wake, answer. May not: bind, sign or send; the row is the work, and the
//! dispatcher is only woken.

use std::sync::Arc;
use std::time::Duration;

use paygate_payments::clients::OverClientLimit;
use paygate_payments::intent::{Id, Intent, PaymentKey};
use paygate_payments::limits::OverLimit;
use paygate_payments::preflight::Verdict;
use paygate_payments::rollout::OverStage;
use paygate_proto::v1::payment_service_server::PaymentService;
use paygate_proto::v1::{
    BatchCreatePaymentsRequest, BatchCreatePaymentsResponse, CancelPaymentRequest,
    CancelPaymentResponse, CreatePaymentRequest, CreatePaymentResponse, ExplainPaymentRequest,
    ExplainPaymentResponse, GetPaymentRequest, GetPaymentResponse, ListPaymentsRequest,
    ListPaymentsResponse, Payment, PaymentState, WatchPaymentsRequest,
};
use paygate_telemetry::{TraceParent, propagation};
use prost::Message as _;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};
use tracing::{Instrument as _, Span};

use super::decode::{Asked, Rules};
use super::watch::{PaymentChanges, Watchers};
use super::{Api, batch, decode, encode, errors, identity, next};
use crate::clock::{self, Millis};
use crate::engine::Ground;
use crate::metrics::Stage;
use crate::store::{Accept, ListQuery, NewPayment, Record, StoreError};

/// One ledger. A pending payment cannot end before the next one is validated.
const LEDGER: Duration = Duration::from_secs(4);

/// The window of the daily limit.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Halvings of the day in search of its oldest payment: 7 find it to about eleven minutes, with 7 reads of one row.
const DAY_HALVINGS: u32 = 7;

/// Serves PaymentService.
#[derive(Clone, Debug)]
pub struct PaymentApi {
    api: Api,
    watchers: Watchers,
    /// A place for each batch that is being stored.
    batches: Arc<Semaphore>,
}

#[tonic::async_trait]
impl PaymentService for PaymentApi {
    async fn create_payment(
        &self,
        request: Request<CreatePaymentRequest>,
    ) -> Result<Response<CreatePaymentResponse>, Status> {
        let client = identity::caller(&request)?.client_id;
        let trace = trace_of(&request);
        self.create(request.get_ref(), client, trace)
            .await
            .map(Response::new)
    }

    async fn get_payment(
        &self,
        request: Request<GetPaymentRequest>,
    ) -> Result<Response<GetPaymentResponse>, Status> {
        let caller = identity::caller(&request)?;
        let key = decode::key(
            &request.get_ref().client_id,
            &request.get_ref().payment_id,
            &caller,
        )?;
        let found = self
            .api
            .store
            .get(&key)
            .await
            .map_err(|error| errors::store("get_payment", &error))?;
        let record = found.ok_or_else(|| errors::payment_not_found(&key))?;
        let payment = encode::payment(&record, &self.api.view.now());
        Ok(Response::new(GetPaymentResponse {
            payment: Some(payment),
        }))
    }

    async fn list_payments(
        &self,
        request: Request<ListPaymentsRequest>,
    ) -> Result<Response<ListPaymentsResponse>, Status> {
        let caller = identity::caller(&request)?;
        let query = decode::list(request.get_ref(), &caller)?;
        let page = self
            .api
            .store
            .list(query)
            .await
            .map_err(|error| errors::store("list_payments", &error))?;
        let view = self.api.view.now();
        let payments = page
            .records
            .iter()
            .map(|record| encode::payment(record, &view))
            .collect();
        Ok(Response::new(ListPaymentsResponse {
            payments,
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn explain_payment(
        &self,
        request: Request<ExplainPaymentRequest>,
    ) -> Result<Response<ExplainPaymentResponse>, Status> {
        let failed = |error: StoreError| errors::store("explain_payment", &error);
        let caller = identity::caller(&request)?;
        let key = decode::key(
            &request.get_ref().client_id,
            &request.get_ref().payment_id,
            &caller,
        )?;
        // The timeline is read second, so that it is never behind the payment that stands above it.
        let found = self.api.store.get(&key).await.map_err(failed)?;
        let record = found.ok_or_else(|| errors::payment_not_found(&key))?;
        let rows = self.api.store.timeline(&key).await.map_err(failed)?;
        let view = self.api.view.now();
        let payment = encode::payment(&record, &view);
        let next = next::after(&record, payment.reason(), &view);
        Ok(Response::new(ExplainPaymentResponse {
            payment: Some(payment),
            events: rows.into_iter().map(|row| row.event).collect(),
            gateway_next: next.gateway,
            person_next: next.person,
        }))
    }

    async fn batch_create_payments(
        &self,
        request: Request<BatchCreatePaymentsRequest>,
    ) -> Result<Response<BatchCreatePaymentsResponse>, Status> {
        let client = identity::caller(&request)?.client_id;
        let trace = trace_of(&request);
        if self.api.view.now().draining {
            return Err(errors::draining());
        }
        let Ok(_seat) = self.batches.try_acquire() else {
            return Err(errors::too_many_batches(batch::AT_ONCE_MAX));
        };
        batch::check(request.get_ref())?;
        let max = self.api.settings.request_bytes_max;
        let calls = request.get_ref().payments.iter().map(|payment| {
            let (client, trace) = (client.clone(), trace.clone());
            async move {
                let bytes = payment.encoded_len();
                if bytes > max {
                    return Err(errors::request_too_large(bytes, max));
                }
                self.create(payment, client, trace).await
            }
        });
        let answers = batch::all(calls.collect()).await;
        let items = answers.into_iter().map(batch::item).collect();
        Ok(Response::new(BatchCreatePaymentsResponse { items }))
    }

    type WatchPaymentsStream = PaymentChanges;

    async fn watch_payments(
        &self,
        request: Request<WatchPaymentsRequest>,
    ) -> Result<Response<Self::WatchPaymentsStream>, Status> {
        let caller = identity::caller(&request)?;
        let standing = identity::standing(&request);
        let (from, filter) = decode::watch(request.get_ref(), &caller)?;
        let changes = self
            .watchers
            .follow(
                self.api.store.clone(),
                self.api.view.clone(),
                from,
                filter,
                standing,
                self.api.metrics.open_watch(),
            )
            .await?;
        Ok(Response::new(changes))
    }

    async fn cancel_payment(
        &self,
        request: Request<CancelPaymentRequest>,
    ) -> Result<Response<CancelPaymentResponse>, Status> {
        let caller = identity::caller(&request)?;
        let (key, comment) = decode::cancel(request.get_ref(), &caller)?;
        let record = self.cancel(key, comment).await?;
        let payment = Some(encode::payment(&record, &self.api.view.now()));
        Ok(Response::new(CancelPaymentResponse { payment }))
    }
}

/// The span of this call lies under the caller's; later work goes on below it. Where no spans are recorded, what the caller sent is
/// kept for whoever reads the payment.
fn trace_of<T>(request: &Request<T>) -> Option<TraceParent> {
    propagation::traceparent_of(&Span::current())
        .or_else(|| propagation::from_metadata(request.metadata()))
}

impl PaymentApi {
    /// A service with no watchers yet.
    #[must_use]
    pub fn new(api: Api) -> Self {
        Self {
            api,
            watchers: Watchers::default(),
            batches: Arc::new(Semaphore::new(batch::AT_ONCE_MAX)),
        }
    }

    async fn cancel(&self, key: PaymentKey, comment: String) -> Result<Record, Status> {
        if self.api.view.now().draining {
            return Err(errors::draining());
        }
        let answer = self
            .api
            .store
            .cancel(key.clone(), comment, clock::now())
            .await;
        let advanced = answer.map_err(|error| match &error {
            StoreError::UnknownPayment(key) => errors::payment_not_found(key),
            StoreError::OnLedger { key, tx_hash } => errors::on_ledger(key, *tx_hash),
            StoreError::Illegal(illegal) => errors::cannot_cancel(&key, illegal.state),
            _ => errors::store("cancel_payment", &error),
        })?;
        if advanced.changed {
            let state = advanced.record.payment.state.name();
            tracing::info!(payment_id = %key.payment, client_id = %key.client, state = state.as_str(), "cancel committed");
            if state.is_final() {
                self.api.metrics.payment_entered(state.as_str());
            }
            // A bound one needs its no-op.
            self.api.wake.notify_one();
        }
        Ok(advanced.record)
    }

    async fn create(
        &self,
        request: &CreatePaymentRequest,
        client: Id,
        trace: Option<TraceParent>,
    ) -> Result<CreatePaymentResponse, Status> {
        let began = clock::instant();
        let now = clock::now();
        let view = self.api.view.now();
        if view.draining {
            return Err(errors::draining());
        }
        let limits = self.api.store.limits();
        let rules = Rules {
            wallet: &self.api.wallet,
            limits: &limits,
            validated: view.validated.map(|ledger| ledger.index),
            now,
        };
        let asked = decode::create(request, client, rules)?;
        let span = tracing::info_span!(
            "accept",
            payment_id = %asked.intent.key.payment,
            paygate.asset = asked.intent.takes().unit(),
        );
        let validate_only = asked.validate_only;
        let answer = self.accept(asked, trace, now).instrument(span).await?;
        if !answer.existed && !validate_only {
            let state = answer.payment.as_ref().map(Payment::state);
            self.api.metrics.payment_entered(match state {
                Some(PaymentState::AwaitingApproval) => "AWAITING_APPROVAL",
                _ => "ACCEPTED",
            });
            let trace = propagation::traceparent_of(&tracing::Span::current());
            self.api
                .metrics
                .stage(Stage::Accept, clock::elapsed(began), trace.as_ref());
            self.api.wake.notify_one();
        }
        Ok(answer)
    }

    async fn accept(
        &self,
        asked: Asked,
        trace: Option<TraceParent>,
        now: Millis,
    ) -> Result<CreatePaymentResponse, Status> {
        let Asked {
            intent,
            validate_only,
            deadline,
        } = asked;
        let key = intent.key.clone();
        let retry_of = intent.retry_of.clone();
        let outcome = match deadline {
            Ok(deadline) => {
                let trace_parent = trace.map(|trace| trace.to_string());
                let new = NewPayment {
                    intent,
                    deadline,
                    trace_parent,
                    at: now,
                };
                if validate_only {
                    self.preview(new).await
                } else {
                    self.store(new).await
                }
            }
            // Not acceptable now; but an earlier call may have stored it, and "nothing stored" would be a lie then.
            Err(refusal) => self.stored_or(&intent, *refusal).await,
        }?;
        let (record, existed) = match outcome {
            Accept::Created(record) => (record, false),
            Accept::Existed(record) => (record, true),
            Accept::Conflict { field, existing } => {
                return Err(errors::payment_id_reused(
                    &key,
                    field,
                    existing.payment.state.name(),
                ));
            }
            Accept::OverLimit(over) => {
                let wait = self.until_free(&over, &key.client, now).await;
                return Err(errors::limit_used_up(
                    self.api.wallet.account,
                    &key.client,
                    &over,
                    wait,
                ));
            }
            Accept::BadRetry(refusal) => {
                let predecessor = retry_of.as_ref().map_or("", Id::as_str);
                return Err(errors::retry_of_invalid(predecessor, &refusal));
            }
            Accept::OnLedger { tx_hash } => return Err(errors::on_ledger(&key, tx_hash)),
        };
        if validate_only && !existed {
            self.preflight(&record.payment.intent).await?;
        }
        // Read anew: the payment's reason is told as things stand after the commit.
        let payment = encode::payment(&record, &self.api.view.now());
        Ok(CreatePaymentResponse {
            payment: Some(payment),
            existed,
        })
    }

    /// Stores the payment within its client's rate. What is stored already is answered whatever the rate: it costs a read.
    async fn store(&self, new: NewPayment) -> Result<Accept, Status> {
        let rates = self.api.access.rates();
        let client = new.intent.key.client.clone();
        if let Err(limited) = rates.create(&client) {
            rates.read(&client).map_err(|limited| limited.status())?;
            return self.stored_or(&new.intent, limited.status()).await;
        }
        let accept = self.api.store.create(new).await.map_err(not_stored)?;
        if let Accept::Existed(_) = accept {
            rates.was_a_read(&client);
        }
        Ok(accept)
    }

    /// What storing it would bring. It costs a read.
    async fn preview(&self, new: NewPayment) -> Result<Accept, Status> {
        let read = self.api.access.rates().read(&new.intent.key.client);
        read.map_err(|limited| limited.status())?;
        self.api.store.preview(new).await.map_err(not_stored)
    }

    /// What an earlier call has stored, or else the refusal.
    async fn stored_or(&self, intent: &Intent, refusal: Status) -> Result<Accept, Status> {
        let found = self.api.store.get(&intent.key).await.map_err(not_stored)?;
        let record = found.ok_or(refusal)?;
        Ok(match record.payment.intent.differs_from(intent) {
            None => Accept::Existed(record),
            Some(field) => Accept::Conflict {
                field,
                existing: Box::new(record),
            },
        })
    }

    /// What pre-flight would say now. What is not known is no refusal; a real payment would wait until it is.
    async fn preflight(&self, intent: &Intent) -> Result<(), Status> {
        let view = self.api.view.now();
        let (Some(inquiry), Some(ledger), Some(account)) =
            (&self.api.inquiry, view.validated, &view.account)
        else {
            return Ok(());
        };
        let ground = Ground {
            ledger,
            reserve_base: account.reserve_base,
        };
        match inquiry.ask(intent, ground, &account.assets).await {
            Ok(Verdict::Refused(refusal)) => {
                Err(errors::destination_cannot_receive(refusal.cannot()))
            }
            Ok(Verdict::Clear | Verdict::Waits(_)) => Ok(()),
            Err(unknown) => {
                tracing::debug!(%unknown, "validate_only answers without pre-flight");
                Ok(())
            }
        }
    }

    /// How long until what blocks may be gone: a guess that saves calls, not a promise. `None`: it does not pass by itself.
    async fn until_free(&self, over: &OverLimit, client: &Id, now: Millis) -> Option<Duration> {
        match over {
            OverLimit::Pending { .. }
            | OverLimit::Client(OverClientLimit::Pending { .. } | OverClientLimit::Share { .. }) => {
                Some(LEDGER)
            }
            OverLimit::Client(OverClientLimit::Day { amount, max, .. }) if amount <= max => {
                let oldest = self.oldest_of_day(now, Some(client)).await?;
                Some(oldest.plus(DAY).since(now).max(LEDGER))
            }
            OverLimit::Day { amount, max, .. } if amount.is_at_most(*max) => {
                let oldest = self.oldest_of_day(now, None).await?;
                Some(oldest.plus(DAY).since(now).max(LEDGER))
            }
            OverLimit::Stage(OverStage::Day { amount, max, .. }) if amount <= max => {
                let oldest = self.oldest_of_day(now, None).await?;
                Some(oldest.plus(DAY).since(now).max(LEDGER))
            }
            OverLimit::Day { .. }
            | OverLimit::Stage(_)
            | OverLimit::NotConfigured { .. }
            | OverLimit::BelowMinimum { .. }
            | OverLimit::AboveMaximum { .. }
            | OverLimit::Client(_) => None,
        }
    }

    /// A time shortly before the oldest payment of the last 24 hours, in whatever asset, of this client or of all, was stored; nothing leaves the daily sum before it is a day
    /// old, unless it ends unpaid.
    async fn oldest_of_day(&self, now: Millis, client: Option<&Id>) -> Option<Millis> {
        let mut from = now.minus(DAY);
        let mut step = DAY;
        for _ in 0..DAY_HALVINGS {
            step /= 2;
            let middle = from.plus(step);
            let query = ListQuery {
                limit: 1,
                from: Some(from),
                before: Some(middle),
                client: client.cloned(),
                ..ListQuery::default()
            };
            if self.api.store.list(query).await.ok()?.records.is_empty() {
                from = middle;
            }
        }
        Some(from)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "what an answer's error is mapped with"
)]
fn not_stored(error: StoreError) -> Status {
    errors::store("create_payment", &error)
}
