//! Picture: the fleet as people see it, and whether it suffices.
//!
//! Owns: the words. May not: be used to choose a server; the standings are.

use paygate_payments::proof::{Quorum, Source};

use super::standing::{Fault, Level};

/// All servers, as they were seen last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Each, in the order of the configuration.
    pub servers: Vec<ServerPicture>,
    /// Why nothing can be decided with the servers that are there. `None`: it can.
    pub short: Option<String>,
    /// Groups of servers, each large enough to be believed alone, contradict each other.
    pub split: Option<String>,
    /// Servers contradict each other, and none of them is believed.
    pub disputed: Option<String>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerPicture {
    /// Its name in metrics and logs.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// Who runs it.
    pub operator: String,
    /// It is our own.
    pub own: bool,
    /// There is a connection whose network is proven.
    pub connected: bool,
    /// It is asked at all.
    pub used: bool,
    /// It is preferred no less than any other.
    pub in_health: bool,
    /// Transactions go through it.
    pub primary: bool,
    /// It was found not to tell the truth.
    pub lies: bool,
    /// Its own word on its state, or what is wrong with it.
    pub detail: String,
    /// What it is set aside for; empty if it is not.
    pub reason: String,
    /// The newest validated ledger that it told.
    pub newest: Option<u32>,
    /// So many ledgers behind what is agreed on.
    pub lag: u32,
    /// How long its last answer took, or is open.
    pub latency_ms: u32,
}

impl ServerPicture {
    /// A word or two on how it is used.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.used, self.in_health, self.primary) {
            (true, true, true) => "primary",
            (true, true, false) => "used",
            (true, false, true) => "primary for want of a better one",
            (true, false, false) => "only if needed",
            (false, ..) => "set aside",
        }
    }
}

/// Whether a fault leaves a server fit to tell what a ledger holds.
pub(super) fn is_fit(fault: Option<&Fault>) -> bool {
    match fault {
        None => true,
        Some(Fault::NotFollowing(_) | Fault::Refuses(_) | Fault::Stuck(_)) => false,
        Some(fault) => fault.level() != Level::Out,
    }
}

/// Why nothing can be decided, if so.
pub(super) fn shortage(
    quorum: Quorum,
    servers: &[(Source, String, Option<Fault>)],
) -> Option<String> {
    let fit: Vec<Source> = servers
        .iter()
        .filter(|(_, _, fault)| is_fit(fault.as_ref()))
        .map(|(source, ..)| source.clone())
        .collect();
    if quorum.suffices(&fit) {
        return None;
    }
    if let [(_, _, Some(fault))] = servers {
        return Some(fault.to_string());
    }
    let unfit = servers.iter().filter_map(|(_, name, fault)| {
        let fault = fault.as_ref().filter(|fault| !is_fit(Some(fault)))?;
        Some(format!("{name}: {fault}"))
    });
    let unfit: Vec<String> = unfit.collect();
    Some(format!(
        "{} operators must agree and {} can be asked; {}",
        quorum.operators(),
        fit.len(),
        unfit.join("; ")
    ))
}
