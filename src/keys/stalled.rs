//! Looks after stalled keys: those whose lines could not be moved on when a message ended (see
//! `keys`).

use crate::connect::apart::apart;
use crate::connect::connection::Connection;
use crate::db::Flight;
use crate::keys::{self, Lane};
use crate::message::end::End;
use crate::message::report;
use crate::observe::event::Event;
use crate::observe::fields::told;
use crate::observe::observers::Observers;
use crate::words::{DeadReason, Doing, MessageId, Result};
use std::collections::HashSet;
use std::time::{Duration, Instant};

const DOING: &str = "moving the lines of keys on";
/// How long a lane that has to be made is waited for: a sender that makes it has its transaction
/// open.
const LANE_PATIENCE: &str = "SET LOCAL lock_timeout = '50ms'";
/// How long one look waits for lanes that others hold, if it waits. Where senders hold one after
/// the other without a gap, each does so for less, and a place in their row is the only way to have
/// it.
const HELD_PATIENCE: Duration = Duration::from_millis(50);
/// How long lanes are made, or taken, one by one in one look.
const SINGLE_TIME: Duration = Duration::from_millis(200);
/// Keys are looked up one by one: to read all of a table for each thousand of them takes ever
/// longer, the more there are.
const KEY_BY_KEY: &str = "SET LOCAL jit = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

/// Appends what the ends of parked messages call for: `on_end::push_ended`, which is above keys.
pub(crate) type Parked = fn(&mut Flight, &str, &[End]);

/// What is to be done about messages that are parked.
#[derive(Clone, Copy)]
pub(crate) struct Parking<'a> {
    pub(crate) push: Parked,
    /// Who is told.
    pub(crate) observers: &'a Observers,
}

/// What one look found.
#[derive(Debug, Default)]
pub(crate) struct Tended {
    /// The topics whose lines may have moved, with how many of them.
    pub(crate) topics: Vec<(String, usize)>,
    /// Stalled keys whose lanes others hold.
    pub(crate) held: usize,
    /// Where to go on; `None` at the end. Keys whose lanes are held for long do not keep others
    /// out.
    pub(crate) next: Option<Lane>,
}

/// What to do about lanes that others hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfHeld {
    PassOver,
    /// Wait for some, whichever, 50 ms altogether.
    Await,
}

/// Moves the lines of all stalled keys on that are free: some at a time, as [`tend`] does.
pub(crate) fn tend_all(connection: &mut Connection, parking: Parking<'_>) -> Result<Tended> {
    let mut all = Tended::default();
    let mut place = Some(Lane::default());
    while let Some(after) = place {
        let tended = tend(connection, &after, IfHeld::PassOver, parking)?;
        for (topic, keys) in tended.topics {
            match all.topics.last_mut() {
                Some((last, count)) if *last == topic => *count += keys,
                _ => all.topics.push((topic, keys)),
            }
        }
        all.held += tended.held;
        place = tended.next;
    }
    Ok(all)
}

/// Moves the lines of some stalled keys after a place on, in a transaction of its own. One round
/// trip when there are none. Waits for nobody longer than 50 ms.
pub(crate) fn tend(
    connection: &mut Connection,
    after: &Lane,
    if_held: IfHeld,
    parking: Parking<'_>,
) -> Result<Tended> {
    let (mut known, laneless) = keys::stalled(connection, after)?;
    let found = known.len() + laneless.len();
    if found == 0 {
        return Ok(Tended::default());
    }
    let is_full = i64::try_from(found).is_ok_and(|found| found >= keys::TEND_LIMIT);
    let last = known.iter().chain(&laneless).max().cloned();
    known.extend(make(connection, laneless)?);
    let mut taken = match take(connection, &known, None, parking) {
        Err(error) if connection.is_closed() => return Err(error),
        Err(error) => {
            tracing::warn!("{DOING} failed, and is tried key by key: {error}");
            take_singly(connection, known.clone(), parking)?
        }
        Ok(taken) => taken,
    };
    if if_held == IfHeld::Await {
        let taken_now: HashSet<&Lane> = taken.lanes.iter().collect();
        known.retain(|lane| !taken_now.contains(lane));
        taken.add(take_held(connection, known, parking)?);
    }
    let MovedOn {
        lanes: mut taken,
        are_left,
    } = taken;
    // What is left to be parked was said to be stalled once more, maybe before this place.
    let again = are_left.then(Lane::default);
    let mut tended = Tended {
        held: found - taken.len(),
        next: last.filter(|_| is_full).or(again),
        ..Tended::default()
    };
    taken.sort_unstable();
    for lanes in taken.chunk_by(|one, other| one.topic == other.topic) {
        tended.topics.push((lanes[0].topic.clone(), lanes.len()));
    }
    Ok(tended)
}

/// The lanes whose lines moved on.
#[derive(Default)]
struct MovedOn {
    lanes: Vec<Lane>,
    /// Some of them have more messages that are to be parked.
    are_left: bool,
}

impl MovedOn {
    fn add(&mut self, others: MovedOn) {
        self.lanes.extend(others.lanes);
        self.are_left |= others.are_left;
    }
}

/// Takes those of the lanes that are free, or all of them with `patience`, and moves their lines
/// on, in a transaction; returns them.
fn take(
    connection: &mut Connection,
    lanes: &[Lane],
    patience: Option<Duration>,
    parking: Parking<'_>,
) -> Result<MovedOn> {
    let mut open = connection.read_committed(DOING)?;
    open.run(KEY_BY_KEY).doing(DOING)?;
    if let Some(patience) = patience {
        let patience = format!("SET LOCAL lock_timeout = '{}ms'", patience.as_millis());
        open.run(&patience).doing(DOING)?;
        let keys: Vec<_> = lanes.iter().map(|lane| Some(lane.key.as_str())).collect();
        let topics: Vec<_> = lanes.iter().map(|lane| lane.topic.as_str()).collect();
        keys::lock(&mut open, &topics, &keys)?;
    }
    let mut taken = keys::take_stalled(&mut open, lanes)?;
    taken.sort_unstable();
    let mut flight = open.flight().seldom();
    let mut parked: Vec<(String, Vec<MessageId>)> = Vec::new();
    let mut are_left = false;
    for lanes in taken.chunk_by(|one, other| one.topic == other.topic) {
        let topic = &lanes[0].topic;
        let keys: Vec<&str> = lanes.iter().map(|lane| lane.key.as_str()).collect();
        let ends = keys::tend(&mut open, topic, &keys)?;
        (parking.push)(&mut flight, topic, &ends);
        are_left |= i64::try_from(ends.len()).is_ok_and(|ends| ends >= keys::PARK_LIMIT);
        let ids: Vec<MessageId> = ends.iter().map(|end| end.id).collect();
        parked.push((topic.clone(), ids));
    }
    open.commit_in(flight, DOING)?;
    for (topic, ids) in parked {
        let why = "a dead letter of its key came before it";
        report::dead_together(&topic, &ids, DeadReason::Parked, why);
        for id in ids {
            parking.observers.tell(|| Event::Dead {
                topic: &topic,
                id,
                attempts: None,
                reason: DeadReason::Parked,
                error: why,
            });
        }
    }
    Ok(MovedOn {
        lanes: taken,
        are_left,
    })
}

/// Takes those of the lanes that are free one by one, whichever come first: one whose line cannot
/// be moved on does not keep the others from it.
fn take_singly(
    connection: &mut Connection,
    mut lanes: Vec<Lane>,
    parking: Parking<'_>,
) -> Result<MovedOn> {
    let started = Instant::now();
    fastrand::shuffle(&mut lanes);
    let mut taken = MovedOn::default();
    for lane in lanes {
        if started.elapsed() > SINGLE_TIME {
            break;
        }
        match take(connection, std::slice::from_ref(&lane), None, parking) {
            Ok(lanes) => taken.add(lanes),
            Err(error) if connection.is_closed() => return Err(error),
            Err(error) => {
                let topic = &lane.topic;
                tracing::warn!(
                    topic = told(topic),
                    "topic {topic}: the line of a key stays as it is: {error}"
                );
            }
        }
    }
    Ok(taken)
}

/// Waits for lanes that others hold, one after the other, whichever come first; returns those whose
/// lines moved on.
fn take_held(
    connection: &mut Connection,
    mut held: Vec<Lane>,
    parking: Parking<'_>,
) -> Result<MovedOn> {
    let until = Instant::now() + HELD_PATIENCE;
    fastrand::shuffle(&mut held);
    let mut taken = MovedOn::default();
    for lane in held {
        let patience = until.saturating_duration_since(Instant::now());
        // Zero would be no limit.
        if patience < Duration::from_millis(1) {
            break;
        }
        match take(
            connection,
            std::slice::from_ref(&lane),
            Some(patience),
            parking,
        ) {
            Ok(lanes) => taken.add(lanes),
            Err(error) if connection.is_closed() => return Err(error),
            Err(_) => {}
        }
    }
    Ok(taken)
}

/// Finds keys that are stuck although none should be among the next ones after a place, and makes
/// them stalled. Returns how many, and where to go on; `None` at the end.
pub(crate) fn sweep(connection: &mut Connection, after: &Lane) -> Result<(u64, Option<Lane>)> {
    let (found, next) = keys::find_stalled(connection, after)?;
    if found > 0 {
        tracing::warn!("{found} keys were stuck, which should not be: they go on now");
    }
    Ok((found, next))
}

/// Sweeps over all keys of a topic; returns how many were stuck.
pub(crate) fn sweep_topic(connection: &mut Connection, topic: &str) -> Result<u64> {
    let mut all = 0;
    let mut place = Some(Lane {
        topic: topic.to_owned(),
        key: String::new(),
    });
    while let Some(after) = place {
        let (found, next) = sweep(connection, &after)?;
        all += found;
        place = next.filter(|next| next.topic == topic);
    }
    Ok(all)
}

/// Makes lanes; returns those that are there now. All together, or, if one cannot be had, some by
/// themselves, whichever: a sender may be about to make a thousand of them, and the others get
/// their turns.
fn make(connection: &mut Connection, lanes: Vec<Lane>) -> Result<Vec<Lane>> {
    if lanes.is_empty() || make_some(connection, &lanes).is_ok() {
        return Ok(lanes);
    }
    let started = Instant::now();
    let mut lanes = lanes;
    fastrand::shuffle(&mut lanes);
    let mut made = Vec::new();
    for lane in lanes {
        if started.elapsed() > SINGLE_TIME {
            break;
        }
        match make_some(connection, std::slice::from_ref(&lane)) {
            Ok(()) => made.push(lane),
            Err(error) if connection.is_closed() => return Err(error),
            // A sender is about to make it; later.
            Err(_) => {}
        }
    }
    Ok(made)
}

fn make_some(connection: &mut Connection, lanes: &[Lane]) -> Result<()> {
    apart(connection, DOING, |open| {
        open.run(LANE_PATIENCE).doing(DOING)?;
        keys::make(open, lanes)
    })
}
