//! Plans: what kind of day a seed draws.
//!
//! Owns: how often what goes wrong. May not: do any of it.

use super::seed::Draws;

/// Something that goes wrong at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The gateway's process is gone, wherever it is.
    GatewayDies,
    /// The signer's process is gone, and its disk keeps what a crash keeps.
    SignerDies,
    /// The signer's power goes at one of the next calls of its disk.
    SignerDiesAtDisk,
    /// The signer's next answer is lost.
    SignerAnswerLost,
    /// The signer dies once everything is durable, before it answers.
    SignerDiesBeforeAnswer,
    /// The signer's next request or answer takes long.
    SignerLate,
    /// All connections to servers end.
    WiresCut,
    /// And nobody lets us in for a while.
    Refused,
    /// Requests and answers get lost for a while.
    Losses,
    /// Everything takes seconds for a while.
    Slow,
}

/// All of them.
const TROUBLES: [Trouble; 10] = [
    Trouble::GatewayDies,
    Trouble::SignerDies,
    Trouble::SignerDiesAtDisk,
    Trouble::SignerAnswerLost,
    Trouble::SignerDiesBeforeAnswer,
    Trouble::SignerLate,
    Trouble::WiresCut,
    Trouble::Refused,
    Trouble::Losses,
    Trouble::Slow,
];

impl Trouble {
    /// As reports call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GatewayDies => "gateway dies at a random moment",
            Self::SignerDies => "signer dies at a random moment",
            Self::SignerDiesAtDisk => "signer's power goes at a call of its disk",
            Self::SignerAnswerLost => "signer's answer is lost",
            Self::SignerDiesBeforeAnswer => "signer dies before it answers",
            Self::SignerLate => "signer is late",
            Self::WiresCut => "connections to servers are cut",
            Self::Refused => "servers refuse connections",
            Self::Losses => "requests and answers get lost",
            Self::Slow => "servers are slow",
        }
    }
}

/// A day.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name in reports.
    pub name: &'static str,
    /// Callers.
    pub payments: u64,
    /// They come within so many milliseconds, unless they come in bursts.
    pub callers_ms: u64,
    /// They come in crowds.
    pub bursts: bool,
    /// So many of a thousand cancel.
    pub cancel_permille: u64,
    /// Slots undecided at once.
    pub at_large_max: usize,
    /// So many lives of the gateway of a thousand end at a chosen moment.
    pub crash_permille: u64,
    /// After so many of a thousand ledgers the network halts.
    pub halt_permille: u64,
    /// So many of a thousand validations come late to a server.
    pub lag_permille: u64,
    /// Transactions that fit a ledger before fees rise.
    pub expected_size: Option<u64>,
    /// Servers give at most so many entries of a history at once.
    pub page_entries: Option<u64>,
    /// The first trouble.
    pub first_trouble_ms: u64,
    /// One comes about so often.
    pub trouble_every_ms: u64,
    /// Servers and people go wrong about so often, if they do.
    pub faults_every_ms: u64,
    /// They do.
    pub has_faults: bool,
    /// From here on nothing goes wrong.
    pub peace_ms: u64,
    /// Clock and disks of the machine go wrong.
    pub has_machine_trouble: bool,
    is_calm: bool,
}

impl Plan {
    /// A day of this seed.
    pub fn draw(draws: &mut Draws) -> Self {
        let base = Self {
            name: "calm",
            payments: draws.between(80, 120),
            callers_ms: 120_000,
            bursts: false,
            cancel_permille: 100,
            at_large_max: usize::try_from(draws.between(2, 12)).unwrap_or(8),
            crash_permille: 0,
            halt_permille: 0,
            lag_permille: 20,
            expected_size: None,
            page_entries: None,
            first_trouble_ms: draws.between(500, 8_000),
            trouble_every_ms: 30_000,
            peace_ms: 150_000,
            faults_every_ms: draws.between(1_500, 10_000),
            has_faults: draws.permille(600),
            has_machine_trouble: false,
            is_calm: false,
        };
        match draws.below(10) {
            0 => Self {
                is_calm: true,
                has_faults: false,
                ..base
            },
            1..5 => Self {
                name: "crashy",
                crash_permille: 850,
                trouble_every_ms: 7_000,
                ..base
            },
            5..7 => Self {
                name: "halting",
                crash_permille: 300,
                halt_permille: 80,
                lag_permille: 150,
                trouble_every_ms: 20_000,
                ..base
            },
            7 => Self {
                name: "fee spike",
                expected_size: Some(draws.between(2, 6)),
                crash_permille: 300,
                at_large_max: 10,
                trouble_every_ms: 20_000,
                ..base
            },
            8 => Self {
                name: "burst",
                bursts: true,
                crash_permille: 500,
                at_large_max: 20,
                trouble_every_ms: 12_000,
                ..base
            },
            _ => Self {
                name: "cancelling",
                cancel_permille: 600,
                crash_permille: 500,
                trouble_every_ms: 10_000,
                ..base
            },
        }
    }

    /// The same day in which servers give short pages, and whose machine goes wrong, if this draws so.
    #[must_use]
    pub fn with(self, draws: &mut Draws) -> Self {
        Self {
            page_entries: draws.permille(300).then(|| draws.between(1, 8)),
            has_machine_trouble: !self.is_calm && draws.permille(500),
            ..self
        }
    }

    /// What goes wrong now.
    pub fn trouble(&self, draws: &mut Draws) -> Option<Trouble> {
        let drawn = draws.below(u64::try_from(TROUBLES.len()).unwrap_or(1));
        let trouble = TROUBLES[usize::try_from(drawn).unwrap_or(0)];
        (!self.is_calm).then_some(trouble)
    }
}
