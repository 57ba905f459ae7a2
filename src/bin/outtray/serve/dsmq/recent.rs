//! The messages that were stored lately, in memory, from which nearly every get is answered.
//!
//! Memory is bounded: when it is used up, the oldest message goes. The log still has it, and a
//! connection that had not got it reads it from there. To know which those are, the place of the
//! last message that went is remembered for each queue, or, when those are too many, for all the
//! queues together about which nothing is remembered.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What a message takes beside its own bytes: places, counts and pointers in two lists.
const OVERHEAD: usize = 160;
/// Queues without a message in memory of which something is remembered.
const MOST_REMEMBERED: usize = 100_000;

/// A message with its place in the log, `P`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed<P> {
    pub(crate) place: P,
    pub(crate) message: Arc<str>,
}

/// What memory knows about what comes after a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recalled<P> {
    Message(Placed<P>),
    Nothing,
    /// There may be some that are in the log alone, up to this place.
    UpTo(P),
}

#[derive(Debug)]
struct Queue<P> {
    messages: VecDeque<Placed<P>>,
    /// The last one that went; nothing before is in memory.
    gone: P,
}

#[derive(Debug)]
pub(crate) struct Recent<P> {
    queues: HashMap<Arc<str>, Queue<P>>,
    /// Which queue each message is in, oldest first.
    order: VecDeque<Arc<str>>,
    bytes: usize,
    most_bytes: usize,
    /// Nothing up to here is in memory, for queues that are not among those above.
    forgotten: P,
}

impl<P: Copy + Ord> Recent<P> {
    /// Begins with what comes after `start`.
    pub(crate) fn new(start: P, most_bytes: usize) -> Self {
        Recent {
            queues: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            most_bytes,
            forgotten: start,
        }
    }

    /// Adds the next message of the log. The last one stays, whatever its size.
    pub(crate) fn add(&mut self, queue: &str, stored: Placed<P>) {
        self.bytes += stored.message.len() + OVERHEAD;
        let known = self
            .queues
            .get_key_value(queue)
            .map(|(name, _)| Arc::clone(name));
        let name = known.unwrap_or_else(|| Arc::from(queue));
        let forgotten = self.forgotten;
        let messages = self
            .queues
            .entry(Arc::clone(&name))
            .or_insert_with(|| Queue {
                messages: VecDeque::new(),
                gone: forgotten,
            });
        messages.messages.push_back(stored);
        self.order.push_back(name);
        while self.bytes > self.most_bytes && self.order.len() > 1 {
            self.drop_oldest();
        }
    }

    /// Returns the oldest message of a queue after a place.
    pub(crate) fn next(&self, queue: &str, after: P) -> Recalled<P> {
        self.look(queue, after, |messages| {
            let at = messages.partition_point(|stored| stored.place <= after);
            messages.get(at)
        })
    }

    /// Returns the newest message of a queue after a place. One that is in memory is newer than
    /// any that is not.
    pub(crate) fn latest(&self, queue: &str, after: P) -> Recalled<P> {
        match self
            .queues
            .get(queue)
            .and_then(|queue| queue.messages.back())
        {
            Some(stored) if stored.place > after => Recalled::Message(stored.clone()),
            _ => self.look(queue, after, |_| None),
        }
    }

    fn look<'q>(
        &'q self,
        queue: &str,
        after: P,
        find: impl FnOnce(&'q VecDeque<Placed<P>>) -> Option<&'q Placed<P>>,
    ) -> Recalled<P> {
        let Some(queue) = self.queues.get(queue) else {
            return match after < self.forgotten {
                true => Recalled::UpTo(self.forgotten),
                false => Recalled::Nothing,
            };
        };
        if after < queue.gone {
            return Recalled::UpTo(queue.gone);
        }
        find(&queue.messages).map_or(Recalled::Nothing, |stored| {
            Recalled::Message(stored.clone())
        })
    }

    fn drop_oldest(&mut self) {
        let Some(name) = self.order.pop_front() else {
            return;
        };
        let Some(queue) = self.queues.get_mut(&name) else {
            return;
        };
        if let Some(stored) = queue.messages.pop_front() {
            self.bytes -= stored.message.len() + OVERHEAD;
            queue.gone = stored.place;
        }
        // Space that a long queue took is not kept by a short one.
        if queue.messages.is_empty() {
            queue.messages = VecDeque::new();
        }
        if self.queues.len() > MOST_REMEMBERED {
            self.forget_empty();
        }
    }

    /// Forgets the queues that have nothing in memory: what is in the log of them is then believed
    /// of all that nothing is known about.
    fn forget_empty(&mut self) {
        let mut forgotten = self.forgotten;
        self.queues.retain(|_, queue| {
            let is_empty = queue.messages.is_empty();
            if is_empty {
                forgotten = forgotten.max(queue.gone);
            }
            !is_empty
        });
        self.forgotten = forgotten;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(place: u32, message: &str) -> Placed<u32> {
        Placed {
            place,
            message: message.into(),
        }
    }

    /// Room for three messages of one byte.
    fn three() -> Recent<u32> {
        Recent::new(10, 3 * (OVERHEAD + 1))
    }

    #[test]
    fn each_reader_gets_what_comes_after_its_place() {
        let mut recent = three();
        recent.add("q", stored(11, "a"));
        recent.add("other", stored(12, "x"));
        recent.add("q", stored(13, "b"));

        assert_eq!(recent.next("q", 10), Recalled::Message(stored(11, "a")));
        assert_eq!(recent.next("q", 11), Recalled::Message(stored(13, "b")));
        assert_eq!(recent.next("q", 13), Recalled::Nothing);
        assert_eq!(recent.next("new", 10), Recalled::Nothing);
        assert_eq!(recent.latest("q", 10), Recalled::Message(stored(13, "b")));
        assert_eq!(recent.latest("q", 13), Recalled::Nothing);
    }

    #[test]
    fn one_who_fell_behind_is_told_where_memory_begins() {
        let mut recent = three();
        for (place, message) in (11..).zip(["a", "b", "c", "d"]) {
            recent.add("q", stored(place, message));
        }

        assert_eq!(recent.next("q", 10), Recalled::UpTo(11));
        assert_eq!(recent.next("q", 11), Recalled::Message(stored(12, "b")));
        assert_eq!(recent.latest("q", 10), Recalled::Message(stored(14, "d")));
        for place in 15..18 {
            recent.add("other", stored(place, "x"));
        }
        assert_eq!(recent.next("q", 13), Recalled::UpTo(14));
        assert_eq!(recent.latest("q", 13), Recalled::UpTo(14));
        assert_eq!(recent.next("q", 14), Recalled::Nothing);
        assert_eq!(recent.next("other", 10), Recalled::Message(stored(15, "x")));
    }

    #[test]
    fn what_was_there_before_the_beginning_is_in_the_log() {
        let recent = three();

        assert_eq!(recent.next("q", 9), Recalled::UpTo(10));
        assert_eq!(recent.next("q", 10), Recalled::Nothing);
    }

    #[test]
    fn queues_that_are_forgotten_are_believed_to_have_something() {
        let mut recent = three();
        for place in 0..u32::try_from(MOST_REMEMBERED).unwrap() + 10 {
            recent.add(&format!("q{place}"), stored(11 + place, "a"));
        }

        assert!(recent.queues.len() <= MOST_REMEMBERED);
        assert!(matches!(recent.next("q0", 10), Recalled::UpTo(_)));
        assert!(matches!(recent.next("new", 10), Recalled::UpTo(_)));
        assert_eq!(recent.next("new", u32::MAX), Recalled::Nothing);
    }

    #[test]
    fn a_message_larger_than_the_memory_is_there_until_the_next() {
        let mut recent = Recent::new(0, 10);
        recent.add("q", stored(1, "much too large for that"));

        assert!(matches!(recent.next("q", 0), Recalled::Message(_)));
        recent.add("q", stored(2, "b"));
        assert_eq!(recent.next("q", 0), Recalled::UpTo(1));
    }
}
