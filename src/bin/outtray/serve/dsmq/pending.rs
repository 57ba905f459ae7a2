//! Puts that were taken and have not come out of the log yet, for each queue.
//!
//! A get that finds nothing waits for those before it, so that whoever puts and then gets, on one
//! connection or on two, does not find less than there is.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(crate) struct Pending {
    last: u64,
    queues: HashMap<Arc<str>, VecDeque<u64>>,
}

impl Pending {
    /// Adds a put; returns its number.
    pub(crate) fn add(&mut self, queue: &Arc<str>) -> u64 {
        self.last += 1;
        self.queues
            .entry(Arc::clone(queue))
            .or_default()
            .push_back(self.last);
        self.last
    }

    /// Returns the number of the last put.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Removes one that came out of the log, or never will.
    pub(crate) fn remove(&mut self, queue: &str, serial: u64) {
        let Some(serials) = self.queues.get_mut(queue) else {
            return;
        };
        // They come in order: it is the first, or near it.
        if let Some(at) = serials.iter().position(|pending| *pending == serial) {
            serials.remove(at);
        }
        if serials.is_empty() {
            self.queues.remove(queue);
        }
    }

    /// Forgets all, of which some may never come out.
    pub(crate) fn clear(&mut self) {
        self.queues.clear();
    }

    /// Returns whether a queue waits for a put that is not after this one.
    pub(crate) fn is_awaited(&self, queue: &str, upto: u64) -> bool {
        let first = self.queues.get(queue).and_then(VecDeque::front);
        first.is_some_and(|first| *first <= upto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_awaited_until_the_puts_before_have_come_out() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut pending = Pending::default();
        let first = pending.add(&a);
        let asked = pending.last();
        let second = pending.add(&a);
        pending.add(&b);

        assert!(pending.is_awaited("a", asked));
        pending.remove("a", first);
        assert!(!pending.is_awaited("a", asked));
        assert!(pending.is_awaited("a", pending.last()));
        pending.remove("a", second);
        pending.remove("a", second);
        assert!(!pending.is_awaited("a", pending.last()));
        assert!(pending.is_awaited("b", pending.last()));
    }
}
