//! What is wrong with what one server says: which faults are on, and which of them the next request, message or connection meets.
//!
//! Owns: the counting of faults, each of which hits so many and then is over, and how often each was met. May not: carry bytes
//! (`line`) nor know what an answer means (`lies`).

use super::faults::{DialFault, DialHow, Fault, How, Lie, PushFault, PushHow, WireFault};
use super::world::Release;

/// The faults that are on.
#[derive(Clone, Debug, Default)]
pub(super) struct Tampering {
    wires: Vec<WireFault>,
    pushes: Vec<PushFault>,
    dials: Vec<DialFault>,
    /// What it lies about.
    pub lies: Vec<Lie>,
    /// It is a Clio server.
    pub is_clio: bool,
    /// It demands so many times more itself; 0 and 1: as much as ever.
    pub load_factor: u64,
    /// The release that it really is, while it is another.
    pub real_release: Option<Release>,
    /// How often each fault was met, by its number less one.
    pub met: Met,
}

/// How often each fault of the menu was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met(pub [u64; 52]);

impl Default for Met {
    fn default() -> Self {
        Self([0; 52])
    }
}

impl Met {
    /// One more of the fault with this number, 1 to 52.
    pub fn count(&mut self, number: u8) {
        self.0[usize::from(number) - 1] += 1;
    }

    /// So many more of each.
    pub fn add(&mut self, other: &Met) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }
}

impl Tampering {
    /// A fault begins.
    pub(super) fn begin(&mut self, fault: &Fault) {
        match fault {
            Fault::Wire(wire) => self.wires.push(wire.clone()),
            Fault::Push(push) => self.pushes.push(push.clone()),
            Fault::Dial(dial) => self.dials.push(dial.clone()),
            Fault::Lie(lie) => self.lies.push(lie.clone()),
            Fault::Clio => self.is_clio = true,
            Fault::LoadFactor { times } => self.load_factor = *times,
            _ => {}
        }
    }

    /// All faults end; how often they were met is still known.
    pub(super) fn end(&mut self) {
        *self = Self {
            met: self.met,
            ..Self::default()
        };
    }

    /// What becomes of this request. None: nothing.
    pub(super) fn request(&mut self, command: &str) -> Option<How> {
        let concerns =
            |fault: &WireFault| fault.command.as_deref().is_none_or(|only| only == command);
        let mut hit = None;
        for fault in self.wires.iter_mut().filter(|fault| concerns(fault)) {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if hit.is_none() {
                fault.times -= 1;
                hit = Some(fault.how.clone());
            }
        }
        self.wires.retain(|fault| fault.times > 0);
        if let Some(how) = &hit {
            self.met.count(how.number());
        }
        hit
    }

    /// True if pushed messages may meet something.
    pub(super) fn touches_pushes(&self) -> bool {
        !self.pushes.is_empty() || !self.lies.is_empty()
    }

    /// What becomes of this pushed message. None: nothing.
    pub(super) fn push(&mut self, kind: Pushed) -> Option<PushHow> {
        let concerns = |fault: &PushFault| match fault.how {
            PushHow::Repeat | PushHow::Swap | PushHow::Lose => true,
            PushHow::LoseLedgers => kind != Pushed::Other,
            PushHow::OnlyLedgers => kind == Pushed::Validated,
            PushHow::ProposedLate => kind == Pushed::Proposed,
        };
        // A gap is counted in ledgers and not in the messages about them.
        let counts =
            |fault: &PushFault| fault.how != PushHow::LoseLedgers || kind == Pushed::Ledger;
        let mut hit = None;
        for fault in self.pushes.iter_mut().filter(|fault| concerns(fault)) {
            if fault.skip > 0 {
                fault.skip -= u32::from(counts(fault));
            } else if hit.is_none() {
                let counted = counts(fault);
                fault.times -= u32::from(counted);
                hit = Some(fault.how);
            }
        }
        self.pushes.retain(|fault| fault.times > 0);
        if let Some(how) = hit {
            self.met.count(how.number());
        }
        hit
    }

    /// True if a connection that is to come ends at that server instead.
    pub(super) fn leads_to(&self, number: usize) -> bool {
        let mut dials = self.dials.iter();
        dials.any(|dial| dial.how == DialHow::Elsewhere(number))
    }

    /// What becomes of this new connection. None: nothing.
    pub(super) fn dial(&mut self) -> Option<DialHow> {
        let fault = self.dials.first_mut()?;
        fault.times -= 1;
        let how = fault.how;
        self.dials.retain(|fault| fault.times > 0);
        self.met.count(how.number());
        Some(how)
    }
}

/// What a pushed message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// A validated ledger.
    Ledger,
    /// A transaction in one.
    Validated,
    /// A transaction in the open ledger.
    Proposed,
    /// Anything else.
    Other,
}
