//! Where the names of a connection string lead, looked at every few seconds.
//!
//! A name may be moved to another server while the one before still answers, and then no connection
//! breaks. A resolver may take long to answer, or never do, and nothing can interrupt it; so each
//! look has a thread of its own, one at a time.

use crate::connect::endpoints::Endpoint;
use crate::threads::spawn;
use crossbeam_channel::{Receiver, TryRecvError, bounded};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How often names are looked at: no burden for a resolver, and seldom enough that its answers are
/// mostly remembered on the way.
const EVERY: Duration = Duration::from_secs(2);

/// What is known of where names lead.
pub(crate) struct NamesWatch {
    /// Those that may be moved.
    names: Vec<Endpoint>,
    /// All that were seen. A name may have several addresses, of which a resolver tells some each
    /// time.
    seen: BTreeSet<IpAddr>,
    looking: Option<Receiver<Vec<IpAddr>>>,
    next_at: Instant,
}

impl NamesWatch {
    pub(crate) fn new(names: Vec<Endpoint>) -> Self {
        NamesWatch {
            names,
            seen: BTreeSet::new(),
            looking: None,
            next_at: Instant::now(),
        }
    }

    /// Returns whether a name leads to an address that was not seen before, as at first:
    /// connections may have been opened while it led to another one. Does not wait.
    pub(crate) fn have_moved(&mut self) -> bool {
        match self.looking.as_ref().map(Receiver::try_recv) {
            None => self.look(),
            Some(Err(TryRecvError::Empty)) => {}
            Some(Err(TryRecvError::Disconnected)) => self.looking = None,
            Some(Ok(found)) => {
                self.looking = None;
                return self.learn(found);
            }
        }
        false
    }

    /// Takes whatever the next look finds for new.
    pub(crate) fn look_again(&mut self) {
        self.seen.clear();
    }

    fn look(&mut self) {
        let now = Instant::now();
        if self.names.is_empty() || now < self.next_at {
            return;
        }
        self.next_at = now + EVERY;
        let (tell, told) = bounded(1);
        let names = self.names.clone();
        let look = move || {
            let found = names.iter().flat_map(Endpoint::resolve).collect();
            let _ = tell.send(found);
        };
        // Without a thread there is another look later.
        self.looking = spawn("outtray-names".to_owned(), look).ok().map(|_| told);
    }

    fn learn(&mut self, found: Vec<IpAddr>) -> bool {
        let before = self.seen.len();
        self.seen.extend(found);
        self.seen.len() > before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn an_address_that_was_never_seen_is_a_move() {
        let mut names = NamesWatch::new(Vec::new());
        assert!(!names.learn(vec![]), "the resolver does not answer");
        let is_new = names.learn(vec![address(1), address(2)]);
        assert!(is_new, "nobody knows where earlier connections lead");
        assert!(!names.learn(vec![address(2)]));
        assert!(!names.learn(vec![]));
        assert!(names.learn(vec![address(3)]));
        assert!(!names.learn(vec![address(1)]));

        names.look_again();
        assert!(names.learn(vec![address(3)]), "nobody was there to ask");
    }
}
