//! When each of several servers is tried next, while a patient try is under way.

use std::time::{Duration, Instant};

/// How long a quick try may take, and how often there is one of each server.
pub(crate) const QUICK: Duration = Duration::from_secs(1);
/// How much later the next of several servers is tried.
pub(crate) const STAGGER: Duration = Duration::from_millis(250);

/// When the quick tries of one who wants a connection are due.
pub(crate) struct QuickTries(Vec<QuickTry>);

struct QuickTry {
    server: usize,
    at: Instant,
    /// One at a time.
    is_under_way: bool,
}

impl QuickTries {
    /// Plans the tries of servers in this order. The patient try begins with the first, so that a
    /// quick one of it is of use only after a while; one of another is so earlier.
    pub(crate) fn new(order: &[usize], started: Instant) -> Self {
        let plan = |(nth, &server): (usize, &usize)| QuickTry {
            server,
            at: match u32::try_from(nth) {
                Ok(nth @ 1..) => started + STAGGER * nth,
                _ => started + QUICK,
            },
            is_under_way: false,
        };
        QuickTries(order.iter().enumerate().map(plan).collect())
    }

    /// Returns a server whose try is due.
    pub(crate) fn next_due(&self, now: Instant) -> Option<usize> {
        let mut tries = self.0.iter();
        let due = tries.find(|quick| !quick.is_under_way && quick.at <= now);
        due.map(|quick| quick.server)
    }

    /// Notes that the try of a server began, if there was a turn for it; else it is due again
    /// after a `turn`.
    pub(crate) fn note_begun(&mut self, server: usize, at: Instant, turn: Option<Duration>) {
        if let Some(quick) = self.of(server) {
            quick.is_under_way = turn.is_none();
            quick.at = at + turn.unwrap_or(QUICK);
        }
    }

    /// Notes that the try of a server failed.
    pub(crate) fn note_failed(&mut self, server: usize) {
        if let Some(quick) = self.of(server) {
            quick.is_under_way = false;
        }
    }

    /// Returns when the next is due; after a while where all are under way.
    pub(crate) fn next_at(&self, now: Instant) -> Instant {
        let waiting = self.0.iter().filter(|quick| !quick.is_under_way);
        waiting.map(|quick| quick.at).min().unwrap_or(now + QUICK)
    }

    fn of(&mut self, server: usize) -> Option<&mut QuickTry> {
        self.0.iter_mut().find(|quick| quick.server == server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_server_is_left_to_the_patient_try_for_a_while_and_the_others_follow_soon() {
        let now = Instant::now();
        let due = |tries: &QuickTries, ms| tries.next_due(now + Duration::from_millis(ms));
        let mut tries = QuickTries::new(&[2, 0, 1], now);
        assert_eq!(due(&tries, 249), None);
        assert_eq!(due(&tries, 250), Some(0));

        let begun = now + Duration::from_millis(250);
        tries.note_begun(0, begun, None);
        assert_eq!(due(&tries, 499), None);
        assert_eq!(tries.next_at(now), now + STAGGER * 2);
        assert_eq!(due(&tries, 500), Some(1));
        tries.note_begun(1, begun + STAGGER, Some(STAGGER));
        assert_eq!(due(&tries, 749), None);
        assert_eq!(due(&tries, 750), Some(1));
        tries.note_begun(1, begun + STAGGER * 2, None);
        assert_eq!(due(&tries, 999), None);
        assert_eq!(due(&tries, 1000), Some(2));

        tries.note_failed(0);
        tries.note_begun(2, begun + STAGGER * 3, None);
        assert_eq!(due(&tries, 1249), None);
        assert_eq!(due(&tries, 1250), Some(0));
    }

    #[test]
    fn a_single_server_is_tried_each_second() {
        let now = Instant::now();
        let mut tries = QuickTries::new(&[0], now);
        assert_eq!(tries.next_at(now), now + QUICK);
        tries.note_begun(0, now + QUICK, None);
        assert_eq!(tries.next_due(now + QUICK * 9), None);
        tries.note_failed(0);
        assert_eq!(tries.next_due(now + QUICK * 2), Some(0));
    }
}
