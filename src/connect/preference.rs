//! In which order servers are tried: those that did not let anybody in lately come last.
//!
//! After a failover the first of a list may be gone for good, or answer to nothing. To wait for it
//! each time would cost each new connection that wait. It is tried first again after a while, since
//! the order of a list may mean something.

use crate::threads::mutex::Mutex;
use std::time::{Duration, Instant};

/// For how long a server that let nobody in comes after the others.
const AVOIDED: Duration = Duration::from_secs(30);

/// What is remembered of the servers of a list.
pub(crate) struct Preference {
    /// Until when each is avoided.
    avoided: Mutex<Vec<Option<Instant>>>,
    is_shuffled: bool,
}

impl Preference {
    pub(crate) fn new(servers: usize, is_shuffled: bool) -> Self {
        Preference {
            avoided: Mutex::new(vec![None; servers]),
            is_shuffled,
        }
    }

    /// Returns the numbers of all servers, in the order in which to try them.
    pub(crate) fn order(&self) -> Vec<usize> {
        self.order_at(Instant::now())
    }

    fn order_at(&self, now: Instant) -> Vec<usize> {
        let avoided = self.avoided.lock();
        let mut order: Vec<usize> = (0..avoided.len()).collect();
        if self.is_shuffled {
            fastrand::shuffle(&mut order);
        }
        order.sort_by_key(|server| avoided[*server].is_some_and(|until| now < until));
        order
    }

    /// Notes that a server let us in.
    pub(crate) fn note_reached(&self, server: usize) {
        self.avoided.lock()[server] = None;
    }

    /// Notes that a server did not let us in, or had not when another one did.
    pub(crate) fn note_failed(&self, server: usize) {
        self.avoided.lock()[server] = Instant::now().checked_add(AVOIDED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_let_nobody_in_comes_last_for_a_while() {
        let servers = Preference::new(3, false);
        assert_eq!(servers.order(), [0, 1, 2]);

        servers.note_failed(0);
        assert_eq!(servers.order(), [1, 2, 0]);
        servers.note_failed(1);
        assert_eq!(servers.order(), [2, 0, 1]);
        servers.note_failed(2);
        assert_eq!(servers.order(), [0, 1, 2], "there is no better one");
        servers.note_reached(1);
        assert_eq!(servers.order(), [1, 0, 2]);

        assert_eq!(servers.order_at(Instant::now() + AVOIDED), [0, 1, 2]);
    }
}
