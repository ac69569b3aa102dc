//! What a person says about the journal while the signer is stopped: whose it is now, and that it was lost or put back.

#![allow(missing_docs, clippy::unwrap_used)]

mod world;

use paygate_proto::signer::v1::DenialReason;
use paygate_signer::intent::KnownFrame;
use paygate_signer::journal::set_aside;
use paygate_signer::keys::SigningKey;
use paygate_signer::keys::seed::Seed;
use paygate_signer::vault::{Ledger, Recovered, Refused, Unfit, Vault, Wallet};
use xrpl_tx::AccountId;

use world::{FIRST_LEDGER, NETWORK, NOON_MS, World, denied, policy};

const WINDOW: u32 = 30;

/// The stopped signer's journal, and how a vault is made of it again.
fn stopped(world: World) -> (tempfile::TempDir, AccountId) {
    let World {
        directory,
        vault,
        wallet,
        ..
    } = world;
    drop(vault);
    (directory, wallet)
}

fn ledger(directory: &tempfile::TempDir) -> Ledger {
    Ledger::open(&directory.path().join("journal"), NETWORK).unwrap()
}

fn vault(directory: &tempfile::TempDir) -> Result<Vault, Unfit> {
    let key =
        SigningKey::from_seed(Seed::parse(b"sEdTM1uX8pu2do5XvTnutH6HsouMaM2").unwrap()).unwrap();
    let wallet = Wallet {
        account: key.public().account_id(),
        network_id: NETWORK,
    };
    Vault::new(wallet, policy(), key, ledger(directory))
}

fn started(directory: tempfile::TempDir, wallet: AccountId) -> World {
    let vault = vault(&directory).unwrap();
    World {
        directory,
        vault,
        wallet,
        fence: paygate_signer::intent::Fence {
            store_id: [7; 16],
            epoch: 1,
            known: None,
        },
        now_ms: NOON_MS,
    }
}

#[test]
fn another_store_is_served_once_a_person_says_so_and_slots_stay_what_they_are() {
    let mut world = World::new();
    world.fence.epoch = 9;
    world.pay(world.payment("a", 1)).bytes();
    world.fence.store_id = [8; 16];
    world.fence.epoch = 1;
    assert_eq!(
        world.pay(world.payment("b", 2)),
        denied(DenialReason::WrongRequest)
    );
    let (directory, wallet) = stopped(world);
    let refused = ledger(&directory).adopt_store(wallet, [7; 16], NOON_MS);
    assert!(matches!(refused, Err(Refused::SameStore)), "{refused:?}");
    let head = ledger(&directory)
        .adopt_store(wallet, [8; 16], NOON_MS)
        .unwrap();
    assert_eq!(head.height, 2);
    let mut world = started(directory, wallet);
    let described = world.vault.describe(NOON_MS).unwrap();
    assert_eq!(
        (
            described.store_id,
            described.epoch,
            described.highest_sequence
        ),
        (Some([8; 16]), 0, 1)
    );
    assert_eq!(
        world.pay(world.payment("b", 2)),
        denied(DenialReason::WrongRequest),
        "the old store is served no more"
    );
    world.fence.store_id = [8; 16];
    assert_eq!(
        world.pay(world.payment("a", 2)),
        denied(DenialReason::PaymentOnOtherSlot)
    );
    assert_eq!(
        world.pay(world.payment("b", 1)),
        denied(DenialReason::SlotTaken)
    );
    world.pay(world.payment("b", 2)).bytes();
    // And it stays so over a restart.
    let (directory, wallet) = stopped(world);
    assert_eq!(
        started(directory, wallet)
            .vault
            .describe(NOON_MS)
            .unwrap()
            .epoch,
        1
    );
}

#[test]
fn a_journal_that_was_put_back_signs_again_when_what_it_forgot_is_dead() {
    let world = World::new();
    world.pay(world.payment("a", 1)).bytes();
    let (directory, wallet) = stopped(world);
    let journal = directory.path().join("journal");
    let copies = ["journal", "HEAD"].map(|name| std::fs::read(journal.join(name)).unwrap());
    let world = started(directory, wallet);
    world.pay(world.payment("b", 2)).bytes();
    let forgotten = world.head();
    let (directory, wallet) = stopped(world);
    for (name, copy) in ["journal", "HEAD"].iter().zip(&copies) {
        std::fs::write(directory.path().join("journal").join(name), copy).unwrap();
    }
    let mut world = started(directory, wallet);
    world.fence.known = Some(KnownFrame {
        height: forgotten.height,
        hash: forgotten.hash,
    });
    assert_eq!(
        world.pay(world.payment("c", 3)),
        denied(DenialReason::JournalBehind)
    );

    let (directory, wallet) = stopped(world);
    let now = FIRST_LEDGER + 5;
    let until = now + WINDOW;
    let waits = Recovered::Waits { until };
    let recover = |ledger: u32| {
        self::ledger(&directory)
            .recover(wallet, ledger, WINDOW, NOON_MS)
            .unwrap()
    };
    assert_eq!(recover(now), waits);
    assert_eq!(recover(until - 1), waits, "said again, it waits as long");
    let error = vault(&directory).err().unwrap();
    assert!(error.to_string().contains(&until.to_string()), "{error}");
    let low = ledger(&directory).recover(wallet, now - 1, WINDOW, NOON_MS);
    assert!(matches!(low, Err(Refused::LedgerTooLow { .. })), "{low:?}");
    let adopted = ledger(&directory).adopt_store(wallet, [8; 16], NOON_MS);
    assert!(matches!(adopted, Err(Refused::Recovering { .. })));
    let Recovered::Done { head } = recover(until) else {
        panic!("it is not done");
    };
    let mut world = started(directory, wallet);
    let described = world.vault.describe(NOON_MS).unwrap();
    assert_eq!(described.recovery, Some((head.height, head.hash)));
    world.fence.known = Some(KnownFrame {
        height: head.height,
        hash: head.hash,
    });
    world.pay(world.payment("c", 3)).bytes();
}

#[test]
fn a_new_journal_waits_as_long_and_the_old_one_is_kept() {
    let world = World::new();
    world.pay(world.payment("a", 1)).bytes();
    let journal = world.directory.path().join("journal");
    let refused = set_aside(&journal, NOON_MS);
    assert!(refused.is_err(), "a signer runs on it");
    let (directory, wallet) = stopped(world);
    let ending = set_aside(&journal, NOON_MS).unwrap();
    assert!(journal.join(format!("journal.{ending}")).exists());
    assert!(journal.join(format!("HEAD.{ending}")).exists());
    let until = FIRST_LEDGER + WINDOW;
    let begun = ledger(&directory).recover(wallet, FIRST_LEDGER, WINDOW, NOON_MS);
    assert_eq!(begun.unwrap(), Recovered::Waits { until });
    assert!(vault(&directory).is_err());
    let done = ledger(&directory).recover(wallet, until, WINDOW, NOON_MS);
    assert!(matches!(done, Ok(Recovered::Done { .. })), "{done:?}");
    let world = started(directory, wallet);
    let described = world.vault.describe(NOON_MS).unwrap();
    assert_eq!((described.store_id, described.highest_sequence), (None, 0));
    assert!(described.recovery.is_some());
    world.pay(world.payment("a", 1)).bytes();
}
