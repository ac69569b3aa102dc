//! Faults: which of the menu's faults befalls whom, when and for how long, drawn from the seed.
//!
//! Owns: the draws, the end of every fault, and that at any time enough servers are well for the network to go on, and no more lie
//! than the gateway is set up to bear. May not: carry a fault out (the servers do), nor draw from anything but the numbers it is given.
//!
//! Crashes, restored stores, second gateways, jumps of the clock and failing disks (F48 to F52) belong to whoever runs the gateway and
//! only report here that they happened.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::outsider::Outsider;
use crate::sim::{
    Agreement, BlockedBy, DialFault, DialHow, FAULT_NAMES, Fault, Fees, How, Lie, Met, Millis,
    Network, PushFault, PushHow, ServerMode, WireFault,
};

/// Draws a number below its argument.
pub type Draw<'a> = &'a mut dyn FnMut(u64) -> u64;

/// A fault that ends is over after so many milliseconds.
const LASTS_MS: (u64, u64) = (2_000, 40_000);
/// A network halts for so long.
const HALT_MS: (u64, u64) = (20_000, 90_000);
/// An answer that comes after every patience, in milliseconds.
const LATE_MS: (u64, u64) = (3_000, 45_000);
/// `SetFlag` values.
const ASF_REQUIRE_DEST_TAG: u32 = 1;
const ASF_DEPOSIT_AUTH: u32 = 9;
/// What the intruder's fee leaves of the wallet, in drops: less than a fee.
const LEFT_DROPS: u64 = 5;
/// Close codes that servers and proxies send; 1006 is the end without one.
const CLOSE_CODES: [u16; 5] = [1000, 1001, 1008, 1011, 1013];
/// Errors of a server that cannot help.
const REFUSALS: [&str; 5] = ["tooBusy", "noCurrent", "noNetwork", "notSynced", "slowDown"];
/// Commands that are worth a fault of their own; the last stands for any.
const COMMANDS: [&str; 8] = [
    "submit",
    "submit",
    "tx",
    "account_info",
    "account_tx",
    "server_info",
    "ledger",
    "",
];

/// The faults that the gateway is not set up to bear are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearing {
    /// Servers that may lie at the same time: one less than must agree.
    pub liars_max: usize,
    /// Somebody else may use the wallet's key.
    pub bears_intruders: bool,
    /// The wallet may be emptied by it.
    pub bears_ruin: bool,
}

/// The people of a simulated ledger.
#[derive(Clone)]
pub struct People {
    /// Has the wallet's own key.
    pub intruder: Outsider,
    /// Own destinations, and pay in.
    pub friends: Vec<Outsider>,
    /// A destination that does not exist until somebody funds it.
    pub unborn: String,
}

/// What goes wrong, and when.
pub struct Faults {
    bearing: Bearing,
    people: People,
    fees: Fees,
    every_ms: u64,
    next_at: Option<Millis>,
    /// When the trouble of a server ends.
    ends: BTreeMap<usize, Millis>,
    /// The server whose own state is wrong; at most one at a time.
    unwell: Option<usize>,
    /// The one whose word on validated ledgers is not to be believed, if it is that.
    liar: Option<usize>,
    /// When fees are as they were.
    fees_end: Option<Millis>,
    halted_until: Option<Millis>,
    agreement: Agreement,
    own: Met,
    told: Vec<String>,
}

impl Faults {
    /// Faults about so often, with these people about.
    #[must_use]
    pub fn new(bearing: Bearing, people: People, fees: Fees, every_ms: u64) -> Self {
        Self {
            bearing,
            people,
            fees,
            every_ms,
            next_at: None,
            ends: BTreeMap::new(),
            unwell: None,
            liar: None,
            fees_end: None,
            halted_until: None,
            agreement: Agreement::default(),
            own: Met::default(),
            told: Vec::new(),
        }
    }

    /// Time has passed: what is over ends, and what is due begins.
    pub fn tick(&mut self, network: &mut Network, now: Millis, draw: Draw<'_>) {
        self.end_what_is_over(network, now);
        let due = self.next_at.is_some_and(|at| at <= now);
        if due {
            self.strike(network, now, draw);
        }
        if due || self.next_at.is_none() {
            let wait = between(draw, self.every_ms / 2, self.every_ms * 3 / 2);
            self.next_at = Some(Millis(now.0 + wait.max(1)));
        }
    }

    /// No more faults: everything that is wrong ends.
    pub fn stop(&mut self, network: &mut Network, now: Millis) {
        let all: Vec<usize> = (1..=network.len()).collect();
        for number in all {
            network.heal(number, now);
        }
        self.ends.clear();
        self.unwell = None;
        self.liar = None;
        self.halted_until = None;
        self.agreement = Agreement::default();
        if self.fees_end.take().is_some() {
            network.restore_fees(self.fees);
        }
    }

    /// How the servers come to their next ledger; after that all is as ever.
    pub fn agreement(&mut self) -> Agreement {
        std::mem::take(&mut self.agreement)
    }

    /// True while no ledger closes.
    #[must_use]
    pub fn is_halted(&self, now: Millis) -> bool {
        self.halted_until.is_some_and(|until| now < until)
    }

    /// A fault that somebody else has brought about, by its number in the menu.
    pub fn happened(&mut self, number: u8) {
        self.own.count(number);
    }

    /// How often each fault was met.
    #[must_use]
    pub fn met(&self, network: &Network) -> Met {
        let mut met = network.met();
        met.add(&self.own);
        met
    }

    /// What has begun and ended since the last time, in words.
    pub fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    fn end_what_is_over(&mut self, network: &mut Network, now: Millis) {
        let over: Vec<usize> = self
            .ends
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(number, _)| *number)
            .collect();
        for number in over {
            self.ends.remove(&number);
            network.heal(number, now);
            self.told.push(format!("server {number} is well again"));
            if self.unwell == Some(number) {
                self.unwell = None;
                self.liar = None;
            }
        }
        if self.fees_end.is_some_and(|at| at <= now) {
            self.fees_end = None;
            network.restore_fees(self.fees);
        }
    }

    fn strike(&mut self, network: &mut Network, now: Millis, draw: Draw<'_>) {
        let number = 1 + usize::try_from(draw(count(network.len()))).unwrap_or(0);
        match draw(10) {
            0..4 => {
                let fault = wire_fault(draw);
                if !self.leads_to_liar(number, &fault) {
                    self.befall(network, number, fault, now, draw);
                }
            }
            4 => self.befall(network, number, push_fault(draw), now, draw),
            5..8 => self.unsettle(network, number, now, draw),
            8 => self.agree_otherwise(network, now, draw),
            _ => self.act(network, draw),
        }
    }

    /// Something on the server's wires goes wrong, which may be while something else does.
    fn befall(
        &mut self,
        network: &mut Network,
        number: usize,
        fault: Fault,
        now: Millis,
        draw: Draw<'_>,
    ) {
        self.told.push(format!("server {number}: {fault:?}"));
        network.trouble(number, &fault, now);
        let until = now.0 + between(draw, LASTS_MS.0, LASTS_MS.1);
        let ends = self.ends.entry(number).or_insert(Millis(until));
        *ends = (*ends).max(Millis(until));
    }

    /// The server itself is not well. One at a time, so that the others agree and the chain goes on.
    fn unsettle(&mut self, network: &mut Network, number: usize, now: Millis, draw: Draw<'_>) {
        let is_lie = draw(3) == 0;
        let fault = match is_lie {
            true => lie(draw),
            false => server_fault(draw),
        };
        if is_untrue(&fault) && self.bearing.liars_max == 0 {
            return;
        }
        if self.unwell.is_some_and(|unwell| unwell != number) {
            return;
        }
        // Who is asked in another's place would be two who lie.
        let lies = is_untrue(&fault) || matches!(fault, Fault::Reset { .. });
        if lies && network.speaks_for_others(number) {
            return;
        }
        if network.len() < 3 && takes_away(&fault) {
            return;
        }
        self.unwell = Some(number);
        if lies {
            self.liar = Some(number);
        }
        self.befall(network, number, fault, now, draw);
    }

    /// True if a connection meant for this server would end at one that lies: two operators would say the same untrue thing, and so
    /// many the gateway is not set up to bear.
    fn leads_to_liar(&self, number: usize, fault: &Fault) -> bool {
        let Fault::Dial(DialFault { how, .. }) = fault else {
            return false;
        };
        matches!(how, DialHow::Elsewhere(other) if self.liar == Some(*other) && *other != number)
    }

    /// The servers come to their ledgers otherwise than usual.
    fn agree_otherwise(&mut self, network: &mut Network, now: Millis, draw: Draw<'_>) {
        match draw(5) {
            0 => {
                self.own.count(23);
                let halt = between(draw, HALT_MS.0, HALT_MS.1);
                self.told.push(format!("no ledger for {halt} ms"));
                self.halted_until = Some(Millis(now.0 + halt));
            }
            1 => self.agreement.is_slow = true,
            2 => self.agreement.is_empty = true,
            3 => self.agreement.prefers_other_versions = true,
            _ => {
                let fees = Fees {
                    base_drops: self.fees.base_drops * (1 + draw(5)),
                    reserve_base_drops: self.fees.reserve_base_drops * (1 + draw(3)),
                    ..self.fees
                };
                self.told.push(format!("fees are {fees:?}"));
                network.change_fees(fees);
                self.fees_end = Some(Millis(now.0 + LASTS_MS.1));
            }
        }
    }

    /// People act on the ledger.
    fn act(&mut self, network: &mut Network, draw: Draw<'_>) {
        let Some(server) = network.honest() else {
            return;
        };
        let people = self.people.clone();
        let friend =
            &people.friends[usize::try_from(draw(count(people.friends.len()))).unwrap_or(0)];
        let wallet = people.intruder.address();
        let (who, number, fields) = match draw(9) {
            0 => (
                friend,
                31,
                json!({ "Destination": wallet, "Amount": (1 + draw(1_000_000)).to_string() }),
            ),
            1 | 2 => {
                let flag =
                    [ASF_REQUIRE_DEST_TAG, ASF_DEPOSIT_AUTH][usize::try_from(draw(2)).unwrap_or(0)];
                let way = ["SetFlag", "ClearFlag"][usize::try_from(draw(2)).unwrap_or(0)];
                (
                    friend,
                    32,
                    json!({ "TransactionType": "AccountSet", way: flag }),
                )
            }
            3 => {
                let funding = (self.fees.reserve_base_drops * 4).to_string();
                (
                    friend,
                    33,
                    json!({ "Destination": people.unborn, "Amount": funding }),
                )
            }
            _ if !self.bearing.bears_intruders => return,
            4 | 5 => (
                &people.intruder,
                30,
                json!({ "Destination": friend.address(), "Amount": (1 + draw(1_000_000)).to_string() }),
            ),
            6 => (
                &people.intruder,
                30,
                json!({ "TransactionType": "TicketCreate", "TicketCount": 1 + draw(3) }),
            ),
            7 => {
                let key = friend.address();
                (
                    &people.intruder,
                    30,
                    json!({ "TransactionType": "SetRegularKey", "RegularKey": key }),
                )
            }
            _ if !self.bearing.bears_ruin => {
                let heir = friend.address();
                (
                    &people.intruder,
                    30,
                    json!({ "TransactionType": "AccountDelete", "Destination": heir, "Fee": "200000" }),
                )
            }
            _ => {
                let balance = network
                    .balances(&wallet)
                    .last()
                    .map_or(0, |(_, drops)| *drops);
                let fee = balance.saturating_sub(LEFT_DROPS).to_string();
                (
                    &people.intruder,
                    35,
                    json!({ "TransactionType": "AccountSet", "Fee": fee }),
                )
            }
        };
        self.submit(network, server, who, number, fields);
    }

    fn submit(
        &mut self,
        network: &Network,
        server: usize,
        who: &Outsider,
        number: u8,
        fields: Value,
    ) {
        if let Some((hash, result)) = who.submit(network, server, fields.clone()) {
            self.own.count(number);
            let name = FAULT_NAMES[usize::from(number) - 1];
            self.told
                .push(format!("{name}: {fields} is {hash}, {result}"));
        }
    }
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(1)
}

fn between(draw: Draw<'_>, from: u64, to: u64) -> u64 {
    from + draw(to.saturating_sub(from) + 1)
}

fn one_of<T: Copy>(draw: Draw<'_>, of: &[T]) -> T {
    of[usize::try_from(draw(count(of.len()))).unwrap_or(0)]
}

fn small(draw: Draw<'_>, most: u64) -> u32 {
    u32::try_from(draw(most)).unwrap_or(0)
}

fn wire_fault(draw: Draw<'_>) -> Fault {
    if draw(6) == 0 {
        let how = match draw(3) {
            0 => DialHow::Refuse,
            1 => DialHow::Page,
            _ => DialHow::Elsewhere(1 + usize::try_from(draw(3)).unwrap_or(0)),
        };
        let times = 1 + small(draw, 4);
        return Fault::Dial(DialFault { times, how });
    }
    let how = match draw(15) {
        0 => How::LoseRequest,
        1 | 2 => How::LoseAnswer,
        3 => How::DelayRequest(between(draw, LATE_MS.0, LATE_MS.1)),
        4 => How::DelayAnswer(between(draw, LATE_MS.0, LATE_MS.1)),
        5 => How::CutAnswer,
        6 => How::Close(one_of(draw, &CLOSE_CODES)),
        7 => How::HalfOpen,
        8 => How::Repeat,
        9 => How::WrongId,
        10 => How::OldId,
        11 => match draw(3) {
            0 => How::Page,
            1 => How::Empty,
            _ => How::Garbage,
        },
        12 => How::Warn,
        _ => How::Refuse(one_of(draw, &REFUSALS).to_owned()),
    };
    let command = Some(one_of(draw, &COMMANDS)).filter(|command| !command.is_empty());
    Fault::Wire(WireFault {
        command: command.map(str::to_owned),
        skip: small(draw, 4),
        times: 1 + small(draw, 3),
        how,
    })
}

fn push_fault(draw: Draw<'_>) -> Fault {
    let how = one_of(
        draw,
        &[
            PushHow::Repeat,
            PushHow::Swap,
            PushHow::Lose,
            PushHow::LoseLedgers,
            PushHow::OnlyLedgers,
            PushHow::ProposedLate,
        ],
    );
    Fault::Push(PushFault {
        skip: small(draw, 5),
        times: 1 + small(draw, 8),
        how,
    })
}

fn server_fault(draw: Draw<'_>) -> Fault {
    let mode = [
        ServerMode::Disconnected,
        ServerMode::Connected,
        ServerMode::Syncing,
        ServerMode::Tracking,
    ];
    match draw(19) {
        0 => Fault::Lag {
            ledgers: 1 + small(draw, 6),
        },
        1 => Fault::Frozen,
        2 => Fault::Fork { validated: false },
        3 => Fault::Fork { validated: true },
        4 => Fault::RelayLoss,
        5 => Fault::Gone,
        6 => Fault::Restart { behind: 0 },
        7 => Fault::Restart {
            behind: 1 + small(draw, 5),
        },
        8 => Fault::Mode(one_of(draw, &mode)),
        9 => Fault::Blocked(one_of(draw, &[BlockedBy::Amendment, BlockedBy::Unl])),
        10 => Fault::Reset { network_id: None },
        11 => Fault::Reset {
            network_id: Some(7),
        },
        12 => Fault::Old,
        13 => Fault::Clio,
        14 => Fault::FeeSpike {
            times: 1 + draw(1000),
        },
        15 => Fault::LoadFactor {
            times: 2 + draw(100),
        },
        16 => match draw(2) {
            0 => Fault::QueueFull,
            _ => Fault::Evict,
        },
        17 => Fault::MissingHistory {
            from_back: small(draw, 6),
            ledgers: 1 + small(draw, 8),
        },
        _ => Fault::SaveDelay {
            ledgers: 1 + small(draw, 2),
        },
    }
}

fn lie(draw: Draw<'_>) -> Fault {
    Fault::Lie(match draw(12) {
        0 => Lie::SequenceLower(1 + small(draw, 5)),
        1 => Lie::SequenceHigher(1 + small(draw, 5)),
        2 => Lie::BalanceLower(1 + draw(100_000_000)),
        3 => Lie::Invents,
        4 => Lie::Failed("tecPATH_DRY".to_owned()),
        5 => Lie::Hides,
        6 => Lie::OtherHashes,
        7 => Lie::SearchedAll,
        8 => Lie::NeverSearchedAll,
        9 => Lie::NeverValidated,
        10 => Lie::ShrinkingPages,
        _ => Lie::ClampedPages(1 + small(draw, 3)),
    })
}

/// True if the server says untrue things of validated ledgers, so that only others can tell.
fn is_untrue(fault: &Fault) -> bool {
    match fault {
        Fault::Fork { validated } => *validated,
        Fault::Lie(lie) => !matches!(
            lie,
            Lie::SearchedAll
                | Lie::NeverSearchedAll
                | Lie::NeverValidated
                | Lie::ShrinkingPages
                | Lie::ClampedPages(_)
        ),
        _ => false,
    }
}

/// True if the others have to agree without the server.
fn takes_away(fault: &Fault) -> bool {
    match fault {
        Fault::Frozen | Fault::Fork { .. } | Fault::Gone | Fault::Reset { .. } => true,
        Fault::Restart { behind } => *behind > 0,
        _ => false,
    }
}

#[cfg(test)]
#[path = "faults/tests.rs"]
mod tests;
