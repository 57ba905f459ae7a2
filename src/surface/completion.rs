//! Waiting for messages to end.

use crate::completion;
use crate::surface::messaging::Messaging;
use crate::wake::interrupt::Wait;
use crate::words::completion::{Completion, GroupProgress};
use crate::words::{Error, ErrorKind, MessageId, Result};
use crossbeam_channel::RecvTimeoutError;

impl Messaging {
    /// Returns how a tracked message ended, or `None` while it has not. A failed attempt is not an
    /// end; a dead letter is one until it is redriven. Costs one query.
    ///
    /// # Errors
    /// `NotTracked` for a message that was not sent as [`tracked`](crate::NewMessage::tracked),
    /// whose sender has not committed, or that ended longer ago than its outcome is kept;
    /// `Database` for a result that cannot be read, since another program wrote it;
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn completion(&self, id: MessageId) -> Result<Option<Completion>> {
        let found =
            self.with_connection(|connection, _| completion::outcomes(connection, &[id.0]))?;
        match found.into_iter().next() {
            Some(outcome) => outcome.end.transpose(),
            None => Err(Error::new(
                ErrorKind::NotTracked,
                format!(
                    "nothing is known of the end of message {id}: send it as tracked, and ask in time"
                ),
            )),
        }
    }

    /// Waits at most `timeout` for a tracked message to end, and returns how it ended, or `None`
    /// when the time runs out. Returns at once if the message has already ended.
    ///
    /// Blocks without holding a connection. An end in this process is known at once; an end in
    /// another process within milliseconds where notifications arrive, otherwise within half a
    /// second. Any number of threads may wait. The first wait starts the two threads that receivers
    /// share, unless they run already. While it lasts, they move messages that are due and take out
    /// expired ones, as for a receiver.
    ///
    /// # Errors
    /// The same as [`completion`](Self::completion); `Interrupted` when [another
    /// thread](crate::Interrupt) ends the wait.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::{How, NewMessage};
    /// use std::time::Duration;
    ///
    /// let order = NewMessage::json("orders", &42)?.tracked();
    /// let id = messaging.session(|session| Ok(session.send(order)?.id()))?;
    /// match messaging.wait_for_completion(id, Duration::from_secs(30))? {
    ///     Some(end) if end.how == How::Done => println!("done: {:?}", end.result),
    ///     Some(end) => println!("{}", end.how),
    ///     None => println!("not yet"),
    /// }
    /// # Ok(()) }
    /// ```
    pub fn wait_for_completion(
        &self,
        id: MessageId,
        timeout: impl Into<Wait>,
    ) -> Result<Option<Completion>> {
        let wait = timeout.into();
        let deadline = wait.deadline();
        // Before the first look, so that no end comes between.
        let waiter = self.base().waker.waiters.wait_for(id.0);
        let mut completion = self.completion(id)?;
        if completion.is_none() && !wait.is_zero() {
            self.watch_ends()?;
        }
        while completion.is_none() {
            let rung = wait.until(waiter.bell(), deadline)?;
            completion = self.completion(id)?;
            if rung == Err(RecvTimeoutError::Timeout) {
                break;
            }
        }
        Ok(completion)
    }

    /// Returns how far a [group](crate::MessagingSession::send_group) has got. Costs one query,
    /// which counts the remaining members.
    ///
    /// # Errors
    /// `NotTracked` when `id` is not that of a group's completion message, or that message ended
    /// too long ago; `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn group_progress(&self, id: MessageId) -> Result<GroupProgress> {
        let found =
            self.with_connection(|connection, _| completion::group_progress(connection, id))?;
        found.ok_or_else(|| {
            let text = format!("message {id} completes no group that is known");
            Error::new(ErrorKind::NotTracked, text)
        })
    }
}
