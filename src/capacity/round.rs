//! Takes notes of what was vacated off the numbers of bounded topics, which senders do only where
//! one looks full.

use crate::capacity;
use crate::connect::apart::apart;
use crate::connect::connection::Connection;
use crate::words::sqlstate::is_held_up;
use crate::words::{Doing, Result};
use std::time::{Duration, Instant};

/// How long a room is waited for: behind a few senders that take some of it, not behind one whose
/// transaction stays open.
const ROOM_PATIENCE: &str = "SET LOCAL lock_timeout = '20ms'";

/// Takes some of what was vacated off the numbers of topics that have many notes of it, for `turn`
/// at most. Returns whether there may be more.
pub(crate) fn fold(connection: &mut Connection, turn: Duration) -> Result<bool> {
    let started = Instant::now();
    let mut topics = capacity::crowded(connection)?;
    // In any order: senders may hold the rooms of some for long.
    fastrand::shuffle(&mut topics);
    let mut is_behind = false;
    for topic in &topics {
        while fold_topic(connection, topic)? {
            if started.elapsed() >= turn {
                return Ok(true);
            }
        }
        is_behind |= started.elapsed() >= turn;
    }
    Ok(is_behind)
}

/// Takes a batch of what was vacated off the number of one topic, unless senders hold its room.
fn fold_topic(connection: &mut Connection, topic: &str) -> Result<bool> {
    const DOING: &str = "taking off what was vacated";
    let folded = apart(connection, DOING, |open| {
        open.run(ROOM_PATIENCE).doing(DOING)?;
        capacity::fold_batch(open, topic)
    });
    match folded {
        Err(error) if is_held_up(&error) => Ok(false),
        folded => folded,
    }
}
