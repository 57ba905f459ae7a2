//! Passes on what a commit means: wakes workers here, tells processes elsewhere, and notes when
//! scheduled messages are due.

use crate::session::outbox::News;
use crate::wake::board::Board;
use crate::wake::hint::Hint;
use crate::wake::notifier::Notifier;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::time::Duration;

/// Due times on their way to the upkeep thread. When there is no room it has work at hand, after
/// which it looks for itself.
const DUE_QUEUE: usize = 256;

/// Everything there is to wake.
pub(crate) struct Waker {
    pub(crate) board: Board,
    /// None where notifications are turned off.
    pub(crate) notifier: Option<Notifier>,
    ended: Sender<()>,
    keys_ended: Receiver<()>,
    due: Sender<Duration>,
    due_times: Receiver<Duration>,
}

impl Waker {
    pub(crate) fn new(notifier: Option<Notifier>) -> Self {
        let (due, due_times) = bounded(DUE_QUEUE);
        let (ended, keys_ended) = bounded(1);
        Waker {
            ended,
            keys_ended,
            board: Board::default(),
            notifier,
            due,
            due_times,
        }
    }

    /// Announces the messages of a committed session.
    pub(crate) fn announce(&self, news: &News) {
        for (topic, messages) in &news.topics {
            self.ready(topic, *messages);
        }
        if let Some(delay) = news.soonest {
            self.due_in(delay);
            self.tell(Hint::Due);
        }
    }

    /// Announces ready messages of one topic.
    pub(crate) fn ready(&self, topic: &str, messages: usize) {
        self.board.ring(topic, messages);
        self.tell(Hint::Ready(topic.to_owned()));
    }

    /// Notes that a scheduled message is due after `delay`.
    pub(crate) fn due_in(&self, delay: Duration) {
        let _ = self.due.try_send(delay);
    }

    /// Where the upkeep thread hears of due times.
    pub(crate) fn due_times(&self) -> &Receiver<Duration> {
        &self.due_times
    }

    /// Notes that lines of keys may have to be moved on. Said once for many.
    pub(crate) fn keys_ended(&self) {
        let _ = self.ended.try_send(());
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
