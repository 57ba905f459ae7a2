//! What the workers of one receiver share.

use crate::connect::connection::Connection;
use crate::connect::dedicated::Dedicated;
use crate::crashes::attempt::Holder;
use crate::crashes::quarantine::Quarantine;
use crate::crashes::suspicion::Asking;
use crate::history;
use crate::log::slices::SharedLogs;
use crate::message::floor::Floors;
use crate::observe::fields::told;
use crate::observe::observers::Observers;
use crate::processes::crews::Crews;
use crate::receive::concurrency::Concurrency;
use crate::receive::leases_in_hand::Heartbeat;
use crate::receive::limits::Limits;
use crate::receive::middleware::Middleware;
use crate::receive::options::{MAX_PER_TRANSACTION, Options, Terms};
use crate::receive::pending_charges::PendingCharges;
use crate::receive::progress::Progress;
use crate::session::process::Process;
use crate::threads::Service;
use crate::threads::mutex::Mutex;
use crate::wake::asked::Slot;
use crate::wake::board::Station;
use crate::wake::hands::Hands;
use crate::wake::round::Work;
use crate::wake::waker::Waker;
use crate::words::{CancelToken, MessageId};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

/// What a receiver needs of its process.
#[derive(Clone)]
pub(crate) struct Base {
    pub(crate) process: Arc<Process>,
    pub(crate) dedicated: Arc<Dedicated>,
    pub(crate) waker: Arc<Waker>,
    pub(crate) quarantine: Arc<Quarantine>,
    /// What readers of the same log share.
    pub(crate) logs: Arc<SharedLogs>,
    pub(crate) crews: Arc<Crews>,
    /// What runs around every handler.
    pub(crate) middleware: Middleware,
    /// Looks after silent connections as long as somebody uses them.
    #[expect(dead_code, reason = "dropping the last one stops the thread")]
    pub(crate) watch: Arc<Service>,
}

impl Base {
    /// Returns what rounds of upkeep work with, on a connection of the caller's.
    pub(crate) fn upkeep<'a>(&'a self, connection: &'a mut Connection) -> Work<'a> {
        Work {
            connection,
            waker: &self.waker,
            settings: &self.process.configs,
        }
    }
}

/// One receiver, as its workers see it.
pub(crate) struct SharedState {
    pub(crate) topic: String,
    pub(crate) base: Base,
    pub(crate) options: Options,
    /// The most messages of a batch, if they are wanted in batches.
    pub(crate) batch: Option<usize>,
    pub(crate) station: Arc<Station>,
    pub(crate) progress: Progress,
    pub(crate) concurrency: Concurrency,
    /// What holds its claims back.
    pub(crate) limits: Limits,
    /// Prolongs the leases in hand, of a receiver that works under leases.
    pub(crate) heartbeat: Heartbeat,
    pub(crate) floors: Mutex<Floors>,
    /// The id of the receiver's row; `None` for a drain, which has none.
    pub(crate) receiver: Option<i64>,
    /// Whether it may have something in hand.
    pub(crate) hands: Arc<Hands>,
    /// When to ask whether the suspicion of the topic is over.
    pub(crate) asking: Asking,
    /// What each worker has in hand.
    pub(crate) in_hand: Vec<Arc<Slot>>,
    /// The server process of each worker's connection, 0 where it is not known.
    pub(crate) server_processes: Vec<AtomicI32>,
    /// How often the connection broke while a message was in its handler.
    losses: Mutex<HashMap<MessageId, u32>>,
    /// How often a conflict ended the work on a message under a lease.
    conflicts: Mutex<HashMap<MessageId, u32>>,
    /// How often a COMMIT of several messages was refused.
    pub(crate) refusals: AtomicUsize,
    /// Whether a COMMIT of several messages was refused, whatever became of it.
    pub(crate) meets_refusals: AtomicBool,
    /// How often a message could not be settled.
    strays: Mutex<HashMap<MessageId, u32>>,
    pub(crate) pending_charges: Arc<PendingCharges>,
    /// Whether only the first worker has been woken so far.
    is_fresh: AtomicBool,
}

/// How long a message is left alone that could not be settled: at first, and at most.
const ASIDE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// How far what a receiver has in hand that wants only some of the messages is taken to reach.
const MOST_OF_SOME: usize = 100_000;

/// Messages whose losses are remembered; in a flood of broken connections the count begins anew.
const MAX_REMEMBERED: usize = 10_000;

impl SharedState {
    pub(crate) fn new(topic: &str, base: Base, options: Options) -> Self {
        SharedState {
            topic: topic.to_owned(),
            station: Arc::new(Station::new(topic, options.workers)),
            concurrency: Concurrency::new(options.workers),
            limits: Limits::new(topic, Arc::clone(&base.process), options.filter.as_ref()),
            in_hand: base.waker.asked.slots(options.workers),
            server_processes: (0..options.workers).map(|_| AtomicI32::new(0)).collect(),
            base,
            options,
            batch: None,
            progress: Progress::default(),
            heartbeat: Heartbeat::default(),
            floors: Mutex::new(Floors::new()),
            receiver: None,
            hands: Arc::default(),
            asking: Asking::default(),
            losses: Mutex::new(HashMap::new()),
            conflicts: Mutex::new(HashMap::new()),
            refusals: AtomicUsize::new(0),
            meets_refusals: AtomicBool::new(false),
            strays: Mutex::new(HashMap::new()),
            pending_charges: Arc::default(),
            is_fresh: AtomicBool::new(true),
        }
    }

    /// Wakes the first worker, which looks whether there is work for others: each that looks opens
    /// a connection. After a death all look, since one may take more than it keeps.
    pub(crate) fn wake_first(&self) {
        let workers = match self.station.is_suspect() {
            true => self.options.workers,
            false => 1,
        };
        self.station.ring(workers);
    }

    /// Wakes another worker, as there may be more than one worker's share; the first time all of
    /// them, which then open their connections at the same time.
    pub(crate) fn wake_another(&self) {
        let is_fresh = &self.is_fresh;
        let is_first = is_fresh.load(Ordering::Relaxed) && is_fresh.swap(false, Ordering::Relaxed);
        self.station
            .ring(if is_first { self.options.workers } else { 1 });
    }

    /// Returns what is done with failures at present.
    pub(crate) fn terms(&self) -> Terms {
        let setting = self.base.process.configs.get(&self.topic);
        self.options
            .terms(setting.as_ref().map(|setting| &setting.config))
    }

    /// Returns whether the topic keeps a history at present.
    pub(crate) fn keeps_history(&self) -> bool {
        history::is_kept(&self.base.process.configs, &self.topic)
    }

    /// Returns for how long messages are leased at present.
    pub(crate) fn lease(&self) -> Duration {
        let setting = self.base.process.configs.get(&self.topic);
        self.options
            .lease(setting.as_ref().map(|setting| &setting.config))
    }

    /// Returns how a worker's notes are known from those of others.
    pub(crate) fn holder(&self, worker: usize) -> Option<Holder> {
        let receiver = self.receiver?;
        Some(Holder { receiver, worker })
    }

    /// Returns the receiver's row and what is to be noted in it before a message is begun, if
    /// anything is.
    pub(crate) fn shift_to_note(&self) -> Option<(i64, i64)> {
        let receiver = self.receiver?;
        Some((receiver, self.hands.to_take()?))
    }

    /// Returns how many messages of the topic the receiver may hold the locks of at a time.
    pub(crate) fn most_in_hand(&self) -> usize {
        if self.options.is_leasing {
            // Who leases has counted.
            return 0;
        }
        let each = self.per_transaction().unwrap_or(MAX_PER_TRANSACTION);
        let most = each.saturating_mul(self.options.workers);
        match self.limits.filter {
            // They may lie behind any number that it does not want.
            Some(_) => MOST_OF_SOME.max(most),
            None => most,
        }
    }

    /// Returns how many messages a transaction takes, if that is fixed.
    pub(crate) fn per_transaction(&self) -> Option<usize> {
        self.batch.or(self.options.per_transaction)
    }

    /// Returns who is told what happens.
    pub(crate) fn observers(&self) -> &Observers {
        &self.base.process.observers
    }

    /// Counts how long a call of the handler took.
    pub(crate) fn count_time(&self, took: Duration) {
        self.observers().tallies.add_time(&self.topic, took);
    }

    /// Logs that a handler held its transaction open for too long.
    pub(crate) fn warn_if_slow(&self, what: &dyn fmt::Display, took: Duration) {
        if took >= self.options.slow_handler {
            tracing::warn!(
                topic = told(&self.topic),
                "topic {}: the handler of {what} held its transaction open for {took:?}; meanwhile vacuum \
                 could clean up nothing in the whole database",
                self.topic
            );
        }
    }

    /// Returns whether an operator paused the topic.
    pub(crate) fn is_paused(&self) -> bool {
        self.base.process.configs.is_paused(&self.topic)
    }

    pub(crate) fn floors(&self) -> MutexGuard<'_, Floors> {
        self.floors.lock()
    }

    /// Notes that a worker is about to run the handler of a message, which is this attempt; returns
    /// what tells the handler to give up, or nothing if the message is to be given up already.
    pub(crate) fn begin(&self, worker: usize, id: MessageId, attempt: u32) -> Option<CancelToken> {
        let slot = &self.in_hand[worker];
        let cancel = slot.enter(id, attempt, &self.base.waker.asked);
        if cancel.is_set() {
            slot.leave(id);
            return None;
        }
        Some(cancel)
    }

    /// Notes that it is known what became of a worker's transaction, and whom it is charged to.
    pub(crate) fn end_transaction(&self, worker: usize) {
        self.in_hand[worker].forget_ended();
        self.concurrency.end_transaction(worker);
    }

    /// Counts a broken connection against a message; returns how many there were.
    pub(crate) fn count_loss(&self, id: MessageId) -> u32 {
        count(&self.losses, id)
    }

    /// Counts a conflict against a message under a lease; returns how many there were.
    pub(crate) fn count_conflict(&self, id: MessageId) -> u32 {
        count(&self.conflicts, id)
    }

    /// Notes that a message could not be settled; returns how long to leave it alone: longer each
    /// time.
    pub(crate) fn set_aside(&self, id: MessageId) -> Duration {
        let doublings = count(&self.strays, id) - 1;
        ASIDE.0.saturating_mul(1 << doublings.min(16)).min(ASIDE.1)
    }
}

/// Counts once more for a message.
fn count(counts: &Mutex<HashMap<MessageId, u32>>, id: MessageId) -> u32 {
    let mut counts = counts.lock();
    if counts.len() >= MAX_REMEMBERED {
        counts.clear();
    }
    let count = counts.entry(id).or_default();
    *count += 1;
    *count
}
