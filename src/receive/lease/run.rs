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
use crate::receive::lease::deliver::{deliver, write};
use crate::receive::lease::heartbeat::release;
use crate::receive::leases_in_hand::InHand;
use crate::receive::pace::BUDGET;
use crate::receive::shared_state::SharedState;
use crate::receive::worker_state::{Owed, Worked, WorkerState};
use crate::threads::Stop;
use crate::words::error::Result;
use std::time::{Duration, Instant};

/// Leases messages and handles them until `connection` breaks, nothing is ready or it is time to
/// look around.
///
/// # Errors
/// What the database refused or the connection broke at. What was in hand is owed, or free when its
/// lease ends.
pub(crate) fn run_leases(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
    stop: &Stop,
) -> Result<Worked> {
    pay(shared, connection, state)?;
    if shared.is_paused() {
        return Ok(Worked::Idle(None));
    }
    let started = Instant::now();
    if let Some(too_early) = shared.limits.too_early(started) {
        return Ok(Worked::Idle(Some(too_early)));
    }
    // Of messages with a single attempt none may be charged for another.
    let size = match shared.terms().max_attempts {
        ..=1 => 1,
        _ => state.pace.size(),
    };
    let mut allowance = match shared.limits.before(connection, size)? {
        Ok(allowance) => allowance,
        Err(wait) => return Ok(Worked::Idle(Some(wait))),
    };
    let lease = shared.lease();
    let wanted = Wanted {
        topic: &shared.topic,
        floors: &shared.floors,
        size: allowance.size,
        lease,
        filter: shared.limits.filter.as_ref().map(|filter| &filter.program),
        max_in_work: shared.limits.max_in_work(),
    };
    let taken = claim(connection, wanted);
    allowance.spend(taken.as_ref().map_or(0, |taken| taken.messages.len()));
    shared.limits.leave(allowance);
    let taken = taken?;
    shared.limits.claimed(started, !taken.messages.is_empty());
    if taken.messages.is_empty() {
        shared.limits.give_back(connection);
        // One worker that looks again is enough.
        return Ok(match taken.is_used_up {
            true => Worked::UsedUp(shared.limits.ask_again()),
            false => Worked::Idle(taken.wait),
        });
    }
    shared.limits.have_work(&shared.station);
    if taken.is_full {
        shared.station.ring(1);
    }
    handle_each(shared, connection, state, stop, taken, lease).map(|()| Worked::Again)
}

/// Handles what was leased, one after the other as long as that is quick, and gives back the rest.
fn handle_each(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
    stop: &Stop,
    taken: Taken,
    lease: Duration,
) -> Result<()> {
    let (slot, asked) = (&shared.in_hand[state.worker], &shared.base.waker.asked);
    let mut rest = shared
        .heartbeat
        .take(state.worker, slot, asked, taken.messages, lease);
    rest.reverse();
    let started = Instant::now();
    let (mut handled, mut is_alone) = (0, false);
    let mut ended = Ok(());
    while let Some(in_hand) = rest.pop() {
        let is_slow = shared.options.per_transaction.is_none() && started.elapsed() > BUDGET;
        is_alone = in_hand.message.attempts > 0;
        let is_enough = handled > 0 && (is_slow || is_alone);
        if is_enough || stop.is_set() || shared.is_paused() {
            rest.push(in_hand);
            break;
        }
        if is_alone {
            ended = give_back(shared, connection, state, std::mem::take(&mut rest));
            if ended.is_err() {
                rest.push(in_hand);
                break;
            }
        }
        if in_hand.begin() {
            handled += 1;
            ended = deliver(shared, connection, state, &in_hand, lease);
        }
        // A handler may have left the connection in a state that cannot be put back.
        if ended.is_err() || is_alone || connection.is_closed() {
            break;
        }
    }
    state.pace.learn(handled, started.elapsed());
    state.pace.note_alone(is_alone);
    shared
        .concurrency
        .learn(handled, taken.is_full, Instant::now());
    ended.and(give_back(shared, connection, state, rest))
}

/// Gives back what was leased and not begun. What cannot be given back is owed.
fn give_back(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
    rest: Vec<InHand<'_>>,
) -> Result<()> {
    // The heartbeat may have been first.
    let ours = rest.iter().filter(|in_hand| in_hand.begin());
    let proofs: Vec<Proof> = ours.map(|in_hand| in_hand.proof.clone()).collect();
    if proofs.is_empty() {
        return Ok(());
    }
    release(shared, connection, &proofs).inspect_err(|_| {
        state.owed.extend(proofs.into_iter().map(|proof| Owed {
            proof,
            outcome: Outcome::GiveBack { counts: false },
        }));
    })
}

/// Writes what is owed. What the database refuses is left to the end of its lease.
pub(crate) fn pay(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
) -> Result<()> {
    while let Some(owed) = state.owed.pop() {
        let Err(error) = write(shared, connection, &owed.proof, &owed.outcome) else {
            continue;
        };
        if connection.is_closed() {
            state.owed.push(owed);
            return Err(error);
        }
        log::warn!(
            "topic {}: a lease is left to its end: {error}",
            shared.topic
        );
    }
    Ok(())
}
