//! Releases messages that come after others, in transactions of their own.

use crate::connect::apart::{apart, in_parts};
use crate::connect::connection::Connection;
use crate::dependencies::{self, Changed, Place};
use crate::message::report;
use crate::observe::event::Event;
use crate::observe::observers::Observers;
use crate::on_end::write_ends;
use crate::words::sqlstate::is_held_up;
use crate::words::{DeadReason, MessageId, Result};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Looks at what came after these messages, which may have ended.
pub(crate) fn look(
    connection: &mut Connection,
    observers: &Observers,
    ended: &[Uuid],
) -> Result<Changed> {
    let mut all = Changed::default();
    loop {
        let waiting = dependencies::dependents(connection, ended)?;
        if waiting.is_empty() {
            return Ok(all);
        }
        let looked = settle(connection, observers, &waiting, Some(ended))?;
        let is_last = (waiting.len() as i64) < dependencies::LOOK_LIMIT;
        let is_stuck = looked.cleared == 0 && looked.orphans.is_empty();
        all.add(looked);
        // The same ones would be met again and again: the sweep goes over the rest.
        if is_last || is_stuck {
            return Ok(all);
        }
    }
}

/// Looks at some of the messages that wait for others, from `place` on. Returns where to go on;
/// nothing at the end. Goes on, too, when somebody holds what the end of one of them is written to,
/// or the database does not let one of them go: it is looked at the next time.
pub(crate) fn sweep(
    connection: &mut Connection,
    observers: &Observers,
    place: &Place,
) -> Result<(Changed, Option<Place>)> {
    let mut waiting = dependencies::waiting_after(connection, place)?;
    if waiting.is_empty() {
        return Ok((Changed::default(), None));
    }
    let mut looked = Changed::default();
    let refused = in_parts(&waiting, |some| {
        looked.add(settle(connection, observers, some, None)?);
        Ok(())
    });
    looked.refused = match refused {
        Err(error) if is_held_up(&error) => None,
        refused => refused?,
    };
    let is_last = (waiting.len() as i64) < dependencies::LOOK_LIMIT;
    Ok((looked, waiting.pop().filter(|_| !is_last)))
}

fn settle(
    connection: &mut Connection,
    observers: &Observers,
    waiting: &[Place],
    on: Option<&[Uuid]>,
) -> Result<Changed> {
    let looked = apart(connection, "releasing messages", |open| {
        let looked = dependencies::settle(open, waiting, on)?;
        write_ends(open, &looked.orphans)?;
        Ok(looked)
    })?;
    let mut topics: BTreeMap<&str, Vec<MessageId>> = BTreeMap::new();
    for (topic, end) in &looked.orphans {
        topics.entry(topic).or_default().push(end.id);
    }
    for (topic, ids) in topics {
        let why = "what it comes after will never be done";
        report::dead_together(topic, &ids, DeadReason::Orphaned, why);
        for id in ids {
            observers.tell(|| Event::Dead {
                topic,
                id,
                attempts: None,
                reason: DeadReason::Orphaned,
                error: why,
            });
        }
    }
    Ok(looked)
}
