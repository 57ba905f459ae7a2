//! What can be seen of the messages from outside: the model says what it is to be, the test finds
//! out what it is.

use super::op::{Kind, Settings};

/// What an operation is seen to do, besides what it does to the state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// The message that a handler, or the holder of a lease, got.
    pub(super) delivery: Option<Delivery>,
    /// Handled, retried, dead, dropped, as a drain reports them; or messages removed or moved.
    pub(super) counts: Vec<u64>,
    /// The messages whose dedupe keys those that were sent had.
    pub(super) duplicates_of: Vec<usize>,
    /// A lease was lost, or what a cancel did.
    pub(super) answer: Option<String>,
    /// What the handler of a reader of the log did and kept, by the labels.
    pub(super) read: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) label: usize,
    pub(super) priority: i16,
    pub(super) attempt: u32,
    pub(super) max_attempts: u32,
    pub(super) key: Option<String>,
}

/// All that can be seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// Of the queues.
    pub(super) topics: Vec<TopicState>,
    pub(super) log: LogState,
    /// Topics and patterns, sorted.
    pub(super) subscriptions: Vec<(String, String)>,
}

/// All that can be seen of the log from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogState {
    /// In the order of sending, with their keys.
    pub(super) entries: Vec<(usize, Option<String>)>,
    /// The dead letters of its reader, by the labels, and why.
    pub(super) dead: Vec<(usize, String)>,
}

/// All that can be seen of a queue from outside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TopicState {
    /// In claim order.
    pub(super) ready: Vec<Message>,
    /// By their keys, the next one first.
    pub(super) behind: Vec<Message>,
    /// In the order of sending.
    pub(super) scheduled: Vec<Message>,
    /// In the order of sending.
    pub(super) leased: Vec<Message>,
    /// In the order of dying.
    pub(super) dead: Vec<(Message, String)>,
    /// How those that are tracked ended, in the order of sending.
    pub(super) completions: Vec<(usize, Option<String>)>,
    /// What each that is there carries besides, in the order of sending.
    pub(super) carried: Vec<Carried>,
    /// How messages ended, each time, as the history has it; in the order of sending.
    pub(super) history: Vec<(usize, Vec<String>)>,
    pub(super) is_paused: bool,
    pub(super) settings: Settings,
}

/// What of a message shows only later: in its line, at its end, when its time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) label: usize,
    pub(super) key: Option<String>,
    pub(super) is_tracked: bool,
    pub(super) is_over: bool,
}

impl Carried {
    pub(super) fn new(label: usize, kind: Kind, is_over: bool) -> Carried {
        Carried {
            label,
            key: kind.key.map(String::from),
            is_tracked: kind.is_tracked,
            is_over,
        }
    }
}

/// A message. Its label says as which of all it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) label: usize,
    pub(super) priority: i16,
    pub(super) attempts: u32,
    pub(super) fits: bool,
}

impl Seen {
    pub(super) fn count(count: usize) -> Seen {
        Seen {
            counts: vec![count as u64],
            ..Seen::default()
        }
    }

    pub(super) fn is_new(is_new: bool) -> Seen {
        Seen::answer(if is_new { "changed" } else { "as before" })
    }

    pub(super) fn answer(answer: &str) -> Seen {
        Seen {
            answer: Some(answer.to_owned()),
            ..Seen::default()
        }
    }
}
