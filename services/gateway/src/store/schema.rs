//! The tables, as a list of migrations.
//!
//! Owns: the schema and its version. May not: change a migration that was ever released; add one.

/// Marks a file as a store of paygate: "PGTE".
pub(super) const APPLICATION_ID: i32 = 0x5047_5445;

/// Migration n brings a file from `user_version` n to n + 1. Each runs in one transaction with the new number.
pub(super) const MIGRATIONS: &[&str] = &[
    FIRST, ISSUED, COUNTS, GUARDS, IMPORTED, PEOPLE, INVOICES, ROLLOUT, LIMITS,
];

const FIRST: &str = "
-- The store itself: who it is, whom it serves, how far it is. One row.
CREATE TABLE meta (
    id               INTEGER PRIMARY KEY CHECK (id = 1),
    store_id         BLOB    NOT NULL CHECK (length(store_id) = 16),
    network_id       INTEGER NOT NULL,
    account          BLOB    NOT NULL CHECK (length(account) = 20),
    source_tag       INTEGER,
    epoch            INTEGER NOT NULL DEFAULT 0,
    -- The generation that compared store, ledger and signer last, and how far the store was when the one after it began.
    checked_epoch    INTEGER NOT NULL DEFAULT 0,
    doubt_from       INTEGER,
    first_ledger     INTEGER,
    ledger_index     INTEGER,
    ledger_hash      BLOB,
    balance          INTEGER,
    journal_height   INTEGER NOT NULL DEFAULT 0,
    journal_hash     BLOB,
    quarantine_why   TEXT,
    quarantine_until INTEGER,
    frozen_why       TEXT,
    frozen_since_ms  INTEGER,
    checks           INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One row for each payment, for ever. Number is the order of creation.
CREATE TABLE payments (
    number          INTEGER PRIMARY KEY,
    client_id       TEXT    NOT NULL,
    payment_id      TEXT    NOT NULL,
    invoice_id      BLOB    NOT NULL CHECK (length(invoice_id) = 32),
    destination     BLOB    NOT NULL CHECK (length(destination) = 20),
    destination_tag INTEGER,
    drops           INTEGER NOT NULL CHECK (drops >= 0),
    memos           BLOB,
    retry_of        TEXT,
    deadline        INTEGER,
    trace_parent    TEXT,
    created_ms      INTEGER NOT NULL,
    updated_ms      INTEGER NOT NULL,
    state           TEXT    NOT NULL,
    live            INTEGER NOT NULL CHECK (live IN (0, 1)),
    counts          INTEGER NOT NULL CHECK (counts IN (0, 1)),
    slot_kind       INTEGER,
    slot_number     INTEGER,
    digest          BLOB,
    epoch           INTEGER,
    since_ledger    INTEGER,
    cancel          TEXT,
    evidence        BLOB,
    closed_ms       INTEGER,
    UNIQUE (client_id, payment_id)
) STRICT;

-- A predecessor has one successor.
CREATE UNIQUE INDEX payments_successor ON payments (client_id, retry_of) WHERE retry_of IS NOT NULL;
-- A payment keeps its slot, and a slot its payment.
CREATE UNIQUE INDEX payments_slot ON payments (slot_kind, slot_number) WHERE slot_number IS NOT NULL;
-- Only what is live is ever looked up by InvoiceID; so the index stays small whatever is stored.
CREATE UNIQUE INDEX payments_invoice ON payments (invoice_id) WHERE live = 1;
CREATE INDEX payments_deadline ON payments (deadline) WHERE live = 1 AND deadline IS NOT NULL;
-- The rolling day reads nothing but this.
CREATE INDEX payments_day ON payments (counts, created_ms, drops) WHERE counts = 1;
CREATE INDEX payments_state ON payments (state, number);
CREATE INDEX payments_client ON payments (client_id, state, number);

-- How many payments are in each state, kept by the triggers below: counting a million rows takes too long.
CREATE TABLE state_counts (
    state TEXT PRIMARY KEY,
    n     INTEGER NOT NULL CHECK (n >= 0)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER payments_counted AFTER INSERT ON payments BEGIN
    INSERT INTO state_counts (state, n) VALUES (NEW.state, 1) ON CONFLICT (state) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER payments_recounted AFTER UPDATE OF state ON payments WHEN OLD.state <> NEW.state BEGIN
    UPDATE state_counts SET n = n - 1 WHERE state = OLD.state;
    INSERT INTO state_counts (state, n) VALUES (NEW.state, 1) ON CONFLICT (state) DO UPDATE SET n = n + 1;
END;
-- Money that is stored does not go away.
CREATE TRIGGER payments_kept BEFORE DELETE ON payments BEGIN
    SELECT RAISE(ABORT, 'a payment is never deleted');
END;

-- One row for each slot that anything was ever bound to or signed for. Kind: 1 Sequence, 2 Ticket.
CREATE TABLE slots (
    account         BLOB    NOT NULL,
    kind            INTEGER NOT NULL CHECK (kind IN (1, 2)),
    number          INTEGER NOT NULL,
    owner           INTEGER REFERENCES payments (number),
    resolved_ledger INTEGER,
    resolved_by     BLOB,
    PRIMARY KEY (account, kind, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX slots_open ON slots (kind, number) WHERE resolved_ledger IS NULL;

-- Every transaction that was ever committed for a slot, whether or not its signature came back. Kind: 1 Payment, 2 no-op.
CREATE TABLE versions (
    account     BLOB    NOT NULL,
    slot_kind   INTEGER NOT NULL,
    slot_number INTEGER NOT NULL,
    n           INTEGER NOT NULL,
    kind        INTEGER NOT NULL CHECK (kind IN (1, 2)),
    fee         INTEGER NOT NULL CHECK (fee >= 0),
    last_ledger INTEGER NOT NULL,
    tx_hash     BLOB UNIQUE,
    blob        BLOB,
    PRIMARY KEY (account, slot_kind, slot_number, n),
    FOREIGN KEY (account, slot_kind, slot_number) REFERENCES slots (account, kind, number),
    CHECK ((tx_hash IS NULL) = (blob IS NULL))
) STRICT;

-- What happened, in the order of commits. Payment is absent for what concerns the wallet as a whole. Written in the same
-- transaction as what it tells. None is ever deleted, so that no number is given twice.
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    payment  INTEGER REFERENCES payments (number),
    at_ms    INTEGER NOT NULL,
    stage    INTEGER NOT NULL,
    state    TEXT,
    body     BLOB    NOT NULL
) STRICT;
CREATE INDEX events_payment ON events (payment, sequence) WHERE payment IS NOT NULL;

-- Validated transactions of the wallet that no row made; acknowledged once a person has said that they are known.
CREATE TABLE foreign_transactions (
    tx_hash      BLOB    PRIMARY KEY CHECK (length(tx_hash) = 32),
    slot_kind    INTEGER NOT NULL,
    slot_number  INTEGER NOT NULL,
    ledger_index INTEGER NOT NULL,
    ledger_hash  BLOB    NOT NULL,
    invoice_id   BLOB,
    destination  BLOB,
    drops        INTEGER,
    result       TEXT    NOT NULL,
    seen_ms      INTEGER NOT NULL,
    acknowledged_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX foreign_invoice ON foreign_transactions (invoice_id) WHERE invoice_id IS NOT NULL;
";

/// Issued currencies. The amount is in the ledger's own forms, so that it is exact: asset is currency and issuer, value and
/// send_max are 8 bytes each. A row with an asset has 0 drops.
const ISSUED: &str = "
ALTER TABLE payments ADD COLUMN asset BLOB CHECK (asset IS NULL OR (length(asset) = 40 AND drops = 0));
ALTER TABLE payments ADD COLUMN value BLOB CHECK ((value IS NULL) = (asset IS NULL) AND (value IS NULL OR length(value) = 8));
ALTER TABLE payments ADD COLUMN send_max BLOB CHECK (send_max IS NULL OR (asset IS NOT NULL AND length(send_max) = 8));
-- The rolling day of an asset reads nothing but this.
CREATE INDEX payments_asset_day ON payments (asset, created_ms, value, send_max) WHERE counts = 1 AND asset IS NOT NULL;
ALTER TABLE foreign_transactions ADD COLUMN asset BLOB CHECK (asset IS NULL OR length(asset) = 40);
ALTER TABLE foreign_transactions ADD COLUMN value BLOB CHECK (value IS NULL OR length(value) = 8);
";

/// The writer counts states itself, once for each commit: with a trigger, each payment is a statement that SQLite must be able to
/// undo halfway, and copies every page that it touches.
const COUNTS: &str = "
DROP TRIGGER payments_counted;
DROP TRIGGER payments_recounted;
";

/// Books, the fees of the last hour, and transactions announced by a person. Books of a store that was there before begin with
/// the balance that it reconciled last.
const GUARDS: &str = "
CREATE TABLE books (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    opened_ledger INTEGER NOT NULL,
    opening       INTEGER NOT NULL CHECK (opening >= 0),
    balance       INTEGER NOT NULL CHECK (balance >= 0),
    paid          INTEGER NOT NULL CHECK (paid >= 0),
    fees          INTEGER NOT NULL CHECK (fees >= 0),
    inflows       INTEGER NOT NULL CHECK (inflows >= 0),
    outside_in    INTEGER NOT NULL CHECK (outside_in >= 0),
    outside_out   INTEGER NOT NULL CHECK (outside_out >= 0),
    found         INTEGER NOT NULL CHECK (found >= 0),
    lost          INTEGER NOT NULL CHECK (lost >= 0)
) STRICT;
INSERT INTO books SELECT 1, ledger_index, balance, balance, 0, 0, 0, 0, 0, 0, 0 FROM meta
    WHERE balance IS NOT NULL AND ledger_index IS NOT NULL;
CREATE TABLE fee_minutes (
    minute INTEGER PRIMARY KEY,
    drops  INTEGER NOT NULL CHECK (drops >= 0)
) STRICT;
CREATE TABLE announcements (
    tx_hash     BLOB    PRIMARY KEY CHECK (length(tx_hash) = 32),
    last_ledger INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    client_id   TEXT    NOT NULL,
    at_ms       INTEGER NOT NULL,
    seen_ledger INTEGER
) STRICT, WITHOUT ROWID;
";

/// What the ledger shows of rows that were lost, and what a person did to the signer's journal.
const IMPORTED: &str = "
-- Validated transactions of the wallet that no row made and that look like ours: of rows that were lost. A payment that is asked
-- for again is told from them. Judged: the signer was asked whether its journal reaches so far.
CREATE TABLE imported (
    tx_hash      BLOB    PRIMARY KEY CHECK (length(tx_hash) = 32),
    slot_kind    INTEGER NOT NULL,
    slot_number  INTEGER NOT NULL,
    ledger_index INTEGER NOT NULL,
    invoice_id   BLOB,
    payment_key  TEXT,
    judged       INTEGER NOT NULL CHECK (judged IN (0, 1)),
    body         BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX imported_invoice ON imported (invoice_id) WHERE invoice_id IS NOT NULL;
CREATE INDEX imported_key ON imported (payment_key) WHERE payment_key IS NOT NULL;
CREATE INDEX imported_unjudged ON imported (tx_hash) WHERE judged = 0;
-- The newest frame by which a person took the journal into use again, as far as this store knows.
ALTER TABLE meta ADD COLUMN recovery_height INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN recovery_hash BLOB;
-- The next ledger of the history before the first one that is still to be imported. None: nothing is.
ALTER TABLE meta ADD COLUMN import_from INTEGER;
ALTER TABLE meta ADD COLUMN import_done INTEGER NOT NULL DEFAULT 0;
";

/// What people do: the audit log, pauses, approvals.
const PEOPLE: &str = "
-- Who did what, chained by hashes, in the order of commits. Sequences have no gaps.
CREATE TABLE audit (
    sequence   INTEGER PRIMARY KEY,
    at_ms      INTEGER NOT NULL,
    client_id  TEXT    NOT NULL,
    credential TEXT    NOT NULL,
    method     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    code       INTEGER NOT NULL,
    trace_id   TEXT    NOT NULL,
    previous   BLOB    NOT NULL CHECK (length(previous) = 32),
    hash       BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX audit_client ON audit (client_id, sequence);
CREATE TRIGGER audit_kept BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'an audit entry is never deleted');
END;
CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'an audit entry is never changed');
END;
-- The newest entry once more, so that entries cut off at the end are missed.
CREATE TABLE audit_head (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL,
    hash     BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
-- What is not bound until a person resumes. Neither client nor destination: everything.
CREATE TABLE pauses (
    what        TEXT PRIMARY KEY,
    client_id   TEXT,
    destination BLOB CHECK (destination IS NULL OR (client_id IS NULL AND length(destination) = 20)),
    reason      TEXT NOT NULL,
    paused_by   TEXT NOT NULL,
    since_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- One row for each payment that waits or waited for approval. Decision: 1 approved, 2 rejected, absent: by nobody.
CREATE TABLE approvals (
    payment    INTEGER PRIMARY KEY REFERENCES payments (number),
    until_ms   INTEGER NOT NULL,
    decision   INTEGER CHECK (decision IN (1, 2)),
    client_id  TEXT,
    decided_ms INTEGER,
    CHECK ((decision IS NULL) = (client_id IS NULL))
) STRICT;
";

/// No index by InvoiceID. It follows from client and payment id, which are unique, and where it is looked up, only payments that are not
/// bound are looked through, of which there are as many as the limits let wait. InvoiceIDs are in no order: each payment wrote a page of
/// its own for that index.
const INVOICES: &str = "
DROP INDEX payments_invoice;
";

/// The roll-out: the stage in force, all that was found and said of stages, and what made sending stand still.
const ROLLOUT: &str = "
-- One row, once a roll-out was begun. Entered: the line of history with which the stage began. First_payment: payments from this number
-- on are the stage's. Digest: of the file of stages.
CREATE TABLE rollout (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    stage         TEXT    NOT NULL,
    since_ms      INTEGER NOT NULL,
    entered       INTEGER NOT NULL REFERENCES rollout_history (sequence),
    first_payment INTEGER NOT NULL,
    digest        BLOB    NOT NULL CHECK (length(digest) = 32),
    suspended     INTEGER NOT NULL CHECK (suspended IN (0, 1))
) STRICT;
CREATE TABLE rollout_history (
    sequence  INTEGER PRIMARY KEY,
    at_ms     INTEGER NOT NULL,
    what      TEXT    NOT NULL,
    stage     TEXT    NOT NULL,
    criterion TEXT    NOT NULL,
    outcome   TEXT    NOT NULL,
    detail    TEXT    NOT NULL,
    client_id TEXT    NOT NULL,
    reason    TEXT    NOT NULL
) STRICT;
CREATE TRIGGER rollout_kept BEFORE DELETE ON rollout_history BEGIN
    SELECT RAISE(ABORT, 'a line of the roll-out is never deleted');
END;
CREATE TRIGGER rollout_fixed BEFORE UPDATE ON rollout_history BEGIN
    SELECT RAISE(ABORT, 'a line of the roll-out is never changed');
END;
-- Freezes and quarantines, when they began.
CREATE TABLE incidents (
    sequence INTEGER PRIMARY KEY,
    at_ms    INTEGER NOT NULL,
    what     TEXT    NOT NULL CHECK (what IN ('freeze', 'quarantine'))
) STRICT;
";

/// The limits that were in force last, as the configuration wrote them, so that a start tells what was changed before it. No row: a store
/// of an older gateway, or a new one.
const LIMITS: &str = "
CREATE TABLE limits_in_force (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    text TEXT    NOT NULL
) STRICT;
";
