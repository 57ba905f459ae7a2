//! Passes on what a commit means: wakes workers here, tells processes elsewhere, and notes when
//! scheduled messages are due.

use crate::message::claimed::Held;
use crate::observe::observers::Observers;
use crate::wake::asked::Asked;
use crate::wake::board::Board;
use crate::wake::hint::Hint;
use crate::wake::news::News;
use crate::wake::notifier::Notifier;
use crate::wake::waiters::Waiters;
use crate::words::{MessageId, OnEnd, topic};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// Due times on their way to the upkeep thread.
const DUE_QUEUE: usize = 256;

/// Ends on their way to the upkeep thread, those of a transaction each. What finds no room is found
/// by a sweep.
const ENDED_QUEUE: usize = 1024;

/// Everything there is to wake.
pub(crate) struct Waker {
    pub(crate) board: Board,
    /// None where notifications are turned off.
    pub(crate) notifier: Option<Notifier>,
    key_ended: Sender<()>,
    keys_ended: Receiver<()>,
    due: Sender<Duration>,
    due_times: Receiver<Duration>,
    pub(crate) waiters: Waiters,
    pub(crate) asked: Asked,
    ended: Sender<Vec<Uuid>>,
    ends: Receiver<Vec<Uuid>>,
    /// Whether ends found no room.
    has_missed_ends: AtomicBool,
    /// Who is told what happened.
    pub(crate) observers: Arc<Observers>,
}

impl Waker {
    pub(crate) fn new(notifier: Option<Notifier>, observers: Arc<Observers>) -> Self {
        let (due, due_times) = bounded(DUE_QUEUE);
        let (ended, ends) = bounded(ENDED_QUEUE);
        let (key_ended, keys_ended) = bounded(1);
        Waker {
            key_ended,
            keys_ended,
            board: Board::default(),
            notifier,
            due,
            due_times,
            waiters: Waiters::default(),
            asked: Asked::default(),
            ended,
            ends,
            has_missed_ends: AtomicBool::new(false),
            observers,
        }
    }

    /// Announces the messages of a committed session.
    pub(crate) fn announce(&self, news: &News) {
        for (topic, messages) in &news.topics {
            let are_here = self.board.ring(topic, *messages);
            let is_awaited = news.is_awaited || topic::is_awaited(topic);
            self.tell_ready(topic, is_awaited, are_here);
        }
        if let Some(delay) = news.soonest {
            self.due_in_all(delay);
        }
        if !news.after.is_empty() {
            self.look_at(news.after.clone());
        }
        self.announce_ends(news.ended.iter());
    }

    /// After the commit: announces that messages ended, to those who wait for them and to the next
    /// of their keys.
    pub(crate) fn announce_ends<'a>(&self, held: impl Iterator<Item = &'a Held>) {
        let mut tracked = Vec::new();
        for held in held {
            if held.key.is_some() {
                self.keys_ended();
            }
            if held.on_end.has(OnEnd::TRACKED) {
                tracked.push(held.id.0);
            }
        }
        if !tracked.is_empty() {
            self.ended(&tracked);
            self.look_at(tracked);
        }
    }

    /// Announces that tracked messages ended: to who waits for them here and elsewhere.
    pub(crate) fn ended(&self, ids: &[Uuid]) {
        self.waiters.ring(ids);
        self.tell(Hint::Ended);
    }

    /// Announces that messages ended of which nobody knows whether they are tracked: all who wait
    /// look.
    pub(crate) fn ended_unnamed(&self) {
        self.ended(&self.waiters.ids());
    }

    /// Announces that messages in work are to be given up: to their handlers, here and elsewhere.
    pub(crate) fn asked(&self, ids: &[Uuid]) {
        if !ids.is_empty() {
            self.asked.add(ids.iter().copied().map(MessageId));
            self.tell(Hint::Cancel);
        }
    }

    /// Has the upkeep look at what comes after these messages, which may have ended.
    pub(crate) fn look_at(&self, ids: Vec<Uuid>) {
        if self.ended.try_send(ids).is_err() {
            self.has_missed_ends.store(true, Ordering::Relaxed);
        }
    }

    /// Where the upkeep thread hears of ends.
    pub(crate) fn ends(&self) -> &Receiver<Vec<Uuid>> {
        &self.ends
    }

    /// Returns whether ends found no room since the last time.
    pub(crate) fn take_missed_ends(&self) -> bool {
        self.has_missed_ends.swap(false, Ordering::Relaxed)
    }

    /// Announces ready messages of one topic.
    pub(crate) fn ready(&self, topic: &str, messages: usize) {
        let are_here = self.board.ring(topic, messages);
        self.tell_ready(topic, false, are_here);
    }

    /// Tells other processes of ready messages: at once if a thread waits for what becomes of them,
    /// and a little later if there are workers here for all of them.
    fn tell_ready(&self, topic: &str, is_awaited: bool, are_here: bool) {
        if let Some(notifier) = &self.notifier {
            let hint = Hint::Ready(topic.to_owned());
            match (is_awaited, are_here) {
                (true, _) => notifier.notify_soon(hint),
                (false, true) => notifier.notify_later(hint),
                (false, false) => notifier.notify(hint),
            }
        }
    }

    /// Tells this process and the others that a scheduled message is due after `delay`.
    pub(crate) fn due_in_all(&self, delay: Duration) {
        self.due_in(delay);
        self.tell(Hint::Due);
    }

    /// Tells this process alone.
    pub(crate) fn due_in(&self, mut delay: Duration) {
        while let Err(TrySendError::Full(refused)) = self.due.try_send(delay) {
            // Of two, the sooner one is enough.
            let other = self.due_times.try_recv();
            delay = other.map_or(refused, |other| refused.min(other));
        }
    }

    /// Where the upkeep thread hears of due times.
    pub(crate) fn due_times(&self) -> &Receiver<Duration> {
        &self.due_times
    }

    /// Notes that lines of keys may have to be moved on. Said once for many.
    pub(crate) fn keys_ended(&self) {
        let _ = self.key_ended.try_send(());
    }

    /// Where the upkeep thread hears of that.
    pub(crate) fn ended_keys(&self) -> &Receiver<()> {
        &self.keys_ended
    }

    pub(crate) fn tell(&self, hint: Hint) {
        if let Some(notifier) = &self.notifier {
            notifier.notify(hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::tallies::Tallies;

    #[test]
    fn the_soonest_of_many_due_times_is_kept() {
        let waker = Waker::new(
            None,
            Arc::new(Observers::new(Vec::new(), Tallies::default())),
        );
        let hour = Duration::from_secs(3600);
        for _ in 0..2 * DUE_QUEUE {
            waker.due_in(hour);
        }
        waker.due_in(Duration::ZERO);
        waker.due_in(hour);
        assert_eq!(waker.due_times().try_iter().min(), Some(Duration::ZERO));
    }
}
