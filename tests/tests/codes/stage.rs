//! The stage of these stories: one world with the real gateway and signer, whose ledger answers what it is told to.
//!
//! Owns: the orders to the simulated server, and waiting for what must come. May not: look into the gateway other than by its API.

use std::time::{Duration, Instant, SystemTime};

use paygate_proto::v1::{
    CreatePaymentRequest, ExplainPaymentResponse, GetStatusRequest, GetStatusResponse, Payment,
    PaymentState, TimelineStage, UnfreezeRequest,
};
use paygate_tests::world::client::{Client, DROPS_PER_XRP, payment};
use paygate_tests::world::ledger::Ledger;
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World};
use serde_json::{Value, json};

/// More than anything here takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);

/// What a gateway does between two ledgers takes no longer, unless the machine is busy.
const SOON: Duration = Duration::from_secs(5);

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(10);

/// Ledgers that a version lives. Short, so that the death of one is a matter of a few closes.
pub(crate) const WINDOW: u64 = 6;

/// Seconds that stand for one ledger in `pay_before`.
const LEDGER_SECONDS: u64 = 5;

/// What every payment here is worth: enough to create the account that it goes to.
pub(crate) const DROPS: u64 = DROPS_PER_XRP;

/// A world that tests act on.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) client: Client,
    pub(crate) ledger: Ledger,
}

/// What is known of a payment.
pub(crate) type Explained = ExplainPaymentResponse;

impl Stage {
    /// Ledgers close only on demand.
    pub(crate) async fn set() -> Stage {
        Stage::set_with(Setup::default()).await
    }

    /// The same, with a particular setting.
    pub(crate) async fn set_with(setup: Setup) -> Stage {
        let variable = |name: &str, value: u64| (format!("PAYGATE__{name}"), value.to_string());
        let world = World::start(Setup {
            close_ms: 0,
            daily_limit_xrp: "100000".into(),
            max_pending: 1000,
            gateway_variables: [
                setup.gateway_variables,
                vec![
                    variable("XRPL__LAST_LEDGER_WINDOW", WINDOW),
                    variable("XRPL__MAX_AT_LARGE", 300),
                ],
            ]
            .concat(),
            ..setup
        })
        .await
        .unwrap();
        let stage = Stage {
            client: world.client(),
            ledger: world.ledger(),
            world,
        };
        stage
            .until("the gateway has read a ledger", async || {
                stage.reconciled().await > 0
            })
            .await;
        stage
    }

    /// Another generation of the gateway, on the same store.
    pub(crate) async fn start_gateway(&mut self) {
        self.world.start_gateway().await.unwrap();
        self.client = self.world.client();
    }

    /// Asks for a payment to the account of its own name. `ledgers`: it must be in one of the next so many.
    pub(crate) async fn pay(&self, id: &str, ledgers: Option<u64>) {
        let pay_before = ledgers.map(|ledgers| {
            let seconds = ledgers * LEDGER_SECONDS + LEDGER_SECONDS - 1;
            prost_types::Timestamp::from(SystemTime::now() + Duration::from_secs(seconds))
        });
        let request = CreatePaymentRequest {
            pay_before,
            ..payment(id, &payee(id), DROPS)
        };
        self.client.create(request).await.unwrap();
    }

    // --- orders to the simulated server

    /// Payments to the account of this name are kept away from the ledger and answered so. None: no more.
    pub(crate) async fn answer(&self, id: &str, answer: Option<&Value>) {
        self.order(
            "answer_submit",
            json!({ "destination": payee(id), "answer": answer }),
        )
        .await;
    }

    /// The hashes of what came for this name while it was scripted, and how often something came.
    pub(crate) async fn given(&self, id: &str) -> (Vec<String>, u64) {
        let told = self
            .order("answer_submit", json!({ "destination": payee(id) }))
            .await;
        let hashes = told["given"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hash| hash.as_str().unwrap().to_owned());
        (hashes.collect(), told["arrivals"].as_u64().unwrap())
    }

    /// What came first for this name enters the open ledger, though nobody sends it again. `claim`: it lands with this code.
    pub(crate) async fn land(&self, id: &str, claim: Option<&str>) {
        let told = self
            .order("land", json!({ "destination": payee(id), "as": claim }))
            .await;
        assert_eq!(
            told["engine_result"],
            claim.unwrap_or("tesSUCCESS"),
            "{id}: {told}"
        );
    }

    /// Every request of this command is answered so. None: no more.
    pub(crate) async fn refuse(&self, command: &str, answer: Option<&Value>) {
        self.order(
            "answer_command",
            json!({ "command": command, "answer": answer }),
        )
        .await;
    }

    /// How often the command was refused.
    pub(crate) async fn refused(&self, command: &str) -> u64 {
        self.order("answer_command", json!({ "command": command }))
            .await["asked"]
            .as_u64()
            .unwrap()
    }

    /// Any order.
    pub(crate) async fn order(&self, name: &str, order: Value) -> Value {
        self.ledger
            .ask("sim_script", json!({ name: order }))
            .await
            .unwrap()
    }

    /// Closes one ledger and waits until the gateway has taken it in.
    pub(crate) async fn close(&self) {
        self.ledger.close_ledger().await.unwrap();
        let index = self.ledger.validated_index().await.unwrap();
        self.until("the gateway takes the ledger in", async || {
            self.reconciled().await >= index
        })
        .await;
    }

    // --- looks at the gateway

    /// The whole status.
    pub(crate) async fn status(&self) -> GetStatusResponse {
        let answer = self
            .client
            .operations()
            .get_status(GetStatusRequest::default())
            .await;
        answer.unwrap().into_inner()
    }

    /// Why sending is frozen. None: it is not.
    pub(crate) async fn frozen(&self) -> Option<String> {
        self.status()
            .await
            .freeze
            .filter(|freeze| freeze.active)
            .map(|freeze| freeze.reason)
    }

    /// The newest ledger that the gateway has taken in.
    pub(crate) async fn reconciled(&self) -> u64 {
        self.status()
            .await
            .ledger
            .map_or(0, |ledger| u64::from(ledger.validated_ledger_index))
    }

    /// As ExplainPayment tells it.
    pub(crate) async fn explain(&self, id: &str) -> Explained {
        self.client.explain(id).await.unwrap()
    }

    /// Waits for an answer of a server in the timeline that names `word`, and gives all that is told then.
    pub(crate) async fn until_answered(&self, id: &str, word: &str) -> Explained {
        self.until(&format!("{id} is answered with {word}"), async || {
            answers(&self.explain(id).await).contains(&word.to_owned())
        })
        .await;
        self.explain(id).await
    }

    /// Whether the timeline names `word` as an answer within a while.
    pub(crate) async fn is_answered_soon(&self, id: &str, word: &str) -> bool {
        let deadline = Instant::now() + SOON;
        while !answers(&self.explain(id).await).contains(&word.to_owned()) {
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        true
    }

    /// Waits for a state.
    pub(crate) async fn until_state(&self, id: &str, state: PaymentState) -> Explained {
        self.until(&format!("{id} is {}", state.as_str_name()), async || {
            shown(&self.explain(id).await).state() == state
        })
        .await;
        self.explain(id).await
    }

    /// Waits until sending is frozen.
    pub(crate) async fn until_frozen(&self) -> String {
        self.until("sending is frozen", async || self.frozen().await.is_some())
            .await;
        self.frozen().await.unwrap()
    }

    /// A person lets sending go on.
    pub(crate) async fn unfreeze(&self, why: &str) {
        let request = UnfreezeRequest {
            reason: why.to_owned(),
            ..UnfreezeRequest::default()
        };
        self.client.operations().unfreeze(request).await.unwrap();
        assert_eq!(self.frozen().await, None);
    }

    /// Polls until `holds`, or fails the story.
    pub(crate) async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + WITHIN;
        while !holds().await {
            assert!(
                Instant::now() < deadline,
                "{what}: not within {} s",
                WITHIN.as_secs()
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// What the account of this name holds, by the validated ledger.
    pub(crate) async fn received(&self, id: &str) -> u64 {
        let account = self.ledger.account(&payee(id)).await.unwrap();
        account.map_or(0, |(drops, _)| drops)
    }
}

/// The payment of an explanation.
pub(crate) fn shown(explained: &Explained) -> &Payment {
    explained.payment.as_ref().unwrap()
}

/// The words of all answers of servers in the timeline.
pub(crate) fn answers(explained: &Explained) -> Vec<String> {
    let answered = explained
        .events
        .iter()
        .filter(|event| event.stage() == TimelineStage::SubmitAnswered);
    let word =
        |name: &str, event: &paygate_proto::v1::TimelineEvent| event.details.get(name).cloned();
    answered
        .map(|event| {
            word("engine_result", event)
                .or(word("error", event))
                .unwrap_or_else(|| "unread".to_owned())
        })
        .collect()
}
