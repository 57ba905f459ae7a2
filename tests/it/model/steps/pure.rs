//! What the message system is to be, as little code as can say it: a list of all messages in
//! memory, each with where it is.

use super::hands::Held;
use super::log::LogModel;
use super::op::{KEYS, Kind, LOG, Op, PLAIN, QUEUES, Settings, TOPICS};
use super::seen::{Carried, Message, Seen, State, TopicState};
use outtray::PoisonedKey;
use std::collections::BTreeSet;

/// A message that was sent, or was to be. Its index is its label.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) topic: usize,
    pub(super) kind: Kind,
    pub(super) attempts: u32,
    pub(super) at: At,
    /// Its place in the topic; nothing: it gets one at the end.
    pub(super) place: Option<u64>,
    /// Its time is over.
    pub(super) is_over: bool,
    /// Its holder is asked to give it up.
    pub(super) is_asked: bool,
    /// How it ended, if it is tracked.
    completion: Option<&'static str>,
    /// How it ended, each time.
    pub(super) ends: Vec<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    Ready,
    Behind,
    Scheduled,
    /// With a receipt.
    Leased(u64),
    /// Why, and as which of all that died.
    Dead(&'static str, u64),
    Gone,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Model {
    pub(super) entries: Vec<Entry>,
    pub(super) held: Vec<Held>,
    /// The dedupe keys that were taken: topic, key, label.
    pub(super) taken: Vec<(usize, u8, usize)>,
    /// Topics and the patterns that they subscribed to.
    pub(super) subscriptions: BTreeSet<(usize, usize)>,
    pub(super) log: LogModel,
    pub(super) is_paused: [bool; TOPICS.len()],
    pub(super) settings: [Settings; TOPICS.len()],
    /// Places, receipts and deaths are numbered.
    clock: u64,
    /// Whether it is open what the last operation does.
    pub(super) is_unsure: bool,
}

impl Model {
    pub(super) fn apply(&mut self, op: &Op) -> Seen {
        let seen = self.act(op);
        for topic in 0..QUEUES {
            while let Some(label) = self.first_to_park(topic) {
                self.bury(label, "parked", self.entries[label].attempts);
                self.put_back_beside(topic, &[label]);
            }
        }
        seen
    }

    fn act(&mut self, op: &Op) -> Seen {
        match *op {
            Op::Send {
                topic,
                count,
                message,
                by_sql: _,
            } => {
                let sent = (0..count).filter_map(|_| self.send(topic, message));
                return Seen {
                    duplicates_of: sent.collect(),
                    ..Seen::default()
                };
            }
            Op::SendAndRollBack { topic } => self.note(topic, PLAIN),
            Op::Handle {
                topic,
                answer,
                sends_on,
            } => return self.handle(topic, answer, sends_on),
            Op::MakeDue { topic, nth } => self.make_due(topic, nth),
            Op::Lease { topic, by_sql } => return self.lease(topic, by_sql),
            Op::Settle { nth, how, by_sql } => return self.settle_nth(nth, how, by_sql),
            Op::Lapse { topic, nth } => {
                for label in self.chosen(topic, nth, |at| matches!(at, At::Leased(_))) {
                    self.give_back(label);
                }
            }
            Op::Expire { topic, nth } => {
                let lives = |at: At| !matches!(at, At::Dead(..) | At::Gone);
                for label in self.chosen(topic, nth, lives) {
                    self.entries[label].is_over = true;
                }
            }
            Op::TakeOutExpired => self.take_out_expired(),
            Op::Shared(ref op) => return self.share(op),
            Op::ForgetKeys { topic } => self.taken.retain(|taken| taken.0 != topic),
            Op::Cancel { nth, is_taken, .. } => return self.cancel(nth, is_taken),
            Op::Purge { topic } => {
                let waits = |at: At| matches!(at, At::Ready | At::Behind | At::Scheduled);
                return self.purge(topic, None, waits);
            }
            Op::PurgeDead { topic, nth } => {
                return self.purge(topic, nth, |at| matches!(at, At::Dead(..)));
            }
            Op::Redrive { topic, nth } => return self.redrive(topic, nth),
            Op::Pause { topic } => self.is_paused[topic] = true,
            Op::Resume { topic } => self.is_paused[topic] = false,
            Op::Configure { topic, settings } => {
                let before = std::mem::replace(&mut self.settings[topic], settings);
                let keys =
                    |of: &Settings| (of.is_double, of.poisoned_key.unwrap_or(PoisonedKey::Skip));
                if keys(&before) != keys(&settings) {
                    KEYS.into_iter().for_each(|key| self.put_back(topic, key));
                }
                self.move_lines_on(topic);
            }
        }
        Seen::default()
    }

    /// Notes a message that there is not, or not yet. Its label is used up: labels are what the
    /// test counts, too.
    pub(super) fn note(&mut self, topic: usize, kind: Kind) {
        self.entries.push(Entry {
            topic,
            kind,
            attempts: 0,
            at: At::Gone,
            place: None,
            is_over: false,
            is_asked: false,
            completion: None,
            ends: Vec::new(),
        });
    }

    /// Sends a message; returns the one that has its dedupe key.
    pub(super) fn send(&mut self, topic: usize, kind: Kind) -> Option<usize> {
        let label = self.entries.len();
        self.note(topic, kind);
        if let Some(key) = kind.dedupe {
            let mut taken = self.taken.iter();
            if let Some((.., of)) = taken.find(|one| (one.0, one.1) == (topic, key)) {
                let of = *of;
                self.entries[label].kind.is_tracked = false;
                return Some(of);
            }
            self.taken.push((topic, key, label));
        }
        if topic == LOG {
            self.log.entries.push(label);
            return None;
        }
        match kind.is_delayed || self.settings[topic].is_delayed {
            true => self.entries[label].at = At::Scheduled,
            false => self.queue(label),
        }
        None
    }

    /// Makes a message ready, at its place or at the end; one with a key when those before it have
    /// ended.
    pub(super) fn queue(&mut self, label: usize) {
        let next = self.tick();
        let entry = &mut self.entries[label];
        // Who has a place and no dead letter's is at the head of its key.
        let is_head = entry.place.is_some() && !matches!(entry.at, At::Dead(..));
        entry.place.get_or_insert(next);
        entry.at = match entry.kind.key {
            Some(_) if !is_head => At::Behind,
            _ => At::Ready,
        };
        let topic = entry.topic;
        self.move_lines_on(topic);
    }

    /// Takes out what expired and is in nobody's hands.
    fn take_out_expired(&mut self) {
        let waits = |at: At| matches!(at, At::Ready | At::Behind | At::Scheduled);
        let over: Vec<usize> = (0..self.entries.len())
            .filter(|label| self.entries[*label].is_over && waits(self.entries[*label].at))
            .collect();
        // The order of several is open.
        self.is_unsure |= over.len() > 1;
        for label in over {
            let Entry {
                topic, attempts, ..
            } = self.entries[label];
            match self.settings[topic].drops_expired {
                true => self.end(label, At::Gone, "expired"),
                false => self.bury(label, "expired", attempts),
            }
        }
    }

    fn make_due(&mut self, topic: usize, nth: Option<usize>) {
        let due = self.chosen(topic, nth, |at| at == At::Scheduled);
        let has_to_line_up = |label: &usize| {
            self.entries[*label].kind.key.is_some() && self.entries[*label].place.is_none()
        };
        let (late, early): (Vec<_>, Vec<_>) = due.into_iter().partition(has_to_line_up);
        early
            .into_iter()
            .chain(late.clone())
            .for_each(|label| self.queue(label));
        self.put_back_beside(topic, &late);
    }

    fn cancel(&mut self, nth: usize, is_taken: bool) -> Seen {
        let all: Vec<usize> = match is_taken {
            true => self.held.iter().map(|held| held.label).collect(),
            false => (0..self.entries.len()).collect(),
        };
        if all.is_empty() {
            return Seen::default();
        }
        let label = all[nth % all.len()];
        match self.entries[label].at {
            At::Ready | At::Behind | At::Scheduled => {
                self.end(label, At::Gone, "cancelled");
                Seen::answer("Removed")
            }
            At::Leased(_) => {
                self.entries[label].is_asked = true;
                Seen::answer("Asked")
            }
            At::Dead(..) | At::Gone => Seen::answer("NotThere"),
        }
    }

    fn purge(&mut self, topic: usize, nth: Option<usize>, which: fn(At) -> bool) -> Seen {
        let purged = self.chosen(topic, nth, which);
        for &label in &purged {
            self.entries[label].at = At::Gone;
        }
        for &label in &purged {
            self.end(label, At::Gone, "purged");
        }
        self.put_back_beside(topic, &purged);
        Seen::count(purged.len())
    }

    fn redrive(&mut self, topic: usize, nth: Option<usize>) -> Seen {
        let redriven = self.chosen(topic, nth, |at| matches!(at, At::Dead(..)));
        // All of them are in their lines before these move on.
        for &label in &redriven {
            let entry = &mut self.entries[label];
            entry.place = entry.place.filter(|_| entry.kind.key.is_some());
            (entry.attempts, entry.is_over, entry.is_asked) = (0, false, false);
            entry.completion = None;
        }
        for &label in &redriven {
            if self.entries[label].kind.key.is_some() {
                // One that died before it was in its line comes to the end of it.
                let next = self.tick();
                self.entries[label].place.get_or_insert(next);
                self.entries[label].at = At::Behind;
            }
        }
        for &label in &redriven {
            if self.entries[label].kind.key.is_none() {
                self.queue(label);
            }
        }
        self.put_back_beside(topic, &redriven);
        self.move_lines_on(topic);
        Seen::count(redriven.len())
    }

    pub(super) fn bury(&mut self, label: usize, reason: &'static str, attempts: u32) {
        self.entries[label].attempts = attempts;
        let death = self.tick();
        self.end(label, At::Dead(reason, death), "dead");
    }

    /// Ends a message: it is gone, or dead. What ended for good stays as it is.
    pub(super) fn end(&mut self, label: usize, at: At, how: &'static str) {
        let entry = &mut self.entries[label];
        entry.at = at;
        if how != "purged" {
            entry.ends.push(how);
        }
        if entry.completion.is_none_or(|before| before == "dead") {
            entry.completion = Some(how);
        }
        let topic = entry.topic;
        self.move_lines_on(topic);
    }

    /// Returns the labels of the topic's messages that are there: the chosen one, or all. Dead
    /// letters as they died.
    pub(super) fn chosen(
        &self,
        topic: usize,
        nth: Option<usize>,
        is_there: impl Fn(At) -> bool,
    ) -> Vec<usize> {
        let mut all = self.labels(topic, is_there);
        all.sort_by_key(|label| match self.entries[*label].at {
            At::Dead(_, death) => death,
            _ => 0,
        });
        match nth {
            Some(nth) if !all.is_empty() => vec![all[nth % all.len()]],
            _ => all,
        }
    }

    pub(super) fn labels(&self, topic: usize, is_there: impl Fn(At) -> bool) -> Vec<usize> {
        let all = self.entries.iter().enumerate();
        all.filter(|(_, entry)| entry.topic == topic && is_there(entry.at))
            .map(|(label, _)| label)
            .collect()
    }

    /// Returns what is ready, in claim order.
    pub(super) fn ready(&self, topic: usize) -> Vec<usize> {
        let mut ready = self.labels(topic, |at| at == At::Ready);
        let entry = |label: &usize| &self.entries[*label];
        ready.sort_by_key(|label| (-i32::from(entry(label).kind.priority), entry(label).place));
        ready
    }

    pub(super) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(super) fn state(&self) -> State {
        State {
            topics: (0..QUEUES).map(|topic| self.topic_state(topic)).collect(),
            log: self.log_state(),
            subscriptions: self.subscribed(),
        }
    }

    fn topic_state(&self, topic: usize) -> TopicState {
        let message = |label: usize| {
            let Entry { kind, attempts, .. } = &self.entries[label];
            Message {
                label,
                priority: kind.priority,
                attempts: *attempts,
                fits: kind.fits,
            }
        };
        let messages = |labels: Vec<usize>| labels.into_iter().map(message).collect();
        let mut behind = self.labels(topic, |at| at == At::Behind);
        behind.sort_by_key(|label| (self.entries[*label].kind.key, self.entries[*label].place));
        let dead = self.chosen(topic, None, |at| matches!(at, At::Dead(..)));
        let reason = |label: usize| match self.entries[label].at {
            At::Dead(reason, _) => reason.to_owned(),
            _ => String::new(),
        };
        let tracked = self.entries.iter().enumerate();
        let tracked = tracked.filter(|(_, one)| one.topic == topic && one.kind.is_tracked);
        TopicState {
            ready: messages(self.ready(topic)),
            behind: messages(behind),
            scheduled: messages(self.labels(topic, |at| at == At::Scheduled)),
            leased: messages(self.labels(topic, |at| matches!(at, At::Leased(_)))),
            dead: dead
                .into_iter()
                .map(|label| (message(label), reason(label)))
                .collect(),
            completions: tracked
                .map(|(label, one)| (label, one.completion.map(str::to_owned)))
                .collect(),
            carried: self
                .labels(topic, |at| at != At::Gone)
                .into_iter()
                .map(|label| {
                    Carried::new(label, self.entries[label].kind, self.entries[label].is_over)
                })
                .collect(),
            history: self.history(topic),
            is_paused: self.is_paused[topic],
            settings: self.settings[topic],
        }
    }
}

pub(super) fn other(topic: usize) -> usize {
    (topic + 1) % QUEUES
}
