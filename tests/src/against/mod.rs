//! The end-to-end suite against a ledger's server that is given by its addresses: a real one in standalone mode, or the
//! simulated one.
//!
//! Owns: the list of cases, their order and the verdicts. May not: start a server, or use anything that only the
//! simulated one can do.
//!
//! `stage` is what the cases stand on, `people` who else there is, `between` what can break the connection; `xrp`,
//! `issued`, `slots` and `faults` hold the cases; `show` prints.

mod between;
mod faults;
mod issued;
mod people;
pub mod show;
mod slots;
mod stage;
mod xrp;

use std::fmt;
use std::time::{Duration, Instant};

use crate::world::WorldError;
use crate::world::client::NotFinal;
use crate::world::ledger::{Ledger, LedgerError};
use stage::{Server, Stage};

/// Where the server is and how it is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its WebSocket, without TLS.
    pub ws: String,
    /// The admin port of its JSON-RPC.
    pub admin_rpc: String,
    /// The seed of the account that pays for all. None: the genesis account's.
    pub funder_seed: Option<String>,
    /// The network that it must be on. None: whatever it says.
    pub network_id: Option<u32>,
    /// Time between ledgers.
    pub close_every: Duration,
    /// Names of cases. Empty: all.
    pub only: Vec<String>,
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Ok,
    /// Otherwise.
    Failed,
    /// The server cannot do what it needs.
    Skipped,
}

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// What it expects.
    pub expected: &'static str,
    /// What it got.
    pub got: String,
    /// Whether that is what it expects.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

/// All lines.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the server says it is.
    pub server: String,
    /// Its network.
    pub network_id: u32,
    /// The paying wallet.
    pub wallet: String,
    /// In their order.
    pub cases: Vec<Case>,
}

impl Report {
    /// Cases with this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        let cases = self.cases.iter();
        cases.filter(|case| case.verdict == verdict).count()
    }
}

/// Why a case is not ok.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Something else than expected.
    Wrong(String),
    /// The server cannot do what it needs.
    Skipped(String),
}

impl Fault {
    fn wrong(what: impl fmt::Display) -> Fault {
        Fault::Wrong(what.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Wrong(what) => f.write_str(what),
            Fault::Skipped(why) => write!(f, "skipped: {why}"),
        }
    }
}

impl From<tonic::Status> for Fault {
    fn from(status: tonic::Status) -> Fault {
        Fault::Wrong(format!("{:?}: {}", status.code(), status.message()))
    }
}

impl From<NotFinal> for Fault {
    fn from(error: NotFinal) -> Fault {
        Fault::wrong(error)
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Fault {
        Fault::wrong(error)
    }
}

impl From<WorldError> for Fault {
    fn from(error: WorldError) -> Fault {
        Fault::wrong(error)
    }
}

/// Every case with what it expects, in the order in which they run: what freezes an issuer for good, and the audit, last.
pub const CASES: [(&str, &str); 37] = [
    ("xrp", "PAID, the amount delivered"),
    ("tag", "PAID, the tag 0 on the ledger"),
    ("tag missing", "CANCELLED before sending: TAG_NEEDED"),
    ("x-address", "PAID, its tag on the ledger"),
    ("memo", "PAID, the memo on the ledger"),
    ("new account", "PAID, the account exists"),
    ("below the reserve", "CANCELLED before sending: NOT_FUNDED"),
    (
        "deposit authorisation",
        "CANCELLED before sending: DEPOSIT_NOT_AUTHORISED",
    ),
    ("xrp unwanted", "CANCELLED before sending: XRP_UNWANTED"),
    (
        "nobody's address",
        "CANCELLED before sending: NOBODYS_ADDRESS",
    ),
    ("same id again", "one payment; other content ALREADY_EXISTS"),
    ("unfunded", "waits for money, CANCELLED when asked"),
    (
        "changed after pre-flight",
        "each FAILED (tecDST_TAG_NEEDED) or PAID, as the ledger says",
    ),
    ("issued", "PAID, the amount delivered"),
    (
        "transfer fee",
        "PAID, the amount delivered, SendMax above it",
    ),
    (
        "transfer fee above the cap",
        "CANCELLED before sending: TRANSFER_FEE_ABOVE_CAP",
    ),
    ("no trust line", "CANCELLED before sending: NO_TRUST_LINE"),
    (
        "over the line's limit",
        "CANCELLED before sending: LINE_LIMIT",
    ),
    (
        "line not authorised",
        "CANCELLED before sending: LINE_NOT_AUTHORISED",
    ),
    ("frozen line", "PAID: a frozen holder still receives"),
    ("deep-frozen line", "CANCELLED before sending: LINE_FROZEN"),
    (
        "line deleted after pre-flight",
        "each FAILED (tecPATH_DRY) or PAID, as the ledger says",
    ),
    ("cancelled before it is bound", "CANCELLED, nothing sent"),
    ("deadline before it is bound", "EXPIRED, nothing sent"),
    (
        "cancelled in flight",
        "PAID or CANCELLED, as the ledger says",
    ),
    (
        "cancelled, never arrived",
        "CANCELLED: a no-op has its slot",
    ),
    (
        "deadline, never arrived",
        "EXPIRED, and a no-op fills its slot",
    ),
    ("lost, then sent again", "PAID"),
    ("burst", "60 PAID, each once"),
    ("burst past the open ledger", "40 PAID, each once"),
    ("gateway killed", "20 PAID, each once"),
    ("signer killed", "20 PAID, each once"),
    ("connection cut", "20 PAID, each once"),
    (
        "foreign transaction",
        "sending freezes, and goes on once it is acknowledged",
    ),
    (
        "gateway restarted in order",
        "knows everything that it said",
    ),
    (
        "issuer froze everything",
        "CANCELLED before sending: ASSET_FROZEN",
    ),
    ("audit", "0 double, 0 lost, 0 false, books balance"),
];

/// Runs the cases, and tells of each when it is done. An error: there was nothing to run them on.
pub async fn run(options: &Options, mut tell: impl FnMut(&Case)) -> Result<Report, Fault> {
    for name in &options.only {
        if CASES.iter().all(|(known, _)| known != name) {
            return Err(Fault::Wrong(format!("there is no case {name:?}")));
        }
    }
    let server = Server::ask(&Ledger::at(&options.admin_rpc)).await?;
    if let Some(wanted) = options.network_id
        && wanted != server.network_id
    {
        let got = server.network_id;
        return Err(Fault::Wrong(format!(
            "the server is on network {got}, not {wanted}"
        )));
    }
    let mut stage = Stage::set(options, &server).await?;
    let mut cases = Vec::new();
    for (name, expected) in CASES {
        if !options.only.is_empty() && options.only.iter().all(|only| only != name) {
            continue;
        }
        let began = Instant::now();
        let outcome = play(&mut stage, name).await;
        // Whatever a case has stopped goes on for the next one.
        stage.go_on();
        stage.between.swallow_submissions(false);
        let (verdict, got) = match outcome {
            Ok(got) => (Verdict::Ok, got),
            Err(Fault::Wrong(got)) => (Verdict::Failed, got),
            Err(Fault::Skipped(why)) => (Verdict::Skipped, format!("skipped: {why}")),
        };
        let case = Case {
            name,
            expected,
            got,
            verdict,
            took: began.elapsed(),
        };
        tell(&case);
        cases.push(case);
    }
    Ok(Report {
        server: server.version,
        network_id: server.network_id,
        wallet: stage.world.wallet().address(),
        cases,
    })
}

async fn play(stage: &mut Stage, name: &str) -> Result<String, Fault> {
    match name {
        "xrp" => xrp::plain(stage).await,
        "tag" => xrp::tag(stage).await,
        "x-address" => xrp::x_address(stage).await,
        "memo" => xrp::memo(stage).await,
        "new account" => xrp::new_account(stage).await,
        "same id again" => xrp::same_id(stage).await,
        "unfunded" => xrp::unfunded(stage).await,
        "changed after pre-flight" => xrp::changed(stage).await,
        "issued" => issued::plain(stage).await,
        "transfer fee" => issued::transfer_fee(stage).await,
        "frozen line" => issued::frozen_line(stage).await,
        "line deleted after pre-flight" => issued::deleted_line(stage).await,
        "issuer froze everything" => issued::frozen_issuer(stage).await,
        "cancelled before it is bound" => slots::cancelled_before(stage).await,
        "deadline before it is bound" => slots::deadline_before(stage).await,
        "cancelled in flight" => slots::cancelled_in_flight(stage).await,
        "cancelled, never arrived" => slots::cancelled_no_op(stage).await,
        "deadline, never arrived" => slots::deadline_no_op(stage).await,
        "lost, then sent again" => slots::lost_and_sent_again(stage).await,
        "burst" => faults::burst(stage).await,
        "burst past the open ledger" => faults::burst_past_the_open_ledger(stage).await,
        "gateway killed" => faults::gateway_killed(stage).await,
        "signer killed" => faults::signer_killed(stage).await,
        "connection cut" => faults::connection_cut(stage).await,
        "foreign transaction" => faults::foreign_transaction(stage).await,
        "gateway restarted in order" => faults::restarted(stage).await,
        "audit" => faults::audited(stage).await,
        other => xrp::given_up(stage, other).await,
    }
}
