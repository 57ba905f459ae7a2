//! One transaction of a lane, from the handler to the commit.

use crate::observe::spans;
use crate::receive::log::ahead::Ahead;
use crate::receive::log::aside::{self, keys_aside};
use crate::receive::log::lane::{self, LaneHand, LanePlace};
use crate::receive::log::lane_state::{LaneState, Noted};
use crate::receive::log::pieces::Pieces;
use crate::receive::log::reading::LogReading;
use crate::receive::progress::Hand;
use crate::receive::telling;
use crate::receive::transaction::committed_by_handler::is_committed;
use crate::session::handler_session::{HandlerSession, NotCommitted};
use crate::threads::Stop;
use crate::words::error::{Error, Result};
use std::collections::HashSet;

/// The place of the lane in the next transaction, which the flight that commits began: `None` if
/// somebody else has the lane.
type NextPlace = Option<LanePlace>;

/// Handles the next entries, one batch or several, moves the place and commits. Returns what the
/// next transaction found, if the same flight began one.
pub(crate) fn transact(
    reading: &LogReading,
    session: &mut HandlerSession<'_>,
    state: &mut LaneState,
    ahead: &mut Ahead,
    stop: &Stop,
) -> Result<Option<NextPlace>> {
    let (size, most) = match state.is_charged(ahead.next().position) {
        true => (1, 1),
        false => (state.size(), state.most()),
    };
    let entries = ahead.batch(most);
    let mut hand = Hand::default();
    reading.side.progress.take_some(&mut hand, entries.len());
    let mut busy = HashSet::new();
    if state.may_have_aside && entries.iter().any(|entry| entry.key_text().is_some()) {
        let aside = keys_aside(session.open()?, reading, entries)?;
        state.may_have_aside = aside.are_any;
        busy = aside.keys;
    }
    let mut pieces = Pieces::new(reading, entries, size, &busy);
    if let Some(charge) = &state.charge {
        pieces.know(charge);
    }
    if let Err(error) = pieces.run(session, state, stop) {
        match is_committed(&error) {
            true => take_up(reading, session, state, &mut pieces, error)?,
            false => return Err(error),
        }
    }
    session.restore()?;
    let mut committed = commit(reading, session, state, ahead, &pieces, stop);
    if let Err(NotCommitted {
        error,
        is_undone: true,
    }) = &committed
    {
        pieces.refused(error);
        pieces.run(session, state, stop)?;
        session.restore()?;
        committed = commit(reading, session, state, ahead, &pieces, stop);
    }
    let next = committed.map_err(|refused| refused.error)?;
    let (done, narrowed_to) = (pieces.done, pieces.narrowed_to);
    state.may_have_aside |= pieces
        .aside
        .iter()
        .any(|one| one.entry.key_text().is_some());
    // One that lies further on is still to be put aside.
    let at = state.at();
    state.charge.take_if(|charge| Some(charge.position) <= at);
    state.learn(done, narrowed_to);
    ahead.done(done);
    Ok(next)
}

/// Goes on after a handler that committed: what it did is there, so that its entries must not run
/// again.
fn take_up(
    reading: &LogReading,
    session: &mut HandlerSession<'_>,
    state: &LaneState,
    pieces: &mut Pieces<'_, '_>,
    error: Error,
) -> Result<()> {
    session.begin_over()?;
    let flight = session.open()?.flight().of_names();
    let found = lane::look(reading, session, state.lane_at(), flight)?;
    if found.map(|place| place.moved) != state.moved() {
        // Somebody else was quicker.
        return Err(error);
    }
    pieces.give_up(&error);
    Ok(())
}

/// Puts aside what failed, moves the place, commits, and begins the next transaction in the same
/// flight if it may.
fn commit(
    reading: &LogReading,
    session: &mut HandlerSession<'_>,
    state: &mut LaneState,
    ahead: &Ahead,
    pieces: &Pieces<'_, '_>,
    stop: &Stop,
) -> Result<Option<NextPlace>, NotCommitted> {
    let certain = |error| NotCommitted {
        error,
        is_undone: false,
    };
    if !pieces.aside.is_empty() {
        let top = session.top().map_err(certain)?;
        aside::write(top, &reading.side.topic, &pieces.aside).map_err(certain)?;
    }
    let ends = stop.is_set() || reading.is_paused();
    let is_chained = !ends && !session.is_spent() && !ahead.is_used_up(pieces.done);
    let (moved, at) = state.place.unwrap_or((0, ahead.place()));
    let to = ahead.place_after(pieces.done).unwrap_or(at);
    state.are_light = pieces.are_light();
    let (noted, hand) = match ends {
        true => (Noted::Nothing, LaneHand::default()),
        false => state.hand(reading.me(), pieces.done),
    };
    let is_checked = pieces.is_checked_at_commit();
    let mut flight = session.last_flight(is_checked, false).map_err(certain)?;
    lane::push_move(&mut flight, reading, state.lane, moved, to, hand);
    flight.commit();
    if is_chained {
        flight.begin();
        lane::push_look(&mut flight, reading, state.lane_at());
    }
    let span = spans::settle(&reading.log, pieces.done, [].into_iter());
    let committed = session.commit_in(span, flight, is_checked);
    // Also after an error: it may have come after the COMMIT, and a false hint costs a look.
    let (side, news) = (&reading.side, session.news());
    side.base.waker.announce(&news);
    let rows = committed.inspect_err(|refused| {
        if !refused.is_undone {
            let (deliveries, sent) = (&mut state.deliveries, news.sent_ids());
            let why = (&refused.error, !is_chained);
            telling::tell_unknown(side.observers(), deliveries, &side.topic, &sent, why);
        }
    })?;
    // Before anything else can fail: it is committed.
    aside::announce(reading, &pieces.aside);
    side.progress.count(pieces.done - pieces.aside.len(), 0, 0);
    news.tell(side.observers());
    aside::tell(reading, &pieces.aside, &mut state.deliveries);
    pieces.tell_done(&mut state.deliveries);
    state.deliveries.take_all();
    state.entered = None;
    state.conflicts = 0;
    state.note_moved(to, noted);
    match is_chained {
        true => lane::read_look(&rows).map(Some).map_err(certain),
        false => Ok(None),
    }
}
