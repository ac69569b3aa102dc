//! What the XRP Ledger means by an amount, an address and a transaction, and the bytes of the few transactions that we send.
//!
//! Pure: no socket, clock, file, randomness or key. Nothing here decides whether something should be paid, and
//! nothing here signs; [`Unsigned::signing_payload`] says which bytes to sign, [`Unsigned::sign_with`] takes the
//! signature. There is no float, no JSON, and no way to express a partial payment.
//!
//! # Layout
//!
//! - `drops.rs`: [`Drops`], the only type for XRP.
//! - `asset.rs`: [`Currency`], [`Asset`], what else can be paid.
//! - `issued.rs`: [`IssuedValue`], [`IssuedAmount`], decimals of the ledger's precision.
//! - `hash.rs`: [`Hash256`], [`sha512_half`], [`sha256`].
//! - `base58.rs`: the ledger's base58 with checksum (private).
//! - `address.rs`: [`AccountId`], [`Destination`] (classic or X-address).
//! - `key.rs`: [`PublicKey`] and the account that it owns.
//! - `memo.rs`: [`Memo`], [`Memos`], with the limits that servers enforce.
//! - `tx.rs`: [`Unsigned`], [`Signed`] and their parts.
//! - `fields.rs`: names and headers of fields (private).
//! - `encode.rs`: the canonical binary form, written (private).
//! - `decode.rs`: the same form read back, and nothing else: [`DecodeError`].
//! - `mutants.rs`: [`mutant!`], deliberate defects that only the simulation's own build holds.
//! - `invoice.rs`: [`invoice_id`] and the memos of no-ops and TicketCreates, which the gateway and the signer both compute.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
mod asset;
mod base58;
mod decode;
mod drops;
mod encode;
mod fields;
#[cfg(test)]
mod fuzz;
mod hash;
mod invoice;
mod issued;
mod key;
mod memo;
pub mod mutants;
mod tx;

pub use address::{
    ACCOUNT_ONE, ACCOUNT_ZERO, AccountId, AddressError, Destination, XNetwork, to_x_address,
};
pub use asset::{Asset, Currency, CurrencyError};
pub use decode::DecodeError;
pub use drops::{Drops, DropsError};
pub use hash::{Hash256, HashError, sha256, sha512_half};
pub use invoice::{
    FILLER_MEMO_TYPE, NOOP_MEMO_TYPE, TICKETS_MEMO_TYPE, filler_memo, invoice_id, noop_memo,
    tickets_memo,
};
pub use issued::{IssuedAmount, IssuedValue, IssuedValueError, SecondReaderError, ZeroValueError};
pub use key::{Algorithm, PublicKey, PublicKeyError};
pub use memo::{MEMOS_BYTES_MAX, Memo, MemoError, Memos};
pub use tx::{
    Amount, Body, NoOp, Payment, SendMaxError, SignatureLengthError, Signed, Slot, TICKETS_MAX,
    TicketCountError, TicketCreate, Unsigned, network_id_field,
};

/// Properties are tried with the same cases in each run: a run that fails fails again.
#[cfg(test)]
fn same_cases_each_run() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x5EED),
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    }
}
