//! What every case of the suite stands on: a fresh wallet with a gateway and a signer of its own, beside a ledger's server
//! that somebody else runs.
//!
//! Owns: funding, closing ledgers, the people of the cases, and small words like "pay" and "until". May not: expect
//! anything of a case.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use paygate_proto::v1::{
    CreatePaymentRequest, IssuedAmount, Payment, PaymentState, TimelineStage,
    create_payment_request,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tonic::Code;

use super::between::Between;
use super::{Fault, Options, people};
use crate::world::client::{Client, DROPS_PER_XRP, payment, stage_name, state_name};
use crate::world::ledger::{Ledger, LedgerError};
use crate::world::person::Person;
use crate::world::wallet::{SeedType, Wallet};
use crate::world::{Asset, Setup, World};

/// The account that holds everything in a fresh standalone network. Everybody knows its seed.
const GENESIS_SEED: &str = "snoPBrXtMeMyMHUVTgbuqAfg1SUTb";

/// What the gateway's wallet gets.
pub(super) const WALLET_XRP: u64 = 3_000;

/// Largest payment that gateway and signer let through: more than the wallet holds.
const MAX_PAYMENT_XRP: u64 = 5_000;

/// Cap of an issuer's fee.
const TRANSFER_FEE_CAP_PPM: u32 = 2_000;

/// Transactions of the funder between two ledgers: fewer than the open ledger of any server takes for the base fee.
const FUNDED_PER_LEDGER: usize = 20;

/// Ledgers within which everybody is funded.
const FUNDED_WITHIN_LEDGERS: u32 = 10;

/// How long the gateway waits for an answer: submissions that are swallowed get none.
const REQUEST_TIMEOUT_MS: u32 = 1_000;

/// More than anything takes against a server on this machine.
const WITHIN: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);

/// Everything that a case uses.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) ledger: Ledger,
    pub(super) between: Between,
    pub(super) network_id: u32,
    /// Reserve of an account, in drops.
    pub(super) reserve: u64,
    /// What this server cannot do, by the name of the amendment, and what it said.
    pub(super) lacks: BTreeMap<&'static str, String>,
    pub(super) funder: Person,
    people: BTreeMap<&'static str, Person>,
    closer: Closer,
}

/// Closes ledgers through the admin port, as nobody else does on a standalone server.
struct Closer {
    paused: Arc<AtomicBool>,
    closing: JoinHandle<()>,
}

impl Closer {
    fn start(ledger: Ledger, every: Duration) -> Closer {
        let paused = Arc::new(AtomicBool::new(false));
        let waits = Arc::clone(&paused);
        let closing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                if !waits.load(Ordering::SeqCst) {
                    // A server that does not answer is noticed by the case that waits for it.
                    let _ = ledger.close_ledger().await;
                }
            }
        });
        Closer { paused, closing }
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.closing.abort();
    }
}

/// What the server says of itself.
pub(super) struct Server {
    pub(super) version: String,
    pub(super) network_id: u32,
    reserve: u64,
    reserve_increment: u64,
}

impl Server {
    pub(super) async fn ask(ledger: &Ledger) -> Result<Server, Fault> {
        // A server that has only just begun has nothing validated.
        ledger.close_ledger().await?;
        let answer = ledger.ask("server_state", json!({})).await?;
        let state = &answer["state"];
        let drops = |name: &str| state["validated_ledger"][name].as_u64();
        let reserves = drops("reserve_base").zip(drops("reserve_inc"));
        let (reserve, reserve_increment) = reserves
            .ok_or_else(|| Fault::wrong(format!("server_state has no reserves: {state}")))?;
        let network_id = state["network_id"].as_u64().unwrap_or(0);
        Ok(Server {
            version: state["build_version"]
                .as_str()
                .unwrap_or("unknown")
                .to_owned(),
            network_id: u32::try_from(network_id).unwrap_or(u32::MAX),
            reserve,
            reserve_increment,
        })
    }
}

impl Stage {
    /// Funds everybody, makes their trust lines, and starts signer and gateway.
    pub(super) async fn set(options: &Options, server: &Server) -> Result<Stage, Fault> {
        let ledger = Ledger::at(&options.admin_rpc);
        let seed = options.funder_seed.as_deref().unwrap_or(GENESIS_SEED);
        let funder = Wallet::from_seed(seed.trim()).map_err(Fault::wrong)?;
        let funder = Person::with(funder, &ledger).on_network(server.network_id);
        let between = Between::the_server(&options.ws)
            .await
            .map_err(Fault::wrong)?;
        let fresh = |_| {
            let wallet = Wallet::random(SeedType::Ed25519);
            Person::with(wallet, &ledger).on_network(server.network_id)
        };
        let people: BTreeMap<&'static str, Person> = people::NAMES
            .into_iter()
            .map(|name| (name, fresh(name)))
            .collect();
        let setup = Setup {
            // Closed from here: the signer is told to reckon with the shortest that it can.
            close_ms: 0,
            network_id: server.network_id,
            wallet_xrp: WALLET_XRP,
            max_payment_xrp: MAX_PAYMENT_XRP.to_string(),
            daily_limit_xrp: (100 * MAX_PAYMENT_XRP).to_string(),
            max_pending: 500,
            assets: people::ISSUERS.map(|name| asset(&people[name])).to_vec(),
            gateway_variables: vec![(
                "PAYGATE__XRPL__REQUEST_TIMEOUT_MS".to_owned(),
                REQUEST_TIMEOUT_MS.to_string(),
            )],
            ..Setup::default()
        };
        let mut world = World::beside(setup, between.url(), &options.admin_rpc).await?;
        let each = server.reserve + 10 * server.reserve_increment + 20 * DROPS_PER_XRP;
        let own = (world.wallet().address(), WALLET_XRP * DROPS_PER_XRP);
        let others = people.values().map(|person| (person.address(), each));
        fund(&ledger, &funder, std::iter::once(own).chain(others)).await?;
        let wallet = Person::with(world.wallet().clone(), &ledger).on_network(server.network_id);
        let lacks = people::prepare(&ledger, &wallet, &people).await?;
        world.start_signer().await?;
        world.start_gateway().await?;
        Ok(Stage {
            closer: Closer::start(ledger.clone(), options.close_every),
            world,
            ledger,
            between,
            network_id: server.network_id,
            reserve: server.reserve,
            lacks,
            funder,
            people,
        })
    }

    pub(super) fn client(&self) -> Client {
        self.world.client()
    }

    pub(super) fn person(&self, name: &str) -> &Person {
        &self.people[name]
    }

    pub(super) fn address(&self, name: &str) -> String {
        self.people[name].address()
    }

    /// Skips the case if the server does not have what it needs.
    pub(super) fn needs(&self, amendment: &'static str) -> Result<(), Fault> {
        match self.lacks.get(amendment) {
            None => Ok(()),
            Some(said) => Err(Fault::Skipped(format!(
                "amendment {amendment} not enabled ({said})"
            ))),
        }
    }

    /// A request for drops to one of the people.
    pub(super) fn to(&self, id: &str, name: &str, drops: u64) -> CreatePaymentRequest {
        payment(id, &self.address(name), drops)
    }

    /// A request for dollars of an issuer.
    pub(super) fn dollars(
        &self,
        id: &str,
        issuer: &str,
        to: &str,
        value: &str,
    ) -> CreatePaymentRequest {
        let amount = IssuedAmount {
            currency: people::CURRENCY.to_owned(),
            issuer: self.address(issuer),
            value: value.to_owned(),
        };
        CreatePaymentRequest {
            amount: Some(create_payment_request::Amount::Issued(amount)),
            ..payment(id, &self.address(to), 0)
        }
    }

    /// Asks until it is stored, and waits until it is decided.
    pub(super) async fn pay(&self, request: CreatePaymentRequest) -> Result<Payment, Fault> {
        self.store(&request).await?;
        self.decided(&request.payment_id).await
    }

    pub(super) async fn store(&self, request: &CreatePaymentRequest) -> Result<Payment, Fault> {
        Ok(self.client().create_until_stored(request, WITHIN).await?)
    }

    pub(super) async fn decided(&self, id: &str) -> Result<Payment, Fault> {
        Ok(self.client().until_final(id, WITHIN).await?)
    }

    /// Waits for a condition.
    pub(super) async fn until<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> Result<Option<T>, Fault>,
    ) -> Result<T, Fault> {
        let deadline = Instant::now() + WITHIN;
        loop {
            // An error is nothing that was seen: the process may just be starting.
            let looked = look().await;
            if let Ok(Some(seen)) = looked {
                return Ok(seen);
            }
            if Instant::now() > deadline {
                let why = looked.err().map(|fault| format!(": {fault}"));
                return Err(Fault::wrong(format!(
                    "{what}: not within {} s{}",
                    WITHIN.as_secs(),
                    why.unwrap_or_default()
                )));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until the timeline has this stage.
    pub(super) async fn until_stage(&self, id: &str, stage: TimelineStage) -> Result<(), Fault> {
        let client = self.client();
        self.until(&format!("{id} is {}", stage_name(stage)), async || {
            let explained = client.explain(id).await?;
            let there = explained.events.iter().any(|event| event.stage() == stage);
            Ok(there.then_some(()))
        })
        .await
    }

    /// No ledger is closed until [`Stage::go_on`].
    pub(super) fn hold_ledgers(&self) {
        self.closer.paused.store(true, Ordering::SeqCst);
    }

    pub(super) fn go_on(&self) {
        self.closer.paused.store(false, Ordering::SeqCst);
    }

    /// Waits until the gateway's own look at the ledger says that this can be received, or that it cannot.
    pub(super) async fn until_seen(
        &self,
        request: &CreatePaymentRequest,
        receivable: bool,
    ) -> Result<(), Fault> {
        let only_asks = CreatePaymentRequest {
            validate_only: true,
            ..request.clone()
        };
        let client = self.client();
        let what = format!("{} can be received: {receivable}", request.payment_id);
        self.until(&what, async || {
            let seen = match client.create(only_asks.clone()).await {
                Ok(_) => true,
                Err(status) if status.code() == Code::FailedPrecondition => false,
                Err(status) => return Err(status.into()),
            };
            Ok((seen == receivable).then_some(()))
        })
        .await
    }

    /// The transaction as the server shows it.
    pub(super) async fn transaction(&self, payment: &Payment) -> Result<Value, Fault> {
        let hash = &payment.evidence.clone().unwrap_or_default().tx_hash;
        Ok(self
            .ledger
            .ask("tx", json!({ "transaction": hash }))
            .await?)
    }
}

/// What somebody did got into the open ledger.
pub(super) fn done(result: Result<String, LedgerError>) -> Result<(), Fault> {
    match result?.as_str() {
        // The second one: the open ledger is full, and the next one takes it.
        "tesSUCCESS" | "terQUEUED" => Ok(()),
        other => Err(Fault::wrong(format!(
            "somebody else's transaction got {other}"
        ))),
    }
}

/// The state, or what is instead of it.
pub(super) fn is(payment: &Payment, wanted: PaymentState) -> Result<String, Fault> {
    let said = describe(payment);
    if payment.state() == wanted {
        Ok(said)
    } else {
        Err(Fault::Wrong(said))
    }
}

/// State, result and reason in a few words.
pub(super) fn describe(payment: &Payment) -> String {
    let evidence = payment.evidence.clone().unwrap_or_default();
    let mut words = vec![state_name(payment.state()).to_owned()];
    if !evidence.engine_result.is_empty() {
        words.push(evidence.engine_result.clone());
    }
    if evidence.ledger_index != 0 {
        words.push(format!("ledger {}", evidence.ledger_index));
    }
    if payment.state() != PaymentState::Paid && !payment.reason_detail.is_empty() {
        words.push(payment.reason_detail.clone());
    }
    words.join(", ")
}

fn asset(issuer: &Person) -> Asset {
    Asset {
        currency: people::CURRENCY.to_owned(),
        issuer: issuer.address(),
        max_payment: "500".to_owned(),
        daily_limit: "5000".to_owned(),
        max_transfer_fee_ppm: TRANSFER_FEE_CAP_PPM,
    }
}

async fn fund(
    ledger: &Ledger,
    funder: &Person,
    accounts: impl Iterator<Item = (String, u64)>,
) -> Result<(), Fault> {
    let accounts: Vec<_> = accounts.collect();
    for some in accounts.chunks(FUNDED_PER_LEDGER) {
        for (address, drops) in some {
            let fields = json!({ "TransactionType": "Payment", "Destination": address, "Amount": drops.to_string() });
            let sent = funder.sends(fields).await;
            done(sent).map_err(|fault| {
                Fault::wrong(format!(
                    "the funder {} cannot pay: {fault}",
                    funder.address()
                ))
            })?;
        }
        ledger.close_ledger().await?;
    }
    // What was queued comes with one of the next ledgers.
    for _ in 0..FUNDED_WITHIN_LEDGERS {
        let mut missing = None;
        for (address, _) in &accounts {
            if ledger.account(address).await?.is_none() {
                missing = Some(address);
            }
        }
        match missing {
            None => return Ok(()),
            Some(_) => ledger.close_ledger().await?,
        }
    }
    Err(Fault::wrong(format!(
        "payments of the funder {} do not arrive within {FUNDED_WITHIN_LEDGERS} ledgers",
        funder.address()
    )))
}
