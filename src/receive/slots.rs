//! The slots of a worker, where a topic is limited to so many messages in work (see `store::slots`). One that handles
//! messages one after the other has one; the messages of a batch are in work together, and have one each.

use crate::connect::connection::Connection;
use crate::receive::line::Line;
use crate::session::messaging_session::MessagingSession;
use crate::store::claim::Claimed;
use crate::store::slots;
use crate::words::sqlstate::classify;
use crate::words::{Error, Result};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// How soon a worker asks again that found no slot free. One of each receiver does: the others would come in vain.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What the workers of a receiver know of their topic's slots.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// The limit for which there are slots.
    ensured: AtomicU32,
    /// The worker that is going to ask again, if one is.
    watcher: Mutex<Option<ThreadId>>,
}

impl Slots {
    /// Returns whether it is up to the calling worker to ask again.
    pub(crate) fn watch(&self) -> bool {
        let mut watcher = self.lock();
        let me = thread::current().id();
        *watcher.get_or_insert(me) == me
    }

    /// Notes that the calling worker is at work; returns whether nobody watches then.
    fn leave_watch(&self) -> bool {
        let mut watcher = self.lock();
        if *watcher == Some(thread::current().id()) {
            *watcher = None;
        }
        watcher.is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the slots of the line's topic, if it is limited and they may not be there. `connection` is in no transaction: others would
/// wait for what it made, for as long as it lasts.
pub(crate) fn ensure(line: &Line, connection: &mut Connection) -> Result<()> {
    let Some(limit) = line.max_in_work() else {
        return Ok(());
    };
    if line.slots.ensured.load(Ordering::Relaxed) < limit {
        slots::ensure(connection, &line.topic, limit)?;
        line.slots.ensured.store(limit, Ordering::Relaxed);
    }
    Ok(())
}

/// Takes a slot of a topic with so many for the open transaction; returns whether one was free.
pub(crate) fn take(line: &Line, session: &mut MessagingSession<'_>, limit: u32) -> Result<bool> {
    let topic = line.topic.as_str();
    let open = session.lent.own()?;
    if slots::take(open, topic, limit, 1)? == 0 {
        return Ok(false);
    }
    // In a statement of its own, after the lock.
    Ok(slots::leased(open, topic)? == 0 || may_have(line, session, limit)? > 0)
}

/// Returns when to look again for a free slot, if that is up to the calling worker.
pub(crate) fn ask_again(line: &Line) -> Option<Duration> {
    line.slots.watch().then_some(ASK_AGAIN)
}

/// Returns how many of `size` messages to claim, with one slot in hand: one after the other they need no more. Each message
/// of a batch needs its own, so no more are claimed than there are slots: those left over would be kept from others.
pub(crate) fn share(
    line: &Line,
    session: &mut MessagingSession<'_>,
    limit: u32,
    size: usize,
) -> Result<usize> {
    if line.batch.is_none() || size == 1 {
        return Ok(size);
    }
    Ok(size.min(may_have(line, session, limit)?.max(1)))
}

/// Takes a slot for each message of a batch. Drops the messages for which there is none any more; they are free again with
/// the end of the transaction.
pub(crate) fn take_rest(
    line: &Line,
    session: &mut MessagingSession<'_>,
    limit: u32,
    messages: &mut Vec<Claimed>,
) -> Result<()> {
    if line.batch.is_none() || messages.len() == 1 {
        return Ok(());
    }
    let most = take_up_to(line, session, limit, messages.len())?;
    if let Some(first) = messages.get(most) {
        line.floors().lower(first.held.position);
        messages.truncate(most);
    }
    Ok(())
}

/// Takes as many of `wanted` slots as the open transaction may have, the one in hand among them, and no more: one that it does
/// not work on would be kept from others.
fn take_up_to(
    line: &Line,
    session: &mut MessagingSession<'_>,
    limit: u32,
    wanted: usize,
) -> Result<usize> {
    let topic = line.topic.as_str();
    let mut most = wanted;
    while most > 1 {
        let open = session.lent.own()?;
        open.run("SAVEPOINT outtray_share").map_err(failed)?;
        // The slot in hand comes with the free ones, unless so many lie before it.
        let taken = slots::take(open, topic, limit, most)?;
        let allowed = match slots::leased(open, topic)? {
            0 => taken,
            _ => may_have(line, session, limit)?,
        };
        let open = session.lent.own()?;
        if taken > 0 && taken <= allowed {
            open.run("RELEASE outtray_share").map_err(failed)?;
            return Ok(taken);
        }
        open.run("ROLLBACK TO outtray_share; RELEASE outtray_share")
            .map_err(failed)?;
        most = allowed.min(taken);
    }
    // The slot in hand stays good: nobody leases on it.
    Ok(1)
}

/// Notes that messages were claimed: there may be a slot for one more worker, which else watches for one.
pub(crate) fn have_work(line: &Line) {
    if line.max_in_work().is_some() && line.slots.leave_watch() {
        line.station.ring(1);
    }
}

/// Returns how many messages the open transaction may have in work: all slots that are free or its own at this moment,
/// less the leases.
fn may_have(line: &Line, session: &mut MessagingSession<'_>, limit: u32) -> Result<usize> {
    let topic = line.topic.as_str();
    let open = session.lent.own()?;
    open.run("SAVEPOINT outtray_slots").map_err(failed)?;
    let may_have = slots::leasable(open, topic, limit)?;
    open.run("ROLLBACK TO outtray_slots; RELEASE outtray_slots")
        .map_err(failed)?;
    Ok(may_have)
}

fn failed(error: postgres::Error) -> Error {
    classify(error, "taking a slot of a limited topic")
}
