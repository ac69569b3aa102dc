//! Identity: proof that a server is on our network, before anything of a caller's is sent to it.
//!
//! Owns: the first requests on every connection. May not: trust a name or a URL. Mainnet, testnet and devnet accept each
//! other's blobs, so only the hash of a ledger that is known to be ours proves anything.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio_stream::StreamExt;
use tokio_tungstenite::tungstenite::Message;

use super::dial::Wire;
use super::driver::{send, text_of};
use paygate_payments::LedgerRef;

use super::facts::LedgerEvent;
use super::link::{CallError, DisconnectReason, LinkSettings, Proof, Recent, WrongNetwork};
use super::wire::{self, Incoming};
use crate::clock;

/// Ids below are used here; callers' requests start from it.
pub(super) const FIRST_FREE_ID: u64 = 16;

/// A server whose network is proven.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) proof: Proof,
    /// The validated ledger that `subscribe` reported, absent on a server that has none yet.
    pub(super) ledger: Option<LedgerEvent>,
}

/// Why a server was turned away.
#[derive(Debug)]
pub(super) enum Refusal {
    WrongNetwork(WrongNetwork),
    /// It can show neither of the ledgers that we know.
    Unproven(String),
}

/// How proving failed.
#[derive(Debug)]
pub(super) enum Failure {
    Refused(Refusal),
    Lost(DisconnectReason),
}

impl From<WrongNetwork> for Failure {
    fn from(mismatch: WrongNetwork) -> Failure {
        Failure::Refused(Refusal::WrongNetwork(mismatch))
    }
}

impl From<CallError> for Failure {
    fn from(err: CallError) -> Failure {
        Failure::Refused(Refusal::Unproven(err.to_string()))
    }
}

/// Proves the network, then subscribes. The caller sets the time limit.
pub(super) async fn prove(
    socket: &mut Wire,
    settings: &LinkSettings,
    recent: Recent,
) -> Result<Proven, Failure> {
    let mut asked = Asker {
        socket,
        settings,
        next_id: 0,
    };
    let state: wire::ServerState = asked.ask("server_state", Map::new()).await?;
    let info = state.into_facts()?;
    if let Some(got) = info.network_id
        && got != settings.network_id
        && !xrpl_tx::mutant!("network-unproven")
    {
        let wanted = settings.network_id;
        return Err(WrongNetwork::NetworkId { wanted, got }.into());
    }
    let proof = if asked.holds(settings.anchor).await? || xrpl_tx::mutant!("network-unproven") {
        Proof::Anchor(settings.anchor)
    } else {
        asked
            .prove_by_recent(recent, &info.complete_ledgers)
            .await?
    };
    let params = Map::from_iter([("streams".to_owned(), json!(["ledger"]))]);
    let subscribed: wire::Subscribed = asked.ask("subscribe", params).await?;
    Ok(Proven {
        proof,
        ledger: subscribed
            .into_ledger()
            .map(|ledger| ledger.seen_at(clock::instant())),
    })
}

struct Asker<'a> {
    socket: &'a mut Wire,
    settings: &'a LinkSettings,
    next_id: u64,
}

impl Asker<'_> {
    /// By the newest agreed ledger, or by one that a server with a proven network told.
    async fn prove_by_recent(&mut self, recent: Recent, held: &str) -> Result<Proof, Failure> {
        let anchor = self.settings.anchor.index;
        if let Some(agreed) = recent.agreed
            && self.holds(agreed).await?
        {
            return Ok(Proof::Recent(agreed));
        }
        let why = match (recent.hint, recent.agreed) {
            (Some(hint), _) => match self.holds(hint).await {
                Ok(true) => return Ok(Proof::Recent(hint)),
                Ok(false) => format!(
                    "it holds neither the anchor ledger {anchor} nor the recent ledger {}",
                    hint.index
                ),
                // Either of the two servers may be wrong; this one is not used until more is known.
                Err(Failure::Refused(Refusal::WrongNetwork(mismatch))) => {
                    format!("another server's {mismatch}")
                }
                Err(failure) => return Err(failure),
            },
            (None, Some(agreed)) => format!(
                "it holds neither the anchor ledger {anchor} nor the recent ledger {}",
                agreed.index
            ),
            (None, None) => format!(
                "its history ({}) does not reach the anchor ledger {anchor} and no recent ledger is known",
                super::driver::short(&held)
            ),
        };
        Err(Failure::Refused(Refusal::Unproven(why)))
    }

    /// Whether the server holds this very ledger. False: it does not hold the index at all.
    async fn holds(&mut self, wanted: LedgerRef) -> Result<bool, Failure> {
        let params = Map::from_iter([("ledger_index".to_owned(), json!(wanted.index.0))]);
        let answer: Result<wire::LedgerAnswer, CallError> = match self.ask("ledger", params).await {
            Ok(answer) => Ok(answer),
            Err(Asked::Lost(reason)) => return Err(Failure::Lost(reason)),
            Err(Asked::Answered(err)) => Err(err),
        };
        match answer {
            Ok(answer) => {
                let header = answer.into_facts()?;
                if header.index != wanted.index.0 || !header.validated {
                    return Ok(false);
                }
                if header.hash != wanted.hash {
                    let mismatch = WrongNetwork::LedgerHash {
                        index: wanted.index.0,
                        wanted: wanted.hash,
                        got: header.hash,
                    };
                    return Err(mismatch.into());
                }
                Ok(true)
            }
            // An index above what the server has is lgrNotFound too, or invalidParams, depending on its version.
            Err(CallError::Server { error, .. })
                if matches!(error.as_str(), "lgrNotFound" | "invalidParams") =>
            {
                Ok(false)
            }
            Err(other) => Err(other.into()),
        }
    }

    async fn ask<T: DeserializeOwned>(
        &mut self,
        command: &'static str,
        params: Map<String, Value>,
    ) -> Result<T, Asked> {
        let wanted = self.next_id;
        self.next_id += 1;
        assert!(
            self.next_id <= FIRST_FREE_ID,
            "identity uses a handful of requests"
        );
        let text = wire::write_request(wanted, command, params);
        send(
            self.socket,
            Message::text(text),
            self.settings.request_timeout,
        )
        .await
        .map_err(Asked::Lost)?;
        loop {
            let message = self.socket.next().await;
            let Some(text) = text_of(message).map_err(Asked::Lost)? else {
                continue;
            };
            if let Incoming::Answer { id, .. } = wire::sort(&text)
                && id == wanted
            {
                return wire::read_answer(command, &text).map_err(Asked::Answered);
            }
        }
    }
}

/// How a question of our own failed.
enum Asked {
    Lost(DisconnectReason),
    Answered(CallError),
}

impl From<Asked> for Failure {
    fn from(asked: Asked) -> Failure {
        match asked {
            Asked::Lost(reason) => Failure::Lost(reason),
            Asked::Answered(err) => err.into(),
        }
    }
}
