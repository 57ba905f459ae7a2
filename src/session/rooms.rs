//! Taking room in a bounded topic, and waiting for it.
//!
//! Usually one statement, which adds to the number of the topic and holds its row until the commit. When the
//! number says that the topic is full, what was vacated is taken off it first. The number can be too high: messages
//! that were there before the topic had a limit were counted and leave no note when they end. So a process looks at
//! the messages themselves too, now and then, while a topic is full.
//!
//! Who waits for room holds no lock: looking locks nothing, and taking what is not there neither.

use crate::session::messaging_session::MessagingSession;
use crate::store::room;
use crate::words::error::{Error, ErrorKind, Result};
use crossbeam_channel::after;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two counts of a topic by a process: a count of a million takes 60 ms.
const BETWEEN_COUNTS: Duration = Duration::from_secs(10);
/// Waits between looks for room, from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

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

impl MessagingSession<'_> {
    /// Takes room for `messages` in a topic that holds `limit`; waits for it this long.
    ///
    /// # Errors
    /// `Full`, with nothing taken and the transaction as it was; and those of the statements.
    pub(crate) fn take_room(
        &mut self,
        topic: &str,
        messages: usize,
        limit: u64,
        wait: Duration,
    ) -> Result<()> {
        let messages = i64::try_from(messages).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if messages > limit {
            return Err(Error::new(
                ErrorKind::Full,
                format!(
                    "{messages} messages do not fit into topic {topic}, which holds {limit}: send fewer at a time"
                ),
            ));
        }
        let deadline = Instant::now().checked_add(wait);
        let mut pause = FIRST_PAUSE;
        loop {
            let statements = &self.kit.statements;
            if room::take(self.lent.current()?, statements, topic, messages, limit)? {
                return Ok(());
            }
            let Some(can_change) = self.find_room(topic, messages, limit)? else {
                continue;
            };
            let left = deadline.map_or(pause, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() || !can_change {
                return Err(full(topic, limit, can_change));
            }
            // A plain wait: a session has no stop signal, and its caller asked for it.
            let _ = after(pause.min(left)).recv();
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Finds out why there was no room. Returns nothing if there may be some now, else whether waiting helps.
    fn find_room(&mut self, topic: &str, messages: i64, limit: i64) -> Result<Option<bool>> {
        let (run, kit) = (self.lent.current()?, self.kit);
        let statements = &kit.statements;
        let pending = i64::try_from(self.outbox.bounded(topic)).unwrap_or(i64::MAX);
        let Some(look) = room::look(run, statements, topic)? else {
            room::recount(run, statements, topic, limit, pending)?;
            return Ok(None);
        };
        if look.used - look.vacated + messages <= limit {
            room::fold(run, statements, topic)?;
            return Ok(None);
        }
        if kit.rooms.may_count(topic)
            && room::count(run, statements, topic, limit)? + pending + messages <= limit
        {
            room::recount(run, statements, topic, limit, pending)?;
            return Ok(None);
        }
        Ok(Some(look.is_fresh))
    }
}

fn full(topic: &str, limit: i64, can_change: bool) -> Error {
    let hint = match can_change {
        true => "try again later",
        false => "run the session again later, its snapshot shows no change",
    };
    Error::new(
        ErrorKind::Full,
        format!("topic {topic} is full ({limit} messages): {hint}"),
    )
}
