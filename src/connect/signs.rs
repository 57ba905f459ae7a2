//! Signs of life of a process's threads: written where it costs next to nothing, read by who looks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A checkout of the pool that took longer has waited: for a connection to be free, or opened.
const WAITED: Duration = Duration::from_millis(1);

/// What threads say of themselves.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    is_listening: AtomicBool,
    pool_waits: AtomicU64,
    pool_waited_us: AtomicU64,
    /// When the upkeep has to do something next, in microseconds after `epoch`; 0 where it does not
    /// run.
    upkeep_at_us: AtomicU64,
    epoch: OnceLock<Instant>,
}

impl Signs {
    /// Notes whether notifications are heard.
    pub(crate) fn note_listening(&self, is_listening: bool) {
        self.is_listening.store(is_listening, Ordering::Relaxed);
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.is_listening.load(Ordering::Relaxed)
    }

    /// Notes how long a checkout of the pool took.
    pub(crate) fn note_checkout(&self, took: Duration) {
        if took >= WAITED {
            self.pool_waits.fetch_add(1, Ordering::Relaxed);
            self.pool_waited_us
                .fetch_add(micros(took), Ordering::Relaxed);
        }
    }

    /// Returns how many checkouts waited, and for how long together.
    pub(crate) fn waits(&self) -> (u64, Duration) {
        let waits = self.pool_waits.load(Ordering::Relaxed);
        let waited_us = self.pool_waited_us.load(Ordering::Relaxed);
        (waits, Duration::from_micros(waited_us))
    }

    /// Notes when the upkeep has something to do; `None` when it ends.
    pub(crate) fn note_upkeep(&self, at: Option<Instant>) {
        let epoch = *self.epoch.get_or_init(Instant::now);
        let at_us = at.map_or(0, |at| micros(at.saturating_duration_since(epoch)).max(1));
        self.upkeep_at_us.store(at_us, Ordering::Relaxed);
    }

    /// Returns how long the upkeep has been late with what it has to do; `None` where it does not
    /// run.
    pub(crate) fn upkeep_lag(&self) -> Option<Duration> {
        let at_us = self.upkeep_at_us.load(Ordering::Relaxed);
        let epoch = self.epoch.get().filter(|_| at_us > 0)?;
        Some(epoch.elapsed().saturating_sub(Duration::from_micros(at_us)))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upkeep_is_late_from_when_it_had_something_to_do() {
        let signs = Signs::default();
        assert_eq!(signs.upkeep_lag(), None);
        let now = Instant::now();
        signs.note_upkeep(now.checked_add(Duration::from_secs(60)));
        assert_eq!(signs.upkeep_lag(), Some(Duration::ZERO));
        signs.note_upkeep(Some(now));
        let _ = crossbeam_channel::after(Duration::from_millis(2)).recv();
        assert!(signs.upkeep_lag() >= Some(Duration::from_millis(1)));
        signs.note_upkeep(None);
        assert_eq!(signs.upkeep_lag(), None);
    }
}
