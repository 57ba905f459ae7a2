//! What a failed attempt to connect means.

use crate::connect::connector::Unwired;
use crate::connect::wired::Standby;
use crate::words::redacted::text_of;
use crate::words::{Error, ErrorKind};
use std::error::Error as StdError;
use std::io;

/// Returns the cause of this type that the stream gave the driver.
fn caused_by<E: StdError + 'static>(error: &postgres::Error) -> Option<&E> {
    let source = error.source()?;
    source.downcast_ref::<E>().or_else(|| {
        let inner = source.downcast_ref::<io::Error>()?.get_ref()?;
        inner.downcast_ref::<E>()
    })
}

/// Returns whether a connection was given up since its server takes no writes: what was asked for
/// last has not happened.
pub(crate) fn is_standby(error: &postgres::Error) -> bool {
    caused_by::<Standby>(error).is_some()
}

/// Says what came of a connect, with the place and what to do.
pub(crate) fn refused(error: postgres::Error, target: &str) -> Error {
    let why = text_of(&error);
    let code = error.code().map(|code| code.code().to_owned());
    let (kind, text) = match code.as_deref() {
        Some("28P01" | "28000") => (
            ErrorKind::Denied,
            format!("{target} refused the user: {why}; check user and password in the URL"),
        ),
        Some("42501") => (
            ErrorKind::Denied,
            format!("{target} refused the user: {why}"),
        ),
        // A pooler, to start-up options that it does not know; ours are none.
        Some("08P01") => (
            ErrorKind::Configuration,
            format!(
                "{target} refused the connection: {why}; a pooler may not take the URL's options"
            ),
        ),
        Some("3D000") => (
            ErrorKind::Configuration,
            format!("{target} is not there: {why}; create the database"),
        ),
        Some(_) => (
            ErrorKind::Unavailable,
            format!("cannot connect to {target}: {why}"),
        ),
        None if error.to_string().starts_with("invalid configuration") => (
            ErrorKind::Configuration,
            format!("cannot connect to {target}: {why}"),
        ),
        None if is_standby(&error) => (
            ErrorKind::Unavailable,
            format!("{target} does not do: {Standby}"),
        ),
        None if matches!(
            caused_by(&error),
            Some(Unwired::NotOffered | Unwired::Refused(_))
        ) =>
        {
            (
                ErrorKind::Configuration,
                format!(
                    "no encrypted connection to {target}: {why}; check sslmode and sslrootcert"
                ),
            )
        }
        None => (
            ErrorKind::Unavailable,
            format!("cannot reach {target}: {why}; is the server running?"),
        ),
    };
    Error::new(kind, text).because(error)
}
