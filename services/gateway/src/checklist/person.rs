//! What no program can know.
//!
//! Owns: these items. May not: pass one of them.

use super::{Finding, Item, Status};

pub(super) const ITEMS: [Item; 8] = [
    Item {
        name: "code-reviewed",
        to_do: "two people have read the change that is deployed, and one of them has not written it",
    },
    Item {
        name: "on-call",
        to_do: "somebody is on call, has this page, paygatectl and the runbooks, and has taken part in an exercise",
    },
    Item {
        name: "test-alert-arrived",
        to_do: "who is on call says that the test alert reached the telephone",
    },
    Item {
        name: "communication",
        to_do: "channels and words for an incident are agreed with support and treasury: runbooks/incident-response.md",
    },
    Item {
        name: "warm-and-cold-wallets",
        to_do: "the treasury holds the warm and the cold wallet, knows who refills, and has compared the hot wallet's address",
    },
    Item {
        name: "restore-tested",
        to_do: "a copy of the database was put back on another machine: runbooks/restore-from-backup.md",
    },
    Item {
        name: "journal-copied",
        to_do: "the signer's journal and HEAD are copied with the signer stopped, and kept apart from the database",
    },
    Item {
        name: "limits-agreed",
        to_do: "the treasury has signed the limits of gateway and signer, and what may be lost at most in a day",
    },
];

pub(super) fn list() -> Vec<Finding> {
    let asked = |item: Item| item.found(Status::Person, "");
    ITEMS.into_iter().map(asked).collect()
}
