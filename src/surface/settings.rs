//! The verbs about a topic's settings: they change what every process obeys.

use crate::capacity;
use crate::changes::{Note, What};
use crate::connect::apart::apart;
use crate::connect::connection::Connection;
use crate::db::Run;
use crate::log::configure::set_kind;
use crate::max_in_work;
use crate::observe::fields::told;
use crate::rate_limit;
use crate::settings::{self, Setting};
use crate::surface::topics::Topic;
use crate::wake::hint::Hint;
use crate::words::kind_settings::check_kind;
use crate::words::limits::key_flaw;
use crate::words::topic;
use crate::words::topic_config::Rate;
use crate::words::{Error, Result, TopicConfig};
use serde_json::{Map, Value, json};
use std::time::Duration;

impl Topic<'_> {
    /// Sets the topic's settings, and replaces all previous ones that this release can read. Every
    /// process obeys: those with receivers as soon as they hear of it, the others within a second.
    ///
    /// # Errors
    /// `Invalid` for a setting that is out of range, or not one of the topic's
    /// [kind](crate::TopicKind); `InUse` where the kind is to change, and the topic holds messages
    /// or has receivers or readers. Nothing is changed.
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
        self.set(|connection, topic| {
            let pause = |run: &mut dyn Run| settings::pause(run, topic);
            let note = |(): &()| Some(Note::new(What::Paused));
            self.messaging.noting(connection, topic, pause, note)
        })
    }

    /// Ends a pause. Does nothing if the topic is not paused.
    pub fn resume(&self) -> Result<()> {
        self.set(|connection, topic| {
            let resume = |run: &mut dyn Run| settings::resume(run, topic);
            let note = |(): &()| Some(Note::new(What::Resumed));
            self.messaging.noting(connection, topic, resume, note)
        })
    }

    /// Returns whether the topic is paused.
    pub fn is_paused(&self) -> Result<bool> {
        self.setting().map(|setting| setting.is_paused)
    }

    /// Resets the topic's [`rate`](crate::TopicConfig::rate): all processes together may start a
    /// whole burst at once. Processes with receivers hear of it as they hear of a setting.
    pub fn reset_rate(&self) -> Result<()> {
        self.reset("")
    }

    /// Resets the rate of one key, where each key has [its own](crate::TopicConfig::rate_per_key).
    /// Messages of the key that were put off for its rate are due at once.
    pub fn reset_rate_of(&self, key: &str) -> Result<()> {
        topic::check(&self.name)?;
        if let Some(flaw) = key_flaw("key", key) {
            return Err(Error::invalid(format!("{flaw}, on topic {}", self.name)));
        }
        self.reset(key)?;
        self.messaging.base().waker.due_in_all(Duration::ZERO);
        Ok(())
    }

    fn reset(&self, key: &str) -> Result<()> {
        self.set(|connection, topic| {
            let reset = |run: &mut dyn Run| rate_limit::reset(run, topic, key);
            let key = (!key.is_empty()).then_some(key);
            let note = || Note::new(What::RateReset).details(json!({ "key": key }));
            self.messaging
                .noting(connection, topic, reset, |(): &()| Some(note()))
        })
    }

    fn change(&self, unset: &[&str], change: impl FnOnce(&mut TopicConfig)) -> Result<TopicConfig> {
        let (before, config) = self.set(|connection, topic| {
            let (before, config) = self.reconfigure_in(connection, unset, change)?;
            forget_counts(connection, topic, &before, &config)?;
            Ok((before, config))
        })?;
        self.tend()?;
        if before.rate_per_key != config.rate_per_key {
            self.hasten(config.rate_per_key)?;
        }
        Ok(config)
    }

    /// Has what was put off for the rate of its key be due at the rate that holds now.
    fn hasten(&self, rate: Option<Rate>) -> Result<()> {
        let is_any = self.messaging.with_connection(|connection, _| {
            let (mut is_any, mut after) = (false, Some(String::new()));
            while let Some(key) = after {
                let hastened = rate_limit::hasten_some(connection, &self.name, rate, &key)?;
                is_any |= hastened.is_any;
                after = hastened.next;
            }
            Ok(is_any)
        })?;
        if is_any {
            self.messaging.base().waker.due_in_all(Duration::ZERO);
        }
        Ok(())
    }

    /// Changes settings in a transaction that holds them; returns them as they were and as they
    /// are.
    fn reconfigure_in(
        &self,
        connection: &mut Connection,
        unset: &[&str],
        change: impl FnOnce(&mut TopicConfig),
    ) -> Result<(TopicConfig, TopicConfig)> {
        let topic = &self.name;
        apart(connection, "setting up a topic", |open| {
            let mut document = settings::lock(open, topic)?;
            let before = document.read().config;
            unset.iter().for_each(|name| document.unset(name));
            let mut config = document.read().config;
            change(&mut config);
            config.check(topic)?;
            check_kind(&config, topic)?;
            set_kind(open, topic, config.kind)?;
            settings::configure(open, topic, &before, document, &config)?;
            if let Some(limit) = config.max_in_work {
                // Nobody is to see the limit and no places.
                max_in_work::ensure(open, topic, limit)?;
            }
            let note = Note::new(What::Configured).details(differences(&before, &config));
            self.messaging.note(open, Some(topic), &note)?;
            Ok((before, config))
        })
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
            let configs = &base.process.configs;
            let changed = change(connection, topic)?;
            if let Err(error) = configs.read(connection) {
                // It is set all the same, and found by the next session or poll.
                tracing::debug!(
                    topic = told(&topic),
                    error = told(&error),
                    "topic {topic}: settings are read later: {error}"
                );
                configs.outdate();
            }
            Ok(changed)
        })?;
        base.waker.board.ring(topic, usize::MAX);
        base.waker.tell(Hint::Config);
        Ok(changed)
    }
}

/// Returns each setting that is another one now, as it was and as it is.
fn differences(before: &TopicConfig, after: &TopicConfig) -> Value {
    let settings = |config: &TopicConfig| match json!(config) {
        Value::Object(settings) => settings,
        _ => Map::new(),
    };
    let (before, after) = (settings(before), settings(after));
    let names = before.keys().chain(after.keys());
    let differing = names.filter(|name| before.get(*name) != after.get(*name));
    let each = differing.map(|name| {
        let change = json!({ "from": before.get(name), "to": after.get(name) });
        (name.clone(), change)
    });
    Value::Object(each.collect())
}

/// Forgets what was counted under the settings before, when others are set. What a setting counts
/// is named here, and nowhere else.
fn forget_counts(
    run: &mut dyn Run,
    topic: &str,
    before: &TopicConfig,
    config: &TopicConfig,
) -> Result<()> {
    // What was sent without a limit was not counted. Else the count holds, whatever the limit is,
    // and senders may have it in hand.
    if before.max_length.is_none() && config.max_length.is_some() {
        capacity::forget(run, topic)?;
    }
    rate_limit::forget(run, topic, config)
}
