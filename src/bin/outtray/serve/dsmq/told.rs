//! What the threads that talk to the database tell the event loop, and what it asks of them.

use crate::serve::dsmq::recent::Placed;
use crossbeam_channel::Sender;
use mio::Waker;
use outtray::{Interrupt, LogPosition, MessageId, NewMessage};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A connection, as the other threads know it. None is used twice.
pub(crate) type Client = usize;

/// What the storing thread is to do, in the order of asking.
#[derive(Debug)]
pub(crate) enum StoreErrand {
    Put(Put),
    /// Find the place in the log where a new connection begins: after what was put before it.
    Join(Client),
}

/// A message on its way into the log.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) client: Client,
    /// Counts the puts of this server.
    pub(crate) serial: u64,
    pub(crate) queue: Arc<str>,
    pub(crate) message: NewMessage,
    pub(crate) bytes: usize,
}

/// A message that came out of the log.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) id: MessageId,
    pub(crate) queue: String,
    pub(crate) stored: Placed<LogPosition>,
}

/// What to look for in the log, for a connection that fell behind memory.
#[derive(Debug)]
pub(crate) struct LookBack {
    pub(crate) client: Client,
    pub(crate) queue: Arc<str>,
    pub(crate) after: LogPosition,
    /// Where memory begins.
    pub(crate) upto: LogPosition,
    /// Whether only the last one counts.
    pub(crate) is_latest: bool,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct LookedBack {
    pub(crate) client: Client,
    pub(crate) queue: Arc<str>,
    pub(crate) found: Vec<Placed<LogPosition>>,
    /// There is no other up to here.
    pub(crate) seen: LogPosition,
}

/// What the event loop hears.
#[derive(Debug)]
pub(crate) enum Told {
    /// Messages came out of the log, in order; all up to a place are known now.
    Arrived(Vec<Arrival>, LogPosition),
    Joined(Vec<Client>, LogPosition),
    /// Puts are stored: of whom, and how many bytes.
    Stored(Vec<(Client, usize)>),
    /// A put that the database will never take.
    Refused(Put, String),
    LookedBack(LookedBack),
    /// Messages that a connection had not got were removed.
    FellBehind(Client),
    /// Messages were removed from the log before all could be read, or the log lacks some that
    /// were: what comes is after this place.
    Gone(LogPosition),
    /// The server is to stop.
    Stop,
    /// It is to stop without waiting any longer.
    StopNow,
}

/// The way to the event loop.
#[derive(Debug, Clone)]
pub(crate) struct Tell {
    told: Sender<Told>,
    waker: Arc<Waker>,
}

impl Tell {
    pub(crate) fn new(told: Sender<Told>, waker: Arc<Waker>) -> Self {
        Tell { told, waker }
    }

    /// Tells it. Blocks while the loop is behind, so that memory is bounded.
    pub(crate) fn tell(&self, told: Told) {
        // After its end nobody has to know.
        let _ = self.told.send(told);
        let _ = self.waker.wake();
    }
}

/// What the threads know of each other without a word.
#[derive(Debug)]
pub(crate) struct CommonGround {
    /// Whether the database could not be reached the last time.
    pub(crate) is_away: AtomicBool,
    /// Whether what is not stored is given up.
    pub(crate) is_given_up: AtomicBool,
    /// Ends the wait at the end of the log, and with it the threads.
    pub(crate) end: Interrupt,
    /// The puts that may be on their way out of the log.
    under_way: Mutex<HashMap<MessageId, u64>>,
    /// Up to where the event loop has heard of what is in the log.
    heard: Mutex<LogPosition>,
}

impl CommonGround {
    pub(crate) fn new(start: LogPosition) -> Self {
        CommonGround {
            is_away: AtomicBool::new(false),
            is_given_up: AtomicBool::new(false),
            end: Interrupt::new(),
            under_way: Mutex::default(),
            heard: Mutex::new(start),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.end.is_interrupted()
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Acquire)
    }

    pub(crate) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    /// Returns the ids of puts whose messages have not come out of the log yet.
    pub(crate) fn under_way(&self) -> MutexGuard<'_, HashMap<MessageId, u64>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn heard(&self) -> MutexGuard<'_, LogPosition> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
