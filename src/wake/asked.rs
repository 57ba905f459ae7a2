//! Messages that are to be cancelled, as far as this process knows, and the handlers that are told.
//!
//! Each worker has a slot with the messages that it has in hand. Whoever hears of a cancel first
//! notes it and then looks into the slots; a worker that starts a message first enters it into its
//! slot and then checks the notes. So no message slips through between the two. A worker pays one
//! uncontended lock for each message, and nothing is allocated unless handlers keep their messages.

use crate::threads::mutex::Mutex;
use crate::words::{CancelToken, MessageId};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Messages that are known at a time; beyond, the memory begins anew. A process without receivers,
/// which takes messages by hand, hears of none that are asked for no more.
const MAX_KNOWN: usize = 10_000;

/// What is known to be asked for, and all slots.
#[derive(Default)]
pub(crate) struct Asked {
    ids: Mutex<HashSet<MessageId>>,
    /// Whether there are any: mostly not.
    has_any: AtomicBool,
    slots: Mutex<Vec<Weak<Slot>>>,
}

/// What one worker has in hand.
#[derive(Default)]
pub(crate) struct Slot(Mutex<Entered>);

#[derive(Default)]
struct Entered {
    /// One, or those of a batch, or those under leases; each with which attempt it is.
    messages: Vec<(MessageId, CancelToken, u32)>,
    /// Those of messages that left, for the next ones. As many as there ever were at a time.
    spare: Vec<CancelToken>,
    /// Messages whose handlers ended, until it is known what became of their transaction.
    ended: Vec<MessageId>,
}

impl Asked {
    /// Makes the slots of `workers` workers.
    pub(crate) fn slots(&self, workers: usize) -> Vec<Arc<Slot>> {
        let new: Vec<Arc<Slot>> = (0..workers).map(|_| Arc::default()).collect();
        let mut slots = self.slots.lock();
        slots.retain(|slot| slot.strong_count() > 0);
        slots.extend(new.iter().map(Arc::downgrade));
        new
    }

    /// Notes messages that are to be given up, and tells their handlers.
    pub(crate) fn add(&self, ids: impl IntoIterator<Item = MessageId>) {
        let has_slots = !self.slots.lock().is_empty();
        if !has_slots {
            // Nobody here works, and nobody would forget them.
            return;
        }
        let mut known = self.ids.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.extend(ids);
        drop(known);
        self.tell();
    }

    /// Notes all messages that are to be given up, in place of those that were noted, and tells
    /// their handlers.
    pub(crate) fn replace(&self, ids: HashSet<MessageId>) {
        *self.ids.lock() = ids;
        self.tell();
    }

    /// Forgets messages that nobody asks for any more.
    pub(crate) fn forget(&self, ids: impl IntoIterator<Item = MessageId>) {
        let mut known = self.ids.lock();
        for id in ids {
            known.remove(&id);
        }
    }

    /// Returns whether any message is known to be asked for.
    pub(crate) fn has_any(&self) -> bool {
        self.has_any.load(Ordering::Relaxed)
    }

    /// Returns whether a message is known to be asked for.
    pub(crate) fn contains(&self, id: MessageId) -> bool {
        self.has_any() && self.ids.lock().contains(&id)
    }

    fn tell(&self) {
        let ids = self.ids.lock();
        // Seen by every slot that is locked after this thread had it.
        self.has_any.store(!ids.is_empty(), Ordering::Relaxed);
        let slots = self.slots.lock();
        for slot in slots.iter().filter_map(Weak::upgrade) {
            let entered = slot.0.lock();
            let asked = entered.messages.iter().filter(|(id, ..)| ids.contains(id));
            asked.for_each(|(_, token, _)| token.set());
        }
    }
}

impl Slot {
    /// Notes that a message is in hand, which is this attempt; returns what tells its handler to
    /// give up.
    pub(crate) fn enter(&self, id: MessageId, attempt: u32, asked: &Asked) -> CancelToken {
        let mut entered = self.0.lock();
        let mut token = entered.spare.pop().unwrap_or_default();
        token.renew();
        entered.messages.push((id, token.clone(), attempt));
        // The lock is let go in between: whoever tells slots holds the ids meanwhile.
        drop(entered);
        if asked.contains(id) {
            token.set();
        }
        token
    }

    /// Notes that a message is not in hand any more; returns whether its handler was told to give
    /// up. Quickest for the last that was entered.
    pub(crate) fn leave(&self, id: MessageId) -> bool {
        let mut entered = self.0.lock();
        let Some(place) = entered.messages.iter().rposition(|(of, ..)| *of == id) else {
            return false;
        };
        let (_, token, _) = entered.messages.swap_remove(place);
        let is_set = token.is_set();
        entered.spare.push(token);
        is_set
    }

    /// The same for one of several deliveries of a message, by what tells its holder.
    pub(crate) fn leave_one(&self, id: MessageId, token: &CancelToken) {
        let mut entered = self.0.lock();
        let is_it = |(of, told, _): &(MessageId, CancelToken, u32)| *of == id && told.is(token);
        if let Some(place) = entered.messages.iter().rposition(is_it) {
            entered.messages.swap_remove(place);
        }
    }

    /// The same for one whose transaction is to end yet: it [has](Self::has) the message until
    /// [`forget_ended`](Self::forget_ended).
    pub(crate) fn end(&self, id: MessageId) -> bool {
        self.0.lock().ended.push(id);
        self.leave(id)
    }

    /// Returns whether a message is in hand, or its transaction may be under way still.
    pub(crate) fn has(&self, id: MessageId) -> bool {
        let entered = self.0.lock();
        entered.messages.iter().any(|(of, ..)| *of == id) || entered.ended.contains(&id)
    }

    /// Returns how many messages are in hand, and the first `most` of them, each with which attempt
    /// it is.
    pub(crate) fn first(&self, most: usize) -> (usize, Vec<(MessageId, u32)>) {
        let entered = self.0.lock();
        let first = entered.messages.iter().take(most);
        let first = first.map(|(id, _, attempt)| (*id, *attempt));
        (entered.messages.len(), first.collect())
    }

    /// Notes that it is known what became of the transaction of those that left.
    pub(crate) fn forget_ended(&self) {
        self.0.lock().ended.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_told_whether_it_began_before_or_after() {
        let asked = Asked::default();
        let slots = asked.slots(2);
        let (one, two, other) = (MessageId::new(), MessageId::new(), MessageId::new());

        let before = slots[0].enter(one, 1, &asked);
        assert!(!before.is_set());
        asked.add([one, two]);
        let after = slots[1].enter(two, 1, &asked);

        assert!(before.is_set() && after.is_set());
        assert!(slots[0].leave(one) && slots[1].leave(two));
        drop((before, after));
        assert!(!slots[0].enter(other, 1, &asked).is_set());
        asked.replace(HashSet::new());
        assert!(!slots[1].enter(two, 1, &asked).is_set());
    }

    #[test]
    fn a_message_that_is_kept_is_told_nothing_of_the_next() {
        let asked = Asked::default();
        let slot = &asked.slots(1)[0];
        let first = MessageId::new();
        let kept = slot.enter(first, 1, &asked);
        assert!(!slot.leave(first));
        let next = MessageId::new();
        asked.add([next]);

        assert!(slot.enter(next, 1, &asked).is_set());
        assert!(!kept.is_set());
    }

    #[test]
    fn of_several_in_hand_only_the_one_that_is_asked_for_is_told() {
        let asked = Asked::default();
        let slot = &asked.slots(1)[0];
        let ids: Vec<MessageId> = (0..3).map(|_| MessageId::new()).collect();
        let tokens: Vec<CancelToken> = ids.iter().map(|id| slot.enter(*id, 1, &asked)).collect();

        asked.add([ids[1]]);

        let told: Vec<bool> = tokens.iter().map(CancelToken::is_set).collect();
        assert_eq!(told, [false, true, false]);
        let left: Vec<bool> = ids.iter().rev().map(|id| slot.leave(*id)).collect();
        assert_eq!(left, [false, true, false]);
    }
}
