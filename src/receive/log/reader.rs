//! The life of the thread of a lane: parked, at work, or waiting for the database to come back.

use crate::observe::connection_of::ConnectionOf;
use crate::observe::fields::told;
use crate::observe::link::Link;
use crate::receive::log::blame::judge;
use crate::receive::log::lane_state::{LaneState, Noted};
use crate::receive::log::reading::{LaneWorked, LogReading};
use crate::receive::log::run::{rest, run_transactions};
use crate::threads::Stop;
use crate::threads::pause::Pause;
use crate::wake::board::Station;
use crate::words::Result;
use crate::words::error::chain;
use crossbeam_channel::{after, never, select};
use std::time::Duration;

/// How soon a lane that somebody else has is asked for again: at first, and at most. Nobody tells
/// when its holder dies. Only lanes in work are held, so an idle log is not asked for.
const ELSEWHERE: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(400));

/// Reads a lane until stopped.
pub(crate) fn run(reading: &LogReading, lane: usize, stop: &Stop) {
    let mut state = LaneState::new(lane, reading.batch);
    let mut elsewhere = ELSEWHERE.0;
    let mut wait = None;
    while park(&reading.stations[lane], wait, stop) {
        wait = match shift(reading, &mut state, stop) {
            LaneWorked::Elsewhere => {
                let wait = elsewhere;
                elsewhere = (elsewhere * 2).min(ELSEWHERE.1);
                Some(wait)
            }
            LaneWorked::AtEnd(wait) => {
                elsewhere = ELSEWHERE.0;
                wait
            }
            LaneWorked::Again => None,
        };
    }
    if state.noted != Noted::Nothing
        && let Err(error) = let_go(reading, &mut state)
    {
        // Whoever comes next takes it for dead, which only costs care.
        let (log, why) = (&reading.log, chain(&error));
        tracing::debug!(topic = told(log), error = told(&why), "log {log}: {why}");
    }
}

/// Says of the lane that nothing is in hand here any more.
fn let_go(reading: &LogReading, state: &mut LaneState) -> Result<()> {
    let dedicated = &reading.side.base.dedicated;
    let mut connection = dedicated.take()?;
    let ahead = std::mem::take(&mut state.ahead);
    rest(reading, &mut connection, state, &ahead)?;
    dedicated.give_back(connection);
    Ok(())
}

/// Waits until there may be entries, `wait` at most. Returns whether to go on.
fn park(station: &Station, wait: Option<Duration>, stop: &Stop) -> bool {
    let over = wait.map_or_else(never, after);
    select! {
        recv(stop.signal()) -> _ => false,
        recv(station.permits()) -> _ => !stop.is_set(),
        recv(over) -> _ => !stop.is_set(),
    }
}

/// Reads until all is read, through whatever happens to the database.
fn shift(reading: &LogReading, state: &mut LaneState, stop: &Stop) -> LaneWorked {
    let mut pause = Pause::new();
    let mut is_troubled = false;
    let mut link = Link::default();
    let side = &reading.side;
    let of = ConnectionOf::Worker { topic: &side.topic };
    while !stop.is_set() {
        let worked = once(reading, state, stop);
        link.learn(side.observers(), of, &worked);
        match worked {
            Ok(LaneWorked::Again) => {
                pause.reset();
                is_troubled = false;
            }
            Ok(worked) => return worked,
            Err(error) => {
                reading.forget_shared();
                let is_about_entries = judge(reading, state, &error);
                let LogReading { log, name, .. } = reading;
                let why = chain(&error);
                let text = format!("log {log}, reader {name}: {why}");
                // Once for each trouble: it may last for hours.
                if is_troubled {
                    tracing::debug!(topic = told(log), error = told(&why), "{text}");
                } else {
                    tracing::warn!(topic = told(log), error = told(&why), "{text}");
                }
                is_troubled = true;
                if !is_about_entries && !pause.wait(stop) {
                    break;
                }
            }
        }
    }
    LaneWorked::Again
}

/// Runs transactions on one connection, which goes back unless it broke.
fn once(reading: &LogReading, state: &mut LaneState, stop: &Stop) -> Result<LaneWorked> {
    let dedicated = &reading.side.base.dedicated;
    let mut connection = dedicated.take()?;
    let worked = run_transactions(reading, &mut connection, state, stop);
    dedicated.give_back(connection);
    worked
}
