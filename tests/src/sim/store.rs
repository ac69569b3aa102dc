//! The closed ledgers on disk: one file that only grows, one checked line per ledger, synced before anybody hears of it.
//!
//! Owns: what survives a restart. May not: keep anything that a real server would lose with its memory (the open
//! ledger, held transactions, caches).

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::blob::{BlobError, Tx};
use super::types::sha512_half;
use super::world::{Genesis, GenesisError, Ledger, World};

/// Name of the file in the state directory.
const FILE_NAME: &str = "ledgers.jsonl";
/// Characters of the hash in front of each line.
const CHECK_CHARS: usize = 16;

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk.
    #[error("state directory {path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// A line in the middle of the file does not match its check, or is not what was written.
    #[error("state file {path} is damaged at line {line}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// The file belongs to a network that started otherwise.
    #[error(
        "state directory {path} holds another network: network_id, start index, fees or funded accounts differ"
    )]
    OtherNetwork {
        /// Which file.
        path: PathBuf,
    },
    /// The options name no possible network.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum Record {
    Genesis(Genesis),
    Ledger {
        index: u32,
        close_time: u32,
        hash: String,
        txs: Vec<String>,
    },
}

/// The open file.
pub(super) struct Store {
    file: File,
    path: PathBuf,
}

impl Store {
    /// Opens the directory, or begins it with `genesis`; gives the chain as far as it was closed.
    pub(super) fn open(directory: &Path, genesis: Genesis) -> Result<(Self, World), StoreError> {
        let path = directory.join(FILE_NAME);
        let io = |source| StoreError::Io {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(directory).map_err(io)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io)?;
        // Two servers on one file would tear it apart.
        file.try_lock().map_err(|error| io(error.into()))?;
        let (records, good_bytes) = read_records(&file, &path)?;
        file.set_len(good_bytes).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        let mut store = Self {
            file,
            path: path.clone(),
        };
        let mut records = records.into_iter().enumerate();
        let world = match records.next() {
            None => {
                store.write(&Record::Genesis(genesis.clone()))?;
                File::open(directory)
                    .and_then(|directory| directory.sync_all())
                    .map_err(io)?;
                return Ok((store, World::new(genesis)?));
            }
            Some((_, Record::Genesis(stored))) => {
                // Only the moment of the first start may differ.
                if stored
                    != (Genesis {
                        close_time: stored.close_time,
                        ..genesis
                    })
                {
                    return Err(StoreError::OtherNetwork { path });
                }
                World::new(stored)?
            }
            Some((_, Record::Ledger { .. })) => return Err(StoreError::Damaged { path, line: 1 }),
        };
        let world = replay(world, records).map_err(|line| StoreError::Damaged { path, line })?;
        Ok((store, world))
    }

    /// Makes a closed ledger durable.
    pub(super) fn append(&mut self, ledger: &Ledger) -> Result<(), StoreError> {
        self.write(&Record::Ledger {
            index: ledger.index,
            close_time: ledger.close_time,
            hash: ledger.hash.to_string(),
            txs: ledger
                .txs
                .iter()
                .map(|included| hex::encode_upper(&included.tx.blob))
                .collect(),
        })
    }

    fn write(&mut self, record: &Record) -> Result<(), StoreError> {
        let json = serde_json::to_string(record).expect("records hold only what JSON can say");
        let line = format!("{} {json}\n", check(&json));
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(|source| StoreError::Io {
                path: self.path.clone(),
                source,
            })
    }
}

fn check(json: &str) -> String {
    let mut text = sha512_half(&[json.as_bytes()]).to_string();
    text.truncate(CHECK_CHARS);
    text
}

/// The good records and their length in bytes. Only a last line may be torn.
fn read_records(file: &File, path: &Path) -> Result<(Vec<Record>, u64), StoreError> {
    let mut reader = BufReader::new(file);
    let mut records = Vec::new();
    let mut good_bytes = 0;
    let mut torn_line = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader
            .read_until(b'\n', &mut line)
            .map_err(|source| StoreError::Io {
                path: path.to_owned(),
                source,
            })?;
        if read == 0 {
            return Ok((records, good_bytes));
        }
        if let Some(line) = torn_line {
            return Err(StoreError::Damaged {
                path: path.to_owned(),
                line,
            });
        }
        match parse_line(&line) {
            Some(record) => {
                records.push(record);
                good_bytes += u64::try_from(read).expect("a line is shorter than a file");
            }
            None => torn_line = Some(records.len() + 1),
        }
    }
}

fn parse_line(line: &[u8]) -> Option<Record> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (stored_check, json) = text.split_once(' ')?;
    if stored_check != check(json) {
        return None;
    }
    serde_json::from_str(json).ok()
}

/// Builds every ledger again and compares its hash; the error is the number of the line that does not fit.
fn replay(
    mut world: World,
    records: impl Iterator<Item = (usize, Record)>,
) -> Result<World, usize> {
    for (number, record) in records {
        let line = number + 1;
        let Record::Ledger {
            index,
            close_time,
            hash,
            txs,
        } = record
        else {
            return Err(line);
        };
        let txs: Result<Vec<Arc<Tx>>, BlobError> = txs
            .iter()
            .map(|blob| Tx::from_hex(blob).map(Arc::new))
            .collect();
        let built = world
            .rebuild(txs.map_err(|_| line)?, close_time)
            .ok_or(line)?;
        if built.ledger.index != index || built.ledger.hash.to_string() != hash {
            return Err(line);
        }
        world.push(built);
    }
    Ok(world)
}
