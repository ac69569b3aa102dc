//! The books of the wallet, kept in the transaction that takes a ledger in.
//!
//! Owns: the row `books`, and whose doing each movement of the balance was. May not: judge a movement; that is the core's.

use paygate_payments::LedgerRef;
use paygate_payments::books::{Book, Difference, Movement, Mover};
use rusqlite::{Connection, params};
use xrpl_tx::Drops;

use super::codec::{self, Whole};
use super::error::StoreError;
use super::types::{Moved, Reconciliation};
use super::wallet;
use super::writer::Scope;

const COLUMNS: &str =
    "opened_ledger, opening, balance, paid, fees, inflows, outside_in, outside_out, found, lost";

/// Opens the books, unless they are open.
pub(super) fn open(scope: &Scope<'_>, ledger: LedgerRef, balance: Drops) -> Result<(), StoreError> {
    if read(scope.conn)?.is_none() {
        write(scope, &Book::open(ledger.index, balance))?;
    }
    Ok(())
}

pub(super) fn read(conn: &Connection) -> Result<Option<Book>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM books WHERE id = 1");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let drops = |at: usize| codec::drops(row.get::<_, Whole>(at)?.0, "a sum of the books");
    Ok(Some(Book {
        opened: paygate_payments::LedgerIndex(row.get(0)?),
        opening: drops(1)?,
        balance: drops(2)?,
        paid: drops(3)?,
        fees: drops(4)?,
        inflows: drops(5)?,
        outside_in: drops(6)?,
        outside_out: drops(7)?,
        found: drops(8)?,
        lost: drops(9)?,
    }))
}

/// Books what moved the balance since the ledger that was reconciled last, and compares with the balance of this one. To be
/// called once its transactions were taken in, and before the cursor moves.
pub(super) fn keep(
    scope: &Scope<'_>,
    ledger: &Reconciliation,
) -> Result<Vec<Difference>, StoreError> {
    let done = wallet::cursor(scope.conn)?.reconciled;
    if done.is_some_and(|done| done.index >= ledger.ledger.index) {
        // The same ledger again: everything in it is booked.
        return Ok(Vec::new());
    }
    let Some(mut book) = read(scope.conn)? else {
        // A store that never read a balance begins with this one.
        open(scope, ledger.ledger, ledger.balance)?;
        return Ok(Vec::new());
    };
    let mut differences = Vec::new();
    let new = |moved: &&Moved| done.is_none_or(|done| moved.ledger > done.index);
    for moved in ledger.guards.moved.iter().filter(new) {
        differences.extend(book.take(&movement(scope, moved)?));
    }
    differences.extend(book.close(ledger.ledger.index, ledger.balance));
    write(scope, &book)?;
    Ok(differences)
}

fn movement(scope: &Scope<'_>, moved: &Moved) -> Result<Movement, StoreError> {
    let by = match moved.own {
        None => Mover::Others,
        Some(_) if is_outside(scope, moved)? => Mover::Outside,
        Some(own) => Mover::Ours {
            delivered: own.delivered,
            fee: own.fee,
        },
    };
    Ok(Movement {
        tx: moved.tx,
        ledger: moved.ledger,
        before: moved.before,
        after: moved.after,
        by,
    })
}

/// A transaction of the wallet that no row made, foreign or announced.
fn is_outside(scope: &Scope<'_>, moved: &Moved) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM foreign_transactions WHERE tx_hash = ?1";
    let mut statement = scope.conn.prepare_cached(sql)?;
    Ok(statement.exists([moved.tx.as_bytes()])?)
}

fn write(scope: &Scope<'_>, book: &Book) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT OR REPLACE INTO books (id, {COLUMNS}) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    );
    let count = |drops: Drops| codec::count(drops.get());
    scope.conn.prepare_cached(&sql)?.execute(params![
        book.opened.0,
        count(book.opening)?,
        count(book.balance)?,
        count(book.paid)?,
        count(book.fees)?,
        count(book.inflows)?,
        count(book.outside_in)?,
        count(book.outside_out)?,
        count(book.found)?,
        count(book.lost)?,
    ])?;
    Ok(())
}
