//! Looking at one topic, and operating it.

use crate::capacity;
use crate::connect::connection::Connection;
use crate::db::run::Run;
use crate::dead_letters::letter::{self, DeadLetter};
use crate::dead_letters::selection::Selection;
use crate::keys::stalled::tend_all;
use crate::max_in_work;
use crate::on_end::push_parked;
use crate::rate_limit;
use crate::schedule::scheduled::{self, ScheduledMessage};
use crate::settings::{self, Setting};
use crate::surface::messaging::Messaging;
use crate::topics::peek::{self, WaitingMessage};
use crate::topics::stats::{self, TopicStats};
use crate::topics::{self, Sign};
use crate::wake::hint::Hint;
use crate::words::Result;
use crate::words::message::MessageId;
use crate::words::sqlstate::classify;
use crate::words::topic;
use crate::words::topic_config::TopicConfig;
use postgres::IsolationLevel;

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

impl<'m> Topic<'m> {
    pub(crate) fn new(messaging: &'m Messaging, name: &str) -> Self {
        Topic {
            messaging,
            name: name.to_owned(),
        }
    }

    /// Returns the topic's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn messaging(&self) -> &'m Messaging {
        self.messaging
    }

    /// Returns the topic's numbers, which are zeros for a topic that was never used. Counts up to
    /// 100,000 messages of each kind, and estimates larger numbers, as
    /// [`estimated`](TopicStats::estimated) says. Takes a few tens of milliseconds for each kind at
    /// most.
    pub fn stats(&self) -> Result<TopicStats> {
        self.look(|run, topic| stats::stats(run, topic))
    }

    /// Returns whether no message is ready, in work, or scheduled. Dead letters do not count.
    pub fn is_empty(&self) -> Result<bool> {
        self.is_there(Sign::Message).map(|has| !has)
    }

    /// Returns whether anything is known about the topic: messages of any kind, dead letters,
    /// settings, receivers, recurring messages, dedupe keys within their window, or the ends of
    /// tracked messages. Topics need no declaration, so an unknown topic was mistyped, or is not in
    /// use.
    pub fn is_known(&self) -> Result<bool> {
        self.is_there(Sign::Any)
    }

    /// Returns the first `limit` messages that are ready or in work, in claim order, then those
    /// that wait behind others of their key, by key; each with its [state](crate::MessageState).
    /// Takes and locks nothing. [`scheduled`](Self::scheduled) shows the other scheduled messages.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::MessageState;
    /// for message in messaging.topic("orders").peek(10)? {
    ///     match message.state {
    ///         MessageState::Leased { left } => println!("{} in work, for {left:?} yet", message.id),
    ///         MessageState::InWork { server_process, .. } => {
    ///             println!("{} in work, by server process {server_process:?}", message.id);
    ///         }
    ///         state => println!("{} {state}", message.id),
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn peek(&self, limit: usize) -> Result<Vec<WaitingMessage>> {
        self.look(|run, topic| peek::peek(run, topic, count(limit)))
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
    ///         (WaitReason::Leased, Some(left)) => println!("{} in work, for {left:?}", message.id),
    ///         (_, Some(left)) => println!("{} ready in {left:?}: {:?}", message.id, message.error),
    ///         (_, None) => println!("{} comes after {:?}", message.id, message.after),
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn scheduled(&self, limit: usize) -> Result<Vec<ScheduledMessage>> {
        self.run(|run, topic| scheduled::peek(run, topic, count(limit)))
    }

    /// Returns the oldest dead letters, at most `limit`, in the order in which they died.
    /// [`Messaging::dead_letters`] returns those of all topics.
    pub fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        self.dead_letters_of(.., limit)
    }

    /// Returns the oldest of the selected dead letters, at most `limit`, in the order in which they
    /// died. Select those of a [key](Selection::key), or several by their ids.
    pub fn dead_letters_of(
        &self,
        which: impl Into<Selection>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let which = which.into();
        which.check(&self.name)?;
        self.look(|run, topic| letter::dead_letters(run, topic, count(limit), &which))
    }

    /// Returns one dead letter, or `None` if there is no such one.
    pub fn dead_letter(&self, id: MessageId) -> Result<Option<DeadLetter>> {
        let found = self.dead_letters_of(id, 1)?;
        Ok(found.into_iter().next())
    }

    /// Sets the topic's settings, and replaces all previous ones that this release can read. Every
    /// process obeys: those with receivers as soon as they hear of it, the others within a second.
    ///
    /// # Errors
    /// `Invalid` for a setting that is out of range; nothing is changed.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::TopicConfig;
    /// messaging.topic("orders").configure(TopicConfig {
    ///     max_attempts: Some(3),
    ///     ..TopicConfig::default()
    /// })?;
    /// # Ok(()) }
    /// ```
    pub fn configure(&self, config: TopicConfig) -> Result<()> {
        topic::check(&self.name)?;
        config.check(&self.name)?;
        self.reconfigure(|current| *current = config).map(drop)
    }

    /// Changes some of the topic's settings, and returns all of them. Concurrent changes wait for
    /// each other, so that none is lost: the closure gets the current settings, and nobody else
    /// changes any until it returns. Otherwise like [`configure`](Self::configure).
    ///
    /// # Errors
    /// `Invalid` for a setting that is out of range; nothing is changed.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// let orders = messaging.topic("orders");
    /// orders.reconfigure(|config| config.max_attempts = Some(3))?;
    /// # Ok(()) }
    /// ```
    pub fn reconfigure(&self, change: impl FnOnce(&mut TopicConfig)) -> Result<TopicConfig> {
        self.change(&[], change)
    }

    /// Returns settings to their defaults, by their names. This includes settings that this release
    /// cannot read or does not know, which [`reconfigure`](Self::reconfigure) leaves alone. Returns
    /// all remaining settings.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// messaging.topic("orders").unset(&["poisoned_key", "delay"])?;
    /// # Ok(()) }
    /// ```
    pub fn unset(&self, names: &[&str]) -> Result<TopicConfig> {
        self.change(names, |_| ())
    }

    fn change(&self, unset: &[&str], change: impl FnOnce(&mut TopicConfig)) -> Result<TopicConfig> {
        let config = self.set(|connection, topic| {
            let config = reconfigure(connection, topic, unset, change)?;
            forget_counts(connection, topic, &config)?;
            Ok(config)
        })?;
        self.tend()?;
        Ok(config)
    }

    /// Returns the topic's settings in the database, or the defaults if none is set. A setting that
    /// this release cannot read, since a newer one wrote it, counts as not set everywhere.
    pub fn config(&self) -> Result<TopicConfig> {
        self.setting().map(|setting| setting.config)
    }

    /// Pauses the topic for all receivers of all processes: messages in hand are finished, and no
    /// more are started until [`resume`](Self::resume). Sending continues to work. Pausing twice
    /// changes nothing.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// let orders = messaging.topic("orders");
    /// orders.pause()?;
    /// println!("{} orders wait", orders.stats()?.ready);
    /// orders.resume()?;
    /// # Ok(()) }
    /// ```
    pub fn pause(&self) -> Result<()> {
        self.set(|connection, topic| settings::pause(connection, topic))
    }

    /// Ends a pause. Does nothing if the topic is not paused.
    pub fn resume(&self) -> Result<()> {
        self.set(|connection, topic| settings::resume(connection, topic))
    }

    /// Returns whether the topic is paused.
    pub fn is_paused(&self) -> Result<bool> {
        self.setting().map(|setting| setting.is_paused)
    }

    fn setting(&self) -> Result<Setting> {
        let settings = self.run(|run, _| settings::settings(run))?;
        let mine = settings.into_iter().find(|(topic, _)| *topic == self.name);
        Ok(mine.map(|(_, setting)| setting).unwrap_or_default())
    }

    /// Changes a setting, and tells this process and the others.
    pub(crate) fn set<R>(
        &self,
        change: impl FnOnce(&mut Connection, &str) -> Result<R>,
    ) -> Result<R> {
        topic::check(&self.name)?;
        let (topic, base) = (&self.name, self.messaging.base());
        let changed = self.messaging.with_connection(|connection, base| {
            let configs = &base.kit.configs;
            let changed = change(connection, topic)?;
            if let Err(error) = configs.read(connection) {
                // It is set all the same, and found by the next session or poll.
                log::debug!("topic {topic}: settings are read later: {error}");
                configs.outdate();
            }
            Ok(changed)
        })?;
        base.waker.board.ring(topic, usize::MAX);
        base.waker.tell(Hint::Config);
        Ok(changed)
    }

    /// Moves the lines of stalled keys on, and wakes those who want their messages. What others
    /// hold is left to those who receive.
    pub(crate) fn tend(&self) -> Result<()> {
        self.messaging.with_connection(|connection, base| {
            let tended = tend_all(connection, push_parked)?;
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
    fn look<R>(&self, work: impl FnOnce(&mut dyn Run, &str) -> Result<R>) -> Result<R> {
        topic::check(&self.name)?;
        self.messaging.in_order(|run| work(run, &self.name))
    }

    pub(crate) fn run<R>(&self, work: impl FnOnce(&mut dyn Run, &str) -> Result<R>) -> Result<R> {
        topic::check(&self.name)?;
        self.messaging
            .with_connection(|connection, _| work(connection, &self.name))
    }
}

/// Changes settings in a transaction that holds them.
fn reconfigure(
    connection: &mut Connection,
    topic: &str,
    unset: &[&str],
    change: impl FnOnce(&mut TopicConfig),
) -> Result<TopicConfig> {
    let failed = |error| classify(error, "setting up a topic");
    let mut open = connection
        .begin(Some(IsolationLevel::ReadCommitted))
        .map_err(failed)?;
    let mut document = settings::lock(&mut open, topic)?;
    let before = document.read().config;
    unset.iter().for_each(|name| document.unset(name));
    let mut config = document.read().config;
    change(&mut config);
    config.check(topic)?;
    settings::configure(&mut open, topic, &before, document, &config)?;
    if let Some(limit) = config.max_in_work {
        // Nobody is to see the limit and no places.
        max_in_work::ensure(&mut open, topic, limit)?;
    }
    open.transaction.commit().map_err(failed)?;
    Ok(config)
}

pub(crate) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Forgets what was counted under the settings before, when others are set.
fn forget_counts(run: &mut dyn Run, topic: &str, config: &TopicConfig) -> Result<()> {
    // What was counted under another limit, or none, says nothing.
    capacity::forget(run, topic)?;
    rate_limit::forget(run, topic, config)
}
