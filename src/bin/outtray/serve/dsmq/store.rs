//! The thread that puts messages into the log, and finds where new connections begin.
//!
//! It takes what has gathered while it stored the last batch, so that a batch is as large as the
//! database is slow: one message when there is time, a thousand when there is none. Puts and new
//! connections are in one line: a connection begins after what was put before it came, and before
//! what was put since.
//!
//! Nothing is given up while the server runs. A batch that cannot be stored is tried again until it
//! is, and the line gets longer; when it has no more room, clients are not read from. When the
//! connection breaks during COMMIT, the log itself tells whether the batch is in it.

use crate::failure::chain;
use crate::serve::dsmq::follow::{Log, is_not_there, next_readable};
use crate::serve::dsmq::told::{Client, CommonGround, Put, StoreErrand, Tell, Told};
use crate::serve::dsmq::trouble::DatabaseTrouble;
use crossbeam_channel::Receiver;
use outtray::{Error, ErrorKind, HandlerError, LogPosition, MessageId, Messaging, Position};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::park_timeout;
use std::time::{Duration, Instant};

/// Messages of a batch, and their bytes, at most.
const MOST_PUTS: usize = 1000;
const MOST_BYTES: usize = 1 << 20;
/// Messages that are looked at together for one of ours.
const FOUND_AT_ONCE: usize = 100;
const OPEN_TRANSACTIONS: &str = include_str!("open_transactions.sql");
/// How often it is looked whether transactions of before have ended, and how long they are waited
/// for, when one of them may be ours.
const FENCE_LOOK: Duration = Duration::from_millis(50);
const LONGEST_FENCE: Duration = Duration::from_secs(10);

/// Classes of SQLSTATE that are not about what is stored: of connections, transactions, resources,
/// locks, operators and the system.
const PASSING: [&str; 7] = ["08", "25", "40", "53", "55", "57", "58"];

pub(crate) struct Store {
    messaging: Messaging,
    topic: String,
    errands: Receiver<StoreErrand>,
    tell: Tell,
    known: Arc<CommonGround>,
    /// What was taken out of the line before its turn.
    next: VecDeque<StoreErrand>,
    /// The ids of the last try, with the numbers of their puts.
    tried: Vec<(MessageId, u64)>,
    trouble: DatabaseTrouble,
}

impl Store {
    pub(crate) fn new(log: Log, errands: Receiver<StoreErrand>) -> Self {
        Store {
            messaging: log.messaging,
            topic: log.topic,
            errands,
            tell: log.tell,
            known: log.known,
            next: VecDeque::new(),
            tried: Vec::new(),
            trouble: DatabaseTrouble::none(),
        }
    }

    /// Works until nobody asks for anything any more.
    pub(crate) fn run(mut self) {
        while let Some(errand) = self.next.pop_front().or_else(|| self.errands.recv().ok()) {
            match errand {
                StoreErrand::Put(put) => {
                    let batch = self.batch(put);
                    self.store(batch);
                }
                StoreErrand::Join(client) => {
                    let clients = self.newcomers(client);
                    self.join(clients);
                }
            }
            if self.known.is_given_up() {
                return;
            }
        }
    }

    /// Takes the puts that come next in the line.
    fn batch(&mut self, first: Put) -> Vec<Put> {
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        while batch.len() < MOST_PUTS && bytes < MOST_BYTES {
            match self.errands.try_recv() {
                Ok(StoreErrand::Put(put)) => {
                    bytes += put.bytes;
                    batch.push(put);
                }
                Ok(other) => {
                    self.next.push_back(other);
                    break;
                }
                Err(_) => break,
            }
        }
        batch
    }

    /// Takes the new connections that come next in the line.
    fn newcomers(&mut self, first: Client) -> Vec<Client> {
        let mut clients = vec![first];
        loop {
            match self.errands.try_recv() {
                Ok(StoreErrand::Join(client)) => clients.push(client),
                Ok(other) => {
                    self.next.push_back(other);
                    return clients;
                }
                Err(_) => return clients,
            }
        }
    }

    fn join(&mut self, clients: Vec<Client>) {
        while !self.known.is_given_up() {
            match self.end_of_log() {
                Ok(place) => {
                    self.worked();
                    return self.tell.tell(Told::Joined(clients, place));
                }
                Err(error) => self.failed("cannot look into the log", &error),
            }
        }
    }

    fn end_of_log(&self) -> outtray::Result<LogPosition> {
        Ok(self.messaging.tail(&self.topic, Position::Now)?.position())
    }

    /// Stores a batch, whatever it takes.
    fn store(&mut self, batch: Vec<Put>) {
        let mut batches = VecDeque::from([batch]);
        while let Some(mut batch) = batches.pop_front() {
            match self.try_to_store(&mut batch) {
                Ok(()) => {
                    self.worked();
                    let stored = batch.iter().map(|put| (put.client, put.bytes)).collect();
                    self.tell.tell(Told::Stored(stored));
                    continue;
                }
                Err(error) if is_of_a_message(&error) => match batch.len() {
                    // One of them is to blame: the others are not to suffer.
                    2.. => {
                        let rest = batch.split_off(batch.len() / 2);
                        batches.push_front(rest);
                        batches.push_front(batch);
                    }
                    _ => self.refuse(batch, &error),
                },
                Err(error) => {
                    self.failed("cannot store messages", &error);
                    let may_be_stored = error.kind() == ErrorKind::OutcomeUnknown;
                    if may_be_stored && self.is_in_log() {
                        let stored = batch.iter().map(|put| (put.client, put.bytes)).collect();
                        self.tell.tell(Told::Stored(stored));
                        continue;
                    }
                    batches.push_front(batch);
                }
            }
            if self.known.is_given_up() {
                return;
            }
        }
    }

    /// Stores a batch in one transaction.
    fn try_to_store(&mut self, batch: &mut Vec<Put>) -> outtray::Result<()> {
        let tried = &mut self.tried;
        tried.clear();
        let under_way = || self.known.under_way();
        let mut refused = Vec::new();
        let stored = self.messaging.session(|session| {
            for (at, put) in batch.iter().enumerate() {
                match session.send(put.message.clone()) {
                    Ok(sent) => tried.push((sent.id(), put.serial)),
                    Err(error) if is_of_a_message(&error) => refused.push((at, error)),
                    Err(error) => return Err(HandlerError::from(error)),
                }
            }
            // The log may be quicker to tell of them than COMMIT.
            under_way().extend(tried.iter().copied());
            Ok(())
        });
        for (at, error) in refused.into_iter().rev() {
            self.refuse(vec![batch.remove(at)], &error);
        }
        if let Err(error) = &stored
            && error.kind() != ErrorKind::OutcomeUnknown
        {
            self.forget_tried();
        }
        stored
    }

    fn refuse(&self, puts: Vec<Put>, error: &Error) {
        for put in puts {
            self.tell.tell(Told::Refused(put, chain(error)));
        }
    }

    /// Finds out whether a batch is in the log whose COMMIT was cut off.
    fn is_in_log(&mut self) -> bool {
        let Some((id, _)) = self.tried.first().copied() else {
            return false;
        };
        while !self.known.is_given_up() {
            match self.fence().and_then(|()| self.find(id)) {
                Ok(true) => return true,
                Ok(false) => {
                    self.forget_tried();
                    return false;
                }
                Err(error) => self.failed("cannot look whether messages were stored", &error),
            }
        }
        false
    }

    /// Looks for a message in what the event loop has not heard of.
    fn find(&self, id: MessageId) -> outtray::Result<bool> {
        let from = *self.known.heard();
        // What it has heard of is under way no more.
        if !self.known.under_way().contains_key(&id) {
            return Ok(true);
        }
        let mut tail = match self.messaging.tail(&self.topic, Position::At(from)) {
            // After a failover to a server that lacks what came last, or when it was removed.
            Err(error) if is_not_there(&error) => {
                self.messaging.tail(&self.topic, Position::Start)?
            }
            tail => tail?,
        };
        loop {
            let batch = next_readable(&mut tail, FOUND_AT_ONCE, Duration::ZERO)?;
            if batch.is_empty() {
                return Ok(false);
            }
            if batch.iter().any(|message| message.id == id) {
                return Ok(true);
            }
        }
    }

    /// Forgets the ids of a batch that will be tried under others.
    fn forget_tried(&self) {
        let mut under_way = self.known.under_way();
        for (id, _) in &self.tried {
            under_way.remove(id);
        }
    }

    /// Waits until the transactions that are open now have ended.
    fn fence(&self) -> outtray::Result<()> {
        let ask = || {
            self.messaging.session(|session| {
                let row = session.query_one(OPEN_TRANSACTIONS, &[])?;
                let (oldest, next): (String, String) = (row.try_get(0)?, row.try_get(1)?);
                Ok((oldest.parse::<u64>()?, next.parse::<u64>()?))
            })
        };
        let begun = Instant::now();
        let (mut oldest, next) = ask()?;
        while oldest < next && begun.elapsed() < LONGEST_FENCE && !self.known.is_given_up() {
            park_timeout(FENCE_LOOK);
            (oldest, _) = ask()?;
        }
        Ok(())
    }

    fn worked(&mut self) {
        self.known.is_away.store(false, Ordering::Relaxed);
        if self.trouble.end() {
            tracing::warn!("the database answers again");
        }
    }

    /// Complains now and then, and waits a little.
    fn failed(&mut self, what: &str, error: &Error) {
        self.known.is_away.store(true, Ordering::Relaxed);
        self.trouble.complain(what, error);
        self.trouble.wait();
    }
}

/// Returns whether an error is about what is stored, so that it will be the same the next time: not
/// a full disk, a timeout, or a lock of somebody else.
fn is_of_a_message(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::Payload => true,
        ErrorKind::RolledBack | ErrorKind::Database => {
            let code = error.cause::<postgres::Error>().and_then(|it| it.code());
            !code.is_some_and(|code| PASSING.iter().any(|it| code.code().starts_with(it)))
        }
        _ => false,
    }
}
