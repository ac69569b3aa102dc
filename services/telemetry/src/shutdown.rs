//! How a process ends: signals, tasks that must not die silently, exit codes.
//!
//! Owns the rule that a panic or an unexpected end of any task ends the process. May not call `exit`: `main` does.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal as unix_signal};
use tokio::sync::watch;

/// Ended as asked.
pub const EXIT_OK: u8 = 0;
/// Something failed that a restart may mend.
pub const EXIT_FAILED: u8 = 1;
/// The configuration is wrong: a restart mends nothing (EX_USAGE of sysexits).
pub const EXIT_CONFIG: u8 = 64;
/// A task panicked: a bug (EX_SOFTWARE of sysexits).
pub const EXIT_PANIC: u8 = 70;

/// Waits for SIGTERM or SIGINT and tells which came. The handlers are installed when it is first polled; until then either
/// signal kills the process.
pub async fn signal() -> &'static str {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        unix_signal(SignalKind::terminate()),
        unix_signal(SignalKind::interrupt()),
    ) else {
        // Then the signals keep their default action, which ends the process without us.
        tracing::error!("signal handlers could not be installed");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

/// The long-running tasks of a process. Clones share them.
#[derive(Clone, Debug)]
pub struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stop: watch::Sender<bool>,
    running: watch::Sender<Vec<&'static str>>,
    failure: watch::Sender<Option<TaskFailure>>,
}

/// Tells a task when to stop.
#[derive(Clone, Debug)]
pub struct StopToken(watch::Receiver<bool>);

/// A task that ended although nobody had asked for it, or panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFailure {
    /// As given to `spawn`.
    pub name: &'static str,
    /// What happened.
    pub cause: FailureCause,
}

/// What happened to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureCause {
    /// It panicked, with this message.
    Panicked(String),
    /// It gave up, with this error.
    Failed(String),
    /// It returned although it was to run until told to stop.
    Ended,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                stop: watch::Sender::new(false),
                running: watch::Sender::new(Vec::new()),
                failure: watch::Sender::new(None),
            }),
        }
    }

    /// Runs a task that is to last until `stop_token` says otherwise. Needs a runtime around it.
    pub fn spawn<F, E>(&self, name: &'static str, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        self.shared.running.send_modify(|names| names.push(name));
        let task = tokio::spawn(future);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let cause = match task.await {
                Ok(Ok(())) => (!*shared.stop.borrow()).then_some(FailureCause::Ended),
                Ok(Err(err)) => Some(FailureCause::Failed(err.to_string())),
                Err(err) if err.is_panic() => {
                    Some(FailureCause::Panicked(panic_message(err.into_panic())))
                }
                // The runtime is being dropped.
                Err(_) => None,
            };
            if let Some(cause) = cause {
                let failure = TaskFailure { name, cause };
                tracing::error!(task = name, cause = %failure.cause, "a task ended unexpectedly");
                shared.failure.send_if_modified(|first| {
                    let is_first = first.is_none();
                    first.get_or_insert(failure);
                    is_first
                });
            }
            shared.running.send_modify(|names| {
                if let Some(at) = names.iter().position(|other| *other == name) {
                    names.swap_remove(at);
                }
            });
        });
    }

    /// Waits for the first failure of any task; for ever if there is none.
    pub async fn first_failure(&self) -> TaskFailure {
        let mut failures = self.shared.failure.subscribe();
        let failure = failures
            .wait_for(Option::is_some)
            .await
            .expect("self holds the sender");
        failure.clone().expect("waited for it")
    }

    /// The first failure, if there was one.
    #[must_use]
    pub fn failure(&self) -> Option<TaskFailure> {
        self.shared.failure.borrow().clone()
    }

    /// For a task to wait on.
    #[must_use]
    pub fn stop_token(&self) -> StopToken {
        StopToken(self.shared.stop.subscribe())
    }

    /// Asks all tasks to stop. Safe to repeat.
    pub fn stop(&self) {
        self.shared.stop.send_replace(true);
    }

    /// Waits until all tasks have ended, and names those that have not after `within`.
    pub async fn join(&self, within: Duration) -> Vec<&'static str> {
        let mut running = self.shared.running.subscribe();
        let all_ended = running.wait_for(Vec::is_empty);
        match tokio::time::timeout(within, all_ended).await {
            Ok(_) => Vec::new(),
            Err(_) => self.shared.running.borrow().clone(),
        }
    }
}

impl StopToken {
    /// Waits until it is time to stop. Also resolves when all `Tasks` are gone.
    pub async fn stopped(&mut self) {
        // An error says that nobody is left who could ask: then it is time, too.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// The same for a future that must own what it waits on, as a server's `serve_with_shutdown` does.
    pub async fn into_stopped(mut self) {
        self.stopped().await;
    }

    /// Whether it is time to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }
}

impl TaskFailure {
    /// With what the process is to exit.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.cause {
            FailureCause::Panicked(_) => EXIT_PANIC,
            FailureCause::Failed(_) | FailureCause::Ended => EXIT_FAILED,
        }
    }
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} {}", self.name, self.cause)
    }
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Failed(message) => write!(f, "failed: {message}"),
            Self::Ended => f.write_str("ended although it was not told to"),
        }
    }
}

fn panic_message(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload
            .downcast_ref::<&str>()
            .map_or_else(|| "no message".to_owned(), |message| (*message).to_owned()),
    }
}
