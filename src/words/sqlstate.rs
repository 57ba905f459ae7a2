//! Classifies the driver's errors, once, at the boundary.

use crate::words::error::{Error, ErrorKind};
use crate::words::redacted::{LOG_BEHIND, MISCOUNTED, RESUBSCRIBED, behind, text_of};
use postgres::error::SqlState;
use std::error::Error as StdError;
use std::fmt;

/// What a failed statement means for the transaction it ran in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The connection is gone, or the server said that it is about to go.
    Lost,
    /// The server ended the connection, since a transaction did nothing for longer, or took longer,
    /// than it allows.
    Overlong,
    /// Something in the way that others are behind and that passes: a lock, a disk that is full, a
    /// server without room.
    Hindered,
    /// Another transaction, or a changed table, was in the way: the same again may well succeed.
    Conflict,
    /// A statement that was prepared no longer fits, or is gone: the same again on a new connection
    /// may well succeed.
    Outdated,
    /// The statement itself is at fault.
    Refused,
}

impl Failure {
    /// Returns whether the connection is gone.
    pub(crate) fn is_lost(self) -> bool {
        matches!(self, Failure::Lost | Failure::Overlong)
    }

    /// Returns whether the whole transaction is to run again, and nobody is to blame.
    pub(crate) fn is_conflict(self) -> bool {
        matches!(self, Failure::Conflict | Failure::Outdated)
    }
}

/// An error of a statement that had been prepared before the transaction began, and of a kind that
/// a change of its tables makes. Who causes it for other reasons meets it again, with a statement
/// that was prepared for the occasion.
#[derive(Debug, thiserror::Error)]
#[error("{}", text_of(.0))]
struct Outdated(#[source] postgres::Error);

/// An error of COMMIT that passes on what another server said: that, and what it means.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
pub(crate) struct Wrapped {
    pub(crate) said: String,
    pub(crate) failure: Failure,
    #[source]
    pub(crate) source: postgres::Error,
}

/// Sorts an error of the driver by its SQLSTATE, or by having none.
///
/// A cut connection shows as `Closed` or as an I/O error and never has an SQLSTATE; class 57P is
/// the server ending the session; class 08 is the connection.
pub(crate) fn failure(error: &postgres::Error) -> Failure {
    let Some(code) = error.code() else {
        // Without an SQLSTATE only a parameter that does not fit its type is not about the wire.
        return if is_about_parameters(error) {
            Failure::Refused
        } else {
            Failure::Lost
        };
    };
    if is_missing_statement(code.code()) && !is_statement_gone(error) {
        return Failure::Refused;
    }
    failure_of_code(code.code())
}

/// Sorts an SQLSTATE.
pub(crate) fn failure_of_code(code: &str) -> Failure {
    match code {
        code if is_missing_statement(code) => Failure::Outdated,
        "40001" | "40P01" | MISCOUNTED | RESUBSCRIBED => Failure::Conflict,
        // idle_in_transaction_session_timeout, transaction_timeout.
        "25P03" | "25P04" => Failure::Overlong,
        code if code.starts_with("57P") || code.starts_with("08") => Failure::Lost,
        "55P03" => Failure::Hindered,
        code if code.starts_with("53") || code.starts_with("58") => Failure::Hindered,
        _ => Failure::Refused,
    }
}

/// Returns what the database says happened, found anywhere in a chain of causes.
pub(crate) fn failure_in(error: &(dyn StdError + 'static)) -> Option<Failure> {
    let mut next = Some(error);
    while let Some(current) = next {
        if current.is::<Outdated>() {
            return Some(Failure::Outdated);
        }
        if let Some(wrapped) = current.downcast_ref::<Wrapped>() {
            return Some(wrapped.failure);
        }
        if let Some(found) = current.downcast_ref::<postgres::Error>() {
            return Some(failure(found));
        }
        next = behind(current);
    }
    None
}

/// Returns whether somebody held a lock for longer than the statement was to wait for it (55P03:
/// lock_not_available).
pub(crate) fn is_held_up(error: &Error) -> bool {
    let cause = error.cause::<postgres::Error>();
    cause.and_then(postgres::Error::code) == Some(&SqlState::LOCK_NOT_AVAILABLE)
}

/// Says what another transaction held that a statement of ours waited for in vain. Any other error
/// stays as it is.
pub(crate) fn held_up(error: Error, held: &str) -> Error {
    if !is_held_up(&error) {
        return error;
    }
    let text = format!(
        "{held} is held by another transaction that sends with it and has been open for longer than lock_timeout: end that one \
         first, or send both in one session if this thread has it open"
    );
    Error::new(ErrorKind::Conflict, text).because(error)
}

/// Returns whether a server was there to refuse it: the error has an SQLSTATE, or the server does
/// not let one in.
pub(crate) fn is_answer(error: &Error) -> bool {
    let refused = error.cause::<postgres::Error>();
    refused.is_some_and(|error| error.code().is_some())
        || !matches!(error.kind(), ErrorKind::Unavailable)
}

/// What the driver answered.
pub(crate) type DriverResult<T> = Result<T, postgres::Error>;

/// Turns the driver's errors into ours.
pub(crate) trait Doing<T> {
    /// Classifies an error and says what was being done.
    fn doing(self, doing: &str) -> Result<T, Error>;
}

impl<T> Doing<T> for DriverResult<T> {
    fn doing(self, doing: &str) -> Result<T, Error> {
        self.map_err(|error| classify(error, doing))
    }
}

/// Turns an error of the driver into ours; `doing` completes "while …".
pub(crate) fn classify(error: postgres::Error, doing: &str) -> Error {
    let code = error.code().map(SqlState::code).unwrap_or_default();
    let text = text_of(&error);
    let (kind, text) = match (failure(&error), code) {
        (Failure::Lost, _) => (
            ErrorKind::Unavailable,
            format!("connection lost while {doing}, try again"),
        ),
        (Failure::Overlong, _) => (
            ErrorKind::Unavailable,
            format!("{text}: connection lost while {doing}"),
        ),
        (Failure::Conflict, MISCOUNTED) => (
            ErrorKind::Conflict,
            format!("{text} while {doing}: everything was rolled back, run it again"),
        ),
        (Failure::Conflict, _) => (
            ErrorKind::Conflict,
            format!("conflict with another transaction while {doing}, run it again"),
        ),
        (Failure::Outdated, _) => (
            ErrorKind::Conflict,
            format!(
                "a prepared statement is gone while {doing}, run it again; behind a pooler in transaction mode, say \
                 pooler_safe(true)"
            ),
        ),
        (Failure::Refused, "42P01" | "3F000" | "42883" | "42703") => (
            ErrorKind::SchemaMissing,
            format!("{text} while {doing}: is the schema there? run migrate()"),
        ),
        (Failure::Refused, _) if is_sequence_behind(&error) => (
            ErrorKind::SequenceBehind,
            format!(
                "{text} while {doing}: a sequence of the schema is behind its table, as after a copy without the values \
                 of sequences, run migrate()"
            ),
        ),
        (Failure::Refused, "42501" | "28P01" | "28000") => (
            ErrorKind::Denied,
            format!("{text} while {doing}: check the role's privileges"),
        ),
        (Failure::Hindered, "53300" | "53400") => (
            ErrorKind::Unavailable,
            format!("{text} while {doing}: the server has no room, try again later"),
        ),
        (Failure::Hindered | Failure::Refused, _) => {
            (ErrorKind::Database, format!("{text} while {doing}"))
        }
    };
    Error::new(kind, text).because(error)
}

/// Fewer messages were settled than were in hand.
#[derive(Debug, thiserror::Error)]
#[error("of {wanted} messages in hand only {counted} could be settled")]
struct Miscounted {
    counted: u64,
    wanted: usize,
}

/// Checks that a statement settled as many messages as it was to.
///
/// # Errors
/// `Conflict`: the transaction must not commit.
pub(crate) fn check_count(counted: u64, wanted: usize, doing: &str) -> Result<(), Error> {
    if usize::try_from(counted) == Ok(wanted) {
        return Ok(());
    }
    let text = format!("{doing}: everything is rolled back, run it again");
    Err(Error::new(ErrorKind::Conflict, text).because(Miscounted { counted, wanted }))
}

/// Returns whether messages in hand could not be settled, and nobody said why: their rows are gone,
/// or something in the database keeps them.
pub(crate) fn is_miscounted(error: &Error) -> bool {
    let code = |error: &postgres::Error| error.code().map(SqlState::code) == Some(MISCOUNTED);
    error.cause::<Miscounted>().is_some() || error.cause::<postgres::Error>().is_some_and(code)
}

/// Returns whether the database has something against a statement itself, so that the same again
/// fares no better.
pub(crate) fn is_refusal(error: &Error) -> bool {
    let passes = matches!(
        error.kind(),
        ErrorKind::Unavailable
            | ErrorKind::PoolExhausted
            | ErrorKind::Conflict
            | ErrorKind::SequenceBehind
            | ErrorKind::OutcomeUnknown
    );
    !passes || is_miscounted(error)
}

/// Returns whether subscriptions changed after what was published was matched with them.
pub(crate) fn is_resubscribed(error: &postgres::Error) -> bool {
    error.code().map(SqlState::code) == Some(RESUBSCRIBED)
}

/// Returns whether a new row of ours got a number that another row has (23505), or numbers of logs
/// are behind.
pub(crate) fn is_sequence_behind(error: &postgres::Error) -> bool {
    const NUMBERED: [(&str, &str); 4] = [
        ("message", "message_pkey"),
        ("follower", "follower_pkey"),
        ("worker", "worker_pkey"),
        ("vacated", "vacated_pkey"),
    ];
    error.as_db_error().is_some_and(|refused| {
        let at = refused.table().zip(refused.constraint());
        let is_taken = refused.code() == &SqlState::UNIQUE_VIOLATION;
        let is_numbered = is_taken && at.is_some_and(|at| NUMBERED.contains(&at));
        is_numbered || refused.code().code() == LOG_BEHIND
    })
}

/// What a handler says the database said.
#[derive(Debug)]
pub(crate) struct Said(pub(crate) Failure);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Failure::Hindered => "others are in the way",
            _ => "the connection is gone",
        })
    }
}

impl StdError for Said {}

/// Returns what the database said, if that is behind an error of ours.
pub(crate) fn failure_of(error: &Error) -> Option<Failure> {
    let said = error.cause::<Said>().map(|said| said.0);
    said.or_else(|| error.cause::<Wrapped>().map(|wrapped| wrapped.failure))
        .or_else(|| error.cause::<postgres::Error>().map(failure))
}

/// Returns whether a statement was cancelled: by `statement_timeout`, or by somebody.
pub(crate) fn is_interrupted(error: &Error) -> bool {
    let cause = error.cause::<postgres::Error>();
    cause.and_then(postgres::Error::code) == Some(&SqlState::QUERY_CANCELED)
}

/// Turns the error of a caller's own statement into ours; its tables are none of our business.
pub(crate) fn classify_own(error: postgres::Error) -> Error {
    let text = text_of(&error);
    let (kind, text) = match failure(&error) {
        Failure::Outdated => return classify_outdated(error),
        Failure::Lost => (
            ErrorKind::Unavailable,
            "connection lost while running a statement, try again".to_owned(),
        ),
        Failure::Overlong => (ErrorKind::Unavailable, text),
        Failure::Conflict => (
            ErrorKind::Conflict,
            format!("{text}: run the whole transaction again"),
        ),
        Failure::Hindered | Failure::Refused => (ErrorKind::Database, text),
    };
    Error::new(kind, text).because(error)
}

/// The same for a statement that was prepared before what its tables are now.
pub(crate) fn classify_outdated(error: postgres::Error) -> Error {
    let text = text_of(&error);
    let text = format!("{text}: the tables or statements changed, run the whole transaction again");
    Error::new(ErrorKind::Conflict, text).because(Outdated(error))
}

fn is_missing_statement(code: &str) -> bool {
    matches!(code, "26000" | "42P05")
}

/// Returns whether a prepared statement is gone, or there already: somebody dropped all, or a
/// pooler gave the connection to another server process. What a function says of statements, for
/// which the server says where, is about its own.
pub(crate) fn is_statement_gone(error: &postgres::Error) -> bool {
    error.as_db_error().is_some_and(|refused| {
        is_missing_statement(refused.code().code()) && refused.where_().is_none()
    })
}

/// Returns whether the error is of a kind that statements meet which were prepared before a table
/// changed: another type of result (0A000), or of a parameter (42804, 42883). Each has other causes
/// too.
pub(crate) fn may_be_outdated(error: &postgres::Error) -> bool {
    matches!(
        error.code().map(SqlState::code),
        Some("0A000" | "42804" | "42883")
    )
}

/// Returns whether a statement was to write in a transaction that only reads.
pub(crate) fn is_read_only(error: &postgres::Error) -> bool {
    error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

/// Returns whether a savepoint of ours is gone, or all of the transaction: the caller's SQL ended
/// it.
pub(crate) fn is_ended(error: &postgres::Error) -> bool {
    matches!(error.code().map(SqlState::code), Some("3B001" | "25P01")) && !is_raised(error)
}

/// Returns whether a function raised the error: who wrote it chose the SQLSTATE.
fn is_raised(error: &postgres::Error) -> bool {
    let refused = error.as_db_error();
    refused.and_then(|refused| refused.routine()) == Some("exec_stmt_raise")
}

fn is_about_parameters(error: &postgres::Error) -> bool {
    // The driver keeps its kinds to itself; their texts, in English always, are all there is to
    // tell them apart.
    let driver = error.to_string();
    driver.starts_with("error serializing parameter")
        || driver.starts_with("error encoding message")
        || driver.starts_with("error deserializing column")
        || driver.starts_with("query returned an unexpected number of rows")
        || driver.starts_with("invalid column")
        || driver.starts_with("expected ")
}
/// Returns whether the transaction had been aborted before (25P02: in_failed_sql_transaction).
pub(crate) fn is_aborted(error: &postgres::Error) -> bool {
    error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) && !is_raised(error)
}
