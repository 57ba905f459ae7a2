//! When a receiver asks whether the suspicion of its topic is over.

use crate::crashes::round::end_if_over;
use crate::db::Run;
use crate::threads::cost::Cost;
use crate::threads::mutex::Mutex;
use crate::wake::waker::Waker;
use crate::words::Result;
use std::time::{Duration, Instant};

/// The part of the time that is spent on asking whether the suspicion is over: one in so many.
const ASK_SHARE: u32 = 50;
/// How often that is asked at most.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// When the end of a suspicion is asked for.
#[derive(Debug, Default)]
pub(crate) struct Asking(Mutex<NextAsk>);

#[derive(Debug, Default)]
struct NextAsk {
    next: Option<Instant>,
    cost: Cost,
}

impl Asking {
    /// Returns whether it is time to ask.
    pub(crate) fn is_time(&self) -> bool {
        self.0.lock().next.is_none_or(|at| Instant::now() >= at)
    }

    /// Ends the suspicion of the topic if it is time to ask, and all that may have been in hand has
    /// ended.
    pub(crate) fn ask(&self, run: &mut dyn Run, waker: &Waker, topic: &str) -> Result<()> {
        let started = Instant::now();
        {
            let mut asking = self.0.lock();
            if asking.next.is_some_and(|at| started < at) {
                return Ok(());
            }
            asking.next = started.checked_add(ASK_EVERY);
        }
        end_if_over(run, waker, topic)?;
        let mut asking = self.0.lock();
        let pause = (asking.cost.learn(started.elapsed()) * ASK_SHARE).max(ASK_EVERY);
        asking.next = Instant::now().checked_add(pause);
        Ok(())
    }
}
