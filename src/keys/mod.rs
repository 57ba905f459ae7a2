//! Keys: how messages of one topic with one key are handled one at a time, in the order of sending.
//!
//! Only the *heads* of each key are in the claim index (`message`): as many as may be in work at
//! the same time, one by default. The messages behind them are in `follower`, the key's *line*,
//! where no claim meets them. So a stuck key costs the others nothing. A message is *out of its
//! line* while it is in `message`, in work or not, or in `scheduled` with a place (a retry, a
//! lease). How many are out is counted from the tables themselves when it matters; a counter could
//! be wrong.
//!
//! # The lane
//!
//! Each key with messages has a row in `lane`. Its lock is the right to move messages into or out
//! of the line. What to move is decided by the *next* statement, since the snapshot of the
//! statement that waited for the lock is as old as its beginning.
//!
//! - A *sender* waits for the lanes of its keys ([`lock`]), sorted, in an upsert. Then it stores
//!   its messages (`send_keyed`): straight into `message` where the key has room and no message
//!   waits, otherwise into `follower`. It takes numbers from the sequence while it holds the lane,
//!   so within a key their order is that of the commits. Senders do this just before COMMIT. A
//!   sender that finds a waiting message and room for it makes that message ready: while senders
//!   hold the lane one after the other, nobody else gets it.
//! - A transaction that *ends* a message must not wait: a sender's transaction may stay open for
//!   long, and a handler's commit has nothing to do with it. So it takes the lanes that are free
//!   ([`push_ended`]), marks the other keys as `stalled`, and in the next statement (`promote`)
//!   moves on the lines whose lanes it got. It needs no rows back to know which these are: the keys
//!   that it did not mark as stalled itself.
//! - Upkeep works off *stalled* keys (`keys::stalled`). It does not wait either, except for keys
//!   whose lanes were held at every look for half a second, and then for 50 ms.
//!
//! The first follower keeps its own place in the topic. A lane is removed with the last message of
//! its key.
//!
//! # Why no message is stuck, and none runs twice
//!
//! Let a message end while a sender holds the lane. The COMMIT of the end publishes "it is gone"
//! and "stalled" together. If the sender's second statement began after that, it sees that the key
//! is free. If it began before, the sender put its message into the line, and whoever gets the lane
//! after the sender's COMMIT sees both: the next sender, or the upkeep that visits the stalled key.
//! The statement that takes the lane also removes "stalled", so the mark goes only together with
//! what the next statement can see. A sender that makes a follower ready leaves the mark in place,
//! since it may stand for more than that follower.
//!
//! A REPEATABLE READ transaction decides from an old snapshot. If another sender was there since,
//! the lane's row has changed, and it gets 40001. Only ends can have happened otherwise: then it
//! puts its message behind one that is gone. It expects that, and marks the key as stalled for each
//! message that it puts into a line. So transactions that only shorten lines need not change the
//! lane's row.
//!
//! Messages that enter a line without a sender (a delay that is over, a redriven dead letter) are
//! put there without the lane, with "stalled" in the same statement: at that moment they have no
//! order relative to what is being sent. The lane may be missing then, since it may be removed
//! between the two; upkeep creates it.
//!
//! Messages that leave a line because they were given up also leave it under the lane, if it is
//! free. Otherwise a transaction that ends the message before them would wait for the row, find it
//! gone, and leave the key with no message out of its line. A cancel skips messages whose lanes are
//! held, and comes again. A purge cannot; it marks their keys as stalled.
//!
//! Only senders wait for others here (and upkeep, for milliseconds, when it creates a lane or one
//! is never free). Two senders with the same keys wait for each other in one order, unless their
//! transactions store several times, as joined sessions do, and sessions that send more than the
//! outbox keeps. That can deadlock, and is a conflict like any other.

pub(crate) mod round;
pub(crate) mod send;
pub(crate) mod stalled;

use crate::db::{Flight, Params, Run, Statement, Value, column, execute, query, sql};
use crate::message::end::{End, How};
use crate::words::sqlstate::held_up;
use crate::words::{ClaimPlace, Result};
use postgres::SimpleQueryRow;
use uuid::Uuid;

static FIND_STALLED: Statement = sql!("find_stalled", Kept);
static LINE_UP_DUE: Statement = sql!("line_up_due", Kept);
pub(crate) static LOCK_LANES: Statement = sql!("lock_lanes", Kept);
static MAKE_LANES: Statement = sql!("make_lanes", Kept);
static MARK_STALLED: Statement = sql!("mark_stalled", Kept);
static PARK: Statement = sql!("park", Anew);
static PROMOTE: Statement = sql!("promote", Keys);
static PUT_BACK: Statement = sql!("put_back", Anew);
static STALLED_KEYS: Statement = sql!("stalled_keys", Anew);
static TAKE_LANES: Statement = sql!("take_lanes", Order);
static TAKE_STALLED: Statement = sql!("take_stalled", Anew);

/// Stalled keys that one transaction looks after: so many lanes it holds, for milliseconds.
pub(crate) const TEND_LIMIT: i64 = 1000;

/// Messages of a topic that one transaction parks, for the same reason.
pub(crate) const PARK_LIMIT: i64 = 1000;

/// Keys with followers that one search for stuck ones goes over: some 30 ms.
const FIND_LIMIT: i64 = 2000;

/// A key of a topic; by default one before all others.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Lane {
    pub(crate) topic: String,
    pub(crate) key: String,
}

/// Locks the lanes of keys until the transaction ends. Blocks while other senders hold one of them.
pub(crate) fn lock(run: &mut dyn Run, topics: &[&str], keys: &[Option<&str>]) -> Result<()> {
    let doing = "waiting for the turn of a key";
    let locked = execute(run, &LOCK_LANES, &[&topics, &keys], doing);
    locked.map(drop).map_err(|error| {
        let keyed = topics.iter().zip(keys).find(|(_, key)| key.is_some());
        let topic = keyed.map_or("", |(topic, _)| topic);
        held_up(
            error,
            &format!("a key of a message (the first is of topic {topic})"),
        )
    })
}

/// Appends to the flight that ended messages of these keys what moves their lines on. Its rows are
/// for
/// [`take_promoted`].
pub(crate) fn push_ended<'a>(
    flight: &mut Flight,
    topic: &str,
    keys: impl Iterator<Item = &'a str>,
) {
    let mut keys: Vec<Option<&str>> = keys.map(Some).collect();
    if keys.is_empty() {
        return;
    }
    keys.sort_unstable();
    keys.dedup();
    let values = [
        Value::Text(topic),
        Value::Texts(keys),
        Value::Uuid(Uuid::now_v7()),
    ];
    flight.call(&TAKE_LANES, &values);
    flight.call(&PROMOTE, &values);
}

/// What became of the keys of messages that ended.
#[derive(Debug, Default)]
pub(crate) struct Promoted {
    /// The places of the messages that became ready.
    pub(crate) places: Vec<ClaimPlace>,
    /// Keys whose lanes others hold: they make the next of theirs ready, or upkeep does.
    pub(crate) awaited: Vec<String>,
}

/// Takes the rows of [`push_ended`] out of those of its flight.
pub(crate) fn take_promoted(rows: &mut Vec<SimpleQueryRow>) -> Promoted {
    let mut promoted = Promoted::default();
    rows.retain(|row| {
        let Ok(key) = row.try_get("awaited_key") else {
            return true;
        };
        promoted.awaited.extend(key.map(ToOwned::to_owned));
        let text = |name| row.try_get(name).ok().flatten();
        let rank = text("promoted_rank").and_then(|text| text.parse().ok());
        let seq = text("promoted_seq").and_then(|text| text.parse().ok());
        let place = rank.zip(seq);
        promoted
            .places
            .extend(place.map(|(rank, seq)| ClaimPlace { rank, seq }));
        false
    });
    promoted
}

/// Returns the next stalled keys after a place: those with a lane, and those whose lane has to be
/// made first.
pub(crate) fn stalled(run: &mut dyn Run, after: &Lane) -> Result<(Vec<Lane>, Vec<Lane>)> {
    let doing = "looking for stalled keys";
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let params: Params<'_> = &[&TEND_LIMIT, &after.topic, &after.key];
    for row in query(run, &STALLED_KEYS, params, doing)? {
        let lane = Lane {
            topic: column(&row, "topic")?,
            key: column(&row, "key")?,
        };
        match column(&row, "has_lane")? {
            true => with.push(lane),
            false => without.push(lane),
        }
    }
    Ok((with, without))
}

/// Makes lanes. Blocks while a sender that is about to make one of them has its transaction open.
pub(crate) fn make(run: &mut dyn Run, lanes: &[Lane]) -> Result<()> {
    let (topics, keys) = columns(lanes);
    let doing = "making the lanes of stalled keys";
    execute(run, &MAKE_LANES, &[&topics, &keys], doing).map(drop)
}

/// Locks the lanes that are free until the transaction ends, and says that they are no longer
/// stalled.
pub(crate) fn take_stalled(run: &mut dyn Run, lanes: &[Lane]) -> Result<Vec<Lane>> {
    let (topics, keys) = columns(lanes);
    let doing = "taking stalled keys";
    query(run, &TAKE_STALLED, &[&topics, &keys], doing)?
        .iter()
        .map(|row| {
            Ok(Lane {
                topic: column(row, "topic")?,
                key: column(row, "key")?,
            })
        })
        .collect()
}

/// Moves the lines of keys on whose lanes are held since an earlier statement. Returns the messages
/// that were parked, without their keys: those are looked after here.
pub(crate) fn tend(run: &mut dyn Run, topic: &str, keys: &[&str]) -> Result<Vec<End>> {
    let doing = "moving the lines of keys on";
    let rows = query(run, &PARK, &[&topic, &keys, &PARK_LIMIT], doing)?;
    let parked = rows
        .iter()
        .map(|row| End::read(row, How::Dead))
        .collect::<Result<_>>()?;
    execute(run, &PUT_BACK, &[&topic, &keys], doing)?;
    let said_by = Uuid::now_v7();
    let params: Params<'_> = &[&topic, &keys, &said_by];
    execute(run, &PROMOTE, params, doing)?;
    Ok(parked)
}

/// Finds keys that are stuck although they should not be among the next ones after a place, and
/// makes them stalled. Returns how many, and where to go on; `None` at the end.
pub(crate) fn find_stalled(run: &mut dyn Run, after: &Lane) -> Result<(u64, Option<Lane>)> {
    let doing = "looking for stuck keys";
    let params: Params<'_> = &[&after.topic, &after.key, &FIND_LIMIT];
    let (mut stuck, mut last) = (Vec::new(), None);
    for row in query(run, &FIND_STALLED, params, doing)? {
        let lane = Lane {
            topic: column(&row, "topic")?,
            key: column(&row, "key")?,
        };
        if column(&row, "is_last")? {
            last = Some(lane.clone());
        }
        if column(&row, "is_stuck")? {
            stuck.push(lane);
        }
    }
    if !stuck.is_empty() {
        let (topics, keys) = columns(&stuck);
        let params: Params<'_> = &[&topics, &keys, &Uuid::now_v7()];
        execute(run, &MARK_STALLED, params, doing)?;
    }
    Ok((stuck.len() as u64, last))
}

/// Puts messages whose delay is over behind those of their keys; returns how many.
pub(crate) fn line_up_due(run: &mut dyn Run, topics: &[String], ids: &[Uuid]) -> Result<u64> {
    let params: Params<'_> = &[&topics, &ids, &Uuid::now_v7()];
    execute(run, &LINE_UP_DUE, params, "lining up due messages")
}

fn columns(lanes: &[Lane]) -> (Vec<&str>, Vec<&str>) {
    lanes
        .iter()
        .map(|lane| (lane.topic.as_str(), lane.key.as_str()))
        .unzip()
}
