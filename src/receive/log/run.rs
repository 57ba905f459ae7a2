//! The transactions of one lane: lock, handle, move, commit, and on to the next.
//!
//! Entries never change, and their order does not depend on who reads them. So they are read ahead,
//! several batches at a time, with no lock held; what a transaction locks is the lane, and what it
//! compares is the number of the place, which nobody else changes as long as it is the one that was
//! written here. The statement that reads the place comes after the one that locks, and sees what
//! the last holder committed.
//!
//! What is in memory is handled in transactions that are chained: one flight for each batch. When
//! it is used up, a tick is made if there is something new, in a transaction of its own, since
//! others wait for that, and the next entries are read.

use crate::connect::connection::Connection;
use crate::log::slices::SharedSlices;
use crate::log::ticks::tick;
use crate::observe::spans;
use crate::receive::log::ahead::Ahead;
use crate::receive::log::hand::{self, Before, Care};
use crate::receive::log::lane::{self, LOOKING, LaneHand, LanePlace};
use crate::receive::log::lane_state::{EntryCharge, LaneState, Noted};
use crate::receive::log::reading::{LaneWorked, LogReading};
use crate::receive::log::transact::transact;
use crate::receive::telling::look_at_clock;
use crate::receive::transaction::careful::COME_BACK;
use crate::session::handler_session::HandlerSession;
use crate::threads::Stop;
use crate::words::error::Result;
use crate::words::sqlstate::classify;
use postgres::IsolationLevel;
use std::time::{Duration, Instant};

/// How long nothing has to be there before the place says that nothing is in hand: short pauses
/// cost nothing.
const PAUSE: Duration = Duration::from_millis(500);
/// A place is moved over so many ticks without entries of the lane.
const FAR: i64 = 16;

/// How long a reader waits for another one of its process that reads: longer than that takes, and
/// who hangs holds nobody up.
const PATIENCE: Duration = Duration::from_millis(200);

/// How transactions ended.
enum LaneEnded {
    /// What is in memory is used up, or nothing was.
    ReadMore,
    /// For another reason.
    Worked(LaneWorked),
}

/// Runs transactions on `connection` until all is read or the stop is set.
///
/// # Errors
/// What ended a transaction other than a commit. Nothing of it happened, or, if the connection
/// broke during COMMIT, all of it; the place says which.
pub(crate) fn run_transactions(
    reading: &LogReading,
    connection: &mut Connection,
    state: &mut LaneState,
    stop: &Stop,
) -> Result<LaneWorked> {
    state.entered = None;
    // What the place says to be in hand may be less than several batches.
    state.are_light = false;
    if state.whereabouts.replace(connection.whereabouts()) != Some(connection.whereabouts()) {
        // What was read there may not be here: a standby that was promoted may lack what came last.
        reading.forget_shared();
        state.ahead.forget();
        state.lose();
    }
    let mut ahead = std::mem::take(&mut state.ahead);
    let ended = run(reading, connection, state, &mut ahead, stop);
    state.ahead = ahead;
    ended
}

fn run(
    reading: &LogReading,
    connection: &mut Connection,
    state: &mut LaneState,
    ahead: &mut Ahead,
    stop: &Stop,
) -> Result<LaneWorked> {
    loop {
        if stop.is_set() {
            return Ok(LaneWorked::Again);
        }
        look_at_clock(reading.side.observers(), connection);
        if reading.is_paused() {
            rest(reading, connection, state, ahead)?;
            return Ok(LaneWorked::AtEnd(None));
        }
        let changed_at = reading.changed_at();
        // Somebody may have moved the place.
        let is_new = std::mem::replace(&mut state.changed_at, changed_at) != changed_at;
        if state.place.is_some() && ahead.is_empty() && !is_new {
            read_on(reading, connection, ahead)?;
            if ahead.is_empty() {
                return end(reading, connection, state, ahead);
            }
        }
        match transactions(reading, connection, state, ahead, stop)? {
            LaneEnded::ReadMore => {}
            LaneEnded::Worked(worked) => return Ok(worked),
        }
    }
}

/// Reads the next entries, or takes them from what another reader has read.
fn read_on(reading: &LogReading, connection: &mut Connection, ahead: &mut Ahead) -> Result<()> {
    let Some(slices) = reading.shared() else {
        return spans::within(spans::claim(&reading.log), |_| {
            tick(connection, &reading.log)?;
            ahead.read(connection, reading.batch).map(drop)
        });
    };
    if ahead.take_shared(slices) {
        return read_further(reading, connection, ahead, slices);
    }
    let turn = slices.begin(slices.reading.lock_until(Instant::now() + PATIENCE));
    if ahead.take_shared(slices) {
        drop(turn);
        return read_further(reading, connection, ahead, slices);
    }
    spans::within(spans::claim(&reading.log), |_| {
        tick(connection, &reading.log)?;
        if let Some(slice) = ahead.read(connection, reading.batch)? {
            turn.keep(slice);
        }
        Ok(())
    })
}

/// Reads what comes after the slice at hand, unless somebody does or did: or else all readers would
/// come to its end and wait for one of them, with nobody at work.
fn read_further(
    reading: &LogReading,
    connection: &mut Connection,
    ahead: &mut Ahead,
    slices: &SharedSlices,
) -> Result<()> {
    let Some(lock) = slices.reading.lock_until(Instant::now()) else {
        return Ok(());
    };
    let turn = slices.begin(Some(lock));
    if slices.after(ahead.place()).is_some() {
        return Ok(());
    }
    spans::within(spans::claim(&reading.log), |_| {
        if let Some(slice) = ahead.read_further(connection, reading.batch)? {
            turn.keep(&slice);
        }
        Ok(())
    })
}

/// Runs transactions as long as there are entries in memory.
fn transactions(
    reading: &LogReading,
    connection: &mut Connection,
    state: &mut LaneState,
    ahead: &mut Ahead,
    stop: &Stop,
) -> Result<LaneEnded> {
    let mut session = begin(reading, connection)?;
    let flight = session.open()?.flight().of_names();
    let mut found = lane::look(reading, &mut session, state.lane_at(), flight)?;
    let mut care = Care::default();
    loop {
        let Some(place) = found else {
            session.end(LOOKING)?;
            state.lose();
            ahead.forget();
            return Ok(LaneEnded::Worked(LaneWorked::Elsewhere));
        };
        if state.place != Some((place.moved, place.at)) {
            // Maybe of another database, restored from a dump, or of another reader of this name.
            reading.forget_shared();
            ahead.go_to(reading, state.lane, place.at);
            ahead.read(session.open()?, reading.batch)?;
            take_over(reading, &mut session, state, place, ahead)?;
        }
        if ahead.is_empty() || stop.is_set() || reading.is_paused() {
            session.end(LOOKING)?;
            return Ok(LaneEnded::ReadMore);
        }
        let is_charged = state.is_charged(ahead.next().position);
        if !is_charged {
            if !care.is_taken(reading, state, Instant::now()) {
                session.end(LOOKING)?;
                return Ok(LaneEnded::Worked(LaneWorked::AtEnd(Some(COME_BACK))));
            }
            if state.noted != state.wanted() {
                found = note(reading, &mut session, state, place)?;
                continue;
            }
        }
        match transact(reading, &mut session, state, ahead, stop)? {
            Some(next) => found = next,
            None => {
                session.committed();
                return Ok(LaneEnded::ReadMore);
            }
        }
    }
}

fn begin<'c>(
    reading: &'c LogReading,
    connection: &'c mut Connection,
) -> Result<HandlerSession<'c>> {
    let transaction = connection
        .begin(Some(IsolationLevel::ReadCommitted))
        .map_err(|error| classify(error, "beginning a transaction"))?;
    let process = &reading.side.base.process;
    Ok(HandlerSession::begun(process, transaction, false))
}

/// Takes a lane over from whoever had it before.
fn take_over(
    reading: &LogReading,
    session: &mut HandlerSession<'_>,
    state: &mut LaneState,
    place: LanePlace,
    ahead: &Ahead,
) -> Result<()> {
    state.lose();
    let before = hand::before(session.open()?, reading, &place.hand)?;
    state.place = Some((place.moved, place.at));
    match before {
        Before::Well => {}
        Before::Died { entries } => state.take_care(entries, 1),
        Before::Killed { deaths, others } => match hand::killed(&reading.side.terms(), deaths) {
            Some(fate) if !ahead.is_empty() => {
                let position = ahead.next().position;
                state.charge = Some(EntryCharge { position, fate });
                state.take_care(others, 1);
            }
            _ => state.take_care(others + 1, deaths),
        },
    }
    Ok(())
}

/// Notes that the entries after the place are in hand here, commits that, and looks again.
fn note(
    reading: &LogReading,
    session: &mut HandlerSession<'_>,
    state: &mut LaneState,
    place: LanePlace,
) -> Result<Option<LanePlace>> {
    let (noted, hand) = state.hand(reading.me(), 0);
    let mut flight = session.open()?.flight().of_names();
    lane::push_move(
        &mut flight,
        reading,
        state.lane,
        place.moved,
        place.at,
        hand,
    );
    flight.commit();
    flight.begin();
    let found = lane::look(reading, session, state.lane_at(), flight)?;
    state.note_moved(place.at, noted);
    Ok(found)
}

/// Ends the work: nothing is left to read.
fn end(
    reading: &LogReading,
    connection: &mut Connection,
    state: &mut LaneState,
    ahead: &Ahead,
) -> Result<LaneWorked> {
    let since = *state.idle_since.get_or_insert_with(Instant::now);
    state.careful = 0;
    let is_far = state
        .at()
        .is_some_and(|at| ahead.place().tick - at.tick >= FAR);
    // One that was noted as alone must not be taken for the next that comes.
    if state.noted == Noted::Alone || is_far || since.elapsed() >= PAUSE {
        rest(reading, connection, state, ahead)?;
    }
    let has_hand = state.noted != Noted::Nothing;
    Ok(LaneWorked::AtEnd(has_hand.then_some(PAUSE)))
}

/// Says of the lane that nothing is in hand here, if it says otherwise, and moves it over what
/// holds no entries of it.
pub(crate) fn rest(
    reading: &LogReading,
    connection: &mut Connection,
    state: &mut LaneState,
    ahead: &Ahead,
) -> Result<()> {
    let Some((moved, at)) = state.place else {
        return Ok(());
    };
    let to = if ahead.is_empty() {
        ahead.place().max(at)
    } else {
        at
    };
    if state.noted == Noted::Nothing && to == at {
        return Ok(());
    }
    let mut session = begin(reading, connection)?;
    let flight = session.open()?.flight().of_names();
    let found = lane::look(reading, &mut session, state.lane_at(), flight)?;
    if found.is_none_or(|place| place.moved != moved) {
        // Somebody else says it.
        state.lose();
        return session.end(LOOKING);
    }
    let mut flight = session.last_flight(false, false)?;
    lane::push_move(
        &mut flight,
        reading,
        state.lane,
        moved,
        to,
        LaneHand::default(),
    );
    flight.commit();
    let committed = session.commit(flight, false);
    committed.map_err(|refused| refused.error)?;
    session.committed();
    state.note_moved(to, Noted::Nothing);
    Ok(())
}
