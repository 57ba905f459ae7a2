//! What operators set for topics, as this process last read it.
//!
//! Asking the database with each send would cost a round trip, and a join in each statement would slow
//! those down that need nothing of it. So the settings of all topics that have any are read at most once a
//! second while sessions are begun, and by a process with receivers when a poll or a hint says that
//! something changed.

use crate::store::config::{self, Setting};
use crate::store::run::Run;
use crate::store::statements::Statements;
use crate::words::Result;
use crate::words::topic_config::Expired;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How old settings may be when a session begins.
const FRESH: Duration = Duration::from_secs(1);

/// The settings of all topics that have any.
#[derive(Debug, Default)]
pub(crate) struct Configs {
    known: Mutex<Known>,
    has_any: AtomicBool,
}

#[derive(Debug, Default)]
struct Known {
    settings: HashMap<String, Arc<Setting>>,
    /// How often they were read: what was read earlier must not replace what was read later.
    readings: u64,
    read_at: Option<Instant>,
}

impl Configs {
    /// Returns what is set for a topic, if anything is.
    pub(crate) fn get(&self, topic: &str) -> Option<Arc<Setting>> {
        // Most processes meet no topic with settings at all, and ask for each message.
        if !self.has_any.load(Ordering::Relaxed) {
            return None;
        }
        self.lock().settings.get(topic).cloned()
    }

    /// Returns whether an operator paused the topic.
    pub(crate) fn is_paused(&self, topic: &str) -> bool {
        self.get(topic).is_some_and(|setting| setting.is_paused)
    }

    /// Returns the topics whose messages are dropped when their time is over.
    pub(crate) fn dropping_expired(&self) -> Vec<String> {
        let known = self.lock();
        let drops = |setting: &Setting| setting.config.expired == Some(Expired::Drop);
        let dropping = known.settings.iter().filter(|(_, setting)| drops(setting));
        dropping.map(|(topic, _)| topic.clone()).collect()
    }

    /// Reads the settings anew unless they are fresh. One at a time: others go on with what is known.
    ///
    /// # Errors
    /// Those of the statement; what was known stays, and it is tried again a second later.
    pub(crate) fn refresh(&self, run: &mut dyn Run, statements: &Statements) -> Result<()> {
        {
            let mut known = self.lock();
            let now = Instant::now();
            if known
                .read_at
                .is_some_and(|at| now.duration_since(at) < FRESH)
            {
                return Ok(());
            }
            known.read_at = Some(now);
        }
        self.read(run, statements)
    }

    /// Reads the settings anew.
    pub(crate) fn read(&self, run: &mut dyn Run, statements: &Statements) -> Result<()> {
        loop {
            let before = self.lock().readings;
            let settings: HashMap<_, _> = config::settings(run, statements)?
                .into_iter()
                .map(|(topic, setting)| (topic, Arc::new(setting)))
                .collect();
            self.tell_unreadable(&settings);
            let mut known = self.lock();
            if known.readings != before {
                // Of two readings at the same time nobody can tell which saw more. One that begins now does.
                continue;
            }
            self.has_any.store(!settings.is_empty(), Ordering::Relaxed);
            *known = Known {
                settings,
                readings: before + 1,
                read_at: Some(Instant::now()),
            };
            return Ok(());
        }
    }

    /// Has the next session read the settings anew.
    pub(crate) fn outdate(&self) {
        self.lock().read_at = None;
    }

    /// Says what cannot be read, once, and again when something else cannot.
    fn tell_unreadable(&self, settings: &HashMap<String, Arc<Setting>>) {
        for (topic, setting) in settings {
            let before = self.get(topic);
            let was_told = before.is_some_and(|before| before.unreadable == setting.unreadable);
            if !setting.unreadable.is_empty() && !was_told {
                log::warn!(
                    "topic {topic}: settings count as not set that this release cannot use: {}",
                    setting.unreadable.join(", ")
                );
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
