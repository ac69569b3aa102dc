//! Stories of the store on real files.

mod accepting;
mod cancelling;
mod confirming;
mod durability;
mod watching;
mod world;
