//! The heartbeat's thread: it prolongs all leases in hand of a receiver at each third of their
//! time, gives back those that wait behind a handler that takes long, and settles those that are
//! done behind one.

use crate::connect::connection::Connection;
use crate::leases::settle::{announce, prolong, settle};
use crate::leases::{BEGIN, Proof};
use crate::message::outcome::Outcome;
use crate::observe::event::Event;
use crate::observe::fields::told;
use crate::receive::claim;
use crate::receive::lease::settle_ended::{Settler, settle_ended};
use crate::receive::leases_in_hand::{AGAIN, BEATS, KeptLease, PUT_OFF, WhichEnded};
use crate::receive::pace::BUDGET;
use crate::receive::shared_state::SharedState;
use crate::threads::{Service, Stop};
use crate::words::{Error, Result};
use crossbeam_channel::{Receiver, select};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a stop and a pause are looked for where a handler may take long although leases behind
/// it are not begun, since their number was asked for.
const LOOK: Duration = Duration::from_millis(100);

/// Starts the thread, which beats until the channel of the workers is closed.
pub(crate) fn start(
    shared: &Arc<SharedState>,
    workers: Receiver<Infallible>,
    stop: Stop,
) -> Result<Service> {
    let (shared, name) = (
        Arc::clone(shared),
        format!("outtray-{}-heartbeat", shared.topic),
    );
    Service::start(&name, move |_| run(&shared, &workers, &stop))
}

fn run(shared: &SharedState, workers: &Receiver<Infallible>, stop: &Stop) {
    let look = match shared.options.per_transaction {
        None => BUDGET,
        Some(_) => LOOK,
    };
    let mut next = Instant::now() + shared.lease() / BEATS;
    // When it may settle, again after trouble.
    let mut settles_from = Instant::now();
    loop {
        // An operator may have changed it.
        let lease = shared.lease();
        let every = lease / BEATS;
        next = next.min(Instant::now() + every);
        shared.heartbeat.plan(every);
        let wait = wait(shared, look, next, settles_from);
        select! {
            recv(workers) -> _ => {
                let _ = settle_for_workers(shared, WhichEnded::All);
                return;
            }
            recv(shared.heartbeat.told) -> _ => {}
            default(wait) => {}
        }
        if let Err(error) = give_back_unbegun(shared, stop) {
            let what = "leases that were not begun are left to their end";
            warn(shared, what, &error);
        }
        let now = Instant::now();
        let is_time = now >= next;
        if is_time || now >= settles_from {
            let which = match is_time {
                true => WhichEnded::All,
                false => WhichEnded::Overdue,
            };
            if let Err(error) = settle_for_workers(shared, which) {
                warn(shared, "messages that are done were not settled", &error);
                settles_from = Instant::now() + again(lease);
            }
        }
        if !is_time {
            continue;
        }
        next = Instant::now() + every;
        if let Err(error) = beat(shared, lease) {
            warn(shared, "leases were not prolonged", &error);
            next = Instant::now() + again(lease);
        }
    }
}

fn warn(shared: &SharedState, what: &str, error: &Error) {
    let topic = &shared.topic;
    tracing::warn!(
        topic = told(topic),
        error = told(error),
        "topic {topic}: {what}: {error}"
    );
}

/// Returns how long there is nothing to do: until the next beat, a look at leases that are not
/// begun, or until what is done is to be settled.
fn wait(shared: &SharedState, look: Duration, next: Instant, settles_from: Instant) -> Duration {
    if look > PUT_OFF {
        shared.heartbeat.note_seldom();
    }
    let now = Instant::now();
    let (is_unbegun, first_ended_at) = shared.heartbeat.waiting();
    let look = is_unbegun.then(|| now + look);
    let settle = first_ended_at.map(|at| (at + PUT_OFF).max(settles_from));
    let first = [look, settle]
        .into_iter()
        .flatten()
        .fold(next, Instant::min);
    first.saturating_duration_since(now)
}

/// Returns how soon what failed is tried again.
fn again(lease: Duration) -> Duration {
    AGAIN.min(lease / 10)
}

/// Settles what is done, for workers that are busy otherwise.
fn settle_for_workers(shared: &SharedState, which: WhichEnded) -> Result<()> {
    let ended = shared.heartbeat.take_from_workers(which);
    if ended.is_empty() {
        return Ok(());
    }
    let settled = match shared.base.dedicated.take() {
        Ok(mut connection) => {
            let settled = settle_ended(shared, &mut connection, Settler::Heartbeat, ended);
            shared.base.dedicated.give_back(connection);
            settled
        }
        Err(error) => {
            ended
                .into_iter()
                .for_each(|ended| shared.heartbeat.put_back(ended));
            Err(error)
        }
    };
    shared.heartbeat.returned();
    settled
}

/// Gives back what waits behind handlers that take long, unless it was asked for in such numbers;
/// and all that is not begun after a stop and during a pause.
fn give_back_unbegun(shared: &SharedState, stop: &Stop) -> Result<()> {
    let is_over = stop.is_set() || shared.is_paused();
    if !is_over && shared.options.per_transaction.is_some() {
        return Ok(());
    }
    let unbegun = shared.heartbeat.take_unbegun(is_over);
    if unbegun.is_empty() {
        return Ok(());
    }
    let proofs: Vec<Proof> = unbegun.iter().map(|kept| kept.proof.clone()).collect();
    let released = shared.base.dedicated.take().and_then(|mut connection| {
        let released = release(shared, &mut connection, &proofs);
        shared.base.dedicated.give_back(connection);
        released
    });
    if released.is_err() {
        shared.heartbeat.keep_to_return(unbegun);
    }
    shared.heartbeat.returned();
    released
}

fn beat(shared: &SharedState, lease: Duration) -> Result<()> {
    let kept = shared.heartbeat.kept();
    if kept.is_empty() {
        return Ok(());
    }
    let proofs: Vec<&Proof> = kept.iter().map(|kept| &kept.proof).collect();
    let mut connection = shared.base.dedicated.take()?;
    let until = Instant::now() + lease;
    let prolonged = prolong(&mut connection, &shared.topic, &proofs, lease);
    shared.base.dedicated.give_back(connection);
    let prolonged = prolonged?;
    let good = proofs
        .iter()
        .filter(|proof| prolonged.contains_key(&proof.receipt));
    shared.heartbeat.prolonged(good.copied(), until);
    for KeptLease { proof, cancel, .. } in &kept {
        // One that is gone is in other hands, or was settled just now, when nobody looks any more.
        if prolonged
            .get(&proof.receipt)
            .is_none_or(|is_cancelled| *is_cancelled)
        {
            cancel.set();
        }
    }
    Ok(())
}

/// Gives back what a receiver leased and did not begin: to their places, with no attempt spent.
pub(crate) fn release(
    shared: &SharedState,
    connection: &mut Connection,
    proofs: &[Proof],
) -> Result<()> {
    let outcome = &Outcome::GiveBack;
    let outcomes: Vec<_> = proofs.iter().map(|proof| (proof, outcome)).collect();
    let settled = settle(
        connection,
        &BEGIN,
        &shared.topic,
        &outcomes,
        shared.keeps_history(),
    )?;
    let places = proofs.iter().map(|proof| proof.held.position);
    claim::lower(&shared.floors, places);
    shared.limits.unspend(proofs.len());
    announce(&shared.base.waker, &shared.topic, outcomes.into_iter());
    let is_cancelled = |proof: &&Proof| settled.get(&proof.receipt) == Some(&true);
    for proof in proofs.iter().filter(is_cancelled) {
        let (topic, id) = (&shared.topic, proof.held.id);
        let cancelled = || Event::Cancelled { topic, id };
        shared.observers().tell(cancelled);
    }
    Ok(())
}
