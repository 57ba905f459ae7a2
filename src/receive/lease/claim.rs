//! The claim of a lease: one short transaction in one round trip.

use crate::connect::connection::Connection;
use crate::db::flight::Flight;
use crate::leases::{self, Leased, Verdict};
use crate::max_in_work;
use crate::message::claimed;
use crate::message::floor::{Floors, Search, Start, sweep};
use crate::receive::ending::refuse;
use crate::receive::options::Terms;
use crate::words::error::{Error, Result};
use crate::words::filter_program::Program;
use crate::words::sqlstate::classify;
use postgres::IsolationLevel;
use std::sync::{Mutex, MutexGuard, PoisonError};
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
    /// Which messages; nothing: all.
    pub(crate) filter: Option<&'a Program>,
    /// How many messages of the topic may be in work, over all processes; nothing: any number.
    pub(crate) max_in_work: Option<u32>,
}

/// How soon a receiver looks again that found the topic's limit used up.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What a claim found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) leased: Vec<Leased>,
    /// Whether there were as many as were asked for, so that there may be more.
    pub(crate) is_full: bool,
    /// Nothing, and not for good: a look further back is owed after this long.
    pub(crate) wait: Option<Duration>,
    /// Whether all of the topic was looked at.
    pub(crate) is_sure: bool,
    /// Nothing, since as many messages as the topic may have are in work.
    pub(crate) is_used_up: bool,
}

impl Found {
    /// Adds what a look further back found, as far as that one was to look.
    pub(crate) fn add(&mut self, mut rest: Found) {
        self.leased.append(&mut rest.leased);
        self.leased
            .sort_unstable_by_key(|leased| leased.claimed.held.position);
        self.is_full = rest.is_full;
        self.is_sure = rest.is_sure;
        self.wait = rest.wait;
    }
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

/// Leases what a look from the floors finds. One that finds nothing is followed by looks further
/// back as far as they are not rationed.
pub(crate) fn claim(connection: &mut Connection, wanted: Wanted<'_>) -> Result<Found> {
    let mut plan = lock(wanted.floors).plan(Instant::now());
    loop {
        let found = look(connection, wanted, &plan)?;
        if !found.leased.is_empty() || found.is_sure {
            return Ok(found);
        }
        let mut floors = lock(wanted.floors);
        let further_back = match plan.start {
            Start::Head => Ok(floors.look_back()),
            _ => floors.plan_sweep(Instant::now()),
        };
        plan = match further_back {
            Ok(plan) => plan,
            Err(too_early) => {
                return Ok(Found {
                    wait: floors
                        .owe_sweep(too_early, Instant::now())
                        .then_some(too_early),
                    ..found
                });
            }
        };
    }
}

/// Leases what a look from the floors finds, and no further.
pub(crate) fn claim_near(connection: &mut Connection, wanted: Wanted<'_>) -> Result<Found> {
    let plan = lock(wanted.floors).plan(Instant::now());
    look(connection, wanted, &plan)
}

/// Leases what there is, wherever it is.
pub(crate) fn claim_anywhere(connection: &mut Connection, wanted: Wanted<'_>) -> Result<Found> {
    look(connection, wanted, &sweep())
}

fn look(connection: &mut Connection, mut wanted: Wanted<'_>, plan: &Search) -> Result<Found> {
    let started = Instant::now();
    let failed = |error| classify(error, "leasing messages");
    let rows = match wanted.max_in_work {
        None => {
            let mut flight = connection.flight();
            if wanted.filter.is_none() {
                flight = flight.of_names();
            }
            flight.begin();
            push(&mut flight, wanted, plan);
            connection.fly(flight).map_err(failed)?
        }
        Some(limit) => {
            let level = Some(IsolationLevel::ReadCommitted);
            let mut open = connection.begin(level).map_err(failed)?;
            let mut left = max_in_work::leasable(&mut open, wanted.topic, limit)?;
            // The limit may be there without its slots, brought back by a backup for one.
            if left == 0 && max_in_work::ensure(&mut open, wanted.topic, limit)? > 0 {
                left = max_in_work::leasable(&mut open, wanted.topic, limit)?;
            }
            wanted.size = wanted.size.min(left);
            if wanted.size == 0 {
                return Ok(Found {
                    wait: Some(ASK_AGAIN),
                    is_sure: true,
                    is_used_up: true,
                    ..Found::default()
                });
            }
            let mut flight = open.flight();
            push(&mut flight, wanted, plan);
            let rows = open.fly(flight).map_err(failed)?;
            open.committed();
            rows
        }
    };
    let leased = leases::read(&rows)?;
    let is_full = leased.len() == wanted.size;
    lock(wanted.floors).learn(
        plan.start,
        leased.iter().map(|leased| leased.claimed.held.position),
        is_full,
        Instant::now(),
        started.elapsed(),
    );
    Ok(Found {
        is_full,
        is_sure: plan.start == Start::Everything,
        leased,
        ..Found::default()
    })
}

/// Appends the claim and the COMMIT of its transaction.
fn push(flight: &mut Flight, wanted: Wanted<'_>, plan: &Search) {
    let claim = claimed::parameters(wanted.topic, &plan.spans, wanted.size);
    leases::push_lease(flight, claim, wanted.lease, wanted.filter);
    flight.commit();
}

/// Returns what becomes of a message that is not to be delivered any more: one that is to be given
/// up, whose attempts are used up, by leases that ended without an answer, or whose time is over.
pub(crate) fn refusal(leased: &Leased, terms: &Terms) -> Option<Verdict> {
    if leased.is_cancelled {
        // Its row says so, too: it does not come back.
        return Some(Verdict::Release);
    }
    let message = &leased.claimed;
    refuse(message, message.attempts, 0, terms).map(Verdict::from)
}

pub(crate) fn lock(floors: &Mutex<Floors>) -> MutexGuard<'_, Floors> {
    floors.lock().unwrap_or_else(PoisonError::into_inner)
}
