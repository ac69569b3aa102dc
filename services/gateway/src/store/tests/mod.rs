//! Stories of the store on real files.

mod accepting;
mod confirming;
mod durability;
mod world;
