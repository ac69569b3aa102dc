//! Tests of the connection: answers recorded from real servers, and a scripted server that misbehaves.

mod fleet;
mod issued;
mod recorded;
pub(crate) mod scripted;
