//! A round of upkeep: what a subject does again and again for the receivers of a process. Each
//! stands in its subject's folder; `upkeep` has the list of them and the thread that runs them.

use crate::connect::connection::Connection;
use crate::settings::cache::Configs;
use crate::wake::waker::Waker;
use crate::words::Result;
use std::time::{Duration, Instant};

/// What a round works with.
pub(crate) struct Work<'a> {
    pub(crate) connection: &'a mut Connection,
    /// How rounds tell receivers, other processes and each other.
    pub(crate) waker: &'a Waker,
    /// What operators set for topics.
    pub(crate) settings: &'a Configs,
}

/// One round. It knows when it has to run again, and learns of hints by methods of its own.
pub(crate) trait Round {
    /// Returns when to run it; `None` until it learns that there is something to do.
    fn at(&self) -> Option<Instant>;

    /// Does one piece of its work, and plans the next run. Takes a part of a second at most, since
    /// all of a process waits for the thread that runs the rounds.
    ///
    /// # Errors
    /// Of the database. Until it works again the round is run with growing pauses.
    fn run(&mut self, work: &mut Work<'_>) -> Result<()>;

    /// Learns what the process's one poll saw.
    fn polled(&mut self, _: &Polled, _: &mut Work<'_>) -> Result<()> {
        Ok(())
    }
}

/// What a poll saw of one topic.
#[derive(Debug)]
pub(crate) struct PolledTopic {
    pub(crate) topic: String,
    pub(crate) is_ready: bool,
    /// Its newest tick, if it is a log: somebody may have made it without a hint.
    pub(crate) newest_tick: Option<i64>,
    /// How long its receivers are to count attempts before they run a handler.
    pub(crate) suspect_for: Duration,
}

/// What a poll saw: one query for a whole process.
#[derive(Debug, Default)]
pub(crate) struct Polled {
    pub(crate) topics: Vec<PolledTopic>,
    /// When the next scheduled message of any topic is due.
    pub(crate) next_due: Option<Duration>,
    /// In how long the time of the next message of any topic is over.
    pub(crate) next_expiry: Option<Duration>,
    /// In how long the next recurring message of any topic is to be sent.
    #[cfg(feature = "cron")]
    pub(crate) next_recurring: Option<Duration>,
    /// In how long the next ephemeral subscription is over, unless somebody wants it.
    pub(crate) next_unsubscribed: Option<Duration>,
    /// When the settings of any topic changed last, as the database writes it.
    pub(crate) changed_at: Option<String>,
    /// Whether messages of any topic wait for others.
    pub(crate) has_dependents: bool,
    /// Whether messages of any topic are to be given up.
    pub(crate) has_cancellations: bool,
    /// Whether lines of keys are to be moved on.
    pub(crate) has_stalled: bool,
}
