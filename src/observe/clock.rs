//! The database's clock, as far as it is needed between two looks at it.

use crate::words::limits::micros;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a look at the clock is good: clocks that run apart by a hundred millionths are then a
/// millisecond apart, and one that was set is noticed.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// What is known of the database's clock. No host's clock is asked for the time: this counts from
/// the last look on, by a clock that only runs forward.
#[derive(Debug)]
pub(crate) struct DatabaseClock {
    began: Instant,
    /// What the database's clock said when this process began to count, in microseconds since
    /// 1970.
    began_us: AtomicI64,
    /// When it was last looked at, in milliseconds since then, plus one; 0: never.
    looked_at: AtomicU64,
}

impl DatabaseClock {
    pub(crate) fn new() -> Self {
        DatabaseClock {
            began: Instant::now(),
            began_us: AtomicI64::new(0),
            looked_at: AtomicU64::new(0),
        }
    }

    /// Returns whether it is time to look at the clock.
    pub(crate) fn is_stale(&self) -> bool {
        match self.looked_at.load(Ordering::Relaxed) {
            0 => true,
            looked_at => self.began.elapsed() >= Duration::from_millis(looked_at - 1) + GOOD_FOR,
        }
    }

    /// Learns what the clock said between `asked_at` and now, in microseconds since 1970.
    pub(crate) fn learn(&self, asked_at: Instant, said_us: i64) {
        let between = asked_at + asked_at.elapsed() / 2;
        let counted = between.saturating_duration_since(self.began);
        let began_us = said_us.saturating_sub(micros(counted));
        self.began_us.store(began_us, Ordering::Relaxed);
        let looked_at = u64::try_from(counted.as_millis()).unwrap_or(u64::MAX);
        self.looked_at
            .store(looked_at.saturating_add(1), Ordering::Release);
    }

    /// Returns how long ago something was by the database's clock, zero if that is to come; `None`
    /// where the clock is not known.
    pub(crate) fn since(&self, time: SystemTime) -> Option<Duration> {
        if self.looked_at.load(Ordering::Acquire) == 0 {
            return None;
        }
        let began_us = self.began_us.load(Ordering::Relaxed);
        let now_us = began_us.saturating_add(micros(self.began.elapsed()));
        let now = UNIX_EPOCH.checked_add(Duration::from_micros(u64::try_from(now_us).ok()?))?;
        Some(now.duration_since(time).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_from_what_it_said() {
        let clock = DatabaseClock::new();
        assert!(clock.is_stale());
        assert_eq!(clock.since(UNIX_EPOCH), None);

        clock.learn(Instant::now(), 5_000_000);

        assert!(!clock.is_stale());
        let since = clock.since(UNIX_EPOCH + Duration::from_secs(2)).unwrap();
        assert!(since >= Duration::from_secs(3), "{since:?}");
        assert!(since < Duration::from_secs(60), "{since:?}");
        let later = UNIX_EPOCH + Duration::from_secs(86_400);
        assert_eq!(clock.since(later), Some(Duration::ZERO));
    }
}
