//! Looks at the ledger servers, the signer and the store once a second, and tells what is seen.
//!
//! Owns: the looks, their patience, the view, the gauges. May not: restart, retry or decide anything, or let one dependency
//! that hangs hide the state of the others: all are asked at the same time, and nobody is asked again before he has answered.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paygate_payments::LedgerIndex;
use paygate_payments::clients::ClientUse;
use paygate_payments::limits::Limits;
use paygate_payments::payment::StateName;
use paygate_telemetry::health::Health;
use paygate_telemetry::shutdown::StopToken;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use xrpl_tx::Drops;

use super::capabilities::{Capabilities, Seen, in_state, on_hold};
use super::confirm::{close_time, is_fatal};
use super::{Engine, EngineError};
use crate::admin::HealthReport;
use crate::api::LOCAL_CLIENT;
use crate::chance;
use crate::clock;
use crate::metrics::{ClientRoom, Metrics};
use crate::signer::CallFailed;
use crate::store::{Pause, PauseScope, StoreError, Summary};
use crate::view::{EngineView, LinkView};
use crate::xrpl::{LedgerEvent, Picture, Progress, ServerPicture};

/// Everything is looked at so often.
const PERIOD: Duration = Duration::from_secs(1);

/// How long a look waits for an answer. What takes longer is looked at again in the next round; it is not asked twice.
const PATIENCE: Duration = Duration::from_secs(1);

/// A signer that is silent for so long does not answer; a commit of its journal takes milliseconds, on a bad disk a second.
const SIGNER_SILENT_MAX: Duration = Duration::from_secs(3);

/// After a halt, nothing new is signed for a time up to this.
const RESUME_DELAY_MAX: Duration = Duration::from_secs(5);

/// Where what is seen goes.
#[derive(Debug)]
pub struct Outputs {
    /// The gRPC health service.
    pub health: Health,
    /// The JSON report.
    pub report: watch::Sender<HealthReport>,
}

type DescribedAndServing =
    Result<(paygate_proto::signer::v1::DescribeSignerResponse, bool), CallFailed>;

/// The open questions, and what is remembered between looks.
struct Eyes<'a> {
    signer: Question<'a, DescribedAndServing>,
    store: Question<'a, Result<Duration, StoreError>>,
    rows: Question<'a, Result<Summary, StoreError>>,
    clients: Question<'a, Result<(Arc<Limits>, ClientUse), StoreError>>,
    progress: Progress,
    /// The network has come back from a halt, and is given so long before anything new is signed.
    resumes: Option<Instant>,
    /// A split of the servers that has frozen the wallet already.
    split: Option<String>,
    /// The newest rows that could be read. Their ages grow while nobody can read.
    summary: Option<Summary>,
}

/// An answer that is still to come.
type Awaited<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One question at a time: a dependency that hangs gathers no queue of them.
struct Question<'a, T> {
    open: Option<(Instant, Awaited<'a, T>)>,
}

/// What a look brought.
enum Look<T> {
    /// The answer.
    Answer(T),
    /// None for so long.
    Waiting(Duration),
}

pub(super) async fn run(
    engine: &Engine,
    outputs: Outputs,
    mut stop: StopToken,
) -> Result<(), EngineError> {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut eyes = Eyes::new();
    loop {
        tokio::select! {
            biased;
            () = stop.stopped() => return Ok(()),
            _ = tick.tick() => {}
        }
        tokio::select! {
            biased;
            () = stop.stopped() => return Ok(()),
            looked = eyes.look(engine, &outputs) => looked?,
        }
    }
}

impl<'a> Eyes<'a> {
    fn new() -> Self {
        Self {
            signer: Question { open: None },
            store: Question { open: None },
            rows: Question { open: None },
            clients: Question { open: None },
            progress: Progress::new(clock::instant()),
            resumes: None,
            split: None,
            summary: None,
        }
    }

    /// One round.
    async fn look(&mut self, engine: &'a Engine, outputs: &Outputs) -> Result<(), EngineError> {
        let Self {
            signer,
            store,
            rows,
            clients,
            ..
        } = self;
        let (signer, store, rows, clients) = tokio::join!(
            signer.ask(|| ask_signer(engine)),
            store.ask(|| engine.store.check()),
            rows.ask(|| engine.store.summary(clock::now())),
            clients.ask(|| ask_clients(engine)),
        );
        self.see_fleet(engine).await?;
        see_signer(engine, signer);
        let store = match store {
            Look::Answer(Err(err)) if is_fatal(&err) => return Err(err.into()),
            Look::Answer(Err(err)) => Err(format!(
                "the store cannot write: {}",
                engine.store.last_failure().unwrap_or(err.to_string())
            )),
            Look::Answer(Ok(took)) => Ok(took),
            Look::Waiting(open) => Err(unanswered("the store", open)),
        };
        match rows {
            Look::Answer(Ok(summary)) => {
                let announced = summary.announced.clone();
                let pauses = Arc::new(summary.pauses.clone());
                engine.view.update(|v| {
                    v.announced = announced;
                    v.pauses = pauses;
                });
                expire_approvals(engine, &summary).await?;
                self.summary = Some(summary);
            }
            Look::Answer(Err(err)) if is_fatal(&err) => return Err(err.into()),
            Look::Answer(Err(_)) | Look::Waiting(_) => {}
        }
        if let (Look::Answer(Ok((limits, used))), Some(summary)) = (clients, &self.summary)
            && used.day.len() == limits.clients.len()
        {
            let rooms = client_rooms(&limits, &used, summary);
            engine.metrics.client_rooms(&rooms);
        }
        let view = engine.view.now();
        count(engine, &view, self.summary.as_ref());
        let seen = Seen {
            view: &view,
            store,
            summary: self.summary.as_ref(),
            now: clock::now(),
            latency_threshold: engine.settings.latency_threshold,
        };
        let capabilities = Capabilities::of(&seen);
        capabilities.tell(&outputs.health, &engine.metrics);
        let report = capabilities.report(&seen, &outputs.health);
        outputs.report.send_replace(report);
        Ok(())
    }
}

impl Eyes<'_> {
    /// What the fleet shows, and whether validated ledgers come.
    async fn see_fleet(&mut self, engine: &Engine) -> Result<(), EngineError> {
        let now = clock::instant();
        let newest = *engine.fleet.watch_ledgers().borrow();
        let was_halted = engine.view.now().halted;
        if let Some(ledger) = newest {
            let age = clock::now().since(close_time(ledger.close_time));
            self.progress.observe(ledger.index, age, now);
        }
        let still = self.progress.is_halted(engine.settings.halt_after, now);
        let halted = match (still, was_halted) {
            (true, _) => {
                self.resumes = None;
                true
            }
            // Everybody's gateway sees the network come back at the same moment.
            (false, true) => now < *self.resumes.get_or_insert_with(|| now + resume_delay()),
            (false, false) => false,
        };
        if halted != was_halted {
            match halted {
                true => tracing::error!(
                    "the network is halted: no validated ledger comes, nothing new is signed"
                ),
                false => tracing::info!("validated ledgers come again, sending goes on"),
            }
        }
        let picture = engine.fleet.picture().borrow().clone();
        let split = picture.split.clone();
        let link = link_view(picture, newest);
        engine.view.update(|v| {
            v.link = link;
            v.halted = halted;
        });
        let behind = engine.view.now().unreconciled();
        let metrics = &engine.metrics;
        metrics.ledger_lag(self.progress.since_change(now), behind);
        if split != self.split
            && let Some(why) = &split
        {
            engine.freeze(why.clone()).await?;
        }
        self.split = split;
        Ok(())
    }
}

/// Between nothing and [`RESUME_DELAY_MAX`].
fn resume_delay() -> Duration {
    let mut bytes = [0; 2];
    // Without randomness there is no jitter.
    match chance::fill(&mut bytes) {
        Ok(()) => RESUME_DELAY_MAX * u32::from(u16::from_be_bytes(bytes)) / u32::from(u16::MAX),
        Err(_) => RESUME_DELAY_MAX,
    }
}

fn link_view(picture: Picture, newest: Option<LedgerEvent>) -> LinkView {
    let Picture {
        servers,
        short,
        split,
        disputed,
    } = picture;
    let connected = servers.iter().any(|server| server.used);
    let primary = servers.iter().find(|server| server.primary);
    let named = |server: &ServerPicture| match servers.len() {
        1 => server.detail.clone(),
        _ => format!("{}: {}", server.name, server.detail),
    };
    let detail = match (connected, primary) {
        (true, Some(primary)) => primary.detail.clone(),
        _ if servers.is_empty() => "not looked at yet".to_owned(),
        _ => servers.iter().map(named).collect::<Vec<_>>().join("; "),
    };
    let lies = servers.iter().find(|server| server.lies).map(named);
    LinkView {
        connected,
        detail,
        unusable: short.filter(|_| connected),
        alarm: split.or(disputed).or(lies),
        latency_ms: primary.map_or(0, |primary| primary.latency_ms),
        newest: newest.map(|ledger| LedgerIndex(ledger.index)),
        servers,
    }
}

impl<'a, T> Question<'a, T> {
    /// Waits for the answer to the open question, or asks it first.
    async fn ask<F>(&mut self, question: impl FnOnce() -> F) -> Look<T>
    where
        F: Future<Output = T> + Send + 'a,
    {
        let (asked, answer) = self
            .open
            .get_or_insert_with(|| (clock::instant(), Box::pin(question())));
        let asked = *asked;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => {
                self.open = None;
                Look::Answer(answer)
            }
            Err(_) => Look::Waiting(clock::elapsed(asked)),
        }
    }
}

fn unanswered(who: &str, open: Duration) -> String {
    format!("{who} has not answered for {} ms", open.as_millis())
}

/// What the signer says of itself, and what its own health service says of its canary.
async fn ask_signer(engine: &Engine) -> DescribedAndServing {
    let described = engine.signer.describe().await?;
    Ok((described, engine.signer.is_serving().await?))
}

/// Limits are read before and after, so that both are of one list of clients.
async fn ask_clients(engine: &Engine) -> Result<(Arc<Limits>, ClientUse), StoreError> {
    let limits = engine.store.limits();
    let used = engine.store.client_use(clock::now()).await?;
    match Arc::ptr_eq(&limits, &engine.store.limits()) {
        true => Ok((limits, used)),
        // Read anew in between: the next round tells.
        false => Ok((limits, ClientUse::default())),
    }
}

/// What each client has left. Without authentication there is one, with all that the wallet has.
fn client_rooms(limits: &Limits, used: &ClientUse, summary: &Summary) -> Vec<ClientRoom> {
    let left = limits.day_max.saturating_sub(summary.day_used);
    if limits.clients.is_empty() {
        return vec![ClientRoom {
            client: LOCAL_CLIENT.to_owned(),
            day_left: left,
            day_max: limits.day_max,
            pending: summary.pending,
            pending_max: limits.pending_max,
        }];
    }
    let uses = used.day.iter().zip(&used.pending);
    let rooms = limits.clients.iter().zip(uses);
    rooms
        .map(|(client, (day, pending))| {
            let day_max = client.day_max.unwrap_or(limits.day_max).min(limits.day_max);
            let used = Drops::new(*day).unwrap_or(Drops::MAX);
            ClientRoom {
                client: client.client.to_string(),
                day_left: day_max.saturating_sub(used).min(left),
                day_max,
                pending: *pending,
                pending_max: client
                    .pending_max
                    .unwrap_or(limits.pending_max)
                    .min(limits.pending_max),
            }
        })
        .collect()
}

fn see_signer(engine: &Engine, look: Look<DescribedAndServing>) {
    engine.view.update(|v| match look {
        Look::Answer(Ok((described, serving))) => {
            v.signer.described = Some(described);
            v.signer.unreachable = None;
            v.signer.serving = serving;
        }
        Look::Answer(Err(err)) => {
            v.signer.unreachable = Some(err.to_string());
            v.signer.serving = false;
        }
        Look::Waiting(open) if open < SIGNER_SILENT_MAX => {}
        Look::Waiting(open) => {
            v.signer.unreachable = Some(unanswered("the signer", open));
            v.signer.serving = false;
        }
    });
}

fn tell_pauses(metrics: &Metrics, pauses: &[Pause]) {
    let (mut wallet, mut clients, mut destinations) = (0, 0, 0);
    for pause in pauses {
        match pause.scope {
            PauseScope::Wallet => wallet += 1,
            PauseScope::Client(_) => clients += 1,
            PauseScope::Destination(_) => destinations += 1,
        }
    }
    metrics.paused("wallet", wallet);
    metrics.paused("client", clients);
    metrics.paused("destination", destinations);
}

/// Payments whose time for an approval is over expire.
async fn expire_approvals(engine: &Engine, summary: &Summary) -> Result<(), EngineError> {
    if in_state(summary, StateName::AwaitingApproval) == 0 {
        return Ok(());
    }
    // Beside the dispatcher: the generation must not be raised in between.
    let _generation = engine.generation.read().await;
    match engine
        .store
        .expire_approvals(engine.epoch(), clock::now())
        .await
    {
        Ok(expired) => {
            for record in expired {
                let key = &record.payment.intent.key;
                tracing::info!(payment_id = %key.payment, client_id = %key.client, "nobody approved it in time: expired");
                engine.metrics.payment_entered(StateName::Expired.as_str());
            }
            Ok(())
        }
        Err(err) if is_fatal(&err) => Err(err.into()),
        // The next round tries again.
        Err(_) => Ok(()),
    }
}

fn count(engine: &Engine, view: &EngineView, summary: Option<&Summary>) {
    let metrics = &engine.metrics;
    metrics.standstill(view.frozen.is_some(), view.quarantine.is_some());
    let blocked = view.blocked.as_ref().map(|why| why.reason.as_str_name());
    metrics.sending_blocked(blocked.map(|name| name.trim_start_matches("PAYMENT_REASON_")));
    let limits = engine.store.limits();
    metrics.rollout_stage(engine.store.rollout_stage());
    if let Some(summary) = summary {
        let oldest = summary.oldest_pending.map(|at| clock::now().since(at));
        metrics.pending_payments(summary.pending, oldest);
        let room = limits.pending_max.saturating_sub(summary.pending);
        metrics.pending_room(room, limits.pending_max, on_hold(summary));
        let left = limits.day_max.saturating_sub(summary.day_used);
        metrics.limit("daily", left, limits.day_max);
        let fees = summary.fees_hour;
        metrics.limit("fees_hour", fees.left(), fees.max);
        metrics.books(summary.book.as_ref());
        metrics.announced(summary.announced.len());
        tell_pauses(metrics, &summary.pauses);
        metrics.awaiting_approval(in_state(summary, StateName::AwaitingApproval));
    }
    let Some(signer) = &view.signer.described else {
        return;
    };
    if let Some(limits) = &signer.limits {
        let left = limits.max_day_drops.saturating_sub(limits.used_day_drops);
        let drops = |drops| Drops::new(drops).unwrap_or(Drops::MAX);
        metrics.limit("signer_day", drops(left), drops(limits.max_day_drops));
    }
    if let Some(validated) = view.link.newest {
        metrics.signer_estimate(signer.estimated_ledger_index, validated.0);
    }
}
