//! A lock for work that many threads want and one of them does: the others wait no longer than they
//! can.

use crossbeam_channel::{Receiver, Sender, bounded};
use std::time::Instant;

/// A lock that is waited for until a time. It guards no data: it holds a token, which whoever locks
/// it takes out.
#[derive(Debug)]
pub(crate) struct TimedLock {
    put: Sender<()>,
    take: Receiver<()>,
}

/// The lock, held until this is dropped.
#[derive(Debug)]
pub(crate) struct TimedGuard<'l>(&'l TimedLock);

impl Default for TimedLock {
    fn default() -> Self {
        let (put, take) = bounded(1);
        let lock = TimedLock { put, take };
        lock.put_token();
        lock
    }
}

impl TimedLock {
    /// Waits for the lock; `None` where it is not free in time.
    pub(crate) fn lock_until(&self, deadline: Instant) -> Option<TimedGuard<'_>> {
        let taken = self.take.recv_deadline(deadline);
        taken.ok().map(|()| TimedGuard(self))
    }

    fn put_token(&self) {
        // There is room for it: there is only one.
        let _ = self.put.try_send(());
    }
}

impl Drop for TimedGuard<'_> {
    fn drop(&mut self) {
        self.0.put_token();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_the_lock_at_a_time_and_who_hangs_holds_nobody_up() {
        let lock = TimedLock::default();
        let first = lock.lock_until(Instant::now());
        let second = lock.lock_until(Instant::now());
        assert!(first.is_some() && second.is_none());
        drop((first, second));
        assert!(lock.lock_until(Instant::now()).is_some());
    }
}
