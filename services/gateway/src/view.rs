//! What the loops of the gateway know at this moment, for everybody who answers questions.
//!
//! Owns: the types of that picture; the dispatcher and the confirmer write it, the API, the metrics and the health report
//! read it. May not: be used to decide anything about a payment.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use paygate_payments::codes::Advice;
use paygate_payments::codes::errors::Trouble;
use paygate_payments::codes::guide::{self, Guide};
use paygate_payments::continuity::{Doubt, Quarantine};
use paygate_payments::intent::{Intent, PaymentKey};
use paygate_payments::preflight::AssetFacts;
use paygate_payments::proof::Observed;
use paygate_payments::{LedgerIndex, LedgerRef};
use tokio::sync::watch;
use xrpl_tx::{Asset, Drops, IssuedValue, Slot};

use crate::clock::Millis;
use crate::store::{Announcement, Freeze, Pause, PauseScope};
use crate::xrpl::ServerPicture;

/// The picture.
#[derive(Clone, Debug, Default)]
pub struct EngineView {
    /// Generation of this gateway; 0 until it took over the store.
    pub epoch: u64,
    /// The newest validated ledger that is reconciled.
    pub validated: Option<LedgerRef>,
    /// When its news arrived here.
    pub validated_at: Option<Millis>,
    /// The wallet in that ledger. `None`: not read yet, or the account does not exist.
    pub account: Option<AccountView>,
    /// The signer as it described itself last.
    pub signer: SignerView,
    /// The connections to the ledger's servers.
    pub link: LinkView,
    /// The validated ledger has not moved for longer than a network in health takes.
    pub halted: bool,
    /// Continuity is in doubt.
    pub quarantine: Option<Quarantine>,
    /// Why the history before the store's first ledger cannot be imported now. Empty: it can, or need not be.
    pub import_stuck: String,
    /// The store's id, for `paygate-signer adopt-store`.
    pub store_id: String,
    /// Sending is stopped until a person looked.
    pub frozen: Option<Freeze>,
    /// Transactions made outside that were announced and may still come: meanwhile nothing is bound.
    pub announced: Vec<Announcement>,
    /// What people have paused, the oldest first.
    pub pauses: Arc<Vec<Pause>>,
    /// Why the next accepted payment is not bound now. `None`: nothing waits, or it is about to be bound.
    pub blocked: Option<Blocked>,
    /// What the ledger's server answered last to what was sent for each open slot. A hint for people, lost with the process.
    pub answers: Arc<BTreeMap<Slot, SlotAnswer>>,
    /// Why single accepted payments wait, without holding up those behind them.
    pub waits: Waits,
    /// The process is stopping.
    pub draining: bool,
}

/// The wallet in a validated ledger.
#[derive(Clone, Debug)]
pub struct AccountView {
    /// Its Sequence.
    pub sequence: u32,
    /// Its balance.
    pub balance: Drops,
    /// Objects that it owns.
    pub owner_count: u32,
    /// What every account must hold at least.
    pub reserve_base: Drops,
    /// What of the balance cannot be paid out.
    pub reserve: Drops,
    /// Balance less reserve less everything at large.
    pub spendable: Drops,
    /// Amounts and highest fees of everything at large.
    pub at_large: Drops,
    /// The regular key's account, if one is set.
    pub regular_key: Option<xrpl_tx::AccountId>,
    /// The master key may not sign.
    pub master_disabled: bool,
    /// The wallet's trust lines for the configured issued currencies in that ledger. One that is missing here was not read, or
    /// is not there: nothing of that asset is bound.
    pub lines: Vec<LineView>,
    /// Configured issued currencies in that ledger, as far as they were read.
    pub assets: Arc<BTreeMap<Asset, Observed<AssetFacts>>>,
}

impl LineView {
    /// What there is to see of a currency. `None`: the wallet has no trust line for it.
    #[must_use]
    pub fn of(facts: &AssetFacts) -> Option<Self> {
        let line = facts.wallet_line?;
        let all = facts
            .issuer
            .is_some_and(|issuer| issuer.has_global_freeze());
        Some(Self {
            asset: facts.asset,
            balance: line.balance,
            limit: line.limit,
            frozen: line.frozen_by_issuer || line.deep_frozen || all,
        })
    }
}

/// A trust line of the wallet in a validated ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineView {
    /// Whose what.
    pub asset: Asset,
    /// What the wallet holds. Zero if it owes the issuer.
    pub balance: IssuedValue,
    /// What the wallet is willing to hold.
    pub limit: IssuedValue,
    /// The issuer has frozen the line, or everything that it issued.
    pub frozen: bool,
}

impl AccountView {
    /// The wallet's trust line for an asset.
    #[must_use]
    pub fn line(&self, asset: Asset) -> Option<&LineView> {
        self.lines.iter().find(|line| line.asset == asset)
    }
}

/// What the signer said, and whether it still answers.
#[derive(Clone, Debug, Default)]
pub struct SignerView {
    /// Its last description.
    pub described: Option<paygate_proto::signer::v1::DescribeSignerResponse>,
    /// Why it does not answer now. `None`: it does.
    pub unreachable: Option<String>,
    /// Its own health service said SERVING.
    pub serving: bool,
}

/// The connections to the ledger's servers.
#[derive(Clone, Debug, Default)]
pub struct LinkView {
    /// At least one is up, its network is proven, and it may be asked.
    pub connected: bool,
    /// Why not, or the primary server's own word on its state.
    pub detail: String,
    /// Connected, and still of no use: too few servers of different operators answer and follow the network. `None`: nothing of
    /// that kind.
    pub unusable: Option<String>,
    /// Somebody should look: a server contradicts the others. `None`: nothing of that kind.
    pub alarm: Option<String>,
    /// How long the last question to the primary server took, or is open.
    pub latency_ms: u32,
    /// The newest validated ledger that enough servers announced.
    pub newest: Option<LedgerIndex>,
    /// Each server, in the order of the configuration. Empty before the first look.
    pub servers: Vec<ServerPicture>,
}

/// A reason that holds back accepted payments, with words for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The reason of the contract.
    pub reason: paygate_proto::v1::PaymentReason,
    /// Names values and limits.
    pub detail: String,
}

/// What a server said to a `submit`. It decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotAnswer {
    /// A result code, and in a word or two what the server did with the transaction.
    Result {
        /// For example `terQUEUED`.
        code: String,
        /// For example "kept for a later ledger".
        fate: &'static str,
    },
    /// An error.
    Refused {
        /// For example `noNetwork`.
        token: String,
        /// The server's sentence. May be empty.
        message: String,
    },
    /// Nothing that can be read.
    Unread,
}

/// Payments that wait for something of their own, and for what.
pub type Waits = Arc<BTreeMap<PaymentKey, Blocked>>;

/// Where the picture hangs. Writers change it in place, readers see whole pictures only.
#[derive(Clone, Debug)]
pub struct View(watch::Sender<Arc<EngineView>>);

// === impl EngineView ===

impl EngineView {
    /// Why continuity is in doubt, how long, and what a person has to do about it.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        let quarantine = self.quarantine?;
        let store = match quarantine.why {
            Doubt::OtherStore => format!(" (this store's id is {})", self.store_id),
            _ => String::new(),
        };
        let import = match self.import_stuck.as_str() {
            "" => String::new(),
            why => format!("; the wallet's earlier history cannot be imported: {why}"),
        };
        Some(format!("{quarantine}{store}{import}"))
    }

    /// Why a payment of this content is paused. `None`: it is not.
    #[must_use]
    pub fn pause_of(&self, intent: &Intent) -> Option<&Pause> {
        self.pauses.iter().find(|pause| pause.covers(intent))
    }

    /// The pause of the wallet as a whole.
    #[must_use]
    pub fn wallet_pause(&self) -> Option<&Pause> {
        let of_all = |pause: &&Pause| pause.scope == PauseScope::Wallet;
        self.pauses.iter().find(of_all)
    }

    /// How many ledgers the server has announced that are not reconciled here.
    #[must_use]
    pub fn unreconciled(&self) -> u32 {
        match (self.link.newest, self.validated) {
            (Some(newest), Some(done)) => newest.0.saturating_sub(done.index.0),
            _ => 0,
        }
    }
}

// === impl SlotAnswer ===

impl SlotAnswer {
    /// Whether it stops all sending until a person looked.
    #[must_use]
    pub fn freezes(&self) -> bool {
        match self {
            Self::Result { code, .. } => Advice::of(code).freezes(),
            Self::Refused { token, .. } => Trouble::of(token).freezes(),
            Self::Unread => false,
        }
    }

    /// What it means, and what happens next.
    #[must_use]
    pub fn guide(&self) -> Guide {
        match self {
            Self::Result { code, .. } => guide::provisional(code),
            Self::Refused { token, .. } => guide::refused(token),
            Self::Unread => guide::unanswered(),
        }
    }
}

impl fmt::Display for SlotAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = self.guide().meaning;
        match self {
            Self::Result { code, fate } => write!(f, "{code} ({fate}), provisional: {meaning}"),
            Self::Refused { token, message } if message.is_empty() => {
                write!(f, "refused with {token}, the ledger will tell: {meaning}")
            }
            Self::Refused { token, message } => {
                write!(
                    f,
                    "refused with {token} ({message}), the ledger will tell: {meaning}"
                )
            }
            Self::Unread => write!(f, "no usable answer, the ledger will tell: {meaning}"),
        }
    }
}

// === impl View ===

impl Default for View {
    fn default() -> Self {
        Self(watch::Sender::new(Arc::default()))
    }
}

impl View {
    /// The picture now, shared with whoever else looks at it.
    #[must_use]
    pub fn now(&self) -> Arc<EngineView> {
        Arc::clone(&self.0.borrow())
    }

    /// Tells of changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<EngineView>> {
        self.0.subscribe()
    }

    /// Changes the picture. Who holds the one before keeps it as it was.
    pub fn update(&self, change: impl FnOnce(&mut EngineView)) {
        self.0.send_modify(|view| change(Arc::make_mut(view)));
    }
}
