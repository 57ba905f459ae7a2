//! Statements by themselves where the role's default isolation is not READ COMMITTED.

use crate::words::DriverResult;
use postgres::error::SqlState;

/// How often a statement is run again that others are in the way of.
const TRIES: usize = 10;

/// Runs a statement, and runs it again where the server refused it since another transaction was in
/// its way (40001): one by itself is isolated as the role's default says, which nothing here relies
/// on, and did nothing. Within a transaction, which is aborted then, the error stays what it was.
pub(super) fn serialized<T>(mut run: impl FnMut() -> DriverResult<T>) -> DriverResult<T> {
    let has = |ran: &DriverResult<T>, state: &SqlState| {
        let error = ran.as_ref().err();
        error.is_some_and(|error| error.code() == Some(state))
    };
    let first = run();
    if !has(&first, &SqlState::T_R_SERIALIZATION_FAILURE) {
        return first;
    }
    for _ in 0..TRIES {
        let again = run();
        if has(&again, &SqlState::IN_FAILED_SQL_TRANSACTION) {
            return first;
        }
        if !has(&again, &SqlState::T_R_SERIALIZATION_FAILURE) {
            return again;
        }
    }
    first
}
