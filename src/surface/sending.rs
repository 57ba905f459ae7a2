//! Sending: a session of one's own, or one message alone.

use crate::connect::pool::LentConnection;
use crate::observe::event::Event;
use crate::observe::fields::told;
use crate::observe::observers::Observers;
use crate::observe::spans;
use crate::session::messaging_session::MessagingSession;
use crate::surface::messaging::Messaging;
use crate::wake::news::News;
use crate::words::outcome::Sent;
use crate::words::{Error, ErrorKind, Failure, HandlerError, NewMessage, Result, chain};
use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

impl Messaging {
    /// Runs `work` in one transaction, with the queue's verbs at hand. Blocks for a connection of
    /// the pool and for the transaction.
    ///
    /// Commits when `work` returns `Ok`; rolls back when it returns an error or panics (the panic
    /// continues). `Ok` is returned only after the COMMIT: everything happened. After an error
    /// nothing happened, unless its kind is `OutcomeUnknown` or `TransactionEnded`.
    ///
    /// A session that only sends messages without a delay is one statement, without BEGIN and
    /// COMMIT.
    ///
    /// # Errors
    /// `RolledBack` with the error of `work` as its source, or when COMMIT was refused; `Conflict`
    /// when trying again may succeed; `OutcomeUnknown` when the connection broke during COMMIT;
    /// `TransactionEnded` when SQL of `work` ended the transaction, or would have; `SchemaMissing`,
    /// `Denied`, `Unavailable`, `PoolExhausted`.
    ///
    /// An outtray error that `work` returns and that says what to do comes back unchanged:
    /// `Invalid`, `TooLarge`, `Payload`, `Full`, `LeaseLost` and the like. If it is the source of
    /// an error of your own, the returned error has its kind.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let messaging = outtray::Messaging::connect("postgresql://localhost/app")?;
    /// let id = messaging.session(|session| {
    ///     session.execute("INSERT INTO thing (foo) VALUES ($1)", &[&"bar"])?;
    ///     Ok(session.send_message("things", &serde_json::json!({"foo": "bar"}))?)
    /// })?;
    /// # Ok(()) }
    /// ```
    pub fn session<R>(
        &self,
        work: impl FnOnce(&mut MessagingSession<'_>) -> Result<R, HandlerError>,
    ) -> Result<R> {
        let mut connection = self.lend()?;
        let mut session = MessagingSession::on(&self.base().process, &mut connection);
        let worked = catch_unwind(AssertUnwindSafe(|| work(&mut session)));
        session.end_callers();
        let returned = match worked {
            Ok(Ok(returned)) => returned,
            Ok(Err(error)) if let Some(ended) = session.ended() => {
                tracing::debug!(error = told(&error), "{}: {error}", chain(&ended));
                return Err(ended);
            }
            Ok(Err(error)) => return Err(rolled_back(error)),
            Err(panic) => {
                drop(session);
                resume_unwind(panic);
            }
        };
        // Also where nobody knows: a false hint costs a look.
        let committed = session.commit_or(|news| self.base().waker.announce(news));
        let committed = committed.map(|news| (news, returned));
        self.committed(connection, committed)
    }

    /// Sends one message in a transaction of its own, and returns whether it was new or a
    /// duplicate. For programs that have nothing else to write with it; what belongs together goes
    /// into a [`session`](Self::session).
    ///
    /// Takes one round trip, also with a dedupe key (for which a session takes two), unless the
    /// message has other options that cost one.
    ///
    /// # Errors
    /// Those of [`send`](MessagingSession::send), before anything happened; `OutcomeUnknown` when
    /// the connection broke while the message was under way: with a dedupe key, send it again;
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::{Messaging, NewMessage, testing::Server};
    /// use std::time::Duration;
    ///
    /// # let server = Server::start()?;
    /// # let messaging = Messaging::connect(&server.database()?)?;
    /// # messaging.migrate()?;
    /// let day = Duration::from_secs(86_400);
    /// let order = NewMessage::json("orders", &42)?.dedupe("order-42", day);
    /// let first = messaging.send(order.clone())?;
    /// let second = messaging.send(order)?;
    /// assert!(second.is_duplicate());
    /// assert_eq!(second.id(), first.id());
    /// # Ok(()) }
    /// ```
    pub fn send(&self, message: NewMessage) -> Result<Sent> {
        spans::within(spans::send(&message.topic), |span| {
            let mut connection = self.lend()?;
            let mut session = MessagingSession::on(&self.base().process, &mut connection);
            let sent = session.send_alone(message);
            let announce = |news: &_| self.base().waker.announce(news);
            let committed = sent.and_then(|sent| Ok((session.commit_or(announce)?, sent)));
            let sent = self.committed(connection, committed)?;
            spans::note_id(span, sent.id());
            Ok(sent)
        })
    }

    /// Returns a connection for a session.
    pub(super) fn lend(&self) -> Result<LentConnection> {
        self.lend_within(Duration::MAX)
    }

    /// The same, waiting no longer for one than this.
    pub(super) fn lend_within(&self, timeout: Duration) -> Result<LentConnection> {
        let process = &self.base().process;
        let mut connection = self.pooled_within(timeout)?;
        match process.configs.refresh(&mut *connection) {
            Err(error) if !process.configs.are_known() && !is_met_by_sends(error.kind()) => {
                Err(error)
            }
            _ => Ok(connection),
        }
    }

    /// Gives a connection back, and tells who is to know what was committed on it, or that nobody
    /// knows whether it was. Returns what came of the session.
    pub(super) fn committed<T>(
        &self,
        mut connection: LentConnection,
        committed: Result<(News, T)>,
    ) -> Result<T> {
        let observers = &self.base().process.observers;
        let (mut news, returned) = match committed {
            Ok(committed) => committed,
            Err(error) => {
                drop(connection);
                tell_unknown(observers, &error);
                return Err(error);
            }
        };
        connection.touch();
        if !news.after.is_empty() {
            self.look_after(&mut connection, std::mem::take(&mut news.after));
        }
        self.look_after_settled(&mut connection, news.ended.iter());
        drop(connection);
        self.base().waker.announce(&news);
        news.tell(observers);
        Ok(returned)
    }
}

/// Tells observers that nobody knows whether a session committed, if `error` says so.
fn tell_unknown(observers: &Observers, error: &Error) {
    if observers.are_any() && error.kind() == ErrorKind::OutcomeUnknown {
        let (sent, error) = (error.unknown_ids(), &chain(error));
        observers.tell(|| Event::CommitUnknown {
            topic: None,
            handled: &[],
            sent,
            error,
        });
    }
}

/// Returns whether a failure to read settings says nothing about sending: a role that may only send
/// cannot read them, and a missing schema is met by the first send.
fn is_met_by_sends(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Denied | ErrorKind::SchemaMissing)
}

/// Says what the error of a session's closure means for the caller. An error of ours whose kind
/// says what to do about it is returned as it is; one behind an error of the caller's own gives it
/// its kind.
fn rolled_back(error: HandlerError) -> Error {
    let text = format!("the session was rolled back: {error}");
    let own = error.cause.as_deref().and_then(|cause| own_error(cause));
    let kind = match (error.failure(), own.map(Error::kind)) {
        (_, Some(kind)) if is_told_as_it_is(kind) => kind,
        (
            None,
            Some(kind @ (ErrorKind::Conflict | ErrorKind::Unavailable | ErrorKind::PoolExhausted)),
        ) => kind,
        (Some(Failure::Conflict | Failure::Outdated), _) => ErrorKind::Conflict,
        (Some(Failure::Lost | Failure::Overlong), _) => ErrorKind::Unavailable,
        (Some(Failure::Refused | Failure::Hindered) | None, _) => ErrorKind::RolledBack,
    };
    let Some(cause) = error.cause else {
        return Error::new(kind, text);
    };
    let wrapped = Error::new(kind, "the session was rolled back");
    match cause.downcast::<Error>() {
        Ok(own) if is_told_as_it_is(own.kind()) => *own,
        Ok(own) => wrapped.because(*own),
        Err(cause) => wrapped.because(cause),
    }
}

/// Returns the first error of ours among an error and its causes.
fn own_error<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<Error>() {
            return Some(own);
        }
        next = error.source();
    }
    None
}

/// Returns whether the kind tells the caller what to do, wherever it was met. The others say
/// something about the transaction in which they were met, which may be another one.
fn is_told_as_it_is(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::Conflict
            | ErrorKind::RolledBack
            | ErrorKind::Unavailable
            | ErrorKind::PoolExhausted
            | ErrorKind::OutcomeUnknown
            | ErrorKind::Database
    )
}
