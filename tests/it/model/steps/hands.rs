//! The part of the model about messages in somebody's hands: of handlers, and of those who hold
//! leases.

use super::op::{Answer, PLAIN, Settling};
use super::pure::{At, Model, other};
use super::seen::{Delivery, Seen};
use std::collections::HashMap;

/// The limit of the test's receivers, where the topic has none.
pub(super) const MAX_ATTEMPTS: u32 = 3;
/// The limit of those who take messages by hand, where the topic has none.
const MAX_ATTEMPTS_BY_HAND: u32 = 10;
/// Deliveries that are held at a time. When there is one more, the oldest is dropped.
pub(super) const MOST_HELD: usize = 5;

/// A delivery under a lease, whatever became of that.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) label: usize,
    receipt: u64,
    max_attempts: u32,
    by_sql: bool,
}

impl Model {
    pub(super) fn handle(&mut self, topic: usize, answer: Answer, sends_on: bool) -> Seen {
        let mut counts = vec![0; 4];
        let max_attempts = self.settings[topic].max_attempts.unwrap_or(MAX_ATTEMPTS);
        let Some((label, delivery)) = self.deliver(topic, max_attempts, false, &mut counts) else {
            return Seen {
                counts,
                ..Seen::default()
            };
        };
        if sends_on && answer != Answer::Ack {
            // Sent, and undone.
            self.note(other(topic), PLAIN);
        }
        match self.answer(label, answer, max_attempts) {
            Some(outcome) => counts[outcome] += 1,
            None => counts.clear(),
        }
        if sends_on && answer == Answer::Ack {
            self.send(other(topic), PLAIN);
        }
        Seen {
            delivery: Some(delivery),
            counts,
            ..Seen::default()
        }
    }

    /// Returns the next message that is to be delivered; ends those before it that are not.
    fn deliver(
        &mut self,
        topic: usize,
        max_attempts: u32,
        by_sql: bool,
        counts: &mut [u64],
    ) -> Option<(usize, Delivery)> {
        if self.is_paused[topic] {
            return None;
        }
        let mut claimed = HashMap::new();
        loop {
            let label = *self.ready(topic).first()?;
            let entry = &self.entries[label];
            // Who was behind one that was just buried, and is to come before it, may be found a
            // little later.
            let last = claimed.insert(entry.kind.priority, entry.place);
            self.is_unsure |= last.is_some_and(|last| entry.place < last);
            let (attempts, is_over) = (entry.attempts, entry.is_over);
            if is_over && self.settings[topic].drops_expired {
                counts[3] += 1;
                self.end(label, At::Gone, "expired");
                continue;
            }
            let is_used_up = attempts >= max_attempts;
            // Nobody decodes a payload that SQL returns.
            let fits = entry.kind.fits || by_sql;
            if is_over || is_used_up || !fits {
                counts[2] += 1;
                match (is_over, is_used_up) {
                    (true, _) => self.bury(label, "expired", attempts),
                    (_, true) => self.bury(label, "crashed", attempts),
                    _ => self.bury(label, "undecodable", attempts + 1),
                }
                continue;
            }
            let delivery = Delivery {
                label,
                priority: entry.kind.priority,
                attempt: attempts + 1,
                max_attempts,
                key: entry.kind.key.map(|key| key.to_string()),
            };
            return Some((label, delivery));
        }
    }

    /// Does what an answer to a message asks for. Returns whether that is handled, retried or dead;
    /// nothing when nobody could report.
    fn answer(&mut self, label: usize, answer: Answer, max_attempts: u32) -> Option<usize> {
        let attempt = self.entries[label].attempts + 1;
        match answer {
            Answer::LoseConnection => return None,
            Answer::Ack => self.end(label, At::Gone, "done"),
            Answer::Snooze => {
                self.wait(label);
                return Some(1);
            }
            Answer::Reject => {
                self.bury(label, "rejected", attempt);
                return Some(2);
            }
            Answer::Fail | Answer::RetryAfter | Answer::Panic | Answer::SwallowAnSqlError => {
                if attempt >= max_attempts {
                    self.bury(label, "exhausted", attempt);
                    return Some(2);
                }
                self.entries[label].attempts = attempt;
                self.wait(label);
                return Some(1);
            }
        }
        Some(0)
    }

    /// Lets a message wait until the test makes it due. Only with a key it keeps its place.
    fn wait(&mut self, label: usize) {
        let entry = &mut self.entries[label];
        entry.at = At::Scheduled;
        entry.place = entry.place.filter(|_| entry.kind.key.is_some());
    }

    pub(super) fn lease(&mut self, topic: usize, by_sql: bool) -> Seen {
        let limit = self.settings[topic].max_attempts;
        let max_attempts = limit.unwrap_or(MAX_ATTEMPTS_BY_HAND);
        let Some((label, delivery)) = self.deliver(topic, max_attempts, by_sql, &mut [0; 4]) else {
            return Seen::default();
        };
        let receipt = self.tick();
        let entry = &mut self.entries[label];
        entry.at = At::Leased(receipt);
        entry.attempts += 1;
        self.held.push(Held {
            label,
            receipt,
            max_attempts,
            by_sql,
        });
        if self.held.len() > MOST_HELD {
            let oldest = self.held.remove(0);
            self.settle(&oldest, Settling::Nack, oldest.by_sql);
        }
        Seen {
            delivery: Some(delivery),
            ..Seen::default()
        }
    }

    pub(super) fn settle_nth(&mut self, nth: usize, how: Settling, by_sql: bool) -> Seen {
        if self.held.is_empty() {
            return Seen::default();
        }
        let held = self.held.remove(nth % self.held.len());
        let topic = self.entries[held.label].topic;
        let is_good = self.settle(&held, how, by_sql);
        if how == Settling::SettleIn {
            match is_good {
                true => drop(self.send(other(topic), PLAIN)),
                false => self.note(other(topic), PLAIN),
            }
        }
        if how != Settling::Drop {
            let at = nth % (self.held.len() + 1);
            self.held.insert(at, held);
        }
        match is_good || how == Settling::Drop {
            true => Seen::answer("settled"),
            false => Seen::answer("lost"),
        }
    }

    /// Settles a lease; returns whether it was still there.
    fn settle(&mut self, held: &Held, how: Settling, by_sql: bool) -> bool {
        let label = held.label;
        let entry = &mut self.entries[label];
        if entry.at != At::Leased(held.receipt) {
            return false;
        }
        let attempt = entry.attempts;
        let max_attempts = match (held.by_sql, by_sql) {
            // As it was when it was taken.
            (false, false) => held.max_attempts,
            _ => {
                let limit = self.settings[entry.topic].max_attempts;
                limit.unwrap_or(MAX_ATTEMPTS_BY_HAND)
            }
        };
        let is_last = attempt >= max_attempts;
        match how {
            Settling::Extend => {}
            Settling::Ack | Settling::SettleIn => self.end(label, At::Gone, "done"),
            Settling::Reject => self.bury(label, "rejected", attempt),
            Settling::Nack | Settling::Drop | Settling::RetryAfter if is_last => {
                self.bury(label, "exhausted", attempt);
            }
            Settling::Nack | Settling::Drop => self.give_back(label),
            Settling::RetryAfter if entry.is_asked => self.give_back(label),
            Settling::RetryAfter => self.wait(label),
            Settling::Release => {
                entry.attempts -= 1;
                self.give_back(label);
            }
        }
        true
    }

    /// Puts a leased message back to its place, unless somebody cancelled it.
    pub(super) fn give_back(&mut self, label: usize) {
        match self.entries[label].is_asked {
            true => self.end(label, At::Gone, "cancelled"),
            false => self.queue(label),
        }
    }
}
