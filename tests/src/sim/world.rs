//! The chain as one server has it, and how a set of transactions becomes its next ledger.
//!
//! Owns: ledgers and the indexes over them. May not: know servers, sockets, files or clocks. Everything is synchronous and
//! decided by its arguments.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::apply::{Mode, apply};
use super::archive::Archive;
use super::blob::Tx;
use super::codes::Ter;
use super::money::Money;
use super::order::{account_hash, canonical_order, header_hash, next_close_time, transaction_hash};
use super::state::{Account, Accounts, Fees, Overlay, TOTAL_DROPS, View};
use super::types::{AccountId, Hash, Millis, sha512_half};

/// The account that holds all XRP that nobody else was given: seed `snoPBrXtMeMyMHUVTgbuqAfg1SUTb`, "masterpassphrase".
pub const GENESIS_ADDRESS: &str = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh";
/// Passes over the candidates while a ledger is built.
const PASSES_MAX: u32 = 3;

/// Where a network starts.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Genesis {
    /// Its id; above 1024 every transaction must name it.
    pub network_id: u32,
    /// Index of the first ledger.
    pub start_index: u32,
    /// Its fees and reserves.
    pub fees: Fees,
    /// Classic addresses and their first balances in drops.
    pub funded: BTreeMap<String, u64>,
    /// Ledger time of the first ledger; two networks started at different times have different hashes.
    pub close_time: u32,
}

/// Why a network cannot start like that.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// Not a classic address.
    #[error("funded account {0:?} is not a classic address")]
    Address(String),
    /// More than there is.
    #[error("funded balances exceed the 100 billion XRP there are")]
    TooMuch,
}

/// Which release of the real server is played. The recorded ones differ in what they say, hardly in what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// 2.3.0-b4.
    V2_3,
    /// 3.3.0-b0.
    V3_3,
}

/// A transaction in a validated ledger.
#[derive(Debug)]
pub(super) struct Included {
    /// The transaction.
    pub tx: Arc<Tx>,
    /// Its final result.
    pub ter: Ter,
    /// Metadata as printed.
    pub meta: Map<String, Value>,
    /// What reached the destination.
    pub delivered: Option<Money>,
    /// XRP that it burned as its fee.
    pub burned: u64,
    /// Accounts in the metadata.
    pub affected: Vec<AccountId>,
}

/// A closed ledger.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Its number.
    pub index: u32,
    /// Identifies it, and through `parent_hash` everything before it.
    pub hash: Hash,
    /// The ledger before it.
    pub parent_hash: Hash,
    /// In ledger seconds.
    pub close_time: u32,
    /// Of the ledger before it.
    pub parent_close_time: u32,
    /// XRP not burned yet.
    pub total_drops: u64,
    /// Stands for the state tree: it chains over all changes.
    pub account_hash: Hash,
    /// Stands for the transaction tree.
    pub transaction_hash: Hash,
    /// In the order of `TransactionIndex`.
    pub txs: Vec<Included>,
}

/// A ledger and what it changed. Servers that agree share it.
#[derive(Debug, Clone)]
pub(super) struct Built {
    /// The ledger.
    pub ledger: Arc<Ledger>,
    changed: Arc<Overlay>,
}

/// What is left of the candidates: no ledger holds them and they are not refused for good.
pub(super) type Leftover = Vec<Arc<Tx>>;

/// A position in the chain: ledger index, and position in it.
pub(super) type Position = (u32, usize);

/// The chain as one server has it: closed ledgers, of which the last may not be validated yet.
pub(super) struct World {
    /// How it began.
    pub genesis: Genesis,
    /// The release that its server is.
    pub release: Release,
    /// Its network is young and has voted no amendment in yet.
    pub without_amendments: bool,
    /// The accounts as of the last closed ledger, and all they were before.
    pub accounts: Accounts,
    /// What its server knows of it.
    pub archive: Archive,
    ledgers: Vec<Built>,
    by_hash: HashMap<Hash, Position>,
    by_account: HashMap<AccountId, Vec<Position>>,
}

impl World {
    /// A network with its first ledger.
    pub(super) fn new(genesis: Genesis) -> Result<Self, GenesisError> {
        let mut accounts = Accounts::default();
        let mut rest = TOTAL_DROPS;
        let mut seed = format!(
            "network {} start {}",
            genesis.network_id, genesis.start_index
        );
        let mut fund = |address: &str, drops: u64, sequence: u32| {
            let id = AccountId::from_address(address)
                .ok_or_else(|| GenesisError::Address(address.to_owned()))?;
            seed.push_str(&format!(" {id} {drops}"));
            let account = Account::new(id, drops, sequence);
            accounts.put(genesis.start_index, account);
            Ok(())
        };
        for (address, drops) in genesis
            .funded
            .iter()
            .filter(|(address, _)| *address != GENESIS_ADDRESS)
        {
            rest = rest.checked_sub(*drops).ok_or(GenesisError::TooMuch)?;
            fund(address, *drops, genesis.start_index)?;
        }
        fund(GENESIS_ADDRESS, rest, 1)?;
        let mut first = Ledger {
            index: genesis.start_index,
            hash: Hash::default(),
            parent_hash: Hash::default(),
            close_time: genesis.close_time,
            parent_close_time: 0,
            total_drops: TOTAL_DROPS,
            account_hash: sha512_half(&[seed.as_bytes()]),
            transaction_hash: Hash::default(),
            txs: Vec::new(),
        };
        first.hash = header_hash(&first);
        let (by_hash, by_account) = (HashMap::new(), HashMap::new());
        let archive = Archive::whole(genesis.start_index);
        Ok(Self {
            genesis,
            release: Release::V3_3,
            without_amendments: false,
            accounts,
            archive,
            ledgers: vec![Built {
                ledger: Arc::new(first),
                changed: Arc::default(),
            }],
            by_hash,
            by_account,
        })
    }

    /// The last closed ledger, on which the open one is built.
    pub(super) fn closed(&self) -> &Ledger {
        let last = self.ledgers.last();
        &last.expect("a network has a first ledger").ledger
    }

    /// The last validated ledger; None while nobody told this server of one.
    pub(super) fn last_validated(&self) -> Option<&Ledger> {
        self.ledger(self.archive.validated()?)
    }

    /// The last validated ledger; while there is none, the last closed one.
    pub(super) fn validated(&self) -> &Ledger {
        self.last_validated().unwrap_or_else(|| self.closed())
    }

    /// True if all servers agree on this ledger.
    pub(super) fn is_validated(&self, index: u32) -> bool {
        self.archive
            .validated()
            .is_some_and(|validated| index <= validated)
    }

    /// The first ledger: the anchor that identifies this network.
    pub(super) fn first(&self) -> &Ledger {
        let first = self.ledgers.first();
        &first.expect("a network has a first ledger").ledger
    }

    /// A ledger by its index.
    pub(super) fn ledger(&self, index: u32) -> Option<&Ledger> {
        self.built(index).map(|built| built.ledger.as_ref())
    }

    fn built(&self, index: u32) -> Option<&Built> {
        self.ledgers
            .get(usize::try_from(index.checked_sub(self.genesis.start_index)?).ok()?)
    }

    /// A ledger that its server can show, by its hash.
    pub(super) fn ledger_by_hash(&self, hash: Hash) -> Option<&Ledger> {
        let ledgers = self.ledgers.iter().rev();
        let mut ledgers = ledgers.map(|built| built.ledger.as_ref());
        ledgers.find(|ledger| ledger.hash == hash && self.archive.holds(ledger.index))
    }

    /// A transaction in a closed ledger, whether or not its server can find it.
    pub(super) fn included_in(&self, hash: Hash) -> Option<(&Ledger, usize)> {
        let (index, position) = *self.by_hash.get(&hash)?;
        Some((self.ledger(index)?, position))
    }

    /// A validated transaction that its server has saved.
    pub(super) fn find(&self, hash: Hash) -> Option<(&Ledger, usize)> {
        let found = self.included_in(hash);
        found.filter(|(ledger, _)| self.archive.has_saved(ledger.index))
    }

    /// Where the account's transactions are, oldest first.
    pub(super) fn positions(&self, account: &AccountId) -> &[Position] {
        self.by_account.get(account).map_or(&[], Vec::as_slice)
    }

    /// All closed ledgers, oldest first.
    pub(super) fn ledgers(&self) -> impl DoubleEndedIterator<Item = &Ledger> {
        self.ledgers.iter().map(|built| built.ledger.as_ref())
    }

    /// An open view on the last closed state.
    pub(super) fn view<'a>(&'a self, over: &'a mut Overlay) -> View<'a> {
        View {
            base: &self.accounts,
            over,
            index: self.closed().index + 1,
            fees: self.genesis.fees,
            network_id: self.genesis.network_id,
            release: self.release,
        }
    }

    /// Builds the next ledger from the candidates, in the canonical order and passes of consensus.
    pub(super) fn build(&self, candidates: &[Arc<Tx>], now: u32) -> (Built, Leftover) {
        let mut over = Overlay::default();
        let mut view = self.view(&mut over);
        let mut waiting = canonical_order(candidates);
        let mut included = Vec::new();
        let mut certain_retry = true;
        for pass in 0..PASSES_MAX {
            let mut still_waiting = Vec::new();
            let before = included.len();
            for tx in waiting {
                let applied = apply(
                    &mut view,
                    &tx,
                    Mode {
                        retry: certain_retry,
                        ..Mode::CLOSING
                    },
                );
                match applied.effect {
                    Some(effect) => {
                        included.push(include(tx, applied.ter, &effect, included.len()))
                    }
                    None if applied.ter.is_ter() || applied.ter.is_tec() => still_waiting.push(tx),
                    None => {}
                }
            }
            waiting = still_waiting;
            let changed = included.len() > before;
            if !changed && !certain_retry {
                break;
            }
            if !changed || pass >= 1 {
                certain_retry = false;
            }
        }
        let close_time = next_close_time(self.closed().close_time, now);
        (self.finish(included, over, close_time), waiting)
    }

    /// Builds again a ledger that was once validated: these transactions in this order.
    pub(super) fn rebuild(&self, txs: Vec<Arc<Tx>>, close_time: u32) -> Option<Built> {
        let mut over = Overlay::default();
        let mut view = self.view(&mut over);
        let mut included = Vec::new();
        for tx in txs {
            let applied = apply(&mut view, &tx, Mode::CLOSING);
            included.push(include(tx, applied.ter, &applied.effect?, included.len()));
        }
        Some(self.finish(included, over, close_time))
    }

    /// Goes on with empty ledgers to this one, and has saved nothing before it.
    pub(super) fn begin_at(&mut self, first_saved: u32) {
        let first = self.closed().index;
        if first >= first_saved {
            return;
        }
        self.archive = Archive::joining(first);
        self.archive.validate(first, Millis(0));
        while self.closed().index < first_saved {
            let (built, _) = self.build(&[], self.closed().close_time);
            self.push(built);
        }
    }

    /// The same chain as a server has it that has just fetched it: it counts nothing of it as validated yet.
    pub(super) fn acquired(&self) -> World {
        let genesis = self.genesis.clone();
        let mut world = World::new(genesis).expect("a network with this genesis exists");
        world.release = self.release;
        world.without_amendments = self.without_amendments;
        for built in self.ledgers.iter().skip(1) {
            world.push(built.clone());
        }
        world.archive = Archive::joining(self.closed().index);
        world
    }

    fn finish(&self, txs: Vec<Included>, over: Overlay, close_time: u32) -> Built {
        let parent = self.closed();
        let changed = over;
        let burned: u64 = txs.iter().map(|included| included.burned).sum();
        let mut ledger = Ledger {
            index: parent.index + 1,
            hash: Hash::default(),
            parent_hash: parent.hash,
            close_time,
            parent_close_time: parent.close_time,
            total_drops: parent.total_drops - burned,
            account_hash: account_hash(parent.account_hash, &changed),
            transaction_hash: transaction_hash(&txs),
            txs,
        };
        ledger.hash = header_hash(&ledger);
        Built {
            ledger: Arc::new(ledger),
            changed: Arc::new(changed),
        }
    }

    /// Makes a built ledger the last validated one, at once, as a real server does in standalone mode.
    pub(super) fn push(&mut self, built: Built) {
        let at = Millis(0);
        let index = built.ledger.index;
        self.append(built, at);
        for published in self.archive.validate(index, at) {
            self.archive.publish(published);
        }
    }

    /// Makes a built ledger the last closed one.
    pub(super) fn append(&mut self, built: Built, now: Millis) {
        let ledger = &built.ledger;
        assert_eq!(
            ledger.parent_hash,
            self.closed().hash,
            "a ledger follows the one it was built on"
        );
        self.accounts
            .put_all(ledger.index, Overlay::clone(&built.changed));
        for (position, included) in ledger.txs.iter().enumerate() {
            self.by_hash
                .insert(included.tx.hash, (ledger.index, position));
            for account in &included.affected {
                self.by_account
                    .entry(*account)
                    .or_default()
                    .push((ledger.index, position));
            }
        }
        self.archive.closed(ledger.index, now);
        self.ledgers.push(built);
    }

    /// Forgets every ledger after this one, as if they had never been.
    pub(super) fn truncate(&mut self, last: u32) {
        let kept = last.saturating_sub(self.genesis.start_index);
        let kept = usize::try_from(kept).expect("a ledger's number fits") + 1;
        self.ledgers.truncate(kept);
        self.accounts.truncate(last);
        self.by_hash.retain(|_, (index, _)| *index <= last);
        for positions in self.by_account.values_mut() {
            positions.retain(|(index, _)| *index <= last);
        }
        self.archive.truncate(last);
    }

    /// The last ledger that this chain has in common with another; None if they belong to different networks.
    pub(super) fn common(&self, other: &World) -> Option<u32> {
        let same = |ledger: &&Ledger| {
            let theirs = other.ledger(ledger.index);
            theirs.is_some_and(|theirs| theirs.hash == ledger.hash)
        };
        self.ledgers().rev().find(same).map(|ledger| ledger.index)
    }

    /// The ledgers after this one, oldest first.
    pub(super) fn after(&self, index: u32) -> Vec<Built> {
        let later = self
            .ledgers
            .iter()
            .filter(|built| built.ledger.index > index);
        later.cloned().collect()
    }

    /// Panics unless all balances and all burned fees add up to all the XRP there ever was.
    pub(super) fn assert_conserved(&self) {
        assert_eq!(
            self.accounts.total_drops(),
            self.closed().total_drops,
            "balances and burned fees do not add up"
        );
    }
}

fn include(tx: Arc<Tx>, ter: Ter, effect: &super::effect::Effect, position: usize) -> Included {
    let mut meta = effect.meta(ter);
    meta.insert("TransactionIndex".into(), json!(position));
    Included {
        tx,
        ter,
        meta,
        delivered: effect.delivered.map(|delivered| delivered.money),
        burned: effect.fee,
        affected: effect.affected(),
    }
}
