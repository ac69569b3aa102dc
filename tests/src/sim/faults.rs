//! Everything that may go wrong between a gateway and its ledger, by the numbers F1 to F52, and how to order it.
//!
//! Owns: the names of the faults and the orders for them, the same for the simulation in one thread and for servers behind sockets (as
//! JSON in the admin command `sim_script`: `{"fault": {"lag": {"ledgers": 3}}}`, `{"heal": true}`). May not: carry them out: `conduct`
//! does for whole servers, `tamper` for what they answer, `line` for what goes over a wire.

use serde::Deserialize;

use super::standing::ServerMode;

/// A fault of one server or of its connections. Those without an end of their own last until the server is healed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Some requests or answers go wrong on the wire.
    Wire(WireFault),
    /// Some pushed messages do.
    Push(PushFault),
    /// Some connections do not come about, or elsewhere.
    Dial(DialFault),
    /// What it says of some things is not what it has.
    Lie(Lie),
    /// It learns this many ledgers late what is validated; what it says is consistent, but old.
    Lag {
        /// How many.
        ledgers: u32,
    },
    /// It stands still, and says that it is up to date.
    Frozen,
    /// It builds a chain of its own; with `validated` it says that everybody agreed on that.
    Fork {
        /// What it says.
        validated: bool,
    },
    /// Nobody hears of what it is given.
    RelayLoss,
    /// Its process is gone. Healing starts it again.
    Gone,
    /// Its process was started again: open ledger, queue and caches are lost, and with `behind` also so many ledgers.
    Restart {
        /// How many.
        behind: u32,
    },
    /// It is not, or not yet, a full member of its network.
    Mode(ServerMode),
    /// It cannot follow its network any more and says so.
    Blocked(BlockedBy),
    /// Its network was begun anew, or is another one.
    Reset {
        /// None: the same number as before.
        network_id: Option<u32>,
    },
    /// It is an old release.
    Old,
    /// It is a Clio server in front of another.
    Clio,
    /// Its open ledger costs so many times more.
    FeeSpike {
        /// How many times.
        times: u64,
    },
    /// It is busy, and demands so many times more itself, whatever the ledger.
    LoadFactor {
        /// How many times.
        times: u64,
    },
    /// Its queue takes nobody any more; who waits in it stays.
    QueueFull,
    /// Everybody in its queue is thrown out, once.
    Evict,
    /// It has none of these ledgers.
    MissingHistory {
        /// The first one, counted back from the last validated one.
        from_back: u32,
        /// How many.
        ledgers: u32,
    },
    /// It saves its last ledgers late: their transactions cannot be found for so long, though it says that it has them.
    SaveDelay {
        /// How many.
        ledgers: u32,
    },
}

/// What keeps a server from following its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockedBy {
    /// A change of the rules that it does not know.
    Amendment,
    /// Its list of validators has expired.
    Unl,
}

/// Which requests, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireFault {
    /// Only this command; None: any.
    #[serde(default)]
    pub command: Option<String>,
    /// So many go well before.
    #[serde(default)]
    pub skip: u32,
    /// So many are hit.
    #[serde(default = "one")]
    pub times: u32,
    /// What happens to them.
    pub how: How,
}

fn one() -> u32 {
    1
}

/// What becomes of a request and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The request is lost.
    LoseRequest,
    /// It is processed, and the answer is lost.
    LoseAnswer,
    /// The request is processed so many milliseconds late.
    DelayRequest(u64),
    /// It is processed, and the answer comes so many milliseconds late.
    DelayAnswer(u64),
    /// It is processed, and the connection ends in the middle of the answer.
    CutAnswer,
    /// It is processed, and the connection is closed with this code instead of an answer.
    Close(u16),
    /// From here on nothing comes through in either direction, and nobody says so.
    HalfOpen,
    /// The answer comes twice.
    Repeat,
    /// The answer carries another id.
    WrongId,
    /// The answer to the request before comes, with its old id, and then the right one.
    OldId,
    /// A proxy answers with a page.
    Page,
    /// The answer is empty.
    Empty,
    /// The answer is compressed, and not all of it is there.
    Garbage,
    /// The request is refused with this error, and not looked at.
    Refuse(String),
    /// The answer says that the client asks for too much.
    Warn,
}

/// Which pushed messages, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushFault {
    /// So many go well before.
    #[serde(default)]
    pub skip: u32,
    /// So many are hit.
    #[serde(default = "one")]
    pub times: u32,
    /// What happens to them.
    pub how: PushHow,
}

/// What becomes of a pushed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushHow {
    /// It comes twice.
    Repeat,
    /// The next one comes before it.
    Swap,
    /// It is lost.
    Lose,
    /// It is lost if it tells of a ledger or of its transactions: so many ledgers are missing.
    LoseLedgers,
    /// It is lost if it tells of a transaction: only the ledger is told.
    OnlyLedgers,
    /// What was only proposed comes after what is validated.
    ProposedLate,
}

/// Which connections, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DialFault {
    /// So many are hit.
    #[serde(default = "one")]
    pub times: u32,
    /// What happens to them.
    pub how: DialHow,
}

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DialHow {
    /// No name, no route, no certificate: there is none.
    Refuse,
    /// A proxy answers with 502 and a page.
    Page,
    /// It ends at another server of the network, by its number.
    Elsewhere(usize),
}

/// What a server says that is not so. The chain that it says it of is the right one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lie {
    /// A validated account's Sequence is that much lower.
    SequenceLower(u32),
    /// It is that much higher.
    SequenceHigher(u32),
    /// The account holds so many drops less.
    BalanceLower(u64),
    /// A transaction that it knows, but that no validated ledger holds, succeeded in the last one.
    Invents,
    /// A successful transaction failed with this code.
    Failed(String),
    /// No validated transaction of an account is to be found.
    Hides,
    /// The hashes of ledgers are others.
    OtherHashes,
    /// It has searched all ledgers, whatever it has.
    SearchedAll,
    /// It has not searched all ledgers, though it has.
    NeverSearchedAll,
    /// What it was given itself stays unvalidated for ever.
    NeverValidated,
    /// Every further page of a history begins with a later ledger.
    ShrinkingPages,
    /// A history begins so many ledgers later than asked, and ends as many earlier.
    ClampedPages(u32),
}

/// What the admin port is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// All servers close their open ledger.
    Close,
    /// This server gets into trouble.
    Fault(Fault),
    /// Its trouble ends.
    Heal,
}

impl Fault {
    /// Its number in the menu, 1 to 52.
    pub fn number(&self) -> u8 {
        match self {
            Self::Wire(wire) => wire.how.number(),
            Self::Push(push) => push.how.number(),
            Self::Dial(dial) => dial.how.number(),
            Self::Lie(lie) => lie.number(),
            Self::Lag { .. } => 11,
            Self::Frozen => 12,
            Self::Fork { validated: false } => 13,
            Self::Fork { validated: true } => 14,
            Self::Mode(_) => 15,
            Self::Restart { .. } | Self::Gone => 16,
            Self::Blocked(_) => 17,
            Self::Reset { .. } => 18,
            Self::Old => 19,
            Self::Clio => 20,
            Self::FeeSpike { .. } | Self::LoadFactor { .. } | Self::QueueFull | Self::Evict => 22,
            Self::RelayLoss => 26,
            Self::MissingHistory { .. } => 36,
            Self::SaveDelay { .. } => 37,
        }
    }
}

impl How {
    pub(super) fn number(&self) -> u8 {
        match self {
            Self::LoseRequest => 1,
            Self::LoseAnswer => 2,
            Self::DelayRequest(_) | Self::DelayAnswer(_) => 3,
            Self::CutAnswer | Self::Close(_) => 4,
            Self::HalfOpen => 5,
            Self::Repeat => 6,
            Self::WrongId | Self::OldId => 7,
            Self::Page | Self::Empty | Self::Garbage => 8,
            Self::Refuse(_) | Self::Warn => 21,
        }
    }
}

impl PushHow {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Repeat => 42,
            Self::Swap => 43,
            Self::Lose => 44,
            Self::LoseLedgers => 45,
            Self::OnlyLedgers => 46,
            Self::ProposedLate => 47,
        }
    }
}

impl DialHow {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Refuse => 9,
            Self::Page => 8,
            Self::Elsewhere(_) => 10,
        }
    }
}

impl Lie {
    pub(super) fn number(&self) -> u8 {
        match self {
            Self::SequenceLower(_)
            | Self::SequenceHigher(_)
            | Self::BalanceLower(_)
            | Self::Invents
            | Self::Failed(_)
            | Self::Hides
            | Self::OtherHashes
            | Self::SearchedAll => 14,
            Self::NeverSearchedAll => 38,
            Self::NeverValidated => 39,
            Self::ShrinkingPages => 40,
            Self::ClampedPages(_) => 41,
        }
    }
}

/// The names of all faults, for reports: those of the menu's sections transport, server, load, ledger, history, streams, and of the
/// client's own side, which the simulation of the gateway brings about itself.
pub const FAULT_NAMES: [&str; 52] = [
    "F1 request lost",
    "F2 answer lost, request processed",
    "F3 answer or request late",
    "F4 disconnected in the middle of an answer, close codes",
    "F5 half-open connection",
    "F6 answer twice",
    "F7 answer with a wrong or old id",
    "F8 page of a proxy, empty or damaged answer",
    "F9 no connection",
    "F10 connected to another server",
    "F11 server lags",
    "F12 server stands still and looks fresh",
    "F13 server builds its own chain",
    "F14 server lies about validated ledgers",
    "F15 server not in full mode",
    "F16 server started again, or gone",
    "F17 server blocked by amendment or list",
    "F18 wrong or reset network",
    "F19 old release",
    "F20 Clio in front",
    "F21 overloaded, not synced",
    "F22 fees rise, queue full, evicted",
    "F23 network halts",
    "F24 slow consensus",
    "F25 empty ledgers",
    "F26 relay lost",
    "F27 other version of a slot preferred",
    "F28 fees and reserves change",
    "F29 amendment toggles a feature",
    "F30 somebody else has the key",
    "F31 incoming payments, freezes, clawback",
    "F32 destination changes its rules",
    "F33 result flips by order",
    "F34 malleated multi-signature",
    "F35 fee capped by the balance",
    "F36 missing ledgers",
    "F37 saved late",
    "F38 searched_all false",
    "F39 unvalidated for ever",
    "F40 pages that shrink",
    "F41 range clamped",
    "F42 message twice",
    "F43 messages out of order",
    "F44 messages lost",
    "F45 gap of ledgers",
    "F46 ledger without its transactions",
    "F47 proposed after validated",
    "F48 crash at a durable write",
    "F49 older store restored",
    "F50 two gateways",
    "F51 clock jumps",
    "F52 disk full or lying",
];
