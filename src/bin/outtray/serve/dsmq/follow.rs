//! The threads that read the log: one follows its end, for all connections; one reads for those
//! that fell behind memory.

use crate::failure::chain;
use crate::log::is_passed_over;
use crate::serve::dsmq::recent::Placed;
use crate::serve::dsmq::told::{Arrival, CommonGround, LookBack, LookedBack, Tell, Told};
use crate::serve::dsmq::trouble::{DatabaseTrouble, FIRST_PAUSE, LONGEST_PAUSE};
use crossbeam_channel::Receiver;
use outtray::{Error, ErrorKind, LogPosition, Message, Messaging, Payload, Position, Tail, Wait};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::thread::park_timeout;
use std::time::{Duration, Instant};

/// Messages that are read at once, and about how many bytes.
const BATCH: usize = 500;
const FIRST_BATCH: usize = 50;
/// The same for one that fell behind, who may want the first of them alone.
const FIRST_LOOK: usize = 4;
const BATCH_BYTES: usize = 8 << 20;
/// How long the end of the log is waited at in one call, which an interrupt ends.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
/// What is read in advance for one connection that fell behind: messages, and their bytes.
const MOST_AHEAD: usize = 16;
const MOST_AHEAD_BYTES: usize = 128 << 10;
/// Batches that are read for one connection before the next has its turn.
const BATCHES: usize = 20;

/// What the threads share.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) messaging: Messaging,
    pub(crate) topic: String,
    pub(crate) tell: Tell,
    pub(crate) known: Arc<CommonGround>,
}

/// Follows the end of the log, until the server stops.
pub(crate) fn follow(log: &Log, start: LogPosition) {
    let mut follower = Follower {
        log,
        place: start,
        tail: None,
        size: FIRST_BATCH,
    };
    let mut trouble = DatabaseTrouble::none();
    while !log.known.is_over() {
        let begun = Instant::now();
        match follower.follow_on() {
            Ok(()) => return,
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            Err(error) => trouble.complain("cannot read the log", &error),
        }
        if begun.elapsed() > LONGEST_PAUSE {
            trouble.ease();
        }
        trouble.wait();
    }
}

/// Who follows the end of the log.
struct Follower<'l> {
    log: &'l Log,
    /// Up to where the event loop was told.
    place: LogPosition,
    /// It is kept over errors: it notices when the log lacks what it had read.
    tail: Option<Tail>,
    size: usize,
}

impl Follower<'_> {
    fn follow_on(&mut self) -> outtray::Result<()> {
        while !self.log.known.is_over() {
            match self.read() {
                Err(error) if is_not_there(&error) => self.begin_anew(&error)?,
                read => read?,
            }
        }
        Ok(())
    }

    /// Waits for messages, and tells of them.
    fn read(&mut self) -> outtray::Result<()> {
        let Log {
            messaging, topic, ..
        } = self.log;
        let tail = match &mut self.tail {
            Some(tail) => tail,
            none => none.insert(messaging.tail(topic, Position::At(self.place))?),
        };
        let wait = self.log.known.end.within(LONGEST_WAIT);
        let batch = next_readable(tail, self.size, wait)?;
        self.size = next_size(&batch, self.size);
        let (before, upto) = (self.place, tail.position());
        self.place = upto;
        let first = batch.first().and_then(Message::log_position);
        if upto < before || first.is_some_and(|first| first <= before) {
            tracing::error!(
                "the log lacks messages that clients have: it goes on from {upto}, after {before}"
            );
            let mut under_way = self.log.known.under_way();
            for message in &batch {
                under_way.remove(&message.id);
            }
            drop(under_way);
            self.log.tell.tell(Told::Gone(upto));
        } else if upto > before {
            let arrivals = batch.into_iter().filter_map(arrival).collect();
            self.log.tell.tell(Told::Arrived(arrivals, upto));
        }
        Ok(())
    }

    /// Goes to the end, since what comes next is not there.
    fn begin_anew(&mut self, why: &Error) -> outtray::Result<()> {
        let tail = self.log.messaging.tail(&self.log.topic, Position::Now)?;
        tracing::error!("clients did not get all messages: {}", chain(why));
        self.place = tail.position();
        self.tail = Some(tail);
        self.log.tell.tell(Told::Gone(self.place));
        Ok(())
    }
}

/// Returns whether a log has no such place any more, or, as after a failover to a server that lacks
/// what came last, not yet.
pub(crate) fn is_not_there(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::PositionGone | ErrorKind::Invalid)
}

/// Returns what comes next that can be read; what cannot is passed over. None: there is no more.
pub(crate) fn next_readable(
    tail: &mut Tail,
    max: usize,
    wait: impl Into<Wait>,
) -> outtray::Result<Vec<Message<Payload>>> {
    let wait = wait.into();
    loop {
        let before = tail.position();
        match tail.next_batch(max, wait.clone()) {
            Err(error) if is_passed_over(&error, tail, before) => {
                tracing::error!(
                    "passes over what is at {}: {}",
                    tail.position(),
                    chain(&error)
                );
            }
            read => return read,
        }
    }
}

/// Returns how many messages to read the next time: large ones come rarely alone.
fn next_size(batch: &[Message<Payload>], size: usize) -> usize {
    let bytes = batch.iter().map(|message| message.payload.as_bytes().len());
    match bytes.max() {
        None => size,
        Some(largest) => (BATCH_BYTES / largest.max(1)).clamp(1, BATCH).min(size * 4),
    }
}

/// Returns a message as clients see it; `None` for one that is in no queue of theirs.
fn arrival(message: Message<Payload>) -> Option<Arrival> {
    let place = message.log_position()?;
    let Message {
        id, key, payload, ..
    } = message;
    let stored = Placed {
        place,
        message: text(payload)?.into(),
    };
    Some(Arrival {
        id,
        queue: key?,
        stored,
    })
}

/// Returns a payload as JSON text: as it is, or as a string for bytes that are a text.
fn text(payload: Payload) -> Option<String> {
    match payload {
        Payload::Json(text) => Some(text.get().trim().to_owned()),
        Payload::Bytes(bytes) => {
            let text = String::from_utf8(bytes).ok()?;
            match serde_json::from_str::<&RawValue>(&text) {
                Ok(_) => Some(text),
                Err(_) => serde_json::to_string(&text).ok(),
            }
        }
    }
}

/// Reads for connections that fell behind, until nobody asks any more.
pub(crate) fn look_back(log: &Log, asked: &Receiver<LookBack>) {
    for wish in asked {
        let LookBack {
            client,
            queue,
            after,
            ..
        } = &wish;
        let (client, queue) = (*client, Arc::clone(queue));
        let (found, seen) = match find(log, &wish) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::PositionGone => {
                log.tell.tell(Told::FellBehind(client));
                continue;
            }
            Err(error) => {
                tracing::debug!(
                    "cannot read what clients did not get yet: {}",
                    chain(&error)
                );
                park_timeout(FIRST_PAUSE);
                (Vec::new(), *after)
            }
        };
        log.tell.tell(Told::LookedBack(LookedBack {
            client,
            queue,
            found,
            seen,
        }));
    }
}

/// Reads a part of the log: until enough was found, memory begins, or a turn is over.
fn find(log: &Log, wish: &LookBack) -> outtray::Result<(Vec<Placed<LogPosition>>, LogPosition)> {
    let mut tail: Tail = log.messaging.tail(&log.topic, Position::At(wish.after))?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    let (mut seen, mut size) = (wish.after, FIRST_LOOK);
    for _ in 0..BATCHES {
        let batch = next_readable(&mut tail, size, Duration::ZERO)?;
        size = next_size(&batch, size);
        let is_last = batch.is_empty();
        for arrival in batch.into_iter().filter_map(arrival) {
            if arrival.stored.place > wish.upto {
                return Ok((found, wish.upto));
            }
            if arrival.queue != *wish.queue {
                continue;
            }
            seen = arrival.stored.place;
            bytes += arrival.stored.message.len();
            if wish.is_latest {
                found.clear();
            }
            found.push(arrival.stored);
            if !wish.is_latest && (found.len() >= MOST_AHEAD || bytes >= MOST_AHEAD_BYTES) {
                return Ok((found, seen));
            }
        }
        seen = tail.position();
        if is_last || seen >= wish.upto {
            return Ok((found, seen.min(wish.upto).max(wish.after)));
        }
        if !found.is_empty() && !wish.is_latest {
            return Ok((found, seen));
        }
    }
    Ok((found, seen))
}
