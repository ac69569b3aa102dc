//! Fuse: where a life of the gateway ends.
//!
//! Owns: the moments at which a process can die, and that the dead do nothing any more: no commit, no request for a signature,
//! no blob. Also where one stands still until somebody wakes it, as a stopped process does. May not: decide when; the run does.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::bell::Bell;

/// A moment at which it matters whether the process dies before or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// A transaction of the store is about to begin.
    BeforeCommit,
    /// It is durable, and its caller does not know.
    AfterCommit,
    /// A request for a signature is about to leave.
    BeforeSign,
    /// The answer is there, and nobody has read it.
    AfterSign,
    /// A blob is about to leave.
    BeforeSend,
    /// It left, and the answer will never be read.
    AfterSend,
}

/// All moments.
pub const MOMENTS: [Moment; 6] = [
    Moment::BeforeCommit,
    Moment::AfterCommit,
    Moment::BeforeSign,
    Moment::AfterSign,
    Moment::BeforeSend,
    Moment::AfterSend,
];

impl Moment {
    /// As reports call a death there.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeCommit => "gateway dies before a commit",
            Self::AfterCommit => "gateway dies after a commit",
            Self::BeforeSign => "gateway dies before it asks the signer",
            Self::AfterSign => "gateway dies before it reads a signature",
            Self::BeforeSend => "gateway dies before it sends",
            Self::AfterSend => "gateway dies after it sent",
        }
    }
}

/// The fuse of one life.
#[derive(Debug, Default)]
pub struct Fuse {
    state: Mutex<State>,
    died: Notify,
    awake: Bell,
}

#[derive(Debug, Default)]
struct State {
    is_dead: bool,
    /// It dies when this moment has come so many more times.
    armed: Option<(Moment, u64)>,
    died_at: Option<Moment>,
    /// It stands still when this moment comes.
    stops_at: Option<Moment>,
    stands_still: bool,
}

impl Fuse {
    /// A life that ends at that moment, or not by itself.
    #[must_use]
    pub fn new(armed: Option<(Moment, u64)>) -> Self {
        Self {
            state: Mutex::new(State {
                armed,
                ..State::default()
            }),
            died: Notify::new(),
            awake: Bell::default(),
        }
    }

    /// This moment has come. False: whoever asks is dead and does nothing more.
    pub fn reach(&self, moment: Moment) -> bool {
        let mut state = self.state();
        if state.is_dead {
            return false;
        }
        if state.stops_at == Some(moment) {
            state.stops_at = None;
            state.stands_still = true;
        }
        if let Some((armed, left)) = &mut state.armed
            && *armed == moment
        {
            *left = left.saturating_sub(1);
            if *left == 0 {
                state.is_dead = true;
                state.died_at = Some(moment);
                self.died.notify_one();
                return false;
            }
        }
        true
    }

    /// When this moment comes next, the process stands still before it goes on.
    pub fn stop_at(&self, moment: Moment) {
        self.state().stops_at = Some(moment);
    }

    /// Whether it stands still.
    pub fn stands_still(&self) -> bool {
        self.state().stands_still
    }

    /// It goes on where it stood, and knows nothing of the time between.
    pub fn wake(&self) {
        let mut state = self.state();
        state.stops_at = None;
        state.stands_still = false;
        drop(state);
        self.awake.ring();
    }

    /// Resolves once it does not stand still.
    pub async fn going(&self) {
        let mut heard = self.awake.come();
        while self.stands_still() {
            self.awake.hear(&mut heard).await;
        }
    }

    /// Ends the life now.
    pub fn blow(&self) {
        self.state().is_dead = true;
    }

    /// It does not end by itself any more.
    pub fn disarm(&self) {
        self.state().armed = None;
    }

    /// Whether the life is over.
    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// Where it ended by itself.
    pub fn died_at(&self) -> Option<Moment> {
        self.state().died_at
    }

    /// Resolves when it ends by itself.
    pub async fn burnt(&self) {
        self.died.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
