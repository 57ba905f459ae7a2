//! The one error of the crate: its kind says what the caller can do, its sources say why.

use crate::words::message_id::MessageId;
pub(crate) use crate::words::redacted::chain;
use crate::words::redacted::{behind, veil};
use std::error::Error as StdError;
use std::fmt;

/// A `Result` with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and what can be done about it.
///
/// One pointer wide. [`kind`](Error::kind) sorts errors by what the caller can do;
/// [`source`](std::error::Error::source) leads to the cause, such as the error of a closure or
/// of the database. Each level prints only itself; print the chain to see all of it.
///
/// No text of the chain holds a value of a row. Of the database's errors it has the message, the
/// SQLSTATE and the names of tables, columns and constraints, but not DETAIL, HINT and CONTEXT, nor
/// what is quoted in a message such as `invalid input syntax for type integer: "…"`. Only a
/// [refusal](ErrorKind::Refused) has the text that the replier sent.
/// [`cause::<postgres::Error>()`](Error::cause) returns the full error. The text of a closure's own
/// error is kept as it is.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    text: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    unknown: Vec<MessageId>,
}

/// What the caller of a failed operation can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is not allowed: a topic name, a header, a limit. Nothing was done; change the
    /// argument.
    Invalid,
    /// The message was not sent as [`tracked`](crate::NewMessage::tracked), or it ended so long ago
    /// that its outcome was removed.
    NotTracked,
    /// A payload is larger than the limit. Nothing was stored; send less, or raise
    /// [`max_payload_bytes`](crate::Builder::max_payload_bytes).
    TooLarge,
    /// A payload cannot become JSON, or JSON cannot become the wanted type. Nothing was changed.
    Payload,
    /// The settings do not allow a connection: a malformed URL, or TLS that was asked for and is
    /// missing.
    Configuration,
    /// The server refused the user, the password, or a privilege.
    Denied,
    /// The database cannot be reached, or the connection broke before anything was committed; or
    /// the operating system has no room for a thread. Try again later.
    Unavailable,
    /// All connections of the pool stayed in use for as long as the caller was ready to wait.
    PoolExhausted,
    /// The schema is missing or older than this release: run
    /// [`migrate`](crate::Messaging::migrate).
    SchemaMissing,
    /// The schema belongs to a newer release, or was changed by hand: upgrade this program.
    SchemaNewer,
    /// A sequence is behind its table, as after a copy or a partial restore, which bring no values
    /// of sequences. Nothing was stored; run [`migrate`](crate::Messaging::migrate), which moves
    /// the sequence forward.
    SequenceBehind,
    /// The lease was lost, or the message was already settled. Nothing was changed. Somebody else
    /// may have the message now; forget it.
    LeaseLost,
    /// A concurrent transaction was in the way (serialization failure or deadlock), or held what a
    /// send waits for (room, a key, a dedupe key) for longer than `lock_timeout`. Everything was
    /// rolled back; run the session again.
    Conflict,
    /// The caller's closure returned an error or swallowed a failed statement, or COMMIT was
    /// refused (a deferred constraint). Everything was rolled back; the source says why.
    RolledBack,
    /// The caller's own SQL ended the transaction of a session, or was stopped because it would
    /// have: for example a `COMMIT`, `ROLLBACK` or `PREPARE TRANSACTION` sent through a transaction
    /// that the session had lent. The source says whether what was written until then is committed;
    /// none of the sends is stored. Let the session end its transaction.
    TransactionEnded,
    /// The connection broke while COMMIT was under way: it may or may not have happened.
    /// [`unknown_ids`](Error::unknown_ids) names the messages concerned.
    OutcomeUnknown,
    /// Receivers still run on what was to be removed, or another message has the dedupe key of the
    /// one that was to be redriven. Nothing was changed; stop them first, or let that message end.
    InUse,
    /// What a reader of a log is to read next is no longer kept. Nothing was read; the text says
    /// where the log begins now. [Move](crate::Topic::seek) the reader.
    PositionGone,
    /// Another thread [interrupted](crate::Interrupt) the wait. Nothing was taken.
    Interrupted,
    /// Nobody subscribed to what was published as [`mandatory`](crate::NewMessage::mandatory).
    /// Nothing was sent; the session stays usable.
    NoSubscription,
    /// No reply to a [request](crate::Messaging::request) came in time. Its handler may have run
    /// all the same, or run later where the request does not expire with the wait.
    Timeout,
    /// The handler of a [request](crate::Messaging::request) answered with an
    /// [error](crate::MessagingSession::reply_error), whose text the error has.
    Refused,
    /// A [send hook](crate::Builder::before_send) refused the message. Nothing was sent, and the
    /// session stays usable; the source says why.
    Vetoed,
    /// A bounded topic is full. Nothing was sent; try again later, or wait for room.
    Full,
    /// The database refused a statement for another reason; the source says which.
    Database,
    /// A throwaway server could not be found, started, or stopped.
    Server,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            text: text.into(),
            source: None,
            unknown: Vec::new(),
        }))
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Error::new(ErrorKind::Invalid, text)
    }

    /// Adds the cause.
    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(veil(source.into()));
        self
    }

    /// Names the messages whose fate is unknown.
    pub(crate) fn with_unknown(mut self, ids: Vec<MessageId>) -> Self {
        self.0.unknown = ids;
        self
    }

    /// Returns what the caller can do about the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the messages that may or may not have been stored when the outcome of a COMMIT is
    /// unknown; empty otherwise. Their ids were made before the transaction, so they can be looked
    /// up in the database later.
    pub fn unknown_ids(&self) -> &[MessageId] {
        &self.0.unknown
    }

    /// Returns the first cause of type `E` in the chain, or `None`: the error that the caller's own
    /// closure returned, or `postgres::Error` for the database's error.
    ///
    /// ```
    /// # fn show(error: outtray::Error) {
    /// if let Some(io) = error.cause::<std::io::Error>() {
    ///     println!("the disk said: {io}");
    /// }
    /// # }
    /// ```
    pub fn cause<E: StdError + 'static>(&self) -> Option<&E> {
        let mut next = self.source();
        while let Some(error) = next {
            if let Some(wanted) = error.downcast_ref::<E>() {
                return Some(wanted);
            }
            next = behind(error);
        }
        None
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Error {
    /// Prints the kind and the whole chain, since `main` prints errors with `Debug`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, chain(self))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn debug_prints_the_whole_chain_once() {
        let inner = std::io::Error::other("disk full");
        let error = Error::new(ErrorKind::RolledBack, "session rolled back").because(inner);

        assert_eq!(
            format!("{error:?}"),
            "RolledBack: session rolled back: disk full"
        );
        assert!(error.cause::<std::io::Error>().is_some());
    }
}
