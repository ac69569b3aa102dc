//! A vault with a journal of its own, asked as a gateway asks it, and what it answers.
//!
//! Owns how a request is made and an answer is compared; what must come of it is each story's.
#![allow(dead_code, reason = "each file of stories uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use paygate_proto::signer::v1::DenialReason;
use paygate_signer::intent::{
    Fence, NoOpRequest, PaymentKey, PaymentRequest, TicketCreateRequest, Version,
};
use paygate_signer::journal::{Head, Record};
use paygate_signer::keys::SigningKey;
use paygate_signer::keys::seed::Seed;
use paygate_signer::policy::{Policy, TransactionType};
use paygate_signer::vault::{Ledger, Outcome, Vault, Wallet};
use xrpl_tx::{AccountId, Amount, Drops, Slot, TicketCreate};

pub(crate) const NETWORK: u32 = 63456;
pub(crate) const NOON_MS: u64 = 1_800_000_000_000;
pub(crate) const FIRST_LEDGER: u32 = 1000;
pub(crate) const ALICE: AccountId = AccountId::from_bytes([1; 20]);
pub(crate) const BANNED: AccountId = AccountId::from_bytes([9; 20]);

pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) vault: Vault,
    pub(crate) wallet: AccountId,
    pub(crate) fence: Fence,
    pub(crate) now_ms: u64,
}

pub(crate) fn policy() -> Policy {
    Policy {
        max_payment: Drops::from_const(100),
        max_day: Drops::from_const(250),
        max_fee: Drops::from_const(20),
        last_ledger_window: 30,
        anchor_ledger_index: FIRST_LEDGER,
        anchor_time_ms: NOON_MS,
        ledger_min_close_ms: 3000,
        denied_destinations: BTreeSet::from([BANNED]),
        allowed_types: BTreeSet::from([TransactionType::Payment, TransactionType::NoOp]),
        assets: BTreeMap::new(),
    }
}

fn open(directory: &Path, policy: Policy) -> Vault {
    let key =
        SigningKey::from_seed(Seed::parse(b"sEdTM1uX8pu2do5XvTnutH6HsouMaM2").unwrap()).unwrap();
    let wallet = Wallet {
        account: key.public().account_id(),
        network_id: NETWORK,
    };
    let ledger = Ledger::open(&directory.join("journal"), NETWORK).unwrap();
    Vault::new(wallet, policy, key, ledger).unwrap()
}

impl World {
    pub(crate) fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let vault = open(directory.path(), policy());
        let wallet = vault.describe(NOON_MS).unwrap().wallet.account;
        let fence = Fence {
            store_id: [7; 16],
            epoch: 1,
            known: None,
        };
        World {
            directory,
            vault,
            wallet,
            fence,
            now_ms: NOON_MS,
        }
    }

    pub(crate) fn restart(self) -> World {
        self.restart_with(policy())
    }

    pub(crate) fn restart_with(self, policy: Policy) -> World {
        let World {
            directory,
            vault,
            wallet,
            fence,
            now_ms,
        } = self;
        drop(vault);
        let vault = open(directory.path(), policy);
        World {
            directory,
            vault,
            wallet,
            fence,
            now_ms,
        }
    }

    pub(crate) fn payment(&self, payment_id: &str, sequence: u32) -> PaymentRequest {
        PaymentRequest {
            fence: self.fence,
            key: PaymentKey::new("shop", payment_id).unwrap(),
            account: self.wallet,
            slot: Slot::Sequence(sequence),
            destination: ALICE,
            destination_tag: None,
            source_tag: None,
            amount: Amount::Xrp(Drops::from_const(50)),
            memos: Vec::new(),
            version: Version {
                fee_drops: 10,
                last_ledger_sequence: FIRST_LEDGER + 20,
            },
            claimed_digest: [0; 32],
        }
    }

    pub(crate) fn no_op(&self, sequence: u32, for_payment: Option<&str>) -> NoOpRequest {
        NoOpRequest {
            fence: self.fence,
            account: self.wallet,
            slot: Slot::Sequence(sequence),
            for_payment: for_payment.map(|payment_id| PaymentKey::new("shop", payment_id).unwrap()),
            source_tag: None,
            version: Version {
                fee_drops: 10,
                last_ledger_sequence: FIRST_LEDGER + 20,
            },
        }
    }

    pub(crate) fn tickets(&self, sequence: u32, count: u32) -> TicketCreateRequest {
        TicketCreateRequest {
            fence: self.fence,
            account: self.wallet,
            sequence,
            tickets: TicketCreate::new(count).unwrap(),
            source_tag: None,
            version: Version {
                fee_drops: 10,
                last_ledger_sequence: FIRST_LEDGER + 20,
            },
        }
    }

    pub(crate) fn make_tickets(&self, request: &TicketCreateRequest) -> Answer {
        Answer::of(self.vault.sign_ticket_create(request, self.now_ms).unwrap())
    }

    pub(crate) fn pay(&self, mut request: PaymentRequest) -> Answer {
        request.claimed_digest = request.digest(NETWORK);
        Answer::of(self.vault.sign_payment(&request, self.now_ms).unwrap())
    }

    pub(crate) fn fill(&self, request: &NoOpRequest) -> Answer {
        Answer::of(self.vault.sign_noop(request, self.now_ms).unwrap())
    }

    pub(crate) fn head(&self) -> Head {
        self.vault.describe(self.now_ms).unwrap().head
    }

    pub(crate) fn used(&self) -> u64 {
        self.vault.describe(self.now_ms).unwrap().used_day.get()
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Signed {
        record: Box<Record>,
        replayed: bool,
    },
    Denied {
        reason: DenialReason,
        permanent: bool,
    },
}

impl Answer {
    pub(crate) fn of(outcome: Outcome) -> Answer {
        match outcome {
            Outcome::Signed { recorded, replayed } => Answer::Signed {
                record: Box::new(recorded.record().clone()),
                replayed,
            },
            Outcome::Denied {
                denial, permanent, ..
            } => Answer::Denied {
                reason: denial.reason(),
                permanent,
            },
        }
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            Answer::Signed { record, .. } => record.transaction().unwrap().blob.clone(),
            denied => panic!("{denied:?}"),
        }
    }

    pub(crate) fn is_replay(&self) -> bool {
        matches!(self, Answer::Signed { replayed: true, .. })
    }
}

pub(crate) fn denied(reason: DenialReason) -> Answer {
    Answer::Denied {
        reason,
        permanent: false,
    }
}

pub(crate) fn sealed(reason: DenialReason) -> Answer {
    Answer::Denied {
        reason,
        permanent: true,
    }
}
