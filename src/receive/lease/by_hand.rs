//! State of a process that takes messages by hand.

use crate::keys::Lane;
use crate::message::floor::Floors;
use crate::receive::lease::keeper::Keeper;
use crate::threads::mutex::Mutex;
use crate::wake::asked::{Asked, Slot};
use crate::words::ClaimPlace;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Topics whose floors are remembered at a time; beyond, the memory begins anew, which costs a look
/// at everything for each.
const MAX_TOPICS: usize = 1000;
/// How often due messages are moved while messages are taken: a process without receivers has
/// nobody else who does it.
const MOVE_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is made sure, for the same reason, that no key is stuck: some keys at a time. None
/// should ever be.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// How long deliveries that are dropped are left to the end of their leases after one could not be
/// given back, so that dropping a thousand of them without a database takes no longer than dropping
/// one.
const TROUBLE: Duration = Duration::from_secs(5);

/// The memory of those who take messages by hand.
#[derive(Default)]
pub(crate) struct ByHand {
    floors: Mutex<HashMap<String, Arc<Mutex<Floors>>>>,
    moved_at: Mutex<Option<Instant>>,
    swept_at: Mutex<Option<Instant>>,
    /// How far the sweep has come.
    swept: Mutex<Lane>,
    troubled_at: Mutex<Option<Instant>>,
    turn: AtomicUsize,
    /// Keeps leases alive on request.
    pub(crate) keeper: Keeper,
    /// What is in hand, to hear what of it is to be given up.
    slot: OnceLock<Arc<Slot>>,
}

impl ByHand {
    /// Returns the floors of a topic.
    pub(crate) fn floors(&self, topic: &str) -> Arc<Mutex<Floors>> {
        let mut floors = self.floors.lock();
        if let Some(floors) = floors.get(topic) {
            return Arc::clone(floors);
        }
        if floors.len() >= MAX_TOPICS {
            floors.clear();
        }
        let new = Arc::new(Mutex::new(Floors::new()));
        floors.insert(topic.to_owned(), Arc::clone(&new));
        new
    }

    /// Notes that a message went back to its place.
    pub(crate) fn lower(&self, topic: &str, position: ClaimPlace) {
        if let Some(floors) = self.floors.lock().get(topic) {
            floors.lock().lower(position);
        }
    }

    /// Returns whether it is time to move due messages, which is up to the caller then.
    pub(crate) fn takes_move(&self) -> bool {
        takes(&self.moved_at, MOVE_INTERVAL)
    }

    /// Returns from where on it is time to look for stuck keys, if it is.
    pub(crate) fn takes_sweep(&self) -> Option<Lane> {
        takes(&self.swept_at, SWEEP_INTERVAL).then(|| self.swept.lock().clone())
    }

    /// Notes where the sweep goes on, which is soon; `None` at its end.
    pub(crate) fn note_swept(&self, next: Option<Lane>) {
        if next.is_some() {
            *self.swept_at.lock() = None;
        }
        *self.swept.lock() = next.unwrap_or_default();
    }

    /// Returns where messages in hand are entered.
    pub(crate) fn slot(&self, asked: &Asked) -> Arc<Slot> {
        let make = || asked.slots(1).remove(0);
        Arc::clone(self.slot.get_or_init(make))
    }

    /// Returns a number that grows with each call: with which of several topics to begin.
    pub(crate) fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes that a delivery could not be given back.
    pub(crate) fn note_trouble(&self) {
        *self.troubled_at.lock() = Some(Instant::now());
    }

    /// Returns whether it is too early to try again.
    pub(crate) fn is_troubled(&self) -> bool {
        self.troubled_at
            .lock()
            .is_some_and(|at| at.elapsed() < TROUBLE)
    }
}

fn takes(last: &Mutex<Option<Instant>>, interval: Duration) -> bool {
    let mut last = last.lock();
    let now = Instant::now();
    let is_time = last.is_none_or(|at| now.duration_since(at) >= interval);
    if is_time {
        *last = Some(now);
    }
    is_time
}
