//! Who wants only some of a topic's messages, and what that may cost.
//!
//! Claims of it walk over what does not match, which may be millions, and every message that is
//! sent wakes it. So looks that found nothing take one part in [`SHARE`] of the time: a worker that
//! would look too early comes back when it may. A look that found something is followed by the next
//! at once.

use crate::threads::mutex::Mutex;
use crate::words::{Filter, Program};
use std::time::{Duration, Instant};

/// Looks that find nothing take at most one part in this many of the time: 10 %.
const SHARE: u32 = 10;

/// What is wanted, and when its next look is paid for.
#[derive(Debug)]
pub(crate) struct FilterBudget {
    pub(crate) program: Program,
    paid_for: Mutex<Option<Instant>>,
}

impl FilterBudget {
    pub(crate) fn new(filter: &Filter) -> Self {
        FilterBudget {
            program: Program::of(filter),
            paid_for: Mutex::new(None),
        }
    }

    /// Returns how long the next claim has to wait, or `None` if it may begin now.
    pub(crate) fn too_early(&self, now: Instant) -> Option<Duration> {
        let paid_for = (*self.paid_for.lock())?;
        let wait = paid_for.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// Notes what a look cost, and whether it found anything.
    pub(crate) fn learn(&self, started: Instant, now: Instant, has_found: bool) {
        let took = now.saturating_duration_since(started);
        *self.paid_for.lock() = (!has_found).then(|| now + took * (SHARE - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_found_nothing_is_paid_for_with_nine_times_its_cost() {
        let filter = FilterBudget::new(&Filter::new().equals("a", "b"));
        let now = Instant::now();
        let ms = Duration::from_millis;
        assert_eq!(filter.too_early(now), None);

        filter.learn(now, now + ms(10), false);
        assert_eq!(filter.too_early(now + ms(10)), Some(ms(90)));
        assert_eq!(filter.too_early(now + ms(100)), None);

        filter.learn(now, now + ms(10), true);
        assert_eq!(filter.too_early(now + ms(10)), None);
    }
}
