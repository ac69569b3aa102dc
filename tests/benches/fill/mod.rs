//! Stores with very many payments, as a year of paying leaves them.
//!
//! Owns: rows as the store writes them, put in by SQL because a million payments through the door take too long. May not:
//! measure.

use paygate::clock;
use paygate::store::{Store, StoreOptions};
use rusqlite::{Connection, params};
use xrpl_tx::AccountId;

const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;

/// What `codec.rs` reads as: settled in ledger 1000 by tesSUCCESS, 1 XRP delivered, fee 10 drops, shown by the server "own".
const EVIDENCE: &str =
    "080110e8071a20LEDGER2220TRANSACTION2a0a7465735355434345535330c0843d380a42036f776e";

/// Lines of a paid payment's timeline: state, stage, a sentence.
const TIMELINE: [(Option<&str>, i32, &str); 6] = [
    (
        Some("ACCEPTED"),
        1,
        "Accepted: 1 XRP to rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe, tag 7. It has no deadline.",
    ),
    (
        Some("AT_LARGE"),
        5,
        "Bound to sequence 1000 at validated ledger 1000. Version 1: fee 0.00001 XRP, dead after ledger 1020.",
    ),
    (
        Some("AT_LARGE"),
        8,
        "Version 1 is signed and stored: transaction F46A701DEA3655203428D01BA378994165F889FC1FD5798571CB2F1C42401DB7.",
    ),
    (None, 10, "sent to own"),
    (None, 11, "tesSUCCESS (applied for now), provisional"),
    (
        Some("PAID"),
        12,
        "PAID: 1 XRP delivered in validated ledger 1001, fee 0.00001 XRP.",
    ),
];

/// As random as callers' own ids are, so that neighbours in time are none in the index.
pub(crate) fn stored_id(number: u64) -> String {
    format!("{:016x}-stored", number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Makes a store of `stored` paid payments, on sequences from `first_slot` on.
pub(crate) async fn fill(options: StoreOptions, first_slot: u32, stored: u64) {
    let (path, account) = (options.path.clone(), options.wallet.account);
    let store = Store::open(options).unwrap();
    store.close().await;
    let mut conn = Connection::open(path).unwrap();
    // Only while it is filled: what is measured later opens the file as the gateway does.
    conn.pragma_update(None, "synchronous", "OFF").unwrap();
    conn.pragma_update(None, "cache_size", -500_000).unwrap();
    let first_ms = clock::now().0 - YEAR_MS;
    let step_ms = YEAR_MS / i64::try_from(stored).unwrap();
    let tx = conn.transaction().unwrap();
    for number in 1..=stored {
        let slot = i64::from(first_slot) + i64::try_from(number).unwrap() - 1;
        let row = Row {
            number,
            slot,
            account,
        };
        pay(
            &tx,
            &row,
            first_ms + step_ms * i64::try_from(number).unwrap(),
        );
    }
    tx.execute(
        "INSERT INTO state_counts (state, n) VALUES ('PAID', ?1)",
        [i64::try_from(stored).unwrap()],
    )
    .unwrap();
    tx.commit().unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
}

/// Which payment is written.
struct Row {
    number: u64,
    slot: i64,
    account: AccountId,
}

fn pay(conn: &Connection, which: &Row, at_ms: i64) {
    let Row {
        number,
        slot,
        account,
    } = *which;
    let account = account.as_bytes();
    let row = i64::try_from(number).unwrap();
    let hash = |what: &[u8]| *xrpl_tx::sha256(&[what, &number.to_be_bytes()]).as_bytes();
    let evidence = EVIDENCE
        .replace("LEDGER", &hex::encode(hash(b"ledger")))
        .replace("TRANSACTION", &hex::encode(hash(b"transaction")));
    conn.prepare_cached(
        "INSERT INTO payments (number, client_id, payment_id, invoice_id, destination, destination_tag, drops, created_ms, \
         updated_ms, state, live, counts, slot_kind, slot_number, digest, epoch, since_ledger, evidence, closed_ms) \
         VALUES (?1, 'local', ?2, ?3, ?4, 7, 1000000, ?5, ?5, 'PAID', 0, 1, 1, ?6, ?7, 1, 1000, ?8, ?5)",
    )
    .unwrap()
    .execute(params![
        row,
        stored_id(number),
        hash(b"invoice"),
        &hash(b"destination")[..20],
        at_ms,
        slot,
        hash(b"digest"),
        hex::decode(evidence).unwrap(),
    ])
    .unwrap();
    conn.prepare_cached("INSERT INTO slots (account, kind, number, owner, resolved_ledger, resolved_by) VALUES (?1, 1, ?2, ?3, 1001, ?4)")
        .unwrap()
        .execute(params![account, slot, row, hash(b"transaction")])
        .unwrap();
    conn.prepare_cached(
        "INSERT INTO versions (account, slot_kind, slot_number, n, kind, fee, last_ledger, tx_hash, blob) VALUES (?1, 1, ?2, 0, 1, 10, 1020, ?3, ?4)",
    )
    .unwrap()
    .execute(params![account, slot, hash(b"transaction"), hash(b"blob").repeat(7)])
    .unwrap();
    for (state, stage, sentence) in TIMELINE {
        conn.prepare_cached(
            "INSERT INTO events (payment, at_ms, stage, state, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .unwrap()
        .execute(params![row, at_ms, stage, state, sentence.as_bytes()])
        .unwrap();
    }
}
