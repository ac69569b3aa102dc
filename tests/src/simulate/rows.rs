//! The rows of a store's file, read with a connection and a decoder of our own.
//!
//! Owns: what a commit changed. Reads what was undecided before or is now; a look at everything is made at the beginning of each
//! life, now and then, and at the end. May not: write, or use the gateway's own reading of its rows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use prost::Message;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Params, Row};
use xrpl_tx::AccountId;

use super::facts::{Commit, Evidence, Hash, Meta, PaymentRow, Standing, VersionRow};

/// So many commits from one look at everything to the next.
const COMMITS_BETWEEN_LOOKS: u32 = 64;

const PAYMENTS: &str = "SELECT number, client_id, payment_id, invoice_id, destination, destination_tag, drops, asset IS NULL, \
                        deadline, cancel IS NOT NULL, state, slot_number, digest, evidence FROM payments";
const VERSIONS: &str = "SELECT v.slot_number, v.n, v.kind, v.fee, v.last_ledger, v.tx_hash, v.blob \
                        FROM slots s JOIN versions v ON v.account = s.account AND v.slot_kind = s.kind AND v.slot_number = s.number";

/// Reads a store beside the gateway that writes it.
#[derive(Debug)]
pub struct Rows {
    conn: Connection,
    payments: BTreeMap<i64, PaymentRow>,
    /// Numbers of payments that were undecided.
    live: BTreeSet<i64>,
    versions: BTreeMap<(u32, u32), VersionRow>,
    /// Slots that were undecided.
    open: BTreeSet<u32>,
    resolved: BTreeMap<u32, Option<Hash>>,
    foreign: BTreeSet<Hash>,
    commits: u32,
    /// What SQLite called the file's state at the last look, and the row about the store then.
    seen: Option<(i64, Meta)>,
}

/// Evidence as the store writes it; its fields are never changed, new ones may come.
#[derive(Clone, PartialEq, Message)]
struct StoredEvidence {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "2")]
    ledger_index: u32,
    #[prost(bytes = "vec", tag = "3")]
    ledger_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    tx_hash: Vec<u8>,
    #[prost(uint64, tag = "6")]
    delivered: u64,
    #[prost(uint64, tag = "7")]
    fee: u64,
}

const KIND_NEVER_BOUND: i32 = 2;
const KIND_ABSENCE: i32 = 3;
const KIND_SEALED: i32 = 5;
const KIND_CANNOT_RECEIVE: i32 = 9;

impl Rows {
    /// Opens the file for reading.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        // A prepared statement is not parsed anew for other values.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(Self {
            conn,
            payments: BTreeMap::new(),
            live: BTreeSet::new(),
            versions: BTreeMap::new(),
            open: BTreeSet::new(),
            resolved: BTreeMap::new(),
            foreign: BTreeSet::new(),
            commits: 0,
            seen: None,
        })
    }

    /// What is new since the last look. The first look shows everything.
    pub fn changes(&mut self) -> rusqlite::Result<Commit> {
        let everything = self.commits.is_multiple_of(COMMITS_BETWEEN_LOOKS);
        self.commits += 1;
        // Many a transaction finds nothing to do. SQLite says whether anybody else has written.
        let state: i64 = self
            .conn
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        if let Some((seen, meta)) = &self.seen
            && *seen == state
            && !everything
        {
            return Ok(Commit {
                meta: meta.clone(),
                ..Commit::default()
            });
        }
        let commit = self.look(everything)?;
        self.seen = Some((state, commit.meta.clone()));
        Ok(commit)
    }

    /// What is new, and also what must never change.
    pub fn look_at_all(&mut self) -> rusqlite::Result<Commit> {
        self.look(true)
    }

    fn look(&mut self, everything: bool) -> rusqlite::Result<Commit> {
        let mut commit = Commit {
            meta: self.meta()?,
            ..Commit::default()
        };
        self.look_at_payments(everything, &mut commit)?;
        self.look_at_slots(everything, &mut commit)?;
        let found: Vec<Hash> = self.list(
            "SELECT tx_hash FROM foreign_transactions UNION SELECT tx_hash FROM imported",
            [],
            |row| row.get(0),
        )?;
        for hash in found {
            if self.foreign.insert(hash) {
                commit.foreign.push(hash);
            }
        }
        Ok(commit)
    }

    fn list<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        statement.query_map(values, read)?.collect()
    }

    fn meta(&self) -> rusqlite::Result<Meta> {
        let sql = "SELECT epoch, first_ledger, ledger_index, ledger_hash, balance, quarantine_until, frozen_why IS NOT NULL FROM meta";
        self.conn.prepare_cached(sql)?.query_row([], |row| {
            let index: Option<u32> = row.get(2)?;
            let hash: Option<Hash> = row.get(3)?;
            Ok(Meta {
                epoch: unsigned(row, 0)?,
                first_ledger: row.get(1)?,
                reconciled: index.zip(hash),
                balance: row
                    .get::<_, Option<i64>>(4)?
                    .and_then(|balance| u64::try_from(balance).ok()),
                quarantine_until: row.get(5)?,
                is_frozen: row.get(6)?,
            })
        })
    }

    fn look_at_payments(&mut self, everything: bool, commit: &mut Commit) -> rusqlite::Result<()> {
        let known = self
            .payments
            .last_key_value()
            .map_or(0, |(number, _)| *number);
        let mut found = match everything {
            true => self.list(PAYMENTS, [], payment)?,
            false => {
                let sql = format!("{PAYMENTS} WHERE live = 1 OR number > ?1");
                self.list(&sql, [known], payment)?
            }
        };
        let seen: BTreeSet<i64> = found.iter().map(|(number, _)| *number).collect();
        for number in self.live.difference(&seen) {
            found.extend(self.list(&format!("{PAYMENTS} WHERE number = ?1"), [number], payment)?);
        }
        self.live.clear();
        for (number, row) in found {
            if !row.state.is_final() {
                self.live.insert(number);
            }
            if self.payments.get(&number) != Some(&row) {
                commit.payments.push(row.clone());
                self.payments.insert(number, row);
            }
        }
        Ok(())
    }

    fn look_at_slots(&mut self, everything: bool, commit: &mut Commit) -> rusqlite::Result<()> {
        let open = "SELECT number FROM slots WHERE resolved_ledger IS NULL";
        let now: BTreeSet<u32> = self.list(open, [], |row| row.get(0))?.into_iter().collect();
        let gone: Vec<u32> = self.open.difference(&now).copied().collect();
        let (mut versions, mut resolved) = (Vec::new(), Vec::new());
        let by = "SELECT number, resolved_by FROM slots WHERE resolved_ledger IS NOT NULL";
        let pair = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        if everything {
            versions.extend(self.list(VERSIONS, [], version)?);
            resolved.extend(self.list(by, [], pair)?);
        } else {
            versions.extend(self.list(
                &format!("{VERSIONS} WHERE s.resolved_ledger IS NULL"),
                [],
                version,
            )?);
            let versions_of = format!("{VERSIONS} WHERE s.number = ?1");
            let by = format!("{by} AND number = ?1");
            for slot in gone {
                versions.extend(self.list(&versions_of, [slot], version)?);
                resolved.extend(self.list(&by, [slot], pair)?);
            }
        }
        self.open = now;
        for version in versions {
            let id = (version.slot, version.number);
            if self.versions.get(&id) != Some(&version) {
                commit.versions.push(version.clone());
                self.versions.insert(id, version);
            }
        }
        for (slot, by) in resolved {
            if self.resolved.insert(slot, by) != Some(by) {
                commit.resolved.push((slot, by));
            }
        }
        Ok(())
    }
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

fn payment(row: &Row<'_>) -> rusqlite::Result<(i64, PaymentRow)> {
    let (client, id): (String, String) = (row.get(1)?, row.get(2)?);
    let word: String = row.get(10)?;
    let state = Standing::parse(&word).ok_or(rusqlite::Error::InvalidColumnName(word))?;
    let bytes: Option<Vec<u8>> = row.get(13)?;
    let payment = PaymentRow {
        key: format!("{client}/{id}"),
        invoice: row.get(3)?,
        destination: AccountId::from_bytes(row.get(4)?).to_address(),
        tag: row.get(5)?,
        amount: unsigned(row, 6)?,
        is_xrp: row.get(7)?,
        deadline: row.get(8)?,
        is_cancelled: row.get(9)?,
        state,
        slot: row.get(11)?,
        digest: row.get(12)?,
        evidence: bytes
            .filter(|_| state.is_final())
            .map(|bytes| evidence(&bytes)),
    };
    Ok((row.get(0)?, payment))
}

fn version(row: &Row<'_>) -> rusqlite::Result<VersionRow> {
    let hash: Option<Hash> = row.get(5)?;
    let blob: Option<Vec<u8>> = row.get(6)?;
    Ok(VersionRow {
        slot: row.get(0)?,
        number: row.get(1)?,
        is_payment: row.get::<_, u32>(2)? == 1,
        fee: unsigned(row, 3)?,
        last_ledger: row.get(4)?,
        signed: hash.zip(blob),
    })
}

/// What does not decode proves nothing.
fn evidence(bytes: &[u8]) -> Evidence {
    let stored = StoredEvidence::decode(bytes).unwrap_or_default();
    let hash = |bytes: &[u8]| Hash::try_from(bytes).ok();
    let is_unbound = [KIND_NEVER_BOUND, KIND_CANNOT_RECEIVE].contains(&stored.kind);
    Evidence {
        ledger: hash(&stored.ledger_hash).map(|hash| (stored.ledger_index, hash)),
        tx: hash(&stored.tx_hash),
        delivered: stored.delivered,
        fee: stored.fee,
        is_absence: stored.kind == KIND_ABSENCE,
        is_unbound,
        is_seal: stored.kind == KIND_SEALED,
    }
}
