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
use crate::receive::lease::deliver::LeaseWorker;
use crate::receive::lease::heartbeat::release;
use crate::receive::leases_in_hand::{InHand, PUT_OFF};
use crate::receive::shared_state::SharedState;
use crate::receive::telling::look_at_clock;
use crate::receive::worker_state::{Worked, WorkerState};
use crate::threads::Stop;
use crate::words::Result;
use std::time::Instant;

/// Leases messages and handles them until `connection` breaks, nothing is ready or it is time to
/// look around.
///
/// # Errors
/// What the database refused or the connection broke at. What was in hand is still to be settled,
/// or free when its lease ends.
pub(crate) fn run_leases(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
    stop: &Stop,
) -> Result<Worked> {
    let lease = shared.lease();
    let mut worker = LeaseWorker {
        shared,
        connection,
        state,
        lease,
    };
    // What could not be settled before.
    worker.settle()?;
    look_at_clock(shared.observers(), worker.connection);
    if shared.is_paused() {
        shared.limits.give_back(worker.connection);
        return Ok(Worked::Idle(None));
    }
    worker.claim_and_handle(stop)
}

impl LeaseWorker<'_, '_> {
    /// Leases messages and handles them.
    fn claim_and_handle(&mut self, stop: &Stop) -> Result<Worked> {
        let (shared, started) = (self.shared, Instant::now());
        let limits = &shared.limits;
        if let Some(too_early) = limits.too_early(started) {
            return Ok(Worked::Idle(Some(too_early)));
        }
        // Of messages with a single attempt none may be charged for another.
        let size = match shared.terms().max_attempts {
            ..=1 => 1,
            _ => self.state.pace.size(),
        };
        let mut allowance = match limits.before(self.connection, size)? {
            Ok(allowance) => allowance,
            Err(wait) => return Ok(Worked::Idle(Some(wait))),
        };
        let wanted = Wanted {
            topic: &shared.topic,
            floors: &shared.floors,
            size: allowance.size,
            lease: self.lease,
            filter: limits.filter.as_ref().map(|filter| &filter.program),
            max_in_work: limits.max_in_work(),
        };
        let claimed_at = Instant::now();
        let taken = claim(self.connection, wanted);
        // Each claim is a commit of its own: where commits are slow, it is to be for more messages.
        self.state.pace.note_preparation(claimed_at.elapsed());
        allowance.spend(taken.as_ref().map_or(0, |taken| taken.messages.len()));
        limits.leave(allowance);
        let taken = taken?;
        limits.claimed(started, !taken.messages.is_empty());
        if taken.messages.is_empty() {
            limits.give_back(self.connection);
            // One worker that looks again is enough.
            return Ok(match taken.is_used_up {
                true => Worked::UsedUp(limits.ask_again()),
                false => Worked::Idle(taken.wait),
            });
        }
        limits.have_work(&shared.station);
        if taken.is_full {
            shared.wake_another();
        }
        self.handle_each(stop, taken, claimed_at)
            .map(|()| Worked::Again)
    }

    /// Handles what was leased, one after the other as long as that is quick, settles what is done
    /// and gives back the rest.
    fn handle_each(&mut self, stop: &Stop, taken: Taken, claimed_at: Instant) -> Result<()> {
        let (shared, worker) = (self.shared, self.state.worker);
        let (slot, asked) = (&shared.in_hand[worker], &shared.base.waker.asked);
        let mut rest = shared.heartbeat.take(
            worker,
            slot,
            asked,
            taken.messages,
            (claimed_at, self.lease),
        );
        rest.reverse();
        let started = Instant::now();
        let is_fixed = shared.options.per_transaction.is_some();
        let (mut handled, mut is_alone) = (0, false);
        let (mut ended, mut settled_at) = (Ok(()), started);
        while let Some(in_hand) = rest.pop() {
            let is_slow = !is_fixed && started.elapsed() > self.state.pace.budget();
            is_alone = in_hand.message.attempts > 0;
            let is_enough = handled > 0 && (is_slow || is_alone);
            if is_enough || stop.is_set() || shared.is_paused() {
                rest.push(in_hand);
                break;
            }
            if is_alone {
                ended = self.give_back(std::mem::take(&mut rest));
                if ended.is_err() {
                    rest.push(in_hand);
                    break;
                }
            }
            if in_hand.begin() {
                handled += 1;
                ended = self.deliver(in_hand);
            }
            if is_fixed && !rest.is_empty() && ended.is_ok() {
                ended = self.settle_on_the_way(&mut settled_at);
            }
            // A handler may have left the connection in a state that cannot be put back.
            if ended.is_err() || is_alone || self.connection.is_closed() {
                break;
            }
        }
        self.state.pace.learn(handled, started.elapsed());
        self.state.pace.note_alone(is_alone);
        shared
            .concurrency
            .learn(handled, taken.is_full, Instant::now());
        ended = ended.and_then(|()| self.settle_here());
        ended = ended.and(self.give_back(rest));
        let waker = &shared.base.waker;
        let limits = &shared.limits;
        limits.give_back_keys(self.connection, waker, &mut self.state.loose);
        ended
    }

    /// Settles what is done of so many messages that they take longer than they may wait, and has
    /// the heartbeat do it where one of them takes long.
    fn settle_on_the_way(&mut self, settled_at: &mut Instant) -> Result<()> {
        self.shared.heartbeat.hurry();
        if settled_at.elapsed() < PUT_OFF / 2 {
            return Ok(());
        }
        let settled = self.settle_here();
        *settled_at = Instant::now();
        settled
    }

    /// Settles what is done, unless the connection is of no more use: then it is settled on the
    /// next one.
    fn settle_here(&mut self) -> Result<()> {
        match self.connection.is_closed() {
            true => Ok(()),
            false => self.settle(),
        }
    }

    /// Gives back what was leased and not begun. What cannot be given back is settled later.
    fn give_back(&mut self, rest: Vec<InHand<'_>>) -> Result<()> {
        // The heartbeat may have been first.
        let ours: Vec<_> = rest.into_iter().filter(InHand::begin).collect();
        let proofs: Vec<Proof> = ours.iter().map(|in_hand| in_hand.proof.clone()).collect();
        if proofs.is_empty() {
            return Ok(());
        }
        release(self.shared, self.connection, &proofs).inspect_err(|_| {
            for in_hand in ours {
                let _ = in_hand.end(Outcome::GiveBack, None);
            }
        })
    }
}
