//! A worker's work under leases: claim in a short transaction, handle without one, settle.
//!
//! A process that dies is charged with all that it had leased, begun or not. So that none of it
//! comes to harm with the one that did it, a message that was delivered before goes alone: what
//! else is in hand goes back first, with no attempt spent. Who never saw a process die pays nothing
//! for that, and who did is charged for nobody but itself from then on.

use crate::connect::connection::Connection;
use crate::leases::Proof;
use crate::message::outcome::Outcome;
use crate::receive::claim::Taken;
use crate::receive::lease::claim::{Wanted, claim};
use crate::receive::lease::deliver::{Owed, deliver, write};
use crate::receive::lease::heartbeat::InHand;
use crate::receive::lease::settle::release;
use crate::receive::line::Line;
use crate::receive::pace::BUDGET;
use crate::receive::ration::{self, Ration};
use crate::receive::slots;
use crate::receive::state::State;
use crate::receive::work::Worked;
use crate::threads::Stop;
use crate::words::error::Result;
use std::time::{Duration, Instant};

/// Leases messages and handles them until `connection` breaks, nothing is ready or it is time to
/// look around.
///
/// # Errors
/// What the database refused or the connection broke at. What was in hand is owed, or free when its
/// lease ends.
pub(crate) fn work(
    line: &Line,
    connection: &mut Connection,
    state: &mut State<'_>,
    stop: &Stop,
) -> Result<Worked> {
    pay(line, connection, state)?;
    if line.is_paused() {
        return Ok(Worked::Idle(None));
    }
    let started = Instant::now();
    if let Some(too_early) = line.too_early(started) {
        return Ok(Worked::Idle(Some(too_early)));
    }
    // Of messages with a single attempt none may be charged for another.
    let size = match line.terms().max_attempts {
        ..=1 => 1,
        _ => state.pace.size(),
    };
    let mut ration = match Ration::take(line, connection, size)? {
        Ok(ration) => ration,
        Err(wait) => return Ok(Worked::Idle(Some(wait))),
    };
    let lease = line.lease();
    let wanted = Wanted {
        topic: &line.topic,
        floors: &line.floors,
        size: ration.size,
        lease,
        filter: line.sieve.as_ref().map(|sieve| &sieve.program),
        max_in_work: line.max_in_work(),
    };
    let taken = claim(connection, wanted);
    ration.spend(taken.as_ref().map_or(0, |taken| taken.messages.len()));
    ration.leave(line);
    let taken = taken?;
    if let Some(sieve) = &line.sieve {
        sieve.learn(started, Instant::now(), !taken.messages.is_empty());
    }
    if taken.messages.is_empty() {
        ration::give_back(line, connection);
        // One worker that looks again is enough.
        return Ok(match taken.is_used_up {
            true => Worked::UsedUp(slots::ask_again(line)),
            false => Worked::Idle(taken.wait),
        });
    }
    slots::have_work(line);
    if taken.is_full {
        line.station.ring(1);
    }
    handle_each(line, connection, state, stop, taken, lease).map(|()| Worked::Again)
}

/// Handles what was leased, one after the other as long as that is quick, and gives back the rest.
fn handle_each(
    line: &Line,
    connection: &mut Connection,
    state: &mut State<'_>,
    stop: &Stop,
    taken: Taken,
    lease: Duration,
) -> Result<()> {
    let (slot, asked) = (&line.in_hand[state.worker], &line.base.waker.asked);
    let mut rest = line
        .heartbeat
        .take(state.worker, slot, asked, taken.messages, lease);
    rest.reverse();
    let started = Instant::now();
    let (mut handled, mut is_alone) = (0, false);
    let mut ended = Ok(());
    while let Some(in_hand) = rest.pop() {
        let is_slow = line.options.per_transaction.is_none() && started.elapsed() > BUDGET;
        is_alone = in_hand.message.attempts > 0;
        let is_enough = handled > 0 && (is_slow || is_alone);
        if is_enough || stop.is_set() || line.is_paused() {
            rest.push(in_hand);
            break;
        }
        if is_alone {
            ended = give_back(line, connection, state, std::mem::take(&mut rest));
            if ended.is_err() {
                rest.push(in_hand);
                break;
            }
        }
        if in_hand.begin() {
            handled += 1;
            ended = deliver(line, connection, state, &in_hand, lease);
        }
        // A handler may have left the connection in a state that cannot be put back.
        if ended.is_err() || is_alone || connection.is_closed() {
            break;
        }
    }
    state.pace.learn(handled, started.elapsed());
    state.pace.note_alone(is_alone);
    line.crew.learn(handled, taken.is_full, Instant::now());
    ended.and(give_back(line, connection, state, rest))
}

/// Gives back what was leased and not begun. What cannot be given back is owed.
fn give_back(
    line: &Line,
    connection: &mut Connection,
    state: &mut State<'_>,
    rest: Vec<InHand<'_>>,
) -> Result<()> {
    // The heartbeat may have been first.
    let ours = rest.iter().filter(|in_hand| in_hand.begin());
    let proofs: Vec<Proof> = ours.map(|in_hand| in_hand.proof.clone()).collect();
    if proofs.is_empty() {
        return Ok(());
    }
    release(line, connection, &proofs).inspect_err(|_| {
        state.owed.extend(proofs.into_iter().map(|proof| Owed {
            proof,
            outcome: Outcome::GiveBack { counts: false },
        }));
    })
}

/// Writes what is owed. What the database refuses is left to the end of its lease.
pub(crate) fn pay(line: &Line, connection: &mut Connection, state: &mut State<'_>) -> Result<()> {
    while let Some(owed) = state.owed.pop() {
        let Err(error) = write(line, connection, &owed.proof, &owed.outcome) else {
            continue;
        };
        if connection.is_closed() {
            state.owed.push(owed);
            return Err(error);
        }
        log::warn!("topic {}: a lease is left to its end: {error}", line.topic);
    }
    Ok(())
}
