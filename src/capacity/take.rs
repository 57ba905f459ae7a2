//! Taking room in a bounded topic, and waiting for it.
//!
//! Usually one statement, which adds to the number of the topic and holds its row until the commit.
//! When the number says that the topic is full, what was vacated is taken off it first. The number
//! can be too high: messages that were there before the topic had a limit were counted and leave no
//! note when they end. So a process looks at the messages themselves too, now and then, while a
//! topic is full.
//!
//! Who waits for room holds no lock for it, of no topic: others, who need less or do not want to
//! wait, would wait with it. (What the transaction sent to a bounded topic before has its locks
//! until the commit.) A try may well take locks, also one that finds no room: an UPDATE that had
//! to wait for another sender keeps the row that it came for, whatever it then finds there. So each
//! try of a sender that may wait has a savepoint, and is undone before the wait.

use crate::capacity::{self, ahead::RoomAhead};
use crate::db::commands::{KEEP_ROOM, TRY_ROOM, UNDO_ROOM};
use crate::db::{Run, Statement};
use crate::threads::mutex::Mutex;
use crate::words::limits::count;
use crate::words::sqlstate::held_up;
use crate::words::{Doing, Error, ErrorKind, Result};
use crossbeam_channel::after;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The least time between two counts of a topic by a process: a count of a million takes 60 ms.
const BETWEEN_COUNTS: Duration = Duration::from_secs(10);
/// Waits between looks for room, from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Undoes a try, which frees what it locked, and closes its savepoint.
const UNDO: [&Statement; 2] = [&UNDO_ROOM, &KEEP_ROOM];

/// When this process last counted full topics.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<HashMap<String, Instant>>);

impl Counts {
    /// Returns whether a count is due, and takes it for done.
    fn may_count(&self, topic: &str) -> bool {
        let mut counted = self.0.lock();
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
#[derive(Debug, Clone)]
pub(crate) struct RoomWanted<'t> {
    topic: &'t str,
    messages: i64,
    /// How many the topic holds.
    limit: i64,
    /// How long the most patient of them waits for room.
    wait: Duration,
}

/// Says how many messages a topic holds by its settings of now, `None` if it is not bounded any
/// more.
pub(crate) type LimitOf<'a> = &'a dyn Fn(&mut dyn Run, &str) -> Result<Option<u64>>;

/// What the sender knows of bounded topics.
pub(crate) struct RoomFacts<'a> {
    pub(crate) counts: &'a Counts,
    /// How many messages of a topic the transaction has room for and did not store yet.
    pub(crate) pending: &'a dyn Fn(&str) -> usize,
    /// How many messages of a topic the transaction has room for, stored or not.
    pub(crate) own: &'a dyn Fn(&str) -> usize,
    pub(crate) limit: LimitOf<'a>,
}

/// Takes room in all of these topics, or in none; waits for it. Topics are sorted: two that want
/// the same ones wait for each other in one direction only. Room that was taken `ahead` is spent
/// first, and some more of it is taken where the transaction has taken some before, unless that may
/// be undone without our notice.
///
/// # Errors
/// `Full`, with nothing taken and the transaction as it was; and those of the statements.
pub(crate) fn take(
    run: &mut dyn Run,
    facts: &RoomFacts<'_>,
    wanted: &[RoomWanted<'_>],
    ahead: &mut RoomAhead,
    may_be_undone_unseen: bool,
) -> Result<()> {
    let mut taking = Taking { run, facts, ahead };
    let taken_ahead = match may_be_undone_unseen {
        true => Ok(false),
        false => taking.take_ahead(wanted),
    };
    let taken = taken_ahead.and_then(|is_taken| match is_taken {
        true => Ok(()),
        false => taking.wait_for_room(wanted),
    });
    taken.map_err(|error| held_up(error, &named(wanted)))
}

/// Spends room that was taken ahead, for messages to one topic. Returns false if there is too
/// little of it.
pub(crate) fn spend(ahead: &mut RoomAhead, wanted: &[RoomWanted<'_>]) -> bool {
    matches!(wanted, [only] if ahead.spend(only.topic, only.messages))
}

/// Says whose room it is.
fn named(wanted: &[RoomWanted<'_>]) -> String {
    match wanted {
        [only] => format!("the room of topic {}", only.topic),
        several => {
            let topics: Vec<&str> = several.iter().map(|wanted| wanted.topic).collect();
            format!("the room of one of the topics {}", topics.join(", "))
        }
    }
}

/// What one send takes room with.
struct Taking<'a> {
    run: &'a mut dyn Run,
    facts: &'a RoomFacts<'a>,
    ahead: &'a mut RoomAhead,
}

impl Taking<'_> {
    /// Takes room in the only topic and some more for later, if the transaction holds its row and
    /// there is as much. Returns whether it did.
    fn take_ahead(&mut self, wanted: &[RoomWanted<'_>]) -> Result<bool> {
        let [only] = wanted else { return Ok(false) };
        let (topic, messages, limit) = (only.topic, only.messages, only.limit);
        let needed = messages - self.ahead.left(topic);
        let more = self.ahead.wanted(topic, needed, limit);
        if more == 0 {
            return Ok(false);
        }
        let used = capacity::add(self.run, topic, needed + more, limit)?;
        if let Some(used) = used {
            self.ahead.note(topic, messages, more, used);
        }
        Ok(used.is_some())
    }

    fn wait_for_room(&mut self, wanted: &[RoomWanted<'_>]) -> Result<()> {
        // Two round trips, for those alone who may have something to undo.
        let is_undone = wanted.len() > 1 || wanted.iter().any(|wanted| !wanted.wait.is_zero());
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut wanted = wanted.to_vec();
        loop {
            let tried = Instant::now();
            if is_undone {
                self.mark(&[&TRY_ROOM])?;
            }
            let before = self.ahead.clone();
            let full = self.try_all(&wanted)?;
            if full.is_some() {
                *self.ahead = before;
            }
            if is_undone {
                self.mark(full.as_ref().map_or(&[&KEEP_ROOM], |_| &UNDO))?;
            }
            let Some((full, can_change)) = full else {
                return Ok(());
            };
            let own = count((self.facts.own)(full.topic));
            if own.saturating_add(full.messages) > full.limit {
                return Err(too_many(full.topic, own + full.messages, full.limit));
            }
            let left = full.wait.saturating_sub(started.elapsed());
            if left.is_zero() || !can_change {
                return Err(full_topic(full, can_change));
            }
            // Counting takes its time: no more than half of it.
            let pause_now = pause.max(tried.elapsed().min(LONGEST_PAUSE)).min(left);
            // A plain wait: a session has no stop signal, and its caller asked for it.
            let _ = after(pause_now).recv();
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.learn_limits(&mut wanted)?;
        }
    }

    /// Learns how many messages the topics hold now, and forgets those that are not bounded any
    /// more.
    fn learn_limits(&mut self, wanted: &mut Vec<RoomWanted<'_>>) -> Result<()> {
        for mut one in std::mem::take(wanted) {
            if let Some(limit) = (self.facts.limit)(self.run, one.topic)? {
                one.limit = limit.try_into().unwrap_or(i64::MAX);
                wanted.push(one);
            }
        }
        Ok(())
    }

    fn mark(&mut self, commands: &[&'static Statement]) -> Result<()> {
        let done = self.run.commands(commands);
        done.doing(capacity::DOING)
    }

    /// Takes room in one topic after the other. Returns the one that is full, and whether waiting
    /// helps.
    fn try_all<'w, 't>(
        &mut self,
        wanted: &'w [RoomWanted<'t>],
    ) -> Result<Option<(&'w RoomWanted<'t>, bool)>> {
        for wanted in wanted {
            let (topic, limit) = (wanted.topic, wanted.limit);
            if self.ahead.spend(topic, wanted.messages) {
                continue;
            }
            // What is left of before is too little.
            let needed = wanted.messages - self.ahead.left(topic);
            let used = loop {
                if let Some(used) = capacity::add(self.run, topic, needed, limit)? {
                    break used;
                }
                if let Some(can_change) = self.find_room(topic, needed, limit)? {
                    return Ok(Some((wanted, can_change)));
                }
            };
            self.ahead.note(topic, wanted.messages, 0, used);
        }
        Ok(None)
    }

    /// Finds out why there was no room. Returns `None` if there may be some now, else whether
    /// waiting helps.
    fn find_room(&mut self, topic: &str, messages: i64, limit: i64) -> Result<Option<bool>> {
        let pending = count((self.facts.pending)(topic));
        let pending = pending.saturating_add(self.ahead.left(topic));
        let Some(look) = capacity::look(self.run, topic)? else {
            capacity::recount(self.run, topic, pending)?;
            return Ok(None);
        };
        if look.used - look.vacated + messages <= limit {
            capacity::fold(self.run, topic)?;
            return Ok(None);
        }
        if self.facts.counts.may_count(topic)
            && capacity::count(self.run, topic, limit)? + pending + messages <= limit
        {
            capacity::recount(self.run, topic, pending)?;
            return Ok(None);
        }
        Ok(Some(look.is_fresh))
    }
}

impl<'t> RoomWanted<'t> {
    /// # Errors
    /// `Full` if the topic never has room for so many.
    pub(crate) fn new(topic: &'t str, messages: usize, limit: u64, wait: Duration) -> Result<Self> {
        let messages = count(messages);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if messages > limit {
            return Err(too_many(topic, messages, limit));
        }
        Ok(RoomWanted {
            topic,
            messages,
            limit,
            wait,
        })
    }
}

fn too_many(topic: &str, messages: i64, limit: i64) -> Error {
    let text = format!(
        "{messages} messages do not fit into topic {topic}, which holds {limit}: send fewer at a time"
    );
    Error::new(ErrorKind::Full, text)
}

fn full_topic(wanted: &RoomWanted<'_>, can_change: bool) -> Error {
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
