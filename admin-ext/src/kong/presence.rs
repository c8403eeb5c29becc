//! Whether Kong is there: said in the log when it changes, not at every call.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Calls that hang are not repeated for so many times as long as they hung.
const HOLD: u32 = 4;

#[derive(Default)]
pub struct Presence(Mutex<State>);

#[derive(Default)]
struct State {
    away: bool,
    /// Until then another call would most likely only hang.
    hold_until: Option<Instant>,
}

impl Presence {
    pub fn is_away(&self) -> bool {
        self.lock().away
    }

    /// Whether the caller of a request should be spared a call that would most likely hang.
    pub fn is_hopeless(&self) -> bool {
        let state = self.lock();
        state.away && state.hold_until.is_some_and(|until| Instant::now() < until)
    }

    /// A call failed after so long a time.
    pub fn failed(&self, error: &str, took: Duration) {
        let mut state = self.lock();
        state.hold_until = Instant::now().checked_add(took * HOLD);
        if !std::mem::replace(&mut state.away, true) {
            tracing::warn!(error, "Kong is away; what it has to be told waits until it is back");
        }
    }

    /// A call was answered. Says whether Kong was away until now.
    pub fn answered(&self) -> bool {
        let mut state = self.lock();
        state.hold_until = None;
        let was_away = std::mem::take(&mut state.away);
        if was_away {
            tracing::info!("Kong is back");
        }
        was_away
    }

    /// A panic while the lock was held leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
