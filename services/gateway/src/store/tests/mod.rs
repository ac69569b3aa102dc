//! Stories of the store on real files.

mod accepting;
mod cancelling;
mod confirming;
mod durability;
mod giving_up;
mod guarding;
mod inline;
mod issued;
mod losing;
mod people;
mod plans;
mod reserving;
mod rollout;
mod schedules;
mod watching;
mod world;
