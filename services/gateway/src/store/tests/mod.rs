//! Stories of the store on real files.

mod accepting;
mod cancelling;
mod confirming;
mod durability;
mod giving_up;
mod inline;
mod issued;
mod watching;
mod world;
