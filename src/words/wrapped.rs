//! What another server said of a COMMIT, where this one refuses it on that server's behalf.
//!
//! On Citus a COMMIT goes on to the servers that have the rows. What one of them says against it
//! arrives as a warning with its SQLSTATE; the error that follows has one of its own (XX000), and
//! says no more than that a server refused. So the warning tells whether the same again may
//! succeed.

use crate::words::error::{Error, ErrorKind};
use crate::words::redacted::without_values;
use crate::words::sqlstate::{Wrapped, failure_of_code};

/// The SQLSTATE of an error that nobody gave one.
const NO_CODE: &str = "XX000";

/// A warning with the SQLSTATE of an error.
#[derive(Debug)]
pub(crate) struct Warned {
    code: String,
    message: String,
}

impl Warned {
    /// Reads the fields of a notice; `None` for one that tells of no error.
    pub(crate) fn read(fields: &[u8]) -> Option<Warned> {
        let field = |kind: u8| {
            let mut fields = fields.split(|byte| *byte == 0);
            let found = fields.find(|field| field.first() == Some(&kind))?;
            Some(String::from_utf8_lossy(found.get(1..)?).into_owned())
        };
        let code = field(b'C')?;
        // Success, warnings, and no data.
        let is_error = !["00", "01", "02"]
            .iter()
            .any(|class| code.starts_with(class));
        is_error.then(|| Warned {
            code,
            message: field(b'M').unwrap_or_default(),
        })
    }
}

/// Returns the error of a COMMIT as it is, unless it only passes on what another server `warned`
/// of.
///
/// # Errors
/// `Conflict` where the same again may succeed, `RolledBack` otherwise.
pub(crate) fn unwrapped(
    error: postgres::Error,
    warned: Option<Warned>,
) -> Result<postgres::Error, Error> {
    let is_bare = error.code().is_some_and(|code| code.code() == NO_CODE);
    let Some(Warned { code, message }) = warned.filter(|_| is_bare) else {
        return Ok(error);
    };
    let failure = failure_of_code(&code);
    // Nobody knows who raised it, and what of it are names.
    let said = format!("{} ({code})", without_values(&message));
    let (kind, text) = match failure.is_conflict() {
        true => (
            ErrorKind::Conflict,
            "conflict with another transaction while committing, run it again".to_owned(),
        ),
        false => (
            ErrorKind::RolledBack,
            format!("COMMIT was refused: {said}; everything was rolled back"),
        ),
    };
    let wrapped = Wrapped {
        said,
        failure,
        source: error,
    };
    Err(Error::new(kind, text).because(wrapped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fields: &[u8], expected: Option<(&str, &str)>) {
        let warned = Warned::read(fields);
        let found = warned.as_ref();
        let found = found.map(|warned| (warned.code.as_str(), warned.message.as_str()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_warning_is_read_if_it_tells_of_an_error() {
        check(
            b"SWARNING\0VWARNING\0C40001\0Mno\0\0",
            Some(("40001", "no")),
        );
        check(b"SWARNING\0C23505\0\0", Some(("23505", "")));
        check(b"SWARNING\0C01000\0Mcareful\0\0", None);
        check(b"SNOTICE\0C00000\0Mso\0\0", None);
        check(b"", None);
    }
}
