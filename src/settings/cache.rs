//! What operators set for topics, as this process last read it.
//!
//! Asking the database with each send would cost a round trip, and a join in each statement would
//! slow down those that need no settings. So all settings are read at most once a second while
//! sessions begin, and by a process with receivers when a poll or a hint says that something
//! changed. A session that joined a caller's transaction reads them in that transaction, since its
//! process may have no other connection.

use crate::db::Run;
use crate::observe::fields::told;
use crate::settings::{self, Setting};
use crate::threads::mutex::Mutex;
use crate::words::topic_kind::TopicKind;
use crate::words::{Error, Result, TopicConfig};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How old settings may be when a session begins.
const FRESH: Duration = Duration::from_secs(1);

/// The settings of topics, by name.
pub(crate) type Settings = HashMap<String, Arc<Setting>>;

/// The settings of all topics that have any.
#[derive(Debug, Default)]
pub(crate) struct Configs {
    known: Mutex<Cached>,
    has_any: AtomicBool,
}

#[derive(Debug, Default)]
struct Cached {
    settings: Settings,
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
        self.known.lock().settings.get(topic).cloned()
    }

    /// Checks that a topic is no log, whose messages nobody can claim.
    ///
    /// # Errors
    /// `Invalid`.
    pub(crate) fn refuse_log(&self, topic: &str) -> Result<()> {
        let setting = self.get(topic);
        match setting.is_some_and(|setting| setting.config.kind == TopicKind::Log) {
            false => Ok(()),
            true => Err(Error::invalid(format!(
                "topic {topic} is a log: nothing of it is claimed, use a reader or a tail"
            ))),
        }
    }

    /// Returns whether an operator paused the topic.
    pub(crate) fn is_paused(&self, topic: &str) -> bool {
        self.get(topic).is_some_and(|setting| setting.is_paused)
    }

    /// Returns the topics of whose settings `pick` wants something, each with what it wants.
    pub(crate) fn pick<R>(&self, pick: impl Fn(&TopicConfig) -> Option<R>) -> Vec<(String, R)> {
        let known = self.known.lock();
        let settings = known.settings.iter();
        let picked = settings.filter_map(|(topic, setting)| {
            let picked = pick(&setting.config)?;
            Some((topic.clone(), picked))
        });
        picked.collect()
    }

    /// Reads the settings anew unless they are fresh. One at a time: others go on with what is
    /// known. While nothing is known everybody reads, so that no message of a process goes without.
    ///
    /// # Errors
    /// Those of the statement; what was known stays, and it is tried again a second later.
    pub(crate) fn refresh(&self, run: &mut dyn Run) -> Result<()> {
        match self.takes_reading() {
            true => self.read_once(run),
            false => Ok(()),
        }
    }

    /// The same in a transaction of the caller's, whom a refused reading would cost the
    /// transaction: a role that may not read settings goes on without. Returns what only this
    /// transaction sees of them, if it sees what was set when it began.
    ///
    /// # Errors
    /// Those of the statements.
    pub(crate) fn refresh_within(&self, run: &mut dyn Run) -> Result<Option<Settings>> {
        if !self.takes_reading() {
            return Ok(None);
        }
        let access = settings::access(run)?;
        if !access.is_allowed {
            self.known.lock().read_at = Some(Instant::now());
            return Ok(None);
        }
        if access.sees_latest {
            self.read_once(run)?;
            return Ok(None);
        }
        // Others are not to take it for what is set now.
        self.outdate();
        Ok(Some(settings(run)?))
    }

    /// Returns whether it is up to the caller to read the settings.
    fn takes_reading(&self) -> bool {
        if self.is_fresh() {
            return false;
        }
        let mut known = self.known.lock();
        if known.readings > 0 {
            known.read_at = Some(Instant::now());
        }
        true
    }

    /// Returns whether the settings are as young as those of a session that begins have to be.
    pub(crate) fn is_fresh(&self) -> bool {
        self.known
            .lock()
            .read_at
            .is_some_and(|at| at.elapsed() < FRESH)
    }

    /// Returns whether the settings were ever read.
    pub(crate) fn are_known(&self) -> bool {
        self.known.lock().readings > 0
    }

    /// Reads the settings, unless somebody else does meanwhile: that is as good.
    fn read_once(&self, run: &mut dyn Run) -> Result<()> {
        let before = self.known.lock().readings;
        let read = settings(run);
        match read {
            Ok(settings) => {
                let _ = self.keep(settings, before);
                Ok(())
            }
            Err(error) => {
                let mut known = self.known.lock();
                // While nothing is known, the next one reads.
                if known.readings > 0 {
                    known.read_at = Some(Instant::now());
                }
                Err(error)
            }
        }
    }

    /// Reads the settings anew.
    pub(crate) fn read(&self, run: &mut dyn Run) -> Result<()> {
        loop {
            let before = self.known.lock().readings;
            // Of two readings at the same time nobody can tell which saw more. One that begins now
            // does.
            if self.keep(settings(run)?, before) {
                return Ok(());
            }
        }
    }

    /// Keeps what was read, unless something was kept since there had been so many readings;
    /// returns whether it did.
    fn keep(&self, settings: Settings, before: u64) -> bool {
        self.tell_unreadable(&settings);
        let mut known = self.known.lock();
        if known.readings != before {
            return false;
        }
        self.has_any.store(!settings.is_empty(), Ordering::Relaxed);
        *known = Cached {
            settings,
            readings: before + 1,
            read_at: Some(Instant::now()),
        };
        true
    }

    /// Has the next session read the settings anew.
    pub(crate) fn outdate(&self) {
        self.known.lock().read_at = None;
    }

    /// Says what cannot be read, once, and again when something else cannot.
    fn tell_unreadable(&self, settings: &Settings) {
        for (topic, setting) in settings {
            let before = self.get(topic);
            let was_told = before.is_some_and(|before| before.unreadable == setting.unreadable);
            if !setting.unreadable.is_empty() && !was_told {
                tracing::warn!(
                    topic = told(&topic),
                    "topic {topic}: settings count as not set that this release cannot use: {}",
                    setting.unreadable.join(", ")
                );
            }
        }
    }
}

fn settings(run: &mut dyn Run) -> Result<Settings> {
    let settings = settings::settings(run)?.into_iter();
    Ok(settings
        .map(|(topic, setting)| (topic, Arc::new(setting)))
        .collect())
}
