//! OperationsService: GetStatus, and what is not built yet.
//!
//! Owns: the answer of GetStatus. May not: ask the ledger or the signer; all but the store's numbers is what the engine saw last.

use std::time::{SystemTime, UNIX_EPOCH};

use paygate_proto::signer::v1::{DescribeSignerResponse, Hardening};
use paygate_proto::v1::operations_service_server::OperationsService;
use paygate_proto::v1::{
    AnnounceTransactionRequest, AnnounceTransactionResponse, Capability, Freeze, GetRolloutRequest,
    GetRolloutResponse, GetStatusRequest, GetStatusResponse, LedgerServer, LedgerStatus,
    ListAuditEntriesRequest, ListAuditEntriesResponse, PauseRequest, PauseResponse,
    PendingPayments, PromoteRolloutRequest, PromoteRolloutResponse, Quarantine,
    ReconcileWalletRequest, ReconcileWalletResponse, RecordRolloutRequest, RecordRolloutResponse,
    ResumeRequest, ResumeResponse, RollbackRolloutRequest, RollbackRolloutResponse, SignerStatus,
    StateCount, UnfreezeRequest, UnfreezeResponse,
};
use paygate_telemetry::health::{NameState, Serving};
use tokio_stream::Empty;
use tonic::{Request, Response, Status};

use super::{Api, announce, audit, decode, encode, errors, identity, pause, rollout, wallet};
use crate::clock::{self, Millis};
use crate::store::{Summary, Unfrozen};
use crate::view::EngineView;
use crate::xrpl::ServerPicture;

/// Serves OperationsService.
#[derive(Clone, Debug)]
pub struct OperationsApi(pub Api);

#[tonic::async_trait]
impl OperationsService for OperationsApi {
    async fn get_status(
        &self,
        request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        identity::caller(&request)?;
        let now = clock::now();
        let summary = self
            .0
            .store
            .summary(now)
            .await
            .map_err(|error| errors::store("get_status", &error))?;
        Ok(Response::new(status(
            &self.0,
            &self.0.view.now(),
            &summary,
            now,
        )))
    }

    async fn pause(
        &self,
        request: Request<PauseRequest>,
    ) -> Result<Response<PauseResponse>, Status> {
        let by = audit::actor(&request)?;
        pause::pause(&self.0, by, request.get_ref()).await
    }

    async fn resume(
        &self,
        request: Request<ResumeRequest>,
    ) -> Result<Response<ResumeResponse>, Status> {
        let by = audit::actor(&request)?;
        pause::resume(&self.0, by, request.get_ref()).await
    }

    async fn unfreeze(
        &self,
        request: Request<UnfreezeRequest>,
    ) -> Result<Response<UnfreezeResponse>, Status> {
        let by = audit::actor(&request)?;
        let told = by.clone();
        let (reason, acknowledged) = decode::unfreeze(&request.into_inner())?;
        let unfrozen = self
            .0
            .store
            .unfreeze(by, reason.clone(), acknowledged, clock::now())
            .await
            .map_err(|error| errors::store("unfreeze", &error))?;
        match unfrozen {
            Unfrozen::Unnamed(unnamed) => return Err(errors::unnamed_foreign(&unnamed)),
            Unfrozen::Now => {
                tracing::warn!(client_id = %told.client, credential = %told.credential, %reason, "a person has unfrozen the wallet");
                self.0.view.update(|view| view.frozen = None);
                self.0.wake.notify_one();
            }
            Unfrozen::WasNotFrozen => {}
        }
        Ok(Response::new(UnfreezeResponse {
            freeze: Some(Freeze::default()),
        }))
    }

    async fn announce_transaction(
        &self,
        request: Request<AnnounceTransactionRequest>,
    ) -> Result<Response<AnnounceTransactionResponse>, Status> {
        let by = audit::actor(&request)?;
        let announcement = announce::decode(&request.into_inner(), &by.client)?;
        announce::announce(&self.0, by, announcement).await
    }

    async fn get_rollout(
        &self,
        request: Request<GetRolloutRequest>,
    ) -> Result<Response<GetRolloutResponse>, Status> {
        identity::caller(&request)?;
        let rollout = rollout::get(&self.0).await?;
        Ok(Response::new(GetRolloutResponse { rollout }))
    }

    async fn record_rollout(
        &self,
        request: Request<RecordRolloutRequest>,
    ) -> Result<Response<RecordRolloutResponse>, Status> {
        let by = audit::actor(&request)?;
        let rollout = rollout::record(&self.0, by, request.into_inner()).await?;
        Ok(Response::new(RecordRolloutResponse { rollout }))
    }

    async fn promote_rollout(
        &self,
        request: Request<PromoteRolloutRequest>,
    ) -> Result<Response<PromoteRolloutResponse>, Status> {
        let by = audit::actor(&request)?;
        let rollout = rollout::promote(&self.0, by, request.into_inner()).await?;
        Ok(Response::new(PromoteRolloutResponse { rollout }))
    }

    async fn rollback_rollout(
        &self,
        request: Request<RollbackRolloutRequest>,
    ) -> Result<Response<RollbackRolloutResponse>, Status> {
        let by = audit::actor(&request)?;
        let rollout = rollout::roll_back(&self.0, by, request.into_inner()).await?;
        Ok(Response::new(RollbackRolloutResponse { rollout }))
    }

    type ReconcileWalletStream = Empty<Result<ReconcileWalletResponse, Status>>;

    async fn reconcile_wallet(
        &self,
        _request: Request<ReconcileWalletRequest>,
    ) -> Result<Response<Self::ReconcileWalletStream>, Status> {
        Err(errors::not_implemented(
            "ReconcileWallet",
            "every validated ledger is reconciled as it comes",
        ))
    }

    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Result<Response<ListAuditEntriesResponse>, Status> {
        identity::caller(&request)?;
        audit::list(&self.0, request.get_ref()).await
    }
}

fn status(api: &Api, view: &EngineView, summary: &Summary, now: Millis) -> GetStatusResponse {
    GetStatusResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        profile: api.settings.profile.to_owned(),
        role: api.settings.role.to_owned(),
        start_time: Some(api.started.timestamp()),
        store_id: hex::encode(api.store.store_id()),
        epoch: view.epoch,
        account: api.wallet.account.to_address(),
        ledger: Some(ledger(api, view, now)),
        signer: Some(signer(view)),
        quarantine: Some(quarantine(view)),
        freeze: Some(freeze(view)),
        pause: Some(pause::of_wallet(&summary.pauses)),
        scoped_pauses: pause::scoped(&summary.pauses),
        pending: Some(pending(summary, now)),
        capabilities: api.health.snapshot().into_iter().map(capability).collect(),
        books: summary.book.as_ref().map(wallet::books),
        announced: summary.announced.iter().map(announce::shown).collect(),
    }
}

fn ledger(api: &Api, view: &EngineView, now: Millis) -> LedgerStatus {
    let index = view.validated.map_or(0, |ledger| ledger.index.0);
    LedgerStatus {
        network_id: api.wallet.network_id,
        validated_ledger_index: index,
        validated_ledger_hash: view
            .validated
            .map(|ledger| ledger.hash.to_string())
            .unwrap_or_default(),
        lag: view.validated_at.map(|at| duration(now.since(at))),
        halted: view.halted,
        agreement: api.settings.agreement,
        servers: servers(api, view),
    }
}

/// Each configured server, as it was seen last.
fn servers(api: &Api, view: &EngineView) -> Vec<LedgerServer> {
    let shown = |(at, server): (usize, &super::LedgerServerSettings)| {
        let seen = view.link.servers.get(at);
        let connected = seen.is_some_and(|seen| seen.connected);
        LedgerServer {
            url: server.url.clone(),
            operator: server.operator.clone(),
            own: server.own,
            connected,
            validated_ledger_index: seen
                .filter(|_| connected)
                .and_then(|seen| seen.newest)
                .unwrap_or(0),
            latency_ms: seen.map_or(0, |seen| seen.latency_ms),
            state: seen.map_or_else(|| "not looked at yet".to_owned(), state),
        }
    };
    api.settings.servers.iter().enumerate().map(shown).collect()
}

/// Its own word on its state, and how it is used where that is not all there is to say.
fn state(server: &ServerPicture) -> String {
    match (server.state(), server.reason.as_str()) {
        (_, "") if server.primary => format!("{}, primary", server.detail),
        (_, "") => server.detail.clone(),
        (how, why) => format!("{how}: {why}"),
    }
}

fn signer(view: &EngineView) -> SignerStatus {
    let detail = match (&view.signer.unreachable, &view.signer.described) {
        (Some(why), _) => why.clone(),
        (None, None) => "has not answered yet".to_owned(),
        (None, Some(_)) if !view.signer.serving => {
            "answers, and its health service says NOT_SERVING".to_owned()
        }
        (None, Some(_)) => String::new(),
    };
    let reachable = view.signer.unreachable.is_none() && view.signer.described.is_some();
    let described = view.signer.described.clone().unwrap_or_default();
    SignerStatus {
        reachable,
        detail,
        ..described_status(described)
    }
}

fn described_status(described: DescribeSignerResponse) -> SignerStatus {
    let limits = described.limits.clone().unwrap_or_default();
    let hardening = described.hardening.unwrap_or_default();
    SignerStatus {
        reachable: false,
        detail: String::new(),
        account: described.account,
        version: described.version,
        journal_height: described.journal_head.unwrap_or_default().height,
        policy_digest: hex::encode(described.policy_digest),
        max_payment_drops: limits.max_payment_drops,
        max_day_drops: limits.max_day_drops,
        headroom_drops: limits.max_day_drops.saturating_sub(limits.used_day_drops),
        highest_sequence: described.highest_sequence,
        hardening: active(&hardening),
        waived: hardening.waived,
    }
}

fn active(hardening: &Hardening) -> Vec<String> {
    let all = [
        ("landlock", hardening.landlock),
        ("seccomp", hardening.seccomp),
        ("no_new_privs", hardening.no_new_privs),
        ("not_dumpable", hardening.not_dumpable),
        ("key_memory_locked", hardening.key_memory_locked),
    ];
    all.into_iter()
        .filter(|(_, active)| *active)
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn quarantine(view: &EngineView) -> Quarantine {
    match view.quarantine.zip(view.doubt()) {
        None => Quarantine::default(),
        Some((quarantine, reason)) => Quarantine {
            active: true,
            reason,
            until_ledger: quarantine.until.0,
        },
    }
}

fn freeze(view: &EngineView) -> Freeze {
    match &view.frozen {
        None => Freeze::default(),
        Some(freeze) => Freeze {
            active: true,
            reason: freeze.why.clone(),
            since: Some(freeze.since.timestamp()),
        },
    }
}

fn pending(summary: &Summary, now: Millis) -> PendingPayments {
    let live = summary
        .by_state
        .iter()
        .filter(|(name, count)| !name.is_final() && *count > 0);
    PendingPayments {
        counts: live
            .map(|(name, count)| StateCount {
                state: encode::state(*name).into(),
                count: *count,
            })
            .collect(),
        oldest_age: summary
            .oldest_pending
            .map(|oldest| duration(now.since(oldest))),
    }
}

fn capability(state: NameState) -> Capability {
    let (serving, reason) = match state.serving {
        Serving::Yes => (true, String::new()),
        Serving::No(reason) => (false, reason),
    };
    Capability {
        name: state.name.to_owned(),
        serving,
        reason,
        since: Some(timestamp(state.since)),
    }
}

fn timestamp(time: SystemTime) -> prost_types::Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::ZERO.plus(since).timestamp()
}

fn duration(duration: std::time::Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos())
            .expect("less than a second has less than 10^9 nanoseconds"),
    }
}
