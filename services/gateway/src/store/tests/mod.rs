//! Stories of the store on real files.

mod accepting;
mod cancelling;
mod confirming;
mod durability;
mod giving_up;
mod inline;
mod guarding;
mod issued;
mod schedules;
mod losing;
mod watching;
mod world;
