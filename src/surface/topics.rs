//! A topic: its numbers, and its messages that wait.

use crate::changes::{Note, What};
use crate::connect::apart::apart;
use crate::db::Run;
use crate::db::commands;
use crate::keys::stalled::{Parking, tend_all};
use crate::log::configure::is_log;
use crate::log::log_stats;
use crate::observe::event::Event;
use crate::on_end::push_ended;
use crate::schedule::scheduled::{self, ScheduledMessage};
use crate::surface::messaging::Messaging;
use crate::topics::backlogs::{self, TopicBacklog};
use crate::topics::peek::{self, WaitingMessage};
use crate::topics::stats::{self, TopicStats};
use crate::topics::{self, Sign};
use crate::words::limits::count;
use crate::words::topic;
use crate::words::{Doing, Error, Result};

/// One topic, to look at it and to operate it. All methods except [`name`](Topic::name) block for a
/// connection of the pool and a few round trips.
///
/// # Errors
/// Of all methods: `Invalid` for a bad name or key, `SchemaMissing`, `Unavailable`,
/// `PoolExhausted`.
#[derive(Debug, Clone)]
pub struct Topic<'m> {
    pub(crate) messaging: &'m Messaging,
    pub(crate) name: String,
}

impl Topic<'_> {
    /// Returns the topic's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the topic's numbers, which are zeros for a topic that was never used. Counts up to
    /// 100,000 messages of each kind, and estimates larger numbers, as
    /// [`estimated`](TopicStats::estimated) says. Takes a few tens of milliseconds for each kind at
    /// most.
    pub fn stats(&self) -> Result<TopicStats> {
        self.look(stats_of)
    }

    /// Returns the topic's numbers as [`Messaging::backlogs`] does: counted up to 10,000 messages
    /// of each kind, for those who look again and again. Zeros for a topic that was never used.
    pub fn backlog(&self) -> Result<TopicBacklog> {
        self.look(|run, topic| {
            let mut one = backlogs::backlogs(run, &[topic.to_owned()])?;
            Ok(one.pop().unwrap_or_default())
        })
    }

    /// Returns whether no message is ready, in work, or scheduled, and none is kept in a log. Dead
    /// letters do not count.
    pub fn is_empty(&self) -> Result<bool> {
        self.look(|run, topic| {
            if topics::is_there(run, topic, Sign::Message)? {
                return Ok(false);
            }
            let newest = log_stats::newest(run, topic, 1)?;
            Ok(newest.is_none_or(|newest| newest.is_empty()))
        })
    }

    /// Returns whether anything is known about the topic: messages of any kind, dead letters,
    /// settings, receivers, recurring messages, subscriptions, dedupe keys within their window, or
    /// the ends of tracked messages. Topics need no declaration, so an unknown topic was mistyped,
    /// or is not in use.
    pub fn is_known(&self) -> Result<bool> {
        self.is_there(Sign::Any)
    }

    /// Returns the first `limit` messages that are ready or in work, in claim order, then those
    /// that wait behind others of their key, by key; each with its [state](crate::MessageState).
    /// Takes and locks nothing. [`scheduled`](Self::scheduled) shows the other scheduled messages.
    ///
    /// Of a log it returns the newest `limit` messages, the last one sent at the end. To see where
    /// they are in its order, read it with a [tail](crate::Messaging::tail).
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::MessageState;
    /// for message in messaging.topic("orders").peek(10)? {
    ///     match message.state {
    ///         MessageState::Leased { left } => println!("{} in work, {left:?} left", message.id),
    ///         MessageState::InWork { server_process, .. } => {
    ///             println!("{} in work, by server process {server_process:?}", message.id);
    ///         }
    ///         state => println!("{} {state}", message.id),
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn peek(&self, limit: usize) -> Result<Vec<WaitingMessage>> {
        let limit = count(limit);
        self.look(|run, topic| match log_stats::newest(run, topic, limit)? {
            Some(newest) => Ok(newest),
            None => peek::peek(run, topic, limit),
        })
    }

    /// Returns the first `limit` messages that wait for a delay, a retry, the end of their lease or
    /// the end of other messages, by when they are due; messages that wait for others come last.
    /// Takes nothing.
    ///
    /// Reads up to 100,000 scheduled messages of the topic: a few tenths of a second at worst, on a
    /// busy server. Where there are more, it reads those that were sent first.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::WaitReason;
    /// for message in messaging.topic("orders").scheduled(10)? {
    ///     match (message.reason, message.due_in) {
    ///         (WaitReason::Leased, Some(left)) => println!("{} leased, {left:?}", message.id),
    ///         (_, Some(left)) => println!("{} ready in {left:?}", message.id),
    ///         (_, None) => println!("{} comes after {:?}", message.id, message.after),
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn scheduled(&self, limit: usize) -> Result<Vec<ScheduledMessage>> {
        self.run(|run, topic| scheduled::peek(run, topic, count(limit)))
    }

    /// Removes all ready and scheduled messages for good, and those behind others of their key.
    /// Messages in work and dead letters stay. Returns how many were removed. Works in slices, like
    /// [`redrive`](Self::redrive), so messages that are sent meanwhile may be removed too.
    ///
    /// # Errors
    /// `Invalid` for a log, whose messages are there for all its readers. What it keeps is said by
    /// [`keep_for`](crate::TopicConfig::keep_for) and
    /// [`keep_bytes`](crate::TopicConfig::keep_bytes).
    pub fn purge(&self) -> Result<u64> {
        self.purge_with_progress(|_| ())
    }

    /// Does the same as [`purge`](Self::purge), and calls `progress` after each slice with the
    /// number of messages removed so far.
    pub fn purge_with_progress(&self, mut progress: impl FnMut(u64)) -> Result<u64> {
        if self.run(is_log)? {
            return Err(kept(&self.name));
        }
        let note = Note::new(What::Purged);
        self.slices("removed", &mut progress, |topic| {
            let mut may_be_more = false;
            let slice = topic.slice(|run, name| {
                let (slice, is_full) = topics::purge(run, name)?;
                may_be_more = is_full;
                topic.note_slice(run, &note, slice.messages)?;
                Ok(slice)
            })?;
            topic.tell_purged(slice.messages, false);
            Ok((slice.messages, may_be_more))
        })
    }

    /// Tells observers that messages were removed, if any were.
    pub(crate) fn tell_purged(&self, messages: u64, were_dead: bool) {
        if messages > 0 {
            let topic = &self.name;
            let observers = &self.messaging.base().process.observers;
            observers.tell(|| Event::Purged {
                topic,
                messages,
                were_dead,
            });
        }
    }

    /// Moves the lines of stalled keys on, and wakes those who want their messages. What others
    /// hold is left to those who receive.
    pub(crate) fn tend(&self) -> Result<()> {
        self.messaging.with_connection(|connection, base| {
            let parking = Parking {
                push: push_ended,
                observers: &base.process.observers,
            };
            let tended = tend_all(connection, parking)?;
            for (topic, keys) in &tended.topics {
                base.waker.ready(topic, *keys);
            }
            if tended.held > 0 {
                base.waker.keys_ended();
            }
            Ok(())
        })
    }

    fn is_there(&self, sign: Sign) -> Result<bool> {
        self.look(|run, topic| topics::is_there(run, topic, sign))
    }

    /// Looks at the first of many rows of the topic.
    pub(crate) fn look<R>(&self, work: impl FnOnce(&mut dyn Run, &str) -> Result<R>) -> Result<R> {
        topic::check(&self.name)?;
        self.messaging.in_order(|run| work(run, &self.name))
    }

    pub(crate) fn run<R>(&self, work: impl FnOnce(&mut dyn Run, &str) -> Result<R>) -> Result<R> {
        topic::check(&self.name)?;
        self.messaging
            .with_connection(|connection, _| work(connection, &self.name))
    }
}

/// Returns the numbers of a topic, and what it keeps as a log.
fn stats_of(run: &mut dyn Run, topic: &str) -> Result<TopicStats> {
    let mut stats = stats::stats(run, topic)?;
    if stats.log.is_some() {
        stats.log = log_stats::stats(run, topic)?;
    }
    Ok(stats)
}

/// Says that a log is not purged.
fn kept(topic: &str) -> Error {
    Error::invalid(format!(
        "topic {topic} is a log, and is not purged: its settings keep_for and keep_bytes say what is kept"
    ))
}

impl Messaging {
    /// Returns a topic, to look at it and to operate it. Does not ask the database; its methods
    /// check the name.
    pub fn topic(&self, topic: &str) -> Topic<'_> {
        Topic {
            messaging: self,
            name: topic.to_owned(),
        }
    }

    /// Returns the names of all known topics, sorted by their bytes: topics with messages of any
    /// kind, dead letters, receivers, recurring messages or subscriptions, and topics that ever had
    /// settings, or were paused, suspect or in strict order. One query; its time grows with the
    /// number of topics, not of messages.
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn topic_names(&self) -> Result<Vec<String>> {
        self.in_order(|run| topics::topics(run, None, i64::MAX))
    }

    /// Returns the numbers of all topics that [`topic_names`](Self::topic_names) returns, in the
    /// same order. Costs one query, and that of [`Topic::stats`](crate::Topic::stats) for each
    /// topic.
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn topics(&self) -> Result<Vec<TopicStats>> {
        self.in_order(|run| {
            topics::topics(run, None, i64::MAX)?
                .iter()
                .map(|topic| stats_of(run, topic))
                .collect()
        })
    }

    /// Returns the numbers of all topics that [`topic_names`](Self::topic_names) returns, in the
    /// same order, for those who look again and again: two queries, or three where a topic has more
    /// than 10,000 messages of a kind, which are estimated. Their time grows with the number of
    /// topics, not of messages. [`topics`](Self::topics) counts further, and says more.
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn backlogs(&self) -> Result<Vec<TopicBacklog>> {
        self.in_order(|run| {
            let topics = topics::topics(run, None, i64::MAX)?;
            backlogs::backlogs(run, &topics)
        })
    }

    /// Looks at the first of many rows, in a transaction of its own in which they are
    /// [read in order](commands::READ_IN_ORDER).
    pub(crate) fn in_order<R>(&self, look: impl FnOnce(&mut dyn Run) -> Result<R>) -> Result<R> {
        self.with_connection(|connection, _| {
            let doing = "looking at topics";
            apart(connection, doing, |open| {
                open.run(commands::READ_IN_ORDER).doing(doing)?;
                look(open)
            })
        })
    }
}
