//! What the vault keeps in memory of the journal: where each slot's last frame is, which slot a payment has, which
//! sequences a TicketCreate set aside, the day's sums, and the highest of everything.
//!
//! Rebuilt from the journal at start and from nothing else. Holds no record: 4 bytes a slot and 8 a payment, so
//! that a million entries fit 16 MiB; who needs a record reads its frame again.

mod day;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use xrpl_tx::{AccountId, Asset, Drops, IssuedValue, Slot};

use crate::intent::PaymentKey;
use crate::journal::record::ALIGNMENT_BYTES;
use crate::journal::{Entry, Position, Record};

use day::Day;

/// Slots between two known ones that the dense table takes as a gap; wider gaps go to the sparse table.
const GAP_SLOTS_MAX: usize = 1024;

/// The journal's records, indexed.
#[derive(Debug, Default)]
pub struct Index {
    slots: Slots,
    payments: Payments,
    day: Day,
    /// How many sequences the TicketCreate of a sequence sets aside. Few: one makes up to 250 tickets.
    ticket_creates: BTreeMap<u32, u32>,
    pin: Option<Pin>,
    highest_sequence: u32,
    epoch: u64,
    latest_ms: u64,
    recovery: Option<Recovery>,
}

/// A person's word that the journal was lost or put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The height of its frame.
    pub height: u64,
    /// The validated ledger that the person named.
    pub begun_at: u32,
    /// Every signature that was lost is dead once this ledger is validated.
    pub until: u32,
    /// It was, and the journal is in use again.
    pub done: bool,
}

/// What all records have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The store.
    pub store_id: [u8; 16],
    /// The wallet.
    pub account: AccountId,
}

/// A frame's offset in units of 8 bytes; 0 is no frame, since the file begins with its header.
type Units = u32;

fn units(offset: u64) -> Units {
    u32::try_from(offset / ALIGNMENT_BYTES as u64).expect("the journal is at most 32 GiB long")
}

fn offset(units: Units) -> u64 {
    u64::from(units) * ALIGNMENT_BYTES as u64
}

// === impl Index ===

impl Index {
    /// Takes a record in, or says what is wrong with it, given those before it.
    pub fn add(&mut self, position: Position, record: &Record) -> Result<(), &'static str> {
        if record.is_of_person() {
            return self.add_word(position, record);
        }
        let pin = Pin {
            store_id: record.store_id,
            account: record.account,
        };
        if self.pin.is_some_and(|known| known != pin) {
            return Err("it belongs to another store or wallet than the frames before it");
        }
        let is_older = record.epoch < self.epoch && !xrpl_tx::mutant!("signer-believes-any-epoch");
        if is_older || record.recorded_at_ms < self.latest_ms {
            return Err("its epoch or time is lower than that of the frame before it");
        }
        if self.slot_offset(record.slot).unwrap_or(0) != record.previous_offset {
            return Err("it does not refer to its slot's frame before it");
        }
        self.pin = Some(pin);
        self.epoch = record.epoch;
        self.latest_ms = record.recorded_at_ms;
        self.slots.put(record.slot, units(position.offset));
        if let Slot::Sequence(number) = record.slot {
            self.highest_sequence = self.highest_sequence.max(number);
        }
        if let Some(key) = record.key()
            // The first frame of a slot that names the payment is enough: all later ones of the slot name the same.
            && record.previous_offset == 0
        {
            self.payments.put(key, units(position.offset));
        }
        if let (Entry::TicketCreate { tickets, .. }, Slot::Sequence(sequence)) =
            (&record.entry, record.slot)
        {
            self.ticket_creates.insert(sequence, tickets.count());
        }
        self.day.add(
            record.recorded_at_ms,
            record.slot,
            record.charge_drops(),
            record.charge_issued(),
        );
        Ok(())
    }

    fn add_word(&mut self, position: Position, record: &Record) -> Result<(), &'static str> {
        if self
            .pin
            .is_some_and(|known| known.account != record.account)
        {
            return Err("it belongs to another wallet than the frames before it");
        }
        if record.recorded_at_ms < self.latest_ms {
            return Err("its time is lower than that of the frame before it");
        }
        self.latest_ms = record.recorded_at_ms;
        match record.entry {
            Entry::Adoption => {
                self.pin = Some(Pin {
                    store_id: record.store_id,
                    account: record.account,
                });
                // Generations are counted by each store on its own.
                self.epoch = record.epoch;
            }
            Entry::Recovery {
                validated_ledger,
                until,
                done,
            } => {
                self.recovery = Some(Recovery {
                    height: position.height,
                    begun_at: validated_ledger,
                    until,
                    done,
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// The newest word of a person that the journal was lost or put back.
    pub fn recovery(&self) -> Option<Recovery> {
        self.recovery
    }

    /// Where the last frame of a slot begins.
    pub fn slot_offset(&self, slot: Slot) -> Option<u64> {
        self.slots.get(slot).map(offset)
    }

    /// Where frames begin that may name the payment: the caller reads each and compares.
    pub fn payment_candidates(&self, key: &PaymentKey) -> impl Iterator<Item = u64> {
        self.payments.candidates(key).map(offset)
    }

    /// What all records have in common; none while the journal is empty.
    pub fn pin(&self) -> Option<Pin> {
        self.pin
    }

    /// The sequence whose TicketCreate sets this one aside.
    pub fn set_aside_by(&self, sequence: u32) -> Option<u32> {
        // Their ranges do not overlap: within one, no other TicketCreate is signed.
        let (by, count) = self.ticket_creates.range(..sequence).next_back()?;
        (sequence - by <= *count).then_some(*by)
    }

    /// The highest epoch; 0: none.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The highest sequence; 0: none.
    pub fn highest_sequence(&self) -> u32 {
        self.highest_sequence
    }

    /// The latest time of a record, milliseconds since 1970.
    pub fn latest_ms(&self) -> u64 {
        self.latest_ms
    }

    /// What the other slots took within the 24 hours before `now_ms`, and what this slot took.
    pub fn day_used(&mut self, slot: Option<Slot>, now_ms: u64) -> (Drops, Drops) {
        self.day.forget_before(now_ms);
        let (others, of_slot) = self.day.drops(slot);
        (clamp(others), clamp(of_slot))
    }

    /// The same of an issued currency.
    pub fn day_used_issued(
        &mut self,
        asset: Asset,
        slot: Option<Slot>,
        now_ms: u64,
    ) -> (IssuedValue, IssuedValue) {
        self.day.forget_before(now_ms);
        self.day.issued(asset, slot)
    }
}

/// A sum above all XRP there is counts as all XRP there is: it is above every limit.
fn clamp(drops: u64) -> Drops {
    Drops::new(drops).unwrap_or(Drops::MAX)
}

// === slots ===

/// Sequences grow one by one, so their table is an array; what does not fit goes to a map.
#[derive(Debug, Default)]
struct Slots {
    first: u32,
    dense: Vec<Units>,
    sparse: BTreeMap<Slot, Units>,
}

impl Slots {
    fn dense_index(&self, slot: Slot) -> Option<usize> {
        match slot {
            Slot::Sequence(number) => number
                .checked_sub(self.first)
                .and_then(|index| usize::try_from(index).ok()),
            Slot::Ticket(_) => None,
        }
    }

    fn get(&self, slot: Slot) -> Option<Units> {
        let dense = self
            .dense_index(slot)
            .and_then(|index| self.dense.get(index))
            .copied();
        dense
            .filter(|units| *units != 0)
            .or_else(|| self.sparse.get(&slot).copied())
    }

    fn put(&mut self, slot: Slot, units: Units) {
        if self.dense.is_empty()
            && let Slot::Sequence(number) = slot
        {
            self.first = number;
        }
        match self.dense_index(slot) {
            Some(index) if index < self.dense.len().saturating_add(GAP_SLOTS_MAX) => {
                if index >= self.dense.len() {
                    self.dense.resize(index + 1, 0);
                }
                self.dense[index] = units;
                self.sparse.remove(&slot);
            }
            _ => {
                self.sparse.insert(slot, units);
            }
        }
    }
}

// === payments ===

/// Lists by hash, each short enough to be searched from end to end: about 250 entries at a million payments. No list
/// grows by more than an eighth, so that little room lies idle. The hash is keyed at random in each life of the process: whoever
/// chooses ids cannot choose which of them meet.
#[derive(Debug, Default)]
struct Payments {
    lists: Vec<Vec<(u32, Units)>>,
    hasher: RandomState,
}

impl Payments {
    /// Lists are chosen by this many leading bits of the hash.
    const LIST_BITS: u32 = 12;

    fn hash(&self, key: &PaymentKey) -> u32 {
        let hash = self.hasher.hash_one(key);
        u32::try_from(hash >> u32::BITS).expect("the upper half of 64 bits")
    }

    fn list(hash: u32) -> usize {
        (hash >> (u32::BITS - Payments::LIST_BITS)) as usize
    }

    fn put(&mut self, key: &PaymentKey, units: Units) {
        self.lists.resize_with(1 << Payments::LIST_BITS, Vec::new);
        let hash = self.hash(key);
        let list = &mut self.lists[Payments::list(hash)];
        if list.len() == list.capacity() {
            list.reserve_exact(list.len() / 8 + 1);
        }
        list.push((hash, units));
    }

    fn candidates(&self, key: &PaymentKey) -> impl Iterator<Item = Units> {
        let hash = self.hash(key);
        let list = self.lists.get(Payments::list(hash)).into_iter().flatten();
        list.filter(move |(found, _)| *found == hash)
            .map(|(_, units)| *units)
    }
}
