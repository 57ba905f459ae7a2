//! What the message system is to be, as little code as can say it: lists in memory.

use super::op::{Answer, Kind, Op, Settings, TOPICS};

/// The limit of the test's receivers, where the topic has none.
pub(super) const MAX_ATTEMPTS: u32 = 3;

/// What an operation is seen to do, besides what it does to the state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// The message that a handler got.
    pub(super) delivery: Option<Delivery>,
    /// Handled, retried, dead, as a drain reports them; or messages removed or moved.
    pub(super) counts: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) label: usize,
    pub(super) priority: i16,
    pub(super) attempt: u32,
    pub(super) max_attempts: u32,
}

/// All that can be seen of a topic from outside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TopicState {
    /// In claim order.
    pub(super) ready: Vec<Message>,
    /// In the order of sending.
    pub(super) scheduled: Vec<Message>,
    /// In the order of dying.
    pub(super) dead: Vec<(Message, String)>,
    pub(super) is_paused: bool,
    pub(super) settings: Settings,
}

/// A message. Its label says as which of all it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) label: usize,
    pub(super) priority: i16,
    pub(super) attempts: u32,
    pub(super) fits: bool,
}

/// The model: what can be seen is all that there is.
#[derive(Debug, Default)]
pub(super) struct Model {
    topics: [TopicState; TOPICS.len()],
    sent: usize,
}

impl Model {
    pub(super) fn state(&self) -> &[TopicState] {
        &self.topics
    }

    pub(super) fn apply(&mut self, op: &Op) -> Seen {
        match *op {
            Op::Send {
                topic,
                count,
                message,
            } => {
                (0..count).for_each(|_| self.send(topic, message));
                Seen::default()
            }
            // Its label is used up: labels are what the test counts, too.
            Op::SendAndRollBack { .. } => {
                self.sent += 1;
                Seen::default()
            }
            Op::Handle {
                topic,
                answer,
                sends_on,
            } => self.handle(topic, answer, sends_on),
            Op::MakeDue { topic, nth } => {
                let topic = &mut self.topics[topic];
                let due = take(&mut topic.scheduled, nth);
                due.into_iter().for_each(|message| topic.put(message));
                Seen::default()
            }
            Op::Purge { topic } => {
                let topic = &mut self.topics[topic];
                let purged = topic.ready.drain(..).chain(topic.scheduled.drain(..));
                Seen::count(purged.count())
            }
            Op::PurgeDead { topic, nth } => {
                Seen::count(take(&mut self.topics[topic].dead, nth).len())
            }
            Op::Redrive { topic, nth } => {
                let topic = &mut self.topics[topic];
                let redriven = take(&mut topic.dead, nth);
                let seen = Seen::count(redriven.len());
                for (message, _) in redriven {
                    topic.put(Message {
                        attempts: 0,
                        ..message
                    });
                }
                seen
            }
            Op::Pause { topic } => {
                self.topics[topic].is_paused = true;
                Seen::default()
            }
            Op::Resume { topic } => {
                self.topics[topic].is_paused = false;
                Seen::default()
            }
            Op::Configure { topic, settings } => {
                self.topics[topic].settings = settings;
                Seen::default()
            }
        }
    }

    fn send(&mut self, topic: usize, kind: Kind) {
        let message = Message {
            label: self.sent,
            priority: kind.priority,
            attempts: 0,
            fits: kind.fits,
        };
        self.sent += 1;
        let topic = &mut self.topics[topic];
        match kind.is_delayed || topic.settings.is_delayed {
            true => topic.wait(message),
            false => topic.put(message),
        }
    }

    fn handle(&mut self, at: usize, answer: Answer, sends_on: bool) -> Seen {
        let topic = &mut self.topics[at];
        let mut counts = vec![0, 0, 0];
        if topic.is_paused {
            return Seen {
                counts,
                ..Seen::default()
            };
        }
        while topic.ready.first().is_some_and(|message| !message.fits) {
            let unfit = topic.ready.remove(0);
            topic.bury(unfit, "undecodable");
            counts[2] += 1;
        }
        if topic.ready.is_empty() {
            return Seen {
                counts,
                ..Seen::default()
            };
        }
        let message = topic.ready.remove(0);
        let max_attempts = topic.settings.max_attempts.unwrap_or(MAX_ATTEMPTS);
        let delivery = Delivery {
            label: message.label,
            priority: message.priority,
            attempt: message.attempts + 1,
            max_attempts,
        };
        let outcome = topic.end(message, answer, max_attempts);
        counts[outcome] += 1;
        if sends_on {
            match answer {
                Answer::Ack => self.send(other(at), ON),
                // Sent, and undone.
                _ => self.sent += 1,
            }
        }
        Seen {
            delivery: Some(delivery),
            counts,
        }
    }
}

/// What handlers send on, to the other topic.
pub(super) const ON: Kind = Kind {
    priority: 0,
    is_delayed: false,
    fits: true,
};

pub(super) fn other(topic: usize) -> usize {
    (topic + 1) % TOPICS.len()
}

impl TopicState {
    /// Makes a message ready, behind all of its priority.
    fn put(&mut self, message: Message) {
        let before = |ready: &Message| ready.priority >= message.priority;
        let at = self.ready.partition_point(before);
        self.ready.insert(at, message);
    }

    /// Lets a message wait until the test makes it due.
    fn wait(&mut self, message: Message) {
        let at = self
            .scheduled
            .partition_point(|waiting| waiting.label < message.label);
        self.scheduled.insert(at, message);
    }

    /// Does what an answer to a message asks for. Returns whether that is handled, retried or dead.
    fn end(&mut self, message: Message, answer: Answer, max_attempts: u32) -> usize {
        let attempts = message.attempts + 1;
        match answer {
            Answer::Ack => 0,
            Answer::Snooze => {
                self.wait(message);
                1
            }
            Answer::Reject => {
                self.bury(message, "rejected");
                2
            }
            Answer::Fail | Answer::RetryAfter | Answer::Panic | Answer::SwallowAnSqlError => {
                if attempts >= max_attempts {
                    self.bury(message, "exhausted");
                    return 2;
                }
                self.wait(Message {
                    attempts,
                    ..message
                });
                1
            }
        }
    }

    fn bury(&mut self, message: Message, reason: &str) {
        let attempts = message.attempts + 1;
        self.dead.push((
            Message {
                attempts,
                ..message
            },
            reason.to_owned(),
        ));
    }
}

impl Seen {
    pub(super) fn count(count: usize) -> Seen {
        Seen {
            counts: vec![count as u64],
            ..Seen::default()
        }
    }
}

/// Takes out the chosen one, or all.
fn take<T>(from: &mut Vec<T>, nth: Option<usize>) -> Vec<T> {
    match nth {
        None => std::mem::take(from),
        Some(_) if from.is_empty() => Vec::new(),
        Some(nth) => vec![from.remove(nth % from.len())],
    }
}
