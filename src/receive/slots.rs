//! The slot of a worker, where a topic is limited to so many messages in work (see `store::slots`).

use crate::receive::line::Line;
use crate::receive::take::Taken;
use crate::session::messaging_session::MessagingSession;
use crate::store::slots;
use crate::words::Result;
use crate::words::sqlstate::classify;
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
    fn watch(&self) -> bool {
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

/// Takes a slot for the open transaction, if the topic has any. Returns how long to leave the topic alone where none is
/// free.
pub(crate) fn take(line: &Line, session: &mut MessagingSession<'_>) -> Result<Option<Taken>> {
    let Some(limit) = line.max_in_work() else {
        return Ok(None);
    };
    if may_work(line, session, limit)? {
        return Ok(None);
    }
    Ok(Some(Taken {
        wait: line.slots.watch().then_some(ASK_AGAIN),
        ..Taken::default()
    }))
}

/// Notes that messages were claimed: there may be a slot for one more worker, which else watches for one.
pub(crate) fn have_work(line: &Line) {
    if line.max_in_work().is_some() && line.slots.leave_watch() {
        line.station.ring(1);
    }
}

fn may_work(line: &Line, session: &mut MessagingSession<'_>, limit: u32) -> Result<bool> {
    let statements = &line.base.kit.statements;
    let topic = line.topic.as_str();
    let open = session.lent.own()?;
    if line.slots.ensured.load(Ordering::Relaxed) < limit {
        let mut apart = line.base.dedicated.take()?;
        slots::ensure(&mut apart, statements, topic, limit)?;
        line.base.dedicated.give_back(apart);
        line.slots.ensured.store(limit, Ordering::Relaxed);
    }
    if !slots::take(open, statements, topic, limit)? {
        return Ok(false);
    }
    // In a statement of its own, after the lock.
    if slots::leased(open, statements, topic)? == 0 {
        return Ok(true);
    }
    let failed = |error| classify(error, "taking a slot of a limited topic");
    open.flight("SAVEPOINT outtray_slots").map_err(failed)?;
    // One of them is ours.
    let others = slots::take_all(open, statements, topic, limit)?.saturating_sub(1);
    let leased = slots::leased(open, statements, topic)?;
    open.flight("ROLLBACK TO outtray_slots; RELEASE outtray_slots")
        .map_err(failed)?;
    Ok(others >= leased)
}
