//! Asking: how questions come to have an inbox, and who reads it.

use crate::connect::connection::Connection;
use crate::receive::shared_state::Base;
use crate::request::inbox::{GRACE, Inbox};
use crate::request::questions::Questions;
use crate::request::reader::InboxReader;
use crate::session::messaging_session::MessagingSession;
use crate::threads::Service;
use crate::threads::mutex::Mutex;
use crate::threads::timed_lock::{TimedGuard, TimedLock};
use crate::words::{MessageId, NewMessage, Result};
use std::sync::Arc;
use std::time::Instant;

/// All that a process has for its requests.
#[derive(Default)]
pub(crate) struct Requests {
    pub(crate) questions: Arc<Questions>,
    /// The thread of the inbox that was opened last.
    reader: Mutex<Option<Service>>,
    /// Who has it opens the inbox, and a thousand others wait.
    opening: TimedLock,
}

/// The turn to open the inbox; over when it is dropped.
pub(crate) struct OpeningTurn<'r> {
    requests: &'r Requests,
    _opening: TimedGuard<'r>,
}

impl Requests {
    /// Waits for the turn to open the inbox; `None` where it does not come in time.
    pub(crate) fn turn(&self, deadline: Instant) -> Option<OpeningTurn<'_>> {
        let opening = self.opening.lock_until(deadline)?;
        Some(OpeningTurn {
            requests: self,
            _opening: opening,
        })
    }
}

impl OpeningTurn<'_> {
    /// Opens an inbox, unless there is one, and starts its reader. The caller has the process's
    /// upkeep run, and look at what it holds.
    pub(crate) fn open(&self, base: &Base, connection: &mut Connection) -> Result<()> {
        let Requests {
            questions, reader, ..
        } = self.requests;
        if questions.is_open() {
            return Ok(());
        }
        let inbox = Arc::new(Inbox::open(connection)?);
        let holdings = &base.process.holdings;
        holdings.hold(&inbox.topic, GRACE, inbox.lost_flag());
        base.waker.board.add(&inbox.station);
        let reading = InboxReader::new(base.clone(), Arc::clone(&inbox), Arc::clone(questions));
        // Before the reader begins: it closes an inbox of which nobody says that it is new.
        questions.open(&inbox);
        let started = Service::start("outtray-replies", move |stop| reading.run(&stop));
        let started = started.inspect_err(|_| {
            questions.close(&inbox);
            holdings.leave(&inbox.topic);
        })?;
        // The one before has ended, or ends: its inbox is closed.
        if let Some(before) = reader.lock().replace(started) {
            before.leave();
        }
        Ok(())
    }
}

impl MessagingSession<'_> {
    /// Sends a message, which has been through the hooks, under an id that was made before.
    pub(crate) fn send_as(&mut self, id: MessageId, message: NewMessage) -> Result<()> {
        let mut outgoing = self.checked_as_it_is(message)?;
        outgoing.id = id;
        self.send_outgoing(outgoing).map(drop)
    }
}
