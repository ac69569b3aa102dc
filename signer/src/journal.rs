//! The journal: what the signer has approved, for ever. Its format is final; a later version may add kinds of records.
//!
//! Owns the directory with the two files `journal` and `HEAD`, and the only maker of [`Recorded`], without which no
//! signature leaves the process. May not decide anything: the rules are `vault.rs` and `policy.rs`.
//!
//! The order that everything rests on:
//!
//! 1. [`Journal::append`] writes a frame at the end of `journal` (not yet durable);
//! 2. [`Durability::commit`] syncs `journal`, then moves `HEAD` (overwrites the older of its two slots, syncs);
//! 3. only then does it hand out the [`Recorded`] that carries the signed bytes.
//!
//! So every signature that anybody has ever seen lies at or below `HEAD`. What lies above was never shown to anybody: if
//! it is whole it is kept, as an approval more than needed, and if it is torn it may be cut. Anything wrong at or below
//! `HEAD` is not a crash but a lost or changed disk, and the signer does not start.
//!
//! # Layout
//!
//! - `record.rs`: what a frame says. `frame.rs`: how it lies in the file. `head.rs`: the `HEAD` file.
//! - `disk.rs`: the file system's calls. `open.rs`: opening with every check. `file.rs`: appending, reading. `durability.rs`: group commit.
//! - `copy.rs`: reading one without changing it, and copying one that is in use.

pub mod copy;
pub mod disk;
pub mod durability;
pub mod file;
pub mod frame;
pub mod head;
pub mod open;
pub mod record;

pub use disk::{Disk, DiskFile, Opening, RealDisk};
pub use durability::{Durability, JournalError, Recorded};
pub use file::{Journal, Position};
pub use head::Head;
pub use open::{OpenError, Opened, set_aside};
pub use record::{Entry, Record, SignedTransaction};
