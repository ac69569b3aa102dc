//! No task dies silently.

use std::convert::Infallible;
use std::time::Duration;

use crate::shutdown::{EXIT_FAILED, EXIT_PANIC, FailureCause, Tasks};

#[tokio::test]
async fn a_panic_in_a_task_is_reported() {
    let tasks = Tasks::new();
    let mut stop = tasks.stop_token();
    tasks.spawn("patient", async move {
        stop.stopped().await;
        Ok::<_, Infallible>(())
    });
    tasks.spawn("broken", async {
        if tokio::time::Instant::now().elapsed() < Duration::MAX {
            panic!("slot {} has two owners", 7);
        }
        Ok::<_, Infallible>(())
    });
    let failure = tasks.first_failure().await;
    assert_eq!(failure.name, "broken");
    assert_eq!(
        failure.cause,
        FailureCause::Panicked("slot 7 has two owners".to_owned())
    );
    assert_eq!(failure.exit_code(), EXIT_PANIC);
    assert_eq!(
        failure.to_string(),
        "task broken panicked: slot 7 has two owners"
    );

    tasks.stop();
    assert_eq!(
        tasks.join(super::DEADLINE).await,
        Vec::<&str>::new(),
        "the other one stops as asked"
    );
    assert_eq!(tasks.failure(), Some(failure));
}

#[tokio::test]
async fn an_end_that_nobody_asked_for_is_a_failure() {
    let tasks = Tasks::new();
    tasks.spawn("short", async { Ok::<_, Infallible>(()) });
    let failure = tasks.first_failure().await;
    assert_eq!(
        (failure.name, failure.cause.clone()),
        ("short", FailureCause::Ended)
    );
    assert_eq!(failure.exit_code(), EXIT_FAILED);

    let tasks = Tasks::new();
    tasks.spawn("failing", async { Err("disk is full") });
    assert_eq!(
        tasks.first_failure().await.to_string(),
        "task failing failed: disk is full"
    );
}

#[tokio::test]
async fn an_end_that_was_asked_for_is_none_and_a_straggler_is_named() {
    let tasks = Tasks::new();
    let token = tasks.stop_token();
    assert!(!token.is_stopped());
    tasks.spawn("server", async move {
        token.into_stopped().await;
        Ok::<_, Infallible>(())
    });
    tasks.spawn("stuck", std::future::pending::<Result<(), Infallible>>());
    tasks.stop();
    tasks.stop();
    assert!(tasks.stop_token().is_stopped());
    assert_eq!(tasks.join(Duration::from_millis(100)).await, ["stuck"]);
    assert_eq!(tasks.failure(), None);
}
