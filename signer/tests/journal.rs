//! The journal against torn writes and damaged disks: it opens to what was recorded, or it refuses; it never invents.

#![allow(missing_docs, clippy::unwrap_used)]

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use paygate_signer::intent::PaymentKey;
use paygate_signer::journal::{Entry, Head, Journal, OpenError, Record, SignedTransaction};
use xrpl_tx::{ACCOUNT_ONE, AccountId, Amount, Asset, Drops, IssuedAmount, Slot, TicketCreate};

const NETWORK: u32 = 1;

/// How `HEAD` lies: two slots, of which only the beginning is used.
const SLOT_BYTES: usize = 4096;
const SLOT_USED_BYTES: usize = 68;

fn record(number: u32) -> Record {
    let key = PaymentKey::new("shop", &format!("p-{number}")).unwrap();
    let transaction = SignedTransaction {
        fee_drops: 10,
        last_ledger_sequence: 1000 + number,
        hash: [3; 32],
        blob: vec![0xAB; 20 + number as usize % 100],
    };
    let issued = |send_max: Option<&str>| {
        let asset = Asset {
            currency: "USD".parse().unwrap(),
            issuer: ACCOUNT_ONE,
        };
        let amount = IssuedAmount::new(asset, "12.5".parse().unwrap()).unwrap();
        Amount::issued(amount, send_max.map(|text| text.parse().unwrap())).unwrap()
    };
    let entry = match number % 6 {
        0 => Entry::Payment {
            key,
            digest: [1; 32],
            amount: Amount::Xrp(Drops::from_const(7)),
            transaction,
        },
        3 | 4 => Entry::Payment {
            key,
            digest: [1; 32],
            amount: issued(Some("12.6").filter(|_| number % 6 == 4)),
            transaction,
        },
        5 => Entry::TicketCreate {
            digest: [8; 32],
            tickets: TicketCreate::new(250).unwrap(),
            transaction,
        },
        1 => Entry::NoOp {
            key: None,
            digest: [2; 32],
            transaction,
        },
        _ => Entry::Seal {
            key,
            digest: [4; 32],
            reason: 1,
        },
    };
    Record {
        store_id: [5; 16],
        epoch: 6,
        recorded_at_ms: 1_000 + u64::from(number),
        account: AccountId::from_bytes([7; 20]),
        slot: Slot::Sequence(number),
        previous_offset: 0,
        entry,
    }
}

fn open(directory: &Path) -> Result<(Journal, Vec<Record>), OpenError> {
    let mut records = Vec::new();
    let opened = Journal::open(directory, NETWORK, &mut |_, record| {
        records.push(record.clone());
        Ok(())
    })?;
    Ok((opened.journal, records))
}

/// A directory with a journal of `committed` frames up to HEAD and `beyond` more that no commit reached.
fn written(committed: u32, beyond: u32) -> (tempfile::TempDir, Vec<u8>, Vec<u8>, usize) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let (mut journal, _) = open(&path).unwrap();
    for number in 0..committed {
        let position = journal.append(&record(number)).unwrap();
        let _recorded = journal
            .durability()
            .commit(position, record(number))
            .unwrap();
    }
    let at_head = std::fs::read(path.join("journal")).unwrap().len();
    for number in committed..committed + beyond {
        journal.append(&record(number)).unwrap();
    }
    drop(journal);
    let journal = std::fs::read(path.join("journal")).unwrap();
    let head = std::fs::read(path.join("HEAD")).unwrap();
    (directory, journal, head, at_head)
}

fn lay(directory: &Path, journal: &[u8], head: Option<&[u8]>) {
    let _ = std::fs::remove_dir_all(directory);
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(directory)
        .unwrap();
    for (name, bytes) in [("journal", Some(journal)), ("HEAD", head)] {
        if let Some(bytes) = bytes {
            std::fs::write(directory.join(name), bytes).unwrap();
            std::fs::set_permissions(directory.join(name), std::fs::Permissions::from_mode(0o600))
                .unwrap();
        }
    }
}

fn expected(count: u32) -> Vec<Record> {
    (0..count).map(record).collect()
}

#[test]
fn what_was_recorded_is_read_again() {
    let (directory, ..) = written(5, 0);
    let (journal, records) = open(&directory.path().join("journal")).unwrap();
    assert_eq!(records, expected(5));
    assert_eq!(journal.head().height, 5);
    assert_eq!(journal.head().highest_last_ledger_sequence, 1004);
}

#[test]
fn a_changed_byte_at_or_below_head_refuses_to_start() {
    let (directory, journal, head, _) = written(3, 0);
    let path = directory.path().join("damaged");
    for at in 0..journal.len() {
        let mut damaged = journal.clone();
        damaged[at] ^= 1 << (at % 8);
        lay(&path, &damaged, Some(&head));
        assert!(open(&path).is_err(), "byte {at}");
        assert_eq!(
            std::fs::read(path.join("journal")).unwrap(),
            damaged,
            "a refused journal is left as it is"
        );
    }
}

#[test]
fn a_journal_cut_below_head_refuses_to_start() {
    let (directory, journal, head, _) = written(3, 0);
    let path = directory.path().join("damaged");
    for length in 0..journal.len() {
        lay(&path, &journal[..length], Some(&head));
        assert!(open(&path).is_err(), "length {length}");
    }
}

#[test]
fn a_head_that_no_crash_leaves_refuses_to_start() {
    // Three commits since HEAD was laid: the first slot says 3 frames, the second 2.
    let (directory, journal, head, _) = written(3, 0);
    let path = directory.path().join("damaged");
    assert_eq!(head.len(), 2 * SLOT_BYTES);
    let refused = |head: &[u8], why: &str| {
        lay(&path, &journal, Some(head));
        assert!(open(&path).is_err(), "{why}");
        assert_eq!(
            std::fs::read(path.join("HEAD")).unwrap(),
            head,
            "a refused HEAD is left as it is"
        );
    };
    let newer = 0..SLOT_USED_BYTES;
    let older = SLOT_BYTES..SLOT_BYTES + SLOT_USED_BYTES;
    for at in
        (0..head.len()).filter(|at| !newer.contains(at) && (at % 61 == 0 || older.contains(at)))
    {
        let mut damaged = head.clone();
        damaged[at] ^= 1 << (at % 8);
        // With the newer slot whole, nothing lies beyond it that a torn write could have been about.
        refused(&damaged, &format!("byte {at}"));
    }
    for length in (0..head.len()).step_by(61) {
        refused(&head[..length], &format!("length {length}"));
    }
    let mut both = head.clone();
    both[20] ^= 1;
    both[SLOT_BYTES + 20] ^= 1;
    refused(&both, "both slots damaged");
    let (even, odd) = head.split_at(SLOT_BYTES);
    refused(&[odd, even].concat(), "slots in each other's place");
    refused(&[even, even].concat(), "one slot twice");
    let (_, _, ancient, _) = written(1, 0);
    refused(
        &[even, &ancient[SLOT_BYTES..]].concat(),
        "slots whose numbers do not follow each other",
    );
    lay(&path, &journal, None);
    assert!(open(&path).is_err(), "without HEAD");
    lay(&path, &[], Some(&head));
    assert!(open(&path).is_err(), "without journal");
}

#[test]
fn a_torn_write_of_head_loses_nothing_that_left() {
    // The third commit left the slot that says 2 frames as it is and overwrote the one that said 1.
    let (_, _, before, at_two) = written(2, 0);
    let (_, journal, after, _) = written(3, 0);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("torn");
    for cut in (0..=SLOT_USED_BYTES).step_by(4) {
        for garbage in [false, true] {
            let mut torn = before.clone();
            torn[..cut].copy_from_slice(&after[..cut]);
            if garbage {
                torn[cut..SLOT_USED_BYTES].fill(0x5A);
            }
            lay(&path, &journal, Some(&torn));
            let (reopened, records) = open(&path).unwrap();
            assert_eq!(records, expected(3), "{cut} bytes written");
            assert_eq!(reopened.head().height, 3);
            drop(reopened);
            assert_eq!(open(&path).unwrap().1, expected(3), "and opens again");

            // Frames that were not synced are no reason to begin a write of HEAD.
            lay(&path, &journal[..at_two], Some(&torn));
            let whole = torn == before;
            assert_eq!(open(&path).is_ok(), whole, "{cut} bytes written");
        }
    }
}

#[test]
fn a_damaged_newest_slot_loses_no_frame_and_hides_no_loss() {
    let (directory, journal, head, _) = written(3, 0);
    let (_, two, ..) = written(2, 0);
    let path = directory.path().join("damaged");
    for at in 0..SLOT_USED_BYTES {
        let mut damaged = head.clone();
        damaged[at] ^= 1 << (at % 8);
        lay(&path, &journal, Some(&damaged));
        assert_eq!(open(&path).unwrap().1, expected(3), "byte {at}");
        lay(&path, &two, Some(&damaged));
        assert!(open(&path).is_err(), "byte {at}, the last frame missing");
    }
}

#[test]
fn head_in_its_first_form_is_taken_in() {
    let (directory, journal, ..) = written(3, 2);
    let path = directory.path().join("first");
    let (opened, _) = open(&directory.path().join("journal")).unwrap();
    let first_form = {
        let height = 3u64;
        let hash = opened.hash_at(height).unwrap().unwrap();
        let content = [
            b"PAYGATEH".as_slice(),
            &height.to_be_bytes(),
            &hash,
            // The third record is a seal.
            &1001u32.to_be_bytes(),
        ]
        .concat();
        let sum = xrpl_tx::sha256(&[b"paygate/journal-checksum/v1\0", &content]);
        [content.as_slice(), &sum.as_bytes()[..8]].concat()
    };
    lay(&path, &journal, Some(&first_form));
    let (reopened, records) = open(&path).unwrap();
    assert_eq!((records, reopened.head().height), (expected(5), 5));
    drop(reopened);
    assert_eq!(
        std::fs::read(path.join("HEAD")).unwrap().len(),
        2 * SLOT_BYTES
    );
    assert_eq!(open(&path).unwrap().1, expected(5));
    for at in 0..first_form.len() {
        let mut damaged = first_form.clone();
        damaged[at] ^= 1 << (at % 8);
        lay(&path, &journal, Some(&damaged));
        assert!(open(&path).is_err(), "byte {at}");
    }
}

#[test]
fn a_torn_end_beyond_head_is_cut_and_whole_frames_are_kept() {
    let (directory, journal, head, at_head) = written(2, 2);
    let path = directory.path().join("torn");
    let (whole, _) = {
        lay(&path, &journal, Some(&head));
        open(&path)
            .map(|(journal, records)| (records, journal))
            .unwrap()
    };
    assert_eq!(whole, expected(4));
    for length in (at_head..journal.len()).step_by(3) {
        lay(&path, &journal[..length], Some(&head));
        let (reopened, records) = open(&path).unwrap();
        assert!(
            records.len() >= 2 && records == expected(u32::try_from(records.len()).unwrap()),
            "length {length}"
        );
        assert_eq!(reopened.head().height, records.len() as u64);
        drop(reopened);
        assert_eq!(
            open(&path).unwrap().1,
            records,
            "the cut is durable and opens again"
        );
    }
}

#[test]
fn a_changed_byte_beyond_head_never_invents_a_record() {
    let (directory, journal, head, at_head) = written(2, 2);
    let path = directory.path().join("torn");
    for at in (at_head..journal.len()).step_by(3) {
        let mut damaged = journal.clone();
        damaged[at] ^= 1 << (at % 8);
        lay(&path, &damaged, Some(&head));
        let (_, records) = open(&path).unwrap();
        assert!((2..4).contains(&records.len()), "byte {at}");
        assert_eq!(
            records,
            expected(u32::try_from(records.len()).unwrap()),
            "byte {at}"
        );
    }
}

#[test]
fn a_head_from_an_older_backup_refuses_to_start() {
    let (directory, _, old_head, _) = written(1, 0);
    let path = directory.path().join("journal");
    let (mut journal, _) = open(&path).unwrap();
    let mut last = None;
    for number in 1..300 {
        let position = journal.append(&record(number)).unwrap();
        if number % 50 == 0 || number == 299 {
            last = Some(
                journal
                    .durability()
                    .commit(position, record(number))
                    .unwrap(),
            );
        }
    }
    assert_eq!(last.unwrap().head().height, 300);
    drop(journal);
    std::fs::write(path.join("HEAD"), old_head).unwrap();
    assert!(matches!(
        open(&path),
        Err(OpenError::HeadBehind { frames: 299, .. })
    ));
}

#[test]
fn making_a_journal_may_be_interrupted() {
    let (directory, journal, ..) = written(0, 0);
    let path = directory.path().join("new");
    for length in 0..=journal.len() {
        lay(&path, &journal[..length], None);
        assert_eq!(open(&path).unwrap().1, []);
    }
}

#[test]
fn one_commit_serves_everybody_who_appended_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(&directory.path().join("journal")).unwrap();
    let durability = journal.durability();
    let positions: Vec<_> = (0..10)
        .map(|number| journal.append(&record(number)).unwrap())
        .collect();
    let head: Head = durability.commit(positions[3], record(3)).unwrap().head();
    assert_eq!(head.height, 10);
    for number in 0..10 {
        let recorded = durability
            .commit(positions[number as usize], record(number))
            .unwrap();
        assert_eq!(
            (recorded.head(), recorded.record()),
            (head, &record(number))
        );
    }
}

#[test]
fn more_waiting_frames_than_one_commit_takes_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(&directory.path().join("journal")).unwrap();
    let positions: Vec<_> = (0..256)
        .map(|number| journal.append(&record(number)).unwrap())
        .collect();
    assert!(journal.append(&record(256)).is_err());
    let _recorded = journal
        .durability()
        .commit(positions[0], record(0))
        .unwrap();
    journal.append(&record(256)).unwrap();
}

#[test]
fn a_directory_or_file_that_others_may_read_is_refused() {
    let (directory, ..) = written(1, 0);
    let path = directory.path().join("journal");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o750)).unwrap();
    assert!(matches!(open(&path), Err(OpenError::NotPrivate { .. })));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::set_permissions(path.join("journal"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(open(&path), Err(OpenError::NotPrivate { .. })));
}

#[test]
fn the_hash_of_every_height_is_found_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let (mut journal, _) = open(&path).unwrap();
    let mut heads = Vec::new();
    for number in 0..2_100 {
        let position = journal.append(&record(number)).unwrap();
        heads.push(journal.head());
        if number % 200 == 0 || number == 2_099 {
            let _recorded = journal
                .durability()
                .commit(position, record(number))
                .unwrap();
        }
    }
    let check = |journal: &Journal| {
        for head in &heads {
            assert_eq!(
                journal.hash_at(head.height).unwrap(),
                Some(head.hash),
                "height {}",
                head.height
            );
        }
        assert_eq!(journal.hash_at(0).unwrap(), None);
        assert_eq!(journal.hash_at(2_101).unwrap(), None);
    };
    check(&journal);
    drop(journal);
    check(&open(&path).unwrap().0);
}
