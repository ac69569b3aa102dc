//! A store without threads dies exactly where it is told to, and what it committed is there for the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::world::*;
use crate::store::{Gate, Passing, Point, Store};

/// Lets everything pass but the n-th job at this point.
#[derive(Debug)]
struct DiesAt(Point, AtomicU32);

impl Gate for DiesAt {
    fn pass(&self, point: Point) -> Passing {
        let dies = point == self.0 && self.1.fetch_sub(1, Ordering::Relaxed) == 1;
        match dies {
            true => Box::pin(std::future::pending()),
            false => Box::pin(std::future::ready(())),
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_death_before_a_commit_leaves_nothing_and_one_after_it_leaves_all() {
    for (point, is_stored) in [(Point::BeforeCommit, false), (Point::AfterCommit, true)] {
        let folder = tempfile::tempdir().unwrap();
        let gate = Arc::new(DiesAt(point, AtomicU32::new(1)));
        let store = Store::open_inline(options(&folder, limits()), gate).unwrap();
        let create = store.create(new("p-1"));
        let answered = tokio::time::timeout(Duration::from_millis(10), create).await;
        assert!(answered.is_err(), "nobody is told by the dead");
        assert_eq!(
            store.get(&key("p-1")).await.unwrap().is_some(),
            is_stored,
            "{point:?}"
        );
        drop(store);
        let next = Store::open(options(&folder, limits())).unwrap();
        assert_eq!(next.get(&key("p-1")).await.unwrap().is_some(), is_stored);
    }
}
