//! How a session ends: committed, rolled back, or unknown.
//!
//! Three traps lie here. `COMMIT` of an aborted transaction *succeeds* (it rolls back and says so
//! in a tag that the driver drops), so a real statement goes before it in the same flight: a
//! swallowed error surfaces as 25P02 and can never be taken for a commit. An error of COMMIT with
//! an SQLSTATE means rolled back, but for the server ending the session (57P), which may happen
//! after the commit was made; that, and a broken connection, is "unknown" from the moment COMMIT
//! was sent, and not before. And a session that only sent messages needs no BEGIN: one statement
//! is its own transaction.

use crate::connect::refused::is_standby;
use crate::db::Flight;
use crate::db::commands;
use crate::dedupe;
use crate::message::send;
use crate::observe::spans;
use crate::publish;
use crate::session::caller_sql::ended;
use crate::session::messaging_session::MessagingSession;
use crate::session::outbox::Outbox;
use crate::session::transaction_state::TransactionState;
use crate::wake::news::News;
use crate::words::outcome::Sent;
use crate::words::redacted::text_of;
use crate::words::sqlstate::{
    failure, held_up, is_aborted, is_ended, is_resubscribed, is_sequence_behind,
};
use crate::words::wrapped::unwrapped;
use crate::words::{
    Error, ErrorKind, Failure, MessageId, NewMessage, OnEnd, Result, SideEffects, classify,
};
use postgres::error::SqlState;
use tracing::Span;
use uuid::Uuid;

impl MessagingSession<'_> {
    /// Stores what was sent and commits. Returns whom to wake.
    ///
    /// # Errors
    /// `OutcomeUnknown` when the connection broke with COMMIT under way; any other kind means that
    /// all was rolled back.
    pub(crate) fn commit(self) -> Result<News> {
        self.commit_or(|_| {})
    }

    /// Does the same; where nobody knows whether it happened, tells `unknown` whom to wake.
    pub(crate) fn commit_or(mut self, unknown: impl FnOnce(&News)) -> Result<News> {
        self.commit_all().inspect_err(|error| {
            if error.kind() == ErrorKind::OutcomeUnknown {
                unknown(&self.outbox.take_hints());
            }
        })?;
        Ok(self.take_news())
    }

    /// Does the same for a session that only published; returns the ids of the copies, too.
    pub(crate) fn commit_alone(mut self) -> Result<(News, Vec<MessageId>)> {
        self.commit_all()?;
        let ids = self.outbox.ids();
        Ok((self.take_news(), ids))
    }

    /// Does the same without waiting for the server's disk, where sending is all that the session
    /// did and one flight takes it. Should the server crash in the next moment, what was sent is
    /// gone, and with it all that was done for it: the server's log has the one before the other.
    pub(crate) fn commit_unsynced(mut self) -> Result<News> {
        let is_published = self.outbox.matched_version().is_some();
        let TransactionState::Idle(connection) = &mut self.transaction.state else {
            return self.commit();
        };
        if is_published || !self.outbox.can_fly() {
            return self.commit();
        }
        let mut flight = connection.flight();
        flight.begin();
        flight.command(&commands::WAIT_FOR_NO_DISK);
        let span = span_of(&self.outbox);
        self.outbox.push_all(&mut flight);
        flight.commit();
        let flown = span.in_scope(|| connection.fly(flight));
        flown.map_err(|error| refused(error, || self.outbox.ids()))?;
        Ok(self.take_news())
    }

    fn take_news(&mut self) -> News {
        let is_observed = self.process.observers.are_any();
        self.outbox.take_news(is_observed)
    }

    fn commit_all(&mut self) -> Result<()> {
        spans::within(span_of(&self.outbox), |_| self.commit_sent())
    }

    fn commit_sent(&mut self) -> Result<()> {
        if let Some(ended) = self.transaction.ended() {
            return Err(ended);
        }
        if self.transaction.side_effects.any(&[SideEffects::FAILED]) {
            return Err(swallowed());
        }
        if let Some(error) = self.outbox.take_broken() {
            return Err(error);
        }
        let is_idle = matches!(self.transaction.state, TransactionState::Idle(_));
        if !is_idle && let Err(error) = self.transaction.restore() {
            return Err(match failure(&error).is_lost() {
                // COMMIT was not sent.
                true => classify(error, "putting a connection back as it was"),
                false => refused(error, Vec::new),
            });
        }
        if self.commit_published()? {
            return Ok(());
        }
        if is_idle && self.outbox.statements() <= 1 && self.is_idle() {
            return self.commit_single_statement();
        }
        let last = self.store_or_push()?;
        let state = &mut self.transaction.state;
        if matches!(state, TransactionState::Joined(_)) {
            // The caller's transaction: it decides.
            return Ok(());
        }
        let flown = state.begun()?.fly(last);
        let warned = state.cache().and_then(|cache| cache.warned());
        let ended = std::mem::replace(state, TransactionState::Broken);
        match flown.map_err(|error| unwrapped(error, warned)) {
            Ok(_) => {
                ended.committed();
                Ok(())
            }
            Err(Ok(error)) => Err(refused(error, || self.outbox.ids())),
            Err(Err(unwrapped)) => Err(unwrapped),
        }
    }

    fn is_idle(&self) -> bool {
        matches!(self.transaction.state, TransactionState::Idle(_))
    }

    /// Commits in one flight that stores all that was sent, if subscriptions are still those of
    /// this version. Returns false, with the transaction as it was, if they are not.
    pub(super) fn fly_published(&mut self, version: Option<Uuid>) -> Result<bool> {
        let flown = match &mut self.transaction.state {
            TransactionState::Idle(connection) => {
                let mut flight = connection.flight();
                flight.begin();
                publish::push_check(&mut flight, version);
                self.outbox.push_all(&mut flight);
                flight.commit();
                connection.fly(flight).map(drop)
            }
            state => {
                let open = state.begun()?;
                let mut flight = open.flight();
                flight.command(&commands::OPEN_PUBLISHED);
                publish::push_check(&mut flight, version);
                flight.command(&commands::RELEASE_PUBLISHED);
                self.outbox.push_all(&mut flight);
                self.outbox.room.push_return(&mut flight);
                flight.commit();
                open.fly(flight).map(drop)
            }
        };
        match flown {
            Ok(()) => {
                let state = &mut self.transaction.state;
                std::mem::replace(state, TransactionState::Broken).committed();
                Ok(true)
            }
            Err(error) if is_resubscribed(&error) => {
                if !self.is_idle() {
                    let undone = self
                        .transaction
                        .state
                        .begun()?
                        .commands(&[&commands::UNDO_PUBLISHED]);
                    undone.map_err(|error| classify(error, "undoing a check"))?;
                }
                Ok(false)
            }
            Err(error) => Err(refused(error, || self.outbox.ids())),
        }
    }

    /// Sends the one message of a session that does nothing else. A plain message with a dedupe key
    /// is stored at once, in a single statement that is its own transaction: asking for the key
    /// first would take a second round trip. Only one that is not stored asks who has the key.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) and, for a message that is stored at once, those of
    /// [`commit`](Self::commit).
    pub(crate) fn send_alone(&mut self, message: NewMessage) -> Result<Sent> {
        let outgoing = self.checked(message)?;
        if let Some((key, remembered)) = &outgoing.message.rare.dedupe
            && outgoing.is_plain_but_for(OnEnd::UNIQUE)
            && !outgoing.is_entry
        {
            let run = self.transaction.state.current()?;
            let stored = send::send_deduped(run, &outgoing, key, *remembered);
            let is_stored = stored.map_err(|error| {
                let topic = &outgoing.message.topic;
                let error = held_up(
                    error,
                    &format!("the dedupe key of a message to topic {topic}"),
                );
                alone(error, || vec![outgoing.id])
            })?;
            if is_stored {
                self.outbox.note(&outgoing);
                return Ok(Sent::New(outgoing.id));
            }
            let run = self.transaction.state.current()?;
            if let Some(holder) = dedupe::holder(run, &outgoing.message.topic, key)? {
                return Ok(Sent::Duplicate(MessageId(holder)));
            }
        }
        self.send_outgoing(outgoing)
    }

    /// Stores the messages that were sent and returns the last flight; a few plain messages travel
    /// in that flight instead.
    fn store_or_push(&mut self) -> Result<Flight> {
        let mut last = self.transaction.state.begun()?.flight();
        if self.outbox.has_few() && !matches!(self.transaction.state, TransactionState::Joined(_)) {
            self.outbox.push_few(&mut last);
        } else {
            self.outbox
                .store_last(self.transaction.state.current()?)
                .map_err(not_stored)?;
        }
        self.outbox.room.push_return(&mut last);
        // Storing a message also proves that the transaction is not aborted.
        if last.is_empty() {
            last.command(&commands::PROVE);
        }
        last.commit();
        Ok(last)
    }

    fn commit_single_statement(&mut self) -> Result<()> {
        let ids = self.outbox.ids();
        let stored = self.outbox.store(self.transaction.state.current()?);
        stored.map_err(|error| alone(error, || ids))
    }
}

/// Makes the span of storing what is not stored yet.
fn span_of(outbox: &Outbox) -> Span {
    spans::commit(outbox.ready.len() + outbox.waiting.len() + outbox.entries.len())
}

/// Classifies an error of a statement that is its own transaction: if the connection broke, the
/// outcome is unknown, as for a COMMIT.
fn alone(error: Error, ids: impl FnOnce() -> Vec<MessageId>) -> Error {
    let cause = error.cause::<postgres::Error>();
    match error.kind() {
        _ if cause.is_some_and(is_standby) => error,
        ErrorKind::Unavailable => unknown().because(error).with_unknown(ids()),
        _ => error,
    }
}

/// Classifies an error of the last flight.
fn refused(error: postgres::Error, ids: impl FnOnce() -> Vec<MessageId>) -> Error {
    if is_ended(&error) {
        return ended(false);
    }
    if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
        return held_up(classify(error, "committing"), "a key of a message");
    }
    match failure(&error) {
        Failure::Lost if is_standby(&error) => classify(error, "committing"),
        Failure::Lost | Failure::Overlong => unknown().because(error).with_unknown(ids()),
        Failure::Conflict | Failure::Outdated => classify(error, "committing"),
        Failure::Refused | Failure::Hindered if is_aborted(&error) => swallowed().because(error),
        Failure::Refused | Failure::Hindered
            if is_about_tables(&error) || is_sequence_behind(&error) =>
        {
            classify(error, "storing messages")
        }
        Failure::Refused | Failure::Hindered => Error::new(
            ErrorKind::RolledBack,
            format!(
                "COMMIT was refused: {}; everything was rolled back",
                text_of(&error)
            ),
        )
        .because(error),
    }
}

/// Classifies an error of storing messages in an open transaction.
pub(crate) fn not_stored(error: Error) -> Error {
    match error.cause::<postgres::Error>() {
        Some(cause) if is_aborted(cause) => swallowed().because(error),
        _ => error,
    }
}

pub(crate) fn swallowed() -> Error {
    Error::new(
        ErrorKind::RolledBack,
        "a statement failed and its error was swallowed: everything was rolled back",
    )
}

/// Returns whether an error is about our tables (missing, not allowed, no room). Messages that
/// travel with COMMIT meet such errors; a deferred constraint hardly ever does.
fn is_about_tables(error: &postgres::Error) -> bool {
    let code = error.code().map_or("", |code| code.code());
    ["42", "3F", "53"]
        .iter()
        .any(|class| code.starts_with(class))
}

fn unknown() -> Error {
    Error::new(
        ErrorKind::OutcomeUnknown,
        "the connection broke while COMMIT was under way: it may have happened or not, look for the \
         message ids",
    )
}
