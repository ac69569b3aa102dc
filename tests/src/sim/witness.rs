//! The network as somebody sees it who sees everything: the chain that everybody agrees on, every blob that any server ever
//! received and when, and what may still become of one.
//!
//! Owns: these questions. May not: be reachable over the network, or change anything.

use super::blob::Tx;
use super::direct::Direct;
use super::net::Shared;
use super::network::Network;
use super::types::{AccountId, Hash, Millis};

/// A blob that reached a server, from a client or from another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenBlob {
    /// When.
    pub at: Millis,
    /// Which server, by its number.
    pub server: usize,
    /// The transaction.
    pub hash: Hash,
    /// The whole of it.
    pub blob: Vec<u8>,
    /// What the server made of it at first.
    pub result: &'static str,
}

/// Which slot of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// A Sequence.
    Sequence(u32),
    /// A ticket.
    Ticket(u32),
}

/// What became of a slot on the chain that everybody agrees on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotFate {
    /// Nothing has used it.
    Open,
    /// This transaction has, in this ledger.
    Used(Hash, u32),
    /// The Sequence was jumped over when tickets were made: no transaction can use it as a Sequence any more.
    Jumped(Hash, u32),
    /// There is no such account, and it may be made again with a higher Sequence.
    NoAccount,
}

impl Direct {
    /// The transaction that reached it last.
    pub fn last_arrival(&self) -> Option<Hash> {
        let node = self.shared();
        let node = node.lock();
        node.arrivals.last().map(|arrival| arrival.tx.hash)
    }
}

impl Network {
    /// Number of a server that has the chain everybody agrees on: the one that counts most of it as validated. None: all are in trouble.
    pub fn honest(&self) -> Option<usize> {
        let honest = (1..=self.len())
            .filter(|number| self.is_in_touch(*number) && self.conduct(*number).takes_part());
        honest.max_by_key(|number| {
            let node = self.server(*number).shared();
            let validated = node.lock().world.archive.validated();
            (validated, std::cmp::Reverse(*number))
        })
    }

    fn chain(&self) -> Shared {
        let number = self.honest().unwrap_or(1);
        self.server(number).shared()
    }

    /// Index of the last ledger that everybody has closed.
    pub fn closed_index(&self) -> u32 {
        self.chain().lock().world.closed().index
    }

    /// Index and hash of the last ledger that a server counts as validated.
    pub fn validated_by(&self, number: usize) -> (u32, Hash) {
        let node = self.server(number).shared();
        let node = node.lock();
        let validated = node.world.validated();
        (validated.index, validated.hash)
    }

    /// True if all balances and all burned fees add up to all the XRP there ever was, or else it panics.
    pub fn assert_conserved(&self) {
        self.chain().lock().world.assert_conserved();
    }

    /// All blobs that reached any server, in the order of time.
    pub fn arrivals(&self) -> Vec<SeenBlob> {
        let mut seen = Vec::new();
        for number in 1..=self.len() {
            let node = self.server(number).shared();
            let node = node.lock();
            seen.extend(node.arrivals.iter().map(|arrival| SeenBlob {
                at: arrival.at,
                server: number,
                hash: arrival.tx.hash,
                blob: arrival.tx.blob.clone(),
                result: arrival.ter.name(),
            }));
        }
        seen.sort_by_key(|blob| (blob.at, blob.server));
        seen
    }

    /// True if a blob may still enter a ledger: it has not, its slot is unused, and its last ledger is not past. Bytes that are no
    /// transaction never can.
    pub fn is_alive(&self, blob: &[u8]) -> bool {
        let Ok(tx) = Tx::from_bytes(blob.to_vec()) else {
            return false;
        };
        let next = self.validated() + 1;
        if tx.last_ledger.is_some_and(|last| last < next) {
            return false;
        }
        let slot = match tx.ticket {
            Some(ticket) => Slot::Ticket(ticket),
            None => Slot::Sequence(tx.sequence),
        };
        matches!(
            self.fate(&tx.account.to_string(), slot),
            SlotFate::Open | SlotFate::NoAccount
        )
    }

    /// What became of a slot up to the last validated ledger.
    pub fn fate(&self, address: &str, slot: Slot) -> SlotFate {
        let validated = self.validated();
        let chain = self.chain();
        let node = chain.lock();
        let world = &node.world;
        let Some(id) = AccountId::from_address(address) else {
            return SlotFate::NoAccount;
        };
        let positions = world.positions(&id).iter();
        for (index, position) in positions.filter(|(index, _)| *index <= validated) {
            let included = world
                .ledger(*index)
                .and_then(|ledger| ledger.txs.get(*position));
            let Some(tx) = included.map(|included| &included.tx) else {
                continue;
            };
            if tx.account != id {
                continue;
            }
            let used = match tx.ticket {
                Some(ticket) => Slot::Ticket(ticket),
                None => Slot::Sequence(tx.sequence),
            };
            if used == slot {
                return SlotFate::Used(tx.hash, *index);
            }
            if let Slot::Sequence(sequence) = slot {
                let after = world.accounts.get_at(&id, *index);
                let jumped = after.is_some_and(|account| {
                    account
                        .tickets
                        .get(&sequence)
                        .is_some_and(|made| *made == (tx.hash, *index))
                });
                if jumped {
                    return SlotFate::Jumped(tx.hash, *index);
                }
            }
        }
        match world.accounts.get_at(&id, validated) {
            Some(_) => SlotFate::Open,
            None => SlotFate::NoAccount,
        }
    }

    /// The account's drops after every validated ledger that changed them, with the ledger.
    pub fn balances(&self, address: &str) -> Vec<(u32, u64)> {
        let validated = self.validated();
        let chain = self.chain();
        let node = chain.lock();
        let world = &node.world;
        let Some(id) = AccountId::from_address(address) else {
            return Vec::new();
        };
        let mut history: Vec<(u32, u64)> = Vec::new();
        for index in world.genesis.start_index..=validated {
            let balance = world
                .accounts
                .get_at(&id, index)
                .map_or(0, |account| account.balance);
            if history.last().is_none_or(|(_, last)| *last != balance) {
                history.push((index, balance));
            }
        }
        history
    }
}
