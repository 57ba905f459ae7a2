//! The answer: what a message waits for, or what became of it.

use crate::doctor::finding::Remedy;
use crate::why::holder::LockHolder;
use crate::words::completion::How;
use crate::words::failed_attempt::FailedAttempt;
use crate::words::log_position::LogPosition;
use crate::words::{DeadReason, MessageId};
use serde::Serialize;
use std::time::{Duration, SystemTime};

/// Why a message is not handled now, or what became of it: see
/// [`Messaging::why`](crate::Messaging::why).
///
/// As text it is one sentence. Its JSON is that of `outtray why --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Why {
    /// The message.
    pub id: MessageId,
    /// Its topic; `None` for a message that is not there.
    pub topic: Option<String>,
    /// The key that it was sent with.
    pub key: Option<String>,
    /// Failed deliveries so far.
    pub attempts: u32,
    /// The last ten attempts that failed, the latest last.
    pub failures: Vec<FailedAttempt>,
    /// Processes that died with it in hand, as far as that is counted; see
    /// [`DeadReason::Crashed`].
    pub deaths: u64,
    /// When it was sent, by the database's clock; `None` where only its end is known.
    #[serde(with = "crate::words::moment::optional")]
    pub sent_at: Option<SystemTime>,
    /// Where it is, and what it waits for there.
    #[serde(flatten)]
    pub state: WhyState,
    /// What else keeps it from being handled, or would as soon as its state allows it.
    pub obstacles: Vec<Obstacle>,
    /// The receivers of its topic that live, in this and in other processes.
    pub receivers: Vec<TopicReceiver>,
    /// What could not be found out, and why. Whatever it concerns may be so or not.
    pub not_known: Vec<String>,
    /// What would change it; empty where it only takes time.
    pub remedies: Vec<Remedy>,
    /// When all of this was so, by the database's clock.
    #[serde(with = "crate::words::moment")]
    pub asked_at: SystemTime,
}

/// Where a message is, and what it waits for there.
///
/// In JSON the name of the variant is the field `state`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhyState {
    /// It can be claimed: unless there are [obstacles](Why::obstacles), the next free worker takes
    /// it.
    Ready {
        /// How many messages of its topic come before it in the order of claims, those in work
        /// among them.
        ahead: Bounded,
    },
    /// A worker of a receiver handles it in its transaction.
    InWork {
        /// The session of that worker.
        holder: LockHolder,
        /// The worker, if its process has told of it.
        worker: Option<HandlingWorker>,
        /// Whether its handler is asked to give up.
        #[serde(rename = "cancelled")]
        is_cancelled: bool,
    },
    /// A session that is no worker of its topic has locked its row, so that claims pass it by.
    Locked {
        /// That session.
        holder: LockHolder,
    },
    /// It is in work under a lease.
    Leased {
        /// When the lease ends unless its holder extends it, by the database's clock.
        #[serde(with = "crate::words::moment")]
        until: SystemTime,
        /// How long that is from now; zero once it is over, until somebody makes it ready again.
        #[serde(rename = "left_ms", with = "crate::words::millis")]
        left: Duration,
        /// Which delivery this is, from 1.
        attempt: u32,
        /// The worker that handles it, if its process has told of it; `None` also for messages that
        /// are taken by hand.
        worker: Option<HandlingWorker>,
        /// Whether its holder is asked to give up.
        #[serde(rename = "cancelled")]
        is_cancelled: bool,
    },
    /// Its sender wanted it to be handled later.
    Delayed {
        /// When it becomes ready, by the database's clock.
        #[serde(with = "crate::words::moment")]
        due_at: SystemTime,
        /// How long that is from now; zero once it is due, until somebody makes it ready.
        #[serde(rename = "due_in_ms", with = "crate::words::millis")]
        due_in: Duration,
    },
    /// It failed, or was put off, and is tried again.
    Retrying {
        /// When it becomes ready, by the database's clock.
        #[serde(with = "crate::words::moment")]
        due_at: SystemTime,
        /// How long that is from now; zero once it is due, until somebody makes it ready.
        #[serde(rename = "due_in_ms", with = "crate::words::millis")]
        due_in: Duration,
        /// Which delivery the next one is, from 1.
        attempt: u32,
        /// The error of its last failure, or why it was put off.
        error: Option<String>,
    },
    /// It comes after messages that are not done.
    AfterOthers {
        /// Those messages, at most 100.
        on: Vec<AwaitedMessage>,
        /// Whether there are more.
        #[serde(rename = "more")]
        has_more: bool,
    },
    /// It waits behind others of its key.
    Behind {
        /// How many messages of its key are before it, those out of the line among them.
        ahead: Bounded,
        /// The messages of its key that are out of the line, at most 10: the next one comes when
        /// one of them has ended.
        heads: Vec<KeyHead>,
        /// The dead letter of its key that comes before it and keeps it, if its topic's
        /// [settings](crate::PoisonedKey) say so.
        blocked_by: Option<MessageId>,
    },
    /// It is an entry of a log, which readers pass and nobody removes.
    Kept {
        /// Its place in the order of the log; `None` as long as no batch has it.
        position: Option<LogPosition>,
        /// The named readers of the log.
        readers: Vec<ReaderDistance>,
    },
    /// It was given up, and is kept as a dead letter until somebody decides.
    Dead {
        /// Why it was given up.
        reason: DeadReason,
        /// The last error with its whole chain of causes.
        error: String,
        /// When it was given up, by the database's clock.
        #[serde(with = "crate::words::moment")]
        died_at: SystemTime,
    },
    /// It is over.
    Ended {
        /// How it ended.
        how: How,
        /// When it ended, by the database's clock.
        #[serde(with = "crate::words::moment")]
        ended_at: SystemTime,
        /// Until when that is known at least, of a tracked message. `None` where the topic's
        /// history says it, for as long as the topic [keeps](crate::TopicConfig::keep_done) one.
        #[serde(with = "crate::words::moment::optional")]
        kept_until: Option<SystemTime>,
    },
    /// It is not there: it was never sent, or its sender has not committed, or it has ended and was
    /// not [tracked](crate::NewMessage::tracked), nor kept in a history.
    NotThere {
        /// Whether every place was looked at. Otherwise there were more messages without an index
        /// on their ids than could be read in 3 s, and it may be among them.
        #[serde(rename = "sure")]
        is_sure: bool,
    },
}

/// What keeps a message from being handled, beside its state.
///
/// In JSON the name of the variant is the field `obstacle`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "obstacle", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Obstacle {
    /// Its topic is paused.
    Paused {
        /// Since when, by the database's clock.
        #[serde(with = "crate::words::moment")]
        since: SystemTime,
        /// Who paused it, if that was done in somebody's name; see
        /// [`Messaging::changes`](crate::Messaging::changes).
        by: Option<String>,
    },
    /// No receiver of its topic lives, in any process.
    NoReceiver,
    /// Receivers of its topic live, but none of them wants it.
    NotWanted {
        /// Which messages they want, as the texts of their filters.
        filters: Vec<String>,
    },
    /// The rate of its topic is used up. A receiver may have tokens left that it
    /// took before.
    RateUsedUp {
        /// Until the next token is there.
        #[serde(rename = "next_in_ms", with = "crate::words::millis")]
        next_in: Duration,
    },
    /// The rate of its key is used up.
    KeyRateUsedUp {
        /// Until the next token is there.
        #[serde(rename = "next_in_ms", with = "crate::words::millis")]
        next_in: Duration,
    },
    /// As many messages of its topic are in work as may be.
    MaxInWorkUsedUp {
        /// How many may be.
        limit: u32,
        /// How many of them are leased.
        leased: u64,
        /// The sessions that have the others in work.
        holders: Vec<LockHolder>,
    },
    /// Its topic is handled in strict order, and another message comes first.
    StrictOrder {
        /// The first message of the topic.
        first: MessageId,
        /// Until that is tried again, if it failed.
        #[serde(rename = "due_in_ms", with = "crate::words::millis::optional")]
        due_in: Option<Duration>,
    },
    /// Somebody cancelled it while it was in other hands; it is removed by the next upkeep round,
    /// or when it is claimed.
    Cancelled {
        /// Since when.
        #[serde(with = "crate::words::moment")]
        since: SystemTime,
    },
    /// It expired, and is taken out by the next upkeep round, or when it is claimed.
    Expired {
        /// When it expired.
        #[serde(with = "crate::words::moment")]
        at: SystemTime,
    },
    /// A process died that may have had messages of its topic in hand. Until these have ended,
    /// deliveries are counted in advance, which is slower.
    Suspect {
        /// How long that lasts at most.
        #[serde(rename = "left_ms", with = "crate::words::millis")]
        left: Duration,
    },
    /// Part of its row cannot be read, since another program or a person wrote it. Its receiver
    /// makes it a dead letter.
    Unreadable {
        /// What cannot be read.
        why: String,
    },
    /// Somebody holds the row of a scheduled message, so that nobody can make it ready.
    Held {
        /// That session.
        holder: LockHolder,
    },
    /// Its topic is a log, and it lies among the messages of queues: it moves into the log with the
    /// next look of a reader.
    NotYetInLog,
}

/// A number that is counted so far and no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Bounded {
    /// How many there are at least.
    pub count: u64,
    /// Whether there are exactly so many.
    #[serde(rename = "exact")]
    pub is_exact: bool,
}

/// A message that another one comes after.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AwaitedMessage {
    /// Its id.
    pub id: MessageId,
    /// Whether it has to succeed; otherwise any end will do.
    pub needs_success: bool,
    /// What it waits for itself, in one sentence; `None` for those after the fifth.
    pub why: Option<String>,
}

/// A message that keeps those behind it in the line of their key.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KeyHead {
    /// Its id.
    pub id: MessageId,
    /// The session that has it in work or locked.
    pub holder: Option<LockHolder>,
    /// Whether it is in work under a lease.
    #[serde(rename = "leased")]
    pub is_leased: bool,
    /// Until it is tried again, or its lease ends; `None` if it is ready or in work.
    #[serde(rename = "due_in_ms", with = "crate::words::millis::optional")]
    pub due_in: Option<Duration>,
}

/// A receiver of a topic that lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TopicReceiver {
    /// Its number.
    pub receiver: i64,
    /// Its process: the text that tells it from all others.
    pub process: String,
    /// The name of the machine or container of that, if it is known.
    pub host: Option<String>,
    /// The number of its process on that machine.
    pub pid: Option<u32>,
    /// How many workers it has.
    pub workers: Option<u64>,
    /// Which messages it wants, as the text of a [`Filter`](crate::Filter); `None` for all.
    pub filter: Option<String>,
    /// When it started, by the database's clock.
    #[serde(with = "crate::words::moment")]
    pub started_at: SystemTime,
}

/// A worker that handles a message, as its process said with its last sign of life, up to 10 s ago:
/// it may have ended since. A handler that has run for less than a second is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HandlingWorker {
    /// Its process: the text that tells it from all others.
    pub process: String,
    /// The name of the machine or container of that, if it is known.
    pub host: Option<String>,
    /// The number of its process on that machine.
    pub pid: Option<u32>,
    /// The number of the worker, from 1, as in the name of its thread.
    pub worker: u64,
    /// How long its handler has run by now.
    #[serde(rename = "running_ms", with = "crate::words::millis")]
    pub running_for: Duration,
}

/// How far a named reader of a log is from an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReaderDistance {
    /// Its name.
    pub reader: String,
    /// Up to where it has read, in the lane that reads this entry.
    pub position: LogPosition,
    /// Whether that is at the entry or after it.
    #[serde(rename = "passed")]
    pub has_passed: bool,
}

impl Why {
    /// Makes one without anything beside its state.
    pub(crate) fn new(
        id: MessageId,
        topic: Option<String>,
        state: WhyState,
        asked_at: SystemTime,
    ) -> Self {
        Why {
            id,
            topic,
            key: None,
            attempts: 0,
            failures: Vec::new(),
            deaths: 0,
            sent_at: None,
            state,
            obstacles: Vec::new(),
            receivers: Vec::new(),
            not_known: Vec::new(),
            remedies: Vec::new(),
            asked_at,
        }
    }
}
