//! Copies of the journal: made of one that is in use, they are whole; what is damaged is never taken for whole.

#![allow(missing_docs, clippy::unwrap_used)]

mod world;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use paygate_signer::index::Index;
use paygate_signer::journal::OpenError;
use paygate_signer::journal::copy::{Examined, copy, examine};
use paygate_signer::policy::Policy;
use world::{NETWORK, World};
use xrpl_tx::Drops;

/// Payments that the signer records while copies are made. They are no-ops.
const PAYMENTS: u32 = 300;

fn copied(from: &Path, to: &Path) -> Result<Examined, OpenError> {
    let mut index = Index::default();
    copy(from, to, NETWORK, &mut |position, record| {
        index.add(position, record)
    })
}

fn examined(directory: &Path) -> Result<Examined, OpenError> {
    let mut index = Index::default();
    examine(directory, NETWORK, &mut |position, record| {
        index.add(position, record)
    })
}

#[test]
fn a_copy_of_a_journal_in_use_is_whole_and_is_its_beginning() {
    let world = World::new().restart_with(Policy {
        max_day: Drops::from_const(100_000),
        ..world::policy()
    });
    let journal = world.directory.path().join("journal");
    let over = AtomicBool::new(false);
    let heights = std::thread::scope(|scope| {
        let copies = scope.spawn(|| {
            let mut heights = Vec::new();
            loop {
                let last = over.load(Ordering::SeqCst);
                let to = world
                    .directory
                    .path()
                    .join(format!("copy-{}", heights.len()));
                let made = copied(&journal, &to).unwrap();
                assert_eq!(examined(&to).unwrap(), made);
                heights.push(made.head.height);
                if last {
                    return heights;
                }
            }
        });
        for number in 0..PAYMENTS {
            let request = world.no_op(1 + number, None);
            let _signed = world.vault.sign_noop(&request, world.now_ms).unwrap();
        }
        over.store(true, Ordering::SeqCst);
        copies.join().unwrap()
    });
    assert!(heights.is_sorted(), "{heights:?}");
    // The last one was begun after the last signature had left.
    assert_eq!(heights.last(), Some(&u64::from(PAYMENTS)));
    let whole = std::fs::read(journal.join("journal")).unwrap();
    for number in 0..heights.len() {
        let path = world
            .directory
            .path()
            .join(format!("copy-{number}/journal"));
        let bytes = std::fs::read(path).unwrap();
        assert!(whole.starts_with(&bytes), "copy {number}");
    }
}

#[test]
fn a_copy_with_a_changed_byte_is_refused_and_nothing_is_overwritten() {
    let world = World::new();
    for number in 1..4 {
        let request = world.no_op(number, None);
        let _signed = world.vault.sign_noop(&request, world.now_ms).unwrap();
    }
    let (journal, to) = (
        world.directory.path().join("journal"),
        world.directory.path().join("copy"),
    );
    copied(&journal, &to).unwrap();
    assert!(copied(&journal, &to).is_err(), "a copy is there already");
    let path = to.join("journal");
    let bytes = std::fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert!(examined(&to).is_err(), "byte {at}");
        assert_eq!(
            std::fs::read(&path).unwrap(),
            damaged,
            "it is left as it is"
        );
    }
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(examined(&to).is_err(), "cut");
    std::fs::write(&path, &bytes).unwrap();
    std::fs::remove_file(to.join("HEAD")).unwrap();
    assert!(matches!(
        examined(&to),
        Err(OpenError::Missing { missing: "HEAD" })
    ));
}
