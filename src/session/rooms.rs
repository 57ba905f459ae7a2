//! Taking room in a bounded topic, and waiting for it.
//!
//! Usually one statement, which adds to the number of the topic and holds its row until the commit.
//! When the number says that the topic is full, what was vacated is taken off it first. The number
//! can be too high: messages that were there before the topic had a limit were counted and leave no
//! note when they end. So a process looks at the messages themselves too, now and then, while a
//! topic is full.
//!
//! Who waits for room holds no lock, of no topic: others, who need less or do not want to wait,
//! would wait with it. A try may well take locks, also one that finds no room: an UPDATE that had
//! to wait for another sender keeps the row that it came for, whatever it then finds there. So each
//! try of a sender that may wait has a savepoint, and is undone before the wait.

use crate::capacity;
use crate::session::messaging_session::MessagingSession;
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::sqlstate::{classify, held_up};
use crossbeam_channel::after;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two counts of a topic by a process: a count of a million takes 60 ms.
const BETWEEN_COUNTS: Duration = Duration::from_secs(10);
/// Waits between looks for room, from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Opens the savepoint of a try.
const OPEN: &str = "SAVEPOINT outtray_room";
/// Closes it, keeping what was taken.
const KEEP: &str = "RELEASE outtray_room";
/// Undoes the try, which frees what it locked.
const UNDO: &str = "ROLLBACK TO outtray_room; RELEASE outtray_room";

/// When this process last counted full topics.
#[derive(Debug, Default)]
pub(crate) struct Rooms(Mutex<HashMap<String, Instant>>);

impl Rooms {
    /// Returns whether a count is due, and takes it for done.
    fn may_count(&self, topic: &str) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(at) = counted.get(topic)
            && now.duration_since(*at) < BETWEEN_COUNTS
        {
            return false;
        }
        counted.insert(topic.to_owned(), now);
        true
    }
}

/// Messages for one bounded topic.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) messages: usize,
    /// How long the most patient of them waits for room.
    pub(crate) wait: Duration,
}

/// Room that is to be taken.
struct Wanted<'t> {
    topic: &'t str,
    messages: i64,
    /// How many the topic holds.
    limit: i64,
    wait: Duration,
}

impl MessagingSession<'_> {
    /// Takes room in all of these topics, or in none; waits for it.
    ///
    /// # Errors
    /// `Full`, with nothing taken and the transaction as it was; and those of the statements.
    pub(crate) fn take_rooms(&mut self, loads: &BTreeMap<&str, Load>) -> Result<()> {
        let mut wanted = Vec::with_capacity(loads.len());
        // Sorted: two sessions that want the same topics wait for each other in one direction only.
        for (topic, load) in loads {
            let setting = self.setting(topic);
            // The limit may have just been lifted.
            if let Some(limit) = setting.and_then(|setting| setting.config.max_length) {
                wanted.push(Wanted::new(topic, load, limit)?);
            }
        }
        self.asking(|session| session.wait_for_rooms(&wanted))
            .map_err(|error| match &wanted[..] {
                [only] => held_up(error, &format!("the room of topic {}", only.topic)),
                several => {
                    let topics: Vec<&str> = several.iter().map(|wanted| wanted.topic).collect();
                    held_up(
                        error,
                        &format!("the room of one of the topics {}", topics.join(", ")),
                    )
                }
            })
    }

    fn wait_for_rooms(&mut self, wanted: &[Wanted<'_>]) -> Result<()> {
        // Two round trips, for those alone who may have something to undo.
        let is_undone = wanted.len() > 1 || wanted.iter().any(|wanted| !wanted.wait.is_zero());
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let tried = Instant::now();
            if is_undone {
                self.mark_rooms(OPEN)?;
            }
            let full = self.try_rooms(wanted)?;
            if is_undone {
                self.mark_rooms(full.as_ref().map_or(KEEP, |_| UNDO))?;
            }
            let Some((wanted, can_change)) = full else {
                return Ok(());
            };
            let left = wanted.wait.saturating_sub(started.elapsed());
            if left.is_zero() || !can_change {
                return Err(full_topic(wanted, can_change));
            }
            // Counting takes its time: no more than half of it.
            let pause_now = pause.max(tried.elapsed().min(LONGEST_PAUSE)).min(left);
            // A plain wait: a session has no stop signal, and its caller asked for it.
            let _ = after(pause_now).recv();
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn mark_rooms(&mut self, savepoint: &str) -> Result<()> {
        let done = self.lent.begun()?.batch_execute(savepoint);
        done.map_err(|error| classify(error, "taking room in a bounded topic"))
    }

    /// Takes room in one topic after the other. Returns the one that is full, and whether waiting
    /// helps.
    fn try_rooms<'w, 't>(
        &mut self,
        wanted: &'w [Wanted<'t>],
    ) -> Result<Option<(&'w Wanted<'t>, bool)>> {
        for wanted in wanted {
            let (topic, messages, limit) = (wanted.topic, wanted.messages, wanted.limit);
            while !capacity::take(self.lent.current()?, topic, messages, limit)? {
                if let Some(can_change) = self.find_room(topic, messages, limit)? {
                    return Ok(Some((wanted, can_change)));
                }
            }
        }
        Ok(None)
    }

    /// Finds out why there was no room. Returns nothing if there may be some now, else whether
    /// waiting helps.
    fn find_room(&mut self, topic: &str, messages: i64, limit: i64) -> Result<Option<bool>> {
        let (run, kit) = (self.lent.current()?, self.kit);
        let pending = i64::try_from(self.outbox.bounded(topic)).unwrap_or(i64::MAX);
        let Some(look) = capacity::look(run, topic)? else {
            capacity::recount(run, topic, limit, pending)?;
            return Ok(None);
        };
        if look.used - look.vacated + messages <= limit {
            capacity::fold(run, topic)?;
            return Ok(None);
        }
        if kit.rooms.may_count(topic)
            && capacity::count(run, topic, limit)? + pending + messages <= limit
        {
            capacity::recount(run, topic, limit, pending)?;
            return Ok(None);
        }
        Ok(Some(look.is_fresh))
    }
}

impl<'t> Wanted<'t> {
    fn new(topic: &'t str, load: &Load, limit: u64) -> Result<Self> {
        let messages = i64::try_from(load.messages).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if messages > limit {
            return Err(Error::new(
                ErrorKind::Full,
                format!(
                    "{messages} messages do not fit into topic {topic}, which holds {limit}: send fewer at a time"
                ),
            ));
        }
        Ok(Wanted {
            topic,
            messages,
            limit,
            wait: load.wait,
        })
    }
}

fn full_topic(wanted: &Wanted<'_>, can_change: bool) -> Error {
    let hint = match can_change {
        true => "try again later",
        false => "run the session again later, its snapshot shows no change",
    };
    Error::new(
        ErrorKind::Full,
        format!(
            "topic {} is full ({} messages): {hint}",
            wanted.topic, wanted.limit
        ),
    )
}
