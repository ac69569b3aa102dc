//! Each invariant can fail: a history that violates it, and only it.
