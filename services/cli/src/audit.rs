//! The audit log as the gateway shows it, and whether it is whole.
//!
//! Owns: recomputing the chain from the contract alone (see `AuditEntry` in operations_service.proto), apart from the gateway's own
//! code. May not: ask anybody.

use paygate_proto::v1::{AuditEntry, AuditHead};
use ring::digest::{Context, SHA256};

/// What the chain begins with, before the store's id.
const DOMAIN: &[u8] = b"paygate.audit.v1";

/// A log that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// So many entries.
    pub entries: u64,
    /// The newest one. `None`: there is none.
    pub head: Option<AuditHead>,
}

/// Where a log is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// An entry is not there.
    #[error("entry {0} is missing")]
    Missing(u64),
    /// An entry does not follow from the one before.
    #[error("entry {0} does not follow from the one before it: one of them was replaced")]
    Unchained(u64),
    /// An entry's content is not what its hash says.
    #[error("entry {0} was changed: its hash is of other content")]
    Changed(u64),
    /// Entries at the end are not there.
    #[error("entries after {last} are missing: the log had {head}")]
    Cut {
        /// The newest that is there.
        last: u64,
        /// The newest that was written.
        head: u64,
    },
    /// The whole log was made anew: it is not the one of which a head was kept.
    #[error("entry {0} has another hash than the one that was kept: the log was made anew")]
    Remade(u64),
    /// The store's id, with which the chain begins, is not one.
    #[error("the store's id {0:?} is not 32 hex digits")]
    StoreId(String),
}

/// Recomputes the whole log. `entries` in any order; `head` as the gateway shows it; `kept`, a head that somebody kept elsewhere.
///
/// # Errors
/// The first entry that is not what was written.
pub fn verify(
    store_id: &str,
    mut entries: Vec<AuditEntry>,
    head: Option<&AuditHead>,
    kept: Option<&AuditHead>,
) -> Result<Whole, Broken> {
    entries.sort_by_key(|entry| entry.sequence);
    let store = unhex(store_id).ok_or_else(|| Broken::StoreId(store_id.to_owned()))?;
    let mut previous = sha256(&[DOMAIN, &store]);
    let mut last = 0;
    for entry in &entries {
        if entry.sequence != last + 1 {
            return Err(Broken::Missing(last + 1));
        }
        if entry.previous_hash != previous {
            return Err(Broken::Unchained(entry.sequence));
        }
        if hash(entry).as_deref() != Some(&entry.hash) {
            return Err(Broken::Changed(entry.sequence));
        }
        if let Some(kept) = kept.filter(|kept| kept.sequence == entry.sequence)
            && kept.hash != entry.hash
        {
            return Err(Broken::Remade(entry.sequence));
        }
        last = entry.sequence;
        previous.clone_from(&entry.hash);
    }
    for head in [head, kept].into_iter().flatten() {
        if head.sequence > last {
            return Err(Broken::Cut {
                last,
                head: head.sequence,
            });
        }
    }
    match head {
        Some(head) if head.sequence < last || head.hash != previous => Err(Broken::Remade(last)),
        None if last > 0 => Err(Broken::Remade(last)),
        _ => Ok(Whole {
            entries: last,
            head: head.cloned(),
        }),
    }
}

/// The hash that an entry must have. `None`: what it says of its time or of the entry before cannot be read.
fn hash(entry: &AuditEntry) -> Option<String> {
    let previous = unhex(&entry.previous_hash)?;
    let time = entry.time.as_ref()?;
    let at = time
        .seconds
        .checked_mul(1000)?
        .checked_add(i64::from(time.nanos / 1_000_000))?;
    let mut body = Vec::new();
    let texts = [
        &entry.client_id,
        &entry.credential,
        &entry.method,
        &entry.subject,
        &entry.reason,
        &entry.trace_id,
    ];
    for text in texts {
        body.extend_from_slice(&u32::try_from(text.len()).ok()?.to_be_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    Some(sha256(&[
        &previous,
        &entry.sequence.to_be_bytes(),
        &at.to_be_bytes(),
        &entry.code.to_be_bytes(),
        &body,
    ]))
}

fn sha256(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let digits = context.finish();
    digits
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::Timestamp;

    const STORE: &str = "00112233445566778899aabbccddeeff";

    fn log(length: u64) -> Vec<AuditEntry> {
        let mut previous = sha256(&[DOMAIN, &unhex(STORE).unwrap()]);
        (1..=length)
            .map(|sequence| {
                let mut entry = AuditEntry {
                    sequence,
                    time: Some(Timestamp {
                        seconds: 1_795_435_200,
                        nanos: 5_000_000,
                    }),
                    client_id: "ops".into(),
                    reason: format!("reason {sequence}"),
                    previous_hash: previous.clone(),
                    ..AuditEntry::default()
                };
                entry.hash = hash(&entry).unwrap();
                previous.clone_from(&entry.hash);
                entry
            })
            .collect()
    }

    fn head_of(log: &[AuditEntry]) -> AuditHead {
        let last = log.last().unwrap();
        AuditHead {
            sequence: last.sequence,
            hash: last.hash.clone(),
        }
    }

    fn verdict(log: Vec<AuditEntry>, head: &AuditHead) -> Result<u64, Broken> {
        verify(STORE, log, Some(head), None).map(|whole| whole.entries)
    }

    #[test]
    fn whatever_is_done_to_a_log_the_first_entry_that_is_not_what_was_written_is_named() {
        let whole = log(5);
        let head = head_of(&whole);
        assert_eq!(verdict(whole.clone(), &head), Ok(5));
        assert_eq!(verdict(whole.iter().rev().cloned().collect(), &head), Ok(5));
        let without = |gone: usize| {
            let mut log = whole.clone();
            log.remove(gone);
            log
        };
        assert_eq!(verdict(without(0), &head), Err(Broken::Missing(1)));
        assert_eq!(verdict(without(2), &head), Err(Broken::Missing(3)));
        assert_eq!(
            verdict(without(4), &head),
            Err(Broken::Cut { last: 4, head: 5 })
        );
        let mut changed = whole.clone();
        changed[1].reason = "another".into();
        assert_eq!(verdict(changed.clone(), &head), Err(Broken::Changed(2)));
        // Whoever changes the hash with it breaks the next one.
        changed[1].hash = hash(&changed[1]).unwrap();
        assert_eq!(verdict(changed, &head), Err(Broken::Unchained(3)));
        let mut swapped = whole.clone();
        swapped[1].sequence = 3;
        swapped[2].sequence = 2;
        assert_eq!(verdict(swapped, &head), Err(Broken::Unchained(2)));
    }

    #[test]
    fn a_log_made_anew_is_not_the_one_of_which_a_head_was_kept() {
        let (before, mut anew) = (log(3), log(4));
        let kept = head_of(&before);
        let whole = verify(STORE, anew.clone(), Some(&head_of(&anew)), Some(&kept));
        assert_eq!(whole.unwrap().entries, 4, "it went on from there");
        anew[0].client_id = "somebody else".into();
        let mut previous = anew[0].previous_hash.clone();
        for entry in &mut anew {
            entry.previous_hash = previous;
            entry.hash = hash(entry).unwrap();
            previous = entry.hash.clone();
        }
        let head = head_of(&anew);
        assert_eq!(
            verdict(anew.clone(), &head),
            Ok(4),
            "by itself it looks whole"
        );
        let told = verify(STORE, anew, Some(&head), Some(&kept));
        assert_eq!(told, Err(Broken::Remade(3)));
        assert_eq!(
            verify(STORE, Vec::new(), None, Some(&kept)),
            Err(Broken::Cut { last: 0, head: 3 })
        );
    }
}
