//! The claim of a lease: one short transaction in one round trip.

use crate::connect::connection::Connection;
use crate::db::Flight;
use crate::leases;
use crate::max_in_work;
use crate::message::claimed;
use crate::message::floor::{ClaimPlan, Floors, sweep};
use crate::receive::claim::{self, Looked, Taken, look_once};
use crate::threads::mutex::Mutex;
use crate::words::{Doing, Error, Program, Result};
use std::time::{Duration, Instant};

/// Longest lease, a day: what a holder that died keeps from all others. Who needs more prolongs it.
pub(crate) const MAX_LEASE: Duration = Duration::from_secs(86_400);

/// Where a claim looks, and for how long it leases.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) topic: &'a str,
    pub(crate) floors: &'a Mutex<Floors>,
    pub(crate) size: usize,
    pub(crate) lease: Duration,
    /// Which messages to take; `None` for all.
    pub(crate) filter: Option<&'a Program>,
    /// How many messages of the topic may be in work, over all processes; `None` for any number.
    pub(crate) max_in_work: Option<u32>,
}

/// Checks how long a lease is to last.
pub(crate) fn check_lease(topic: &str, lease: Duration, least: Duration) -> Result<()> {
    if lease < least || lease > MAX_LEASE {
        return Err(Error::invalid(format!(
            "lease of topic {topic} is {lease:?}, it must be {least:?} to a day"
        )));
    }
    Ok(())
}

/// Leases the messages that a search from the floors finds. A search that finds none is followed by
/// searches further back, as far as their share of time allows.
pub(crate) fn claim(connection: &mut Connection, wanted: Wanted<'_>) -> Result<Taken> {
    claim::in_span(wanted.topic, || {
        let plan = wanted.floors.lock().plan(Instant::now());
        claim::claim(wanted.floors, plan, |plan| look(connection, wanted, plan))
    })
}

/// Leases the messages that a search from the floors finds, without searching further back.
pub(crate) fn claim_near(connection: &mut Connection, wanted: Wanted<'_>) -> Result<Taken> {
    claim::in_span(wanted.topic, || {
        let plan = wanted.floors.lock().plan(Instant::now());
        look_once(wanted.floors, &plan, |plan| look(connection, wanted, plan))
    })
}

/// Leases messages wherever they are: searches from the very beginning.
pub(crate) fn claim_anywhere(connection: &mut Connection, wanted: Wanted<'_>) -> Result<Taken> {
    claim::in_span(wanted.topic, || {
        look_once(wanted.floors, &sweep(), |plan| {
            look(connection, wanted, plan)
        })
    })
}

fn look(
    connection: &mut Connection,
    mut wanted: Wanted<'_>,
    plan: &ClaimPlan,
) -> Result<Option<Looked>> {
    let started = Instant::now();
    let doing = "leasing messages";
    let rows = match wanted.max_in_work {
        None => {
            let mut flight = connection.flight();
            if wanted.filter.is_none() {
                flight = flight.of_names();
            }
            flight.begin();
            push(&mut flight, wanted, plan);
            flight.commit();
            connection.fly(flight).doing(doing)?
        }
        Some(limit) => {
            let mut open = connection.read_committed(doing)?;
            let mut left = max_in_work::leasable(&mut open, wanted.topic, limit)?;
            // The limit may be there without its slots, brought back by a backup for one.
            if left == 0 && max_in_work::ensure(&mut open, wanted.topic, limit)? > 0 {
                left = max_in_work::leasable(&mut open, wanted.topic, limit)?;
            }
            wanted.size = wanted.size.min(left);
            if wanted.size == 0 {
                return Ok(None);
            }
            let mut flight = open.flight();
            push(&mut flight, wanted, plan);
            open.commit_in(flight, doing)?
        }
    };
    Ok(Some(Looked {
        messages: leases::read(&rows)?,
        asked: wanted.size,
        started,
    }))
}

/// Appends the claim.
fn push(flight: &mut Flight, wanted: Wanted<'_>, plan: &ClaimPlan) {
    let claim = claimed::parameters(wanted.topic, &plan.spans, wanted.size);
    leases::push_lease(flight, claim, wanted.lease, wanted.filter);
}
