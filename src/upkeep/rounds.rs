//! All rounds of upkeep: each as what it is, so that hints reach it by name, and in one list.

use crate::cancel::round::Cancellations;
use crate::completion::round::Completions;
use crate::crashes::idle::Idle;
use crate::crashes::round::Presence;
use crate::dependencies::round::Dependents;
use crate::expiry::round::Expiry;
use crate::history::round::PruneHistory;
use crate::keys::round::Stalled;
use crate::log::round::Segments;
use crate::on_end::push_ended;
use crate::publish::round::EphemeralRound;
use crate::rate_limit::round::KeyRates;
#[cfg(feature = "cron")]
use crate::recurring::round::Recurrences;
use crate::schedule::round::Due;
use crate::session::process::Process;
use crate::tallies::round::WriteTallies;
use crate::upkeep::poll::Poll;
use crate::upkeep::prune::Prune;
use crate::wake::round::{Round, Work};
use crate::words::Result;
use crate::words::sqlstate::is_held_up;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the poll stands in the list.
const POLL: usize = 1;

/// The names of the rounds, in the order of their turns.
const NAMES: &[&str] = &[
    "due",
    "poll",
    "expiry",
    #[cfg(feature = "cron")]
    "recurring",
    "cancelled",
    "dependents",
    "completions",
    "rates",
    "stalled",
    "segments",
    "presence",
    "idle",
    "ephemeral",
    "prune",
    "tallies",
    "history",
];

/// All that is done for the receivers of a process.
pub(crate) struct Rounds {
    pub(crate) due: Due,
    pub(crate) poll: Poll,
    expiry: Expiry,
    #[cfg(feature = "cron")]
    recurrences: Recurrences,
    pub(crate) cancelled: Cancellations,
    pub(crate) dependents: Dependents,
    pub(crate) completions: Completions,
    rates: KeyRates,
    pub(crate) stalled: Stalled,
    segments: Segments,
    pub(crate) presence: Presence,
    pub(crate) idle: Idle,
    ephemeral: EphemeralRound,
    prune: Prune,
    tallies: WriteTallies,
    history: PruneHistory,
}

impl Rounds {
    /// Makes the rounds of a process.
    pub(crate) fn new(process: &Arc<Process>, presence: Presence, poll_interval: Duration) -> Self {
        Rounds {
            due: Due::default(),
            poll: Poll::new(poll_interval),
            expiry: Expiry::default(),
            #[cfg(feature = "cron")]
            recurrences: Recurrences::new(Arc::clone(process)),
            cancelled: Cancellations::default(),
            dependents: Dependents::default(),
            completions: Completions::new(),
            rates: KeyRates::default(),
            stalled: Stalled::new(push_ended),
            segments: Segments::default(),
            presence,
            idle: Idle::default(),
            ephemeral: EphemeralRound::new(Arc::clone(&process.holdings)),
            prune: Prune::new(),
            tallies: WriteTallies::default(),
            history: PruneHistory::default(),
        }
    }

    /// Returns all rounds in the order of their turns. First the move of due messages, for which
    /// others wait, then the poll.
    fn list(&mut self) -> Vec<&mut dyn Round> {
        vec![
            &mut self.due,
            &mut self.poll,
            &mut self.expiry,
            #[cfg(feature = "cron")]
            &mut self.recurrences,
            &mut self.cancelled,
            &mut self.dependents,
            &mut self.completions,
            &mut self.rates,
            &mut self.stalled,
            &mut self.segments,
            &mut self.presence,
            &mut self.idle,
            &mut self.ephemeral,
            &mut self.prune,
            &mut self.tallies,
            &mut self.history,
        ]
    }

    /// Returns what a round is called.
    pub(crate) fn name(place: usize) -> &'static str {
        NAMES.get(place).copied().unwrap_or_default()
    }

    /// Returns when each is to be run.
    pub(crate) fn times(&mut self) -> Vec<Option<Instant>> {
        self.list().iter().map(|round| round.at()).collect()
    }

    /// Runs one of them, and has the others learn what the poll saw.
    pub(crate) fn run(&mut self, place: usize, work: &mut Work<'_>) -> Result<()> {
        let done = self.list()[place].run(work);
        let done = done.and_then(|()| self.tell_polled(work));
        if let (POLL, Err(error)) = (place, &done) {
            // Hints may be lost until it works again, so not only after the next interval.
            self.poll.look_now();
            if is_held_up(error) {
                // By what concerns one thing of many that it asks for: the others are looked at
                // unasked.
                self.due.learn(Duration::ZERO);
                work.waker.board.ring_all();
            }
        }
        done
    }

    /// Releases what comes after messages that ended, and moves what is due to its topics, once.
    pub(crate) fn follow_up_ends(&mut self, work: &mut Work<'_>) -> Result<()> {
        if self.dependents.hurry() {
            self.dependents.run(work)?;
        }
        let due_times = work.waker.due_times().try_iter();
        due_times.for_each(|delay| self.due.learn(delay));
        match self.due.at() {
            Some(at) if at <= Instant::now() => self.due.run(work),
            _ => Ok(()),
        }
    }

    fn tell_polled(&mut self, work: &mut Work<'_>) -> Result<()> {
        let Some(polled) = self.poll.take_seen() else {
            return Ok(());
        };
        // All hear of it, whatever one meets: the poll does not say it again.
        let mut told = Ok(());
        for round in self.list() {
            told = told.and(round.polled(&polled, work));
        }
        told
    }
}
