//! Tells other processes that a topic has messages, after the commit and off its path.
//!
//! NOTIFY inside a transaction takes a lock at COMMIT that the whole cluster shares (measured:
//! 9,200 → 5,000 inserts a second at 32 clients). So one thread sends hints on a connection of its
//! own, each topic at most once in 10 ms. If it cannot, the hint is dropped: polling finds the
//! messages.
//!
//! Hints of requests and their replies, for which a thread waits, do not wait so long: one that
//! asks again as soon as it has its answer would wait out the rest of those 10 ms each time. They
//! go within 2 ms, and no others with them before their time.
//!
//! Hints of messages for which workers of this process were woken go a millisecond later: telling
//! others wakes two processes of the server, beside which the claim here would have to wait for a
//! processor.

use crate::connect::dedicated::Dedicated;
use crate::db::{Run, Statement, execute, sql};
use crate::observe::fields::told;
use crate::threads::mutex::Mutex;
use crate::threads::pause;
use crate::threads::{Service, Stop};
use crate::wake::hint::Hint;
use crate::words::Result;
use crossbeam_channel::{Receiver, Sender, bounded, select};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

static NOTIFY: Statement = sql!("notify", Kept);

/// The least time between two rounds of hints: what a receiver elsewhere may wait longer, and a
/// bound of 100 NOTIFY transactions a second for each process.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(10);
/// The same between two rounds of hints that somebody waits for.
const BETWEEN_SOON: Duration = Duration::from_millis(2);
/// How long others hear later of messages for which there are workers here.
const HEAD_START: Duration = Duration::from_millis(1);
/// Hints that wait for the thread. One that finds no room is dropped; a topic with so many has
/// others on the way.
const QUEUE: usize = 1024;
/// How often the thread closes connections that nobody took for a while, as long as there is
/// nothing to tell.
const CLOSE_EVERY: Duration = Duration::from_secs(30);

/// The way to the notifier's thread, which starts with the first hint.
pub(crate) struct Notifier {
    hints: Sender<Hint>,
    soon: Sender<Hint>,
    later: Sender<Hint>,
    thread: Mutex<NotifierState>,
}

enum NotifierState {
    /// Not started: what the thread will need.
    Waiting(Box<NotifierParts>),
    Started(#[expect(dead_code, reason = "dropping it stops the thread")] Service),
    Failed,
}

struct NotifierParts {
    hints: Receiver<Hint>,
    /// Those that do not wait for the time of the others.
    soon: Receiver<Hint>,
    /// Those that are told [`HEAD_START`] later.
    later: Receiver<Hint>,
    dedicated: Arc<Dedicated>,
    me: Uuid,
}

impl Notifier {
    pub(crate) fn new(dedicated: Arc<Dedicated>, me: Uuid) -> Self {
        let (sender, hints) = bounded(QUEUE);
        let (at_once, soon) = bounded(QUEUE);
        let (served, later) = bounded(QUEUE);
        Notifier {
            hints: sender,
            soon: at_once,
            later: served,
            thread: Mutex::new(NotifierState::Waiting(Box::new(NotifierParts {
                hints,
                soon,
                later,
                dedicated,
                me,
            }))),
        }
    }

    /// Queues a hint. Never blocks, never fails.
    pub(crate) fn notify(&self, hint: Hint) {
        let _ = self.hints.try_send(hint);
        self.start();
    }

    /// The same for a hint that somebody waits for.
    pub(crate) fn notify_soon(&self, hint: Hint) {
        let _ = self.soon.try_send(hint);
        self.start();
    }

    /// The same for a hint of messages for which workers here were woken.
    pub(crate) fn notify_later(&self, hint: Hint) {
        let _ = self.later.try_send(hint);
        self.start();
    }

    /// Starts the thread with the first hint.
    fn start(&self) {
        let mut state = self.thread.lock();
        if matches!(*state, NotifierState::Waiting(_))
            && let NotifierState::Waiting(rounds) =
                std::mem::replace(&mut *state, NotifierState::Failed)
        {
            let started = Service::start("outtray-notifier", move |stop| rounds.run(&stop));
            match started {
                Ok(service) => *state = NotifierState::Started(service),
                Err(error) => tracing::warn!(
                    error = told(&error),
                    "no notifications, receivers elsewhere poll: {error}"
                ),
            }
        }
    }
}

impl NotifierParts {
    fn run(self, stop: &Stop) {
        // When hints may go that can wait.
        let mut rested_at = Instant::now();
        while let Some(first) = self.wait(stop, rested_at) {
            // Whatever else was queued meanwhile goes with it, each hint once.
            let mut hints: BTreeSet<Hint> =
                std::iter::once(first).chain(self.soon.try_iter()).collect();
            let is_rested = rested_at <= Instant::now();
            if is_rested {
                hints.extend(self.hints.try_iter().chain(self.later.try_iter()));
            }
            if let Err(error) = self.send(&hints) {
                tracing::debug!(
                    error = told(&error),
                    "notification dropped, receivers elsewhere poll: {error}"
                );
            }
            if is_rested {
                rested_at = Instant::now() + BETWEEN_ROUNDS;
            }
            if !pause::wait(stop, BETWEEN_SOON) {
                break;
            }
        }
        // What was committed before the stop is still announced.
        let rest = self.soon.try_iter().chain(self.hints.try_iter());
        let rest: BTreeSet<Hint> = rest.chain(self.later.try_iter()).collect();
        if !rest.is_empty() {
            let _ = self.send(&rest);
        }
    }

    /// Waits for a hint; before `rested_at` for one that somebody waits for.
    fn wait(&self, stop: &Stop, rested_at: Instant) -> Option<Hint> {
        select! {
            recv(stop.signal()) -> _ => return None,
            recv(self.soon) -> hint => return hint.ok(),
            default(rested_at.saturating_duration_since(Instant::now())) => {}
        }
        loop {
            select! {
                recv(stop.signal()) -> _ => return None,
                recv(self.soon) -> hint => return hint.ok(),
                recv(self.hints) -> hint => return hint.ok(),
                recv(self.later) -> hint => {
                    pause::wait(stop, HEAD_START);
                    return hint.ok();
                }
                // A process that only sends has no upkeep that does it.
                default(CLOSE_EVERY) => self.dedicated.close_idle(),
            }
        }
    }

    fn send(&self, hints: &BTreeSet<Hint>) -> Result<()> {
        let fitting = hints.iter().filter(|hint| hint.can_travel());
        let texts: Vec<String> = fitting.map(|hint| hint.encode(self.me)).collect();
        if texts.is_empty() {
            return Ok(());
        }
        let mut connection = self.dedicated.take()?;
        let channel = self.dedicated.settings().schema.as_str();
        notify(&mut connection, channel, &texts)?;
        self.dedicated.give_back(connection);
        Ok(())
    }
}

/// Sends hints to all listeners.
fn notify(run: &mut dyn Run, channel: &str, hints: &[String]) -> Result<()> {
    execute(run, &NOTIFY, &[&channel, &hints], "notifying")?;
    Ok(())
}
