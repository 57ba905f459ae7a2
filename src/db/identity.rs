//! Which database a connection leads to.

use crate::db::run::{Run, column, query};
use crate::db::statement::{Statement, sql};
use crate::words::Result;

static IDENTITY: Statement = sql!("identity", Kept);

/// A database, as it is told from others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    database: i64,
    started_us: i64,
}

/// Returns which database this is; `None` if the server does not say.
pub(crate) fn identity(run: &mut dyn Run) -> Result<Option<Identity>> {
    let rows = query(run, &IDENTITY, &[], "asking which database it is")?;
    let read = |row| {
        Ok(Identity {
            database: column(row, "database")?,
            started_us: column(row, "started_us")?,
        })
    };
    rows.first().map(read).transpose()
}
